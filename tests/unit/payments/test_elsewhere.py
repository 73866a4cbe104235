"""A charge that was captured, voided or refunded at the gateway and not through payonce: the truth, and only once.

Shops that pass the gateway's refusal on stay wrong for ever: https://github.com/spree-contrib/spree_gateway/pull/419
(captured in the dashboard, shown as failed), https://github.com/strangerstudios/paid-memberships-pro/pull/3811
(refunded in the dashboard, shown as paid). The refusals: charge_already_captured, charge_already_refunded,
payment_intent_unexpected_state, amount_too_large in https://docs.stripe.com/error-codes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import PaymentStateConflict
from payonce.domain.gateway import CaptureMethod, ChargeState, OperationKind
from payonce.domain.payment import Payment, PaymentStatus
from payonce.idempotency.keys import record_id
from payonce.payments.at_gateway import catch_up, changes_of
from payonce.payments.elsewhere import effects_of, unknown_to_us
from payonce.payments.stored_payments import find_payment
from payonce.ports import Deadline, Table
from tests.support.stored import entries_in
from tests.support.told import MINUTE_MS, balances, body, history
from tests.support.world import FORGETFUL, MERCHANT, World

CAPTURE, VOID, REFUND = OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND
SINGLE = replace(FORGETFUL, multiple_captures=False)
CHARGED = {"gateway_receivable:bank": 1000, "merchant_payable": -1000}


def authorized(*, single: bool = True) -> tuple[World, str]:
    world = World()
    world.gateway.capabilities = SINGLE if single else FORGETFUL
    return world, json.loads(world.create(capture=CaptureMethod.MANUAL).response.body)["id"]


def captured() -> tuple[World, str]:
    world = World()
    return world, json.loads(world.create().response.body)["id"]


def stored(world: World, payment_id: str) -> Payment:
    found = find_payment(world.database, MERCHANT, payment_id)
    assert found is not None
    return found


def amounts(payment: Payment) -> tuple[str, int, int, int, int]:
    return (
        payment.status.value,
        payment.captured_minor,
        payment.refunded_minor,
        payment.capturable_minor,
        payment.refundable_minor,
    )


def test_a_cancellation_of_what_was_captured_elsewhere_says_so_and_brings_the_payment_up_to_date() -> None:
    """Fails (402, and "authorized" for ever) when the gateway's refusal is all that is looked at."""
    world, payment_id = authorized()
    world.gateway.elsewhere(CAPTURE, 1000)
    answer = world.follow_up(VOID, payment_id, "key-1")
    assert (answer.response.status, body(answer)["type"]) == (409, "urn:payonce:problem:payment-state")
    assert (body(answer)["payment_status"], body(answer)["operation"]["status"]) == ("captured", "declined")
    assert "captured 1000" in body(answer)["detail"]
    assert amounts(stored(world, payment_id)) == ("captured", 1000, 0, 0, 1000)
    assert balances(world) == CHARGED
    assert history(world, payment_id) == ["payment.authorized", "void.declined", "payment.captured_at_gateway"]
    assert world.follow_up(VOID, payment_id, "key-1").response == answer.response
    assert world.follow_up(REFUND, payment_id, "key-2").response.status == 201
    assert balances(world) == {}


def test_a_capture_of_what_was_captured_elsewhere_for_the_same_amount_is_what_was_asked_for() -> None:
    """Fails when the payer has paid what the merchant wanted, and the merchant is told that it failed."""
    world, payment_id = authorized()
    world.gateway.elsewhere(CAPTURE, 1000)
    answer = world.follow_up(CAPTURE, payment_id, "key-1")
    assert (answer.response.status, body(answer)["payment"]["status"]) == (201, "captured")
    assert balances(world) == CHARGED
    assert history(world, payment_id) == ["payment.authorized", "capture.succeeded"]
    tables = world.database._tables  # type: ignore[attr-defined]
    moved = [entry.movement.gateway_reference for entry in entries_in(tables[Table.OUTBOX].values()) if entry.movement]
    assert moved == [f"{payment_id}-1"]  # the capture's mark is not at the gateway, so that it reports the payment's


def test_a_capture_of_another_amount_than_was_captured_elsewhere_is_refused() -> None:
    """Fails when 1000 are confirmed where 600 were captured, or 600 are left out of the books."""
    world, payment_id = authorized()
    world.gateway.elsewhere(CAPTURE, 600)
    answer = world.follow_up(CAPTURE, payment_id, "key-1", 1000)
    assert answer.response.status == 409
    assert amounts(stored(world, payment_id)) == ("captured", 600, 0, 0, 600)
    assert balances(world) == {"gateway_receivable:bank": 600, "merchant_payable": -600}


