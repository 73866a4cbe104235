"""A correction as it is stored, and the table of what can happen to it.

::

    (nothing) ─ start ─▶ open ─ reread ─▶ checked ─ decide ─▶ approved ─ execute ─▶ corrected
                          │ │                │                  ▲                └▶ failed
                          │ └ already given  └ decide ▶ awaiting_approval ─ reject ▶ rejected
                          │   back ▶ corrected               └ too late ▶ expired
                          └ nothing a program could do ▶ manual
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.corrections.actions import Action
from payonce.domain.errors import CorrectionStateConflict, NotFound, WriteConflict
from payonce.payments.corrective import correction_key
from payonce.ports import Adjust, Insert, Table
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Database, Item


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
        # The commit of the effect writes these two: payments.corrective.
        _S.APPROVED: frozenset({_S.CORRECTED, _S.FAILED}),
    }
)
FINAL = frozenset(status for status in _S if status not in NEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One correction of one break. ``proposal_version`` counts what was proposed: a decision names the one it saw.

    ``kind``: refund or void, once the gateway was read. ``proposed_by`` and ``decided_by`` are API key ids, or
    ``policy`` and ``reconciliation`` for the program's own doing. ``charge_reference`` is the reference under which a
    surplus charge was made. ``revision`` guards every change.
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
    revision: int = 1


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


def insert_correction(database: Database, correction: Correction) -> Correction:
    """Store a new correction, or return the one that is stored: starting twice is a no-op."""
    key = correction_key(correction.merchant_id, correction.payment_id, correction.break_id)
    try:
        database.write([Insert(Table.PAYMENTS, {**key, **_stored(correction)})])
    except WriteConflict:
        return load_correction(database, correction.merchant_id, correction.payment_id, correction.break_id)
    return correction


def change(database: Database, before: Correction, **changes: Any) -> Correction:
    """Store ``before`` with ``changes``, if it is still as it was read. Raises ``CorrectionStateConflict``."""
    after = replace(before, **changes, revision=before.revision + 1)
    if after.status not in NEXT.get(before.status, ()):
        raise CorrectionStateConflict(f"The correction is {before.status.value}: it can't become {after.status.value}.")
    write = Adjust(
        table=Table.PAYMENTS,
        key=correction_key(before.merchant_id, before.payment_id, before.break_id),
        require={"revision": before.revision, "status": before.status.value},
        set=_stored(after),
    )
    try:
        database.write([write])
    except WriteConflict as conflict:
        raise CorrectionStateConflict("The correction was changed meanwhile. Read it again.") from conflict
    return after


def _stored(correction: Correction) -> Item:
    return {
        **asdict(correction),
        "break_class": correction.break_class.value,
        "action": correction.action.value,
        "status": correction.status.value,
    }


def _from(item: Item) -> Correction:
    values = {name: item[name] for name in _FIELDS}
    values["break_class"] = BreakClass(values["break_class"])
    values["action"] = Action(values["action"])
    values["status"] = CorrectionStatus(values["status"])
    return Correction(**values)
