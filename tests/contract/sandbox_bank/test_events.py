"""The bank's events, as a receiver gets them: signed, once per change, and again until they are accepted."""

from __future__ import annotations

import socket
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from local.sandbox_bank.sender import signature
from tests.contract.sandbox_bank.receiving import genuine, received, settled, wait_for

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Inbox, Till


def test_a_payment_tells_its_payer_and_its_end(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when a change has no event, the signature is not the standard's, or the data name another object."""
    waiting = till.pay("tok_3ds")
    till.press(waiting["next_action"]["url"], "approve")
    first, second = (genuine(secret, request) for request in received(inbox, 2))
    assert (first["type"], second["type"]) == ("payment.requires_action", "payment.succeeded")
    assert second["data"] == {
        "object": "payment",
        "object_id": waiting["operation_id"],
        "charge_id": waiting["charge_id"],
        "reference": "pay_1",
        "payment_reference": "pay_1",
        "status": "succeeded",
        "amount_minor": 1_000,
        "currency": "EUR",
    }
    assert inbox.received[1].headers["webhook-id"] == second["id"]
    assert (second["bank"], second["created_at_ms"]) == (till.bank, till.operation()["changed_at_ms"])


def test_the_signature_is_that_of_the_standard() -> None:
    """Fails when other bytes are signed, or with another key.

    The example is that of the reference libraries of https://github.com/standard-webhooks/standard-webhooks.
    """
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("token", "seconds", "types"),
    [
        ("pm_visa", 0, ["payment.succeeded"]),
        ("tok_declined", 0, ["payment.failed"]),
        ("tok_3ds", 900, ["payment.requires_action", "payment.expired"]),
        ("tok_debit", 2 * 86_400, ["payment.processing", "payment.succeeded"]),
        ("tok_debit_fails", 2 * 86_400, ["payment.processing", "payment.failed"]),
        ("tok_debit_reversed", 7 * 86_400, ["payment.processing", "payment.succeeded", "payment.reversed"]),
        ("tok_voucher", 86_400, ["payment.requires_action", "payment.succeeded"]),
    ],
)
def test_every_change_has_one_event(till: Till, token: str, seconds: int, types: list[str]) -> None:
    """Fails when a change is not told, or told twice."""
    till.handle.send_events(till.bank, None)
    body = {"reference": "pay_1", "amount_minor": 1_000, "currency": "EUR", "capture": "automatic"}
    till.ask("POST", "/charges", {**body, "payment_method": token})
    till.handle.advance(till.bank, seconds=seconds)
    assert till.types() == types


def test_captures_refunds_and_voids_tell_of_the_payment(till: Till) -> None:
    """Fails when the payment of a later operation can't be told from its event."""
    till.handle.send_events(till.bank, None)
    held = till.charge("pay_1", 1_000, capture="manual")
    till.follow_up("captures", held["charge_id"], "cap_1", 600)
    refund = till.follow_up("refunds", held["charge_id"], "ref_1", 100)
    other = till.charge("pay_2", 1_000, capture="manual")
    till.follow_up("voids", other["charge_id"], "void_1", 1_000)
    told = [(event["type"], event["data"]["reference"]) for event in till.handle.events(till.bank)]
    assert told == [
        ("payment.succeeded", "pay_1"),
        ("capture.succeeded", "cap_1"),
        ("refund.succeeded", "ref_1"),
        ("payment.succeeded", "pay_2"),
        ("payment.canceled", "void_1"),
    ]
    data = till.handle.events(till.bank)[2]["data"]
    assert (data["object_id"], data["payment_reference"]) == (refund["operation_id"], "pay_1")


def test_a_withdrawn_payment_is_told_once(till: Till) -> None:
    """Fails when each repeated withdrawal is another event."""
    till.handle.send_events(till.bank, None)
    waiting = till.pay("tok_3ds")
    for _ in range(2):
        till.ask("POST", f"/charges/{waiting['charge_id']}/cancellations", {})
    assert till.types() == ["payment.requires_action", "payment.canceled"]


def test_what_is_refused_or_rolled_back_is_not_told(till: Till) -> None:
    """Fails when an event is recorded apart from its change."""
    till.handle.send_events(till.bank, None)
    with till.handle.misbehaving(till.bank, "error_kept", times=1):
        till.refused("tok_ok")
    till.refused("tok_unknown")
    assert till.types() == []


