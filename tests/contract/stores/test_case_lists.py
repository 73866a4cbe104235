"""Lists of cases, corrections, runs, files and uploads, page by page, on every database: where a page goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.corrections.correction_lists import corrections_page
from payonce.corrections.record import CorrectionStatus, Identity
from payonce.ports import Insert, Table
from payonce.reconciliation.cases.case import CaseChange, CaseStatus, opened
from payonce.reconciliation.cases.case_items import case_writes, position_of, run_change, urgency_of
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.runs.files import KnownFile, list_files, remember_file
from payonce.reconciliation.runs.run_log import RUNS_PARTITION, cases_of_run, list_runs
from payonce.reconciliation.runs.uploads import (
    Upload,
    UploadState,
    list_refusals,
    list_uploads,
    remember_refusal,
    remember_upload,
)
from tests.support.breaks import break_of, store_proposal

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case

NOW_MS = 1_800_000_000_000
COUNT = 7


def some_cases(database: Database) -> list[Case]:
    cases = []
    for number in range(COUNT):
        case = opened(break_of("mer_1", f"pay_{number:026d}"), run_id="run_1", at_ms=NOW_MS + number)
        case = replace(case, break_id=f"brk_{number:064x}")
        database.write(case_writes(None, case, CaseChange.FOUND, by="run:run_1", note=None))
        cases.append(case)
    return cases


def paged[Row, Place](page_from: Callable[[Place | None], tuple[list[Row], Place | None]]) -> list[Row]:
    """Return the rows of all pages. Fails for a list that does not end."""
    rows: list[Row] = []
    place: Place | None = None
    for _ in range(COUNT + 2):
        found, place = page_from(place)
        rows += found
        if place is None:
            return rows
    raise AssertionError("the list does not end")


@pytest.mark.parametrize("reversed_", [False, True])
def test_cases_by_urgency_and_of_a_merchant_join_without_gap_or_overlap(database: Database, reversed_: bool) -> None:
    cases, store = some_cases(database), CaseStore(database)

    def urgent(after: str | None) -> tuple[list[Case], str | None]:
        found, more = store.by_urgency(CaseStatus.OPEN, limit=2, after=after, latest_first=reversed_)
        return found, urgency_of(found[-1]) if more and found else None

    def own(after: str | None) -> tuple[list[Case], str | None]:
        found, more = store.of_merchant("mer_1", limit=2, after=after, oldest_first=not reversed_)
        return found, position_of(found[-1]) if more and found else None

    expected = cases[::-1] if reversed_ else cases
    assert paged(urgent) == expected
    assert paged(own) == expected
    assert store.of_ids([case.break_id for case in cases[:3]] + ["brk_x"]) == {
        case.break_id: case for case in cases[:3]
    }
    assert store.of_ids([]) == {}


def test_corrections_that_await_approval_join_without_gap_or_overlap(database: Database) -> None:
    cases = some_cases(database)
    stored = [store_proposal(database, case, expires_at_ms=NOW_MS + number) for number, case in enumerate(cases)]

    def page(after: str | None) -> tuple[list[str], str | None]:
        of_id = {case.break_id: case for case in cases}
        last = None if after is None else of_id[after.partition("#")[2]]
        start = (
            None
            if after is None or last is None
            else (after, Identity(last.merchant_id or "", last.payment_id or "", last.break_id))
        )
        found, position = corrections_page(database, CorrectionStatus.AWAITING_APPROVAL, limit=2, after=start)
        return [each.break_id for each in found], position

    assert paged(page) == [each.break_id for each in stored]


def test_runs_and_what_they_changed_join_without_gap_or_overlap(database: Database) -> None:
    numbers = dict.fromkeys(
        ("as_of_ms", "seconds", "files", "rows", "breaks", "opened", "reopened", "closed", "notices"), 0
    )
    for number in range(COUNT):
        run = {**numbers, "run_id": f"run_{number}", "policy_refused": False}
        key = {"pk": RUNS_PARTITION, "sk": f"{number:013d}#run_{number}"}
        database.write([Insert(Table.RECONCILIATION, {**run, **key})])
        database.write([run_change("run_1", f"brk_{number}", CaseChange.FOUND)])
    runs = paged(lambda before: list_runs(database, limit=2, before=before))
    assert [run.run_id for run in runs] == [f"run_{number}" for number in reversed(range(COUNT))]
    changed = paged(lambda after: cases_of_run(database, "run_1", limit=2, after=after))
    assert changed == [(f"brk_{number}", CaseChange.FOUND) for number in range(COUNT)]


def test_files_and_uploads_are_listed_newest_first(database: Database) -> None:
    for number in range(COUNT):
        file_id = f"{number:064x}"
        remember_file(
            database,
            KnownFile(
                file_id=file_id, name=f"n{number}", file_format="camt", gateway=None, received_at_ms=NOW_MS + number
            ),
        )
        upload = Upload(
            file_id=file_id if number % 2 else f"{number + 100:064x}",
            name=f"u{number}",
            state=UploadState.READABLE,
            size_bytes=1,
            line_count=1,
            wrong_count=0,
            uploaded_by="operator:ann",
            uploaded_at_ms=NOW_MS + number,
        )
        assert remember_upload(database, upload) == upload
        assert remember_upload(database, replace(upload, uploaded_at_ms=NOW_MS + 99)) == upload
        remember_refusal(database, f"n{number}", "why", NOW_MS + number)
    newest_first = [f"n{number}" for number in reversed(range(COUNT))]
    assert [file.name for file in paged(lambda before: list_files(database, limit=2, before=before))] == newest_first
    uploads = list_uploads(database, limit=4)
    assert [(upload.name, known is not None) for upload, known in uploads] == [
        ("u6", False),
        ("u5", True),
        ("u4", False),
        ("u3", True),
    ]
    assert [one.name for one in list_refusals(database, limit=3)] == newest_first[:3]
