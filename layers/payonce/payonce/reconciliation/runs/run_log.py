"""The log of runs: what each run compared and found, kept as it ended, so that nobody has to look into a log's lines.

::

    RUNS        time#run     the run in a line, newest last
    RUN#<run>   REPORT       the whole report; beside it the cases that the run changed (case_items.run_change)
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from payonce.domain.errors import WriteConflict
from payonce.outbox import created_key
from payonce.packing import pack, unpack
from payonce.ports import Insert, Table
from payonce.reconciliation.cases.case import CaseChange
from payonce.reconciliation.cases.case_items import RUN_CHANGE_PREFIX, run_partition
from payonce.reconciliation.matching.ageing import ageing
from payonce.reconciliation.matching.summary import by_class

if TYPE_CHECKING:
    from payonce.ports import Database, Item, Key
    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.runs.run_report import RunReport

RUNS_PARTITION: Final = "RUNS"
REPORT_KEY: Final = "REPORT"
MAX_LINES: Final = 300  # of each table of a report: classes times currencies
MAX_SENTENCES: Final = 50
MAX_SENTENCE_CHARACTERS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run in a line. ``opened``, ``reopened`` and ``closed`` count the cases that it changed."""

    run_id: str
    as_of_ms: int
    seconds: int
    files: int
    rows: int
    breaks: int
    opened: int
    reopened: int
    closed: int
    notices: int
    policy_refused: bool


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run with its report.

    ``report`` has the fields of ``RunReport.to_log`` and the tables ``tallies`` (source, currency, outcome, rows,
    amount), ``classes`` (as ``ClassSummary``), ``ageing`` (as ``Aged``), ``notices`` and ``remarks``.
    """

    line: RunLine
    report: dict[str, Any]


def remember_run(database: Database, report: RunReport, result: RunResult) -> None:
    """Add the run to the log. Idempotent: of a run that was repeated after it had ended, the first report stays.

    Raises ``StoreUnavailable``.
    """
    line = RunLine(
        run_id=report.run_id,
        as_of_ms=report.as_of_ms,
        seconds=report.seconds,
        files=report.files,
        rows=report.rows,
        breaks=report.breaks,
        opened=report.counts.opened,
        reopened=report.counts.reopened,
        closed=report.counts.closed,
        notices=len(result.notices),
        policy_refused=report.policy_refused is not None,
    )
    listed = {**asdict(line), "pk": RUNS_PARTITION, "sk": created_key(report.as_of_ms, report.run_id)}
    told = json.dumps(_document(report, result), separators=(",", ":"), ensure_ascii=False).encode()
    whole = {**asdict(line), **_report_key(report.run_id), "packed": pack(told)}
    try:
        database.write([Insert(Table.RECONCILIATION, whole), Insert(Table.RECONCILIATION, listed)])
    except WriteConflict:
        return


def list_runs(database: Database, *, limit: int, before: str | None = None) -> tuple[list[RunLine], str | None]:
    """Return up to ``limit`` runs, newest first, and the position for ``before`` of the next page, ``None`` at the end.

    One query. Raises ``StoreUnavailable``.
    """
    page = database.query(
        Table.RECONCILIATION,
        partition=("pk", RUNS_PARTITION),
        descending=True,
        limit=limit,
        start=None if before is None else {"pk": RUNS_PARTITION, "sk": before},
    )
    return [_line(item) for item in page.items], None if page.next_key is None else str(page.next_key["sk"])


def find_run(database: Database, run_id: str) -> StoredRun | None:
    """Return the run with its report, ``None`` for one that is not in the log. Raises ``StoreUnavailable``."""
    item = database.get(Table.RECONCILIATION, _report_key(run_id))
    return None if item is None else StoredRun(_line(item), json.loads(unpack(item["packed"])))


def cases_of_run(
    database: Database, run_id: str, *, limit: int, after: str | None = None
) -> tuple[list[tuple[str, CaseChange]], str | None]:
    """Return up to ``limit`` (break id, change) of the cases that the run changed, and the position of the next page.

    One query. Raises ``StoreUnavailable``.
    """
    partition = run_partition(run_id)
    page = database.query(
        Table.RECONCILIATION,
        partition=("pk", partition),
        sort_prefix=("sk", RUN_CHANGE_PREFIX),
        limit=limit,
        start=None if after is None else {"pk": partition, "sk": f"{RUN_CHANGE_PREFIX}{after}"},
    )
    found = [(str(item["break_id"]), CaseChange(item["change"])) for item in page.items]
    return found, None if page.next_key is None else str(page.next_key["sk"]).removeprefix(RUN_CHANGE_PREFIX)


def _report_key(run_id: str) -> Key:
    return {"pk": run_partition(run_id), "sk": REPORT_KEY}


def _document(report: RunReport, result: RunResult) -> dict[str, Any]:
    tallies = sorted([t.source.value, t.currency, t.outcome.value, t.rows, t.amount_minor] for t in result.tallies)
    return {
        **report.to_log(),
        "tallies": tallies[:MAX_LINES],
        "classes": [asdict(one) for one in by_class(result.breaks, report.as_of_ms)[:MAX_LINES]],
        "ageing": [asdict(one) for one in ageing(result.breaks, report.as_of_ms)[:MAX_LINES]],
        "notices": [text[:MAX_SENTENCE_CHARACTERS] for text in result.notices[:MAX_SENTENCES]],
        "remarks": [text[:MAX_SENTENCE_CHARACTERS] for text in result.remarks[:MAX_SENTENCES]],
    }


def _line(item: Item) -> RunLine:
    return RunLine(**{name: item[name] for name in RunLine.__slots__})
