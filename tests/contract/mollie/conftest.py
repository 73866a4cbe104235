"""A running fake of Mollie, and a shop that asks it over plain HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from local.mollie.server import MollieApi, running_mollie

if TYPE_CHECKING:
    from collections.abc import Iterator

CUSTOMER = "cst_1"
MANDATES = f"/customers/{CUSTOMER}/mandates"
ACCOUNT = {"method": "directdebit", "consumerName": "Ada Lovelace", "consumerAccount": "NL55INGB0000000000"}
DAY_SECONDS = 86_400


class Client:
    """What a shop asks the fake."""

    def __init__(self, api: MollieApi, url: str) -> None:
        self.api = api
        self.books = api.books
        self.replayed = False
        self._url, self._key = url, api.api_key

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> tuple[int, Any]:
        """Return status and document. ``replayed`` then says whether it is a cached answer."""
        headers, raw = {"authorization": f"Bearer {self._key}"}, json.dumps(body).encode() if body else None
        if key:
            headers["idempotency-key"] = key
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.request(method, self._url + path, body=raw, headers=headers, timeout=10)
        self.replayed = answer.headers.get("idempotent-replayed") == "true"
        return answer.status, json.loads(answer.data) if answer.data else None

    def pay(
        self, sequence: str, method: str | None = "creditcard", value: str = "10.00", *, key: str = "", **more: Any
    ) -> tuple[int, Any]:
        """Ask for a payment of the customer's."""
        body = {"amount": {"currency": "EUR", "value": value}, "description": "Two cups", "sequenceType": sequence}
        body |= {"customerId": CUSTOMER, "redirectUrl": "https://shop.example/back", **more}
        return self.ask("POST", "/payments", {**body, "method": method} if method else body, key)

    def payment(self, identity: str) -> dict[str, Any]:
        """Return a payment as it is now."""
        found: dict[str, Any] = self.ask("GET", f"/payments/{identity}")[1]
        return found

    def first(self, method: str = "creditcard", value: str = "10.00", **more: Any) -> str:
        """Let a first payment be paid. Return its mandate."""
        status, payment = self.pay("first", method, value, **more)
        assert status == 201, payment
        self.books.pay(payment["id"], approve=True)
        return str(self.payment(payment["id"])["mandateId"])

    def mandates(self, customer: str = CUSTOMER) -> list[str]:
        """Return the ids of a customer's mandates, newest first."""
        return [row["id"] for row in self.ask("GET", f"/customers/{customer}/mandates")[1]["_embedded"]["mandates"]]


@pytest.fixture
def client() -> Iterator[Client]:
    """A fresh fake."""
    api = MollieApi()
    with running_mollie(api) as url:
        yield Client(api, url)
