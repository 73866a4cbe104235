"""What the payer's bank takes back after a capture is booked once, whatever was seen of it, and nobody gives it back.

The lives of disputes are the vendors': https://docs.stripe.com/disputes/how-disputes-work,
https://docs.stripe.com/api/disputes/object (its ``status``), https://docs.stripe.com/disputes/responding (inquiries),
https://docs.adyen.com/risk-management/disputes-api/dispute-notifications (NOTIFICATION_OF_CHARGEBACK, CHARGEBACK,
CHARGEBACK_REVERSED, SECOND_CHARGEBACK, PREARBITRATION_WON and _LOST).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.dispute import dispute_id_of, payment_of
from payonce.domain.errors import AmountExceedsAvailable, PaymentStateConflict
from payonce.domain.gateway import CaptureMethod, DisputeState, DisputeStatus, OperationKind
from payonce.payments import payment_reads
from payonce.payments.at_gateway import MAX_CHANGES, CaughtUp, catch_up
from payonce.payments.dispute_items import known_disputes
from payonce.ports import Deadline, Table
from payonce.stores.memory import MemoryDatabase
from tests.support.disputes import dispute
from tests.support.stored import entries_in
from tests.support.told import balances, body, history
from tests.support.world import MERCHANT, World
from tests.unit.payments.test_elsewhere import captured, stored

S = DisputeStatus
REFUND, CAPTURE = OperationKind.REFUND, OperationKind.CAPTURE
OPENED, DUE, REVIEW = "dispute.opened", "dispute.evidence_due", "dispute.under_review"
WON, LOST = "dispute.won", "dispute.lost"
KEPT = {"gateway_receivable:bank": 1000, "merchant_payable": -1000}
HELD = {"gateway_disputed:bank": 1000, "merchant_payable": -1000}
GONE: dict[str, int] = {}


def look(world: World, payment_id: str) -> CaughtUp:
    """Let an event come: the charge is read, and what our payment lacks is booked."""
    return catch_up(world.services, world.gateway, stored(world, payment_id), Deadline(world.clock.ms + 20_000))


def seen(world: World, payment_id: str, *disputes: DisputeState) -> list[str]:
    """Let the gateway show these disputes, look twice, and return the events that this made."""
    world.gateway.disputes = disputes
    changes = [change.value for change in look(world, payment_id).changes]
    assert look(world, payment_id) == CaughtUp()
    known = known_disputes(world.database, stored(world, payment_id), disputes)
    assert sorted(known) == sorted(dispute_id_of(payment_id, each.gateway_dispute_id) for each in disputes)
    assert {each.state.gateway_dispute_id: each.state for each in known.values()} == {
        each.gateway_dispute_id: each for each in disputes
    }
    return changes


def entries(world: World) -> list[Any]:
    tables = world.database._tables  # type: ignore[attr-defined]
    return entries_in(tables[Table.OUTBOX].values())


def moved(world: World) -> list[tuple[str, int]]:
    """Return what the journal says of money at the gateway, entry by entry."""
    return [(entry.movement.kind.value, entry.moved_minor) for entry in entries(world) if entry.movement]


# ---------------------------------------------------------------- the vendors' lives

LIVES: dict[str, list[tuple[DisputeState, list[str], dict[str, int]]]] = {
    # Stripe: the money is withdrawn when the dispute is made.
    "won": [
        (dispute(S.EVIDENCE_DUE, 1000), [OPENED, DUE], HELD),
        (dispute(S.UNDER_REVIEW, 1000), [REVIEW], HELD),
        (dispute(S.WON, 0), [WON], KEPT),
    ],
    "lost": [
        (dispute(S.EVIDENCE_DUE, 1000), [OPENED, DUE], HELD),
        (dispute(S.UNDER_REVIEW, 1000), [REVIEW], HELD),
        (dispute(S.LOST, 1000), [LOST], GONE),
    ],
    # A win whose money comes a moment after its status.
    "won before the money is back": [
        (dispute(S.UNDER_REVIEW, 1000), [OPENED, REVIEW], HELD),
        (dispute(S.WON, 1000), [WON], HELD),
        (dispute(S.WON, 0), [WON], KEPT),
    ],
    # warning_needs_response, warning_under_review, warning_closed: nothing is withdrawn.
    "an inquiry that is closed": [
        (dispute(S.EVIDENCE_DUE, 0), [OPENED, DUE], KEPT),
        (dispute(S.UNDER_REVIEW, 0), [REVIEW], KEPT),
        (dispute(S.WON, 0), [WON], KEPT),
    ],
    # warning_needs_response, then needs_response: the inquiry has become a chargeback.
    "an inquiry that becomes a dispute": [
        (dispute(S.EVIDENCE_DUE, 0), [OPENED, DUE], KEPT),
        (dispute(S.EVIDENCE_DUE, 1000), [DUE], HELD),
        (dispute(S.LOST, 1000), [LOST], GONE),
    ],
    # A debit's dispute is final when it comes: needs no answer, and is lost.
    "lost when it comes": [(dispute(S.LOST, 1000), [OPENED, LOST], GONE)],
    "won when it comes": [(dispute(S.WON, 0), [OPENED, WON], KEPT)],
    # Adyen: NOTIFICATION_OF_CHARGEBACK, CHARGEBACK, CHARGEBACK_REVERSED (defended), SECOND_CHARGEBACK.
    "a second chargeback": [
        (dispute(S.OPENED, 0), [OPENED], KEPT),
        (dispute(S.EVIDENCE_DUE, 1000), [DUE], HELD),
        (dispute(S.UNDER_REVIEW, 0), [REVIEW], KEPT),
        (dispute(S.WON, 0), [WON], KEPT),
        (dispute(S.LOST, 1000), [LOST], GONE),
    ],
    # Adyen: CHARGEBACK, CHARGEBACK_REVERSED, no second chargeback.
    "a chargeback that is reversed": [
        (dispute(S.OPENED, 1000), [OPENED], HELD),
        (dispute(S.WON, 0), [WON], KEPT),
    ],
    # Stripe: appeal_needs_response after it was lost; PREARBITRATION_WON of Adyen.
    "a lost one that is won by an appeal": [
        (dispute(S.LOST, 1000), [OPENED, LOST], GONE),
        (dispute(S.EVIDENCE_DUE, 1000), [DUE], HELD),
        (dispute(S.WON, 0), [WON], KEPT),
    ],
    "of a part": [
        (
            dispute(S.EVIDENCE_DUE, 300, amount_minor=300),
            [OPENED, DUE],
            {"gateway_disputed:bank": 300, "gateway_receivable:bank": 700, "merchant_payable": -1000},
        ),
        (
            dispute(S.LOST, 300, amount_minor=300),
            [LOST],
            {"gateway_receivable:bank": 700, "merchant_payable": -700},
        ),
    ],
    "more time for evidence": [
        (dispute(S.EVIDENCE_DUE, 1000), [OPENED, DUE], HELD),
        (dispute(S.EVIDENCE_DUE, 1000, evidence_due_at_ms=1_800_900_000_000), [DUE], HELD),
    ],
    # In the currency of the payout account: what is withdrawn can't be told in the payment's.
    "in another currency": [(dispute(S.LOST, 1100, currency="USD"), [OPENED, LOST], KEPT)],
}


@pytest.mark.parametrize("life", LIVES)
def test_a_disputes_life_is_told_and_booked_step_by_step(life: str) -> None:
    """Fails when a state is told twice or not at all, or its money is somewhere else than the gateway says."""
    world, payment_id = captured()
    for state, expected, accounts in LIVES[life]:
        assert seen(world, payment_id, state) == expected
        assert balances(world) == accounts
        payment = stored(world, payment_id)
        withdrawn = state.withdrawn_minor if state.currency == "EUR" else 0
        assert (payment.disputed_minor, payment.refundable_minor) == (withdrawn, 1000 - withdrawn)
        assert payment.status.value == "captured"


def test_what_the_gateway_moves_for_a_dispute_is_a_movement_and_what_is_lost_later_is_none() -> None:
    """Reconciliation compares movements with the report's rows. Fails when losing, which moves nothing, is one."""
    world, payment_id = captured()
    seen(world, payment_id, dispute(S.EVIDENCE_DUE, 1000))
    seen(world, payment_id, dispute(S.LOST, 1000))
    assert moved(world) == [("charge", 1000), ("dispute", -1000)]
    assert len(entries(world)) == 3
    other, other_id = captured()
    seen(other, other_id, dispute(S.UNDER_REVIEW, 1000))
    seen(other, other_id, dispute(S.WON, 0))
    assert moved(other) == [("charge", 1000), ("dispute", -1000), ("dispute", 1000)]


