"""``payonce breaks match``, ``unmatch``, ``matches``: in a file beside the policy, and on the stack."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli import main as cli
from payonce.cli import matches
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.manual import RowRef
from payonce.reconciliation.model import Evidence, Source
from payonce.reconciliation.runs.match_log import read_match_log
from payonce.reconciliation.taxonomy import BreakClass
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_files import MemoryFiles
from payonce.stores.memory_queue import MemoryQueue
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.breaks import store_break
from tests.support.stream import StreamingDatabase
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = (f"brk_{number:064x}" for number in (1, 2))
PAIR = (RowRef("gateway", "acquirer|t9"), RowRef("ledger", "je_7"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run a command in an empty folder; return (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["breaks", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def a_run(folder: Path) -> Path:
    """Write the JSON of a run with two breaks and an open item."""
    breaks = [
        {"break_id": ONE, "break_class": "missing_in_gateway", "subject": ["acquirer", "r7"]},
        {"break_id": OTHER, "break_class": "missing_in_ledger", "subject": ["acquirer", "r9"]},
    ]
    for one, (source, key) in zip(breaks, (("ledger", "je_7"), ("gateway", "acquirer|t9")), strict=True):
        one["evidence"] = [{"source": source, "row_key": key, "fields": {}}]  # type: ignore[assignment]
    items = [
        {"source": "bank", "row_key": "ab" * 32},
        {"source": "bank", "row_key": "je_1"},
        {"source": "ledger", "row_key": "je_1"},
    ]
    file = folder / "out.json"
    file.write_text(json.dumps({"breaks": breaks, "open_items": items}))
    return file


def test_breaks_of_a_run_are_matched_in_a_file(run: Any, tmp_path: Path) -> None:
    """Fails when a break stands for other rows than its own, or who decided is not written as for approvals."""
    a_run(tmp_path)
    named = ("--decisions", "d.jsonl", "--reason", "one order")
    code, out, err = run("match", ONE, OTHER, *named, "--run", "out.json", "--by", "ＡＮＮＡ ")
    assert (code, err) == (0, "")
    [made] = read_match_log(tmp_path / "d.jsonl").in_force
    assert (made.rows, made.by, made.reason, made.accept_difference) == (PAIR, "operator:anna", "one order", False)
    assert made.match_id in out
    listed = run("matches", "--decisions", "d.jsonl")[1]
    assert all(text in listed for text in (made.match_id, "operator:anna", "one order", *map(str, PAIR)))

    again = run("match", "ledger:je_7", "bank:x", *named, "--by", "ben")
    assert again[0] == 2
    assert f"ledger:je_7 belongs to the match {made.match_id}" in again[2]
    assert len((tmp_path / "d.jsonl").read_bytes().splitlines()) == 1

    undone = run("unmatch", made.match_id, "--decisions", "d.jsonl", "--reason", "two orders", "--by", "ben")
    assert undone[0] == 0
    assert "no match is in force" in run("matches", "--decisions", "d.jsonl")[1]
    assert run("unmatch", made.match_id, "--decisions", "d.jsonl", "--reason", "again", "--by", "ben")[0] == 2
    assert run("match", *map(str, PAIR), *named, "--accept-difference", "--by", "ben")[0] == 0
    assert read_match_log(tmp_path / "d.jsonl").in_force[0].accept_difference


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((ONE, "ledger:e1"), "is no row such as ledger:KEY"),
        (("ledger:e1", "ledger:e1"), "a match is of 2 to 50 rows"),
        ((ONE, "--run", "none.json"), "can't be read"),
        ((ONE, "--run", "wrong.json"), "it is not what payonce reconcile --json writes"),
        (("brk_3", OTHER, "--run", "out.json"), "has no break and no row brk_3"),
        (("je_1", OTHER, "--run", "out.json"), "je_1 is several rows: bank:je_1, ledger:je_1"),
        (("ledger:e1", "ledger:e2", "--by", "a\u0430"), "mixes"),
    ],
)
def test_what_can_not_be_matched_is_refused_and_nothing_is_written(
    arguments: tuple[str, ...], says: str, run: Any, tmp_path: Path
) -> None:
    """Fails for each refusal that is missing."""
    a_run(tmp_path)
    (tmp_path / "wrong.json").write_text('{"breaks": [1]}')
    code, _, err = run("match", *arguments, "--decisions", "d.jsonl", "--reason", "x")
    assert code == 2
    assert says.lower() in err.lower()
    assert not (tmp_path / "d.jsonl").exists()


def test_a_key_alone_is_enough_where_the_run_has_one_row_of_it(run: Any, tmp_path: Path) -> None:
    a_run(tmp_path)
    options = ("--run", "out.json", "--decisions", "d.jsonl", "--reason", "x")
    assert run("match", "ab" * 32, "je_7", *options)[0] == 0
    assert read_match_log(tmp_path / "d.jsonl").in_force[0].rows == (RowRef("bank", "ab" * 32), PAIR[1])


def test_with_a_file_no_stack_is_asked(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the variable of a stack makes an offline decision depend on AWS."""
    monkeypatch.setenv("PAYONCE_STACK", "production")
    assert run("match", *map(str, PAIR), "--decisions", "d.jsonl", "--reason", "x")[0] == 0


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    """The wired application in memory, which the commands act on."""
    clock = ManualClock()
    made = Application(
        load_settings({}),
        clock=clock,
        database=StreamingDatabase(clock),
        gateways={"bank": ScriptedGateway(clock)},
        cipher=MemoryCipher(clock, os.urandom),
        delivery_queue=MemoryQueue(),
        workflows=MemoryWorkflows(),
        files=MemoryFiles(),
    )
    monkeypatch.setattr(matches, "application_of", lambda *_: made)
    return made


