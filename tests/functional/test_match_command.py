"""From a report to a decision and back, as an accountant does it: the commands as processes, on real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

LEDGER = (
    "entry_id,merchant_id,payment_id,gateway,kind,state,reference,amount_minor,currency,booked_at,gateway_payment_id,"
    "payer,reverses_entry_id,idempotency_record_id\n"
    "e1,mer_1,pay_1,acquirer,charge,booked,ref_1,1000,EUR,2026-03-01T10:00:00Z,,,,\n"
    "e2,mer_1,pay_2,acquirer,charge,booked,ref_2,2000,EUR,2026-03-01T11:00:00Z,,,,\n"
    "e3,mer_1,pay_3,acquirer,charge,booked,ref_3,3000,EUR,2026-03-01T12:00:00Z,,,,\n"
    "3,,,,total,,,6000,EUR,,,,,\n"
)
REPORT = (
    "kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id\n"
    "charge,t1,ref_1,10.00,0.00,10.00,EUR,2026-03-01T10:00:00Z,,po_march_0001\n"
    "charge,t2,other_2,20.00,0.00,20.00,EUR,2026-03-01T11:00:00Z,,po_march_0001\n"
    "charge,t3,ref_3,29.98,0.00,29.98,EUR,2026-03-01T12:00:00Z,,po_march_0001\n"
    "payout,p1,,-59.98,0.00,-59.98,EUR,2026-03-02T00:00:00Z,,po_march_0001\n"
    "total,4,,0.00,0.00,0.00,EUR,,,\n"
)
BANK = (
    "record,account,currency,booking_date,value_date,amount,reference,end_to_end_id,counterparty,description\n"
    "opening,NL1,EUR,,,0.00,S1,,,\n"
    "line,NL1,EUR,2026-03-03,,58.98,po_march_0001,,Acquirer,payout less charges\n"
    "line,NL1,EUR,2026-03-03,,-700.00,,,ACME,ACME RENT march\n"
    "closing,NL1,EUR,,,-641.02,,,,\n"
)
POLICY = """
[[tolerances]]
gateway = "acquirer"
currency = "EUR"
amount_minor = 5
reason = "rounding of its conversions"

[[tolerances]]
gateway = "acquirer"
currency = "EUR"
payout = true
amount_minor = 150
reason = "the bank takes 1.00 of each transfer"

