"""The correction worker is killed (SIGKILL) at every call, on DynamoDB Local and a bank that ignores keys.

Each charge is three times what is to be given back, so the bank would accept a second and a third refund: that there is
one is the protocol's doing alone. PAYONCE_CRASH_MATRIX=full kills a thousand processes; a slice runs in CI.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from payonce.payments.corrective_plan import correction_key, corrective_reference
from payonce.payments.journal import BALANCE_PARTITIONS, balance_partition
from payonce.ports import Table
from payonce.stores.dynamodb_requests import from_attributes
from tests.crash_matrix import child
from tests.crash_matrix.conftest import CORRECTION_ROWS
from tests.crash_matrix.correction_child import CORRECTED_MINOR
from tests.crash_matrix.fork_server import ForkServer
from tests.support.aws import create_tables, dynamodb_client
from tests.support.stored import entries_in
from tests.support.traces import check_trace, keep_trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle

FULL = os.environ.get("PAYONCE_CRASH_MATRIX") == "full"
KILLS = 1_000 if FULL else 20
WORKERS = 4 if FULL else 2
CHARGE_MINOR = 3 * CORRECTED_MINOR
LEASE_JUST_OVER_MS = 31_000
MOST_STARTS = 6
MOST_CALLS = 40  # far more calls of ports than one correction makes
REFUNDED = ("duplicate_capture", "double_charge")
KINDS = tuple(itertools.product((*REFUNDED, "duplicate_posting"), (True, False)))


class Case:
    """One break, its clock, and the processes that correct it, one after the other."""

    def __init__(self, server: ForkServer, task: dict[str, Any], number: int, folder: Path) -> None:
        self.server, self.number, self.kills, self.offset_ms = server, number, 0, 0
        self.break_class, self.automatic = KINDS[number % len(KINDS)]
        self.clock_file = folder / f"clock-{number}"
        self.clock_file.write_text("0")
        self.token = f"pm_correction_{number}_{os.getpid()}"
        self.task = task | {
            "number": number,
            "token": self.token,
            "clock_file": str(self.clock_file),
            "break_class": self.break_class,
            "automatic": self.automatic,
            "charge_minor": CHARGE_MINOR,
        }
        self.made = self.ask(do="prepare")[1]
        self.task |= {name: self.made[name] for name in ("payment_id", "break_id")}

    def ask(self, **task: Any) -> tuple[int | None, dict[str, Any]]:
        """Have a process of its own do the task; return its exit code and what it said."""
        process = self.server.do("correction", {**self.task, **task})
        assert process.exit in {0, -signal.SIGKILL}, process
        return process.exit, process.said

    def killed(self, at: int, *, after: bool) -> bool:
        """Start a worker that dies at a call; return whether it came so far."""
        code, _ = self.ask(do="correct", at=at, after=after)
        self._later()
        killed = code != 0
        self.kills += killed
        return killed

    def calls(self) -> list[str]:
        """Correct it without a fault, and return the calls of ports that it took."""
        _, answer = self.ask(do="correct")
        assert answer["status"] == "corrected", answer
        return list(answer["calls"])

    def finish(self) -> None:
        """Start it anew until it is done, each time after the dead owner's lease."""
        for _ in range(MOST_STARTS):
            _, answer = self.ask(do="correct")
            if answer["status"] == "corrected":
                return
            self._later()
        raise AssertionError(f"the correction did not come to an end: {answer}")

    def _later(self) -> None:
        self.offset_ms += LEASE_JUST_OVER_MS
        self.clock_file.write_text(str(self.offset_ms))

    def check(self, bank: BankHandle, client: Any, names: dict[str, str]) -> None:
        """One refund at the bank, whatever its reference and its end, and books of ours that say so."""
        refunds = bank.books(payment_method=self.token, kind="refund")
        expected = [(CORRECTED_MINOR, "succeeded", corrective_reference(self.task["break_id"]))]
        assert [(row["amount_minor"], row["status"], row["reference"]) for row in refunds] == (
            expected if self.break_class in REFUNDED else []
        ), (self.break_class, self.number)
        entries = entries_in(map(from_attributes, items(client, names["outbox"], self.task["payment_id"])))
        sums = [sum(posting.amount_minor for posting in entry.postings) for entry in entries]
        # The charge; and its refund, or the surplus that came and went, or the second booking and its reversal.
        assert sums == [0] * (2 if self.break_class == "double_charge" else 3), (self.break_class, self.number)
        key = correction_key(child.MERCHANT, self.task["payment_id"], self.task["break_id"])
        stored = client.get_item(
            TableName=names["payments"], Key={name: {"S": value} for name, value in key.items()}, ConsistentRead=True
        )["Item"]
        assert stored["correction_status"]["S"] == "corrected"
        changes = items(client, names["reconciliation"], f"BREAK#{self.task['break_id']}")
        assert [item["change"]["S"] for item in changes if "change" in item] == ["found", "correcting"]


