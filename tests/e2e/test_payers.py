"""Payers who act, methods that take days and a gateway that calls back: real HTTP, the deployed stack, IAM enforced."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.e2e.conftest import Client

if TYPE_CHECKING:
    from local.stack import Stack
    from tests.e2e.conftest import Answer

GATEWAY, BANK = "late_bank", "late"
RETURN_URL = "https://shop.example/thanks"
PATIENCE_SECONDS = 250
RETRIED = {429, 500, 502, 503, 504}  # what the local cloud throttles


@pytest.fixture(scope="module")
def payers_client(stack: Stack) -> Client:
    """A merchant of a bank that posts its events to the stack."""
    stack.take_gateway_events(GATEWAY, BANK)
    return Client(stack, stack.create_merchant("Shop with payers", gateway=GATEWAY)[1])


def call(client: Client, method: str, path: str, body: Any = None, key: str | None = None) -> Answer:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = client.call(method, path, body, key=key)
        if answer.status not in RETRIED or time.monotonic() > give_up:
            return answer
        time.sleep(0.5)


def pay(client: Client, token: str, key: str | None = None, **more: Any) -> Answer:
    body = {"amount_minor": 4200, "currency": "EUR", "payment_method": token, **more}
    return call(client, "POST", "/payments", body, key or str(uuid.uuid4()))


def await_status(client: Client, payment_id: str, status: str) -> dict[str, Any]:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        payment: dict[str, Any] = call(client, "GET", f"/payments/{payment_id}").json()
        if payment["status"] == status:
            return payment
        time.sleep(0.5)
    raise AssertionError(f"{payment_id} is {payment['status']}, not {status}")


def answer_page(client: Client, url: str, answer: str) -> str:
    """Answer the bank's page as a browser does; return the address to which the payer is sent back."""
    page = client.pool.request("GET", url)
    assert page.status == 200
    assert b"<form" in page.data
    back = client.pool.request("POST", url, fields={"answer": answer}, encode_multipart=False, redirect=False)
    assert back.status == 303
    return str(back.headers["location"])


def test_a_payer_authenticates_and_is_charged_once(payers_client: Client, stack: Stack) -> None:
    key = str(uuid.uuid4())
    first = pay(payers_client, "tok_3ds_confirm", key, return_url=RETURN_URL)
    payment = first.json()
    assert (first.status, payment["status"]) == (201, "requires_action")
    back = answer_page(payers_client, payment["next_action"]["url"], "approve")
    assert back.startswith(RETURN_URL)
    path = f"/payments/{payment['id']}/confirmations"
    forged = call(payers_client, "POST", path, {"payment_result": "forged"}, str(uuid.uuid4()))
    assert (forged.status, forged.json()["status"]) == (400, 400)
    result = parse_qs(urlsplit(back).query)["payment_result"][0]
    confirm_key = str(uuid.uuid4())
    confirmed = call(payers_client, "POST", path, {"payment_result": result}, confirm_key)
    assert (confirmed.status, confirmed.json()["status"]) == (201, "captured")
    assert call(payers_client, "POST", path, {"payment_result": result}, confirm_key).body == confirmed.body
    again = pay(payers_client, "tok_3ds_confirm", key, return_url=RETURN_URL)
    assert (again.body, again.headers["payment-status"]) == (first.body, "captured")
    assert len(stack.bank.charges(bank=BANK, reference=f"{payment['id']}-1")) == 1


def test_the_payers_answer_arrives_as_an_event(payers_client: Client) -> None:
    """Nothing is confirmed and no schedule runs: the bank posts what its page was told."""
    payment = pay(payers_client, "tok_3ds", return_url=RETURN_URL).json()
    answer_page(payers_client, payment["next_action"]["url"], "decline")
    declined = await_status(payers_client, payment["id"], "declined")
    assert declined["decline_code"] == "authentication_failed"


def test_a_merchant_cancels_what_waits(payers_client: Client) -> None:
    payment = pay(payers_client, "tok_3ds", return_url=RETURN_URL).json()
    path = f"/payments/{payment['id']}/cancellations"
    canceled = call(payers_client, "POST", path, {}, str(uuid.uuid4()))
    assert (canceled.status, canceled.json()["payment"]["status"]) == (201, "voided")
    page = payers_client.pool.request("GET", payment["next_action"]["url"])
    assert b"<form" not in page.data


