"""The messages of the delivery queue."""

from __future__ import annotations

import json
from dataclasses import dataclass

from payonce.domain.errors import BodyMalformed


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryMessage:
    """Asks for attempt number ``attempt`` of a delivery."""

    merchant_id: str
    endpoint_id: str
    delivery_id: str
    attempt: int


def parse_message(text: str) -> DeliveryMessage:
    """Return the message. Raises ``BodyMalformed``: such a text is never valid; it belongs in the dead-letter queue."""
    try:
        value = json.loads(text)
        message = DeliveryMessage(
            merchant_id=value["merchant_id"],
            endpoint_id=value["endpoint_id"],
            delivery_id=value["delivery_id"],
            attempt=value["attempt"],
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BodyMalformed("This is not a delivery message.") from error
    names = (message.merchant_id, message.endpoint_id, message.delivery_id)
    if not all(isinstance(name, str) and name for name in names) or type(message.attempt) is not int:
        raise BodyMalformed("This is not a delivery message.")
    return message