def where_money_moves(calls: list[str]) -> list[tuple[int, bool]]:
    """Return the points after the claim, after the submission and before and after the commit, as (call, after)."""
    last_write = len(calls) - calls[::-1].index("write")
    if "submit" not in calls:
        return [(last_write, False), (last_write, True)]
    submit = calls.index("submit") + 1
    claim = submit - calls[submit - 1 :: -1].index("write")
    return [(claim, True), (submit, True), (last_write, False), (last_write, True)]


def items(client: Any, table: str, partition: str) -> list[dict[str, Any]]:
    """Return a partition."""
    found: list[dict[str, Any]] = client.query(
        TableName=table,
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": partition}},
        ConsistentRead=True,
    )["Items"]
    return found


@pytest.fixture
def servers() -> Iterator[list[ForkServer]]:
    """As many as there is work at once."""
    started = [ForkServer() for _ in range(WORKERS)]
    yield started
    for server in started:
        server.stop()


@pytest.mark.timeout(3_600 if FULL else 300)
def test_a_correction_killed_anywhere_refunds_once(
    dynamodb_url: str,
    bank: BankHandle,
    tmp_path: Path,
    servers: list[ForkServer],
) -> None:
    """Fails when ``GatewayWork.resume`` submits without asking, or when a claim's id follows from the break: the bank
    has two refunds then, and took both.
    """
    client = dynamodb_client(dynamodb_url)
    tables = create_tables(client, "corrections-")
    keep_trace(client, tables[Table.IDEMPOTENCY])
    names = {table.value: name for table, name in tables.items()}
    task = {
        "dynamodb_url": dynamodb_url,
        "tables": names,
        "gateway": {"url": bank.base_url("forgetful"), "lookup_authoritative_after_seconds": 0},
    }
    began = time.monotonic()
    undisturbed = [Case(servers[0], task, number, tmp_path) for number in range(len(KINDS))]
    calls = [case.calls() for case in undisturbed]
    assert all(10 < len(made) < MOST_CALLS for made in calls)
    points = [
        (kind, at, after)
        for kind, made in enumerate(calls)
        for at in range(1, len(made) + 1)
        for after in (False, True)
    ]
    # In full every step of each kind, again and again; in the slice where money moves. Those who take over die too.
    chance = random.Random(KILLS)
    numbers = itertools.count(1)
    reached: Counter[tuple[int, int, bool]] = Counter()

    def one(server: ForkServer, point: tuple[int, int, bool]) -> Case:
        kind, at, after = point
        case = Case(server, task, next(numbers) * len(KINDS) + kind, tmp_path)
        reached[point] += case.killed(at, after=after)
        for _ in range(chance.randrange(3)):
            case.killed(chance.randint(1, len(calls[kind])), after=chance.random() < 0.5)
        case.finish()
        return case

    moving = [(kind, at, after) for kind, made in enumerate(calls) for at, after in where_money_moves(made)]
    rounds = range(1 + KILLS // len(points)) if FULL else ()
    order = [point for _ in rounds for point in chance.sample(points, len(points))] or moving[::-1]
    cases: list[Case] = []

    def work(server: ForkServer) -> None:
        while order and sum(case.kills for case in cases) < KILLS:
            cases.append(one(server, order.pop()))

    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(work, server) for server in servers]:
            done.result()
    for case in [*undisturbed, *cases]:
        case.check(bank, client, names)
    check_trace(client, tables[Table.IDEMPOTENCY], at_least=2 * len(cases))
    partitions = [balance_partition(child.MERCHANT, number) for number in range(BALANCE_PARTITIONS)]
    balances = [item for partition in partitions for item in items(client, names["ledger"], partition)]
    accounts = [int(value["N"]) for item in balances for name, value in item.items() if name.startswith("account:")]
    assert accounts
    assert sum(accounts) == 0
    kills = sum(case.kills for case in cases)
    assert kills >= KILLS
    if FULL:
        assert {point for point, count in reached.items() if count} == set(points)
    CORRECTION_ROWS.append(
        f"{kills} workers killed in {len(cases)} corrections, first at {len(+reached)} of {len(points)} points, in "
        f"{time.monotonic() - began:.0f} s: one refund of each double charge, sums of zero"
    )
