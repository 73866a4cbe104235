"""Describes a key: its state, owner, lease and times. Never a response body, a plan or the key itself."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypedDict

from payonce.idempotency.audit import Transition
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import RecordStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.idempotency.audit import AuditEntry, AuditTrail
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord

MAX_RECORDS = 100  # the most that a store reads in one round trip


class KeyState(StrEnum):
    """The state of a key as operators and clients see it.

    ``EXPIRED``: the window is over, and the key blocks until its record is deleted. ``RELEASED``: the claim was
    released, so the key may be used again.
    """

    IN_PROGRESS = "in_progress"
    IN_DOUBT = "in_doubt"
    COMPLETED = "completed"
    EXPIRED = "expired"
    RELEASED = "released"


class IdempotencyRecordView(TypedDict):
    """One operation's record of a key. Times are epoch milliseconds, ``None`` where there is none.

    ``attempts``: how many owners the claim has had; (``claim_id``, ``fence``) identifies the newest.
    ``lease_expires_at_ms``: until then that owner may work; for a key in doubt, when recovery asks again.
    ``response_status``: the stored response's status, provisional while in doubt.
    """

    object: Literal["idempotency_record"]
    operation: str
    state: KeyState
    claim_id: str
    fence: int
    attempts: int
    fingerprint: str
    lease_expires_at_ms: int | None
    resource: str | None
    response_status: int | None
    created_at_ms: int | None
    expires_at_ms: int | None
    purge_at_ms: int | None


def inspect_keys(
    store: IdempotencyStore,
    trail: AuditTrail | None,
    scope: str,
    operations: Iterable[str],
    keys: Iterable[str],
    *,
    now_ms: int,
) -> list[IdempotencyRecordView]:
    """Return what is stored of ``keys`` in ``scope`` alone, by operation, in one round trip.

    For a single operation and key without a record, a second round trip asks the ``trail`` for a released claim. Raises
    ``ValueError`` for more than 100 pairs.
    """
    ids = {record_id(scope, operation, key): operation for operation in operations for key in dict.fromkeys(keys)}
    if len(ids) > MAX_RECORDS:
        raise ValueError(f"{len(ids)} records; at most {MAX_RECORDS} are read at once")
    views = [view_of(record, ids[record.record_id], now_ms=now_ms) for record in store.get_many(list(ids))]
    if not views and len(set(ids.values())) == 1 and trail is not None:
        views = [gone for one in ids if (gone := _gone(trail, one)) is not None]
    return sorted(views, key=lambda view: (view["operation"], view["created_at_ms"] or 0))


def view_of(record: IdempotencyRecord, operation: str, *, now_ms: int) -> IdempotencyRecordView:
    """Return the view of a stored record."""
    is_open = record.status is not RecordStatus.COMPLETED
    return IdempotencyRecordView(
        object="idempotency_record",
        operation=operation,
        state=_state(record, now_ms),
        claim_id=record.claim_id,
        fence=record.fence,
        attempts=record.fence,
        fingerprint=record.fingerprint,
        lease_expires_at_ms=record.lease_expires_at_ms if is_open else None,
        resource=record.resource or None,
        response_status=None if record.response is None else record.response.status,
        created_at_ms=record.created_at_ms,
        expires_at_ms=record.replayed_until_ms,
        purge_at_ms=record.purge_at_seconds * 1000 or None,
    )


def _state(record: IdempotencyRecord, now_ms: int) -> KeyState:
    match record.status:
        case RecordStatus.COMPLETED:
            return KeyState.EXPIRED if record.replayed_until_ms < now_ms else KeyState.COMPLETED
        case RecordStatus.IN_DOUBT:
            return KeyState.IN_DOUBT
        case RecordStatus.IN_PROGRESS:
            return KeyState.IN_PROGRESS


def _gone(trail: AuditTrail, one: str) -> IdempotencyRecordView | None:
    """Return the view of a deleted record, from its last audit entry. The trail may lag by some seconds."""
    newest = trail.history(one, newest_first=True, limit=1)
    if not newest or newest[0].transition not in (Transition.RELEASED, Transition.EXPIRED):
        return None
    entry: AuditEntry = newest[0]
    return IdempotencyRecordView(
        object="idempotency_record",
        operation=entry.operation,
        state=KeyState.RELEASED if entry.transition is Transition.RELEASED else KeyState.EXPIRED,
        claim_id=entry.claim_id,
        fence=entry.fence,
        attempts=entry.fence,
        fingerprint=entry.fingerprint,
        lease_expires_at_ms=None,
        resource=entry.resource or None,
        response_status=entry.response_status or None,
        created_at_ms=None,
        expires_at_ms=None,
        purge_at_ms=entry.at_ms if entry.transition is Transition.EXPIRED else None,
    )
