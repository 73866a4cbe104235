"""``payonce reconcile`` as a user runs it: a process, files, exit codes, a report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = REPOSITORY / "docs" / "examples" / "reconciliation"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the example's files."""
    return shutil.copytree(EXAMPLE, tmp_path / "day")


def reconcile(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "payonce.cli", "reconcile", *arguments]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"),
        "COLUMNS": "120",
        "HOME": str(folder),
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


ALL = ("acquirer.csv", "bank.csv", "--ledger", "ledger.csv", "--gateway", "acquirer", "--policy", "policy.toml")


def replace_in(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_example_shows_its_planted_breaks(folder: Path) -> None:
    """Fails when a class of the example is not found any more, or another one is."""
    done = reconcile(folder, *ALL, "--json", "out.json")
    assert done.returncode == 1, done.stderr
    document = json.loads((folder / "out.json").read_text())
    classes = sorted(found["break_class"] for found in document["breaks"])
    assert classes == [
        "amount_mismatch",
        "dispute",
        "duplicate_capture",
        "fee_mismatch",
        "late_settlement",
        "missing_in_gateway",
        "missing_in_ledger",
        "orphan_refund",
        "status_mismatch",
    ]
    assert "duplicate_capture" in done.stdout


def test_a_file_given_twice_changes_nothing(folder: Path) -> None:
    """Fails when a file's rows are loaded once for each name."""
    shutil.copy(folder / "acquirer.csv", folder / "copy.csv")
    reconcile(folder, *ALL, "--json", "one.json")
    done = reconcile(folder, "copy.csv", *ALL, "--json", "two.json")
    assert done.returncode == 1, done.stderr
    one, two = (json.loads((folder / name).read_text()) for name in ("one.json", "two.json"))
    assert one["digest"] == two["digest"]
    assert "same" in (done.stdout + done.stderr).lower()


def test_a_day_without_breaks_ends_with_0(folder: Path) -> None:
    header, first, *_ = (folder / "acquirer.csv").read_text().splitlines()
    (folder / "acquirer.csv").write_text(f"{header}\n{first}\ntotal,1,,89.19,1.58,87.61,EUR,,,\n")
    header, first, *_, end = (folder / "ledger.csv").read_text().splitlines()
    cells = end.split(",")
    cells[0], cells[header.split(",").index("amount_minor")] = "1", "8919"
    (folder / "ledger.csv").write_text(f"{header}\n{first}\n{','.join(cells)}\n")
    done = reconcile(folder, "acquirer.csv", "--ledger", "ledger.csv", "--gateway", "acquirer")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("acquirer.csv", "89.19,1.58,87.61", "89.19,1.58,87.60", "line 2"),
        ("ledger.csv", "8919,EUR", "89.19,EUR", "line 2"),
        ("policy.toml", "in_transit_hours", "in_transit_hour", "in_transit_hour"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(folder: Path, file: str, old: str, new: str, says: str) -> None:
    """Fails when a run goes on without a file that was refused."""
    replace_in(folder / file, old, new)
    done = reconcile(folder, *ALL, "--json", "out.json", "--report", "out.html")
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "out.json").exists()
    assert not (folder / "out.html").exists()


def test_a_ledger_that_lost_its_end_is_refused(folder: Path) -> None:
    lines = (folder / "ledger.csv").read_text().splitlines()
    (folder / "ledger.csv").write_text("\n".join(lines[:10]) + "\n")
    done = reconcile(folder, *ALL)
    assert done.returncode == 2
    assert "total" in done.stderr


def test_the_report_is_whole_harmless_and_the_same_again(folder: Path) -> None:
    """Fails when a report's text becomes markup, or the same input gives other bytes."""
    for file in ("acquirer.csv", "ledger.csv"):
        text = (folder / file).read_text()
        (folder / file).write_text(text.replace("ref_0002", "<script>alert(1)</script>"))
    replace_in(
        folder / "acquirer.csv", "txn_0002,<script>alert(1)</script>,168.38,2.77", "txn_0002,<b>x</b>,168.38,2.77"
    )
    first = reconcile(folder, *ALL, "--report", "a.html")
    reconcile(folder, *ALL, "--report", "b.html")
    assert first.returncode == 1, first.stderr
    page = (folder / "a.html").read_bytes()
    assert page == (folder / "b.html").read_bytes()
    text = page.decode()
    assert "<script" not in text
    assert "<b>x</b>" not in text
    assert "&lt;script&gt;" in text
    assert "<svg" in text
    assert 'src="http' not in text
    assert 'href="http' not in text