[[rules]]
source = "bank"
field = "description"
pattern = '(?i)acme rent'
sign = "-"
label = "rent, not ours"
"""


def payonce(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"),
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "COLUMNS": "160",
    }
    command = [sys.executable, "-m", "payonce.cli", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def reconcile(folder: Path, *more: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    order = ("report.csv", "bank.csv", "--ledger", "ledger.csv", "--gateway", "acquirer", "--as-of", "2026-03-20")
    done = payonce(folder, "reconcile", *order, "--json", "out.json", *more)
    assert done.stderr.count("Traceback") == 0
    return done, json.loads((folder / "out.json").read_text())


def classes(document: dict[str, Any]) -> list[str]:
    return sorted(one["break_class"] for one in document["breaks"])


def test_what_a_person_decides_is_applied_and_shown_in_every_later_run(tmp_path: Path) -> None:
    """Fails when a decision is not applied, not shown with who, when, why and how much in any of the three reports, not
    part of digest and manifest, or stays after it was taken back.
    """
    for name, text in (("ledger", LEDGER), ("report", REPORT), ("bank", BANK)):
        (tmp_path / f"{name}.csv").write_text(text)
    (tmp_path / "policy.toml").write_text(POLICY)
    _, before = reconcile(tmp_path)
    assert classes(before) == ["amount_mismatch", "missing_in_gateway", "missing_in_ledger", "payout_different"]
    ids = [one["break_id"] for one in before["breaks"] if one["break_class"].startswith("missing_in")]

    reason = "the shop sent <b>another</b> reference"
    said = ("--reason", reason, "--by", "Anna", "--run", "out.json", "--decisions", "d.jsonl")
    made = payonce(tmp_path, "breaks", "match", *ids, *said)
    assert made.returncode == 0, made.stderr
    options = ("--decisions", "d.jsonl", "--policy", "policy.toml")
    done, after = reconcile(tmp_path, *options, "--report", "r.html", "--manifest", "chain.jsonl")
    assert (done.returncode, classes(after)) == (0, [])
    [decided] = after["decided_by_hand"]
    assert (decided["state"], decided["by"], decided["reason"]) == ("matched", "operator:anna", reason)
    assert decided["sums"] == [{"currency": "EUR", "base_minor": 2000, "difference_minor": 0}]
    assert {(one["how"], one["difference_minor"]) for one in after["difference_totals"]} == {
        ("tolerated", -2),
        ("tolerated_payout", -100),
    }
    rent = [one for one in after["open_totals"] if one["reason"] == "rule: rent, not ours"]
    assert [(one["rows"], one["amount_minor"]) for one in rent] == [(1, -70000)]
    assert all(one["holds"] for one in after["conservation"])
    page = (tmp_path / "r.html").read_text()
    for text in ("Decided by hand", "operator:anna", "20.00", "rounding of its conversions", "-1.00", "rent, not ours"):
        assert text in page
    assert "&lt;b&gt;another" in page
    assert "<b>another" not in page
    for text in ("operator:anna", "20.00", "rounding of its conversions", "-1.00", "rent, not ours"):
        assert text in done.stdout

    again, same = reconcile(tmp_path, *options)
    assert (again.returncode, same["digest"]) == (0, after["digest"])
    assert after["digest"] != before["digest"]
    manifest = json.loads((tmp_path / "chain.jsonl").read_text())
    assert len(manifest["matches"]) == 64
    assert manifest["settings"]["tolerances"][1]["payout"] is True

    # What other files lack is listed, and no error.
    (tmp_path / "report.csv").write_text(REPORT.replace("charge,t2,", "charge,t2b,"))
    _, lacking = reconcile(tmp_path, *options)
    [listed] = lacking["decided_by_hand"]
    assert (listed["state"], listed["rows"], listed["wanted"]) == ("rows_missing", 1, 2)
    assert classes(lacking) == ["missing_in_gateway", "missing_in_ledger"]
    (tmp_path / "report.csv").write_text(REPORT)

    said = ("--reason", "two orders", "--by", "Ben", "--decisions", "d.jsonl")
    undone = payonce(tmp_path, "breaks", "unmatch", decided["match_id"], *said)
    assert undone.returncode == 0, undone.stderr
    _, back = reconcile(tmp_path, *options)
    assert (classes(back), back["decided_by_hand"]) == (["missing_in_gateway", "missing_in_ledger"], [])


def test_matches_that_contradict_each_other_in_a_file_are_said(tmp_path: Path) -> None:
    """Fails when a file that was put together from two people's is refused, or one of the two silently wins."""
    for name, text in (("ledger", LEDGER), ("report", REPORT), ("bank", BANK)):
        (tmp_path / f"{name}.csv").write_text(text)
    lines = b""
    for number, row in enumerate(("gateway:acquirer|t2", "gateway:acquirer|t3")):
        name = f"d{number}.jsonl"
        made = payonce(tmp_path, "breaks", "match", "ledger:e2", row, "--reason", "x", "--by", "a", "--decisions", name)
        assert made.returncode == 0, made.stderr
        lines += (tmp_path / name).read_bytes()
    (tmp_path / "both.jsonl").write_bytes(lines)
    done, document = reconcile(tmp_path, "--decisions", "both.jsonl")
    assert [one["state"] for one in document["decided_by_hand"]] == ["contradicted", "contradicted"]
    assert done.stdout.count("contradicted") == 2
    assert "missing_in_gateway" in classes(document)
    (tmp_path / "both.jsonl").write_bytes(lines + b"{}\n")
    refused = payonce(tmp_path, "reconcile", "bank.csv", "--ledger", "ledger.csv", "--decisions", "both.jsonl")
    assert refused.returncode == 2
    assert "both.jsonl: line 3" in refused.stderr
