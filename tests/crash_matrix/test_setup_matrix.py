"""Killed, or frozen past its lease, at every step of a set-up, of what follows it, and of a revocation.

Real processes, DynamoDB Local and the sandbox bank over HTTP, which ignores keys. After recovery, settlements and the
clients' retries the bank has made one set-up at most, what payonce shows is what the bank has, every change has one
event, and every key's answer stays what it was. PAYONCE_CRASH_MATRIX=full runs every case.
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
from urllib.request import Request, urlopen

import pytest

from payonce.ports import Table
from payonce.stores.dynamodb_requests import from_attributes
from tests.crash_matrix import setup_child
from tests.crash_matrix.child import KILLED_EXIT_CODE
from tests.crash_matrix.test_crash_matrix import FULL, LEASE_JUST_OVER_MS, LONG_AFTER_MS, Case
from tests.support.aws import dump
from tests.support.stored import events_in

if TYPE_CHECKING:
    from pathlib import Path

    from local.sandbox_bank.running import BankHandle
    from tests.crash_matrix.fork_server import ForkServer, Process

HOUR_MS = 3_600_000
_banks = itertools.count()
SIDES, HOWS = ("before", "after"), ("exit", "freeze")


@dataclass(frozen=True, slots=True)
class Story:
    """What is struck around which calls, and what everything comes to: the set-up's status, and the method's.

    ``before``: what happened at the bank before; ``meanwhile``: what happens after the strike.
    """

    token: str
    struck: str
    steps: tuple[str, ...]
    status: str
    method: str = ""
    before: str = ""
    meanwhile: str = ""
    charges: int = 0


OPERATION, SETTLEMENT = ("write:1", "submit:1", "write:2"), ("write:1", "find:1", "write:2")
STORIES: dict[str, Story] = {
    "saved at once": Story("tok_ok", "setup", OPERATION, "succeeded", "active"),
    "refused": Story("tok_declined", "setup", OPERATION, "declined"),
    "asked for, then agreed": Story("tok_3ds", "setup", OPERATION, "succeeded", "active", meanwhile="approve"),
    "agreed": Story("tok_3ds", "settle", SETTLEMENT, "succeeded", "active", before="approve"),
    "refused by the payer": Story("tok_3ds", "settle", SETTLEMENT, "declined", before="decline"),
    "confirmed": Story(
        "tok_3ds_confirm", "confirm", ("write:1", "confirm:1", "write:2"), "succeeded", "active", before="return"
    ),
    "canceled": Story("tok_3ds", "cancel", ("write:1", "withdraw:1", "write:2"), "canceled"),
    "expired": Story("tok_3ds", "settle", ("write:1", "find:1", "withdraw:1", "write:2"), "expired", before="hour"),
    "charged": Story("tok_ok", "charge", OPERATION, "succeeded", "active", charges=1),
    "revoked": Story("tok_ok", "revoke", OPERATION, "succeeded", "revoked"),
}


class SetupCase(Case):
    """A case with a bank and a customer of its own."""

    def __init__(self, url: str, bank: BankHandle, folder: Path, server: ForkServer, story: Story) -> None:
        super().__init__(url, bank, "forgetful", folder, "", server)
        self.bank_name = f"setups-{next(_banks)}-{os.getpid()}"
        bank.configure(self.bank_name, visible_after_ms=0)
        self.task |= {
            "gateway": {"url": bank.base_url(self.bank_name), "lookup_authoritative_after_seconds": 0},
            "token": story.token,
            "customer": f"customer-{self.number}",
            "return_url": "https://shop.example/back",
        }
        self.offset_ms = 0
        self.result = ""
        self.answers: dict[str, list[dict[str, Any]]] = {}

    def start(self, **task: Any) -> Process:
        """See ``Case``."""
        return self.server.do("setup", {**self.task, **task})

    def run(self, **task: Any) -> dict[str, Any]:
        """See ``Case``."""
        return setup_child.run({**self.task, **task})

    def task_of(self, do: str) -> dict[str, Any]:
        """Return a client's task: the same key each time."""
        task = {"do": do, "key": f"the-key-of-the-{do}"}
        if do == "setup":
            return task
        setup = json.loads(self.ask("setup")["body"])
        return task | {"setup_id": setup["id"], "method_id": setup["saved_payment_method"], "result": self.result}

    def ask(self, do: str) -> dict[str, Any]:
        """Let a client ask, and keep the answer."""
        answer = self.run(**self.task_of(do))
        self.answers.setdefault(do, []).append(answer)
        return answer

    def pass_time(self, ms: int) -> None:
        """Move payonce's clock."""
        self.offset_ms += ms
        self.clock_file.write_text(str(self.offset_ms))

    def happen(self, what: str) -> None:
        """Let the payer act on the bank's page, or an hour pass."""
        if what == "hour":
            self.pass_time(HOUR_MS)
        elif what:
            self.result = self._answer("approve" if what == "return" else what)

    def _answer(self, answer: str) -> str:
        first = json.loads(self.ask("setup")["body"])
        page = urlsplit(first["next_action"]["url"])
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

    def mandates(self) -> list[str]:
        """Return the states of the customer's mandates, as the bank's own API shows them."""
        url = f"{self.bank.base_url(self.bank_name)}/customers/{self.task['customer']}/saved_methods"
        with urlopen(Request(url, headers={"Authorization": "Bearer x"}), timeout=10) as answer:
            return [saved["mandate"]["status"] for saved in json.load(answer)["saved_methods"]]

    def check_answers(self) -> None:
        """Every key that was answered for good is answered the same, byte for byte."""
        for do, before in self.answers.items():
            finals = [one for one in [*before, self.run(**self.task_of(do))] if one.get("status") not in {202, None}]
            assert len({(one["status"], one["body"]) for one in finals}) <= 1, (do, finals)

    def found(self) -> tuple[str, str]:
        """Return the one set-up's status and the one method's, "" without one, after a look at their events."""
        tables = dump(self.client, self.names)
        items = [from_attributes(item) for item in tables[Table.PAYMENTS.value]]
        events = events_in([from_attributes(item) for item in tables[Table.OUTBOX.value]])
        told: dict[str, list[int]] = {}
        for event in events:
            told.setdefault(event["pk"], []).append(json.loads(event["body"])["sequence"])
        for sequences in told.values():
            assert sorted(sequences) == list(range(1, len(sequences) + 1))
        [setup] = [item for item in items if item["sk"] == "SETUP"]
        methods = [item for item in items if item["sk"] == "METHOD"]
        assert len(told[setup["setup_id"]]) == setup["version"]
        assert all(len(told[method["method_id"]]) == method["version"] for method in methods)
        assert len(methods) == self.executed("setup")
        assert all(item["status"]["S"] == "COMPLETED" for item in tables["idempotency"])
        return setup["status"], methods[0]["status"] if methods else ""


