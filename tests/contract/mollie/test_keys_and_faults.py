"""Idempotency keys of the fake Mollie on what a set-up asks, its faults, and its webhooks.

https://docs.mollie.com/reference/api-idempotency and https://docs.mollie.com/reference/webhooks
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
import urllib3.exceptions

from local.receiver import running_receiver
from tests.contract.mollie.conftest import ACCOUNT, DAY_SECONDS, MANDATES

if TYPE_CHECKING:
    from tests.contract.mollie.conftest import Client


def fresh() -> str:
    return str(uuid.uuid4())


def test_a_key_makes_one_mandate_and_one_first_payment(client: Client) -> None:
    """Fails when a repeated set-up is made twice, or another request gets the first one's answer."""
    key, other = fresh(), fresh()
    first, again = (client.ask("POST", MANDATES, ACCOUNT, key) for _ in range(2))
    assert (first, client.replayed, len(client.mandates())) == (again, True, 1)
    assert client.pay("first", key=other)[1]["id"] == client.pay("first", key=other)[1]["id"]
    assert client.ask("POST", MANDATES, {**ACCOUNT, "consumerName": "Grace Hopper"}, key)[0] == 400
    assert client.ask("POST", "/customers/cst_2/mandates", ACCOUNT, key)[0] == 400
    assert len(client.books.payments) == 1


def test_a_revocation_has_a_key_too(client: Client) -> None:
    """Fails when a repeated revocation is refused under its key: the OpenAPI document has the header for it."""
    mandate, key = client.first(), fresh()
    for replayed in (False, True):
        assert client.ask("DELETE", f"{MANDATES}/{mandate}", key=key) == (204, None)
        assert client.replayed is replayed
    assert client.ask("DELETE", f"{MANDATES}/{mandate}", key=fresh())[0] == 404
    assert client.ask("DELETE", f"{MANDATES}/{mandate}")[0] == 404


@pytest.mark.parametrize(
    ("fault", "status", "executed", "again"),
    [
        ("throttled", 429, False, 204),
        ("unavailable", 503, False, 204),
        ("unsent", 0, False, 204),
        ("kept", 500, False, 500),
        ("lost", 0, True, 204),
        ("error_after", 500, True, 204),
        ("told_first", 204, True, 204),
    ],
)
def test_a_fault_of_a_revocation(client: Client, fault: str, status: int, executed: bool, again: int) -> None:
    """Fails when the books tell another truth than the fault's name, or the key does not give the first answer."""
    mandate, key = client.first(), fresh()
    client.api.fault = fault
    if status:
        assert client.ask("DELETE", f"{MANDATES}/{mandate}", key=key)[0] == status
    else:
        with pytest.raises(urllib3.exceptions.HTTPError):
            client.ask("DELETE", f"{MANDATES}/{mandate}", key=key)
    assert (mandate not in client.mandates()) is executed
    assert client.ask("DELETE", f"{MANDATES}/{mandate}", key=key)[0] == again
    assert (mandate not in client.mandates()) is (executed or again == 204)


@pytest.mark.parametrize("fault", ["lost", "error_after"])
def test_a_first_payment_whose_answer_is_lost_is_made_once(client: Client, fault: str) -> None:
    """Fails when the key makes a second payment, or the customer's listing does not show the first."""
    key = fresh()
    client.api.fault = fault
    if fault == "lost":
        with pytest.raises(urllib3.exceptions.HTTPError):
            client.pay("first", value="0.00", key=key)
    else:
        assert client.pay("first", value="0.00", key=key)[0] == 500
    [shown] = client.ask("GET", "/customers/cst_1/payments")[1]["_embedded"]["payments"]
    assert client.pay("first", value="0.00", key=key)[1]["id"] == shown["id"]
    assert len(client.books.payments) == 1


def test_a_webhook_has_the_id_alone(client: Client) -> None:
    """Fails when more than the id is told, too often, of what is no end, or to another machine."""
    with running_receiver() as receiver:
        payment = client.pay("first", value="0.00", webhookUrl=f"{receiver.url}/mollie?x=1")[1]
        elsewhere = client.pay("first", webhookUrl="https://shop.example/mollie")[1]
        assert client.api.deliver() == 0
        client.books.pay(payment["id"], approve=True)
        client.books.pay(elsewhere["id"], approve=True)
        assert (client.api.deliver(), client.api.deliver()) == (1, 0)
        [told] = receiver.received
    assert told.body == f"id={payment['id']}".encode()
    assert (told.path, told.headers["content-type"]) == ("/mollie?x=1", "application/x-www-form-urlencoded")


def test_webhooks_come_twice_held_reversed_and_before_the_answer(client: Client) -> None:
    """Fails when a disorder of webhooks can't be had."""
    hooks = client.api.webhooks
    with running_receiver() as receiver:
        one, two = (client.pay("first", webhookUrl=f"{receiver.url}/mollie")[1]["id"] for _ in range(2))
        for identity in (one, two):
            client.books.pay(identity, approve=True)
        hooks.held = True
        assert client.api.deliver() == 0
        hooks.held, hooks.reversed_order, hooks.duplicates = False, True, 1
        client.api.deliver()
        assert [request.body.decode() for request in receiver.received] == [f"id={two}"] * 2 + [f"id={one}"] * 2
        hooks.duplicates, client.api.fault = 0, "told_first"
        recurring = client.pay("recurring", webhookUrl=f"{receiver.url}/mollie")[1]["id"]
        assert receiver.received[-1].body.decode() == f"id={recurring}"


def test_a_webhook_that_nobody_accepts_is_called_again(client: Client) -> None:
    """Fails when a refused call is forgotten, or goes on for ever."""
    payment = client.pay("first", webhookUrl="http://127.0.0.1:9/mollie")[1]
    client.books.ahead_seconds += DAY_SECONDS
    calls = [client.api.deliver() for _ in range(12)]
    assert client.payment(payment["id"])["status"] == "expired"
    assert sum(calls) == 10
