"""The fake Mollie's mandates: made by a first payment, used by recurring ones, and revoked.

https://docs.mollie.com/reference/mandates-api and https://docs.mollie.com/docs/recurring-payments
"""

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
        self.books = api.books
        self._url, self._key = url, api.api_key

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Return status and document."""
        headers, raw = {"authorization": f"Bearer {self._key}"}, json.dumps(body).encode() if body else None
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.request(method, self._url + path, body=raw, headers=headers, timeout=10)
        return answer.status, json.loads(answer.data) if answer.data else None

    def pay(
        self, sequence: str, method: str | None = "creditcard", value: str = "10.00", **more: Any
    ) -> tuple[int, Any]:
        """Ask for a payment of the customer's."""
        body = {"amount": {"currency": "EUR", "value": value}, "description": "Two cups", "sequenceType": sequence}
        body |= {"customerId": CUSTOMER, "redirectUrl": "https://shop.example/back", **more}
        return self.ask("POST", "/payments", {**body, "method": method} if method else body)

    def first(self, method: str = "creditcard", value: str = "10.00") -> str:
        """Let a first payment be paid. Return its mandate."""
        status, payment = self.pay("first", method, value)
        assert status == 201, payment
        self.books.pay(payment["id"], approve=True)
        return str(payment["mandateId"])


@pytest.fixture
def client() -> Iterator[Client]:
    """A fresh fake."""
    api = MollieApi()
    with running_mollie(api) as url:
        yield Client(api, url)


@pytest.mark.parametrize(
    ("method", "of_mandate"), [("creditcard", "creditcard"), ("ideal", "directdebit"), ("paypal", "paypal")]
)
def test_a_first_payment_makes_a_mandate(client: Client, method: str, of_mandate: str) -> None:
    """Fails when the mandate is valid before its payment, is not named by it, or is of another method."""
    _, payment = client.pay("first", method)
    path = f"{MANDATES}/{payment['mandateId']}"
    _, pending = client.ask("GET", path)
    client.books.pay(payment["id"], approve=True)
    _, valid = client.ask("GET", path)
    assert (pending["status"], valid["status"]) == ("pending", "valid")
    assert (valid["resource"], valid["method"], valid["customerId"]) == ("mandate", of_mandate, CUSTOMER)
    assert {"id", "mode", "details", "mandateReference", "signatureDate", "createdAt", "_links"} <= valid.keys()


@pytest.mark.parametrize("how", ["refused", "canceled", "expired"])
def test_a_first_payment_that_is_not_paid_leaves_no_valid_mandate(client: Client, how: str) -> None:
    """Fails when a customer who did not pay can be charged."""
    _, payment = client.pay("first")
    if how == "refused":
        client.books.pay(payment["id"], approve=False)
    elif how == "canceled":
        assert client.ask("DELETE", f"/payments/{payment['id']}")[0] == 200
    else:
        client.books.ahead_seconds += DAY_SECONDS
    client.ask("GET", "/payments")
    assert client.ask("GET", f"{MANDATES}/{payment['mandateId']}")[1]["status"] == "invalid"
    status, refused = client.pay("recurring", mandateId=payment["mandateId"])
    assert (status, refused["detail"]) == (422, "No suitable mandates found for customer.")


def test_a_card_can_be_set_up_for_nothing(client: Client) -> None:
    """Fails when a first payment of nothing is refused for a card, or taken for a bank account."""
    mandate = client.first(value="0.00")
    status, charged = client.pay("recurring", mandateId=mandate)
    assert (status, charged["status"], charged["mandateId"]) == (201, "paid", mandate)
    assert client.pay("first", "ideal", "0.00")[0] == 422


def test_a_recurring_payment_finds_the_customers_mandate(client: Client) -> None:
    """Fails when another method's or another customer's mandate is charged."""
    assert client.pay("recurring")[0] == 422
    card, account = client.first(), client.first("ideal")
    assert client.pay("recurring")[1]["mandateId"] == card
    debit = client.pay("recurring", "directdebit")[1]
    assert (debit["mandateId"], debit["status"]) == (account, "pending")
    assert client.pay("recurring", None)[1]["mandateId"] == account
    assert client.pay("recurring", mandateId=account)[0] == 422
    assert client.pay("recurring", customerId="cst_2", mandateId=card)[0] == 422


def test_a_revoked_mandate_charges_nothing(client: Client) -> None:
    """Fails when a mandate can be charged, read or revoked again after its revocation."""
    mandate, other = client.first(), client.first()
    assert client.ask("DELETE", f"/customers/cst_2/mandates/{mandate}")[0] == 404
    assert client.ask("DELETE", f"{MANDATES}/{mandate}") == (204, None)
    assert client.ask("GET", f"{MANDATES}/{mandate}")[0] == 404
    assert client.ask("DELETE", f"{MANDATES}/{mandate}")[0] == 404
    assert client.pay("recurring", mandateId=mandate)[0] == 422
    assert client.pay("recurring")[1]["mandateId"] == other
    listed = client.ask("GET", MANDATES)[1]
    assert [row["id"] for row in listed["_embedded"]["mandates"]] == [other]


def test_mandates_are_listed_newest_first_in_pages(client: Client) -> None:
    """Fails when a listing has another order, or its next page does not follow."""
    made = [client.first() for _ in range(3)]
    page = client.ask("GET", f"{MANDATES}?limit=2")[1]
    assert [row["id"] for row in page["_embedded"]["mandates"]] == [made[2], made[1]]
    assert f"from={made[0]}" in page["_links"]["next"]["href"]


def test_an_account_is_set_up_without_a_payment(client: Client) -> None:
    """Fails when a mandate of an account can't be made, or one of a card can."""
    status, mandate = client.ask("POST", MANDATES, ACCOUNT)
    assert (status, mandate["status"], mandate["details"]["consumerName"]) == (201, "valid", "Ada Lovelace")
    assert client.pay("recurring", "directdebit")[1]["mandateId"] == mandate["id"]
    assert client.ask("POST", MANDATES, {**ACCOUNT, "method": "creditcard"})[0] == 422
    without = {name: value for name, value in ACCOUNT.items() if name != "consumerAccount"}
    assert client.ask("POST", MANDATES, without)[1]["field"] == "consumerAccount"


def test_a_first_payment_is_a_customers(client: Client) -> None:
    """Fails when a mandate is made for nobody, or by a method that makes none."""
    status, refused = client.pay("first", customerId=None)
    assert (status, refused["field"]) == (422, "customerId")
    assert client.pay("first", "multibanco")[1]["field"] == "method"
