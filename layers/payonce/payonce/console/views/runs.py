"""The runs of the reconciliation, and one run's report.

Allowed: dynamodb:Query on ReconciliationTable with the leading keys RUNS and RUN#*; dynamodb:GetItem with RUN#*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from payonce.console.exports import Instant, Sheet, collected, export_form, exported
from payonce.console.page import Download, Rendered
from payonce.domain.errors import NotFound
from payonce.paging import make_cursor, read_cursor
from payonce.reconciliation.matching.ageing import BUCKETS
from payonce.reconciliation.runs.run_log import cases_of_run, find_run, list_runs

if TYPE_CHECKING:
    from payonce.console.page import PageRequest, Services
    from payonce.reconciliation.runs.run_log import RunLine

PAGE_SIZE: Final = 50
COLUMNS: Final = (
    ("run", 30), ("as of", 20), ("seconds", 8), ("files", 8), ("rows", 10), ("breaks", 8), ("opened", 8),
    ("reopened", 8), ("closed", 8), ("notices", 8), ("policy refused", 8),
)  # fmt: skip


def runs(services: Services, request: PageRequest) -> Rendered | Download:
    """Return the list of runs, newest first, 50 a page and one round trip each, or the file of it.

    Raises ``BodyMalformed`` for a cursor of another list.
    """
    form = export_form(request.query)
    if form is not None:
        lines, cursor = collected(lambda cursor: _page(services, cursor), request.query.get("cursor") or None)
        file = exported(form, Sheet("runs", COLUMNS, [_cells(line) for line in lines]), next_cursor=cursor)
        return Download(file.name, file.media_type, file.body)
    lines, cursor = _page(services, request.query.get("cursor") or None)
    return Rendered("runs.html", {"lines": lines, "next_cursor": cursor or ""})


def one_run(services: Services, request: PageRequest) -> Rendered:
    """Return the report of one run, with a page of the cases that it changed. Two round trips.

    Raises ``NotFound``, and ``BodyMalformed`` for a cursor of another list.
    """
    run_id = request.path_parameters["run_id"]
    stored = find_run(services.database, run_id)
    if stored is None:
        raise NotFound("There is no such run, or it is older than the log of runs. Its manifest is in the bucket.")
    listing = ("console", "run", run_id)
    cursor = request.query.get("cursor", "")
    changed, following = cases_of_run(
        services.database, run_id, limit=PAGE_SIZE, after=read_cursor(cursor, listing) if cursor else None
    )
    return Rendered(
        "run.html",
        {
            "line": stored.line,
            "report": stored.report,
            "buckets": BUCKETS,
            "changed": changed,
            "next_cursor": make_cursor(following, listing) if following else "",
        },
    )


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
