"""A correction as it is stored, and the table of what can happen to it.

::

    (nothing) ─ start ─▶ open ─ reread ─▶ checked ─ decide ─▶ approved ─ execute ─▶ corrected
                          │ │                │                  ▲                └▶ failed, rejected (the break is gone)
                          │ └ already given  └ decide ▶ awaiting_approval ─ reject ▶ rejected
                          │   back ▶ corrected               └ too late ▶ expired
                          └ nothing a program could do ▶ manual
    rejected, expired, failed, corrected in part ─ next attempt ▶ open

What the policy let pass and lets pass no more goes from approved back to awaiting_approval, if nobody has claimed it.

This is the only place that says where a correction stands. The break's case knows whether a run still finds it
(reconciliation.cases), and nothing of its correction: the two can't differ.
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
from payonce.paging import every_item
from payonce.payments.corrective import EXECUTED, correction_key
from payonce.ports import Adjust, Insert, Table
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from payonce.ports import Database, Item, Write

BY_STATUS_INDEX = "corrections-by-status"
PAGE_SIZE = 100
MAX_ATTEMPTS = 30  # by people and in parts; all of it is kept with the correction
MAX_ATTEMPTS_OF_RUNS = 9  # what nobody has decided for weeks is not proposed for ever
KEYS_AT_ONCE = 100  # what one read of several keys takes


class CorrectionStatus(StrEnum):
    """Where a correction stands."""

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
        # The commit of the effect writes the first two: payments.corrective. Back to approval: only what a policy let
        # pass, and nobody has claimed. To itself: that the kill switch holds it, or no more.
        _S.APPROVED: frozenset({_S.CORRECTED, _S.FAILED, _S.REJECTED, _S.AWAITING_APPROVAL, _S.APPROVED}),
        # As a new attempt, and only so: nothing was executed, or a part of it is certain to have been.
        _S.REJECTED: frozenset({_S.OPEN}),
        _S.EXPIRED: frozenset({_S.OPEN}),
        _S.FAILED: frozenset({_S.OPEN}),
        _S.CORRECTED: frozenset({_S.OPEN}),
    }
)
FINAL = frozenset({_S.CORRECTED, _S.REJECTED, _S.EXPIRED, _S.FAILED, _S.MANUAL})


@dataclass(frozen=True, slots=True)
class Identity:
    """Where a correction is stored."""

    merchant_id: str
    payment_id: str
    break_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One correction of one break. ``proposal_version`` counts what was proposed: a decision names the one it saw.

    ``kind``: refund or void, once the gateway was read. ``proposed_by`` and ``decided_by`` are API key ids, or
    ``policy`` and ``reconciliation`` for the program's own doing. ``charge_reference`` is the reference under which a
    surplus charge was made, ``entry_id`` the entry that was booked twice. ``attempt`` counts how often it was begun;
    ``log`` is what happened up to the execution. ``revision`` guards every change.

    ``amount_minor`` is the amount proposed, ``ceiling_minor`` the most that may be proposed: what the gateway held of
    the surplus when it was last read. ``surplus_minor`` is what the break was found with, ``given_back`` what earlier
    attempts gave back of it. ``held_since_ms``: since when an approved one was found not to be executed because of the
    kill switch, 0 where it was not.
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
        """What was refunded, as (``attempt``, ``amount_minor``): earlier attempts and this one."""
        executed = (self.status, self.outcome) == (CorrectionStatus.CORRECTED, EXECUTED)
        if not executed or self.kind != OperationKind.REFUND.value:
            return self.given_back
        return (*self.given_back, {"attempt": self.attempt, "amount_minor": self.amount_minor})

    @property
    def corrected_minor(self) -> int:
        """The sum of what was refunded."""
        return sum(part["amount_minor"] for part in self.parts)

    @property
    def rest_minor(self) -> int:
        """What is left of a surplus that was given back in part; 0 where nothing was, or all of it is."""
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
    return None if item is None else _from(item)


def was_claimed(database: Database, correction: Correction) -> bool:
    """Return whether the effect of this attempt was claimed. Each claim raises the revision: a change of what was read
    before it is refused.
    """
    key = correction_key(correction.merchant_id, correction.payment_id, correction.break_id)
    item = database.get(Table.PAYMENTS, key)
    return item is not None and item.get("claimed_attempt") == correction.attempt


def find_corrections(database: Database, identities: Sequence[tuple[str, str, str]]) -> Iterator[Correction]:
    """Yield the corrections of (merchant, payment, break) that there are, as stored now."""
    keys = [correction_key(*identity) for identity in dict.fromkeys(identities)]
    for start in range(0, len(keys), KEYS_AT_ONCE):
        for item in database.get_many(Table.PAYMENTS, keys[start : start + KEYS_AT_ONCE]):
            yield _from(item)


def corrections_with_status(database: Database, status: CorrectionStatus) -> Iterator[Correction]:
    """Yield every correction of the status, what expires first or was changed first ahead. Eventually consistent."""
    items = every_item(
        lambda start: database.query(
            Table.PAYMENTS,
            index=BY_STATUS_INDEX,
            partition=("correction_status", status.value),
            limit=PAGE_SIZE,
            start=start,
        )
    )
    return map(_from, items)


def insert_correction(database: Database, correction: Correction) -> Correction:
    """Store a new correction, or return the one that is stored: starting twice is a no-op."""
    key = correction_key(correction.merchant_id, correction.payment_id, correction.break_id)
    try:
        database.write([Insert(Table.PAYMENTS, {**key, **_stored(correction)})])
    except WriteConflict:
        return load_correction(database, correction.merchant_id, correction.payment_id, correction.break_id)
    return correction


def change(
    database: Database, before: Correction, *, beside: Sequence[Write] = (), quiet: bool = False, **changes: Any
) -> Correction:
    """Store ``before`` with ``changes``, if it is still as it was read. Raises ``CorrectionStateConflict``.

    ``beside``: writes of the same transaction. ``quiet``: not for the log.
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
    """Return what happened, oldest first. The commit of the effect says how it ended, and adds nothing to the log."""
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
        # Only corrections carry these two, so only they are in the index.
        "correction_status": correction.status.value,
        "listed_key": created_key(correction.expires_at_ms or correction.updated_at_ms, correction.break_id),
    }


def _from(item: Item) -> Correction:
    values = {name: item[name] for name in _FIELDS if name != "status"}
    values["break_class"] = BreakClass(values["break_class"])
    values["action"] = Action(values["action"])
    values["log"] = tuple(values["log"])
    values["given_back"] = tuple(values["given_back"])
    return Correction(**values, status=CorrectionStatus(item["correction_status"]))
