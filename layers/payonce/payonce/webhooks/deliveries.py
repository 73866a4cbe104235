"""The stored form of deliveries: one item per event and endpoint, including its attempts.

The index ``due-deliveries`` lists what must be looked at again, and when. It contains deliveries that wait for their
next attempt, those in progress, and those whose queue message was lost.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.delivery import Answer, Exchanged
from payonce.domain.webhooks import DeliveryStatus, delivery_id
from payonce.outbox import partition_of
from payonce.ports import QueueMessage

if TYPE_CHECKING:
    from payonce.ports import Item, Key

DUE_INDEX = "due-deliveries"
# One index partition takes about 1,000 writes a second, and a delivery makes two of them.
DUE_SHARDS = 8
DELIVERY_PREFIX = "DELIVERY#"
ATTEMPT_PREFIX = "attempt#"
MAX_KEPT_ATTEMPTS = 20  # per delivery: more than a whole schedule has; redeliveries drop the oldest
RETENTION_SECONDS = 90 * 24 * 3600  # deliveries are diagnostic data; the events themselves are kept
# How long after a message was queued the scheduler considers it lost. Not short: more copies do not help a queue that
# is behind.
MESSAGE_GRACE_MS = 5 * 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint. Times are epoch milliseconds.

    ``attempt_count`` counts all attempts, ``round_attempts`` those of this round; a redelivery begins a new round.
    ``not_before_ms``: when the next attempt is due. ``due_at_ms``: when the scheduler looks at the delivery.
    ``opened_by``: the replay's pass that began this round, or ``None``; so a repeated step does not begin another.
    """

    merchant_id: str
    endpoint_id: str
    delivery_id: str
    event_id: str
    event_type: str
    event_pk: str
    event_sk: str
    status: DeliveryStatus
    event_created_at_ms: int
    created_at_ms: int
    updated_at_ms: int
    attempt_count: int = 0
    round_attempts: int = 0
    not_before_ms: int = 0
    due_at_ms: int = 0
    lease_expires_at_ms: int = 0
    fence: int = 0
    opened_by: str | None = None
    attempts: tuple[dict[str, Any], ...] = ()


def delivery_key(merchant_id: str, endpoint_id: str, identity: str) -> Key:
    """Return the key of a delivery."""
    return {"pk": partition_of(merchant_id, endpoint_id), "sk": DELIVERY_PREFIX + identity}


def key_of(delivery: Delivery) -> Key:
    """Return the key of this delivery."""
    return delivery_key(delivery.merchant_id, delivery.endpoint_id, delivery.delivery_id)


def shard_of(identity: str) -> str:
    """Return the delivery's shard of the index of due deliveries."""
    return str(zlib.crc32(identity.encode()) % DUE_SHARDS)


def new_delivery(event: Item, endpoint_id: str, status: DeliveryStatus, *, now_ms: int) -> Delivery:
    """Return the delivery of a stored event to an endpoint. Its id is a function of the two alone."""
    return Delivery(
        merchant_id=event["merchant_id"],
        endpoint_id=endpoint_id,
        delivery_id=delivery_id(event["event_id"], endpoint_id, event["created_at_ms"]),
        event_id=event["event_id"],
        event_type=event["event_type"],
        event_pk=event["pk"],
        event_sk=event["sk"],
        status=status,
        event_created_at_ms=event["created_at_ms"],
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        not_before_ms=now_ms,
        due_at_ms=now_ms + MESSAGE_GRACE_MS,
    )


def message_of(delivery: Delivery, *, delay_seconds: int = 0) -> QueueMessage:
    """Return the message that asks for the delivery's next attempt by number, so that a copy asks for no other."""
    body = {
        "merchant_id": delivery.merchant_id,
        "endpoint_id": delivery.endpoint_id,
        "delivery_id": delivery.delivery_id,
        "attempt": delivery.attempt_count + 1,
    }
    return QueueMessage(json.dumps(body, separators=(",", ":")), delay_seconds)


def attempt_entry(exchanged: Exchanged, *, at_ms: int) -> dict[str, Any]:
    """Return the stored entry of an exchange."""
    if isinstance(exchanged, Answer):
        return {
            "at_ms": at_ms,
            "latency_ms": exchanged.latency_ms,
            "status": exchanged.status,
            "response_excerpt": exchanged.excerpt,
        }
    return {
        "at_ms": at_ms,
        "latency_ms": exchanged.latency_ms,
        "error": exchanged.reason.value,
        "detail": exchanged.detail,
    }


def delivery_from(item: Item) -> Delivery:
    """Return the delivery of a stored item."""
    names = sorted(name for name in item if name.startswith(ATTEMPT_PREFIX))
    return Delivery(
        merchant_id=item["merchant_id"],
        endpoint_id=item["endpoint_id"],
        delivery_id=item["delivery_id"],
        event_id=item["event_id"],
        event_type=item["event_type"],
        event_pk=item["event_pk"],
        event_sk=item["event_sk"],
        status=DeliveryStatus(item["status"]),
        event_created_at_ms=item["event_created_at_ms"],
        created_at_ms=item["created_at_ms"],
        updated_at_ms=item["updated_at_ms"],
        attempt_count=item["attempt_count"],
        round_attempts=item["round_attempts"],
        not_before_ms=item["not_before_ms"],
        due_at_ms=item.get("due_at_ms", 0),
        lease_expires_at_ms=item["lease_expires_at_ms"],
        fence=item["fence"],
        opened_by=item.get("opened_by"),
        attempts=tuple(item[name] for name in names),
    )


def delivery_item(delivery: Delivery) -> Item:
    pending = delivery.status is DeliveryStatus.PENDING
    return {
        **key_of(delivery),
        "merchant_id": delivery.merchant_id,
        "endpoint_id": delivery.endpoint_id,
        "delivery_id": delivery.delivery_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "event_pk": delivery.event_pk,
        "event_sk": delivery.event_sk,
        "status": delivery.status.value,
        "event_created_at_ms": delivery.event_created_at_ms,
        "created_at_ms": delivery.created_at_ms,
        "updated_at_ms": delivery.updated_at_ms,
        "attempt_count": delivery.attempt_count,
        "round_attempts": delivery.round_attempts,
        "not_before_ms": delivery.not_before_ms,
        "lease_expires_at_ms": delivery.lease_expires_at_ms,
        "fence": delivery.fence,
        "opened_by": delivery.opened_by,
        "purge_at": delivery.created_at_ms // 1000 + RETENTION_SECONDS,
        **({"due_at_ms": delivery.due_at_ms, "due_shard": shard_of(delivery.delivery_id)} if pending else {}),
    }


def attempt_name(number: int) -> str:
    return f"{ATTEMPT_PREFIX}{number:05d}"