def test_a_capture_of_what_was_voided_elsewhere_or_has_expired() -> None:
    """Fails when the hold stays in the books for ever."""
    world, payment_id = authorized()
    world.gateway.elsewhere(VOID, 1000)
    answer = world.follow_up(CAPTURE, payment_id, "key-1")
    assert (answer.response.status, body(answer)["payment_status"]) == (409, "voided")
    assert amounts(stored(world, payment_id)) == ("voided", 0, 0, 0, 0)
    assert balances(world) == {}
    assert history(world, payment_id)[1:] == ["capture.declined", "payment.voided_at_gateway"]
    with pytest.raises(PaymentStateConflict):
        world.follow_up(CAPTURE, payment_id, "key-2")


def test_captured_and_refunded_elsewhere_are_two_changes_in_one_commit() -> None:
    """Fails when only the last state is taken over: the journal would lack a charge and a refund that took place."""
    world, payment_id = authorized()
    world.gateway.elsewhere(CAPTURE, 1000)
    world.gateway.elsewhere(REFUND, 1000)
    answer = world.follow_up(VOID, payment_id, "key-1")
    assert (answer.response.status, body(answer)["payment_status"]) == (409, "refunded")
    assert amounts(stored(world, payment_id)) == ("refunded", 1000, 1000, 0, 0)
    assert balances(world) == {}
    assert history(world, payment_id)[1:] == [
        "void.declined",
        "payment.captured_at_gateway",
        "payment.refunded_at_gateway",
    ]


@pytest.mark.parametrize(
    ("elsewhere_minor", "asked_minor", "status", "expected"),
    [
        (1000, 1000, 201, ("refunded", 1000, 1000, 0, 0)),
        (1000, 400, 409, ("refunded", 1000, 1000, 0, 0)),
        (700, 400, 409, ("partially_refunded", 1000, 700, 0, 300)),
        (700, 300, 201, ("partially_refunded", 1000, 300, 0, 700)),  # possible, so nobody looks; reconciliation does
    ],
)
def test_a_refund_after_one_elsewhere(
    elsewhere_minor: int, asked_minor: int, status: int, expected: tuple[Any, ...]
) -> None:
    """Fails when it stays "captured": every later refund would be tried and refused anew."""
    world, payment_id = captured()
    world.gateway.elsewhere(REFUND, elsewhere_minor)
    assert world.follow_up(REFUND, payment_id, "key-1", asked_minor).response.status == status
    assert amounts(stored(world, payment_id)) == expected


def test_a_refund_of_ours_that_is_in_doubt_is_not_taken_for_somebody_elses() -> None:
    """Fails (1400 of 1000 given back in our books) when all that the gateway shows counts as done elsewhere."""
    world, payment_id = captured()
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    assert world.follow_up(REFUND, payment_id, "key-1", 600).response.status == 202
    world.gateway.lookup_fails = False
    world.gateway.elsewhere(REFUND, 300)
    answer = world.follow_up(REFUND, payment_id, "key-2", 400)
    assert answer.response.status == 409
    assert "refunded 300" in body(answer)["detail"]
    world.clock.ms += MINUTE_MS
    world.recover()
    assert world.follow_up(REFUND, payment_id, "key-1", 600).response.status == 201
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 1000, 900, 0, 100)
    assert balances(world) == {"gateway_receivable:bank": 100, "merchant_payable": -100}


def test_a_state_that_is_older_than_our_own_refund_hides_no_part_of_what_was_done_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is concluded from it. Fails (300 booked of 600, and nobody looks again) when it is used nevertheless.

    ::

        dashboard   refunds 600
        B           refund of 500 refused ── charge read: 600 ─────────────── payment read: 300 are ours; 300 booked
        A                                              refund of 300 commits
    """
    world, payment_id = captured()
    world.gateway.elsewhere(REFUND, 600)
    read = world.gateway.read_charge

    def then_a_commits(*named: Any) -> Any:
        state = read(*named)
        monkeypatch.undo()
        assert world.follow_up(REFUND, payment_id, "key-a", 300).response.status == 201
        return state

    monkeypatch.setattr(world.gateway, "read_charge", then_a_commits)
    assert world.follow_up(REFUND, payment_id, "key-b", 500).response.status == 402
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 1000, 300, 0, 700)
    assert world.follow_up(REFUND, payment_id, "key-c", 500).response.status == 409
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 1000, 900, 0, 100)


def test_another_capture_of_ours_in_doubt_makes_it_a_plain_decline() -> None:
    """Where an authorization is captured once. Fails when our own first capture is booked as somebody else's."""
    world, payment_id = authorized()
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    assert world.follow_up(CAPTURE, payment_id, "key-1", 600).response.status == 202
    world.gateway.lookup_fails = False
    assert world.follow_up(CAPTURE, payment_id, "key-2", 400).response.status == 402
    world.clock.ms += MINUTE_MS
    world.recover()
    assert world.follow_up(CAPTURE, payment_id, "key-1", 600).response.status == 201
    assert amounts(stored(world, payment_id)) == ("captured", 600, 0, 0, 600)
    assert world.errors == []


