"""Sends again what was sent or should have been: one delivery, or a range of events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, DeliveryStateConflict, NotFound
from payonce.domain.webhooks import DeliveryStatus
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Draft
from payonce.ports import Table
from payonce.webhooks.commit_work import EndpointWork, Services, endpoint_path
from payonce.webhooks.deliveries import delivery_from, delivery_key
from payonce.webhooks.delivery_writes import reopen_write
from payonce.webhooks.manage import require_enabled
from payonce.webhooks.messages import wake
from payonce.webhooks.replay_items import ReplayOnly, insert_replay_write, new_replay
from payonce.webhooks.views import delivery_summary, replay_view

if TYPE_CHECKING:
    from payonce.ports import Database, QueueMessage
    from payonce.webhooks.deliveries import Delivery

WHY_NOT = {
    DeliveryStatus.PENDING: "It is being delivered; look at its attempts.",
    DeliveryStatus.CANCELED: "Its endpoint was deleted.",
}


class Redeliver(EndpointWork):
    """The work of ``POST .../deliveries/{id}/redeliveries``: a new round, with the same event id and bytes.

    Send its message from ``messages`` after the commit. If that fails, the scheduler finds the delivery due.
    """

    kind = "webhook_delivery.redeliver"

    def __init__(self, endpoint_id: str, delivery_id: str, *, merchant_id: str, services: Services) -> None:
        super().__init__(services, merchant_id, endpoint_id)
        self._delivery_id = delivery_id
        self.messages: list[QueueMessage] = []  # shared with a work that adopts the claim

    def resource(self) -> str:
        """See ``ManagementWork``."""
        return f"{endpoint_path(self._endpoint_id)}/deliveries/{self._delivery_id}"

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        require_enabled(self.load(), "What is redelivered would only be held.")
        delivery = require_delivery(self._services.database, self._merchant_id, self._endpoint_id, self._delivery_id)
        if delivery.status in WHY_NOT:
            raise DeliveryStateConflict(
                f"The delivery is {delivery.status.value}. {WHY_NOT[delivery.status]}",
                delivery_status=delivery.status.value,
                resource=self.resource(),
            )
        after = replace(
            delivery, status=DeliveryStatus.PENDING, round_attempts=0, not_before_ms=now_ms, updated_at_ms=now_ms
        )
        self.messages[:] = [wake(delivery.merchant_id, delivery.endpoint_id, delivery.lane)]
        response = json_response(202, delivery_summary(after), location=self.resource())
        return Draft(response, [reopen_write(delivery, at_ms=now_ms)])


class StartReplay(EndpointWork):
    """The work of ``POST .../replays``. The replay itself is ``replays.advance_replay``, called by the scheduler."""

    kind = "webhook_replay.start"

    def __init__(
        self,
        endpoint_id: str,
        *,
        merchant_id: str,
        services: Services,
        from_ms: int,
        until_ms: int,
        only: ReplayOnly,
    ) -> None:
        super().__init__(services, merchant_id, endpoint_id, replay_id=services.ids.new("rpl"))
        self._from_ms = from_ms
        self._until_ms = until_ms
        self._only = only

    def resource(self) -> str:
        """See ``ManagementWork``."""
        return f"{endpoint_path(self._endpoint_id)}/replays/{self._identities['replay_id']}"

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        endpoint = self.load()
        require_enabled(endpoint, "What is replayed would only be held.")
        if self._until_ms > now_ms:
            raise BodyMalformed("until_ms is in the future. Give the end of a range that is over.")
        replay = new_replay(
            endpoint,
            self._identities["replay_id"],
            only=self._only,
            from_ms=self._from_ms,
            until_ms=self._until_ms,
            now_ms=now_ms,
        )
        response = json_response(202, replay_view(replay), location=self.resource())
        return Draft(response, [insert_replay_write(replay)])


def require_delivery(database: Database, merchant_id: str, endpoint_id: str, delivery_id: str) -> Delivery:
    """Return the delivery as it is stored now. Raises ``NotFound``."""
    item = database.get(Table.DELIVERIES, delivery_key(merchant_id, endpoint_id, delivery_id))
    if item is None:
        raise NotFound(f"There is no delivery {delivery_id} to this endpoint.")
    return delivery_from(item)
