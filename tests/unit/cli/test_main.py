"""The operator's commands: what they refuse before they touch anything, and what they write."""

from __future__ import annotations

import csv
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli import audit, breaks, idempotency_keys
from payonce.cli import main as cli
from payonce.cli.support import shown, time_of
from payonce.idempotency.audit import AuditEntry, Transition
from payonce.idempotency.keys import record_id
from payonce.idempotency.window import LEASE_MARGIN_MS
from payonce.ports import Table
from payonce.reconciliation.cases.case_items import Visibility
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.recording import record_run
from payonce.reconciliation.model import Break, Evidence, Source
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.events import KEY, call
from tests.support.world import ScriptedGateway

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.wiring.application import Application

EXPORT = ("audit", "export", "--audit-table", "a")


@pytest.fixture
def run(application: Application, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command on the application in memory; return (exit code, standard output, standard error)."""
    for module in (idempotency_keys, audit, breaks):
        monkeypatch.setattr(module, "application_of", lambda *_: application)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def add_entries(application: Application, count: int) -> None:
    for number in range(count):
        application.audit_trail.add(
            AuditEntry(
                record_id=f"mer_{number % 2}#op#{number}",
                claim_id="c",
                fence=1,
                transition=Transition.CLAIMED,
                at_ms=1_800_000_000_000 + number,  # 2027-01-15 08:00 UTC
                status="INPROGRESS",
                reason="=1+1",
            )
        )


def test_an_export_is_whole_and_shows_progress(application: Application, run: Any, tmp_path: Path) -> None:
    add_entries(application, 1200)
    code, out, error = run(*EXPORT, "--from", "2027-01-15", "--to", "2027-01-16")
    assert code == 0
    assert len({json.loads(line)["entry_id"] for line in out.splitlines()}) == 1200
    assert "500 entries, at 2027-01-15 08:00:00 UTC" in error
    assert "1200 entries, from 2027-01-15 00:00:00 UTC to 2027-01-16 00:00:00 UTC" in error
    file = tmp_path / "trail.csv"
    code, out, _ = run(
        *EXPORT, "--from", "2027-01-15T09:00:00+01:00", "--to", "2027-01-15T08:00:01Z", "--merchant", "mer_1",
        "--format", "csv", "--output", str(file),
    )  # fmt: skip
    assert (code, out) == (0, "")
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == 500  # mer_1's of the first second
    assert {row["scope"] for row in rows} == {"mer_1"}
    assert {row["reason"] for row in rows} == {"'=1+1"}
    before = file.read_bytes()
    code, _, error = run(*EXPORT, "--from", "2027-01-15", "--to", "2027-01-16", "--output", str(file))
    assert code == 2
    assert "exists" in error
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        ("yesterday", "2027-01-16", "no time"),
        ("2027-01-16", "2027-01-16", "later"),
        ("2027-01-17", "2027-01-16", "later"),
    ],
)
def test_a_time_that_is_none_is_refused(run: Any, since: str, until: str, says: str) -> None:
    code, out, error = run(*EXPORT, "--from", since, "--to", until)
    assert (code, out) == (2, "")
    assert says in error


def test_a_time_without_a_zone_is_utc_wherever_the_operator_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the machine's own zone counts: two operators would export two different months."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        assert time_of("1970-01-01") == 0
        assert time_of("1970-01-01T01:00:00+01:00") == 0
        assert shown(1) == "1970-01-01 00:00:00 UTC"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_table_that_is_not_named_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a command goes on without a table, or touches another."""
    for table in Table:
        monkeypatch.delenv(f"PAYONCE_{table.name}_TABLE", raising=False)
    assert cli.main(["key", "show", "--merchant", "m", "--idempotency-table", "i", KEY]) == 2
    assert "its audit table with --audit-table or PAYONCE_AUDIT_TABLE." in capsys.readouterr().err


def test_a_key_that_is_none_is_not_there(run: Any) -> None:
    code, _, error = run("key", "show", "--merchant", "m", "schl\u00fcssel-0123456")
    assert code == 2
    assert "there is no such key" in error


def test_a_release_says_what_it_did_and_shows_in_the_history(application: Application, run: Any) -> None:
    gateway = application.gateway("bank")
    assert isinstance(gateway, ScriptedGateway)
    gateway.script = ["lost"]
    payment = json.loads(call(application, "create_payment")["body"])
    application.clock.ms += LEASE_MARGIN_MS  # type: ignore[attr-defined]  # on no machine's clock can its owner still send
    release = (
        "key", "release", "--merchant", "mer_1", "--operation", "create_payment", "--claim-id", payment["id"],
        "--fence", "1", "--operator", "ada", "--reason", "ticket 7", KEY,
    )  # fmt: skip
    code, out, error = run(*release)
    assert (code, out) == (2, "")
    assert "--checked-at-gateway" in error
    code, out, _ = run(*release, "--checked-at-gateway", "nothing", "--json")
    assert code == 0
    assert json.loads(out) == {"released": True, "operator": "ada", "at_ms": application.clock.now_ms()}
    assert application.store.get(record_id("mer_1", "create_payment", KEY)) is None
    code, out, _ = run("key", "show", "--merchant", "mer_1", "--operation", "create_payment", KEY)
    assert "state          released" in out
    assert "released    fence 1  operator:ada: ticket 7" in out
    stored = application.database._tables[Table.AUDIT].values()  # type: ignore[attr-defined]
    (item,) = [item for item in stored if "transition" in item]
    assert item["purge_at"] == application.clock.now_ms() // 1000 + 400 * 86_400


@pytest.mark.parametrize("missing", ["--operator", "--reason", "--claim-id", "--fence", "--operation", "--merchant"])
def test_a_release_needs_all_of_it(run: Any, missing: str) -> None:
    options = {
        "--merchant": "m", "--operation": "o", "--claim-id": "c", "--fence": "1", "--operator": "a", "--reason": "r",
    }  # fmt: skip
    del options[missing]
    with pytest.raises(SystemExit):
        run("key", "release", KEY, *(word for pair in options.items() for word in pair))


def add_breaks(application: Application, at_ms: int) -> list[str]:
    breaks = [
        Break(
            break_class=break_class,
            subject=("bank", reference),
            amount_minor=1050,
            currency="EUR",
            occurred_at_ms=at_ms,
            merchant_id=merchant_id,
            evidence=(Evidence(source=Source.GATEWAY, row_key="k", fields={"text": "=1+1", "cursor": "\x1b[2J"}),),
        )
        for break_class, reference, merchant_id in (
            (BreakClass.LATE_SETTLEMENT, "r1", "mer_1"),
            (BreakClass.DUPLICATE_CAPTURE, "r2", "mer_2"),
            (BreakClass.MISSING_IN_LEDGER, "r3", None),
        )
    ]
    record_run(CaseStore(application.database), "run_1", breaks, as_of_ms=at_ms, covers=lambda _case: True)
    return [each.break_id for each in breaks]


def test_breaks_are_listed_most_urgent_first_and_say_when_they_are_late(application: Application, run: Any) -> None:
    late, duplicate, missing = add_breaks(application, application.clock.now_ms() - 5 * 3_600_000)
    code, out, _ = run("breaks", "list", "--reconciliation-table", "r")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()[:2]} == {duplicate, missing}
    assert ["overdue" in line for line in out.splitlines()] == [True, True, False]
    _, out, _ = run("breaks", "list", "--merchant", "mer_1", "--class", "late_settlement")
    assert [line.split()[0] for line in out.splitlines()] == [late]
    _, out, _ = run("breaks", "list", "--limit", "1")
    assert len(out.splitlines()) == 2
    _, out, _ = run("breaks", "list", "--status", "closed")
    assert out == "no break is closed\n"


