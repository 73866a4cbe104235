"""A running bank, and a till at it that speaks the bank's own HTTP API."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from local.sandbox_bank.running import BankHandle, running_bank
from payonce.reconciliation.readers.read import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.reconciliation.readers.rows import GatewayRow, Statement

_names = itertools.count(1)


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

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        url, headers = self.handle.base_url(self.bank) + path, {"Authorization": "Bearer sandbox"}
        with urlopen(Request(url, json.dumps(body).encode(), headers, method="POST"), timeout=10) as answer:
            document: dict[str, Any] = json.load(answer)
        return document


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
