"""The process is killed, or frozen past its lease, between every two steps of the protocol.

Real processes, DynamoDB Local and the sandbox bank over HTTP. After recovery and the client's retry there is one
charge, one payment, one event per change, and a truthful answer. PAYONCE_CRASH_MATRIX=full runs every case.

Seen to fail: with ``resume`` submitting without asking, every "after submit" row of forgetful and late shows 2 charges;
with ``decide`` trusting every "not found", late shows 2 in "bank has booked" and "after submit".
"""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from local.localstripe_server import count_executed, make_payment_method
from payonce.ports import Table
from payonce.stores.dynamodb_requests import from_attributes
from tests.crash_matrix.child import KILLED_EXIT_CODE, run
from tests.crash_matrix.conftest import ROWS
from tests.support.aws import create_tables, dump, dynamodb_client
from tests.support.stored import entries_in, events_in, payments_in
from tests.support.traces import check_trace, keep_trace

if TYPE_CHECKING:
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle
    from tests.crash_matrix.fork_server import ForkServer, Process

FULL = os.environ.get("PAYONCE_CRASH_MATRIX") == "full"
LEASE_JUST_OVER_MS = 31_000  # a request's 25 s, the lease's margin of 5 s, and one more
LONG_AFTER_MS = 120_000
LATE_SECONDS = 1.0  # the late bank shows its bookings after 0.9 s, of real time
BANK_SECONDS = 60  # for a bank that works slowly on a busy machine
GATEWAYS: dict[str, dict[str, Any]] = {
    "honouring": {"key_retention_seconds": 86_400, "lookup_authoritative_after_seconds": 30},
    "forgetful": {"lookup_authoritative_after_seconds": 0},
    "late": {"lookup_authoritative_after_seconds": 5},
    # As Stripe: the first submission is answered with a 500 that the key keeps, so that the charge needs another one.
    "remembering": {"key_retention_seconds": 86_400, "lookup_authoritative_after_seconds": 5},
    # localstripe ignores keys, which Stripe does not: declared as it is.
    "stripe": {"key_retention_seconds": 0, "lookup_authoritative_after_seconds": 0},
}
# The claim is the first write, the commit the second.
POINTS = {
    "before claim": ("before:write:1", None),
    "after claim": ("after:write:1", None),
    "before submit": ("before:submit:1", None),
    "bank is working": ("during:submit:200", ("slow", 600)),
    "bank has booked": ("during:submit:300", ("timeout_after_booking", 800)),
    "after submit": ("after:submit:1", None),
    "before commit": ("before:write:2", None),
    "after commit": ("after:write:2", None),
    "not killed": ("", None),
}
RECOVERY_POINTS = {
    "recovery before takeover": "before:write:1",
    "recovery after takeover": "after:write:1",
    "recovery after asking": "after:find:1",
    "recovery after submit": "after:submit:1",
    "recovery before commit": "before:write:2",
    "recovery after commit": "after:write:2",
}
_numbers = itertools.count()


