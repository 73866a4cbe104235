"""Faults of the bank's events: what a receiver has to bear, and what it has to refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from local.sandbox_bank.sender import signature
from tests.contract.sandbox_bank.receiving import genuine, received, settled

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Inbox, Till


def test_duplicated(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when the copy has another id or other bytes."""
    till.handle.event_fault(till.bank, "duplicated", times=1)
    till.pay("tok_ok")
    first, second = received(inbox, 2)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    till.pay("tok_ok", "pay_2")
    received(inbox, 3)


def test_reordered(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when events come in the order of their changes."""
    till.handle.event_fault(till.bank, "reordered", types=["payment.requires_action"])
    till.press(till.pay("tok_3ds")["next_action"]["url"], "approve")
    types = [genuine(secret, request)["type"] for request in received(inbox, 2)]
    assert types == ["payment.succeeded", "payment.requires_action"]


def test_delayed(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when the event comes before its time, or takes the delay in the machine's time."""
    till.handle.event_fault(till.bank, "delayed", delay_ms=86_400_000, times=1)
    till.pay("tok_ok")
    till.pay("tok_ok", "pay_2")
    assert genuine(secret, received(inbox, 1)[0])["data"]["reference"] == "pay_2"
    till.handle.advance(till.bank, days=1)
    assert genuine(secret, received(inbox, 2)[1])["data"]["reference"] == "pay_1"


def test_dropped(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when a lost event comes after all."""
    till.handle.event_fault(till.bank, "dropped", times=1)
    till.pay("tok_ok")
    till.pay("tok_ok", "pay_2")
    assert genuine(secret, received(inbox, 1)[0])["data"]["reference"] == "pay_2"
    dropped, _ = settled(till)
    assert [(each["fault"], each["state"], each["attempts"]) for each in dropped["deliveries"]] == [
        ("dropped", "dropped", [])
    ]


def test_forged(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when the forgery's signature is genuine, its data differ from the truth, or it is sent again."""
    till.handle.event_fault(till.bank, "forged", times=1)
    inbox.answer(401)
    till.pay("tok_ok")
    forged, true = received(inbox, 2)
    with pytest.raises(WebhookVerificationError, match="signature"):
        genuine(secret, forged)
    assert json.loads(forged.body)["data"] == genuine(secret, true)["data"]
    assert forged.headers["webhook-id"] != true.headers["webhook-id"]
    states = [(each["fault"], each["state"]) for each in settled(till)[0]["deliveries"]]
    assert states == [("forged", "given_up"), (None, "delivered")]


def test_stale(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when the timestamp is fresh, or is the only thing that is right."""
    till.handle.event_fault(till.bank, "stale", times=1)
    till.pay("tok_ok")
    stale, true = received(inbox, 2)
    with pytest.raises(WebhookVerificationError, match="timestamp"):
        genuine(secret, stale)
    timestamp = int(stale.headers["webhook-timestamp"])
    signed = signature(secret, stale.headers["webhook-id"], timestamp, stale.body)
    assert stale.headers["webhook-signature"] == signed
    assert stale.body == true.body


def test_unknown(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when the stranger is somebody whom the bank knows, or is signed wrongly."""
    till.handle.event_fault(till.bank, "unknown", times=1)
    till.pay("tok_ok")
    stranger, true = (genuine(secret, request) for request in received(inbox, 2))
    assert true["data"]["reference"] == "pay_1"
    assert till.ask("GET", f"/charges/{stranger['data']['charge_id']}")[0] == 404
    assert till.ask("GET", f"/operations?reference={stranger['data']['reference']}")[1] == {"operations": []}


def test_huge(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when the body is small, or the fault ends the genuine events."""
    till.handle.event_fault(till.bank, "huge", bytes=3_000_000)
    till.pay("tok_ok")
    till.ask("DELETE", "/events/faults")
    till.pay("tok_ok", "pay_2")
    huge, true, next_one = received(inbox, 3)
    assert len(huge.body) > 3_000_000
    assert genuine(secret, true)["data"]["reference"] == "pay_1"
    assert genuine(secret, next_one)["data"]["reference"] == "pay_2"


@pytest.mark.parametrize(
    ("mode", "refused"), [("forged", "signature"), ("stale", "timestamp"), ("unknown", None), ("huge", None)]
)
def test_a_fault_can_come_alone(till: Till, inbox: Inbox, secret: str, mode: str, refused: str | None) -> None:
    """Fails when a fault needs a change of a payment, or brings the genuine event with it."""
    till.pay("tok_ok")
    received(inbox, 1)
    event_id = till.handle.events(till.bank)[0]["id"]
    till.handle.send_event_again(till.bank, event_id, mode)
    received(inbox, 2)
    (event,) = settled(till)
    assert [each["fault"] for each in event["deliveries"]] == [None, mode]
    if refused:
        with pytest.raises(WebhookVerificationError, match=refused):
            genuine(secret, inbox.received[1])
    else:
        assert genuine(secret, inbox.received[1])["id"] != event_id


def test_only_an_extra_delivery_can_come_alone(till: Till, secret: str) -> None:
    """Fails when a mode that makes no delivery passes for one."""
    till.pay("tok_ok")
    event_id = till.handle.events(till.bank)[0]["id"]
    assert till.ask("POST", f"/events/{event_id}/deliveries", {"mode": "dropped"})[0] == 400