def test_an_operator_matches_on_the_stack_and_it_is_in_the_audit_trail(run: Any, application: Application) -> None:
    """Fails when a decision is made that the audit trail does not attribute, or a row's key can't be named."""
    evidence = (Evidence(source=Source.GATEWAY, row_key="acquirer|t9", fields={}),)
    now_ms = application.clock.now_ms()
    store_break(
        application.database,
        None,
        ONE,
        now_ms,
        break_class=BreakClass.MISSING_IN_LEDGER,
        subject=("acquirer", "r9"),
        evidence=evidence,
    )
    code, out, _ = run("match", ONE, "ledger:je_7", "--reason", "one order", "--by", "Anna")
    assert code == 0
    [made] = application.matches.in_force()
    assert (made.rows, made.by) == (PAIR, "operator:anna")
    assert made.match_id in out
    assert made.match_id in run("matches")[1]
    refused = run("match", ONE, "ledger:je_8", "--reason", "x", "--by", "ben")
    assert refused[0] == 2
    assert f"is in the match {made.match_id}" in refused[2]
    assert "belongs to the match" in run("match", "bank:x", "ledger:je_7", "--reason", "x", "--by", "ben")[2]
    assert run("unmatch", made.match_id, "--reason", "two orders", "--by", "ben")[0] == 0
    assert "taken back already" in run("unmatch", made.match_id, "--reason", "two", "--by", "ben")[2]
    assert application.matches.in_force() == ()
    entries = application.audit_trail.entries(from_ms=0, until_ms=now_ms + 1, scope="operator")
    told = [(one.principal, one.record_id.split("#")[1], one.reason) for one in entries]
    # The clock stands still: their order says nothing.
    assert sorted(told) == [
        ("operator:anna", "match_rows", "one order"),
        ("operator:ben", "unmatch_rows", "two orders"),
    ]
    changes = [entry["change"] for entry in CaseStore(application.database).history(ONE)]
    assert changes == ["found", "matched", "unmatched"]
