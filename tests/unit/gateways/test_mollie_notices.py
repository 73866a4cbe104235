"""Mollie's signed events: https://docs.mollie.com/reference/webhooks-best-practices."""

from __future__ import annotations

import json
from typing import Any

import pytest

from payonce.domain.errors import NoticeRefused
from payonce.domain.gateway import Notice
from payonce.domain.ids import UlidSource, gateway_reference
from payonce.gateways.mollie_notices import PREFIX, SIGNATURE_HEADER, MollieNoticeReader, sign

SECRET = "secret"
READER = MollieNoticeReader([SECRET, "older"])
CREATED, CREATED_MS = "2024-12-16T15:57:04+00:00", 1_734_364_624_000


def _read(event: Any, secret: str = SECRET) -> list[Notice]:
    body = json.dumps(event).encode()
    return list(READER.read(body, {SIGNATURE_HEADER: sign(secret, body)}, now_ms=0))


def _event(kind: str, entity_id: str, entity: object = None) -> dict[str, Any]:
    event = {"resource": "event", "id": "event_1", "type": kind, "entityId": entity_id, "createdAt": CREATED}
    return event | ({"_embedded": {"entity": entity}} if entity else {})


def test_the_signature_is_the_hmac_of_the_body() -> None:
    """A known value: RFC 4231, test case 2, whose key and data are texts."""
    signed = sign("Jefe", b"what do ya want for nothing?")
    assert signed == PREFIX + "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_a_classic_webhook_is_refused() -> None:
    """It has no signature (https://docs.mollie.com/reference/webhooks), so anybody could make us ask."""
    with pytest.raises(NoticeRefused, match="classic"):
        READER.read(b"id=tr_d0b0E3EA3v", {}, now_ms=0)


def test_a_secret_is_rotated_and_the_prefix_may_be_missing() -> None:
    """Mollie's own library takes the signature with and without ``sha256=``."""
    event = _event("payment.paid", "tr_1")
    assert _read(event) == _read(event, "older")
    body = json.dumps(event).encode()
    bare = sign(SECRET, body).removeprefix(PREFIX)
    assert list(READER.read(body, {SIGNATURE_HEADER: bare}, now_ms=0)) == _read(event)
    with pytest.raises(NoticeRefused):
        _read(event, "another")


def test_an_event_names_the_payment() -> None:
    """By its id, and by our reference where the payment is embedded."""
    assert _read(_event("payment.paid", "tr_1")) == [
        Notice(notice_id="event_1", type="payment.paid", created_at_ms=CREATED_MS, gateway_charge_id="tr_1")
    ]
    payment_id = UlidSource(lambda: 0, lambda size: b"\1" * size).new("pay")
    reference = gateway_reference(payment_id, 1)
    (found,) = _read(_event("payment.paid", "tr_1", {"metadata": {"reference": reference}}))
    assert (found.gateway_reference, found.payment_id) == (reference, payment_id)
    (foreign,) = _read(_event("payment.paid", "tr_1", {"metadata": {"reference": "order-12"}}))
    assert (foreign.gateway_reference, foreign.payment_id) == (None, None)


def test_an_event_about_a_refund_names_its_payment() -> None:
    """A refund, a capture and a chargeback are looked for by the charge they belong to."""
    (found,) = _read(_event("refund.failed", "re_1", {"paymentId": "tr_1"}))
    assert (found.type, found.gateway_charge_id) == ("refund.failed", "tr_1")


def test_a_snapshot_is_an_event_of_its_bytes() -> None:
    """https://docs.mollie.com/reference/chargebacks-api-webhooks: "simply a snapshot of the entity"."""
    snapshot = {"resource": "chargeback", "id": "chb_1", "paymentId": "tr_1", "createdAt": CREATED, "reversedAt": None}
    (first,) = _read(snapshot)
    assert (first.type, first.gateway_charge_id, first.created_at_ms) == ("chargeback.changed", "tr_1", CREATED_MS)
    assert _read(snapshot) == [first]
    (later,) = _read({**snapshot, "reversedAt": CREATED})
    assert later.notice_id != first.notice_id


def test_an_event_about_no_payment_has_no_notice() -> None:
    """Payouts, payment links and invoices are nothing that payonce has made."""
    assert _read(_event("payout.completed", "po_1")) == []


@pytest.mark.parametrize(
    "event",
    [
        [],
        "tr_1",
        {},
        {"resource": "event"},
        {**_event("payment.paid", "tr_1"), "createdAt": "yesterday"},
        {**_event("payment.paid", "tr_1"), "entityId": 1},
        {**_event("payment.paid", "tr_1"), "id": "event 1"},
        {"resource": "refund", "id": "re_1"},
    ],
)
def test_another_body_is_refused(event: object) -> None:
    """Although it is signed."""
    with pytest.raises(NoticeRefused):
        _read(event)
