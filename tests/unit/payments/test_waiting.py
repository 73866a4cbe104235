"""Payments that a gateway holds: for their payer, or for days. One charge, one answer for the key, and a true status.

Stripe's lifecycle of a payment intent (docs.stripe.com/payments/paymentintents/lifecycle) and Adyen's result codes
(docs.adyen.com/online-payments/build-your-integration/payment-result-codes) have these states.
"""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import KeyExpired, PaymentStateConflict
from payonce.domain.gateway import CaptureMethod, OperationKind, Payer, Unknown
from payonce.domain.payment import TransitionError
from payonce.idempotency.records import RecordStatus
from payonce.payments.payment_reads import get_balances, get_history
from payonce.payments.settlement import settlement_id
from payonce.payments.stored_payments import find_payment
from payonce.stores.memory import MemoryDatabase
from tests.support.holding import PAGE, HoldingGateway
from tests.support.world import MERCHANT, World
from tests.unit.payments.test_attempts import Fused, Killed

if TYPE_CHECKING:
    from payonce.domain.payment import Payment
    from payonce.idempotency.records import KeyedResponse

MINUTE_MS = 60_000
DAY_MS = 86_400_000


def world_of(database: Any = None) -> tuple[World, HoldingGateway]:
    world = World(database=database or MemoryDatabase())
    world.gateway = gateway = HoldingGateway(world.clock)
    return world, gateway


def told(answer: KeyedResponse) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.response.body)
    return document


def stored(world: World, payment_id: str) -> Payment:
    payment = find_payment(world.database, MERCHANT, payment_id)
    assert payment is not None
    return payment


def events(world: World, payment_id: str) -> list[str]:
    return [entry["type"] for entry in get_history(world.services, MERCHANT, payment_id)["data"]]


def pass_time(world: World, minutes: int, step_minutes: int = 1) -> None:
    for _ in range(0, minutes, step_minutes):
        world.clock.ms += step_minutes * MINUTE_MS
        world.recover()
        world.settle()
    assert world.errors == []


def balances(world: World) -> dict[str, int]:
    return {row["account"]: row["balance_minor"] for row in get_balances(world.services, MERCHANT)["data"]}


def test_a_payer_who_has_to_act_gets_a_final_answer_at_once() -> None:
    world, gateway = world_of()
    first = world.create(payment_method="pm_3ds")
    payment = told(first)
    assert (first.response.status, payment["status"]) == (201, "requires_action")
    assert payment["next_action"]["url"] == PAGE.url
    assert payment["next_action"]["expires_at_ms"] == world.clock.ms + 60 * MINUTE_MS
    gateway.pay()
    pass_time(world, 2)
    assert stored(world, payment["id"]).status.value == "captured"
    assert stored(world, payment["id"]).next_action is None
    assert events(world, payment["id"]) == ["payment.requires_action", "payment.captured"]
    again = world.create(payment_method="pm_3ds")
    assert (again.replayed, again.response) == (True, first.response)
    assert len(gateway.submissions) == 1
    assert balances(world) == {"gateway_receivable:bank": 1000, "merchant_payable": -1000}


@pytest.mark.parametrize("capture", list(CaptureMethod))
@pytest.mark.parametrize("token", ["pm_3ds", "pm_debit"])
@pytest.mark.parametrize("end", ["pay", "decline"])
def test_what_is_held_ends_as_the_gateway_decides(capture: CaptureMethod, token: str, end: str) -> None:
    world, gateway = world_of()
    payment_id = told(world.create(payment_method=token, capture=capture))["id"]
    pass_time(world, 30)
    getattr(gateway, end)()
    pass_time(world, 30)
    payment = stored(world, payment_id)
    paid = "captured" if capture is CaptureMethod.AUTOMATIC else "authorized"
    assert payment.status.value == (paid if end == "pay" else "declined")
    assert payment.decline_code == (None if end == "pay" else "insufficient_funds")
    assert payment.capturable_minor == (1000 if payment.status.value == "authorized" else 0)
    asked = len(gateway.inquiries)
    pass_time(world, 600)
    assert len(gateway.inquiries) == asked  # what is decided is not asked about