class Case:
    """One case's tables, clock and child processes."""

    def __init__(
        self, url: str, bank: BankHandle, behaviour: str, folder: Path, stripe_url: str, server: ForkServer
    ) -> None:
        self.number = next(_numbers)
        self.bank, self.behaviour = bank, behaviour
        self.client = dynamodb_client(url)
        self.names = create_tables(self.client, f"crash{self.number}-")
        keep_trace(self.client, self.names[Table.IDEMPOTENCY])
        self.clock_file = folder / f"clock{self.number}"
        self.clock_file.write_text("0")
        self.token = f"pm_case_{self.number}_{os.getpid()}"
        self.task = {
            "dynamodb_url": url,
            "tables": {table.value: name for table, name in self.names.items()},
            "gateway": {"url": bank.base_url(behaviour), **GATEWAYS[behaviour]},
            "clock_file": str(self.clock_file),
            "token": self.token,
        }
        self.stripe_url, self.server = stripe_url, server
        if behaviour == "stripe":
            self.token = make_payment_method(stripe_url)
            self.task |= {"token": self.token, "stripe_url": stripe_url}

    def start(self, **task: Any) -> Process:
        """Run a task in a process of its own, until it has ended or is frozen."""
        return self.server.do("payment", {**self.task, **task})

    def run(self, **task: Any) -> dict[str, Any]:
        """Run a task that nobody kills; in this process, as it is the same code and saves a start."""
        return run({**self.task, **task})

    def strike(self, *, point: str, how: str = "exit", **task: Any) -> Process:
        """Run a task to its kill point; return the process, dead or frozen."""
        process = self.start(point=point, how=how, **task)
        struck = None if how == "freeze" else KILLED_EXIT_CODE
        # Some answer before a strike in the middle of their work can happen.
        missed = self.behaviour in {"stripe", "remembering"} and point.startswith("during")
        assert process.exit in ({struck} if point and not missed else {0, struck})
        return process

    def recover_until_quiet(self) -> None:
        """Recover as soon as the lease is over, then later again, as the schedule does."""
        self.clock_file.write_text(str(LEASE_JUST_OVER_MS))
        assert self.run(do="recover")["failed"] == 0
        self.let_late_bank_show()
        for offset_ms in (LONG_AFTER_MS, 2 * LONG_AFTER_MS):
            self.clock_file.write_text(str(offset_ms))
            assert self.run(do="recover")["failed"] == 0

    def thaw(self, process: Process) -> dict[str, Any] | None:
        """Wake a frozen owner and return what it tells its client; ``None`` when it ended before it could freeze."""
        if process.exit is not None:
            return None
        ended = self.server.thaw(process)
        assert ended.exit == 0
        return ended.said

    def let_late_bank_show(self) -> None:
        """Wait until a bank that shows its bookings late shows all that it has; the others show theirs at once."""
        if self.behaviour == "late":
            time.sleep(LATE_SECONDS)

    def misbehave(self, scenario: tuple[str, int] | None) -> None:
        """Make the bank work slowly, so that there is a moment to strike in. localstripe has no such scenarios."""
        if self.behaviour == "remembering":
            self.bank.scenario(self.behaviour, "error_kept", times=1)
        elif scenario is not None and self.behaviour != "stripe":
            self.bank.scenario(self.behaviour, scenario[0], delay_ms=scenario[1], times=1)

    def behave(self) -> None:
        if self.behaviour != "stripe":
            self.bank.behave(self.behaviour)

    def let_bank_end(self, kind: str, process: Process) -> None:
        """Wait until the bank, which goes on after its client has gone, has booked, and a late bank shows it.

        It does nothing more for a process that has its answer, such as the kept 500, with which nothing is booked.
        """
        if process.exit == 0:
            return
        give_up = time.monotonic() + BANK_SECONDS
        while not self.booked(kind) and time.monotonic() < give_up:
            time.sleep(0.05)
        self.let_late_bank_show()

    def booked(self, kind: str) -> int:
        if self.behaviour == "stripe":
            return count_executed(self.stripe_url, self.token, kind)
        return len(self.bank.books(payment_method=self.token, kind=kind, status="succeeded"))

    def check_stored(self) -> None:
        """One payment, balanced books of ours, one event per version with no gap, and a trace that the spec allows."""
        check_trace(self.client, self.names[Table.IDEMPOTENCY], at_least=2)
        tables = dump(self.client, self.names)
        outbox = [from_attributes(item) for item in tables["outbox"]]
        (payment,) = payments_in(map(from_attributes, tables["payments"]), outbox)
        assert sorted(int(item["sk"]) for item in outbox) == list(range(1, payment.version + 1))
        assert len({json.loads(event["body"])["id"] for event in events_in(outbox)}) == len(outbox)
        for entry in entries_in(outbox):
            assert sum(posting.amount_minor for posting in entry.postings) == 0
        assert all(item["status"]["S"] == "COMPLETED" for item in tables["idempotency"])


@pytest.fixture(params=list(GATEWAYS))
def case(
    request: pytest.FixtureRequest,
    dynamodb_url: str,
    bank: BankHandle,
    stripe_url: str,
    fork_server: ForkServer,
    tmp_path: Path,
) -> Case:
    made = Case(dynamodb_url, bank, request.param, tmp_path, stripe_url, fork_server)
    made.behave()
    return made


def settle(case: Case, label: str, kind: str, process: Process | None, **task: Any) -> None:
    """Recover, wake a frozen owner, retry as the client, and check the outcome."""
    case.behave()
    case.recover_until_quiet()
    thawed = None
    if process is not None:
        thawed = case.thaw(process)
        case.recover_until_quiet()
    answer = case.run(**task)
    charges = case.booked(kind)
    ROWS.append((label, case.behaviour, f"{charges} / {json.loads(answer['body']).get('status')} / {answer['status']}"))
    assert charges == 1
    assert answer["status"] == 201
    if thawed is not None and "before claim" in label:
        # It claims when its time is over, so it sends nothing, gives the claim back, and says so.
        assert thawed["error"] == "GatewayUnavailable"
    elif thawed is not None:
        # A stale owner: its client gets the bytes of whoever concluded, be it the owner itself before it froze.
        assert (thawed.get("status"), thawed.get("body")) == (answer["status"], answer["body"]), thawed
    case.check_stored()


