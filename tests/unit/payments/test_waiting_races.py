"""Interleavings about payments that a gateway holds, each of which did harm once. Found by the races and by reading."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import PaymentStateConflict
from payonce.domain.gateway import AwaitsPayer, CaptureMethod, Declined, OperationKind, Overtaken, Unknown
from payonce.idempotency.records import RecordStatus
from payonce.payments.journal import entries_of
from payonce.payments.planning import plan_follow_up
from payonce.payments.settlement import settlement_id
from tests.support.world import MERCHANT
from tests.unit.payments.test_attempts import Killed
from tests.unit.payments.test_release import release
from tests.unit.payments.test_release import stored as claim_of
from tests.unit.payments.test_waiting import MINUTE_MS, balances, events, pass_time, stored, told, world_of

if TYPE_CHECKING:
    from tests.support.holding import HoldingGateway
    from tests.support.world import World


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.REFUND])
def test_all_that_is_left_is_never_one_cent(monkeypatch: pytest.MonkeyPatch, kind: OperationKind) -> None:
    """The payer finishes between the reading of what is left, which is nothing, and the claim.

    Fails (one minor unit is captured, or given back) when nothing left is planned as an amount that can be reserved.
    A gateway that allows one capture would release all the rest.
    """
    capture = CaptureMethod.MANUAL if kind is OperationKind.CAPTURE else CaptureMethod.AUTOMATIC
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds", capture=capture))["id"]

    def faster(*arguments: Any, **named: Any) -> Any:
        plan = plan_follow_up(*arguments, **named)
        gateway.pay()
        pass_time(world, 2)
        return plan

    monkeypatch.setattr("tests.support.world.plan_follow_up", faster)
    with pytest.raises(PaymentStateConflict, match=r"send the .* again"):
        world.follow_up(kind, payment_id, "key-2")
    monkeypatch.undo()
    assert told(world.follow_up(kind, payment_id, "key-2"))["amount_minor"] == 1000


def canceled_while_authorized(kind: OperationKind) -> tuple[World, HoldingGateway, str]:
    """Return a payment that is voided by a cancellation of when it waited, while another operation on it is in doubt.

    As Stripe does it, which cancels what is authorized: https://docs.stripe.com/api/payment_intents/cancel.
    """
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds", capture=CaptureMethod.MANUAL))["id"]
    gateway.withdraw = lambda _instruction, waiting, _deadline: waiting  # type: ignore[method-assign, assignment]
    assert world.follow_up(OperationKind.VOID, payment_id, "key-cancel").response.status == 202
    gateway.pay()
    world.clock.ms += 61_000
    world.settle()
    assert stored(world, payment_id).status.value == "authorized"
    gateway.script, gateway.lookup_fails = ["lost"], True
    world.follow_up(kind, payment_id, "key-2", 300 if kind is OperationKind.CAPTURE else None)
    gateway.withdraw = lambda *_: Declined("canceled", "It was canceled.")  # type: ignore[method-assign]
    gateway.submit = lambda *_: Overtaken("overtaken", "It was canceled.")  # type: ignore[method-assign]
    world.recover()
    assert stored(world, payment_id).status.value == "voided"
    gateway.lookup_fails = False
    return world, gateway, payment_id


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID])
def test_what_was_in_flight_when_the_hold_was_released_gets_nothing_back(kind: OperationKind) -> None:
    """Fails when the table does not know a capture in flight (an error for ever), or when its amount is given back."""
    world, _, payment_id = canceled_while_authorized(kind)
    pass_time(world, 90)
    assert events(world, payment_id)[-1] == f"{kind.value}.declined"
    assert stored(world, payment_id).capturable_minor == 0
    assert set(balances(world).values()) <= {0}
    with pytest.raises(PaymentStateConflict):
        world.follow_up(OperationKind.CAPTURE, payment_id, "key-3", 1)


def test_a_payment_that_waits_again_is_withdrawn_again() -> None:
    """Fails (402, not cancelable, of what the payer can still pay) when only the same object counts as waiting.

    A payment being processed at the time of the cancellation may ask its payer once more when it is looked up:
    https://docs.stripe.com/payments/paymentintents/lifecycle.
    """
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds"))["id"]
    withdraw = gateway.withdraw
    gateway.withdraw = lambda *_: AwaitsPayer("ch_1", "requires_action")  # type: ignore[method-assign]
    assert world.follow_up(OperationKind.VOID, payment_id, "key-cancel").response.status == 202
    gateway.withdraw = withdraw  # type: ignore[method-assign]
    pass_time(world, 2)
    assert world.follow_up(OperationKind.VOID, payment_id, "key-cancel").response.status == 201
    assert stored(world, payment_id).status.value == "voided"


def test_a_cancellation_that_is_taken_over_by_its_retry_is_the_same_cancellation() -> None:
    """The first owner withdraws and dies, the settlement sees it, and the client asks again.

    Fails (402 for what was canceled) when what the payment is by now decides how the retry goes on.
    """
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds"))["id"]
    gateway.unanswered = 2
    assert world.follow_up(OperationKind.VOID, payment_id, "key-cancel").response.status == 202
    world.clock.ms += 61_000
    world.settle()
    assert stored(world, payment_id).status.value == "voided"
    answer = world.follow_up(OperationKind.VOID, payment_id, "key-cancel")
    assert (answer.response.status, told(answer)["status"]) == (201, "succeeded")
    assert [asked.kind for asked in gateway.submissions] == [OperationKind.PAYMENT]


def test_the_release_of_a_confirmation_in_doubt_leaves_the_payment_alone() -> None:
    """Fails (an error, for a change that no table has) when it is ended as a payment that was never executed."""
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds_confirm"))["id"]
    gateway.unanswered = 2
    assert world.confirm(payment_id, "key-confirm").response.status == 202
    world.clock.ms += 120_000
    release(world, claim_of(world, "confirm_payment", "key-confirm"), force=True)
    assert stored(world, payment_id).status.value == "requires_action"
    pass_time(world, 5)
    assert stored(world, payment_id).status.value == "captured"


def test_the_journal_names_the_key_of_a_confirmation() -> None:
    """Fails (an entry that leads to no claim) when a confirmation does not keep its record's id."""
    world, _ = world_of()
    payment_id = told(world.create(payment_method="pm_3ds_confirm"))["id"]
    world.confirm(payment_id, "key-confirm")
    [entry] = entries_of(world.database, MERCHANT, payment_id)
    assert entry.movement is not None
    assert entry.movement.idempotency_record_id == claim_of(world, "confirm_payment", "key-confirm").record_id