def test_a_charge_that_can_not_be_read_leaves_the_request_in_doubt() -> None:
    """Fails when it is refused without a look: the payment would stay wrong, and the answer be final."""
    world, payment_id = authorized()
    world.gateway.elsewhere(CAPTURE, 1000)
    world.gateway.lookup_fails = True
    assert world.follow_up(VOID, payment_id, "key-1").response.status == 202
    record = world.store.get(record_id(MERCHANT, VOID.value, "key-1"))
    assert record is not None
    assert record.submit_horizon_ms >= world.clock.ms  # it was sent: a "not found" is not final yet
    world.gateway.lookup_fails = False
    world.clock.ms += MINUTE_MS
    world.recover()
    assert world.follow_up(VOID, payment_id, "key-1").response.status == 409
    assert amounts(stored(world, payment_id)) == ("captured", 1000, 0, 0, 1000)


def test_a_charge_in_another_currency_is_not_compared_with_the_payment() -> None:
    """Fails when amounts of two currencies are: 1000 yen would be booked as 10 euros that somebody has captured."""
    world, payment_id = authorized()
    world.gateway.elsewhere(CAPTURE, 1000)
    shown = ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="JPY")
    world.gateway.read_charge = lambda *_: shown  # type: ignore[method-assign]
    assert world.follow_up(VOID, payment_id, "key-1").response.status == 402
    assert amounts(stored(world, payment_id)) == ("authorized", 0, 0, 1000, 0)


def test_what_was_found_holds_for_the_payment_that_it_was_compared_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when it is booked on a payment that has changed since, and that the charge was never compared with.

    ::

        dashboard   refunds 600
        B           asks for 600: refused ── charge read, payment read, compared ─────────────▶ looks again: 402
        A                                                                   refund of 300 commits
    """
    world, payment_id = captured()
    world.gateway.elsewhere(REFUND, 600)
    compare = changes_of

    def then_a_commits(*given: Any, **named: Any) -> Any:
        found = compare(*given, **named)
        monkeypatch.undo()
        assert world.follow_up(REFUND, payment_id, "key-a", 300).response.status == 201
        return found

    monkeypatch.setattr("payonce.payments.follow_up.changes_of", then_a_commits)
    assert world.follow_up(REFUND, payment_id, "key-b", 600).response.status == 402
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 1000, 300, 0, 700)


def test_a_payment_that_changed_while_the_request_was_sent_is_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the commit starts from the payment as it was before: it is refused, and all is read again."""
    world, payment_id = captured()
    world.gateway.elsewhere(REFUND, 600)
    submit, compared = world.gateway.submit, list[Any]()

    def after_a(*given: Any) -> Any:
        world.gateway.submit = submit  # type: ignore[method-assign]
        assert world.follow_up(REFUND, payment_id, "key-a", 100).response.status == 201
        return submit(*given)

    def noting(*given: Any, **named: Any) -> Any:
        compared.append(given)
        return changes_of(*given, **named)

    world.gateway.submit = after_a  # type: ignore[method-assign]
    monkeypatch.setattr("payonce.payments.follow_up.changes_of", noting)
    assert world.follow_up(REFUND, payment_id, "key-b", 600).response.status == 201
    assert len(compared) == 1
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 1000, 700, 0, 300)


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ([], "the payer's bank has taken 300 back."),
        ([REFUND], "somebody has refunded 100 of the payment and the payer's bank has taken 300 back."),
        (
            [REFUND, REFUND],
            "somebody has refunded 100 of the payment and somebody has refunded 100 of the payment and the payer's "
            "bank has taken 300 back.",
        ),
    ],
)
def test_the_refusal_says_what_the_payers_bank_took_since_it_was_last_told(
    kinds: list[OperationKind], said: str
) -> None:
    """Fails when it says more than was done, or nothing of it, or counts what was known before."""
    world, payment_id = captured()
    world.gateway.reversed_minor = 200
    deadline = Deadline(world.clock.ms + 20_000)
    assert catch_up(world.services, world.gateway, stored(world, payment_id), deadline).changes
    world.gateway.reversed_minor = 500
    for kind in kinds:
        world.gateway.elsewhere(kind, 100)
    answer = world.follow_up(REFUND, payment_id, "key-1", 700)
    assert answer.response.status == 409
    assert body(answer)["detail"] == (f"No refund was executed: at the gateway, and not through this API, {said}")