def _cases() -> list[Any]:
    """Return every case, or of each story two: at another point, killed and frozen in turn."""
    found: list[Any] = []
    for index, (name, story) in enumerate(STORIES.items()):
        cases = list(itertools.product(story.steps, SIDES, HOWS))
        chosen = {index % len(cases), (3 * index + 5) % len(cases)}
        for number, (step, side, how) in enumerate(cases):
            if FULL or number in chosen:
                found.append(pytest.param(name, f"{side}:{step}", how, id=f"{name}-{side}-{step}-{how}"))
    return found


@pytest.mark.parametrize(("name", "point", "how"), _cases())
def test_a_method_is_saved_once_and_truly(
    name: str, point: str, how: str, dynamodb_url: str, bank: BankHandle, fork_server: ForkServer, tmp_path: Path
) -> None:
    story = STORIES[name]
    case = SetupCase(dynamodb_url, bank, tmp_path, fork_server, story)
    if story.struck != "setup":
        case.ask("setup")
        case.happen(story.before)
        case.pass_time(LEASE_JUST_OVER_MS)
    task = {"do": "settle"} if story.struck == "settle" else case.task_of(story.struck)
    process = case.strike(point=point, how=how, **task)
    assert process.exit in {None, KILLED_EXIT_CODE}
    if story.struck == "setup":
        # The client that has no answer, or its recovery, learns first what the payer has to do.
        case.pass_time(LEASE_JUST_OVER_MS)
        case.ask("setup")
    case.happen(story.meanwhile)
    case.quiet()
    if how == "freeze":
        case.thaw(process)
    if story.struck not in {"setup", "settle"}:
        answer = case.ask(story.struck)
        assert answer.get("status") == 201 or answer["error"] == "SetupStateConflict", answer
    case.quiet(HOUR_MS // 2, HOUR_MS // 2, 6 * HOUR_MS)
    assert case.found() == (story.status, story.method)
    assert case.executed("payment") == story.charges
    assert case.mandates() == ([story.method] if story.method else [])
    case.check_answers()
