"""The function that reconciles, fed with events/: S3 and DynamoDB are moto's, DuckDB is real."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from payonce.domain.errors import ConservationViolated, MisconfiguredError
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.wiring.reconciliation import BUCKET_VARIABLE, ReconciliationApplication
from tests.functional.conftest import load_handler
from tests.support.aws import REGION, REPOSITORY
from tests.support.events import Context
from tests.unit.reconciliation.test_inbox import REPORT

if TYPE_CHECKING:
    from payonce.wiring.application import Application

BUCKET = "reports"


@pytest.fixture
def reconciling(application: Application, monkeypatch: pytest.MonkeyPatch) -> ReconciliationApplication:
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    monkeypatch.setenv(BUCKET_VARIABLE, BUCKET)
    return ReconciliationApplication(application.settings, clock=application.clock, database=application.database)


@pytest.fixture
def run(reconciling: ReconciliationApplication, application: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("payonce.wiring.reconciliation.bootstrap_reconciliation", lambda: reconciling)
    handler = load_handler("reconcile", application, monkeypatch)

    def invoke(case: str) -> Any:
        event = json.loads((REPOSITORY / "events" / "reconcile" / f"{case}.json").read_text())
        return json.loads(json.dumps(handler(event, Context())))

    return invoke


def put(key: str, data: bytes) -> None:
    boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key=key, Body=data)


def test_a_report_is_accepted_compared_and_known_the_second_time(
    run: Any, reconciling: ReconciliationApplication
) -> None:
    """Fails when a key with a blank is looked up as the event spells it, or a repeated event opens a second case."""
    put("incoming/gateway/bank/24 November.csv", REPORT)
    answer = run("report")
    assert [file["state"] for file in answer["accepted"]] == ["accepted"]
    assert (answer["run"]["files"], answer["run"]["opened"]) == (1, 1)
    (case,) = CaseStore(reconciling.database).with_status(CaseStatus.OPEN)
    assert (case.break_class.value, case.subject[:2], case.amount_minor) == (
        "missing_in_ledger",
        ("bank", "pay_1"),
        10000,
    )
    again = run("report")
    assert ([file["state"] for file in again["accepted"]], again["run"]["opened"]) == (["known"], 0)


def test_a_file_in_the_wrong_place_is_refused_and_starts_no_run(run: Any) -> None:
    put("incoming/notes.txt", b"hello")
    answer = run("wrong_folder")
    assert (answer["accepted"], answer["run"]) == ([], None)
    assert "incoming/bank/" in answer["refused"][0]["reason"]


def test_the_daily_run_needs_no_file(run: Any) -> None:
    answer = run("scheduled")
    assert (answer["run"]["files"], answer["run"]["breaks"], len(answer["run"]["digest"])) == (0, 0, 64)


def test_a_policy_is_judged_by_at_once_and_one_with_a_mistake_is_said(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a policy waits for the next file, or its mistake is not in the log that the alarm looks at."""
    put("policy/run.toml", b"in_transit_hours = 48\n")
    answer = run("policy")
    assert (answer["accepted"][0]["state"], len(answer["run"]["policy_id"])) == ("policy", 64)
    put("policy/run.toml", b"in_transit_hour = 1\n")
    answer = run("policy")
    assert "in_transit_hour: there is no such setting" in answer["run"]["policy_refused"]
    assert len(answer["run"]["policy_id"]) == 64
    assert [record.message for record in caplog.records].count("policy refused") == 1


def test_a_run_that_does_not_add_up_is_said_and_touches_no_case(
    run: Any, reconciling: ReconciliationApplication, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a violation is only one of many errors: its alarm reads this message."""

    def lost(*_: object, **__: object) -> None:
        raise ConservationViolated("gateway rows in EUR: (2, 200) went in and (1, 100) came out")

    monkeypatch.setattr("payonce.engines.duckdb_engine.DuckDbWorkspace.run", lost)
    put("incoming/gateway/bank/24 November.csv", REPORT)
    with pytest.raises(ConservationViolated):
        run("report")
    (record,) = [record for record in caplog.records if record.message == "conservation violated"]
    assert "went in" in record.reason
    assert list(CaseStore(reconciling.database).with_status(CaseStatus.OPEN)) == []


def test_an_event_that_is_tried_again_is_the_same_run(
    reconciling: ReconciliationApplication, application: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when each attempt is a run of its own: then none of them counts what the others opened."""
    monkeypatch.setattr("payonce.wiring.reconciliation.bootstrap_reconciliation", lambda: reconciling)
    handler = load_handler("reconcile", application, monkeypatch)
    event = json.loads((REPOSITORY / "events" / "reconcile" / "report.json").read_text())
    put("incoming/gateway/bank/24 November.csv", REPORT)
    context = Context()
    first, second = handler(event, context)["run"], handler(event, context)["run"]
    assert (second["run_id"], second["opened"]) == (first["run_id"], 1)
    third = handler(event, Context())["run"]
    assert (third["opened"], third["run_id"] == first["run_id"]) == (0, False)


def test_without_a_bucket_it_says_which_variable(
    reconciling: ReconciliationApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BUCKET_VARIABLE)
    with pytest.raises(MisconfiguredError, match=BUCKET_VARIABLE):
        _ = reconciling.files


def test_a_refused_file_is_listed_for_people(run: Any, reconciling: ReconciliationApplication) -> None:
    """Fails when why a file is missing can only be read in a log."""
    from payonce.reconciliation.runs.uploads import list_refusals

    put("incoming/notes.txt", b"hello")
    run("wrong_folder")
    refused = list_refusals(reconciling.database, limit=10)
    assert [(one.name, "incoming/bank/" in one.reason) for one in refused] == [("incoming/notes.txt", True)]
