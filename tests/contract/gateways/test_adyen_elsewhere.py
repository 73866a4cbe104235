"""What is done at Adyen without a request of ours, told by the fake's own signed notifications, is booked once.

The fake and its events are of a hand that has not seen the adapter; what each event means is Adyen's page of dispute
webhooks, https://docs.adyen.com/risk-management/disputes-api/dispute-notifications. The Customer Area's modifications
are told as the API's are: https://docs.adyen.com/online-payments/capture, https://docs.adyen.com/online-payments/refund.
"""

from __future__ import annotations

import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from local.adyen.notifications import envelope
from local.adyen.running import API_KEY, MERCHANT_ACCOUNT
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.gateways.account_notices import PlatformNotices
from payonce.gateways.adyen_gateway import adyen_from_options
from payonce.gateways.adyen_notices import AdyenNoticeReader
from payonce.notices.kept import NoticeState, listed_notices
from payonce.notices.told import KeptNoticeBook
from payonce.payments.dispute_reads import disputes_of_payment
from tests.contract.adyen.conftest import DAY_SECONDS, HMAC_KEY, handle
from tests.support.notice_stage import Stage
from tests.support.world import MERCHANT

if TYPE_CHECKING:
    from local.adyen.running import AdyenHandle

__all__ = ["handle"]  # a fixture
_numbers = itertools.count(1)
CHARGED = {"gateway_receivable:bank": 1000, "merchant_payable": -1000}
HOUR_MS = 3_600_000


class AdyenShop(Stage):
    """A world whose gateway is Adyen's adapter on the fake, with the fake's notifications as its events."""

    handle: AdyenHandle

    def restart(self) -> None:
        """See ``Stage``."""
        options = {
            "url": self.handle.api_url,
            "merchant_account": MERCHANT_ACCOUNT,
            "return_url": "https://shop.example",
        }
        book = KeptNoticeBook(self.world.database)
        adapter = adyen_from_options("bank", options, {"adyen_api_key": API_KEY}, book, self.world.clock)
        self.world.gateway = adapter  # type: ignore[assignment]
        self.reader = PlatformNotices(AdyenNoticeReader([HMAC_KEY]), MERCHANT_ACCOUNT)
        self.given = 0
        super().restart()

    def pay(self, **named: Any) -> str:
        """Make a payment and return its id."""
        key = f"key-{next(_numbers)}"
        created = self.world.create(key, payment_method=f"pm_{key}", customer="shopper-1", **named)
        identity: str = json.loads(created.response.body)["id"]
        return identity

    def told(self) -> list[bytes]:
        """Return the notifications that have not been given to us yet, as the fake signs them."""
        self.handle.advance()
        rows = self.handle.notifications()[self.given :]
        self.given += len(rows)
        return [envelope(row["item"], HMAC_KEY) for row in rows]

    def deliver(self, bodies: list[bytes] | None = None) -> None:
        """Give us notifications, and apply all of them."""
        for body in self.told() if bodies is None else bodies:
            notices = self.reader.read(body, {}, now_ms=self.world.clock.ms)
            self.application.acceptance.accept("bank", notices, body)
        self.apply_all(self.world.clock.ms + HOUR_MS)

    def settle(self) -> None:
        """Let what waits look at what was told."""
        self.world.clock.ms += HOUR_MS
        self.world.settle()


@pytest.fixture
def shop(handle: AdyenHandle) -> AdyenShop:
    """A world of its own on a fake of its own: the ids of two worlds are the same."""
    AdyenShop.handle = handle
    return AdyenShop()


def test_a_refund_in_the_customer_area_is_booked_once(shop: AdyenShop) -> None:
    """Fails when only what we have asked for is looked at, and when the copy of an event is booked again."""
    identity = shop.pay()
    shop.handle.act("refund", reference=f"{identity}-1", amount_minor=300)
    bodies = shop.told()
    shop.deliver(bodies)
    shop.deliver(bodies)
    assert shop.events(identity) == ["payment.captured", "payment.refunded_at_gateway_in_part"]
    assert shop.payment(identity).refunded_minor == 300
    assert shop.balances() == {"gateway_receivable:bank": 700, "merchant_payable": -700}