def test_a_debit_of_four_days_costs_some_forty_questions() -> None:
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_debit"))["id"]
    pass_time(world, 4 * 1440)
    assert 30 <= len(gateway.inquiries) <= 50
    gateway.decline()
    pass_time(world, 361)
    assert events(world, payment_id) == ["payment.processing", "payment.declined"]
    assert balances(world) == {}


def test_a_payer_who_does_not_act_in_time_can_not_pay_any_more() -> None:
    """Fails (the payment expires while the payer can still pay) when nothing is withdrawn first."""
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds"))["id"]
    pass_time(world, 59)
    assert gateway.withdrawn == []
    gateway.unanswered = 3  # the lookup, and then the withdrawal, get no answer
    pass_time(world, 2)
    assert stored(world, payment_id).status.value == "requires_action"
    pass_time(world, 120)
    assert gateway.withdrawn == [stored(world, payment_id).gateway_reference]
    assert events(world, payment_id) == ["payment.requires_action", "payment.expired"]


def test_a_voucher_that_was_paid_on_its_last_day_is_not_withdrawn_before_the_gateway_knows() -> None:
    """Fails (a paid voucher is withdrawn) when it is given up with the payer's own time."""
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds_voucher"))["id"]
    pass_time(world, 14 * 1440 + 3 * 1440, step_minutes=60)
    assert stored(world, payment_id).status.value == "requires_action"
    pass_time(world, 2 * 1440, step_minutes=60)
    assert stored(world, payment_id).status.value == "expired"
    assert len(gateway.withdrawn) == 1


def test_a_payer_who_was_faster_than_the_expiry_has_paid() -> None:
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds"))["id"]
    find = gateway.find

    def paying(*arguments: Any) -> Any:
        found = find(*arguments)
        if world.clock.ms >= 1_800_000_000_000 + 60 * MINUTE_MS:
            gateway.pay()
        return found

    gateway.find = paying  # type: ignore[method-assign]
    pass_time(world, 90)
    assert stored(world, payment_id).status.value == "captured"


def test_a_payer_who_is_absent_is_not_asked() -> None:
    """Fails (a payment that nobody can finish) when the gateway's question is passed on."""
    world, gateway = world_of()
    answer = world.create(payment_method="pm_3ds", payer=Payer.ABSENT)
    assert answer.response.status == 402
    assert told(answer)["payment"]["status"] == "declined"
    assert len(gateway.withdrawn) == 1


def test_what_seems_to_wait_right_after_a_lost_answer_is_not_withdrawn_yet() -> None:
    """What was sent may be about to execute. Fails when the first owner withdraws it, and not a later one."""
    world, gateway = world_of()
    gateway.unanswered = 1
    assert world.create(payment_method="pm_3ds", payer=Payer.ABSENT).response.status == 202
    assert (len(gateway.inquiries), gateway.withdrawn) == (1, [])
    pass_time(world, 2)
    assert world.create(payment_method="pm_3ds", payer=Payer.ABSENT).response.status == 402
    assert len(gateway.withdrawn) == 1


def test_after_the_payer_a_gateway_may_process_for_days() -> None:
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds"))["id"]
    gateway.process()
    pass_time(world, 120)
    assert stored(world, payment_id).status.value == "processing"
    gateway.pay()
    pass_time(world, 60)
    assert events(world, payment_id) == ["payment.requires_action", "payment.processing", "payment.captured"]


def test_a_lost_answer_about_a_payer_is_found_by_asking() -> None:
    world, gateway = world_of()
    gateway.unanswered = 2
    first = world.create(payment_method="pm_3ds")
    assert first.response.status == 202
    pass_time(world, 2)
    again = world.create(payment_method="pm_3ds")
    assert (again.response.status, told(again)["status"]) == (201, "requires_action")
    assert events(world, told(again)["id"]) == ["payment.in_doubt", "payment.requires_action"]
    assert len(gateway.submissions) == 1