def test_two_disputes_of_one_charge() -> None:
    """Fails when the second one is taken for the first, or both are one sum."""
    world, payment_id = captured()
    first = dispute(S.EVIDENCE_DUE, 400, amount_minor=400)
    second = dispute(S.OPENED, 600, amount_minor=600, name="dp_stripe_2")
    assert seen(world, payment_id, first, second) == [OPENED, DUE, OPENED]
    assert balances(world) == HELD
    won = replace(first, status=S.WON, withdrawn_minor=0, evidence_due_at_ms=None)
    lost = replace(second, status=S.LOST)
    assert seen(world, payment_id, won, lost) == [WON, LOST]
    assert balances(world) == {"gateway_receivable:bank": 400, "merchant_payable": -400}
    assert stored(world, payment_id).refundable_minor == 400


def test_a_dispute_of_what_was_refunded_before() -> None:
    """The gateway takes the money a second time. Fails when an amount that merchants see is below 0, or it is lost."""
    world, payment_id = captured()
    assert world.follow_up(REFUND, payment_id, "key-1").response.status == 201
    assert seen(world, payment_id, dispute(S.EVIDENCE_DUE, 1000)) == [OPENED, DUE]
    view = payment_reads.get_payment(world.services, MERCHANT, payment_id)
    assert (view["status"], view["refundable_minor"], view["disputed_minor"]) == ("refunded", 0, 1000)
    assert balances(world) == {"gateway_disputed:bank": 1000, "gateway_receivable:bank": -1000}
    with pytest.raises(PaymentStateConflict, match="with 0 left"):
        world.follow_up(REFUND, payment_id, "key-2", 1)
    # Winning gives back what was refunded before, and no more than that.
    assert seen(world, payment_id, dispute(S.WON, 0)) == [WON]
    assert balances(world) == {}
    assert stored(world, payment_id).refundable_minor == 0


