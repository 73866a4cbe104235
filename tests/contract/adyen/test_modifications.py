"""Captures, cancels, refunds and reversals: received at once, told later.

https://docs.adyen.com/online-payments/capture, /cancel, /refund and /reversal
"""

from __future__ import annotations

from typing import Any

import Adyen
import pytest

from local.adyen.running import MERCHANT_ACCOUNT
from tests.contract.adyen.conftest import DAY_SECONDS, Shop

MANUAL = {"additionalData": {"manualCapture": "true"}}


def outcomes(shop: Shop) -> list[tuple[str, str, str]]:
    """Return what was told of modifications."""
    return [one for one in shop.told() if one[0] != "AUTHORISATION"]


def money(shop: Shop, reference: str = "order-1") -> tuple[int, int, int]:
    """Return what is captured, refunded and released of a payment."""
    row = shop.payment(reference)
    return row["captured_minor"], row["refunded_minor"], row["released_minor"]


@pytest.mark.parametrize(("carried", "reference"), [("own", "capture-of-order-1"), ("payment", "order-1")])
def test_a_capture_is_received_and_its_outcome_told(shop: Shop, carried: str, reference: str) -> None:
    """Fails when the answer already tells the outcome, or the notification is not of this capture."""
    shop.handle.configure(outcome_delay_ms=60_000, modification_reference=carried)
    paid = shop.pay("order-1", **MANUAL)
    answer = shop.modify("capture", paid["pspReference"], 1_000, reference="capture-of-order-1")
    assert answer["status"] == "received"
    assert answer["paymentPspReference"] == paid["pspReference"] != answer["pspReference"]
    assert (money(shop), outcomes(shop)) == ((0, 0, 0), [])
    shop.handle.advance(61)
    assert (money(shop), outcomes(shop)) == ((1_000, 0, 0), [("CAPTURE", "true", "")])
    [told] = shop.handle.notifications(event_code="CAPTURE")
    assert told["item"]["pspReference"] == answer["pspReference"]
    assert told["item"]["originalReference"] == paid["pspReference"]
    assert told["item"]["merchantReference"] == reference


def test_the_rest_of_a_partial_capture_is_cancelled_unless_the_account_captures_several_times(shop: Shop) -> None:
    """Fails when a second capture takes what the first released, or more than was authorised."""
    paid = shop.pay("order-1", **MANUAL)["pspReference"]
    shop.modify("capture", paid, 400)
    shop.modify("capture", paid, 400)
    assert outcomes(shop) == [("CAPTURE", "true", ""), ("CAPTURE", "false", "Insufficient balance on payment")]
    assert money(shop) == (400, 0, 600)
    shop.handle.configure(multiple_partial_captures=True)
    other = shop.pay("order-2", **MANUAL)["pspReference"]
    for value in (400, 600, 1):
        shop.modify("capture", other, value)
    assert [success for _, success, _ in outcomes(shop)[2:]] == ["true", "true", "false"]
    assert money(shop, "order-2") == (1_000, 0, 0)


def test_capturing_what_is_captured_automatically_charges_once(shop: Shop) -> None:
    """Fails when a requested capture doubles the automatic one."""
    paid = shop.pay("order-1")["pspReference"]
    shop.modify("capture", paid, 1_000)
    assert money(shop) == (1_000, 0, 0)
    delayed = shop.pay("order-2", captureDelayHours=48)["pspReference"]
    assert money(shop, "order-2") == (0, 0, 0)
    shop.handle.advance(2 * DAY_SECONDS + 60)
    assert money(shop, "order-2") == (1_000, 0, 0)
    assert delayed != paid


@pytest.mark.parametrize("manual", [True, False])
def test_a_cancel_works_before_the_capture_alone(shop: Shop, manual: bool) -> None:
    """Fails when a captured payment is cancelled."""
    paid = shop.pay("order-1", **(MANUAL if manual else {}))["pspReference"]
    shop.modify("cancel", paid)
    expected = ("CANCELLATION", "true", "") if manual else ("CANCELLATION", "false", "Transaction already captured")
    assert outcomes(shop) == [expected]
    assert money(shop) == ((0, 0, 1_000) if manual else (1_000, 0, 0))


