"""The fake Mollie's customers: https://docs.mollie.com/reference/customers-api."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.mollie.conftest import ACCOUNT, MANDATES

if TYPE_CHECKING:
    from tests.contract.mollie.conftest import Client


def made(client: Client, **members: Any) -> dict[str, Any]:
    status, customer = client.ask("POST", "/customers", {"name": "Ada Lovelace", **members})
    assert status == 201
    return dict(customer)


def test_a_customer_is_made_read_changed_and_listed(client: Client) -> None:
    """Fails when the document lacks what the OpenAPI document requires, or a change is lost."""
    first, second = made(client), made(client, metadata={"id": "7"})
    assert {"resource", "id", "mode", "name", "email", "locale", "metadata", "createdAt", "_links"} <= first.keys()
    changed = client.ask("PATCH", f"/customers/{first['id']}", {"email": "ada@example.org"})[1]
    assert (changed["email"], changed["name"]) == ("ada@example.org", "Ada Lovelace")
    assert client.ask("GET", f"/customers/{first['id']}")[1] == changed
    page = client.ask("GET", "/customers?limit=1")[1]
    assert [row["id"] for row in page["_embedded"]["customers"]] == [second["id"]]
    assert f"from={first['id']}" in page["_links"]["next"]["href"]
    assert client.ask("GET", "/customers/cst_never")[0] == 404


def test_a_payment_is_made_under_its_customer(client: Client) -> None:
    """Fails when POST /customers/{id}/payments is another payment than POST /payments makes for the customer."""
    path = f"/customers/{made(client)['id']}"
    body = {"amount": {"currency": "EUR", "value": "0.00"}, "description": "Set-up", "sequenceType": "first"}
    body |= {"method": "creditcard", "redirectUrl": "https://shop.example/back"}
    status, payment = client.ask("POST", f"{path}/payments", body)
    assert (status, f"/customers/{payment['customerId']}") == (201, path)
    listed = client.ask("GET", f"{path}/payments")[1]["_embedded"]["payments"]
    assert [row["id"] for row in listed] == [payment["id"]]
    assert client.ask("GET", "/customers/cst_1/payments")[1]["count"] == 0


@pytest.mark.parametrize("gone", [404, 410])
def test_a_deleted_customer_is_charged_no_more(client: Client, gone: int) -> None:
    """Fails when a deletion leaves a mandate: "All mandates … created for this customer will be canceled as well"."""
    client.books.settings.gone_status = gone
    customer = made(client)["id"]
    mandate = client.first(customerId=customer)
    assert client.ask("DELETE", f"/customers/{customer}") == (204, None)
    assert client.ask("GET", f"/customers/{customer}")[0] == gone
    assert client.ask("DELETE", f"/customers/{customer}")[0] == gone
    assert client.ask("GET", f"/customers/{customer}/mandates")[0] == gone
    assert client.pay("recurring", customerId=customer, mandateId=mandate)[1]["field"] == "customerId"
    assert mandate not in client.books.mandates.rows
    assert client.pay("recurring", mandateId=mandate)[0] == 422


def test_a_shop_may_have_made_its_customers_elsewhere(client: Client) -> None:
    """Fails when an id of a customer's form is refused, or is taken though the fake is told to know them all."""
    assert client.ask("POST", MANDATES, ACCOUNT)[0] == 201
    client.books.settings.any_customer = False
    assert client.ask("POST", MANDATES, ACCOUNT)[0] == 404
    assert client.pay("first")[1]["field"] == "customerId"
    assert client.pay("first", customerId=made(client)["id"])[0] == 201