def test_a_refund_at_the_dashboard_of_what_is_disputed_is_booked_too() -> None:
    """Then the payer has it twice. Fails when the refund waits for ever, because nothing is left to refund."""
    world, payment_id = captured()
    seen(world, payment_id, dispute(S.LOST, 1000))
    world.gateway.elsewhere(REFUND, 1000)
    assert look(world, payment_id).changes == ["payment.refunded_at_gateway"]
    assert look(world, payment_id) == CaughtUp()
    assert balances(world) == {"gateway_receivable:bank": -1000, "merchant_payable": 1000}


# ---------------------------------------------------------------- refunds of what is taken back


@pytest.mark.parametrize(("asked_minor", "error"), [(1000, AmountExceedsAvailable), (701, AmountExceedsAvailable)])
def test_a_refund_of_disputed_money_is_refused_before_it_is_sent(asked_minor: int, error: type[Exception]) -> None:
    """Fails when it is left to the gateway: not each of them refuses it."""
    world, payment_id = captured()
    seen(world, payment_id, dispute(S.EVIDENCE_DUE, 300, amount_minor=300))
    sent = len(world.gateway.submissions)
    with pytest.raises(error):
        world.follow_up(REFUND, payment_id, "key-1", asked_minor)
    assert len(world.gateway.submissions) == sent
    assert world.follow_up(REFUND, payment_id, "key-2", 700).response.status == 201
    # When the dispute is won, the rest can be refunded.
    seen(world, payment_id, dispute(S.WON, 0, amount_minor=300))
    assert world.follow_up(REFUND, payment_id, "key-3").response.status == 201
    assert balances(world) == {}


def test_a_refund_that_the_gateway_refuses_because_of_a_dispute_brings_the_dispute_in() -> None:
    """No event has come. Fails when the refusal is all that is said: the merchant would not learn of the dispute."""
    world, payment_id = captured()
    world.gateway.disputes = (dispute(S.EVIDENCE_DUE, 1000),)
    answer = world.follow_up(REFUND, payment_id, "key-1", 500)
    assert answer.response.status == 409
    assert "disputed, and 1000 of it withdrawn" in body(answer)["detail"]
    assert history(world, payment_id) == ["payment.captured", "refund.declined", OPENED, DUE]
    assert balances(world) == HELD
    assert stored(world, payment_id).refundable_minor == 0
    assert look(world, payment_id) == CaughtUp()


