"""A running bank, and a till at it that speaks the bank's own HTTP API."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import urllib3

from local.receiver import Received, ReceiverServer, running_receiver
from local.sandbox_bank.running import BankHandle, running_bank
from payonce.reconciliation.readers.read import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.reconciliation.readers.rows import GatewayRow, Statement

_names = itertools.count(1)
RETURN_URL = "https://shop.example/back?order=7#paid"


@dataclass(frozen=True)
class Till:
    """One bank of its own per test."""

    handle: BankHandle
    bank: str

    def charge(self, reference: str, amount_minor: int, currency: str = "EUR", **values: str) -> dict[str, Any]:
        """Book a payment, captured automatically unless ``capture`` says otherwise."""
        body = {"payment_method": "pm_visa", "capture": "automatic", "currency": currency, **values}
        return self._post("/charges", {**body, "reference": reference, "amount_minor": amount_minor})

    def follow_up(self, kind: str, charge_id: str, reference: str, amount_minor: int) -> dict[str, Any]:
        """Book ``captures`` or ``refunds`` of a charge."""
        path = f"/charges/{charge_id}/{kind}"
        return self._post(path, {"reference": reference, "amount_minor": amount_minor})

    def settle(self, days: int = 0) -> list[dict[str, Any]]:
        """Settle what was booked until now, as of so many days later."""
        booked = [row["created_at_ms"] for row in self.handle.books(bank=self.bank)]
        newest = max([*booked, *(row.created_at_ms for row in self.report())])  # a lost row is booked all the same
        return self.handle.settle(self.bank, newest + days * 86_400_000)

    def fault(self, fault: str, **values: Any) -> dict[str, Any]:
        """Commit a fault."""
        return self.handle.fault(self.bank, fault, **values)

    def report(self) -> tuple[GatewayRow, ...]:
        """Return the whole report, as payonce reads it."""
        return read_file(self.handle.report(self.bank)).gateway_rows

    def statements(self) -> tuple[Statement, ...]:
        """Return all statements, as payonce reads them: proven."""
        return read_file(self.handle.statement(self.bank)).statements

    def pay(self, token: str, reference: str = "pay_1", **values: Any) -> dict[str, Any]:
        """Begin a payment of 10.00 EUR with a token; it must not be declined."""
        status, operation = self.ask("POST", "/charges", _payment(token, reference, values))
        assert status == 201, operation
        return operation

    def refused(self, token: str, reference: str = "pay_1", **values: Any) -> tuple[int, dict[str, Any]]:
        """Begin a payment that is refused or declined. Return the status and the body."""
        status, body = self.ask("POST", "/charges", _payment(token, reference, values))
        assert status >= 400, body
        return status, body

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """Send a merchant's request. Return the status and the JSON document."""
        url, given = self.handle.base_url(self.bank) + path, {"Authorization": "Bearer sandbox", **headers}
        raw = None if body is None else json.dumps(body).encode()
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.request(method, url, body=raw, headers=given, timeout=10)
        return answer.status, answer.json()

    def status(self, reference: str = "pay_1") -> tuple[str, str | None]:
        """Return the status and the decline code of the only payment with ``reference``, as a lookup shows them."""
        row = self.operation(reference)
        return row["status"], row["code"]

    def operation(self, reference: str = "pay_1") -> dict[str, Any]:
        """Return the only operation with ``reference``, as a lookup shows it."""
        (row,) = self.ask("GET", f"/operations?reference={reference}")[1]["operations"]
        found: dict[str, Any] = row
        return found

    def press(self, url: str, answer: str) -> str:
        """Press a button of the payer's page, as a browser does. Return where the browser goes."""
        with urllib3.PoolManager(retries=False) as pool:
            form = {"answer": answer}
            reply = pool.request("POST", url, fields=form, encode_multipart=False, redirect=False, timeout=10)
        assert reply.status == 303, reply.data
        return reply.headers["Location"]

    def see(self, url: str) -> tuple[int, str, dict[str, str]]:
        """Open the payer's page. Return the status, the HTML and the headers."""
        base = self.handle.url if not urlsplit(url).scheme else ""
        with urllib3.PoolManager(retries=False) as pool:
            reply = pool.request("GET", base + url, timeout=10)
        return reply.status, reply.data.decode(), dict(reply.headers)

    def types(self) -> list[str]:
        """Return the types of the bank's events, oldest first."""
        return [event["type"] for event in self.handle.events(self.bank)]

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        url, headers = self.handle.base_url(self.bank) + path, {"Authorization": "Bearer sandbox"}
        with urlopen(Request(url, json.dumps(body).encode(), headers, method="POST"), timeout=10) as answer:
            document: dict[str, Any] = json.load(answer)
        return document


def _payment(token: str, reference: str, values: dict[str, Any]) -> dict[str, Any]:
    named = {"reference": reference, "amount_minor": 1_000, "currency": "EUR", "capture": "automatic"}
    return {**named, "payment_method": token, **values}


@dataclass(frozen=True)
class Inbox:
    """What receives the events of one test's bank: one path of the receiver."""

    server: ReceiverServer
    path: str

    @property
    def url(self) -> str:
        """Return the URL to which events are sent."""
        return self.server.url + self.path

    @property
    def received(self) -> list[Received]:
        """Return the requests received so far."""
        return [request for request in self.server.received if request.path == self.path]

    def answer(self, *statuses: int) -> None:
        """Set the statuses of the next answers; afterwards it is 200 again."""
        self.server.statuses[self.path] = list(statuses)


@pytest.fixture(scope="session")
def receiver() -> Iterator[ReceiverServer]:
    with running_receiver() as running:
        yield running


@pytest.fixture
def inbox(receiver: ReceiverServer) -> Inbox:
    """An inbox of its own per test."""
    return Inbox(receiver, f"/inbox_{next(_names)}")


@pytest.fixture
def secret(till: Till, inbox: Inbox) -> str:
    """Let the bank send its events to the inbox. Return their secret."""
    return till.handle.send_events(till.bank, inbox.url)


@pytest.fixture(scope="session")
def handle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankHandle]:
    with running_bank(tmp_path_factory.mktemp("bank")) as running:
        yield running


@pytest.fixture
def till(handle: BankHandle) -> Till:
    """A till at a bank whose fees are 25 and 1.4 percent."""
    bank = f"bank_{next(_names)}"
    handle.configure(bank, fee_fixed_minor=25, fee_basis_points=140)
    return Till(handle, bank)