def test_a_payment_whose_request_was_lost_is_held_once_it_is_sent_again() -> None:
    """Fails (a doubt that is shown until the next inquiry) when a resubmission can't be held."""
    world, gateway = world_of()
    hold = gateway.submit
    gateway.submit = lambda *_: Unknown("the request was lost", repeatable=True)  # type: ignore[method-assign]
    doubted = told(world.create(payment_method="pm_debit"))
    assert doubted["status"] == "in_doubt"
    gateway.submit = hold  # type: ignore[method-assign]
    world.clock.ms += MINUTE_MS
    world.recover()
    assert events(world, doubted["id"]) == ["payment.in_doubt", "payment.processing"]
    assert len(gateway.submissions) == 1


def test_the_window_of_a_key_counts_from_its_conclusion() -> None:
    """Fails (409, expired, for a payment that was decided an hour ago) when it counts from the claim.

    A doubt can outlast the window: https://docs.stripe.com/api/idempotent_requests keeps results, not requests, a day.
    """
    world, _ = world_of()
    world.gateway.script, world.gateway.visible_after_ms = ["booked_lost"], 3 * DAY_MS
    world.gateway.lookup_fails = True
    assert world.create().response.status == 202
    pass_time(world, 3 * 1440, step_minutes=30)
    world.gateway.lookup_fails = False
    pass_time(world, 60)
    world.clock.ms += DAY_MS - 2 * 60 * MINUTE_MS
    again = world.create()
    assert (again.replayed, told(again)["status"]) == (True, "captured")
    assert again.expires_at_ms > world.clock.ms
    world.clock.ms += 3 * 60 * MINUTE_MS
    with pytest.raises(KeyExpired):
        world.create()


@pytest.mark.parametrize("result", ["ok", "forged"])
def test_a_confirmation_decides(result: str) -> None:
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds_confirm"))["id"]
    answer = world.confirm(payment_id, "key-confirm", result)
    assert answer.response.status == (201 if result == "ok" else 402)
    assert stored(world, payment_id).status.value == ("captured" if result == "ok" else "declined")
    assert world.confirm(payment_id, "key-confirm", result).response == answer.response
    assert len(gateway.confirmed) == 1
    pass_time(world, 10)
    with pytest.raises(PaymentStateConflict):
        world.confirm(payment_id, "key-other", result)
    assert len(events(world, payment_id)) == 2


def test_a_confirmation_without_an_answer_is_asked_about() -> None:
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds_confirm"))["id"]
    gateway.unanswered = 2
    assert world.confirm(payment_id, "key-confirm").response.status == 202
    pass_time(world, 5)
    assert stored(world, payment_id).status.value == "captured"
    final = world.confirm(payment_id, "key-confirm")
    assert (final.response.status, told(final)["status"]) == (201, "captured")
    assert len(gateway.succeeded()) == 1


def test_a_settlement_that_comes_second_writes_nothing_and_ends() -> None:
    """The payment is confirmed while the settlement asks. Fails (it stays open, and fails for ever) without a second
    look at the payment's status.
    """
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds_confirm"))["id"]
    find = gateway.find

    def confirmed_meanwhile(*arguments: Any) -> Any:
        gateway.find = find  # type: ignore[method-assign]
        world.confirm(payment_id, "key-confirm")
        return find(*arguments)

    gateway.find = confirmed_meanwhile  # type: ignore[method-assign]
    world.clock.ms += MINUTE_MS
    with suppress(TransitionError):
        world.settle()
    settlement = world.store.get(settlement_id(MERCHANT, payment_id))
    assert settlement is not None
    assert settlement.status is RecordStatus.COMPLETED
    assert events(world, payment_id) == ["payment.requires_action", "payment.captured"]


@pytest.mark.parametrize("unanswered", [0, 1, 2, 3])
def test_a_merchant_cancels_what_waits(unanswered: int) -> None:
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds"))["id"]
    gateway.unanswered = unanswered
    answer = world.follow_up(OperationKind.VOID, payment_id, "key-void")
    assert answer.response.status == (201 if unanswered < 2 else 202)
    pass_time(world, 10)
    assert stored(world, payment_id).status.value == "voided"
    assert stored(world, payment_id).next_action is None
    assert stored(world, payment_id).capturable_minor == 0
    assert balances(world) == {}
    final = world.follow_up(OperationKind.VOID, payment_id, "key-void")
    assert final.response.status == 201
    assert (told(final)["status"], told(final)["amount_minor"]) == ("succeeded", 1000)


