"""The runs of the reconciliation, and one run's report.

Allowed: dynamodb:Query on ReconciliationTable with the leading keys RUNS and RUN#*; dynamodb:GetItem with RUN#*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payonce.console.exports import Amount, Instant, Sheet, collected, saved
from payonce.console.page import Rendered
from payonce.console.views.breaks import ageing_sheet
from payonce.domain.errors import NotFound
from payonce.paging import make_cursor, read_cursor
from payonce.reconciliation.matching.ageing import BUCKETS
from payonce.reconciliation.runs.run_log import cases_of_run, find_run, list_runs

if TYPE_CHECKING:
    from payonce.console.page import Download, PageRequest, Services
    from payonce.reconciliation.cases.case import CaseChange
    from payonce.reconciliation.runs.run_log import RunLine, StoredRun

PAGE_SIZE: Final = 50
COLUMNS: Final = (
    ("run", 30), ("as of", 20), ("seconds", 8), ("files", 8), ("rows", 10), ("breaks", 8), ("opened", 8),
    ("reopened", 8), ("closed", 8), ("notices", 8), ("policy refused", 8),
)  # fmt: skip


def runs(services: Services, request: PageRequest) -> Rendered:
    """Return the list of runs, newest first, 50 a page and one round trip each.

    Raises ``BodyMalformed`` for a cursor of another list.
    """
    lines, cursor = _page(services, request.query.get("cursor") or None)
    return Rendered("runs.html", {"lines": lines, "next_cursor": cursor or ""})


def one_run(services: Services, request: PageRequest) -> Rendered:
    """Return the report of one run, with a page of the cases that it changed. Two round trips.

    Raises ``NotFound``, and ``BodyMalformed`` for a cursor of another list.
    """
    run_id = request.path_parameters["run_id"]
    stored = _require(services, run_id)
    changed, following = _cases(services, run_id, request.query.get("cursor") or None)
    return Rendered(
        "run.html",
        {
            "line": stored.line,
            "report": stored.report,
            "buckets": BUCKETS,
            "changed": changed,
            "next_cursor": following or "",
        },
    )


def runs_list(services: Services, request: PageRequest) -> Download:
    """Return the list of runs as a file. Raises as ``runs`` does."""
    lines, cursor = collected(lambda cursor: _page(services, cursor), request.query.get("cursor") or None)
    return saved(request, Sheet("runs", COLUMNS, [_cells(line) for line in lines]), cursor)


def cases_list(services: Services, request: PageRequest) -> Download:
    """Return the cases that a run changed as a file. Raises as ``one_run`` does."""
    run_id = request.path_parameters["run_id"]
    _require(services, run_id)
    rows, cursor = collected(lambda cursor: _cases(services, run_id, cursor), request.query.get("cursor") or None)
    cells = [(break_id, change.value) for break_id, change in rows]
    return saved(request, Sheet("Cases of the run", (("break", 68), ("change", 12)), cells), cursor)


def kinds_list(services: Services, request: PageRequest) -> Download:
    """Return the breaks that a run found, by kind and currency, as a file. Raises ``NotFound``."""
    columns = (("kind", 22), ("severity", 9), ("breaks", 8), ("at stake", 16), ("currency", 8), ("overdue", 8))
    rows = [
        (
            each["break_class"], each["severity"], each["count"],
            Amount(each["amount_minor"], each["currency"]) if each["currency"] else None, each["currency"],
            each["overdue"],
        )
        for each in _require(services, request.path_parameters["run_id"]).report["classes"]
    ]  # fmt: skip
    return saved(request, Sheet("Breaks by kind", columns, rows))


def ageing_list(services: Services, request: PageRequest) -> Download:
    """Return how old the breaks of a run were as a file. Raises ``NotFound``."""
    return saved(request, ageing_sheet(_require(services, request.path_parameters["run_id"]).report["ageing"]))


def tallies_list(services: Services, request: PageRequest) -> Download:
    """Return where each row of a run ended as a file. Raises ``NotFound``."""
    columns = (("rows of", 12), ("ended as", 12), ("rows", 10), ("sum", 18), ("currency", 8))
    rows = [
        (source, outcome, number, Amount(amount_minor, currency) if currency else None, currency)
        for source, currency, outcome, number, amount_minor in _require(
            services, request.path_parameters["run_id"]
        ).report["tallies"]
    ]
    return saved(request, Sheet("Where each row ended", columns, rows))


def _require(services: Services, run_id: str) -> StoredRun:
    stored = find_run(services.database, run_id)
    if stored is None:
        raise NotFound("There is no such run, or it is older than the log of runs. Its manifest is in the bucket.")
    return stored


def _cases(services: Services, run_id: str, cursor: str | None) -> tuple[list[tuple[str, CaseChange]], str | None]:
    listing = ("console", "run", run_id)
    after = read_cursor(cursor, listing) if cursor else None
    changed, following = cases_of_run(services.database, run_id, limit=PAGE_SIZE, after=after)
    return changed, make_cursor(following, listing) if following else None


def _page(services: Services, cursor: str | None) -> tuple[list[RunLine], str | None]:
    listing = ("console", "runs")
    before = read_cursor(cursor, listing) if cursor else None
    lines, following = list_runs(services.database, limit=PAGE_SIZE, before=before)
    return lines, make_cursor(following, listing) if following else None


def _cells(line: RunLine) -> tuple[str | int | Instant, ...]:
    return (
        line.run_id, Instant(line.as_of_ms), line.seconds, line.files, line.rows, line.breaks, line.opened,
        line.reopened, line.closed, line.notices, "yes" if line.policy_refused else "no",
    )  # fmt: skip
