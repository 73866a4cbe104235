"""What happens without a request of the shop's: disputes, and actions in the Customer Area.

https://docs.adyen.com/risk-management/disputes-api/dispute-notifications
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest

if TYPE_CHECKING:
    from tests.contract.adyen.conftest import Shop

MANUAL = {"additionalData": {"manualCapture": "true"}}


def test_the_events_of_a_dispute_carry_its_own_reference(shop: Shop) -> None:
    """Fails when two events of a dispute seem to be of two, or the money is taken twice or not given back."""
    paid = shop.pay("order-1")["pspReference"]
    taken = []
    for event in ("REQUEST_FOR_INFORMATION", "NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK", "CHARGEBACK_REVERSED"):
        taken.append(shop.handle.dispute(event, reference="order-1", reason_code="10.4")["taken_minor"])
    for event in ("SECOND_CHARGEBACK", "PREARBITRATION_WON"):
        taken.append(shop.handle.dispute(event, payment_psp_reference=paid)["taken_minor"])
    assert taken == [0, 0, 1_000, 0, 1_000, 0]
    items = [row["item"] for row in shop.handle.notifications() if row["event_code"] != "AUTHORISATION"]
    [dispute] = shop.handle.disputes()
    assert {item["pspReference"] for item in items} == {dispute["psp_reference"]} != {paid}
    assert {item["originalReference"] for item in items} == {paid}
    assert [item["additionalData"]["disputeStatus"] for item in items[-2:]] == ["Lost", "Won"]
    assert all("defensePeriodEndsAt" in item["additionalData"] for item in items)


def test_a_dispute_needs_captured_money_and_a_known_event(shop: Shop) -> None:
    """Fails when a test that misspells an event goes on with nothing."""
    shop.pay("order-1", **MANUAL)
    for event, reference in (("CHARGEBACK", "order-1"), ("CHARGEBACKS", "order-1"), ("CHARGEBACK", "unknown")):
        with pytest.raises(HTTPError) as refused:
            shop.handle.dispute(event, reference=reference)
        assert refused.value.code == 400
        refused.value.close()
    assert shop.handle.disputes() == []


def test_modifications_made_in_the_customer_area_carry_the_payments_reference(shop: Shop) -> None:
    """Fails when a refund that the shop never asked for is not told, or seems to have a reference of the shop's."""
    paid = shop.pay("order-1")["pspReference"]
    shop.handle.act("refund", reference="order-1", amount_minor=300)
    assert shop.payment("order-1")["refunded_minor"] == 300
    [told] = shop.handle.notifications(event_code="REFUND")
    assert (told["item"]["originalReference"], told["item"]["merchantReference"]) == (paid, "order-1")


def test_a_refund_that_comes_back_and_a_capture_that_fails_later(shop: Shop) -> None:
    """Fails when REFUNDED_REVERSED or CAPTURE_FAILED leaves the money where it was, or can happen twice."""
    paid = shop.pay("order-1", **MANUAL)["pspReference"]
    capture = shop.modify("capture", paid, 1_000)["pspReference"]
    refund = shop.modify("refund", paid, 400)["pspReference"]
    assert shop.payment("order-1")["refunded_minor"] == 400
    shop.handle.act("reverse_refund", psp_reference=refund)
    assert shop.payment("order-1")["refunded_minor"] == 0
    shop.handle.act("fail_operation", psp_reference=capture)
    assert shop.payment("order-1")["captured_minor"] == 0
    with pytest.raises(HTTPError) as refused:
        shop.handle.act("fail_operation", psp_reference=capture)
    refused.value.close()
    assert [event for event, _, _ in shop.told()] == [
        "AUTHORISATION",
        "CAPTURE",
        "REFUND",
        "REFUNDED_REVERSED",
        "CAPTURE_FAILED",
    ]
