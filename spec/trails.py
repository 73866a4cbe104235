"""Checks the audit trail of a key: each entry, after the one before it, is a step that the specification allows.

The trail shows less than the records: no plan, no horizon. It shows every transition, so one that is missing shows as
well: in the fence, in the status that is stored in the end, or in a takeover before the lease was over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.principals import OPERATOR_PREFIX
from payonce.idempotency.audit import AuditEntry, Transition, claimed_entry
from payonce.idempotency.audit_items import entry_key
from payonce.idempotency.window import LEASE_MARGIN_MS
from spec.steps import (
    COMPLETED,
    IN_PROGRESS,
    NONE,
    NotAllowed,
    Step,
    check,
    claim_change,
    fence_change,
    lease_was,
    owners_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.idempotency.records import IdempotencyRecord

# DynamoDB's streams give times in whole seconds, and the clocks of two owners may differ.
AT_MS_PRECISION_MS = 1_000 + LEASE_MARGIN_MS
_ACTS = frozenset({Transition.ACTED, Transition.REFUSED})  # of persons, about no claim

SECOND_MS = 1_000  # what the times of DynamoDB's streams are rounded to


def trail_faults(entries: Sequence[AuditEntry], stored: IdempotencyRecord | None) -> list[str]:
    """Return what the specification does not allow in the trail of one key, in order; nothing when all is well.

    ``entries``: the whole trail. ``stored``: the record that it must end with.
    """
    found: list[str] = []
    last: AuditEntry | None = None  # the record's state after the last entry; None: there is no record
    for entry in _in_order(entries):
        if entry.transition in _ACTS:
            continue
        if entry.transition is Transition.EXPIRED:  # the specification ends with the key's first operation
            if last is None or last.status != COMPLETED:
                found.append(f"{entry.record_id} expired, and was not completed")
            last = None
            continue
        try:
            check(_step(last, entry))
        except NotAllowed as error:
            found.append(f"{entry.record_id}: {error}")
        last = None if entry.transition is Transition.RELEASED else entry
    return found + _end_faults(last, stored)


def _in_order(entries: Sequence[AuditEntry]) -> list[AuditEntry]:
    """Return the entries claim by claim: by their times, which are too coarse within a claim, and there by the key.

    A claim whose put arrives once more after its release begins a second time.
    """
    claimed_ms: dict[str, list[int]] = {}
    began_ms: dict[str, int] = {}
    for entry in sorted(entries, key=lambda entry: entry.at_ms):
        began_ms.setdefault(entry.claim_id, entry.at_ms)
        if entry.transition is Transition.CLAIMED:
            claimed_ms.setdefault(entry.claim_id, []).append(entry.at_ms)

    def begins_ms(entry: AuditEntry) -> int:
        # A claim's time is exact, and that of its release is a second's: the release may seem to be the earlier one.
        again = [at_ms // SECOND_MS * SECOND_MS for at_ms in claimed_ms.get(entry.claim_id, [])[1:]]
        return max((at_ms for at_ms in again if at_ms <= entry.at_ms), default=began_ms[entry.claim_id])

    return sorted(entries, key=lambda entry: (begins_ms(entry), entry_key(entry)))


def _step(last: AuditEntry | None, entry: AuditEntry) -> Step:
    released = entry.transition is Transition.RELEASED
    by_operator = entry.principal.startswith(OPERATOR_PREFIX)
    fence, claim = (last.fence, last.claim_id) if last is not None else (0, None)
    if released and (fence, claim) != (entry.fence, entry.claim_id):
        claim, fence = "another", entry.fence  # the entry is about the deleted record
    parked = entry.transition is Transition.PARKED
    return Step(
        event=entry.transition.value,
        by="operator" if by_operator else "owner",
        before=NONE if last is None else last.status,
        after=NONE if released else entry.status,
        owners=owners_of(fence),
        fence="gone" if released else fence_change(fence, entry.fence),
        claim=("other" if claim == "another" else "gone") if released else claim_change(claim, entry.claim_id),
        lease=_lease(last, entry, by_operator=by_operator),
        horizon=None if parked or entry.transition is Transition.TAKEN_OVER else "-",
        sent=None if parked else "-",
        reference=None if entry.transition in {Transition.CLAIMED, Transition.PARKED, Transition.TAKEN_OVER} else "-",
    )


def _lease(last: AuditEntry | None, entry: AuditEntry, *, by_operator: bool) -> str | None:
    released = entry.transition is Transition.RELEASED and by_operator
    if last is None or entry.forced:
        return None
    if entry.transition is Transition.TAKEN_OVER or (released and last.status == IN_PROGRESS):
        return lease_was(last.lease_expires_at_ms, entry.at_ms + AT_MS_PRECISION_MS)
    return "-"


def _end_faults(last: AuditEntry | None, stored: IdempotencyRecord | None) -> list[str]:
    trail = None if last is None else (last.claim_id, last.fence, last.status)
    record = None if stored is None else (stored.claim_id, stored.fence, stored.status.value)
    if last is None and stored is not None and claimed_entry(stored) is not None:
        return []  # a claim is reported with the transition that follows it
    if trail == record:
        return []
    return [f"The trail ends with {trail}, and {record} is stored: an entry is missing."]
