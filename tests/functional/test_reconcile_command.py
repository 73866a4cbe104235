"""``payonce reconcile`` as a process of its own, with the real engine, on the example of the documentation."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = REPOSITORY / "docs" / "examples" / "reconciliation"
# What was planted, by hand, where the files were made: class and reference.
PLANTED = {
    ("missing_in_gateway", "ref_0007"),
    ("missing_in_ledger", "ref_0012"),
    ("duplicate_capture", "ref_0015"),
    ("amount_mismatch", "ref_0018"),
    ("fee_mismatch", "ref_0023"),
    ("late_settlement", "ref_0027"),
    ("status_mismatch", "ref_0031"),
    ("orphan_refund", "ref_r02"),
    ("dispute_open", "ref_0033"),
}
TRANSACTION_CLASSES = {name for name, _ in PLANTED}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "example")
    return tmp_path / "example"


def reconcile(folder: Path, *arguments: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {
        "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"),
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "COLUMNS": "100",
    }
    module = python or ("-m", "payonce.cli")
    command = [sys.executable, *module, "reconcile", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


ORDER = ("acquirer.csv", "bank.csv", "--ledger", "ledger.csv", "--gateway", "acquirer", "--policy", "policy.toml")


def test_the_example_shows_what_was_planted_and_nothing_else(folder: Path) -> None:
    """Fails when a planted fault is missed or called something else, or the same files give another report."""
    outputs = ("--as-of", "2026-03-10", "--report", "r.html", "--json", "r.json")
    done = reconcile(folder, *ORDER, *outputs)
    assert done.returncode == 1, done.stderr
    document = json.loads((folder / "r.json").read_text())
    found = [(one["break_class"], one["subject"][1]) for one in document["breaks"]]
    assert sorted(one for one in found if one[0] in TRANSACTION_CLASSES) == sorted(PLANTED)
    assert all(one["holds"] for one in document["conservation"])
    assert "duplicate_capture" in done.stdout
    assert document["digest"] in done.stdout
    page = (folder / "r.html").read_bytes()
    again = reconcile(
        folder, "bank.csv", *ORDER[:1], *ORDER[2:], *outputs[:2], "--report", "again.html", "--json", "r2.json"
    )
    assert again.returncode == 1
    assert json.loads((folder / "r2.json").read_text())["breaks"] == document["breaks"]
    assert reconcile(folder, *ORDER, *outputs[:2], "--report", "again.html").returncode == 1
    assert (folder / "again.html").read_bytes() == page


def test_the_documentation_shows_what_the_command_really_says(folder: Path) -> None:
    """Fails when the output in docs/reconciliation.md is not the command's."""
    text = (REPOSITORY / "docs" / "reconciliation.md").read_text()
    shown = re.search(r"<!-- the output -->\n```text\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    done = reconcile(folder, *ORDER, "--as-of", "2026-03-10")
    assert [line.rstrip() for line in done.stdout.splitlines()] == shown[1].splitlines()


def test_files_that_agree_give_zero(folder: Path) -> None:
    (folder / "l.csv").write_text(
        "entry_id,merchant_id,payment_id,gateway,kind,state,reference,amount_minor,currency,booked_at\n"
        "e1,m1,p1,bank,charge,booked,pay_1,10000,EUR,2026-03-01T09:30:00Z\n1,,,,total,,,10000,EUR,\n"
    )
    (folder / "g.csv").write_text(
        "kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id\n"
        "charge,t1,pay_1,100.00,1.75,98.25,EUR,2026-03-01T10:30:00+01:00,2026-03-03T00:00:00Z,\n"
        "total,1,,100.00,1.75,98.25,EUR,,,\n"
    )
    done = reconcile(folder, "--ledger", "l.csv", "--gateway", "bank=g.csv", "--manifest", "chain.jsonl")
    assert done.returncode == 0, done.stderr
    assert "No breaks" in done.stdout
    again = reconcile(folder, "g.csv", "g.csv", "--ledger", "l.csv", "--gateway", "bank", "--manifest", "chain.jsonl")
    assert again.returncode == 0
    assert "g.csv: the same file as g.csv; read once" in again.stderr
    first, second = (json.loads(line) for line in (folder / "chain.jsonl").read_text().splitlines())
    assert first["digest"] == second["digest"]
    assert f"manifest {second['previous']}" in done.stdout


def test_two_keys_for_one_sale_are_a_break_and_its_window_is_told(folder: Path) -> None:
    """Fails when the command looks for what the rules see alone."""
    (folder / "l.csv").write_text(
        "entry_id,merchant_id,payment_id,gateway,kind,state,reference,amount_minor,currency,booked_at,"
        "gateway_payment_id,payer\n"
        "e1,m1,p1,bank,charge,booked,pay_1,10000,EUR,2026-03-01T09:30:00Z,ch_1,pm_1\n"
        "e2,m1,p2,bank,charge,booked,pay_2,10000,EUR,2026-03-01T09:30:07Z,ch_2,pm_1\n"
        "2,,,,total,,,20000,EUR,,,\n"
    )
    (folder / "g.csv").write_text(
        "kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id\n"
        "charge,t1,pay_1,100.00,1.75,98.25,EUR,2026-03-01T09:30:00Z,2026-03-03T00:00:00Z,\n"
        "charge,t2,pay_2,100.00,1.75,98.25,EUR,2026-03-01T09:30:07Z,2026-03-03T00:00:00Z,\n"
        "total,2,,200.00,3.50,196.50,EUR,,,\n"
    )
    done = reconcile(folder, "--ledger", "l.csv", "--gateway", "bank=g.csv", "--json", "r.json", "--report", "r.html")
    assert done.returncode == 1, done.stderr
    document = json.loads((folder / "r.json").read_text())
    (found,) = document["breaks"]
    assert (found["break_class"], found["surplus_gateway_payment_id"]) == ("double_charge", "ch_2")
    assert {one["source"]: one["rows"]["matched"] for one in document["conservation"]} == {"ledger": 2, "gateway": 2}
    assert document["anomalies"]["calibrations"][0]["window_seconds"] == 30
    assert "m1        30 s    too little history" in done.stdout
    assert "two keys charged the same payer the same amount 7 s apart" in (folder / "r.html").read_text()


def test_one_refused_file_and_nothing_is_reconciled(folder: Path) -> None:
    """Fails when the other files are reconciled all the same, or only the first wrong file is named."""
    (folder / "acquirer.csv").write_text((folder / "acquirer.csv").read_text().replace("txn_0002", "", 1))
    (folder / "bank.csv").write_text((folder / "bank.csv").read_text().replace("2026-03-04", "4 March", 1))
    done = reconcile(folder, *ORDER, "--report", "r.html", "--json", "r.json", "--manifest", "chain.jsonl")
    assert done.returncode == 2
    assert re.search(r"acquirer\.csv: line \d+, transaction_id: ", done.stderr)
    assert re.search(r"bank\.csv: line \d+, booking_date: ", done.stderr)
    assert "Nothing was reconciled." in done.stderr
    assert done.stdout == ""
    assert not [path for path in folder.iterdir() if path.name in ("r.html", "r.json", "chain.jsonl")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("acquirer.csv", "--ledger", "ledger.csv"), "--gateway NAME=acquirer.csv"),
        (("--ledger", "ledger.csv"), "at least one gateway report or bank statement"),
        (("none.csv", "--ledger", "ledger.csv"), "none.csv: the file can't be read"),
        (("bank.csv", "--ledger", "bank.csv"), "bank.csv: line 1: the header lacks"),
        ((*ORDER, "--report", "ledger.csv"), "--report ledger.csv: this file is read by the run"),
        ((*ORDER, "--report", "x", "--json", "x"), "--json x: this file is read by the run or written twice"),
        ((*ORDER, "--report", "none/r.html"), "--report none/r.html: it can't be written there"),
        ((*ORDER, "--as-of", "soon"), "'soon' is no time"),
        ((*ORDER, "--gateway", "other"), "only one name can be that of all files"),
        ((*ORDER, "--gateway", "=acquirer.csv"), "write NAME or NAME=FILE"),
        (("--ledger", "ledger.csv", "--gateway", "a=acquirer.csv", "--gateway", "b=acquirer.csv"), "already named a's"),
    ],
)
def test_what_is_refused_says_why(arguments: tuple[str, ...], says: str, folder: Path) -> None:
    before = (folder / "ledger.csv").read_bytes()
    done = reconcile(folder, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "ledger.csv").read_bytes() == before


