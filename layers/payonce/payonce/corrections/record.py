"""The stored correction and its state machine.

::

    (nothing) ─ start ─▶ open ─ reread ─▶ checked ─ decide ─▶ approved ─ execute ─▶ corrected
                          │ │                │                  ▲                └▶ failed, rejected (the break is gone)
                          │ └ already given  └ decide ▶ awaiting_approval ─ reject ▶ rejected
                          │   back ▶ corrected               └ too late ▶ expired
                          └ no automatic action ▶ manual
    rejected, expired, failed, corrected in part ─ next attempt ▶ open

A correction that the policy approved and no longer allows returns from approved to awaiting_approval, unless claimed.

The state of a correction is stored only here. The break's case (reconciliation.cases) stores whether a run still finds
the break, but no state of its correction, so that the two can't diverge.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.corrections.actions import Action
from payonce.domain.errors import CorrectionStateConflict, NotFound, WriteConflict
from payonce.domain.gateway import OperationKind
from payonce.outbox import created_key
from payonce.payments.corrective_plan import EXECUTED, correction_key
from payonce.ports import Adjust, Insert, Table
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from payonce.ports import Database, Item, Write

MAX_ATTEMPTS = 30  # including people's and partial ones, because all are stored with the correction
MAX_ATTEMPTS_OF_RUNS = 9  # runs stop proposing a correction that nobody has decided for weeks
KEYS_AT_ONCE = 100  # the limit of one BatchGetItem


class CorrectionStatus(StrEnum):
    """The state of a correction."""

    OPEN = "open"
    CHECKED = "checked"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    CORRECTED = "corrected"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"
    MANUAL = "manual"


_S = CorrectionStatus
NEXT: Mapping[CorrectionStatus, frozenset[CorrectionStatus]] = MappingProxyType(
    {
        _S.OPEN: frozenset({_S.CHECKED, _S.CORRECTED, _S.MANUAL}),
        _S.CHECKED: frozenset({_S.APPROVED, _S.AWAITING_APPROVAL}),
        _S.AWAITING_APPROVAL: frozenset({_S.APPROVED, _S.REJECTED, _S.EXPIRED, _S.AWAITING_APPROVAL}),
        # payments.corrective writes the first two with the effect's commit. Only an unclaimed correction that the
        # policy approved goes back to AWAITING_APPROVAL. APPROVED to itself stores whether the kill switch holds it.
        _S.APPROVED: frozenset({_S.CORRECTED, _S.FAILED, _S.REJECTED, _S.AWAITING_APPROVAL, _S.APPROVED}),
        # The start of a new attempt: it is certain that nothing, or a known part, was executed.
        _S.REJECTED: frozenset({_S.OPEN}),
        _S.EXPIRED: frozenset({_S.OPEN}),
        _S.FAILED: frozenset({_S.OPEN}),
        _S.CORRECTED: frozenset({_S.OPEN}),
    }
)
FINAL = frozenset({_S.CORRECTED, _S.REJECTED, _S.EXPIRED, _S.FAILED, _S.MANUAL})


@dataclass(frozen=True, slots=True)
class Identity:
    """The key of a correction."""

    merchant_id: str
    payment_id: str
    break_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """The correction of one break. Amounts are in minor units, times in epoch milliseconds.

    ``kind`` is refund, void or reversal, once the gateway or the journal was read. ``proposed_by`` and ``decided_by``
    are API key ids, or ``policy`` and ``reconciliation`` for the program itself. ``charge_reference`` is the reference
    of a surplus charge, ``entry_id`` the entry that was booked twice. ``attempt`` counts the starts; ``log`` holds the
    steps up to the execution. ``proposal_version`` counts proposals: a decision names the version it has seen.
    ``revision`` is the condition of every change.

    ``amount_minor`` is the amount proposed, ``ceiling_minor`` the most that may be proposed: what the gateway held of
    the surplus when it was last read. ``surplus_minor`` is the amount of the break, ``given_back`` the parts that
    earlier attempts gave back. ``held_since_ms`` is when the kill switch was first found to hold an approved
    correction, or 0.
    """

    break_id: str
    break_class: BreakClass
    action: Action
    merchant_id: str
    payment_id: str
    gateway: str
    gateway_charge_id: str
    currency: str
    amount_minor: int
    created_at_ms: int
    updated_at_ms: int
    status: CorrectionStatus = CorrectionStatus.OPEN
    kind: str = ""
    proposal_version: int = 0
    proposed_by: str = ""
    decided_by: str = ""
    task_token: str = ""
    expires_at_ms: int = 0
    outcome: str = ""
    charge_reference: str = ""
    entry_id: str = ""
    attempt: int = 1
    log: tuple[Mapping[str, Any], ...] = ()
    revision: int = 1
    surplus_minor: int = 0
    ceiling_minor: int = 0
    given_back: tuple[Mapping[str, int], ...] = ()
    held_since_ms: int = 0

    @property
    def parts(self) -> tuple[Mapping[str, int], ...]:
        """Return the refunds of this and earlier attempts, as mappings of ``attempt`` and ``amount_minor``."""
        executed = (self.status, self.outcome) == (CorrectionStatus.CORRECTED, EXECUTED)
        if not executed or self.kind != OperationKind.REFUND.value:
            return self.given_back
        return (*self.given_back, {"attempt": self.attempt, "amount_minor": self.amount_minor})

    @property
    def corrected_minor(self) -> int:
        """Return the sum of the refunds."""
        return sum(part["amount_minor"] for part in self.parts)

    @property
    def rest_minor(self) -> int:
        """Return the rest of a surplus that was given back in part; 0 if none or all of it was given back."""
        settled = self.status is CorrectionStatus.CORRECTED and self.outcome != EXECUTED
        return max(0, self.surplus_minor - self.corrected_minor) if self.parts and not settled else 0


_FIELDS = tuple(field.name for field in fields(Correction))


def load_correction(database: Database, merchant_id: str, payment_id: str, break_id: str) -> Correction:
    """Return the correction as stored now. Raises ``NotFound``."""
    found = find_correction(database, merchant_id, payment_id, break_id)
    if found is None:
        raise NotFound(f"There is no correction of {break_id}.")
    return found


def find_correction(database: Database, merchant_id: str, payment_id: str, break_id: str) -> Correction | None:
    """Return the correction as stored now, or ``None``."""
    item = database.get(Table.PAYMENTS, correction_key(merchant_id, payment_id, break_id))
    return None if item is None else correction_from(item)


def was_claimed(database: Database, correction: Correction) -> bool:
    """Return whether this attempt's effect was claimed.

    A claim increments the revision, so that a change of a correction read before the claim is refused.
    """
    key = correction_key(correction.merchant_id, correction.payment_id, correction.break_id)
    item = database.get(Table.PAYMENTS, key)
    return item is not None and item.get("claimed_attempt") == correction.attempt


def find_corrections(database: Database, identities: Sequence[tuple[str, str, str]]) -> Iterator[Correction]:
    """Yield the existing corrections of the (merchant, payment, break) keys, as stored now."""
    keys = [correction_key(*identity) for identity in dict.fromkeys(identities)]
    for start in range(0, len(keys), KEYS_AT_ONCE):
        for item in database.get_many(Table.PAYMENTS, keys[start : start + KEYS_AT_ONCE]):
            yield correction_from(item)


def insert_correction(database: Database, correction: Correction) -> Correction:
    """Store a new correction, or return the stored one. Idempotent."""
    key = correction_key(correction.merchant_id, correction.payment_id, correction.break_id)
    try:
        database.write([Insert(Table.PAYMENTS, {**key, **_stored(correction)})])
    except WriteConflict:
        return load_correction(database, correction.merchant_id, correction.payment_id, correction.break_id)
    return correction


def change(
    database: Database, before: Correction, *, beside: Sequence[Write] = (), quiet: bool = False, **changes: Any
) -> Correction:
    """Store ``before`` with ``changes`` if its revision is unchanged, else raise ``CorrectionStateConflict``.

    ``beside`` are further writes for the same transaction. A ``quiet`` change adds no entry to the log.
    """
    after = replace(before, **changes, revision=before.revision + 1)
    if after.status not in NEXT.get(before.status, ()):
        raise CorrectionStateConflict(f"The correction is {before.status.value}: it can't become {after.status.value}.")
    if not quiet:
        after = replace(after, log=(*steps_of(before), _entry(after)))
    write = Adjust(
        table=Table.PAYMENTS,
        key=correction_key(before.merchant_id, before.payment_id, before.break_id),
        require={"revision": before.revision, "correction_status": before.status.value},
        set=_stored(after),
    )
    try:
        database.write([write, *beside])
    except WriteConflict as conflict:
        raise CorrectionStateConflict("The correction was changed meanwhile. Read it again.") from conflict
    return after


def steps_of(correction: Correction) -> tuple[Mapping[str, Any], ...]:
    """Return the steps, oldest first. The last is derived: the effect's commit sets the status without a log entry."""
    last = correction.log[-1] if correction.log else None
    ended = correction.status in {CorrectionStatus.CORRECTED, CorrectionStatus.FAILED}
    if ended and (last is None or last["status"] != correction.status.value):
        return (*correction.log, _entry(correction))
    return correction.log


