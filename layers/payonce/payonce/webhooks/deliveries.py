"""The stored form of deliveries: one item per event and endpoint, including its attempts.

A pending delivery is in the list of its lane, which is a partition of the index ``due-deliveries``, sorted by the time
from which the lane may take it. So one index is the waiting list of an endpoint and its schedule::

    leased to its message when it was stored     due when that lease ends; before, nobody else sends it
    waiting                                      due at once
    failed, to be tried again                    due when its next attempt is
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from payonce.domain.delivery import Answer, Exchanged
from payonce.domain.webhooks import DeliveryStatus, delivery_id
from payonce.merged_lists import LAST, merged_page
from payonce.outbox import partition_of
from payonce.ports import Table

if TYPE_CHECKING:
    from payonce.ports import Database, Item, Key, Page

DUE_INDEX = "due-deliveries"
DELIVERY_PREFIX = "DELIVERY#"
ATTEMPT_PREFIX = "attempt#"
# Characters kept of an answer that accepts: a delivery with one attempt then has less than the kilobyte that one write
# unit buys. Of a refusal, which somebody has to understand, all is kept that was read.
MAX_ACCEPTED_EXCERPT = 250
MAX_KEPT_ATTEMPTS = 20  # per delivery: more than a whole schedule has; redeliveries drop the oldest
DELIVERY_SHARDS = 4  # partitions of an endpoint's deliveries: at two writes each, 2,000 deliveries a second
RETENTION_SECONDS = 90 * 24 * 3600  # deliveries are diagnostic data; the events themselves are kept
# A new delivery's lease for its message: half of it for the queue, half for the attempt and its record.
DIRECT_LEASE_MS = 60_000
FIRST_FENCE = 1  # of a delivery that is leased to its message


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint. Times are epoch milliseconds.

    ``attempt_count`` counts all attempts, ``round_attempts`` those of this round; a redelivery begins a new round.
    ``not_before_ms``: when the next attempt is due. ``due_at_ms``: when its lane may take it; 0 when it is not listed.
    ``lane_mark``: up to which abandoned session of its lane nobody can hold it any more (see ``lane``).
    ``opened_by``: the replay's pass that began this round, or ``None``; so a repeated step does not begin another.
    """

    merchant_id: str
    endpoint_id: str
    delivery_id: str
    event_id: str
    event_type: str
    status: DeliveryStatus
    event_created_at_ms: int
    created_at_ms: int
    updated_at_ms: int
    lane: int = 0
    lane_mark: int = 0
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
    shard = zlib.crc32(identity.encode()) % DELIVERY_SHARDS
    return {"pk": _delivery_partition(merchant_id, endpoint_id, shard), "sk": DELIVERY_PREFIX + identity}


def key_of(delivery: Delivery) -> Key:
    """Return the key of this delivery."""
    return delivery_key(delivery.merchant_id, delivery.endpoint_id, delivery.delivery_id)


def _delivery_partition(merchant_id: str, endpoint_id: str, shard: int) -> str:
    return f"{partition_of(merchant_id, endpoint_id)}#{shard}"


def deliveries_of_endpoint(
    database: Database,
    merchant_id: str,
    endpoint_id: str,
    *,
    after: str = DELIVERY_PREFIX,
    until: str = DELIVERY_PREFIX + LAST,
    limit: int,
    descending: bool = False,
) -> Page:
    """Return a page of an endpoint's deliveries by their event's time, from their partitions: see ``merged_page``.

    ``after`` and ``until`` are sort keys, and so is the ``sk`` of the page's ``next_key``. Strongly consistent.
    """
    shards = [_delivery_partition(merchant_id, endpoint_id, shard) for shard in range(DELIVERY_SHARDS)]
    return merged_page(
        database,
        Table.DELIVERIES,
        [("pk", shard) for shard in shards],
        "sk",
        after=after,
        until=until,
        limit=limit,
        descending=descending,
    )


def list_of(merchant_id: str, endpoint_id: str, lane: int) -> str:
    """Return the name of a lane's list: its partition of the index."""
    return f"{partition_of(merchant_id, endpoint_id)}#{lane}"


def lane_of(identity: str, lanes: int) -> int:
    """Return the lane of a new delivery to an endpoint with so many lanes."""
    return zlib.crc32(identity.encode()) % lanes


def listed(delivery: Delivery, due_at_ms: int) -> dict[str, Any]:
    """Return the attributes by which a delivery is in the list of its lane."""
    return {
        "due_at_ms": due_at_ms,
        "due_list": list_of(delivery.merchant_id, delivery.endpoint_id, delivery.lane),
    }


def new_delivery(event: Item, endpoint_id: str, status: DeliveryStatus, *, now_ms: int, lanes: int = 1) -> Delivery:
    """Return the delivery of a stored event to an endpoint, waiting. Its id is a function of the two alone."""
    identity = delivery_id(event["event_id"], endpoint_id, event["created_at_ms"])
    return Delivery(
        merchant_id=event["merchant_id"],
        endpoint_id=endpoint_id,
        delivery_id=identity,
        event_id=event["event_id"],
        event_type=event["event_type"],
        status=status,
        event_created_at_ms=event["created_at_ms"],
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        lane=lane_of(identity, lanes),
        not_before_ms=now_ms,
        due_at_ms=now_ms,
    )


def leased_to_its_message(delivery: Delivery, *, now_ms: int) -> Delivery:
    """Return a new delivery as the one that its own message may send; the lane may take it afterwards."""
    ends_ms = now_ms + DIRECT_LEASE_MS
    return replace(delivery, fence=FIRST_FENCE, lease_expires_at_ms=ends_ms, due_at_ms=ends_ms + 1)


def attempt_entry(exchanged: Exchanged, *, at_ms: int) -> dict[str, Any]:
    """Return the stored entry of an exchange."""
    if isinstance(exchanged, Answer):
        accepted = 200 <= exchanged.status < 300
        return {
            "at_ms": at_ms,
            "latency_ms": exchanged.latency_ms,
            "status": exchanged.status,
            "response_excerpt": exchanged.excerpt[:MAX_ACCEPTED_EXCERPT] if accepted else exchanged.excerpt,
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
        status=DeliveryStatus(item["status"]),
        event_created_at_ms=item["event_created_at_ms"],
        created_at_ms=item["created_at_ms"],
        updated_at_ms=item["updated_at_ms"],
        lane=item["lane"],
        lane_mark=item["lane_mark"],
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
        "status": delivery.status.value,
        "event_created_at_ms": delivery.event_created_at_ms,
        "created_at_ms": delivery.created_at_ms,
        "updated_at_ms": delivery.updated_at_ms,
        "lane": delivery.lane,
        "lane_mark": delivery.lane_mark,
        "attempt_count": delivery.attempt_count,
        "round_attempts": delivery.round_attempts,
        "not_before_ms": delivery.not_before_ms,
        "lease_expires_at_ms": delivery.lease_expires_at_ms,
        "fence": delivery.fence,
        "opened_by": delivery.opened_by,
        "purge_at": delivery.created_at_ms // 1000 + RETENTION_SECONDS,
        **(listed(delivery, delivery.due_at_ms) if pending else {}),
    }


def attempt_name(number: int) -> str:
    return f"{ATTEMPT_PREFIX}{number:05d}"
