"""Rows are parsed once and read as tables from then on; what is missing is made again, and the result is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import NotFound
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.matching.normalise import gateway_table_rows
from payonce.reconciliation.runs import kept_rows
from payonce.reconciliation.runs.kept_rows import KEPT, ROWS, WEEK_MS, KeptRows, week_start_ms
from payonce.reconciliation.taxonomy import BreakClass
from tests.unit.reconciliation.test_inbox import STATEMENT
from tests.unit.reconciliation.test_runs import Desk

if TYPE_CHECKING:
    from pathlib import Path

DAY_HOURS = 24


class Watch:
    """Counts what is fetched, parsed and asked of the journal."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fetched: list[str] = []
        self.parsed = 0
        self.queries = 0
        fetch, read, query = desk.files.fetch, kept_rows.read_file, desk.database.query

        def watched_fetch(name: str, to: Path) -> bool:
            there = fetch(name, to)
            self.fetched += [name] if there else []
            return there

        def watched_read(data: bytes, **options: Any) -> Any:
            self.parsed += 1
            return read(data, **options)

        def watched_query(table: Any, **options: Any) -> Any:
            self.queries += options.get("index") == "events-by-day"
            return query(table, **options)

        monkeypatch.setattr(desk.files, "fetch", watched_fetch)
        monkeypatch.setattr(kept_rows, "read_file", watched_read)
        monkeypatch.setattr(desk.database, "query", watched_query)

    def taken(self) -> tuple[int, int, int]:
        """Return (files' tables fetched, files parsed, queries of the journal) since the last time."""
        taken = sum("/ledger/" not in name for name in self.fetched), self.parsed, self.queries
        self.fetched, self.parsed, self.queries = [], 0, 0
        return taken


def month(desk: Desk) -> None:
    """A sale and a report of it every day of a month; one charge was made twice."""
    for number in range(30):
        reference = desk.pay(f"key-of-day-{number:02d}")
        copies = 2 if number == 11 else 1
        desk.report(*[("charge", reference, 10)] * copies)
        desk.world.clock.ms += DAY_HOURS * 3_600_000


def test_a_run_parses_nothing_again_and_reads_one_table_a_week(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a run reads files as they came, or asks the journal for days that are over."""
    desk = Desk()
    month(desk)
    watch = Watch(desk, monkeypatch)
    first = desk.run()
    tables, parsed, asked = watch.taken()
    assert (parsed, tables) == (0, 30)  # once each, to be made into weeks
    second = desk.run(hours=1)
    tables_then, parsed, asked_then = watch.taken()
    assert (second.digest, second.breaks) == (first.digest, first.breaks)
    assert parsed == 0
    assert tables_then <= 4 + 8  # the weeks that are over, and the files of the one that is not
    assert asked_then < asked / 10


def test_what_is_lost_of_the_tables_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a run needs what only an acceptance has written: as with files from before, or a newer version."""
    desk = Desk()
    month(desk)
    before = desk.run()
    (case,) = desk.opened()
    assert case.break_class is BreakClass.DUPLICATE_CAPTURE
    for name in [name for name in desk.files.stored if name.startswith(ROWS)]:
        del desk.files.stored[name]
    watch = Watch(desk, monkeypatch)
    after = desk.run()
    assert watch.taken()[1] == 30
    assert (after.digest, after.breaks, after.counts.opened) == (before.digest, before.breaks, 0)
    assert [each.break_id for each in desk.opened()] == [case.break_id]


def test_a_late_file_and_one_that_comes_twice_change_no_break_id() -> None:
    """Fails when a break depends on the file, the week or the order in which its rows came."""
    early, late = Desk(), Desk()
    for desk in (early, late):
        references = [desk.pay(f"key-of-day-{number:02d}") for number in range(4)]
        reports = [[("charge", reference, 10)] * (1 + number % 2) for number, reference in enumerate(references)]
        for rows in reports if desk is early else reports[::-1]:
            desk.report(*rows)
            if desk is late:
                desk.world.clock.ms += 9 * DAY_HOURS * 3_600_000
        desk.run(hours=1)
    ids = [{case.subject[1] for case in desk.opened()} for desk in (early, late)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 2
    again = early.files.stored["incoming/gateway/bank/1.csv"]
    early.files.stored["incoming/gateway/bank/again.csv"] = again
    assert not early.inbox.accept("incoming/gateway/bank/again.csv").new
    assert early.run(hours=1).counts.seen == 2


def test_a_movement_from_before_the_period_is_known_and_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the journal before the period is not loaded for what a report names (then each is looked up), or is
    loaded whole (then it is missing in the report's stead).
    """
    desk = Desk()
    named, unnamed = desk.pay("named-key"), desk.pay("unnamed-key")
    desk.world.clock.ms += 37 * DAY_HOURS * 3_600_000
    desk.report(("charge", named, 10))
    looked_up: list[str] = []
    monkeypatch.setattr(
        "payonce.reconciliation.runs.run.rows_of", lambda _database, references: looked_up.extend(references) or ()
    )
    assert desk.run(hours=1).breaks == 0
    assert looked_up == []
    assert unnamed != named


def test_a_week_begins_where_the_last_one_ended() -> None:
    start = week_start_ms(1_800_000_000_000)
    assert start % WEEK_MS == 0
    assert week_start_ms(start - 1) == start - WEEK_MS


def test_rows_come_back_as_the_reader_gave_them(tmp_path: Path) -> None:
    """Fails when a column is lost or changed on the way through the table."""
    desk = Desk()
    reference = desk.pay("a-key")
    desk.report(("charge", reference, 10), ("refund", "r-1", -3))
    desk.files.stored["incoming/bank/a.csv"] = STATEMENT
    desk.inbox.accept("incoming/bank/a.csv")
    (report, statement) = desk.inbox.accepted_since(0)
    with DuckDbWorkspace(threads=1) as workspace:
        desk.rows.load_files(workspace, [report, statement], now_ms=desk.world.clock.now_ms(), folder=tmp_path)
        workspace._make_inputs()
        rows = workspace._query("SELECT * FROM gateway_row ORDER BY transaction_id")
        lines = workspace._query("SELECT amount_minor, reference_text FROM bank_line")
        statements = workspace._query("SELECT opening_minor, closing_minor FROM bank_statement")
    read = kept_rows.read_file(desk.files.stored[KEPT + report.file_id])
    assert rows == [tuple(row) for row in gateway_table_rows(read, "bank")]
    assert (lines, statements) == ([(550, "|BANK1|pay_1|")], [(1000, 1550)])


def test_a_file_that_is_gone_with_its_rows_is_said(tmp_path: Path) -> None:
    desk = Desk()
    desk.report(("charge", "r", 10))
    desk.files.stored.clear()
    rows = KeptRows(files=desk.files, database=desk.database, workspace=DuckDbWorkspace)
    with DuckDbWorkspace() as workspace, pytest.raises(NotFound, match="is gone"):
        rows.load_files(workspace, desk.inbox.accepted_since(0), now_ms=0, folder=tmp_path)
