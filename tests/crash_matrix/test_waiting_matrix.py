"""Killed, or frozen past its lease, at every step about a payment that the bank holds, or an operation it has received.

Real processes, DynamoDB Local and the sandbox bank over HTTP, which ignores keys. After recovery, settlements and the
clients' retries there is at most one charge, the status is the bank's, the books balance, every change has one event,
and every key's answer stays what it was. PAYONCE_CRASH_MATRIX=full runs every case.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from payonce.ports import Table
from payonce.stores.dynamodb_requests import from_attributes
from tests.crash_matrix.conftest import WAITING_ROWS
from tests.crash_matrix.test_crash_matrix import FULL, LEASE_JUST_OVER_MS, LONG_AFTER_MS, Case
from tests.support.aws import dump
from tests.support.stored import events_in, payments_in

if TYPE_CHECKING:
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle
    from tests.crash_matrix.fork_server import ForkServer, Process

HOUR_MS = 3_600_000
DAYS = 3
RETURN_URL = "https://shop.example/back"
_banks = itertools.count()


@dataclass(frozen=True, slots=True)
class Story:
    """What is struck, and what everything comes to.

    ``struck``: the task, and ``steps``: the calls around which it is struck. ``before``: what happened at the bank
    before; ``meanwhile``: what happens after the strike. ``charges``: executed payments in the bank's books.
    """

    token: str
    struck: str
    steps: tuple[str, ...]
    status: str
    charges: int
    before: str = ""
    meanwhile: str = ""
    method_type: str = "card"
    capture: str = "automatic"
    answer: int = 201


SETTLEMENT = ("write:1", "find:1", "write:2")
CREATION = ("write:1", "submit:1", "write:2")
# An operation on a payment first makes the payment's head.
CONFIRMATION = ("write:1", "write:2", "confirm:1", "write:3")
CANCELLATION = ("write:1", "write:2", "withdraw:1", "write:3")
OPERATION = ("write:1", "write:2", "submit:1", "write:3")
STORIES: dict[str, Story] = {
    "asked for, then paid": Story("tok_3ds", "payment", CREATION, "captured", 1, meanwhile="approve"),
    "paid": Story("tok_3ds", "settle", SETTLEMENT, "captured", 1, before="approve"),
    "authorized": Story("tok_3ds", "settle", SETTLEMENT, "authorized", 1, before="approve", capture="manual"),
    "refused by the payer": Story("tok_3ds", "settle", SETTLEMENT, "declined", 0, before="decline"),
    "confirmed": Story("tok_3ds_confirm", "confirm", CONFIRMATION, "captured", 1, before="return"),
    "confirmed, then canceled": Story(
        "tok_3ds_confirm", "confirm", ("confirm:1",), "voided", 0, before="return", meanwhile="cancel"
    ),
    "canceled": Story("tok_3ds", "void", CANCELLATION, "voided", 0),
    "canceled, the payer is faster": Story(
        "tok_3ds", "void", ("write:2",), "captured", 1, meanwhile="approve", answer=402
    ),
    "expired": Story("tok_3ds", "settle", ("write:1", "find:1", "withdraw:1", "write:2"), "expired", 0, before="hour"),
    "expired, the payer is faster": Story(
        "tok_3ds", "settle", ("find:1",), "captured", 1, before="hour", meanwhile="approve"
    ),
    "debit": Story("tok_debit", "settle", SETTLEMENT, "captured", 1, before="days", method_type="bank_debit"),
    "debit, asked for": Story(
        "tok_debit", "payment", CREATION, "captured", 1, meanwhile="days", method_type="bank_debit"
    ),
    "debit that fails": Story(
        "tok_debit_fails", "settle", SETTLEMENT, "declined", 0, before="days", method_type="bank_debit"
    ),
    "capture received": Story("tok_ok", "capture", OPERATION, "captured", 1, meanwhile="decide", capture="manual"),
    "capture decided": Story("tok_ok", "settle", SETTLEMENT, "captured", 1, before="capture", capture="manual"),
    "refund received": Story("tok_ok", "refund", OPERATION, "refunded", 1, meanwhile="decide"),
    "refund decided": Story("tok_ok", "settle", SETTLEMENT, "refunded", 1, before="refund"),
}
# Where the point decides which of two comes first.
EITHER = {
    # The confirmation had reached the bank before it was struck: the payment is paid, and the cancellation too late.
    ("confirmed, then canceled", "after confirm:1"): ("captured", 1),
}


class WaitingCase(Case):
    """A case with a bank of its own, whose clock only this case moves."""

    def __init__(self, url: str, bank: BankHandle, folder: Path, server: ForkServer, story: Story) -> None:
        super().__init__(url, bank, "forgetful", folder, "", server)
        self.story = story
        self.bank_name = f"held-{next(_banks)}-{os.getpid()}"
        bank.configure(self.bank_name, visible_after_ms=0)
        self.decided_file = folder / "decided"
        self.task |= {
            "gateway": {"url": bank.base_url(self.bank_name), "lookup_authoritative_after_seconds": 0},
            "decided_file": str(self.decided_file),
            "token": story.token,
            "method_type": story.method_type,
            "capture": story.capture,
            "return_url": RETURN_URL,
        }
        self.offset_ms = 0
        self.result = ""
        self.answers: dict[str, list[dict[str, Any]]] = {}

    def task_of(self, do: str) -> dict[str, Any]:
        """Return a client's task: the same key each time."""
        task = {"do": do, "key": f"the-key-of-the-{do}"}
        if do == "payment":
            return task
        task["payment_id"] = self.payment_id()
        if do == "confirm":
            task["result"] = self.result
        if do == "refund":
            task["amount_minor"] = 1000  # type: ignore[assignment]
        return task

    def ask(self, do: str) -> dict[str, Any]:
        """Let a client ask, and keep the answer."""
        answer = self.run(**self.task_of(do))
        self.answers.setdefault(do, []).append(answer)
        return answer

    def payment_id(self) -> str:
        """Return the id of the case's payment."""
        return str(json.loads(self.ask("payment")["body"])["id"])

    def pass_time(self, ms: int) -> None:
        """Move payonce's clock."""
        self.offset_ms += ms
        self.clock_file.write_text(str(self.offset_ms))

    def happen(self, what: str) -> None:
        """Let something happen at the bank, or let a client ask for something else."""
        match what:
            case "approve" | "decline" | "return":
                self.result = self._answer("approve" if what == "return" else what)
            case "hour":
                self.pass_time(HOUR_MS)
            case "days":
                self.bank.advance(self.bank_name, days=DAYS)
                self.pass_time(DAYS * 24 * HOUR_MS)
            case "decide":
                self.decided_file.touch()
            case "capture" | "refund":
                assert json.loads(self.ask(what)["body"])["status"] == "processing"
                self.decided_file.touch()
            case "cancel":
                self.ask("void")

    def _answer(self, answer: str) -> str:
        """Answer on the payer's page, and return the result with which the payer comes back."""
        [charge] = self.bank.books(bank=self.bank_name, kind="payment")
        page = urlsplit(self.bank.charge(self.bank_name, charge["charge_id"])["next_action"]["url"])
        with closing(http.client.HTTPConnection(page.netloc, timeout=10)) as connection:
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", page.path, urlencode({"answer": answer}), form)
            back = connection.getresponse()
            back.read()
        assert back.status == 303
        return parse_qs(urlsplit(back.headers["location"]).query)["payment_result"][0]

    def quiet(self, *later_ms: int) -> None:
        """Recover and settle, as soon as a lease is over and then later, as the schedule does."""
        for pause_ms in (LEASE_JUST_OVER_MS, LONG_AFTER_MS, *later_ms):
            self.pass_time(pause_ms)
            assert self.run(do="recover")["failed"] == 0
            self.run(do="settle")

    def executed(self, kind: str) -> int:
        """Return what the bank has executed."""
        return len(self.bank.books(bank=self.bank_name, kind=kind, status="succeeded"))

    def check_answers(self) -> None:
        """Every key that was answered for good is answered the same, byte for byte."""
        for do, before in self.answers.items():
            finals = [one for one in [*before, self.run(**self.task_of(do))] if one.get("status") not in {202, None}]
            assert len({(one["status"], one["body"]) for one in finals}) <= 1, (do, finals)

    def status(self) -> str:
        """Return the payment's status, after a look at what its events say."""
        tables = dump(self.client, self.names)
        outbox = [from_attributes(item) for item in tables[Table.OUTBOX.value]]
        [payment] = payments_in(map(from_attributes, tables[Table.PAYMENTS.value]), outbox)
        told = [json.loads(event["body"])["type"] for event in events_in(outbox)]
        # A payer who came back has something else to do: the return has to be confirmed.
        told = [kind for kind in told if kind != "payment.requires_action"]
        assert len(set(told)) == len(told), told
        return payment.status.value


