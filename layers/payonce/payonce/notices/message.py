"""The messages of the queue of gateways' events: which kept event to apply, and how often that was tried."""

from __future__ import annotations

import json
from dataclasses import dataclass

from payonce.domain.errors import BodyMalformed
from payonce.ports import QueueMessage


@dataclass(frozen=True, slots=True)
class ApplyMessage:
    """Asks to apply a kept event. It holds no data of the event: a copy or a late one finds what is stored by then."""

    notice_key: str
    tries: int = 0

    def to_queue(self, *, delay_seconds: int = 0) -> QueueMessage:
        """Return the message for the queue."""
        body = json.dumps({"notice_key": self.notice_key, "tries": self.tries}, separators=(",", ":"))
        return QueueMessage(body, delay_seconds)


def parse_apply(text: str) -> ApplyMessage:
    """Return the message. Raises ``BodyMalformed``: such a text is never valid; it belongs in the dead-letter queue."""
    try:
        value = json.loads(text)
        key, tries = value["notice_key"], value["tries"]
    except (ValueError, KeyError, TypeError, RecursionError):
        key = tries = None
    if not isinstance(key, str) or type(tries) is not int:
        raise BodyMalformed("This is not a message of the queue of gateways' events.")
    return ApplyMessage(key, tries)
