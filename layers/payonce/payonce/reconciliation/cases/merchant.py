"""A merchant's view of its breaks: lists, one break, its history. Other merchants' breaks are not found.

Not shown are breaks that name no payment of the merchant (an ambiguous group may hold rows of several merchants), and
the operators' internal notes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from payonce.domain.errors import NotFound
from payonce.domain.principals import API_KEY_PREFIX
from payonce.paging import make_cursor, read_cursor
from payonce.payments.representation import payment_path
from payonce.reconciliation.cases.case import CaseChange, CaseStatus, is_overdue
from payonce.reconciliation.cases.case_items import Visibility, position_of
from payonce.reconciliation.cases.case_store import MAX_ID_LENGTH, CaseStore
from payonce.reconciliation.taxonomy import CLASSES, BreakClass, Family, Severity

if TYPE_CHECKING:
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case

# A filter examines at most this many cases per page, matching or not, so that the time of an answer is bounded.
FILTER_CASES = 200
RUN_PREFIX = "run:"
PROGRAMS = frozenset({"policy", "reconciliation"})
OPERATOR = "operator"
_OPERATORS_FAMILIES = frozenset({Family.BANK, Family.AMBIGUOUS})


class BreakWhyView(TypedDict):
    """Why there is a break."""

    reason: str | None
    text: str


class BreakLinksView(TypedDict):
    """Where to go on from a break."""

    self: str
    history: str
    correction: str
    payment: str


# A break as lists show it. "class" is no name in Python.
BreakSummaryView = TypedDict(
    "BreakSummaryView",
    {
        "id": str,
        "object": Literal["break"],
        "class": BreakClass,
        "family": Family,
        "severity": Severity,
        "meaning": str,
        "status": CaseStatus,
        "amount_minor": Annotated[int, "The money at stake, as it was found."],
        "corrected_minor": Annotated[int, "What corrections have given back of it."],
        "open_minor": Annotated[int, "What is left of it."],
        "currency": str,
        "gateway": str | None,
        "payment_id": str,
        "subject": list[str],
        "why": BreakWhyView | None,
        "assignee": str | None,
        "occurred_at_ms": int,
        "opened_at_ms": int,
        "due_at_ms": int,
        "overdue": bool,
        "updated_at_ms": int,
        "version": int,
        "links": BreakLinksView,
    },
)


class BreakListView(TypedDict):
    """A page of breaks, and the cursor of the next one."""

    object: Literal["list"]
    data: list[BreakSummaryView]
    next_cursor: str | None


class BreakChangeView(TypedDict):
    """A change of a break as its merchant sees it."""

    object: Literal["change"]
    change: CaseChange
    status: CaseStatus
    by: Annotated[str, "The id of your API key, reconciliation, policy, or operator."]
    note: str | None
    at_ms: int


class BreakCommentView(TypedDict):
    """A comment as a merchant sees it."""

    object: Literal["comment"]
    id: str
    text: str
    by: Annotated[str, "The id of your API key, or operator."]
    at_ms: int


def is_merchants(case: Case, merchant_id: str) -> bool:
    """Return whether the merchant may see the case."""
    own = case.merchant_id == merchant_id and case.payment_id is not None
    return own and CLASSES[case.break_class].family not in _OPERATORS_FAMILIES


def require_break(database: Database, merchant_id: str, break_id: str) -> Case:
    """Return the merchant's case as stored now. Raises the same ``NotFound`` for no case and for another merchant's."""
    try:
        case = CaseStore(database).get(break_id)
    except NotFound:
        case = None
    if case is None or not is_merchants(case, merchant_id):
        raise NotFound(f"There is no break {break_id[:MAX_ID_LENGTH]}.")
    return case


def list_breaks(
    database: Database,
    merchant_id: str,
    *,
    now_ms: int,
    limit: int,
    cursor: str | None,
    status: str | None,
    break_class: str | None,
) -> BreakListView:
    """Return a page of breaks, newest first, and the cursor of the next one.

    With a filter at most ``FILTER_CASES`` are examined, so that a page with a next one may hold fewer than ``limit``
    breaks, even none. Raises ``BodyMalformed`` for a cursor of another list.
    """
    listing = ("breaks", merchant_id, status, break_class)
    filtered = status is not None or break_class is not None
    cases, more = CaseStore(database).of_merchant(
        merchant_id,
        limit=FILTER_CASES if filtered else limit,
        after=None if cursor is None else read_cursor(cursor, listing),
    )
    taken: list[Case] = []
    last: Case | None = None
    for number, case in enumerate(cases, 1):
        last = case
        fits = status in (None, case.status.value) and break_class in (None, case.break_class.value)
        if fits and is_merchants(case, merchant_id):
            taken.append(case)
        if len(taken) == limit:
            more = more or number < len(cases)
            break
    return {
        "object": "list",
        "data": [merchant_view(case, now_ms) for case in taken],
        "next_cursor": make_cursor(position_of(last), listing) if more and last is not None else None,
    }


def get_history(database: Database, merchant_id: str, break_id: str) -> list[BreakChangeView | BreakCommentView]:
    """Return the changes, then the comments, that concern the merchant. Raises ``NotFound``."""
    require_break(database, merchant_id, break_id)
    store = CaseStore(database)
    changes = [_change(entry) for entry in store.history(break_id) if _concerns(entry)]
    comments = [
        comment_view(entry) for entry in store.comments(break_id) if entry["visibility"] == Visibility.MERCHANT.value
    ]
    return [*changes, *comments]


def merchant_view(case: Case, now_ms: int) -> BreakSummaryView:
    """Return a case as its merchant sees it."""
    rule = CLASSES[case.break_class]
    path = break_path(case.break_id)
    payment_id = case.payment_id or ""
    return {
        "id": case.break_id,
        "object": "break",
        "class": case.break_class,
        "family": rule.family,
        "severity": rule.severity,
        "meaning": rule.meaning,
        "status": case.status,
        "amount_minor": case.amount_minor,
        "corrected_minor": case.corrected_minor,
        "open_minor": case.open_minor,
        "currency": case.currency,
        "gateway": case.gateway,
        "payment_id": payment_id,
        "subject": list(case.subject),
        "why": None if case.why is None else {"reason": case.why_reason, "text": case.why},
        "assignee": case.merchant_assignee,
        "occurred_at_ms": case.occurred_at_ms,
        "opened_at_ms": case.opened_at_ms,
        "due_at_ms": case.due_at_ms,
        "overdue": is_overdue(case, now_ms),
        "updated_at_ms": case.updated_at_ms,
        "version": case.version,
        "links": {
            "self": path,
            "history": f"{path}/history",
            "correction": f"{path}/correction",
            "payment": payment_path(payment_id),
        },
    }


def comment_view(entry: dict[str, Any]) -> BreakCommentView:
    """Return a comment as a merchant sees it."""
    return {
        "object": "comment",
        "id": entry["id"],
        "text": entry["text"],
        "by": shown_by(entry["by"]),
        "at_ms": entry["at_ms"],
    }


def break_path(break_id: str) -> str:
    """Return the path of a break."""
    return f"/breaks/{break_id}"


def shown_by(by: str) -> str:
    """Return the actor as a merchant sees it: its own key, a program, or ``operator`` for any operator."""
    if by.startswith(API_KEY_PREFIX) or by in PROGRAMS:
        return by
    return "reconciliation" if by.startswith(RUN_PREFIX) else OPERATOR


def _concerns(entry: dict[str, Any]) -> bool:
    # The operator's assignments are internal.
    return entry["change"] != CaseChange.ASSIGNED.value or str(entry["by"]).startswith(API_KEY_PREFIX)


def _change(entry: dict[str, Any]) -> BreakChangeView:
    note = entry["note"] if entry["by"].startswith(API_KEY_PREFIX) else None
    return {
        "object": "change",
        "change": entry["change"],
        "status": entry["status"],
        "by": shown_by(entry["by"]),
        "note": note,
        "at_ms": entry["at_ms"],
    }