def test_a_gateway_that_the_ledger_does_not_know_is_said(folder: Path) -> None:
    done = reconcile(folder, "--ledger", "ledger.csv", "--gateway", "acquire=acquirer.csv")
    assert "no rows of a gateway 'acquire'; it has acquirer" in done.stderr


@pytest.mark.parametrize("package", ["duckdb", "rich", "matplotlib", "jinja2"])
def test_a_missing_package_is_said_before_anything_is_read(package: str, folder: Path) -> None:
    """Fails when a package is first asked for after the run, and is a traceback then."""
    code = f"import sys; sys.modules[{package!r}] = None; from payonce.cli import main; sys.exit(main.main())"
    done = reconcile(folder, *ORDER, "--report", "r.html", python=("-c", code))
    assert done.returncode == 2
    assert "requirements/reconcile.txt" in done.stderr
    assert package in done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_report_needs_matplotlib(folder: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None; from payonce.cli import main; sys.exit(main.main())"
    assert reconcile(folder, *ORDER, python=("-c", code)).returncode == 1


def test_a_row_that_the_engine_never_got_is_noticed(folder: Path) -> None:
    """Fails when the command trusts the engine's own count: then this run reports a break that there is not."""
    code = """
import sys
from payonce.cli import main as cli
from payonce.engines.duckdb_engine import DuckDbWorkspace
whole = DuckDbWorkspace.add_ledger
DuckDbWorkspace.add_ledger = lambda self, rows: whole(self, list(rows)[1:])
sys.exit(cli.main(sys.argv[1:]))
"""
    done = reconcile(folder, *ORDER, "--json", "r.json", "--manifest", "chain.jsonl", python=("-c", code))
    assert done.returncode == 2
    assert "Conservation failed" in done.stderr
    assert not (folder / "r.json").exists()
    assert not (folder / "chain.jsonl").exists()
