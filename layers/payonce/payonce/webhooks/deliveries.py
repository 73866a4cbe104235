"""Deliveries as they are stored: one item for each event and endpoint, with its attempts in it.

Every write after the lease requires its fence, so that a sender which was frozen over its lease changes nothing (P5).
The index ``due-deliveries`` lists what has to be looked at again, and when: a delivery that is under way, or whose
message was lost, is in it as well as one that waits for its next attempt.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.delivery import Answer, Exchanged
from payonce.domain.webhooks import DeliveryStatus, delivery_id
from payonce.ports import Adjust, Insert, QueueMessage, Table

if TYPE_CHECKING:
    from payonce.ports import Item, Key, Write

DUE_INDEX = "due-deliveries"
# One index partition takes about 1,000 writes a second, and a delivery makes two of them.
DUE_SHARDS = 8
DELIVERY_PREFIX = "DELIVERY#"
ATTEMPT_PREFIX = "attempt#"
MAX_KEPT_ATTEMPTS = 20  # of one delivery: more than a whole schedule has; redeliveries push the oldest out
RETENTION_SECONDS = 90 * 24 * 3600  # deliveries are for looking at; the events themselves are kept
# After a message is queued, how long until the scheduler takes it for lost. Not short: a queue that is behind is not
# helped by copies.
MESSAGE_GRACE_MS = 5 * 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint. Times are epoch milliseconds.

    ``attempt_count`` counts all attempts, ``round_attempts`` those of this round: a redelivery begins a new one.
    ``not_before_ms``: when the next attempt is due; ``due_at_ms``: when the scheduler looks at it. ``opened_by``: the
    pass of a replay that began this round, if one did, so that a step which runs twice begins no second one.
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
    return {"pk": f"{merchant_id}#{endpoint_id}", "sk": DELIVERY_PREFIX + identity}


def key_of(delivery: Delivery) -> Key:
    """Return the key of this delivery."""
    return delivery_key(delivery.merchant_id, delivery.endpoint_id, delivery.delivery_id)


def shard_of(identity: str) -> str:
    """Return the shard of the index of due deliveries."""
    return str(zlib.crc32(identity.encode()) % DUE_SHARDS)


def new_delivery(event: Item, endpoint_id: str, status: DeliveryStatus, *, now_ms: int) -> Delivery:
    """Return the delivery of a stored event to an endpoint. Its id depends on the two alone."""
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


def insert_write(delivery: Delivery) -> Write:
    """Return the write of a new delivery, refused when it is there already."""
    return Insert(Table.DELIVERIES, _item(delivery))


def lease_write(delivery: Delivery, *, lease_expires_at_ms: int) -> Write:
    """Return the write by which a sender becomes the only one, if nothing has changed since ``delivery`` was read."""
    return Adjust(
        table=Table.DELIVERIES,
        key=key_of(delivery),
        require={
            "status": DeliveryStatus.PENDING.value,
            "attempt_count": delivery.attempt_count,
            "fence": delivery.fence,
            "lease_expires_at_ms": delivery.lease_expires_at_ms,
        },
        set={"lease_expires_at_ms": lease_expires_at_ms, "fence": delivery.fence + 1},
    )


def attempt_write(
    leased: Delivery,
    attempt: dict[str, Any],
    status: DeliveryStatus,
    *,
    at_ms: int,
    not_before_ms: int | None = None,
    due_at_ms: int | None = None,
) -> Write:
    """Return the write that ends an attempt: what happened, and what follows. Refused to a stale owner.

    ``due_at_ms`` is given while the delivery is to be looked at again, and takes it off the index when it is not.
    """
    number = leased.attempt_count + 1
    forgotten = number - MAX_KEPT_ATTEMPTS
    changes: dict[str, Any] = {
        "status": status.value,
        "attempt_count": number,
        "round_attempts": leased.round_attempts + 1,
        "lease_expires_at_ms": 0,
        "updated_at_ms": at_ms,
        "purge_at": at_ms // 1000 + RETENTION_SECONDS,
        _attempt_name(number): {**attempt, "number": number},
    }
    if not_before_ms is not None:
        changes["not_before_ms"] = not_before_ms
    return _owned(leased, changes, due_at_ms, extra_removed=[_attempt_name(forgotten)] if forgotten > 0 else [])


def status_write(delivery: Delivery, status: DeliveryStatus, *, at_ms: int) -> Write:
    """Return the write that ends a delivery, or holds it, without an attempt."""
    return _owned(
        delivery, {"status": status.value, "lease_expires_at_ms": 0, "updated_at_ms": at_ms}, None, extra_removed=[]
    )


def defer_write(delivery: Delivery, *, not_before_ms: int, due_at_ms: int) -> Write:
    """Return the write that puts an attempt off and takes none away."""
    return _owned(delivery, {"not_before_ms": not_before_ms, "lease_expires_at_ms": 0}, due_at_ms, extra_removed=[])


def reopen_write(delivery: Delivery, *, at_ms: int, opened_by: str | None = None) -> Write:
    """Return the write that begins a new round, from whatever state the delivery was read in."""
    return Adjust(
        table=Table.DELIVERIES,
        key=key_of(delivery),
        require={"status": delivery.status.value, "attempt_count": delivery.attempt_count, "fence": delivery.fence},
        set={
            "status": DeliveryStatus.PENDING.value,
            "round_attempts": 0,
            "not_before_ms": at_ms,
            "updated_at_ms": at_ms,
            "due_at_ms": at_ms + MESSAGE_GRACE_MS,
            "due_shard": shard_of(delivery.delivery_id),
            "purge_at": at_ms // 1000 + RETENTION_SECONDS,
            "opened_by": opened_by,
        },
    )


def queued_write(item: Item, *, due_at_ms: int) -> Write:
    """Return the write by which the scheduler looks away until ``due_at_ms``, if nothing has happened meanwhile."""
    return Adjust(
        table=Table.DELIVERIES,
        key={"pk": item["pk"], "sk": item["sk"]},
        require={"due_at_ms": item["due_at_ms"]},
        set={"due_at_ms": due_at_ms},
    )


def message_of(delivery: Delivery, *, delay_seconds: int = 0) -> QueueMessage:
    """Return the message that asks for the delivery's next attempt. It names it: a copy asks for no other."""
    body = {
        "merchant_id": delivery.merchant_id,
        "endpoint_id": delivery.endpoint_id,
        "delivery_id": delivery.delivery_id,
        "attempt": delivery.attempt_count + 1,
    }
    return QueueMessage(json.dumps(body, separators=(",", ":")), delay_seconds)


def attempt_entry(exchanged: Exchanged, *, at_ms: int) -> dict[str, Any]:
    """Return what is kept of an exchange."""
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


def _item(delivery: Delivery) -> Item:
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


def _attempt_name(number: int) -> str:
    return f"{ATTEMPT_PREFIX}{number:05d}"


def _owned(delivery: Delivery, changes: dict[str, Any], due_at_ms: int | None, *, extra_removed: list[str]) -> Write:
    removed = list(extra_removed)
    if due_at_ms is None:
        removed += ["due_at_ms", "due_shard"]
    else:
        changes = {**changes, "due_at_ms": due_at_ms, "due_shard": shard_of(delivery.delivery_id)}
    return Adjust(
        table=Table.DELIVERIES,
        key=key_of(delivery),
        require={
            "status": DeliveryStatus.PENDING.value,
            "fence": delivery.fence,
            "attempt_count": delivery.attempt_count,
        },
        set=changes,
        remove=removed,
    )