@pytest.mark.parametrize(
    ("label", "how"),
    [(label, "exit") for label in POINTS] + [(label, "freeze") for label in (POINTS if FULL else ["before commit"])],
)
def test_a_payment_killed_anywhere_is_charged_once(case: Case, label: str, how: str) -> None:
    point, scenario = POINTS[label]
    case.misbehave(scenario)
    task = {"do": "payment", "key": "key-of-the-client"}
    process = case.strike(point=point, how=how, **task)
    if scenario:
        case.let_bank_end("payment", process)
    frozen = process if how == "freeze" and point else None
    settle(case, f"payment, {label}, {how}", "payment", frozen, **task)


@pytest.mark.parametrize("label", list(POINTS) if FULL else ["after claim", "bank has booked", "before commit"])
def test_a_client_that_takes_over_itself_charges_once(case: Case, label: str) -> None:
    """Its own retry, before recovery runs. Fails (2 charges) when a takeover goes on with the retry's identity."""
    point, scenario = POINTS[label]
    case.misbehave(scenario)
    task = {"do": "payment", "key": "key-of-the-client"}
    process = case.strike(point=point, **task)
    if scenario:
        case.let_bank_end("payment", process)
    else:
        case.let_late_bank_show()
    case.behave()
    for offset_ms in (LEASE_JUST_OVER_MS, LONG_AFTER_MS):
        case.clock_file.write_text(str(offset_ms))
        assert case.run(**task)["status"] in {201, 202}
    settle(case, f"payment, {label}, client takes over", "payment", None, **task)


@pytest.mark.parametrize("label", list(RECOVERY_POINTS) if FULL else ["recovery after takeover"])
@pytest.mark.parametrize("first", ["after claim", "after submit"])
def test_a_recovery_killed_anywhere_charges_once(case: Case, first: str, label: str) -> None:
    task = {"do": "payment", "key": "key-of-the-client"}
    case.strike(point=POINTS[first][0], **task)
    case.let_late_bank_show()
    case.clock_file.write_text(str(60_000))
    process = case.start(do="recover", point=RECOVERY_POINTS[label])
    # A recovery that finds the charge has no submission to be killed after.
    assert process.exit in {137, 0}
    settle(case, f"payment, {first}, then {label}", "payment", None, **task)


@pytest.mark.parametrize("label", list(RECOVERY_POINTS))
@pytest.mark.parametrize("step", ["writing the reference", "sending it"])
@pytest.mark.parametrize("case", ["remembering"], indirect=True)
def test_a_second_attempt_killed_anywhere_charges_once(case: Case, step: str, label: str) -> None:
    """The first reference is used up by a kept 500. Recovery writes the next one, and another recovery sends it."""
    case.misbehave(None)
    task = {"do": "payment", "key": "key-of-the-client"}
    assert case.run(**task)["status"] == 202
    case.clock_file.write_text(str(60_000))
    if step == "sending it":
        assert case.run(do="recover") == {"concluded": 0, "open": 1, "failed": 0}
        case.clock_file.write_text(str(90_000))
    process = case.start(do="recover", point=RECOVERY_POINTS[label])
    # There is nothing to submit for the one that writes the reference.
    assert process.exit == (0 if (step, label) == ("writing the reference", "recovery after submit") else 137)
    settle(case, f"payment, second attempt, {step}, {label}", "payment", None, **task)


@pytest.mark.parametrize("label", list(POINTS) if FULL else ["after submit"])
@pytest.mark.parametrize("kind", ["capture", "void", "refund"])
def test_a_follow_up_killed_anywhere_is_executed_once(case: Case, kind: str, label: str) -> None:
    manual = kind != "refund"
    created = case.run(do="payment", key="key-of-the-payment", capture="manual" if manual else "automatic")
    point, scenario = POINTS[label]
    case.misbehave(scenario)
    amount = {} if kind == "void" else {"amount_minor": 400}
    task = {"do": kind, "key": "key-of-the-follow-up", "payment_id": json.loads(created["body"])["id"], **amount}
    process = case.strike(point=point, **task)
    if scenario:
        case.let_bank_end(kind, process)
    settle(case, f"{kind}, {label}, exit", kind, None, **task)
