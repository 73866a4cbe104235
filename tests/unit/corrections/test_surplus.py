"""Only a surplus is given back, and all of it: what changes while an approval waits is seen before the money moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.corrections.policy import Policy
from payonce.corrections.record import CorrectionStatus
from payonce.domain.gateway import ChargeState, DisputeStatus, OperationKind, Succeeded
from payonce.domain.money import Money
from payonce.payments.payment_items import payment_item, payment_key
from payonce.payments.stored_payments import find_payment
from payonce.ports import Table
from payonce.reconciliation.cases.why import Why, WhyReason
from payonce.reconciliation.model import Break, Evidence, Source
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.corrections import (
    corrections_in,
    deadline,
    duplicate_capture,
    identity_of,
    payment_id_of,
    with_case,
)
from tests.support.disputes import dispute
from tests.support.world import MERCHANT, World

CHECKER = "key_checker"
_S = CorrectionStatus


@pytest.fixture
def world() -> World:
    return World()


def give_back_by_hand(world: World, found: Break, amount_minor: int) -> None:
    """Refund a part of the surplus at the gateway, as somebody in its dashboard would."""
    world.gateway.submit(
        replace(
            world.gateway.submissions[0],
            kind=OperationKind.REFUND,
            gateway_reference="dashboard",
            gateway_charge_id=found.surplus_gateway_payment_id,
            money=Money(amount_minor, "EUR"),
        ),
        deadline(world),
    )


def test_a_surplus_of_which_only_a_part_was_given_back_meanwhile_is_not_corrected(world: World) -> None:
    """Fails when any refund made by hand counts as the whole: the payer would be left without the rest, unseen."""
    found = duplicate_capture(world)
    corrections, identity = corrections_in(world, Policy()), identity_of(found)
    corrections.advance(found, deadline(world))
    give_back_by_hand(world, found, 1)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    after = corrections.execute(identity, deadline(world)).correction
    assert (after.status, after.outcome) == (_S.FAILED, "partly_given_back")
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1


def test_a_surplus_is_not_told_apart_while_the_payment_itself_is_in_doubt(world: World) -> None:
    """Fails when a payment without a charge of its own counts as one that has another: recovery then finds the very
    charge that was given back, and the payer's only payment is gone.
    """
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    payment_id = payment_id_of(world.create())
    world.gateway.lookup_fails = False
    own = world.gateway.bookings[0].outcome
    assert isinstance(own, Succeeded)
    world.gateway.submit(world.gateway.submissions[0], deadline(world))
    found = with_case(
        world,
        Break(
            break_class=BreakClass.DUPLICATE_CAPTURE,
            subject=("bank", world.gateway.submissions[0].gateway_reference, own.gateway_charge_id),
            amount_minor=1000,
            currency="EUR",
            occurred_at_ms=world.clock.now_ms(),
            merchant_id=MERCHANT,
            payment_id=payment_id,
            gateway="bank",
            surplus_gateway_payment_id=own.gateway_charge_id,
        ),
    )
    step = corrections_in(world).advance(found, deadline(world))
    assert (step.correction.status, step.retry_later) == (_S.OPEN, True)
    world.clock.ms += 120_000
    assert world.recover().concluded == 1
    step = corrections_in(world).advance(found, deadline(world))
    assert (step.correction.status, step.correction.outcome) == (_S.MANUAL, "not_a_surplus")
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_a_double_is_none_once_the_other_payment_was_given_back(world: World) -> None:
    """Fails when only the payment to be refunded is looked at: the merchant has given back the first one while the
    approval waited, and the second one would follow it.
    """
    first, found = pair(world)
    corrections, identity = corrections_in(world, Policy()), identity_of(found)
    corrections.advance(found, deadline(world))
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    world.follow_up(OperationKind.REFUND, first, "by-the-merchant")
    after = corrections.execute(identity, deadline(world)).correction
    assert (after.status, after.outcome) == (_S.REJECTED, "other_given_back")
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1


def test_a_refund_of_the_other_payment_in_flight_holds_the_correction_back(world: World) -> None:
    """Fails when the claim does not require in its own transaction that the other payment stands."""
    first, found = pair(world)
    corrections, identity = corrections_in(world, Policy()), identity_of(found)
    corrections.advance(found, deadline(world))
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    world.gateway.script = ["lost"]
    world.gateway.lookup_fails = True
    world.follow_up(OperationKind.REFUND, first, "by-the-merchant")
    submitted = len(world.gateway.submissions)
    step = corrections.execute(identity, deadline(world))
    assert (step.correction.status, step.retry_later) == (_S.APPROVED, True)
    assert len(world.gateway.submissions) == submitted


@pytest.mark.parametrize("part_minor", [0, 100, 999])
def test_a_part_of_the_other_payment_given_back_leaves_the_double_one(world: World, part_minor: int) -> None:
    """A price that was lowered is no undone payment. Fails when the correction can't require that the other payment
    stands unless something of it was refunded, or when it changes that payment.
    """
    first, found = pair(world)
    if part_minor:
        world.follow_up(OperationKind.REFUND, first, "by-the-merchant", part_minor)
    before = find_payment(world.database, MERCHANT, first)
    assert before is not None
    assert corrections_in(world).advance(found, deadline(world)).correction.status is _S.CORRECTED
    assert world.database.get(Table.PAYMENTS, payment_key(MERCHANT, first)) == payment_item(before)


def test_a_surplus_is_one_whatever_became_of_another_payment_in_its_evidence(world: World) -> None:
    """Fails when any correction requires that the evidence's other payments stand: only of a double are they the sale
    that remains.
    """
    other = payment_id_of(world.create("another-sale"))
    world.follow_up(OperationKind.REFUND, other, "by-the-merchant")
    evidence = (Evidence(source=Source.LEDGER, row_key="je_other", fields={"payment_id": other}),)
    step = corrections_in(world).advance(duplicate_capture(world, evidence=evidence), deadline(world))
    assert step.correction.status is _S.CORRECTED


def test_a_double_of_which_the_merchant_gave_back_a_part_is_not_said_to_be_over(world: World) -> None:
    """Fails when too little left counts as nothing left: no later run would prove what the runbook then promises."""
    _, found = pair(world)
    corrections, identity = corrections_in(world, Policy()), identity_of(found)
    corrections.advance(found, deadline(world))
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    world.follow_up(OperationKind.REFUND, found.payment_id or "", "by-the-merchant", 100)
    after = corrections.execute(identity, deadline(world)).correction
    assert (after.status, after.outcome) == (_S.FAILED, "partly_given_back")
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1


def test_a_double_that_the_merchant_gave_back_meanwhile_is_over(world: World) -> None:
    _, found = pair(world)
    corrections, identity = corrections_in(world, Policy()), identity_of(found)
    corrections.advance(found, deadline(world))
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    world.follow_up(OperationKind.REFUND, found.payment_id or "", "by-the-merchant")
    after = corrections.execute(identity, deadline(world)).correction
    assert (after.status, after.outcome) == (_S.FAILED, "nothing_left")
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1


def test_two_payments_of_different_orders_are_never_given_back_by_policy_alone(world: World) -> None:
    """Fails when a limit is all that is asked: what is known of the pair says that these may be two sales."""
    _, found = pair(world, Why(WhyReason.DIFFERENT_ORDERS))
    step = corrections_in(world).advance(found, deadline(world))
    assert step.correction.status is _S.AWAITING_APPROVAL
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def pair(world: World, why: Why | None = None) -> tuple[str, Break]:
    """Create two payments of one sale; return the first one, and the break of the later one with both as evidence."""
    payments = [payment_id_of(world.create(key)) for key in ("key-1", "key-2")]
    found = Break(
        break_class=BreakClass.DOUBLE_CHARGE,
        subject=(MERCHANT, payments[1]),
        amount_minor=1000,
        currency="EUR",
        occurred_at_ms=world.clock.now_ms(),
        merchant_id=MERCHANT,
        payment_id=payments[1],
        gateway="bank",
        evidence=tuple(
            Evidence(source=Source.LEDGER, row_key=f"je_{number}", fields={"payment_id": payment_id})
            for number, payment_id in enumerate(payments)
        ),
    )
    return payments[0], with_case(world, found, why)


TAKEN = {
    "disputed": {"disputes": (dispute(DisputeStatus.EVIDENCE_DUE, 1000),)},
    "already_given_back": {"disputes": (dispute(DisputeStatus.LOST, 1000),)},
    "reversed": {"reversed_minor": 1000},
}


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("when", ["before", "while the approval waits"])
def test_what_the_payers_bank_took_back_is_not_given_back_by_a_correction(
    world: World, monkeypatch: pytest.MonkeyPatch, taken: str, when: str
) -> None:
    """Fails when only refunds count as given back: the payer would have the surplus twice."""
    found = duplicate_capture(world)
    corrections, identity = corrections_in(world, Policy()), identity_of(found)
    state = ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="EUR", **TAKEN[taken])  # type: ignore[arg-type]
    if when == "before":
        monkeypatch.setattr(world.gateway, "read_charge", lambda *_: state)
        after = corrections.advance(found, deadline(world)).correction
        expected = (_S.MANUAL, "disputed") if taken == "disputed" else (_S.CORRECTED, "already_given_back")
    else:
        corrections.advance(found, deadline(world))
        monkeypatch.setattr(world.gateway, "read_charge", lambda *_: state)
        corrections.approve(identity, proposal_version=1, actor=CHECKER)
        after = corrections.execute(identity, deadline(world)).correction
        expected = (_S.FAILED, "disputed") if taken == "disputed" else (_S.CORRECTED, "already_given_back")
    assert (after.status, after.outcome) == expected
    assert world.gateway.succeeded(OperationKind.REFUND) == []
