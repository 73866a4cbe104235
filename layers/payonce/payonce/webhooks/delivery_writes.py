"""The writes of a delivery, each with the condition that makes it safe to attempt.

Every write requires the fencing token that was read. Whoever takes over what another may still hold raises it first
(``lease_write``), so a sender that outlived its lease changes nothing (P5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.webhooks import DeliveryStatus
from payonce.ports import Adjust, Insert, Table
from payonce.webhooks.deliveries import (
    MAX_KEPT_ATTEMPTS,
    RETENTION_SECONDS,
    attempt_name,
    delivery_item,
    key_of,
    listed,
)

if TYPE_CHECKING:
    from payonce.ports import Write
    from payonce.webhooks.deliveries import Delivery


def insert_write(delivery: Delivery) -> Write:
    """Return the write of a new delivery. It is refused when the delivery exists."""
    return Insert(Table.DELIVERIES, delivery_item(delivery))


def lease_write(delivery: Delivery, *, lease_expires_at_ms: int, lane_mark: int) -> Write:
    """Return the write that takes the delivery over, if nothing has changed since ``delivery`` was read."""
    return Adjust(
        table=Table.DELIVERIES,
        key=key_of(delivery),
        require={
            "status": DeliveryStatus.PENDING.value,
            "attempt_count": delivery.attempt_count,
            "fence": delivery.fence,
            "lease_expires_at_ms": delivery.lease_expires_at_ms,
        },
        set={"lease_expires_at_ms": lease_expires_at_ms, "fence": delivery.fence + 1, "lane_mark": lane_mark},
    )


def attempt_write(
    leased: Delivery,
    attempt: dict[str, Any],
    status: DeliveryStatus,
    *,
    at_ms: int,
    not_before_ms: int | None = None,
) -> Write:
    """Return the write that ends an attempt: its result and what follows. It is refused to a stale owner.

    ``not_before_ms`` is when the next attempt is due; ``None`` takes the delivery off its list.
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
        attempt_name(number): {**attempt, "number": number},
    }
    if not_before_ms is not None:
        changes["not_before_ms"] = not_before_ms
    return _owned(leased, changes, not_before_ms, extra_removed=[attempt_name(forgotten)] if forgotten > 0 else [])


def status_write(delivery: Delivery, status: DeliveryStatus, *, at_ms: int) -> Write:
    """Return the write that ends or holds a delivery without an attempt."""
    return _owned(
        delivery, {"status": status.value, "lease_expires_at_ms": 0, "updated_at_ms": at_ms}, None, extra_removed=[]
    )


def yield_write(delivery: Delivery, *, at_ms: int) -> Write:
    """Return the write by which a delivery's own message leaves it to the lane, at once. No attempt is used up."""
    return _owned(delivery, {"lease_expires_at_ms": 0, "fence": delivery.fence + 1}, at_ms, extra_removed=[])


def reopen_write(delivery: Delivery, *, at_ms: int, opened_by: str | None = None) -> Write:
    """Return the write that begins a new round, from any state in which the delivery was read."""
    return Adjust(
        table=Table.DELIVERIES,
        key=key_of(delivery),
        require={"status": delivery.status.value, "attempt_count": delivery.attempt_count, "fence": delivery.fence},
        set={
            "status": DeliveryStatus.PENDING.value,
            "round_attempts": 0,
            "not_before_ms": at_ms,
            "updated_at_ms": at_ms,
            **listed(delivery, at_ms),
            "purge_at": at_ms // 1000 + RETENTION_SECONDS,
            "opened_by": opened_by,
        },
    )


def _owned(delivery: Delivery, changes: dict[str, Any], due_at_ms: int | None, *, extra_removed: list[str]) -> Write:
    removed = list(extra_removed)
    if due_at_ms is None:
        removed += ["due_at_ms", "due_list"]
    else:
        changes = {**changes, **listed(delivery, due_at_ms)}
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
