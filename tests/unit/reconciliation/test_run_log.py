"""What is kept of a run, and read again page by page."""

from __future__ import annotations

import pytest

from payonce.ports import Insert, Table
from payonce.reconciliation.cases.case import CaseChange
from payonce.reconciliation.runs.run_log import RUNS_PARTITION, cases_of_run, find_run, list_runs
from payonce.stores.memory import MemoryDatabase
from tests.unit.reconciliation.test_runs import Desk


def test_a_run_is_kept_with_what_it_compared_and_found() -> None:
    """Fails when a run's report is a line of a log alone."""
    desk = Desk()
    reference = desk.pay("first-key")
    desk.report(("charge", reference, 10), ("charge", "of-nobody", 7))
    report = desk.run(hours=96)
    ((line,), more) = list_runs(desk.database, limit=50)
    assert (line.run_id, line.as_of_ms, line.files, line.breaks, line.opened, line.closed, more) == (
        report.run_id,
        report.as_of_ms,
        1,
        1,
        1,
        0,
        None,
    )
    stored = find_run(desk.database, report.run_id)
    assert stored is not None
    assert stored.line == line
    told = stored.report
    assert (told["manifest_hash"], told["digest"]) == (report.manifest_hash, report.digest)
    assert [(one["break_class"], one["currency"], one["count"], one["amount_minor"]) for one in told["classes"]] == [
        ("missing_in_ledger", "EUR", 1, 700)
    ]
    assert ["gateway", "EUR", "break", 1, 700] in told["tallies"]
    assert ["gateway", "EUR", "matched", 1, 1000] in told["tallies"]
    assert [(one["break_class"], one["counts"]) for one in told["ageing"]] == [
        ("missing_in_ledger", [0, 1, 0, 0, 0, 0]),
        (None, [0, 1, 0, 0, 0, 0]),
    ]
    ((changed,), _) = cases_of_run(desk.database, report.run_id, limit=50)
    assert changed == (desk.opened()[0].break_id, CaseChange.FOUND)


def test_a_run_that_ended_and_is_repeated_stays_one_line() -> None:
    desk = Desk()
    desk.pay("first-key")
    first = desk.runs.run("the-invocation")
    desk.world.clock.ms += 60_000
    assert desk.runs.run("the-invocation").run_id == first.run_id
    (lines, _) = list_runs(desk.database, limit=50)
    assert [(line.run_id, line.as_of_ms) for line in lines] == [(first.run_id, first.as_of_ms)]


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_pages_of_runs_join_without_gap_or_overlap_newest_first(count: int) -> None:
    database = MemoryDatabase()
    line = dict.fromkeys(
        ("as_of_ms", "seconds", "files", "rows", "breaks", "opened", "reopened", "closed", "notices"), 0
    )
    for number in range(count):
        item = {**line, "run_id": f"run_{number}", "policy_refused": False}
        database.write([Insert(Table.RECONCILIATION, {**item, "pk": RUNS_PARTITION, "sk": f"{number:013d}#run"})])
    found: list[str] = []
    before: str | None = None
    for _ in range(count + 2):
        lines, before = list_runs(database, limit=2, before=before)
        found += [one.run_id for one in lines]
        if before is None:
            break
    assert found == [f"run_{number}" for number in reversed(range(count))]


def test_no_run_has_no_report() -> None:
    assert find_run(MemoryDatabase(), "run_1") is None
