"""The rows of the work list of breaks: a bounded number of cases is looked at, however many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payonce.console.views.break_filters import BreakOrder, BreakState
from payonce.corrections.correction_lists import corrections_page
from payonce.corrections.record import CorrectionStatus, Identity, find_corrections
from payonce.domain.durations import DAY_MS
from payonce.domain.errors import CursorUnknown
from payonce.paging import make_cursor, read_cursor
from payonce.reconciliation.cases.case import CaseStatus, is_overdue
from payonce.reconciliation.cases.case_items import position_of, urgency_of
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.merchant import is_merchants
from payonce.reconciliation.taxonomy import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.console.views.break_filters import BreakFilter
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case

PAGE_SIZE: Final = 50
# With filters at most so many cases are looked at for a page. Each is some 2 KB, so that this is 125 read units.
LOOKED_AT: Final = 500
LOOKED_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakRow:
    """A break in a line. ``amount_minor`` is what is still at stake. ``correction`` is its state, "" without one."""

    break_id: str
    kind: str
    meaning: str
    severity: str
    status: str
    amount_minor: int
    currency: str
    gateway: str
    merchant_id: str
    payment_id: str
    assignee: str
    correction: str
    opened_at_ms: int
    due_at_ms: int
    is_overdue: bool
    age_days: int


@dataclass(frozen=True, slots=True)
class BreakRows:
    """A page of the list. ``looked_at`` counts the cases that were looked at; ``next_cursor`` is "" at the end."""

    rows: tuple[BreakRow, ...]
    next_cursor: str
    looked_at: int


def break_rows(database: Database, wanted: BreakFilter, *, cursor: str, now_ms: int, bound: bool) -> BreakRows:
    """Return the page that begins at ``cursor``: at most ``PAGE_SIZE`` rows, in at most twelve round trips.

    ``bound``: for an operator of the merchant, who sees what the merchant's API shows. Raises ``BodyMalformed`` for a
    cursor of another list, and ``StoreUnavailable``.
    """
    after = read_cursor(cursor, wanted.listing) if cursor else None
    finder = _Finder(database, wanted)
    cases: list[Case] = []
    looked_at, more = 0, True
    while more and len(cases) < PAGE_SIZE and looked_at < LOOKED_AT:
        page, more = finder.page(after)
        for number, (position, case) in enumerate(page, 1):
            after = position
            looked_at += 1
            if wanted.takes(case, now_ms=now_ms, bound=bound) and (not bound or _is_shown(case, wanted)):
                cases.append(case)
            if len(cases) == PAGE_SIZE:
                more = more or number < len(page)
                break
    states = _corrections(database, cases)
    rows = tuple(_row(case, states.get(case.break_id, ""), now_ms=now_ms, bound=bound) for case in cases)
    return BreakRows(rows, make_cursor(after, wanted.listing) if more and after else "", looked_at)


class _Finder:
    """Reads the list in its order, a page at a time, each case with its position."""

    def __init__(self, database: Database, wanted: BreakFilter) -> None:
        self._database = database
        self._cases = CaseStore(database)
        self._wanted = wanted
        self._limit = LOOKED_AT_ONCE if wanted.chooses else PAGE_SIZE

    def page(self, after: str | None) -> tuple[Sequence[tuple[str, Case]], bool]:
        wanted = self._wanted
        if wanted.state is BreakState.AWAITING:
            return self._awaiting(after)
        if wanted.merchant_id is not None:
            oldest_first = wanted.order is BreakOrder.OLDEST
            found, more = self._cases.of_merchant(
                wanted.merchant_id, limit=self._limit, after=after, oldest_first=oldest_first
            )
            return [(position_of(case), case) for case in found], more
        latest_first = wanted.order is BreakOrder.LATEST
        status = CaseStatus(wanted.state.value)
        found, more = self._cases.by_urgency(status, limit=self._limit, after=after, latest_first=latest_first)
        return [(urgency_of(case), case) for case in found], more

    def _awaiting(self, after: str | None) -> tuple[Sequence[tuple[str, Case]], bool]:
        start = None if after is None else (after, self._identity(after.partition("#")[2]))
        found, position = corrections_page(
            self._database,
            CorrectionStatus.AWAITING_APPROVAL,
            limit=self._limit,
            after=start,
            latest_first=self._wanted.order is BreakOrder.LATEST,
        )
        of_id = self._cases.of_ids([correction.break_id for correction in found])
        listed = [
            (f"{correction.expires_at_ms or correction.updated_at_ms:013d}#{correction.break_id}", case)
            for correction in found
            if (case := of_id.get(correction.break_id)) is not None
        ]
        return listed, position is not None

    def _identity(self, break_id: str) -> Identity:
        case = self._cases.of_ids([break_id]).get(break_id)
        if case is None:
            raise CursorUnknown("The list has changed meanwhile. Begin it anew.")
        return Identity(case.merchant_id or "", case.payment_id or "", break_id)


def _is_shown(case: Case, wanted: BreakFilter) -> bool:
    return wanted.merchant_id is not None and is_merchants(case, wanted.merchant_id)


def _corrections(database: Database, cases: Sequence[Case]) -> dict[str, str]:
    named = [(case.merchant_id or "", case.payment_id, case.break_id) for case in cases if case.payment_id]
    return {found.break_id: found.status.value for found in find_corrections(database, named)}


def _row(case: Case, correction: str, *, now_ms: int, bound: bool) -> BreakRow:
    rule = CLASSES[case.break_class]
    return BreakRow(
        break_id=case.break_id,
        kind=case.break_class.value,
        meaning=rule.meaning,
        severity=rule.severity.value,
        status=case.status.value,
        amount_minor=case.open_minor,
        currency=case.currency,
        gateway=case.gateway or "",
        merchant_id=case.merchant_id or "",
        payment_id=case.payment_id or "",
        assignee=(case.merchant_assignee if bound else case.assignee) or "",
        correction=correction,
        opened_at_ms=case.opened_at_ms,
        due_at_ms=case.due_at_ms,
        is_overdue=is_overdue(case, now_ms),
        age_days=max(0, now_ms - case.opened_at_ms) // DAY_MS,
    )
