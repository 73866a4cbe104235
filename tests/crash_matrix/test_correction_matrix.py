"""The correction driver is killed (SIGKILL) at every step, on DynamoDB Local and a bank that ignores keys.

After it was started anew often enough there is one refund per double charge in the bank's books, a journal that sums
to zero, and a corrected correction. PAYONCE_CRASH_MATRIX=full kills a thousand processes; a slice runs in CI.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from tests.crash_matrix import child, correction_child
from tests.support.aws import REPOSITORY, create_tables, dump, dynamodb_client

if TYPE_CHECKING:
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle

FULL = os.environ.get("PAYONCE_CRASH_MATRIX") == "full"
KILLS = 1_000 if FULL else 18
LEASE_JUST_OVER_MS = 31_000
MOST_STARTS = 6
# Writes: 1 the correction, 2 checked, 3 approved, 4 the claim, 5 the commit. Reads: 1 rereads, 2 before the effect.
POINTS = [
    "before:write:1",
    "after:write:1",
    "after:read:1",
    "after:write:2",
    "after:write:3",
    "after:write:4",
    "before:submit:1",
    "after:submit:1",
    "before:write:5",
    "after:write:5",
]
_numbers = itertools.count()


class Case:
    """One double charge, its tables, its clock, and the processes that correct it."""

    def __init__(self, url: str, bank: BankHandle, names: Any, folder: Path, break_class: str) -> None:
        self.number = next(_numbers)
        self.bank, self.offset_ms = bank, 0
        self.clock_file = folder / "clock"
        self.clock_file.write_text("0")
        self.token = f"pm_correction_{self.number}_{os.getpid()}"
        self.task: dict[str, Any] = {
            "dynamodb_url": url,
            "tables": {table.value: name for table, name in names.items()},
            "gateway": {"url": bank.base_url("forgetful"), "lookup_authoritative_after_seconds": 0},
            "clock_file": str(self.clock_file),
            "token": self.token,
            "break_class": break_class,
        }
        keys = 1 if break_class == "duplicate_capture" else 2
        for copy in range(keys):
            made = child.run({**self.task, "do": "payment", "key": f"key-{self.number}-{copy}-of-the-client"})
        payment_id = json.loads(made["body"])["id"]
        surplus = None
        if break_class == "duplicate_capture":
            # The gateway's own fault: it charged the same reference twice, and only one of the two is in our books.
            surplus = self._charge_again(self.bank.charges(payment_method=self.token)[0]["reference"])
        self.task |= {"payment_id": payment_id, "surplus": surplus, "subject": ["bank", payment_id]}

    def _charge_again(self, reference: str) -> str:
        body = {
            "reference": reference,
            "currency": "EUR",
            "payment_method": self.token,
            "capture": "automatic",
            "amount_minor": 1000,
        }
        request = Request(
            f"{self.bank.base_url('forgetful')}/charges",
            data=json.dumps(body).encode(),
            headers={"Authorization": "Bearer x", "Content-Type": "application/json"},
        )
        with urlopen(request, timeout=10) as answer:
            return str(json.load(answer)["charge_id"])

    def killed(self, point: str) -> bool:
        """Start the driver with a kill point; return whether it was reached."""
        path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "layers" / "payonce")])
        process = subprocess.run(
            [sys.executable, "-m", "tests.crash_matrix.correction_child", json.dumps({**self.task, "point": point})],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert process.returncode in {0, -signal.SIGKILL}, process.stderr.decode()
        return process.returncode != 0

    def finish(self) -> None:
        """Start it anew until it is done, each time after the dead owner's lease."""
        for _ in range(MOST_STARTS):
            self.offset_ms += LEASE_JUST_OVER_MS
            self.clock_file.write_text(str(self.offset_ms))
            seen = correction_child.run(self.task)
            if seen["status"] == "corrected":
                return
        raise AssertionError(f"the correction did not come to an end: {seen}")

    def check(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        """One refund at the bank, and books of ours that say so."""
        refunds = self.bank.books(payment_method=self.token, kind="refund", status="succeeded")
        assert [row["amount_minor"] for row in refunds] == [1000]
        payment_id = self.task["payment_id"]
        entries = [item for item in tables["ledger"] if "postings" in item and payment_id in item["pk"]["S"]]
        sums = [sum(int(row["M"]["amount_minor"]["N"]) for row in item["postings"]["L"]) for item in entries]
        # The charge; then its refund, or the surplus that came and went.
        assert sums == [0] * (3 if self.task["surplus"] else 2)
        corrections = [
            item
            for item in tables["payments"]
            if payment_id in item["pk"]["S"] and item["sk"]["S"].startswith("CORRECTION#")
        ]
        assert [item["status"]["S"] for item in corrections] == ["corrected"]


@pytest.mark.timeout(3_600 if FULL else 300)
def test_a_correction_killed_anywhere_refunds_once(dynamodb_url: str, bank: BankHandle, tmp_path: Path) -> None:
    """Fails when ``GatewayWork.resume`` submits without asking, or when a claim's id follows from the break.

    The bank then refuses the second refund of a charge that it has refunded whole, and the correction ends as failed,
    with the refund that did happen not in our books.
    """
    client = dynamodb_client(dynamodb_url)
    names = create_tables(client, "corrections-")
    cases, kills = [], 0
    rounds = itertools.cycle(itertools.product(POINTS, ["duplicate_capture", "double_charge"]))
    while kills < KILLS:
        point, break_class = next(rounds)
        case = Case(dynamodb_url, bank, names, tmp_path, break_class)
        kills += case.killed(point)
        if FULL and kills < KILLS:
            case.offset_ms += LEASE_JUST_OVER_MS
            case.clock_file.write_text(str(case.offset_ms))
            kills += case.killed("after:find:1")  # the one that takes over dies as well, where there is one
        case.finish()
        cases.append(case)
    tables = dump(client, names)
    for case in cases:
        case.check(tables)
    balance = [item for item in tables["ledger"] if item["pk"]["S"].startswith("BALANCE#")]
    accounts = [int(value["N"]) for item in balance for name, value in item.items() if name.startswith("account:")]
    assert sum(accounts) == 0
    assert kills >= KILLS