def test_a_payer_who_was_faster_than_the_cancellation_is_charged_once() -> None:
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds"))["id"]
    gateway.pay()
    answer = world.follow_up(OperationKind.VOID, payment_id, "key-void")
    assert (answer.response.status, told(answer)["code"]) == (402, "payer_was_faster")
    pass_time(world, 10)
    assert stored(world, payment_id).status.value == "captured"
    assert events(world, payment_id) == ["payment.requires_action", "void.declined", "payment.captured"]


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.VOID])
@pytest.mark.parametrize("end", ["pay", "decline"])
def test_an_operation_that_is_only_received_is_processing_until_it_is_decided(kind: OperationKind, end: str) -> None:
    world, gateway = world_of()
    capture = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    payment_id = told(world.create(capture=capture))["id"]
    gateway.receives = True
    answer = world.follow_up(kind, payment_id, "key-2")
    assert (answer.response.status, told(answer)["status"]) == (201, "processing")
    getattr(gateway, end)()
    pass_time(world, 2)
    done = {"capture": "captured", "refund": "refunded", "void": "voided"}[kind.value]
    before = "captured" if kind is OperationKind.REFUND else "authorized"
    payment = stored(world, payment_id)
    assert payment.status.value == (done if end == "pay" else before)
    assert (payment.capturable_minor, payment.refundable_minor) == {
        ("capture", "pay"): (0, 1000),
        ("capture", "decline"): (1000, 0),
        ("void", "pay"): (0, 0),
        ("void", "decline"): (1000, 0),
        ("refund", "pay"): (0, 0),
        ("refund", "decline"): (0, 1000),
    }[kind.value, end]
    assert events(world, payment_id)[1:] == [
        f"{kind.value}.processing",
        f"{kind.value}.{'succeeded' if end == 'pay' else 'declined'}",
    ]
    assert world.follow_up(kind, payment_id, "key-2").response == answer.response


STORIES = {
    "confirmed": lambda world, gateway, payment_id: world.confirm(payment_id, "key-confirm"),
    "canceled": lambda world, gateway, payment_id: world.follow_up(OperationKind.VOID, payment_id, "key-void"),
    "paid": lambda world, gateway, payment_id: gateway.pay(),
    "processed": lambda world, gateway, payment_id: gateway.process(),
    "expired": lambda world, gateway, payment_id: pass_time(world, 61),
}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_every_write_it_ends_with_one_charge_and_a_true_status(story: str, after: bool) -> None:
    """Counts the writes of a story, and kills at each of them, before and after."""
    for fuse in itertools.count(1):
        database = Fused(fuse, after=after)
        world, gateway = world_of(database)
        with suppress(Killed):
            created = world.create(payment_method="pm_3ds_confirm")
            with suppress(PaymentStateConflict):
                STORIES[story](world, gateway, told(created)["id"])
        survived = database.fuse > 0
        for _ in range(3):  # a killed step is tried again, as its client or its schedule does
            with suppress(Killed):
                pass_time(world, 40)
                created = world.create(payment_method="pm_3ds_confirm")
                payment_id = told(created)["id"]
                with suppress(PaymentStateConflict):
                    STORIES[story](world, gateway, payment_id)
        gateway.process() if story == "processed" and not gateway.succeeded() else None
        with suppress(Killed):
            pass_time(world, 1500, step_minutes=10)
        payment = stored(world, payment_id)
        assert len(gateway.submissions) == 1
        assert len(gateway.succeeded()) == (payment.status.value == "captured")
        assert (
            payment.status.value
            in {
                "confirmed": {"captured", "expired"},
                "canceled": {"voided", "expired"},
                "paid": {"captured"},
                "processed": {"processing"},
                "expired": {"expired"},
            }[story]
        )
        assert sum(balances(world).values()) == 0
        assert len(set(events(world, payment_id))) == len(events(world, payment_id))
        if survived:
            return
