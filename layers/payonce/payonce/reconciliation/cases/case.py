"""A break case and its state machine. Pure.

::

            found           proved
    (none) ──────▶ OPEN ───────────────▶ CLOSED
                    │ ▲ ◀── reopened ──────┘
                    │ └ correcting: the execution of its correction has begun
                    └ dismissed ▶ DISMISSED     a person's judgement on a merely probable break; final for runs

A case holds what runs say about a break. The state of its correction is stored only with the correction
(corrections.record).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_MS, HOUR_MS
from payonce.domain.errors import CaseTransitionError
from payonce.reconciliation.model import Evidence, Source
from payonce.reconciliation.taxonomy import CLASSES, SLA_HOURS, BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.reconciliation.cases.why import Why
    from payonce.reconciliation.model import Break

# The fields of evidence that hold a row's time, and their units.
EVIDENCE_TIMES = {"booked_at_ms": 1, "created_at_ms": 1, "booking_day": DAY_MS, "last_day": DAY_MS}


class CaseStatus(StrEnum):
    """The state of a case."""

    OPEN = "open"
    CLOSED = "closed"
    DISMISSED = "dismissed"


class CaseChange(StrEnum):
    """The transitions of a case."""

    FOUND = "found"
    CORRECTING = "correcting"
    PROVED = "proved"
    REOPENED = "reopened"
    ASSIGNED = "assigned"
    DISMISSED = "dismissed"
    MATCHED = "matched"
    UNMATCHED = "unmatched"
    REFUSED = "refused"  # a refused attempt of a person: an entry of the history without a change


_S, _C = CaseStatus, CaseChange

TRANSITIONS: Mapping[tuple[CaseStatus | None, CaseChange], CaseStatus] = MappingProxyType(
    {
        (None, _C.FOUND): _S.OPEN,
        (_S.OPEN, _C.CORRECTING): _S.OPEN,
        (_S.OPEN, _C.PROVED): _S.CLOSED,  # only by a run
        (_S.CLOSED, _C.REOPENED): _S.OPEN,
        # Only for a class that is not certain: see CaseStore.dismiss.
        (_S.OPEN, _C.DISMISSED): _S.DISMISSED,
        (_S.OPEN, _C.MATCHED): _S.OPEN,  # the next run closes it
        # Assignment is possible in every state, and so is taking a match back: the next run judges.
        **{(status, change): status for status in _S for change in (_C.ASSIGNED, _C.UNMATCHED)},
    }
)


# The states from which a run may close a case.
PROVABLE = tuple(status for status in CaseStatus if (status, CaseChange.PROVED) in TRANSITIONS)


def next_status(status: CaseStatus | None, change: CaseChange) -> CaseStatus:
    """Return the status after ``change``. Raises ``CaseTransitionError`` if the table has no such transition."""
    try:
        return TRANSITIONS[status, change]
    except KeyError:
        raise CaseTransitionError(f"{change} is not possible for a case that is {status}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One version of a break's case. Times are in epoch milliseconds, amounts in minor units.

    ``due_at_ms`` is the deadline by which a person must have looked at it. ``merchant_id`` is ``None`` if no row names
    a merchant; the case then belongs to the operator. ``version`` counts the changes. ``assignee`` is a person of the
    operator, ``merchant_assignee`` one of the merchant; each side sees and sets only its own. ``why_reason`` is the
    reason why the break arose (see ``why``), ``why`` its text. ``amount_minor`` is the amount at stake when it was
    found, ``corrected_minor`` the part that corrections have given back, written only by the commit of their effect.
    ``match_id`` is the match by hand in force that the break's rows are in.
    """

    break_id: str
    break_class: BreakClass
    status: CaseStatus
    subject: tuple[str, ...]
    amount_minor: int
    currency: str
    occurred_at_ms: int
    opened_at_ms: int
    updated_at_ms: int
    due_at_ms: int
    version: int
    last_seen_run_id: str
    last_seen_at_ms: int
    merchant_id: str | None = None
    payment_id: str | None = None
    gateway: str | None = None
    surplus_gateway_payment_id: str | None = None
    evidence: tuple[Evidence, ...] = ()
    why: str | None = None
    why_reason: str | None = None
    assignee: str | None = None
    merchant_assignee: str | None = None
    closed_by_run_id: str | None = None
    corrected_minor: int = 0
    match_id: str | None = None

    @property
    def open_minor(self) -> int:
        """Return the part of the amount at stake that has not been given back."""
        return max(0, self.amount_minor - self.corrected_minor)

    @property
    def is_partly_open(self) -> bool:
        """Return whether only a part was given back."""
        return 0 < self.corrected_minor < self.amount_minor

    def changed(self, change: CaseChange, *, at_ms: int, **values: Any) -> Case:
        """Return the next version after ``change``. Raises ``CaseTransitionError``."""
        status = next_status(self.status, change)
        return replace(self, status=status, updated_at_ms=at_ms, version=self.version + 1, **values)


def opened(found: Break, *, run_id: str, at_ms: int, why: Why | None = None) -> Case:
    """Return the case of a newly found break. The text of ``why`` comes before the run's own explanation."""
    texts = [text for text in (why.text if why else None, found.why) if text]
    return Case(
        break_id=found.break_id,
        break_class=found.break_class,
        status=next_status(None, CaseChange.FOUND),
        subject=found.subject,
        amount_minor=found.amount_minor,
        currency=found.currency,
        occurred_at_ms=found.occurred_at_ms,
        opened_at_ms=at_ms,
        updated_at_ms=at_ms,
        due_at_ms=due_at_ms(found.break_class, at_ms),
        version=1,
        last_seen_run_id=run_id,
        last_seen_at_ms=at_ms,
        merchant_id=found.merchant_id,
        payment_id=found.payment_id,
        gateway=found.gateway,
        surplus_gateway_payment_id=found.surplus_gateway_payment_id,
        evidence=found.evidence,
        why=" ".join(texts) or None,
        why_reason=None if why is None else why.reason.value,
    )


def due_at_ms(break_class: BreakClass, opened_at_ms: int) -> int:
    """Return the deadline by which a person must have looked at a break of this class."""
    return opened_at_ms + SLA_HOURS[CLASSES[break_class].severity] * HOUR_MS


def evidence_document(evidence: Evidence) -> dict[str, Any]:
    """Return the stored and shown form of a row of evidence."""
    return {"source": evidence.source.value, "row_key": evidence.row_key, "fields": dict(evidence.fields)}


def evidence_from(document: Mapping[str, Any]) -> Evidence:
    """Return the evidence of a stored document."""
    return Evidence(source=Source(document["source"]), row_key=document["row_key"], fields=document["fields"])


def is_overdue(case: Case, now_ms: int) -> bool:
    """Return whether the case is still open after the deadline of its severity."""
    return case.status is CaseStatus.OPEN and now_ms > case.due_at_ms


def first_row_at_ms(case: Case) -> int:
    """Return the time of the earliest row of the evidence: without it a second capture would look like the only one."""
    told = (
        int(value) * unit_ms
        for row in case.evidence
        for name, unit_ms in EVIDENCE_TIMES.items()
        if (value := row.fields.get(name)) is not None
    )
    return min(told, default=case.occurred_at_ms)