def test_a_break_is_shown_commented_and_assigned(application: Application, run: Any) -> None:
    """Fails when a report's text reaches the terminal as it is."""
    _, break_id, _ = add_breaks(application, application.clock.now_ms())
    assert run("breaks", "comment", break_id, "Asked the gateway.", "--operator", "anna")[0] == 0
    assert run("breaks", "assign", break_id, "anna", "--operator", "ben")[1] == "assigned to anna\n"
    code, out, _ = run("breaks", "show", break_id)
    assert code == 0
    assert "operator:anna: Asked the gateway." in out
    assert "found      run:run_1" in out
    assert "assigned   operator:ben to anna" in out
    assert "text='=1+1" in out
    assert "\x1b" not in out
    assert run("breaks", "assign", break_id, "", "--operator", "ben")[1] == "assigned to nobody\n"


def test_what_a_merchant_wrote_moves_no_cursor_and_who_reads_a_comment_is_said(
    application: Application, run: Any
) -> None:
    """Fails when a comment's text reaches the terminal as it is, or an internal one becomes the merchant's."""
    _, break_id, _ = add_breaks(application, application.clock.now_ms())
    store, at_ms = CaseStore(application.database), application.clock.now_ms()
    store.comment(break_id, "com_1", text="\u202egnorw", by="key_1", at_ms=at_ms, visibility=Visibility.MERCHANT)
    run("breaks", "comment", break_id, "Under review.", "--operator", "anna")
    run("breaks", "comment", break_id, "We are looking.", "--operator", "anna", "--for-merchant")
    _, out, _ = run("breaks", "show", break_id)
    assert "key_1 (the merchant reads it): '\\u202egnorw'" in out
    assert "operator:anna: Under review." in out
    assert "operator:anna (the merchant reads it): We are looking." in out
    assert "\u202e" not in out


def test_why_a_break_arose_is_looked_up_where_its_run_did_not(
    application: Application, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the tables are needed to show a break, or a break's why is asked of what has no part in it."""
    late, _, missing = add_breaks(application, application.clock.now_ms())
    _, out, _ = run("breaks", "show", missing)
    assert "why        not looked up; name the tables idempotency, audit, payments, outbox to do it now" in out
    for table in breaks.WHY_TABLES:
        monkeypatch.setenv(f"PAYONCE_{table.name}_TABLE", "t")
    _, out, _ = run("breaks", "show", missing)
    assert "why        never_submitted: It bears no reference of payonce" in out
    _, out, _ = run("breaks", "show", late)
    assert "why        -\n" in out


def test_a_break_that_is_not_there_is_said(run: Any) -> None:
    code, _, error = run("breaks", "show", "brk_0")
    assert (code, error) == (2, "There is no break brk_0.\n")
