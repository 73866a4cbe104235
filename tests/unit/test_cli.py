"""The operator's commands: what they refuse before they touch anything, and what they write."""

from __future__ import annotations

import csv
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from payonce import cli, cli_audit, cli_keys
from payonce.cli_support import shown, time_of
from payonce.idempotency.audit import AuditEntry, Transition
from payonce.idempotency.keys import record_id
from payonce.ports import Table
from tests.support.events import KEY, call
from tests.support.world import ScriptedGateway

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.bootstrap import Application

EXPORT = ("audit", "export", "--audit-table", "a")


@pytest.fixture
def run(application: Application, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command on the application in memory; return (exit code, standard output, standard error)."""
    for module in (cli_keys, cli_audit):
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
    assert "Name the audit table with --audit-table or PAYONCE_AUDIT_TABLE." in capsys.readouterr().err


def test_a_key_that_is_none_is_not_there(run: Any) -> None:
    code, _, error = run("key", "show", "--merchant", "m", "schl\u00fcssel-0123456")
    assert code == 2
    assert "there is no such key" in error


def test_a_release_says_what_it_did_and_shows_in_the_history(application: Application, run: Any) -> None:
    gateway = application.gateway("bank")
    assert isinstance(gateway, ScriptedGateway)
    gateway.script = ["lost"]
    payment = json.loads(call(application, "create_payment")["body"])
    release = (
        "key", "release", "--merchant", "mer_1", "--operation", "create_payment", "--claim-id", payment["id"],
        "--fence", "1", "--operator", "ada", "--reason", "ticket 7", KEY,
    )  # fmt: skip
    code, out, error = run(*release)
    assert (code, out) == (2, "")
    assert "--checked-at-gateway" in error
    code, out, _ = run(*release, "--checked-at-gateway", "nothing")
    assert code == 0
    assert "released by ada" in out
    assert application.store.get(record_id("mer_1", "create_payment", KEY)) is None
    code, out, _ = run("key", "show", "--merchant", "mer_1", "--operation", "create_payment", KEY)
    assert "state          released" in out
    assert "released    fence 1  operator:ada: ticket 7" in out
    (item,) = application.database._tables[Table.AUDIT].values()  # type: ignore[attr-defined]
    assert item["purge_at"] == application.clock.now_ms() // 1000 + 400 * 86_400


@pytest.mark.parametrize("missing", ["--operator", "--reason", "--claim-id", "--fence", "--operation", "--merchant"])
def test_a_release_needs_all_of_it(run: Any, missing: str) -> None:
    options = {
        "--merchant": "m", "--operation": "o", "--claim-id": "c", "--fence": "1", "--operator": "a", "--reason": "r",
    }  # fmt: skip
    del options[missing]
    with pytest.raises(SystemExit):
        run("key", "release", KEY, *(word for pair in options.items() for word in pair))