def test_a_bank_without_an_endpoint_records_nothing(till: Till) -> None:
    """Fails when every payment of every test writes events that nobody asked for."""
    till.pay("tok_ok")
    assert till.handle.events(till.bank) == []


def test_the_receiver_that_asks_sees_the_change(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when an event is sent before its change is there to be looked up."""
    for number in range(20):
        till.pay("tok_ok", f"pay_{number}")
        request = received(inbox, number + 1)[number]
        assert till.status(genuine(secret, request)["data"]["reference"]) == ("succeeded", None)


def test_what_is_not_accepted_is_sent_again_with_the_same_id(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when a failed delivery is given up, changes its id or its bytes, or comes again without a pause."""
    till.handle.configure(till.bank, event_retry_ms=50)
    inbox.answer(500, 302, 429)
    till.pay("tok_ok")
    requests = received(inbox, 4)
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert len({request.body for request in requests}) == 1
    (event,) = settled(till)
    attempts = event["deliveries"][0]["attempts"]
    assert [attempt["status"] for attempt in attempts] == [500, 302, 429, 200]
    pauses = [later["at_ms"] - earlier["at_ms"] for earlier, later in pairwise(attempts)]
    assert [pause >= least for pause, least in zip(pauses, (50, 100, 200), strict=True)] == [True] * 3


def test_pauses_are_of_the_banks_time(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when an hour of backoff takes an hour of the test."""
    till.handle.configure(till.bank, event_retry_ms=3_600_000)
    inbox.answer(500)
    till.pay("tok_ok")
    received(inbox, 1)
    wait_for(lambda: till.handle.events(till.bank)[0]["deliveries"][0]["attempts"])
    till.handle.advance(till.bank, seconds=3_600)
    received(inbox, 2)


def test_a_receiver_that_is_away_gets_it_when_it_is_back(till: Till, inbox: Inbox) -> None:
    """Fails when a refused connection ends the deliveries."""
    till.handle.configure(till.bank, event_retry_ms=60_000)
    till.handle.send_events(till.bank, "http://127.0.0.1:9/nobody")
    till.pay("tok_ok")
    (attempt,) = wait_for(lambda: till.handle.events(till.bank)[0]["deliveries"][0]["attempts"])
    assert "error" in attempt
    secret = till.handle.send_events(till.bank, inbox.url)
    till.handle.advance(till.bank, seconds=60)
    assert genuine(secret, received(inbox, 1)[0])["type"] == "payment.succeeded"


def test_an_event_can_be_sent_again(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when nobody can ask for an event once more."""
    till.pay("tok_ok")
    received(inbox, 1)
    event_id = till.handle.events(till.bank)[0]["id"]
    till.handle.send_event_again(till.bank, event_id)
    first, second = received(inbox, 2)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert till.ask("POST", "/events/evt_00/deliveries")[0] == 404


@pytest.mark.parametrize(
    "endpoint",
    [
        {"url": "ftp://127.0.0.1/x"},
        {"url": "http:///x"},
        {"url": None, "secret": "plain"},
        {"url": None, "secret": "whsec_c2hvcnQ="},
        {"url": None, "secret": "whsec_!!"},
    ],
)
def test_an_endpoint_that_can_not_work_is_refused(till: Till, endpoint: dict[str, Any]) -> None:
    """Fails when a mistake shows only in deliveries that nobody gets."""
    assert till.ask("PUT", "/events", endpoint)[0] == 400
    assert till.ask("PUT", "/events/faults", {"mode": "lost"})[0] == 400


def test_an_answer_that_is_no_http_is_a_failure_like_any_other(till: Till, inbox: Inbox) -> None:
    """Fails when such an answer ends the thread that sends."""
    till.handle.configure(till.bank, event_retry_ms=60_000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        till.handle.send_events(till.bank, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        till.pay("tok_ok")
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"220 mail.example ready\r\n\r\n")
    (attempt,) = wait_for(lambda: till.handle.events(till.bank)[0]["deliveries"][0]["attempts"])
    assert attempt["error"] == "BadStatusLine"
    till.handle.send_events(till.bank, inbox.url)
    till.handle.advance(till.bank, seconds=60)
    received(inbox, 1)