def test_refunds_do_not_exceed_what_was_captured(shop: Shop) -> None:
    """Fails when the sum of refunds exceeds the captures, or an uncaptured payment is refunded."""
    paid = shop.pay("order-1")["pspReference"]
    for value in (600, 500, 400):
        shop.modify("refund", paid, value)
    assert [success for _, success, _ in outcomes(shop)] == ["true", "false", "true"]
    assert money(shop) == (1_000, 1_000, 0)
    uncaptured = shop.pay("order-2", **MANUAL)["pspReference"]
    shop.modify("refund", uncaptured, 100)
    assert outcomes(shop)[-1] == ("REFUND", "false", "Transaction hasn't been captured, refund not possible")


@pytest.mark.parametrize(("manual", "action"), [(True, "cancel"), (False, "refund")])
def test_a_reversal_says_which_of_the_two_it_was(shop: Shop, manual: bool, action: str) -> None:
    """Fails when ``modification.action`` is not what became of the money."""
    paid = shop.pay("order-1", **(MANUAL if manual else {}))["pspReference"]
    shop.modify("reversal", paid)
    assert outcomes(shop) == [("CANCEL_OR_REFUND", "true", "")]
    [told] = shop.handle.notifications(event_code="CANCEL_OR_REFUND")
    assert told["item"]["additionalData"]["modification.action"] == action
    assert money(shop) == ((0, 0, 1_000) if manual else (1_000, 1_000, 0))


def test_a_cancel_by_merchant_reference(shop: Shop) -> None:
    """Fails when the call that needs no PSP reference does not cancel, or an unknown reference is an error at once."""
    shop.pay("order-1", **MANUAL)
    api = shop.client.checkout.modifications_api
    for reference in ("order-1", "unknown"):
        body = {"merchantAccount": MERCHANT_ACCOUNT, "paymentReference": reference, "reference": f"cancel-{reference}"}
        answer: dict[str, Any] = api.cancel_authorised_payment(body).message
        assert (answer["status"], answer["paymentReference"]) == ("received", reference)
    assert [(event, success) for event, success, _ in outcomes(shop)] == [
        ("TECHNICAL_CANCEL", "true"),
        ("TECHNICAL_CANCEL", "false"),
    ]
    assert money(shop) == (0, 0, 1_000)


@pytest.mark.parametrize(
    ("holder", "kind", "event"),
    [("capture failed", "capture", "CAPTURE_FAILED"), ("refund failed", "refund", "REFUND_FAILED")],
)
def test_a_modification_that_fails_after_its_success(shop: Shop, holder: str, kind: str, event: str) -> None:
    """Adyen's holders ``capture failed`` and ``refund failed``. Fails when the later failure leaves the money moved."""
    paid = shop.pay("order-1", holder=holder, **(MANUAL if kind == "capture" else {}))["pspReference"]
    answer = shop.modify(kind, paid, 1_000)
    shop.handle.advance(1)
    assert [(one, success) for one, success, _ in outcomes(shop)] == [(kind.upper(), "true"), (event, "true")]
    assert {row["psp_reference"] for row in shop.handle.notifications() if row["event_code"] != "AUTHORISATION"} == {
        answer["pspReference"]
    }
    assert money(shop) == ((0, 0, 0) if kind == "capture" else (1_000, 0, 0))


def test_an_unknown_payment_and_another_currency_are_refused_at_once(shop: Shop) -> None:
    """Fails when what can never be executed is received."""
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as unknown:
        shop.modify("capture", "BBBBBBBBBBBBBBBB", 1_000)
    assert (unknown.value.error_code, unknown.value.message["message"]) == (
        "167",
        "Original pspReference required for this operation",
    )
    paid = shop.pay("order-1", **MANUAL)["pspReference"]
    body = {"merchantAccount": MERCHANT_ACCOUNT, "amount": {"value": 1, "currency": "USD"}}
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
        shop.client.checkout.modifications_api.capture_authorised_payment(body, paid)
    assert [row["kind"] for row in shop.handle.books()] == ["payment"]


def test_an_authorisation_expires(shop: Shop) -> None:
    """Fails when the uncaptured rest can be captured after 28 days, or the notification is missing."""
    paid = shop.pay("order-1", **MANUAL)["pspReference"]
    shop.handle.advance(28 * DAY_SECONDS + 60)
    assert outcomes(shop) == [("EXPIRE", "true", "")]
    shop.modify("capture", paid, 1_000)
    assert outcomes(shop)[-1] == ("CAPTURE", "false", "Transaction not authorised")
    assert money(shop) == (0, 0, 1_000)