def test_a_debit_fails_days_later(payers_client: Client, stack: Stack) -> None:
    answer = pay(payers_client, "tok_debit_fails", payment_method_type="bank_debit")
    payment = answer.json()
    assert (answer.status, payment["status"]) == (201, "processing")
    stack.bank.advance(BANK, days=2)
    assert await_status(payers_client, payment["id"], "declined")["decline_code"] == "insufficient_funds"
    history = call(payers_client, "GET", f"/payments/{payment['id']}/history").json()["data"]
    assert [change["type"] for change in history] == ["payment.processing", "payment.declined"]


def test_a_payer_who_is_absent_is_not_asked(payers_client: Client) -> None:
    answer = pay(payers_client, "tok_3ds", off_session=True)
    assert (answer.status, answer.json()["code"]) == (402, "authentication_required")


def test_what_is_done_in_the_banks_dashboard_is_told(payers_client: Client, stack: Stack) -> None:
    payment = pay(payers_client, "tok_ok").json()
    stack.bank.dashboard(BANK, "refund", reference=f"{payment['id']}-1", amount_minor=4200)
    refunded = await_status(payers_client, payment["id"], "refunded")
    assert refunded["refunded_minor"] == 4200


@pytest.mark.parametrize("mode", ["forged", "stale", "huge"])
def test_an_event_that_is_not_the_banks_is_refused(mode: str, payers_client: Client, stack: Stack) -> None:
    payment = pay(payers_client, "tok_ok").json()
    (event,) = [one for one in stack.bank.events(BANK) if one["data"]["reference"] == f"{payment['id']}-1"]
    stack.bank.send_event_again(BANK, event["id"], mode)
    answers: list[int] = []
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        (event,) = [one for one in stack.bank.events(BANK) if one["id"] == event["id"]]
        answers = [
            attempt["status"]
            for delivery in event["deliveries"]
            if delivery["fault"] == mode
            for attempt in delivery["attempts"]
            if "status" in attempt
        ]
        if answers:
            break
        time.sleep(0.5)
    assert set(answers) <= {400, 413}


def test_payments_are_found_by_their_reference(payers_client: Client) -> None:
    reference = f"order-{uuid.uuid4().hex}"
    made = pay(payers_client, "tok_ok", reference=reference).json()
    pay(payers_client, "tok_ok", reference=f"{reference}-other")
    found = call(payers_client, "GET", f"/payments?reference={reference}&status=captured").json()
    assert [payment["id"] for payment in found["data"]] == [made["id"]]


def test_a_method_is_set_up_charged_while_nobody_is_there_and_revoked(payers_client: Client, stack: Stack) -> None:
    """The payer agrees on the bank's page; the bank's event, and no schedule, tells of it. Nobody pays anything."""
    key, customer = str(uuid.uuid4()), f"customer-{uuid.uuid4().hex[:8]}"
    body = {"customer": customer, "currency": "EUR", "payment_method": "tok_3ds", "return_url": RETURN_URL}
    first = call(payers_client, "POST", "/setups", body, key)
    setup = first.json()
    assert (first.status, setup["status"]) == (201, "requires_action")
    answer_page(payers_client, setup["next_action"]["url"], "approve")
    give_up = time.monotonic() + PATIENCE_SECONDS
    while (now := call(payers_client, "GET", f"/setups/{setup['id']}").json())["status"] != "succeeded":
        assert time.monotonic() < give_up, now
        time.sleep(0.5)
    again = call(payers_client, "POST", "/setups", body, key)
    assert (again.body, again.headers["payment-status"]) == (first.body, "succeeded")
    method_id = now["saved_payment_method"]
    listed = call(payers_client, "GET", f"/payment_methods?customer={customer}").json()["data"]
    assert [(method["id"], method["status"]) for method in listed] == [(method_id, "active")]

    paid = pay(payers_client, method_id, off_session=True)
    assert (paid.status, paid.json()["status"], paid.json()["customer"]) == (201, "captured", customer)
    assert len(stack.bank.charges(bank=BANK, reference=f"{paid.json()['id']}-1")) == 1
    payments = call(payers_client, "GET", f"/payments?customer={customer}").json()["data"]
    assert [payment["id"] for payment in payments] == [paid.json()["id"]]

    path = f"/payment_methods/{method_id}/revocations"
    revoked = call(payers_client, "POST", path, {}, str(uuid.uuid4()))
    assert (revoked.status, revoked.json()["status"]) == (201, "revoked")
    refused = pay(payers_client, method_id, off_session=True)
    assert (refused.status, refused.json()["payment_method_status"]) == (409, "revoked")
