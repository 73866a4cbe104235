"""Events of a gateway that can't be asked how a charge stands: they end what waits for them, or are shown to people."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import Notice, NoticeOutcome, OperationKind
from payonce.gateways.method_types import METHOD_TYPES
from payonce.notices.kept import NoticeState
from payonce.notices.told import KeptNoticeBook
from payonce.ports import Deadline
from payonce.wiring.gateways import make_gateway
from payonce.wiring.notices import READERS
from payonce.wiring.settings import load_settings
from tests.support.notice_stage import Stage
from tests.unit.gateways.test_adyen_answers import PSP, answered, gateway_on, result

if TYPE_CHECKING:
    from payonce.domain.exchange import Exchange

MODIFICATION = "QFQTPCQ8HXSKGK82"


@dataclass
class AdyenStage(Stage):
    """A world whose gateway is Adyen's adapter, with an answer of the test's and the book of the world's database."""

    answer: Exchange = field(default_factory=lambda: result("Authorised", merchantReference=None))

    def restart(self) -> None:
        """See ``Stage``."""
        adapter, self.paper = gateway_on(self.answer)
        adapter._name, adapter._book = "bank", KeptNoticeBook(self.world.database)
        self.world.gateway = adapter  # type: ignore[assignment]
        super().restart()

    def say(self, answer: Exchange) -> None:
        """Let Adyen answer so from now on."""
        self.paper.answer = answer

    def tell(self, event: str, reference: str, outcome: NoticeOutcome | None) -> str:
        """Let a notification arrive and be applied; return its key."""
        notice = Notice(
            notice_id=event,
            type=event,
            created_at_ms=1,
            gateway_reference=reference,
            outcome=outcome,
            gateway_charge_id=PSP,
        )
        self.application.acceptance.accept("bank", [notice], b"{}")
        self.apply_all(self.world.clock.ms + 100_000)
        return f"bank#{event}"

    def create(self) -> dict[str, Any]:
        """Create a payment, and return it."""
        view: dict[str, Any] = json.loads(
            self.world.create(payment_method="stored:8415", customer="shopper-1").response.body
        )
        return view


def outcome(kind: OperationKind = OperationKind.PAYMENT, **changes: Any) -> NoticeOutcome:
    plain = NoticeOutcome(kind=kind, executed=True, gateway_operation_id=PSP, amount_minor=1000, currency="EUR")
    return replace(plain, **changes)


def test_a_doubt_ends_by_a_notification_at_once() -> None:
    """Fails when the lookup reads an index that is behind, or asks Adyen again."""
    stage = AdyenStage()
    stage.say(answered(b"<html>", 500))
    payment = stage.create()
    assert payment["status"] == "in_doubt"
    key = stage.tell("AUTHORISATION", f"{payment['id']}-1", outcome())
    assert (stage.payment(payment["id"]).status.value, stage.state(key)) == ("captured", NoticeState.APPLIED)
    assert len(stage.paper.asked) == 1


def test_what_waits_is_declined_by_a_notification_at_once() -> None:
    stage = AdyenStage()
    stage.say(result("Received", merchantReference=None))
    payment = stage.create()
    assert payment["status"] == "processing"
    key = stage.tell("AUTHORISATION", f"{payment['id']}-1", outcome(executed=False, code="insufficient_funds"))
    stored = stage.payment(payment["id"])
    assert (stored.status.value, stored.decline_code) == ("declined", "insufficient_funds")
    assert stage.state(key) is NoticeState.APPLIED


@pytest.mark.parametrize(
    ("event", "told", "state"),
    [
        ("AUTHORISATION", outcome(), NoticeState.APPLIED),  # what the answer has said before
        ("REFUND_FAILED", outcome(OperationKind.REFUND, executed=False, undone=True), NoticeState.UNKNOWN),
        ("REFUND", outcome(OperationKind.REFUND, amount_minor=300, currency="USD"), NoticeState.UNKNOWN),
        ("NOTIFICATION_OF_FRAUD", None, NoticeState.UNKNOWN),
    ],
)
def test_what_can_not_be_booked_is_shown_and_not_tried_for_hours(
    event: str, told: NoticeOutcome | None, state: NoticeState
) -> None:
    """Fails when the charge is to be read first: the event would come again for hours, and fail with an alarm."""
    stage = AdyenStage()
    payment = stage.create()
    assert payment["status"] == "captured"
    key = stage.tell(event, f"{payment['id']}-1", told)
    assert stage.state(key) is state
    assert stage.payment(payment["id"]).status.value == "captured"
    assert stage.queue.waiting == []


def test_an_event_of_another_system_is_not_asked_about() -> None:
    """Fails when the gateway is asked whose the charge is, which it can't say: each would be tried for hours."""
    stage = AdyenStage()
    key = stage.tell("AUTHORISATION", "order-4711", outcome())
    assert stage.state(key) is NoticeState.UNKNOWN
    assert stage.queue.waiting == []


def test_a_settlement_of_a_modification_goes_by_the_gateways_id() -> None:
    """The notification carries the payment's reference. Fails when the settlement does not know Adyen's id."""
    stage = AdyenStage()
    payment = stage.create()
    stage.say(answered({"status": "received", "pspReference": MODIFICATION}, 201))
    refund = json.loads(stage.world.follow_up(OperationKind.REFUND, payment["id"], "r", 400).response.body)
    assert refund["status"] == "processing"
    told = outcome(OperationKind.REFUND, gateway_operation_id=MODIFICATION, amount_minor=400)
    stage.tell("REFUND", f"{payment['id']}-1", told)
    stage.world.clock.ms += 3_600_000
    stage.world.settle()
    assert stage.payment(payment["id"]).status.value == "partially_refunded"


def test_adyen_is_wired_with_its_reader_and_its_book() -> None:
    assert READERS.keys() == METHOD_TYPES.keys()
    world = Stage().world
    settings = load_settings({"PAYONCE_GATEWAYS": '[{"name":"a","kind":"adyen","merchant_account":"Shop"}]'})
    made = make_gateway(settings, "a", lambda: {"adyen_api_key": "k"}, world.clock, lambda: world.database)
    assert made.capabilities.reads_charges is False
    assert made.read_charge(PSP, Deadline(1)) is not None