def test_a_refusal_says_of_a_dispute_beside_what_else_was_done() -> None:
    """Fails when only one of the two is said."""
    world, payment_id = captured()
    world.gateway.elsewhere(REFUND, 200)
    world.gateway.disputes = (dispute(S.EVIDENCE_DUE, 800, amount_minor=800),)
    answer = world.follow_up(REFUND, payment_id, "key-1", 500)
    assert answer.response.status == 409
    assert body(answer)["detail"].endswith(
        "somebody has refunded 200 of the payment and the payment is disputed, and 800 of it withdrawn."
    )


def test_a_refund_in_flight_while_a_dispute_withdraws_its_money() -> None:
    """Fails when what the refund has reserved counts as the dispute's, or is given back twice when it is declined."""
    world, payment_id = captured()
    world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    assert world.follow_up(REFUND, payment_id, "key-1", 800).response.status == 202
    world.gateway.lookup_fails = False
    assert seen(world, payment_id, dispute(S.EVIDENCE_DUE, 1000)) == [OPENED, DUE]
    assert stored(world, payment_id).refundable_minor == -800
    world.clock.ms += 60_000
    world.recover()
    assert world.follow_up(REFUND, payment_id, "key-1", 800).response.status in (402, 409)
    assert stored(world, payment_id).refundable_minor == 0
    assert balances(world) == HELD


# ---------------------------------------------------------------- late reversals


def test_a_debit_that_fails_after_it_has_succeeded_is_reversed_by_an_entry_of_its_own() -> None:
    """Fails when the first entry is changed, the reversal is told twice, or it can still be refunded."""
    world, payment_id = captured()
    first = entries(world)
    world.gateway.reversed_minor = 1000
    assert look(world, payment_id).changes == ["payment.reversed"]
    assert look(world, payment_id) == CaughtUp()
    assert entries(world)[: len(first)] == first
    assert moved(world) == [("charge", 1000), ("charge_reversal", -1000)]
    assert balances(world) == {}
    payment = stored(world, payment_id)
    assert (payment.status.value, payment.reversed_minor, payment.refundable_minor) == ("reversed", 1000, 0)
    with pytest.raises(PaymentStateConflict):
        world.follow_up(REFUND, payment_id, "key-1", 1)


def test_reversals_of_parts_and_after_a_refund() -> None:
    """Fails when all that the gateway shows as reversed is booked again with each further part."""
    world, payment_id = captured()
    assert world.follow_up(REFUND, payment_id, "key-1", 400).response.status == 201
    world.gateway.reversed_minor = 100
    assert look(world, payment_id).changes == ["payment.reversed_in_part"]
    assert look(world, payment_id) == CaughtUp()
    assert stored(world, payment_id).reversed_minor == 100
    world.gateway.reversed_minor = 600
    assert look(world, payment_id).changes == ["payment.reversed"]
    # The bank may even take back what was refunded.
    world.gateway.reversed_minor = 1000
    assert look(world, payment_id).changes == ["payment.reversed"]
    assert stored(world, payment_id).refundable_minor == -400
    assert balances(world) == {"gateway_receivable:bank": -400, "merchant_payable": 400}


def test_a_reversal_and_a_dispute_read_at_once_are_one_commit() -> None:
    world, payment_id = captured()
    world.gateway.elsewhere(REFUND, 200)
    world.gateway.reversed_minor = 300
    world.gateway.disputes = (dispute(S.EVIDENCE_DUE, 500, amount_minor=500),)
    assert look(world, payment_id).changes == [
        "payment.refunded_at_gateway_in_part",
        "payment.reversed_in_part",
        OPENED,
        DUE,
    ]
    assert stored(world, payment_id).refundable_minor == 0
    assert balances(world) == {"gateway_disputed:bank": 500, "merchant_payable": -500}


def test_what_is_not_captured_in_our_books_is_not_reversed_in_them() -> None:
    """A debit that failed before it succeeded is told as captured and reversed. Fails when an event about it comes back
    for hours, or a payment that was declined is reversed.
    """
    world = World()
    payment_id = json.loads(world.create(capture=CaptureMethod.MANUAL).response.body)["id"]
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    assert world.follow_up(CAPTURE, payment_id, "key-1").response.status == 202
    world.gateway.lookup_fails = False
    world.gateway.reversed_minor = 1000
    world.gateway.disputes = (dispute(S.LOST, 1000),)
    caught = look(world, payment_id)  # the capture in flight books itself
    assert (caught.changes, bool(caught.open_reason)) == ([], True)
    world.clock.ms += 60_000
    world.recover()
    assert look(world, payment_id).changes == ["payment.reversed", OPENED, LOST]


