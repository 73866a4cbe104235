"""What a claim says of a payment, that older claims still say it, and that all of it is done."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import (
    MAX_CLIENT_SECRET_CHARACTERS,
    MAX_URL_CHARACTERS,
    MONEY_OPERATIONS,
    ActionType,
    AwaitsPayer,
    CaptureMethod,
    Declined,
    Instruction,
    NextAction,
    OperationKind,
    Payer,
    PaymentMethodType,
    Pending,
    Succeeded,
)
from payonce.domain.money import MAX_AMOUNT_MINOR, Money
from payonce.domain.payment import PaymentStatus
from payonce.payments.cancel_waiting import follow_up_work
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment, PaymentPlan
from payonce.payments.payment_work import Doubted
from payonce.payments.planning import plan_follow_up
from payonce.payments.rules import NeverExecuted
from payonce.payments.stored_payments import find_payment
from payonce.routing.control.admission import Priority
from tests.support.told import payment_id
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.payments.payment_work import Result

PLAN = PaymentPlan(
    merchant_id="mer_1",
    payment_id="pay_1",
    gateway="bank",
    amount_minor=1050,
    currency="EUR",
    payment_method="pm_visa",
    capture_method=CaptureMethod.MANUAL,
    created_at_ms=7,
)


@pytest.mark.parametrize("kind", PaymentMethodType)
@pytest.mark.parametrize("priority", [Priority.AUTHORIZATION, Priority.BATCH])
def test_a_plan_comes_back_from_its_claim(kind: PaymentMethodType, priority: Priority) -> None:
    """Fails when either is not stored, or is stored as a member and not as its word."""
    plan = replace(PLAN, payment_method_type=kind, priority=priority)
    data = json.loads(json.dumps(plan.to_data()))
    assert PaymentPlan.from_data(data) == plan


@pytest.mark.parametrize(
    "changes",
    [
        {"payer": Payer.ABSENT},
        {"return_url": "https://shop.example/"},
        {"customer": "cus_1", "saves_method": True},
        {"description": "Two cups", "statement_descriptor": "CUPS 17"},
        {"reference": "order-1", "metadata": {"a": "b"}},
        {"passed_over": ("bank_a", "bank_b")},
        {"submission": 2, "spent": True},
    ],
)
def test_what_is_unusual_is_stored(changes: dict[str, Any]) -> None:
    """Fails (a resubmission that the gateway takes for another request) when a member is lost on the way."""
    plan = replace(PLAN, **changes)
    assert PaymentPlan.from_data(json.loads(json.dumps(plan.to_data()))) == plan


@pytest.mark.parametrize("word", ["ok", "lost"])
def test_all_that_a_merchant_says_of_a_payment_reaches_the_gateway_and_the_payment(word: str) -> None:
    """With the first submission, and with recovery's. Fails for each member that is dropped on the way."""
    world = World()
    world.gateway.script = [word]
    new = NewPayment(
        money=Money(1050, "EUR"),
        payment_method="pm_1",
        capture_method=CaptureMethod.MANUAL,
        payment_method_type=PaymentMethodType.WALLET,
        priority=Priority.BATCH,
        payer=Payer.ABSENT,
        return_url="https://shop.example/",
        customer="cus_1",
        saves_method=True,
        description="Two cups",
        statement_descriptor="CUPS 17",
        reference="order-1",
        metadata={"a": "b"},
        account="acct_1",
    )
    plan = plan_payment(
        new, merchant_id=MERCHANT, route=lambda _id: "bank", services=world.services, passed_over=("bank_a",)
    )
    assert plan.priority is Priority.BATCH
    created_at_ms = world.clock.now_ms()
    world.engine.execute(
        world.request("key", "create_payment"), CreatePayment(plan, lambda _at: world.gateway, world.services)
    )
    world.clock.ms += 60_000
    world.recover()
    assert world.errors == []
    assert len(world.gateway.submissions) == (1 if word == "ok" else 2)
    expected = Instruction(
        kind=OperationKind.PAYMENT,
        gateway_reference=plan.gateway_reference,
        merchant_id=MERCHANT,
        payment_id=plan.payment_id,
        money=new.money,
        capture_method=CaptureMethod.MANUAL,
        payment_method="pm_1",
        payment_method_type=PaymentMethodType.WALLET,
        payer=Payer.ABSENT,
        return_url="https://shop.example/",
        customer="cus_1",
        saves_method=True,
        description="Two cups",
        statement_descriptor="CUPS 17",
        first_submitted_at_ms=created_at_ms,
    )
    assert set(map(repr, world.gateway.submissions)) == {repr(expected)}
    payment = find_payment(world.database, MERCHANT, plan.payment_id)
    assert payment is not None
    assert payment == replace(
        payment,
        status=PaymentStatus.AUTHORIZED,
        amount_minor=1050,
        currency="EUR",
        capture_method=CaptureMethod.MANUAL,
        payment_method="pm_1",
        payment_method_type=PaymentMethodType.WALLET,
        gateway="bank",
        account="acct_1",
        gateway_reference=plan.gateway_reference,
        attempts=1,
        reference="order-1",
        customer="cus_1",
        description="Two cups",
        metadata={"a": "b"},
        passed_over=("bank_a",),
        created_at_ms=created_at_ms,
        capturable_minor=1050,
    )


