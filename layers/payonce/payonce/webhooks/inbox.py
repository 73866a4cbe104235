"""The inbox turns events of a merchant's other systems, received as queue messages, into outbox events like our own.

A message carries no event id. The queue's message id changes with a redrive; a clock or a random number changes with
every copy. So the id is derived from the content, and so is the event's key: the conditional insert of the outbox item
is the claim. Its deduplication window is unlimited, because the outbox forgets nothing::

    copy 1 ─ insert (merchant, content) ─ stamped ─▶ stream, relay, delivery
    copy 2 ─ insert ─ refused: the same event is there ─▶ nothing
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import NotFound, WriteConflict
from payonce.domain.events import Event, event_body
from payonce.domain.ids import content_id, event_id
from payonce.idempotency.fingerprint import canonical_json
from payonce.outbox import event_write
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock, Database

INBOX_NAMESPACE = "payonce/inbox/v2"
FIRST_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxMessage:
    """An event to be stored: its type (``custom.…``), its data, and the sender's own id for it, if there is one.

    Without ``message_id``, two messages with equal data are the same event.
    """

    merchant_id: str
    event_type: str
    data: Mapping[str, Any]
    message_id: str | None = None


class Inbox:
    """Turns messages into events, each exactly once."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def accept(self, message: InboxMessage) -> str:
        """Store the message's event unless it is stored already, and return its id, which is equal for every copy.

        Raises ``NotFound`` when the merchant does not exist.
        """
        merchant_id = message.merchant_id
        if self._database.get(Table.MERCHANTS, {"pk": f"MERCHANT#{merchant_id}", "sk": "MERCHANT"}) is None:
            raise NotFound(f"There is no merchant {merchant_id}.")
        resource_id = self._resource_id(message)
        identity = event_id(resource_id, FIRST_VERSION)
        now_ms = self._clock.now_ms()
        event = Event(
            event_id=identity,
            merchant_id=merchant_id,
            resource_id=resource_id,
            version=FIRST_VERSION,
            event_type=message.event_type,
            created_at_ms=now_ms,
            body=event_body(
                identity, message.event_type, created_at_ms=now_ms, sequence=FIRST_VERSION, data=message.data
            ),
        )
        try:
            self._database.write([event_write(event)])
        except WriteConflict:
            return identity
        return identity

    def _resource_id(self, message: InboxMessage) -> str:
        # With the merchant in it: equal content of two merchants is two events.
        scope = (INBOX_NAMESPACE, message.merchant_id)
        if message.message_id is not None:
            return content_id("ext", *scope, "id", message.event_type, message.message_id)
        content = canonical_json(dict(message.data)).decode()
        return content_id("ext", *scope, "content", message.event_type, content)