def _cases() -> list[Any]:
    found: list[Any] = []
    for name, story in STORIES.items():
        for number, (step, side, how) in enumerate(itertools.product(story.steps, SIDES, HOWS)):
            if FULL or number == (len(found) + 1) % (len(story.steps) * len(SIDES) * len(HOWS)):
                found.append(pytest.param(name, f"{side} {step}", how, id=f"{name}-{side}-{step}-{how}"))
    return found


SIDES, HOWS = ("before", "after"), ("exit", "freeze")


@pytest.mark.parametrize(("name", "point", "how"), _cases())
def test_what_is_held_ends_once_and_truly(
    name: str, point: str, how: str, dynamodb_url: str, bank: BankHandle, fork_server: ForkServer, tmp_path: Path
) -> None:
    story = STORIES[name]
    case = WaitingCase(dynamodb_url, bank, tmp_path, fork_server, story)
    process = _struck(case, story, point.replace(" ", ":"), how)
    if story.struck == "payment":
        # The client that has no answer, or its recovery, learns first what the payer has to do.
        case.pass_time(LEASE_JUST_OVER_MS)
        case.ask("payment")
    case.happen(story.meanwhile)
    case.quiet()
    if how == "freeze":
        case.thaw(process)
    if story.struck != "settle":
        answer = case.ask(story.struck)
        assert answer.get("status") == story.answer or answer["error"] in {"PaymentStateConflict", "KeyExpired"}
    case.quiet(HOUR_MS // 2, HOUR_MS // 2, 6 * HOUR_MS)
    status, charges = EITHER.get((name, point), (story.status, story.charges))
    found = case.executed("payment"), case.status()
    WAITING_ROWS.append((name, point, how, f"{found[0]} / {found[1]}"))
    assert found == (charges, status)
    for kind in ("capture", "refund"):
        assert case.executed(kind) == (kind == story.struck or story.before == kind)
    case.check_answers()
    case.check_stored()


def _struck(case: WaitingCase, story: Story, point: str, how: str) -> Process:
    if story.struck == "payment":
        return case.strike(point=point, how=how, **case.task_of("payment"))
    case.ask("payment")
    case.happen(story.before)
    case.pass_time(LEASE_JUST_OVER_MS)
    task = {"do": "settle"} if story.struck == "settle" else case.task_of(story.struck)
    return case.strike(point=point, how=how, **task)