@pytest.mark.parametrize("word", ["ok", "lost"])
@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS - {OperationKind.PAYMENT}))
def test_all_that_is_known_of_a_follow_up_reaches_the_gateway(kind: OperationKind, word: str) -> None:
    """With the first submission, and with recovery's. Fails when it is sent for another charge, currency or amount."""
    world = World()
    capture = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    identity = payment_id(world.create("first", capture=capture))
    payment = find_payment(world.database, MERCHANT, identity)
    assert payment is not None
    assert payment.gateway_charge_id is not None
    asked_at: list[object] = []
    plan = plan_follow_up(kind, merchant_id=MERCHANT, payment_id=identity, amount_minor=None, services=world.services)
    work = follow_up_work(plan, lambda at: asked_at.append(at) or world.gateway, world.services)  # type: ignore[func-returns-value]
    world.gateway.script = [word]
    created_at_ms, before = world.clock.now_ms(), len(world.gateway.submissions)
    world.engine.execute(world.request("key", kind.value), work)
    world.clock.ms += 60_000
    world.recover()
    assert world.errors == []
    sent = world.gateway.submissions[before:]
    assert len(sent) == (1 if word == "ok" else 2)
    assert set(map(repr, sent)) == {
        repr(
            Instruction(
                kind=kind,
                gateway_reference=plan.gateway_reference,
                merchant_id=MERCHANT,
                payment_id=identity,
                money=Money(1000, "EUR"),
                capture_method=capture,
                payment_method="pm_visa",
                gateway_charge_id=payment.gateway_charge_id,
                first_submitted_at_ms=created_at_ms,
            )
        )
    }
    assert set(asked_at) == {payment.address}


def test_a_payment_that_no_gateway_takes_looks_for_no_account() -> None:
    """Fails when the account at the gateway "" is asked for: credentials are read, of a gateway that is none."""
    asked: list[str] = []
    new = NewPayment(money=Money(1, "EUR"), payment_method="pm_1", capture_method=CaptureMethod.MANUAL)
    for gateway in ("", "bank"):
        plan_payment(
            new,
            merchant_id=MERCHANT,
            route=lambda _id, gateway=gateway: gateway,  # type: ignore[misc]
            services=World().services,
            account_at=lambda name: asked.append(name) or "acct_1",  # type: ignore[func-returns-value]
        )
    assert asked == ["bank"]


def test_no_answer_is_longer_than_the_longest_that_was_allowed_for() -> None:
    """Fails when an answer is left out: one that is too long to be stored is a charge that can't be replayed."""
    action = NextAction(
        type=ActionType.CONFIRM,
        url="u" * MAX_URL_CHARACTERS,
        client_secret="s" * MAX_CLIENT_SECRET_CHARACTERS,
        expires_at_ms=1_800_000_000_000,
    )
    results: tuple[Result, ...] = (
        Succeeded("ch_1", "op_1"),
        Declined("c" * 256, "m" * 256),
        NeverExecuted(),
        Doubted(),
        Pending("ch_1", "processing"),
        AwaitsPayer("ch_1", "requires_action", action),
    )
    world = World()
    new = NewPayment(
        money=Money(MAX_AMOUNT_MINOR, "EUR"), payment_method="pm_1", capture_method=CaptureMethod.AUTOMATIC
    )
    plan = plan_payment(new, merchant_id=MERCHANT, route=lambda _id: "bank", services=world.services)
    for result in results:
        work = CreatePayment(plan, lambda _at: world.gateway, world.services)
        assert len(work.draft(result).response.body) <= len(work.largest_response().body)


def test_what_is_usual_is_not_stored() -> None:
    """A claim over 1 KB costs twice as many units, three times. Fails when each new member is stored as nothing."""
    told = {"kind", "gateway_references", "merchant_id", "payment_id", "gateway", "amount_minor", "currency"}
    assert set(PLAN.to_data()) == told | {"payment_method", "capture_method", "created_at_ms", "metadata"}