def _entry(correction: Correction) -> dict[str, Any]:
    return {
        "at_ms": correction.updated_at_ms,
        "status": correction.status.value,
        "attempt": correction.attempt,
        "proposal_version": correction.proposal_version,
        "amount_minor": correction.amount_minor,
        "by": correction.decided_by or correction.proposed_by,
        "outcome": correction.outcome,
    }


def _stored(correction: Correction) -> Item:
    values = asdict(correction)
    del values["status"]
    return {
        **values,
        "break_class": correction.break_class.value,
        "action": correction.action.value,
        "log": [dict(entry) for entry in correction.log],
        "given_back": [dict(part) for part in correction.given_back],
        # Only corrections have these two attributes, so that the index holds nothing else.
        "correction_status": correction.status.value,
        "listed_key": created_key(correction.expires_at_ms or correction.updated_at_ms, correction.break_id),
    }


def correction_from(item: Item) -> Correction:
    """Return the correction of a stored item."""
    values = {name: item[name] for name in _FIELDS if name != "status"}
    values["break_class"] = BreakClass(values["break_class"])
    values["action"] = Action(values["action"])
    values["log"] = tuple(values["log"])
    values["given_back"] = tuple(values["given_back"])
    return Correction(**values, status=CorrectionStatus(item["correction_status"]))
