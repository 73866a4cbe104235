"""The relay writes the deliveries of each event and queues them. It is idempotent per event.

::

    outbox event ─┬─ 1 insert one delivery per endpoint (refused when it is there)
                  └─ 2 queue the deliveries that were never tried
    killed before 2: the stream or the sweeper brings the event again; the ids are equal, so nothing is duplicated
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.endpoint import Endpoint, EndpointStatus
from payonce.domain.errors import PayonceError, WriteConflict
from payonce.domain.webhooks import DeliveryStatus
from payonce.outbox import opened
from payonce.webhooks.deliveries import delivery_from, message_of, new_delivery
from payonce.webhooks.delivery_writes import insert_write
from payonce.webhooks.endpoints import load_endpoints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Clock, Database, Item, MessageQueue, QueueMessage


@dataclass(slots=True)
class RelayReport:
    """The result of one run. ``failed`` maps the positions of events that must come again to their errors."""

    deliveries: int = 0
    failed: dict[int, Exception] = field(default_factory=dict)


class Relay:
    """Turns outbox events into deliveries."""

    def __init__(self, *, database: Database, queue: MessageQueue, clock: Clock) -> None:
        self._database = database
        self._queue = queue
        self._clock = clock

    def relay(self, events: Sequence[Item]) -> RelayReport:
        """Relay stored events. One that fails does not delay the others."""
        report = RelayReport()
        endpoints: dict[str, list[Endpoint]] = {}
        messages: dict[int, list[QueueMessage]] = {}
        for position, item in enumerate(events):
            try:
                event = opened(item)
                merchant_id = event["merchant_id"]
                if merchant_id not in endpoints:
                    # Read once per run: an endpoint created after this moment is not owed an earlier event.
                    endpoints[merchant_id] = load_endpoints(self._database, merchant_id)
                messages[position] = self._deliver(event, endpoints[merchant_id])
            except (PayonceError, KeyError) as error:
                report.failed[position] = error
        report.deliveries = sum(len(queued) for queued in messages.values())
        try:
            # One call for the whole run, because the queue bills by request, and a request takes ten messages.
            self._queue.send([message for queued in messages.values() for message in queued])
        except PayonceError as error:
            report.failed |= dict.fromkeys(messages, error)
        return report

    def _deliver(self, event: Item, endpoints: Sequence[Endpoint]) -> list[QueueMessage]:
        messages = []
        for endpoint in endpoints:
            if not is_for(event, endpoint):
                continue
            enabled = endpoint.status is EndpointStatus.ENABLED
            status = DeliveryStatus.PENDING if enabled else DeliveryStatus.HELD
            delivery = new_delivery(event, endpoint.endpoint_id, status, now_ms=self._clock.now_ms())
            try:
                self._database.write([insert_write(delivery)])
            except WriteConflict as conflict:
                if conflict.current is None:  # pragma: no cover - the condition is that nothing is stored
                    raise
                delivery = delivery_from(conflict.current)
            if delivery.status is DeliveryStatus.PENDING and delivery.attempt_count == 0:
                messages.append(message_of(delivery))
        return messages


def is_for(event: Item, endpoint: Endpoint) -> bool:
    """Return whether the endpoint gets this event (``outbox.opened``)."""
    only_endpoint_id = event.get("only_endpoint_id")
    if only_endpoint_id is not None:
        return bool(only_endpoint_id == endpoint.endpoint_id)
    return endpoint.wants(event["event_type"])