# ---------------------------------------------------------------- whatever is seen, and by whomever

steps = st.lists(
    st.tuples(
        st.integers(0, 2),  # which dispute
        st.sampled_from(list(S)),
        st.integers(0, 1000),
        st.integers(0, 300),  # what is reversed besides
        st.booleans(),  # whether anybody looks at it
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(told=steps)
def test_whatever_is_seen_of_disputes_the_books_end_where_the_gateway_is(told: list[tuple[Any, ...]]) -> None:
    """Fails when it matters which states were seen: an entry for each step would not add up to the last one."""
    world, payment_id = captured()
    at: dict[int, DisputeState] = {}
    for number, status, withdrawn_minor, reversed_minor, is_seen in told:
        at[number] = dispute(status, withdrawn_minor, name=f"dp_{number}")
        world.gateway.disputes = tuple(at.values())
        world.gateway.reversed_minor = max(world.gateway.reversed_minor, reversed_minor)
        if is_seen:
            look(world, payment_id)
            balances(world)
            assert all(sum(line.amount_minor for line in entry.postings) == 0 for entry in entries(world))
    while look(world, payment_id).changes:
        pass
    lost = sum(each.withdrawn_minor for each in at.values() if each.status is S.LOST)
    held = sum(each.withdrawn_minor for each in at.values() if each.status is not S.LOST)
    gone = world.gateway.reversed_minor
    expected = {
        "gateway_receivable:bank": 1000 - lost - held - gone,
        "gateway_disputed:bank": held,
        "merchant_payable": -1000 + lost + gone,
    }
    assert balances(world) == {account: amount for account, amount in expected.items() if amount}
    payment = stored(world, payment_id)
    assert payment.disputed_minor == lost + held
    assert payment.refundable_minor == payment.captured_minor - payment.reversed_minor - payment.disputed_minor
    told_events = history(world, payment_id)
    assert told_events.count(OPENED) >= len(at)


def test_two_that_look_at_once_book_it_once() -> None:
    """Fails when the dispute's own item is all that is asked: both have read none."""
    world, payment_id = captured()
    world.gateway.disputes = (dispute(S.EVIDENCE_DUE, 1000),)

    class Racing(MemoryDatabase):
        raced = False

        def write(self, writes: Any) -> None:
            if not self.raced and any("DISPUTE#" in str(getattr(write, "key", "")) for write in writes):
                self.raced = True
                look(world, payment_id)
                assert balances(world) == HELD
            super().write(writes)

    racing = Racing()
    racing._tables = world.database._tables  # type: ignore[attr-defined]
    world.database = racing
    world.services = replace(world.services, database=racing)
    assert look(world, payment_id).changes == []
    assert racing.raced
    assert history(world, payment_id) == ["payment.captured", OPENED, DUE]
    assert balances(world) == HELD


def test_more_disputes_than_a_transaction_takes_are_booked_in_turn() -> None:
    """Fails when DynamoDB's limit of 100 writes refuses them for ever."""
    world, payment_id = captured()
    world.gateway.disputes = tuple(dispute(S.EVIDENCE_DUE, 1, name=f"dp_{number}") for number in range(25))
    first = look(world, payment_id)
    assert (len(first.changes), bool(first.open_reason)) == (MAX_CHANGES, True)
    rounds = 1
    while look(world, payment_id).changes:
        rounds += 1
    assert (rounds, stored(world, payment_id).disputed_minor) == (3, 25)
    told = history(world, payment_id)
    assert (told.count(OPENED), told.count(DUE)) == (25, 25)


def test_a_disputes_id_holds_its_payments_and_differs_by_payment_and_dispute() -> None:
    identity = dispute_id_of("pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S", "dp_1")
    assert payment_of(identity) == "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
    assert identity == dispute_id_of("pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S", "dp_1")
    assert len({identity, dispute_id_of("pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S", "dp_2"), dispute_id_of("pay_x", "dp_1")}) == 3
