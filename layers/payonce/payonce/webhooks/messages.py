"""The messages of the delivery queue. A message only asks; what is to be done is in the database.

::

    DirectMessage   send this delivery, which was leased to this message when it was stored
    WakeMessage     somebody should look into this lane of an endpoint: something is due there
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import BodyMalformed
from payonce.domain.webhooks import MOST_LANES
from payonce.ports import QueueMessage

if TYPE_CHECKING:
    from payonce.webhooks.deliveries import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectMessage:
    """Asks for the first attempt of a delivery. ``fence`` is the lease's: a later owner's delivery has another one."""

    merchant_id: str
    endpoint_id: str
    delivery_id: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeMessage:
    """Asks for what is due in a lane of an endpoint. Copies ask for the same."""

    merchant_id: str
    endpoint_id: str
    lane: int


type Message = DirectMessage | WakeMessage


def direct(delivery: Delivery) -> QueueMessage:
    """Return the message that a new delivery is leased to."""
    return _queued(
        {
            "merchant_id": delivery.merchant_id,
            "endpoint_id": delivery.endpoint_id,
            "delivery_id": delivery.delivery_id,
            "fence": delivery.fence,
        }
    )


def wake(merchant_id: str, endpoint_id: str, lane: int, *, delay_ms: int = 0) -> QueueMessage:
    """Return the message that wakes a lane after ``delay_ms``, rounded up to seconds."""
    return _queued(
        {"merchant_id": merchant_id, "endpoint_id": endpoint_id, "lane": lane},
        delay_seconds=max(0, -(-delay_ms // 1000)),
    )


def parse_message(text: str) -> Message:
    """Return the message. Raises ``BodyMalformed``: such a text is never valid; it belongs in the dead-letter queue."""
    try:
        value = json.loads(text)
        merchant_id, endpoint_id = _text(value["merchant_id"]), _text(value["endpoint_id"])
        if "lane" in value:
            lane = _number(value["lane"], below=MOST_LANES)
            return WakeMessage(merchant_id=merchant_id, endpoint_id=endpoint_id, lane=lane)
        return DirectMessage(
            merchant_id=merchant_id,
            endpoint_id=endpoint_id,
            delivery_id=_text(value["delivery_id"]),
            fence=_number(value["fence"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BodyMalformed("This is not a delivery message.") from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no name")
    return value


def _number(value: Any, *, below: int | None = None) -> int:
    if type(value) is not int or value < 0 or (below is not None and value >= below):
        raise ValueError("no number")
    return value


def _queued(body: dict[str, Any], *, delay_seconds: int = 0) -> QueueMessage:
    return QueueMessage(json.dumps(body, separators=(",", ":")), delay_seconds)
