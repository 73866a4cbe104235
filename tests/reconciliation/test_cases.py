"""Small worlds with the right answer, through the command as it is run: real files in, JSON out.

A folder of ``cases`` is a case: files of a gateway and a bank, ``ledger.csv``, and ``expected.json`` with the breaks,
the open items and the notices. All data is invented. What a row means is the vendor's word:
https://docs.stripe.com/reports/reporting-categories, https://docs.stripe.com/reports/balance-transaction-types,
https://docs.adyen.com/reporting/settlement-reconciliation/transaction-level/settlement-details-report.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Sequence

CASES = Path(__file__).parent / "cases"
NAMES = sorted(folder.name for folder in CASES.iterdir() if (folder / "expected.json").exists())


def run(folder: Path, expected: dict[str, Any], out: Path) -> tuple[int, dict[str, Any]]:
    """Run the command on the case's files and return its exit code and what it wrote."""
    files = [str(folder / name) for name in expected["files"]]
    arguments: Sequence[str] = ["reconcile", *files, "--ledger", str(folder / "ledger.csv"), "--json", str(out)]
    options = ["--gateway", expected["gateway"], "--as-of", expected["as_of"]]
    if expected.get("policy"):
        options += ["--policy", str(folder / expected["policy"])]
    if expected.get("time_zone"):
        options += ["--time-zone", expected["time_zone"]]
    code = main([*arguments, *options])
    return code, json.loads(out.read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_a_case_is_told_as_it_is(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fails when a break is missing, invented, misnamed or of another amount, or a row vanishes without its reason."""
    folder = CASES / name
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    code, told = run(folder, expected, tmp_path / "out.json")
    breaks = sorted([one["break_class"], one["amount_minor"], *one["subject"]] for one in told["breaks"])
    assert breaks == sorted(expected["breaks"])
    for notice in expected["notices"]:
        assert any(notice in one for one in told["notices"]), told["notices"]
        assert notice.partition(" ")[0] in capsys.readouterr().out.partition("Conservation")[0]
    if not expected["notices"]:
        assert told["notices"] == []
    open_items = [[one["source"], one["reason"], one["amount_minor"]] for one in told["open_totals"]]
    assert sorted(open_items) == sorted(expected["open_items"])
    listed = sum(one["rows"] for one in told["open_totals"])
    assert listed == len(told["open_items"]) == sum(one["rows"]["excluded"] for one in told["conservation"])
    fees = [[one["category"], one["fee_minor"]] for one in told["balance"]]
    for fee in expected["fees"]:
        assert fee in fees
    unmatched = "could be compared" in told["verdict"]
    assert code == int(bool(breaks) or unmatched)