def test_the_refusal_says_what_was_voided() -> None:
    world, payment_id = authorized()
    world.gateway.elsewhere(VOID, 1000)
    answer = world.follow_up(CAPTURE, payment_id, "key-1", 400)
    assert body(answer)["detail"] == (
        "No capture was executed: at the gateway, and not through this API, somebody has voided 1000 of the payment."
    )


def test_captured_in_part_elsewhere_where_parts_are_possible() -> None:
    world, payment_id = authorized(single=False)
    world.gateway.elsewhere(CAPTURE, 600)
    assert world.follow_up(CAPTURE, payment_id, "key-1", 500).response.status == 409
    assert amounts(stored(world, payment_id)) == ("partially_captured", 600, 0, 400, 600)
    assert world.follow_up(CAPTURE, payment_id, "key-2", 400).response.status == 201
    assert balances(world) == CHARGED


payments = st.builds(
    lambda captured, refunded, reserved, reserved_refund, single: (
        captured,
        refunded,
        reserved,
        reserved_refund,
        single,
    ),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.booleans(),
).filter(lambda drawn: drawn[0] + drawn[2] <= 1000 and drawn[1] + drawn[3] <= drawn[0])
states = st.builds(
    lambda captured, refunded, voided: ChargeState(
        captured_minor=0 if voided else captured,
        refunded_minor=0 if voided else refunded,
        voided=voided,
        currency="EUR",
    ),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.booleans(),
)


@given(drawn=payments, state=states)
def test_whatever_is_found_no_amount_gets_impossible_and_nothing_reserved_is_taken(
    drawn: tuple[int, int, int, int, bool], state: ChargeState
) -> None:
    """Fails when an amount gets negative, more is given back than was taken, or what is in flight counts twice."""
    captured_minor, refunded_minor, reserved, reserved_refund, single = drawn
    multiple = not single
    closed = single and captured_minor > 0
    status = PaymentStatus.AUTHORIZED
    if captured_minor:
        status = PaymentStatus.CAPTURED if closed or captured_minor == 1000 else PaymentStatus.PARTIALLY_CAPTURED
    if refunded_minor:
        status = PaymentStatus.REFUNDED if refunded_minor == captured_minor else PaymentStatus.PARTIALLY_REFUNDED
    before = Payment(
        payment_id="pay_1",
        merchant_id="mer_1",
        status=status,
        amount_minor=1000,
        currency="EUR",
        capture_method=CaptureMethod.MANUAL,
        payment_method="pm_1",
        gateway="bank",
        gateway_reference="pay_1-1",
        created_at_ms=1,
        updated_at_ms=1,
        version=3,
        gateway_charge_id="ch_1",
        captured_minor=captured_minor,
        refunded_minor=refunded_minor,
        capturable_minor=0 if closed else 1000 - captured_minor - reserved,
        refundable_minor=captured_minor - refunded_minor - reserved_refund,
    )
    found = unknown_to_us(before, state, multiple_captures=multiple)
    effects = effects_of(before, found, at_ms=2, multiple_captures=multiple)
    after = effects[-1].payment if effects else before
    assert after.version == before.version + len(found)
    assert before.captured_minor <= after.captured_minor <= max(before.captured_minor, state.captured_minor)
    assert before.refunded_minor <= after.refunded_minor <= max(before.refunded_minor, state.refunded_minor)
    assert 0 <= after.refunded_minor + reserved_refund <= after.captured_minor
    assert min(after.capturable_minor, after.refundable_minor) >= 0
    assert all(sum(posting.amount_minor for posting in effect.postings) == 0 for effect in effects)
    assert unknown_to_us(after, state, multiple_captures=multiple) == []  # once, however often it is looked at
