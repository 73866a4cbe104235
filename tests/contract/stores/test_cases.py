"""Break cases on every database: opened once, changed by one at a time, closed by a run alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import CorrectionStateConflict, NotFound, WriteConflict
from payonce.reconciliation.cases.case import CaseChange, CaseStatus
from payonce.reconciliation.cases.case_items import correcting_writes, position_of
from payonce.reconciliation.cases.case_store import HISTORY_LIMIT, CaseStore
from payonce.reconciliation.cases.recording import RunCounts, record_run
from payonce.reconciliation.model import Break, Evidence, Source
from payonce.reconciliation.runs.files import KnownFile, chain_head, files_since, move_chain, remember_file
from payonce.reconciliation.runs.manifest import FIRST
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def a_break(name: str = "pay_1-1", *, merchant_id: str | None = "mer_1", **values: object) -> Break:
    found = Break(
        break_class=BreakClass.DUPLICATE_CAPTURE,
        subject=("bank", name, "t2"),
        amount_minor=1050,
        currency="EUR",
        occurred_at_ms=NOW_MS - HOUR_MS,
        merchant_id=merchant_id,
        payment_id="pay_1",
        gateway="bank",
        surplus_gateway_payment_id="ch_2",
        evidence=(Evidence(source=Source.GATEWAY, row_key="bank|t2", fields={"amount_minor": 1050, "payer": None}),),
        why="response lost",
    )
    return replace(found, **values)  # type: ignore[arg-type]


def everything(_case: Case) -> bool:
    return True


def record(store: CaseStore, run_id: str, *breaks: Break, hours: int = 0) -> RunCounts:
    return record_run(store, run_id, breaks, as_of_ms=NOW_MS + hours * HOUR_MS, covers=everything)


def test_a_break_is_opened_once_seen_again_closed_and_reopened(database: Database) -> None:
    """Fails when a later run opens a second case, or when a case stays open that the run no longer finds."""
    store, found = CaseStore(database), a_break()
    assert record(store, "run_1", found) == RunCounts(opened=1)
    case = store.get(found.break_id)
    assert (case.status, case.due_at_ms) == (CaseStatus.OPEN, NOW_MS + 4 * HOUR_MS)
    assert (case.evidence, case.subject, case.why) == (found.evidence, found.subject, "response lost")
    assert record(store, "run_2", found, hours=1) == RunCounts(seen=1)
    assert record(store, "run_3", hours=2) == RunCounts(closed=1)
    assert store.get(found.break_id).closed_by_run_id == "run_3"
    assert record(store, "run_4", found, hours=3) == RunCounts(reopened=1)
    changes = [(entry["change"], entry["status"], entry["by"]) for entry in store.history(found.break_id)]
    assert changes == [
        ("found", "open", "run:run_1"),
        ("proved", "closed", "run:run_3"),
        ("reopened", "open", "run:run_4"),
    ]


def test_a_run_recorded_twice_changes_nothing_more_and_counts_the_same(database: Database) -> None:
    """Fails when the counts are those of the last attempt alone."""
    store, found, other = CaseStore(database), a_break(), a_break("pay_2-1")
    # The first attempt got as far as the first case, and the second one looks a little later.
    record(store, "run_1", found)
    before = store.get(found.break_id)
    assert record(store, "run_1", found) == RunCounts(opened=1)
    assert store.get(found.break_id) == before
    assert record(store, "run_1", found, other, hours=1) == RunCounts(opened=2)
    assert record(store, "run_2", found, hours=2) == RunCounts(seen=1, closed=1)
    closed = store.get(other.break_id)
    assert record(store, "run_2", found, hours=2) == RunCounts(seen=1, closed=1)
    assert store.get(other.break_id) == closed
    assert record(store, "run_3", found, other, hours=3) == RunCounts(seen=1, reopened=1)
    assert record(store, "run_3", found, other, hours=4) == RunCounts(seen=1, reopened=1)
    assert sorted(store.changes_of("run_1")) == sorted(
        [(found.break_id, CaseChange.FOUND), (other.break_id, CaseChange.FOUND)]
    )


def test_what_a_person_dismissed_no_run_opens_or_closes(database: Database) -> None:
    """Fails when a run that finds it again opens it, or when a certain class can be dismissed."""
    store = CaseStore(database)
    probable, certain = a_break(break_class=BreakClass.DOUBLE_CHARGE), a_break()
    record(store, "run_1", probable, certain)
    with pytest.raises(CorrectionStateConflict, match="follows from the rows"):
        store.dismiss(certain.break_id, reason="no", by="operator:ann", at_ms=NOW_MS + 1)
    store.dismiss(probable.break_id, reason="two coffees", by="operator:ann", at_ms=NOW_MS + 1)
    assert record(store, "run_2", probable, certain, hours=1) == RunCounts(seen=1)
    assert record(store, "run_3", certain, hours=2) == RunCounts(seen=1)
    assert store.get(probable.break_id).status is CaseStatus.DISMISSED
    assert store.history(probable.break_id)[-1]["note"] == "two coffees"
    with pytest.raises(CorrectionStateConflict, match="Only an open one"):
        store.dismiss(probable.break_id, reason="again", by="operator:bob", at_ms=NOW_MS + 2)


def test_a_run_that_looked_earlier_judges_nothing_later(database: Database) -> None:
    """Fails when a slow run closes what a newer one has found, or reopens what a newer one has closed."""
    store, found = CaseStore(database), a_break()
    record(store, "first", found)
    assert record(store, "new", found, hours=2) == RunCounts(seen=1)
    assert record(store, "old", hours=1) == RunCounts()
    assert store.get(found.break_id).status is CaseStatus.OPEN
    record(store, "newer", hours=3)
    assert record(store, "old", found, hours=1) == RunCounts()
    assert store.get(found.break_id).status is CaseStatus.CLOSED


def test_what_a_run_did_not_look_at_stays_open(database: Database) -> None:
    store, found = CaseStore(database), a_break()
    record(store, "run_1", found)
    counts = record_run(store, "run_2", [], as_of_ms=NOW_MS + HOUR_MS, covers=lambda case: case.gateway != "bank")
    assert (counts, store.get(found.break_id).status) == (RunCounts(), CaseStatus.OPEN)


def test_a_case_whose_correction_was_claimed_is_not_closed_by_a_run_that_looked_before(database: Database) -> None:
    """Fails when the claim of a correction does not change the case: its refund may be on its way."""
    store, found = CaseStore(database), a_break()
    record(store, "run_1", found)
    claimed = correcting_writes(store.get(found.break_id), by="key_2", note="refund", at_ms=NOW_MS + HOUR_MS)
    database.write(claimed)
    assert record(store, "run_2", hours=1) == RunCounts(closed=1)
    record(store, "run_3", found, hours=2)
    database.write(correcting_writes(store.get(found.break_id), by="key_2", note="refund", at_ms=NOW_MS + 4 * HOUR_MS))
    assert record(store, "run_4", hours=3) == RunCounts()
    case = store.get(found.break_id)
    assert (case.status, store.history(found.break_id)[-1]["change"]) == (CaseStatus.OPEN, "correcting")


def test_no_correction_is_claimed_of_a_case_that_was_closed_meanwhile(database: Database) -> None:
    store, found = CaseStore(database), a_break()
    record(store, "run_1", found)
    writes = correcting_writes(store.get(found.break_id), by="key_2", note="refund", at_ms=NOW_MS + 1)
    record(store, "run_2", hours=1)
    with pytest.raises(WriteConflict):
        database.write(writes)


@pytest.mark.parametrize("database", ["memory", "dynamodb_local"], indirect=True)  # moto's transactions are not atomic
def test_of_many_who_change_a_case_at_once_one_does(database: Database) -> None:
    """Fails without the condition on the version: two workers would both have begun."""
    store, found = CaseStore(database), a_break()
    record(store, "run_1", found)
    case = store.get(found.break_id)
    results: list[str] = []
    barrier = threading.Barrier(8)

    def begin(number: int) -> None:
        barrier.wait()
        try:
            store.change(case, CaseChange.CORRECTING, by=f"key_{number}", at_ms=NOW_MS)
            results.append("done")
        except WriteConflict:
            results.append("conflict")

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["conflict"] * 7 + ["done"]
    assert [entry["change"] for entry in store.history(found.break_id)] == ["found", "correcting"]


def test_lists_are_by_urgency_and_a_merchants_are_its_own(database: Database) -> None:
    store = CaseStore(database)
    late = a_break("late", break_class=BreakClass.LATE_SETTLEMENT)
    other, nobodys = a_break("other", merchant_id="mer_2"), a_break("nobody", merchant_id=None)
    record(store, "run_1", late, other, nobodys, a_break())
    assert len(list(store.with_status(CaseStatus.OPEN))) == 4
    assert {case.subject[1] for case in store.of_merchant("mer_1", limit=9)[0]} == {"pay_1-1", "late"}
    assert [case.break_id for case in store.of_merchant("mer_2", limit=9)[0]] == [other.break_id]


def test_a_merchants_list_is_newest_first_and_goes_on_where_it_ended(database: Database) -> None:
    """Fails when the list is by urgency, or a page begins anew."""
    store = CaseStore(database)
    for number in range(5):
        late = a_break(f"r{number}", break_class=BreakClass.LATE_SETTLEMENT)
        record(store, f"run_{number}", late if number % 2 else a_break(f"r{number}"), hours=number)
    pages, after, more = [], None, True
    while more:
        cases, more = store.of_merchant("mer_1", limit=2, after=after)
        pages.append([case.subject[1] for case in cases])
        after = position_of(cases[-1])
    assert pages == [["r4", "r3"], ["r2", "r1"], ["r0"]]


def test_of_a_long_history_the_newest_is_shown(database: Database) -> None:
    """Fails when a case that was commented on often hides what was said last."""
    store, found = CaseStore(database), a_break()
    record(store, "run_1", found)
    for number in range(HISTORY_LIMIT + 1):
        store.comment(found.break_id, f"com_{number}", text=str(number), by="key_1", at_ms=NOW_MS + number)
    assert [entry["text"] for entry in store.comments(found.break_id)] == [
        str(number) for number in range(1, HISTORY_LIMIT + 1)
    ]


def test_comments_and_assignment(database: Database) -> None:
    store, found = CaseStore(database), a_break()
    with pytest.raises(NotFound):
        store.comment(found.break_id, "com_1", text="?", by="key_1", at_ms=NOW_MS)
    with pytest.raises(NotFound):
        store.assign(found.break_id, "anna", by="key_1", at_ms=NOW_MS)
    record(store, "run_1", found)
    store.comment(found.break_id, "com_1", text="The bank's file came twice.", by="key_1", at_ms=NOW_MS)
    store.comment(found.break_id, "com_1", text="again", by="key_1", at_ms=NOW_MS)
    assert store.assign(found.break_id, "anna", by="key_1", at_ms=NOW_MS + 1).assignee == "anna"
    last = store.history(found.break_id)[-1]
    assert (last["change"], last["by"], last["note"], last["at_ms"]) == ("assigned", "key_1", "to anna", NOW_MS + 1)
    assert store.comments(found.break_id) == [
        {
            "id": "com_1",
            "text": "The bank's file came twice.",
            "by": "key_1",
            "at_ms": NOW_MS,
            "visibility": "internal",
        }
    ]
    # A run that sees it again, and one that closes it, leave the assignment.
    record(store, "run_2", found, hours=1)
    record(store, "run_3", hours=2)
    assert store.get(found.break_id).assignee == "anna"


def test_a_file_is_remembered_once_whatever_its_name(database: Database) -> None:
    """Fails when a file's name, and not its content, decides whether it is new."""
    first = KnownFile(file_id="f" * 64, name="a.csv", file_format="camt", gateway=None, received_at_ms=NOW_MS)
    assert remember_file(database, first)
    assert not remember_file(database, replace(first, name="b.csv", received_at_ms=NOW_MS + 1))
    second = replace(first, file_id="e" * 64, gateway="bank", received_at_ms=NOW_MS + 1)
    assert remember_file(database, second)
    assert list(files_since(database, NOW_MS)) == [first, second]
    assert list(files_since(database, NOW_MS + 1)) == [second]


def test_the_chain_has_one_next_link(database: Database) -> None:
    """Fails when two runs that started from the same manifest both become its successor."""
    assert chain_head(database) == FIRST
    move_chain(database, previous=FIRST, manifest_hash="h1")
    with pytest.raises(WriteConflict):
        move_chain(database, previous=FIRST, manifest_hash="h1b")
    move_chain(database, previous="h1", manifest_hash="h2")
    with pytest.raises(WriteConflict):
        move_chain(database, previous="h1", manifest_hash="h2b")
    assert chain_head(database) == "h2"