def test_our_own_refund_is_not_taken_for_somebody_elses(shop: AdyenShop) -> None:
    """Both are told of the same charge. Fails when the sum of events is not held against what is in flight."""
    identity = shop.pay()
    shop.world.follow_up(OperationKind.REFUND, identity, "ours", 400)
    shop.handle.act("refund", reference=f"{identity}-1", amount_minor=300)
    shop.deliver(list(reversed(shop.told())))
    shop.settle()
    shop.deliver()
    assert sorted(shop.events(identity)) == [
        "payment.captured",
        "payment.refunded_at_gateway_in_part",
        "refund.processing",
        "refund.succeeded_in_part",
    ]
    assert shop.payment(identity).refunded_minor == 700
    assert shop.balances() == {"gateway_receivable:bank": 300, "merchant_payable": -300}


def test_a_capture_and_a_cancellation_in_the_customer_area(shop: AdyenShop) -> None:
    captured, voided = (shop.pay(capture=CaptureMethod.MANUAL) for _ in range(2))
    shop.handle.act("capture", reference=f"{captured}-1", amount_minor=1000)
    shop.handle.act("void", reference=f"{voided}-1")
    shop.handle.advance(DAY_SECONDS)
    shop.deliver()
    assert [shop.payment(identity).status.value for identity in (captured, voided)] == ["captured", "voided"]
    assert shop.balances() == CHARGED


def test_a_capture_that_fails_days_after_it_succeeded_is_a_reversal(shop: AdyenShop) -> None:
    """Fails when the event is only shown: the books would hold money that the merchant never gets."""
    identity = shop.pay(capture=CaptureMethod.MANUAL)
    capture = json.loads(shop.world.follow_up(OperationKind.CAPTURE, identity, "capture", 1000).response.body)
    shop.handle.advance(DAY_SECONDS)
    shop.deliver()
    shop.settle()
    assert shop.payment(identity).status.value == "captured"
    [row] = shop.handle.books(kind="capture", reference=f"{capture['id']}-1")
    shop.handle.act("fail_operation", psp_reference=row["psp_reference"])
    bodies = shop.told()
    shop.deliver(bodies)
    shop.deliver(bodies)
    assert shop.events(identity)[-1] == "payment.reversed"
    assert shop.payment(identity).reversed_minor == 1000
    assert shop.balances() == {}


@pytest.mark.parametrize("order", ["as they happened", "backwards", "twice"])
@pytest.mark.parametrize("what", ["fail_operation", "reverse_refund"])
def test_a_refund_of_ours_that_comes_back_is_told_and_booked_once(shop: AdyenShop, what: str, order: str) -> None:
    """``REFUND_FAILED`` is a "rejection by the card scheme", ``REFUNDED_REVERSED`` "reversed and returned to your bank
    account": https://docs.adyen.com/api-explorer/Webhooks/1/post/REFUND_FAILED, and the same with REFUNDED_REVERSED.
    Fails when such an event is only shown to people.
    """
    identity = shop.pay()
    refund = json.loads(shop.world.follow_up(OperationKind.REFUND, identity, "ours", 400).response.body)
    shop.handle.advance(DAY_SECONDS)
    shop.deliver()
    shop.settle()
    [row] = shop.handle.books(kind="refund", reference=f"{refund['id']}-1")
    shop.handle.act(what, psp_reference=row["psp_reference"])
    shop.handle.act("refund", reference=f"{identity}-1", amount_minor=100)
    bodies = shop.told()
    if order == "backwards":
        bodies.reverse()
    shop.deliver(bodies * 2 if order == "twice" else bodies)
    shop.settle()
    shop.deliver()
    events = shop.events(identity)
    told = [event for event in events[3:] if event != "payment.refunded_at_gateway_in_part"]
    assert told == ["refund.returned"]
    assert len(events) == 5
    assert shop.payment(identity).refunded_minor == 100
    assert shop.balances() == {"gateway_receivable:bank": 900, "merchant_payable": -900}
    assert [
        item["reason"] for item in listed_notices(shop.world.database, "bank", NoticeState.UNKNOWN, limit=9).items
    ] == []


