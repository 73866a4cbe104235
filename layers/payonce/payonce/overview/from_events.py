"""What an event of the outbox adds to its minute: its type, whether it is a payment's first, and why it was declined.

A decline is counted by payonce's own code (docs/decline-codes.md), a bounded list: a code that is not on it counts as
``other``, so that a gateway's words can't make an item grow.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.payment import Change
from payonce.outbox import FIRSTS, is_event, opened
from payonce.overview.minutes import Told, minute_of

if TYPE_CHECKING:
    from payonce.ports import Item

MADE = "made"
DECLINED_PREFIX = "declined:"
OTHER = "other"
CODES = frozenset(
    {
        "amount_not_supported",
        "authentication_failed",
        "authentication_required",
        "canceled",
        "card_not_supported",
        "currency_not_supported",
        "declined",
        "expired_card",
        "fraud_suspected",
        "insufficient_funds",
        "invalid_card_details",
        "limit_exceeded",
        "mandate_revoked",
        "payment_expired",
        "rejected_by_gateway",
        "try_again_later",
    }
)


def told_of(item: Item, sequence: str) -> Told | None:
    """Return what a stored item adds, ``None`` for one that is no event. Raises ``KeyError`` for a malformed one."""
    if not is_event(item):
        return None
    event = opened(item)
    change = str(event["event_type"])
    names = [change]
    if f"#{FIRSTS}#" in str(event["list_shard"]):
        names.append(MADE)
    if change == Change.DECLINED:
        names.append(DECLINED_PREFIX + _code(event["body"]))
    return Told(sequence, event["merchant_id"], minute_of(event["created_at_ms"]), tuple(names))


def _code(body: bytes) -> str:
    try:
        code = json.loads(body)["data"]["decline_code"]
    except (ValueError, KeyError, TypeError):
        return OTHER
    return code if code in CODES else OTHER
