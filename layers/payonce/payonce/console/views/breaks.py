"""The work list of breaks, with its filters in the address, its ageing, and as a file.

Allowed: dynamodb:Query on ReconciliationTable/index/cases-by-status and cases-by-merchant, PaymentsTable/index/
corrections-by-status, and ReconciliationTable with the leading key RUNS; dynamodb:GetItem on it with RUN#*;
dynamodb:BatchGetItem on ReconciliationTable with BREAK#* and on PaymentsTable.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from payonce.console.exports import Amount, Instant, Sheet, collected, saved
from payonce.console.page import Rendered
from payonce.console.views.break_filters import BreakState, break_filter, orders
from payonce.console.views.break_rows import break_rows
from payonce.domain.errors import NotFound
from payonce.reconciliation.matching.ageing import BUCKETS
from payonce.reconciliation.runs.run_log import find_run, list_runs
from payonce.reconciliation.taxonomy import CLASSES, BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.console.exports import Cell
    from payonce.console.page import Download, PageRequest, Services
    from payonce.console.views.break_filters import BreakFilter
    from payonce.console.views.break_rows import BreakRow

COLUMNS: Final = (
    ("break", 20), ("kind", 22), ("severity", 9), ("state", 10), ("open amount", 16), ("currency", 8), ("gateway", 12),
    ("merchant", 28), ("payment", 28), ("assigned to", 16), ("correction", 18), ("opened", 20), ("due", 20),
    ("overdue", 8), ("age in days", 8),
)  # fmt: skip
FILTERS: Final = ("state", "kind", "gateway", "assignee", "age", "currency", "amount", "sort")


def breaks(services: Services, request: PageRequest) -> Rendered:
    """Return the work list.

    At most 50 rows; the number of round trips and of cases looked at is bounded, however many breaks there are. Raises
    ``BodyMalformed`` for a filter that means nothing, and for a cursor of another list.
    """
    bound = request.operator.merchant_id is not None
    wanted = break_filter(request.query, request.merchant_id, me=request.operator.name)
    page = break_rows(
        services.database, wanted, cursor=request.query.get("cursor", ""), now_ms=request.now_ms, bound=bound
    )
    asked = {name: request.query.get(name, "") for name in FILTERS}
    return Rendered(
        "breaks.html",
        {
            "rows": page.rows,
            "looked_at": page.looked_at,
            "next_cursor": page.next_cursor,
            "wanted": wanted,
            "asked": asked,
            "is_filtered": any(text for name, text in asked.items() if name not in ("state", "sort")),
            "states": tuple(BreakState),
            "kinds": tuple((each.value, CLASSES[each].meaning) for each in BreakClass),
            "orders": orders(wanted.state, merchants=wanted.merchant_id is not None),
            "ageing": ageing_of_last_run(services) if not bound and request.merchant_id is None else None,
            "buckets": BUCKETS,
        },
    )


def breaks_list(services: Services, request: PageRequest) -> Download:
    """Return the work list as a file. Raises as ``breaks`` does."""
    wanted = break_filter(request.query, request.merchant_id, me=request.operator.name)
    bound = request.operator.merchant_id is not None
    rows, cursor = collected(
        partial(_page, services, wanted, now_ms=request.now_ms, bound=bound), request.query.get("cursor") or None
    )
    return saved(request, Sheet("breaks", COLUMNS, map(cells_of, rows)), cursor)


def ageing_list(services: Services, request: PageRequest) -> Download:
    """Return how old the breaks were that the last run found as a file. Raises ``NotFound`` where there is none."""
    found = None if request.operator.merchant_id is not None else ageing_of_last_run(services)
    if found is None:
        raise NotFound("No run has found breaks yet, or they are not yours to see.")
    return saved(request, ageing_sheet(found["lines"]))


def ageing_sheet(lines: Sequence[Mapping[str, Any]]) -> Sheet:
    """Return the table of breaks by kind and age."""
    columns = (("kind", 22), ("currency", 8), *((bucket, 12) for bucket in BUCKETS), ("overdue", 8))
    rows = [(each["break_class"] or "all kinds", each["currency"], *each["counts"], each["overdue"]) for each in lines]
    return Sheet("Breaks by kind and age", columns, rows)


def _page(
    services: Services, wanted: BreakFilter, cursor: str | None, *, now_ms: int, bound: bool
) -> tuple[tuple[BreakRow, ...], str | None]:
    page = break_rows(services.database, wanted, cursor=cursor or "", now_ms=now_ms, bound=bound)
    return page.rows, page.next_cursor or None


def ageing_of_last_run(services: Services) -> dict[str, Any] | None:
    """Return how old the breaks were that the last run found: ``run`` (a ``RunLine``) and ``lines`` (as ``Aged``).

    Two round trips, whatever there is. ``None`` before the first run.
    """
    newest, _ = list_runs(services.database, limit=1)
    stored = find_run(services.database, newest[0].run_id) if newest else None
    return None if stored is None else {"run": stored.line, "lines": stored.report["ageing"]}


def cells_of(row: BreakRow) -> tuple[Cell, ...]:
    """Return the cells of a break in a file."""
    amount = Amount(row.amount_minor, row.currency) if row.currency else None
    return (
        row.break_id, row.kind, row.severity, row.status, amount, row.currency, row.gateway, row.merchant_id,
        row.payment_id, row.assignee, row.correction, Instant(row.opened_at_ms), Instant(row.due_at_ms),
        "yes" if row.is_overdue else "no", row.age_days,
    )  # fmt: skip