def test_a_second_event_about_a_return_is_done_with(shop: AdyenShop) -> None:
    """The card scheme's rejection and the reversal of the amount are events of their own about one refund. Fails when
    the second one is listed for people.
    """
    identity = shop.pay()
    shop.world.follow_up(OperationKind.REFUND, identity, "ours", 400)
    shop.handle.advance(DAY_SECONDS)
    shop.deliver()
    shop.settle()
    [row] = [one for one in shop.handle.books(kind="refund") if one["reference"] != f"{identity}-1"][-1:]
    shop.handle.act("fail_operation", psp_reference=row["psp_reference"])
    [rejected] = shop.told()
    item = json.loads(rejected)["notificationItems"][0]["NotificationRequestItem"]
    item = {**item, "eventCode": "REFUNDED_REVERSED"}
    shop.deliver([rejected])
    shop.deliver([envelope(item, HMAC_KEY)])
    assert shop.events(identity)[-1] == "refund.returned"
    unknown = listed_notices(shop.world.database, "bank", NoticeState.UNKNOWN, limit=9)
    assert unknown.items == []


def test_a_refund_that_failed_before_we_knew_of_its_success_was_never_booked(shop: AdyenShop) -> None:
    """Its failure arrives first, and its success a day later. Fails when the return is booked without the refund."""
    identity = shop.pay()
    refund = json.loads(shop.world.follow_up(OperationKind.REFUND, identity, "ours", 400).response.body)
    shop.handle.advance(DAY_SECONDS)
    success = shop.told()
    [row] = shop.handle.books(kind="refund", reference=f"{refund['id']}-1")
    shop.handle.act("fail_operation", psp_reference=row["psp_reference"])
    shop.deliver()
    shop.settle()
    shop.deliver(success)
    shop.settle()
    assert shop.events(identity) == ["payment.captured", "refund.processing", "refund.declined"]
    assert shop.payment(identity).refundable_minor == 1000
    assert shop.balances() == CHARGED


STORIES = {
    "lost for want of a defence": (
        ["NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK", "DISPUTE_DEFENSE_PERIOD_ENDED"],
        ("lost", 1000),
    ),
    "defended, and not over": (
        ["NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK", "CHARGEBACK_REVERSED"],
        ("under_review", 0),
    ),
    "lost after the defence": (["CHARGEBACK", "CHARGEBACK_REVERSED", "SECOND_CHARGEBACK"], ("lost", 1000)),
    "won in pre-arbitration": (
        ["CHARGEBACK", "CHARGEBACK_REVERSED", "SECOND_CHARGEBACK", "PREARBITRATION_WON"],
        ("won", 0),
    ),
    "asked for information alone": (["REQUEST_FOR_INFORMATION"], ("evidence_due", 0)),
}


@pytest.mark.parametrize("order", ["as they happened", "backwards", "shuffled and twice"])
@pytest.mark.parametrize("story", STORIES)
def test_a_dispute_ends_as_adyen_tells_in_whatever_order(shop: AdyenShop, story: str, order: str) -> None:
    """Fails when the event that came last decides, or when each event moves money by itself."""
    events, (status, withdrawn_minor) = STORIES[story]
    identity = shop.pay()
    shop.deliver()
    for event in events:
        shop.handle.dispute(event, reference=f"{identity}-1")
    bodies = shop.told()
    if order == "backwards":
        bodies.reverse()
    if order == "shuffled and twice":
        bodies += bodies
        random.Random(story).shuffle(bodies)
    for body in bodies:
        shop.deliver([body])
    [dispute] = disputes_of_payment(shop.world.services, MERCHANT, identity)["data"]
    assert (dispute["status"], dispute["withdrawn_minor"]) == (status, withdrawn_minor)
    assert shop.payment(identity).disputed_minor == withdrawn_minor
    balances = shop.balances()
    assert balances.get("gateway_receivable:bank", 0) == 1000 - withdrawn_minor
    assert "gateway_disputed:bank" not in balances