def test_a_doubt_is_provisional_although_somebody_has_decided_the_payment_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fails (402, which a client takes for final, and another answer later) when the doubt answers as a decision does.

    ::

        A   confirms, no answer ── asks, no answer ─────────────────────── reads the payment: 202, A's claim is in doubt
        B                                            confirms: declined
    """
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds_confirm"))["id"]

    def unanswered(*_: object) -> Unknown:
        return Unknown("no answer")

    def unanswered_while_b_confirms(*_: object) -> Unknown:
        monkeypatch.undo()
        assert world.confirm(payment_id, "key-b", "refused by the payer").response.status == 402
        return Unknown("no answer")

    monkeypatch.setattr(gateway, "confirm", unanswered)
    monkeypatch.setattr(gateway, "find", unanswered_while_b_confirms)
    first = world.confirm(payment_id, "key-a")
    assert first.response.status == 202
    pass_time(world, 5)
    final = world.confirm(payment_id, "key-a")
    assert (final.response.status, final.replayed) == (402, True)


def released_while_confirmed(*, killed: bool = False) -> tuple[World, HoldingGateway, str]:
    """Return a payment that a confirmation tells to be authorized, and that its expiry has canceled a moment later.

    Stripe cancels what is authorized, too: https://docs.stripe.com/api/payment_intents/cancel.
    """
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds_confirm", capture=CaptureMethod.MANUAL))["id"]
    reference = stored(world, payment_id).gateway_reference

    def withdraw_what_is_authorized(*_: object) -> Declined:
        assert told(world.confirm(payment_id, "key-confirm"))["status"] == "authorized"
        gateway.held[reference] = canceled = Declined("canceled", "It was canceled.")
        if killed:
            raise Killed
        return canceled

    gateway.withdraw = withdraw_what_is_authorized  # type: ignore[method-assign]
    world.clock.ms += 61 * MINUTE_MS
    with suppress(Killed):
        world.settle()
    return world, gateway, payment_id


RELEASED = ["payment.requires_action", "payment.authorized", "payment.voided_at_gateway"]


@pytest.mark.parametrize("killed", [False, True])
def test_what_its_expiry_released_is_not_shown_as_authorized(*, killed: bool) -> None:
    """Fails when a settlement that finds its payment decided does not tell that its own withdrawal was the last word.

    The merchant would ship what nobody will pay for.
    """
    world, _, payment_id = released_while_confirmed(killed=killed)
    pass_time(world, 3)
    assert (stored(world, payment_id).status.value, events(world, payment_id)) == ("voided", RELEASED)
    assert set(balances(world).values()) <= {0}
    settlement = world.store.get(settlement_id(MERCHANT, payment_id))
    assert settlement is not None
    assert settlement.status is RecordStatus.COMPLETED


def test_whether_it_was_released_is_asked_until_there_is_an_answer() -> None:
    """Fails when a settlement ends without an answer, or for a payment that is still authorized writes anything."""
    world, gateway, payment_id = released_while_confirmed(killed=True)
    gateway.unanswered = 2
    pass_time(world, 1)
    assert stored(world, payment_id).status.value == "authorized"
    pass_time(world, 5)
    assert events(world, payment_id) == RELEASED
    world, gateway = world_of()
    payment_id = told(world.create(payment_method="pm_3ds_confirm", capture=CaptureMethod.MANUAL))["id"]
    world.confirm(payment_id, "key-confirm")
    pass_time(world, 3)
    assert events(world, payment_id) == RELEASED[:2]
    settlement = world.store.get(settlement_id(MERCHANT, payment_id))
    assert settlement is not None
    assert settlement.status is RecordStatus.COMPLETED
    told(world.follow_up(OperationKind.CAPTURE, payment_id, "key-capture"))
    assert stored(world, payment_id).status.value == "captured"
