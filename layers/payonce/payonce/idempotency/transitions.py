"""The effect of each transition on a record. Pure functions, so that every store writes and returns the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.errors import LeaseLost, OutcomeUnknown, StoreUnavailable
from payonce.idempotency.records import IdempotencyRecord, RecordStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from payonce.idempotency.records import StoredResponse


class ClaimTaken(Exception):
    """The record exists: ``record`` is what is stored. ``contested``: see ``Owned``, about the refused claim."""

    def __init__(self, record: IdempotencyRecord) -> None:
        super().__init__(record.record_id)
        self.record = record
        self.contested = False


def own_or_taken(mine: IdempotencyRecord, stored: IdempotencyRecord) -> IdempotencyRecord:
    """Return ``stored`` when it is this very claim, put twice because the first answer was lost.

    Raises ``ClaimTaken`` when it is another claim.
    """
    if stored.claim_id == mine.claim_id and stored.fence == mine.fence:
        return stored
    raise ClaimTaken(stored)


def claimed_after_all(
    mine: IdempotencyRecord, unknown: OutcomeUnknown, read: Callable[[str], IdempotencyRecord | None]
) -> IdempotencyRecord:
    """Return the stored claim when only the answer to its put was lost. Raises ``ClaimTaken``.

    Raises ``unknown`` when the claim is not stored: that proves nothing, because the put may still arrive.
    """
    try:
        stored = read(mine.record_id)
    except StoreUnavailable:
        raise unknown from None
    if stored is None:
        raise unknown
    return own_or_taken(mine, stored)


def taken_over_after_all(
    taken: IdempotencyRecord,
    error: LeaseLost | OutcomeUnknown,
    read: Callable[[str], IdempotencyRecord | None],
) -> IdempotencyRecord:
    """Return the stored record when it shows this very takeover, whose answer was lost; otherwise raise."""
    try:
        stored = read(taken.record_id)
    except StoreUnavailable:
        raise error from None
    if stored is None or not taken.owner:
        raise error
    if (stored.claim_id, stored.fence, stored.owner) != (taken.claim_id, taken.fence, taken.owner):
        raise error
    return stored


def taken_over(observed: IdempotencyRecord, lease_expires_at_ms: int, owner: str = "") -> IdempotencyRecord:
    """Return the record under its next owner. Raises ``LeaseLost`` when it is completed: nobody can own it again."""
    if observed.status is RecordStatus.COMPLETED:
        raise LeaseLost(f"{observed.record_id} is completed")
    # An owner that was cut off may have sent until its lease ended; one that parked the record had stopped before.
    horizon_ms = observed.submit_horizon_ms
    if observed.status is RecordStatus.IN_PROGRESS:
        horizon_ms = max(horizon_ms, observed.lease_expires_at_ms)
    return replace(
        observed,
        fence=observed.fence + 1,
        status=RecordStatus.IN_PROGRESS,
        lease_expires_at_ms=lease_expires_at_ms,
        submit_horizon_ms=horizon_ms,
        owner=owner,
    )


def releasable(owned: IdempotencyRecord) -> RecordStatus:
    """Return the status that a release requires. Raises ``LeaseLost`` when it is completed, which is final."""
    if owned.status is RecordStatus.COMPLETED:
        raise LeaseLost(f"{owned.record_id} is completed; it is never released")
    return owned.status


def completed(owned: IdempotencyRecord, response: StoredResponse, *, ended_at_ms: int) -> IdempotencyRecord:
    """Return the record finished for good."""
    return replace(owned, status=RecordStatus.COMPLETED, response=response, ended_at_ms=ended_at_ms)


def parked(
    owned: IdempotencyRecord,
    response: StoredResponse,
    *,
    submit_horizon_ms: int,
    retry_at_ms: int,
    ended_at_ms: int,
    plan: Mapping[str, Any] | None,
) -> IdempotencyRecord:
    """Return the record in doubt, with a provisional response and, where there is one, a new plan."""
    return replace(
        owned,
        plan=owned.plan if plan is None else plan,
        status=RecordStatus.IN_DOUBT,
        lease_expires_at_ms=retry_at_ms,
        submit_horizon_ms=submit_horizon_ms,
        response=response,
        ended_at_ms=ended_at_ms,
    )
