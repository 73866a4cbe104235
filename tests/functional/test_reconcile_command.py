"""``payonce reconcile`` as a process of its own, with the real engine, on the example of the documentation."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal
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


def test_the_run_goes_on_without_a_refused_file_and_names_it_first(folder: Path) -> None:
    """Fails when one bad file loses the run, or the run that lacks one looks like a whole one."""
    (folder / "bad.csv").write_text((folder / "bank.csv").read_text().replace("2026-03-04", "4 March", 1))
    arguments = ("bad.csv", *ORDER, "--as-of", "2026-03-10", "--json", "r.json", "--report", "r.html")
    assert reconcile(folder, *arguments).returncode == 2
    done = reconcile(folder, *arguments, "--skip-refused")
    assert done.returncode == 1, done.stderr
    assert re.match(r"Left out: bad\.csv: line \d+, booking_date: '4 March' is not a date", done.stdout)
    document = json.loads((folder / "r.json").read_text())
    assert [one["name"] for one in document["refused"]] == ["bad.csv"]
    assert list(document)[:2] == ["version", "refused"]
    assert {one["break_class"] for one in document["breaks"]} >= TRANSACTION_CLASSES
    page = (folder / "r.html").read_text()
    assert page.index("Left out: bad.csv") < page.index("breaks: each needs somebody")


@pytest.mark.parametrize("wrong", ["ledger.csv", "all"])
def test_without_the_ledger_or_any_report_there_is_no_run_to_go_on_with(wrong: str, folder: Path) -> None:
    """Fails when everything is missing because nothing was read."""
    for name in ("acquirer.csv", "bank.csv") if wrong == "all" else (wrong,):
        (folder / name).write_text("broken")
    done = reconcile(folder, *ORDER, "--skip-refused")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Nothing was reconciled." in done.stderr


def test_a_file_that_does_not_prove_itself_is_read_and_said_or_refused(folder: Path) -> None:
    """Fails when the mark is not in every form of the report, or --strict takes such a file."""
    text = (folder / "bank.csv").read_text()
    closing = next(line for line in text.splitlines() if line.startswith("closing"))
    cells = closing.split(",")
    cells[5] = "1.23"
    (folder / "bank.csv").write_text(text.replace(closing, ",".join(cells)))
    done = reconcile(folder, *ORDER, "--as-of", "2026-03-10", "--json", "r.json", "--report", "r.html")
    assert done.returncode == 1, done.stderr
    assert "Unproved: these files may lack lines" in done.stdout
    facts = {one["name"]: one["unproved"] for one in json.loads((folder / "r.json").read_text())["files"]}
    assert "lines are missing or were changed" in facts["bank.csv"][0]
    assert facts["acquirer.csv"] == []
    assert "lines are missing or were changed" in (folder / "r.html").read_text()
    strict = reconcile(folder, *ORDER, "--strict")
    assert strict.returncode == 2
    assert "bank.csv: it does not prove itself" in strict.stderr
    (folder / "policy.toml").write_text("strict = true\n")
    assert reconcile(folder, *ORDER).returncode == 2


LEDGER = (
    "entry_id,merchant_id,payment_id,gateway,kind,state,reference,amount_minor,currency,booked_at\n"
    "e1,m1,p1,gw,charge,booked,op1,10000,EUR,2028-03-01T10:00:00Z\n1,,,,total,,,10000,EUR,\n"
)
PAID_OUT = (
    "kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id\n"
    "charge,t1,op1,100.00,0.00,100.00,EUR,2028-03-01T10:00:01Z,2028-03-03T10:00:01Z,po_1AAAAAAAAAAA\n"
    "payout,t2,,-100.00,0.00,-100.00,EUR,2028-03-04T04:00:00Z,,po_1AAAAAAAAAAA\n"
    "total,2,,0.00,0.00,0.00,EUR,,,\n"
)
CAMT = (
    '<?xml version="1.0" encoding="UTF-8"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'
    "<BkToCstmrStmt><Stmt><Id>S61</Id><ElctrncSeqNb>61</ElctrncSeqNb><Acct><Id><IBAN>{account}</IBAN></Id><Ccy>EUR</Ccy>"
    '</Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1000.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
    '<Dt><Dt>2028-03-06</Dt></Dt></Bal><Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1100.00</Amt>'
    '<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2028-03-06</Dt></Dt></Bal><Ntry><Amt Ccy="EUR">100.00</Amt><CdtDbtInd>CRDT'
    "</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2028-03-06</Dt></BookgDt><AcctSvcrRef>B1</AcctSvcrRef><NtryDtls>"
    "<TxDtls><RmtInf><Ustrd>po_1AAAAAAAAAAA</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"
)
MT940 = (
    "{header}:20:S61\n:25:{account}\n:28C:61/1\n:60F:C280306EUR1000,00\n:61:2803060306C100,00NTRFNONREF//B1\n"
    ":86:po_1AAAAAAAAAAA\n:62F:C280306EUR1100,00\n-\n"
)


@pytest.mark.parametrize(
    ("camt", "mt940", "header"),
    [
        ("NL26BANK0001", "NL26BANK0001EUR", ""),
        ("NL91ABNA0417164300", "NL91 ABNA 0417 1643 00 EUR", ""),
        ("NL91ABNA0417164300", "417164300EUR", "ABNANL2A\n940\nABNANL2A\n"),
        ("DE89370400440532013000", "37040044/0532013000EUR", ""),
    ],
)
def test_one_account_written_in_two_ways_is_one(camt: str, mt940: str, header: str, folder: Path) -> None:
    """Fails when the camt.053 and the MT940 of a day are two statements: then their credit is a duplicate."""
    (folder / "l.csv").write_text(LEDGER)
    (folder / "g.csv").write_text(PAID_OUT)
    (folder / "b.xml").write_text(CAMT.format(account=camt))
    (folder / "b.sta").write_text(MT940.format(account=mt940, header=header))
    done = reconcile(folder, "b.xml", "b.sta", "--ledger", "l.csv", "--gateway", "gw=g.csv", "--as-of", "2028-03-13")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No breaks" in done.stdout


def test_a_bank_table_is_read_by_a_mapping(folder: Path) -> None:
    """Fails when the payout of a bank's own CSV is missing although a mapping says what its columns mean."""
    (folder / "l.csv").write_text(LEDGER)
    (folder / "g.csv").write_text(PAID_OUT)
    (folder / "b.csv").write_text("Datum;Betrag;Text\n06.03.2028;100,00;PO_1AAAAAAAAAAA\n")
    arguments = ("b.csv", "--ledger", "l.csv", "--gateway", "gw=g.csv", "--as-of", "2028-03-13", "--mapping", "m.toml")
    (folder / "m.toml").write_text(
        'account = "A1"\ncurrency = "EUR"\nseparator = ";"\ndecimal_sign = ","\ndate_form = "DD.MM.YYYY"\n'
        '[columns]\nbooking_date = "Datum"\namount = "Betrag"\ndescription = ["Text"]\n'
    )
    done = reconcile(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "b.csv: A1: it states no balances" in done.stdout
    (folder / "m.toml").write_text('account = "A1"\n')
    done = reconcile(folder, *arguments)
    assert done.returncode == 2
    assert "m.toml: columns: Field required" in done.stderr


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
    assert done.returncode == 3
    assert "pip install 'payonce[reconcile]'" in done.stderr
    assert package in done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_report_needs_matplotlib(folder: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None; from payonce.cli import main; sys.exit(main.main())"
    assert reconcile(folder, *ORDER, python=("-c", code)).returncode == 1


LOSES_A_ROW = """
import sys
from payonce.cli import main as cli
from payonce.engines.duckdb_engine import DuckDbWorkspace
by_row, in_bulk = DuckDbWorkspace.add_ledger, DuckDbWorkspace.add_in_bulk
def losing(self, look, plan, **how):
    facts = in_bulk(self, look, plan, **how)
    self._connection.execute("DELETE FROM main.bulk_1 WHERE rowid = 0")
    return facts
DuckDbWorkspace.{method} = {loser}
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("before_header", "method", "loser"),
    [("", "add_in_bulk", "losing"), ("\n", "add_ledger", "lambda self, rows: by_row(self, list(rows)[1:])")],
)
def test_a_row_that_the_engine_never_got_is_noticed(folder: Path, before_header: str, method: str, loser: str) -> None:
    """Fails when the command trusts the engine's own count: then this run reports a break that there is not.

    A ledger with a blank line before its header is read row by row.
    """
    ledger = folder / "ledger.csv"
    ledger.write_text(before_header + ledger.read_text())
    code = LOSES_A_ROW.format(method=method, loser=loser)
    done = reconcile(folder, *ORDER, "--json", "r.json", "--manifest", "chain.jsonl", python=("-c", code))
    assert done.returncode == 2
    assert "Conservation failed" in done.stderr
    assert not (folder / "r.json").exists()
    assert not (folder / "chain.jsonl").exists()


def test_the_exports_are_written_beside_the_report(folder: Path) -> None:
    """Fails when an export is missing, or two runs over the same files give other bytes."""
    arguments = (*ORDER, "--as-of", "2026-03-10", "--csv", "out", "--xlsx", "out.xlsx")
    written = ["out/breaks.csv", "out/matches.csv", "out/open_items.csv", "out.xlsx"]
    seen = []
    for _ in range(2):
        done = reconcile(folder, *arguments)
        assert done.returncode == 1, done.stderr
        seen.append([(folder / name).read_bytes() for name in written])
    assert seen[0] == seen[1]
    rows = list(csv.DictReader((folder / "out" / "breaks.csv").read_text("utf-8-sig").splitlines()))
    [fee] = [row for row in rows if row["class"] == "fee mismatch"]
    assert (fee["expected"], fee["actual"], fee["difference"], fee["currency"]) == ("2.52", "4.02", "1.50", "EUR")
    assert fee["why"] == "By the policy: 0.25 EUR + 1.50 % of 151.37 EUR."
    matches = list(csv.DictReader((folder / "out" / "matches.csv").read_text("utf-8-sig").splitlines()))
    assert sum(Decimal(row["ledger amount"] or 0) for row in matches) == Decimal("5031.38")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["breaks.csv", "matches.csv", "open_items.csv"]


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("--xlsx", "ledger.csv"), "--xlsx ledger.csv: this file is read by the run or written twice"),
        (("--xlsx", "a.out", "--json", "a.out"), "--xlsx a.out: this file is read by the run or written twice"),
        (("--xlsx", "none/out.xlsx"), "--xlsx none/out.xlsx: it can't be written there"),
        (("--csv", "ledger.csv"), "--csv ledger.csv: this is a file"),
        (("--csv", "none/out"), "--csv none/out: the folder that it would be in does not exist"),
        (("--csv", ".", "--json", "breaks.csv"), "breaks.csv: this file is read by the run or written twice"),
    ],
)
def test_an_export_overwrites_nothing_that_the_run_reads(arguments: tuple[str, ...], wrong: str, folder: Path) -> None:
    """Fails when an export is begun after the run, or over a file of it."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = reconcile(folder, *ORDER, *arguments)
    assert done.returncode == 2, done.stdout
    assert wrong in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
