"""Refunds that come back after they succeeded: the payment says so, the journal has one entry for it, and once.

What gateways say of them: https://docs.stripe.com/api/refunds/object (one that fails has a balance transaction of its
own, which reverses the initial one), https://docs.mollie.com/docs/refunds ("failed … after processing"),
https://docs.adyen.com/api-explorer/Webhooks/1/post/REFUNDED_REVERSED ("reversed and returned to your bank account").
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from payonce.domain.gateway import (
    CaptureMethod,
    ChargeRefund,
    ChargeState,
    NotFound,
    OperationKind,
    Overtaken,
    Succeeded,
)
from payonce.domain.ids import journal_entry_id
from payonce.domain.payment import Change, PaymentStatus
from payonce.payments.at_gateway import CaughtUp
from payonce.payments.booked_refunds import BookedRefund, KnownRefunds
from payonce.payments.charge_refunds import RefundChanges, refund_changes
from payonce.payments.journal import entries_of
from payonce.payments.payment_items import operation_key
from payonce.payments.payment_reads import get_history
from payonce.ports import Table
from tests.support.disputes import dispute
from tests.support.told import MINUTE_MS, balances, body, history
from tests.support.world import FORGETFUL, MERCHANT, REMEMBERING, World
from tests.unit.payments.test_elsewhere import CHARGED, captured, stored
from tests.unit.payments.test_taken_back import S, look

if TYPE_CHECKING:
    from payonce.domain.ledger import JournalEntry
    from payonce.domain.payment import Payment
    from tests.support.world import Booking

REFUND, CAPTURE = OperationKind.REFUND, OperationKind.CAPTURE
FULL = ["payment.captured", "refund.succeeded"]


def left_in_doubt(world: World, payment_id: str, amount_minor: int, key: str = "lost") -> None:
    """Ask for a refund that the gateway makes, and of which nobody learns what became of it."""
    world.gateway.script, world.gateway.lookup_fails = ["booked_lost"], True
    assert world.follow_up(REFUND, payment_id, key, amount_minor).response.status == 202
    world.gateway.script, world.gateway.lookup_fails = [], False


def refunded(world: World, payment_id: str, amount_minor: int = 1000, key: str = "refund-1") -> Booking:
    """Refund through the API, and return what the gateway has executed."""
    assert world.follow_up(REFUND, payment_id, key, amount_minor).response.status == 201
    return world.gateway.succeeded(REFUND)[-1]


def amounts(payment: Payment) -> tuple[str, int, int]:
    return payment.status.value, payment.refunded_minor, payment.refundable_minor


def refund_entries(world: World, payment_id: str) -> list[JournalEntry]:
    entries = entries_of(world.database, MERCHANT, payment_id)
    return [entry for entry in entries if entry.movement is not None and entry.movement.kind.value == "refund"]


def reversed_pairs(world: World, payment_id: str) -> list[tuple[int, str]]:
    """Return each reversing entry's amount and reference; each reverses an entry of that amount and reference."""
    entries = refund_entries(world, payment_id)
    by_id = {entry.entry_id: entry for entry in entries}
    found = []
    for entry in entries:
        assert entry.movement is not None
        if entry.movement.reverses_entry_id is None:
            continue
        before = by_id[entry.movement.reverses_entry_id]
        assert before.movement is not None
        assert entry.movement == replace(before.movement, reverses_entry_id=before.entry_id)
        assert entry.moved_minor <= -before.moved_minor
        found.append((entry.moved_minor, entry.movement.gateway_reference))
    return found


def operation(world: World, payment_id: str, booking: Booking) -> dict[str, Any]:
    identity = booking.instruction.gateway_reference.rpartition("-")[0]
    item = world.database.get(Table.PAYMENTS, operation_key(MERCHANT, payment_id, identity))
    assert item is not None
    return dict(item)


# ---------------------------------------------------------------- a refund of ours


def test_a_refund_that_came_back_is_told_and_booked_once() -> None:
    """Fails when nothing is booked, when the refund's entry is edited, and when it is booked with every look."""
    world, payment_id = captured()
    refund = refunded(world, payment_id)
    before = refund_entries(world, payment_id)
    world.gateway.give_back(refund)
    assert look(world, payment_id).changes == [Change.RETURNED]
    assert look(world, payment_id) == CaughtUp(explained=frozenset({str(refund.outcome.gateway_operation_id)}))  # type: ignore[union-attr]
    assert amounts(stored(world, payment_id)) == ("captured", 0, 1000)
    assert history(world, payment_id) == [*FULL, "refund.returned"]
    assert balances(world) == CHARGED
    assert refund_entries(world, payment_id)[: len(before)] == before
    assert reversed_pairs(world, payment_id) == [(1000, refund.instruction.gateway_reference)]


def test_the_event_names_the_refund_and_the_payment_after_it() -> None:
    """Fails when a merchant can't tell from the event which of the refunds has come back."""
    world, payment_id = captured()
    first, second = refunded(world, payment_id, 300, "r-1"), refunded(world, payment_id, 200, "r-2")
    world.gateway.give_back(first)
    look(world, payment_id)
    told = get_history(world.services, MERCHANT, payment_id)["data"][-1]
    data, identity = told["data"], first.instruction.gateway_reference.rpartition("-")[0]
    assert (told["type"], data["id"], data["object"]) == ("refund.returned_in_part", identity, "refund")
    assert (data["status"], data["amount_minor"], data["attempts"]) == ("returned", 300, 1)
    assert (data["payment"]["refunded_minor"], data["payment"]["refundable_minor"]) == (200, 800)
    assert data["payment"]["status"] == "partially_refunded"
    assert operation(world, payment_id, first)["status"] == "returned"
    assert operation(world, payment_id, second)["status"] == "succeeded"


def test_what_came_back_is_refunded_again_and_may_come_back_again() -> None:
    """Fails when a second refund of the same amount is taken for the first one."""
    world, payment_id = captured()
    for number in (1, 2, 3):
        refund = refunded(world, payment_id, key=f"r-{number}")
        assert look(world, payment_id).changes == []
        world.gateway.give_back(refund)
        assert look(world, payment_id).changes == [Change.RETURNED]
        assert look(world, payment_id).changes == []
    assert balances(world) == CHARGED
    assert [amount for amount, _ in reversed_pairs(world, payment_id)] == [1000] * 3


def test_the_first_answer_is_replayed_byte_for_byte_after_the_refund_has_come_back() -> None:
    world, payment_id = captured()
    answer = world.follow_up(REFUND, payment_id, "r", 1000)
    world.gateway.give_back(world.gateway.succeeded(REFUND)[0])
    look(world, payment_id)
    assert world.follow_up(REFUND, payment_id, "r", 1000).response == answer.response
    assert len(world.gateway.succeeded(REFUND)) == 1


# ---------------------------------------------------------------- evidence


def test_a_lookup_that_is_behind_books_nothing_before_and_after_a_return() -> None:
    """Fails when a total is booked: less refunded than here is no return, and more is no refund that somebody made."""
    world, payment_id = captured()
    refund = refunded(world, payment_id)
    world.gateway.bookings.remove(refund)  # the lookup does not show it yet
    assert look(world, payment_id).changes == []
    world.gateway.bookings.append(refund)
    world.gateway.give_back(refund)
    assert look(world, payment_id).changes == [Change.RETURNED]
    world.gateway.behind = True  # now it shows the refund as one that stands
    assert look(world, payment_id).changes == []
    assert amounts(stored(world, payment_id)) == ("captured", 0, 1000)
    assert balances(world) == CHARGED


def test_a_refund_that_failed_before_it_had_succeeded_takes_nothing_from_another_one() -> None:
    """Fails when the gateway's sum of what came back is booked: this one was never part of ours."""
    world, payment_id = captured()
    left_in_doubt(world, payment_id, 400)
    world.gateway.give_back(world.gateway.succeeded(REFUND)[0])
    world.clock.ms += 3_600_000
    world.recover()
    assert history(world, payment_id)[-1] == "refund.declined"
    refunded(world, payment_id, 400, "second")
    caught = look(world, payment_id)
    assert (caught.changes, caught.open_reason) == ([], "")
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 400, 600)


def test_a_return_before_our_own_refund_is_stored_waits_for_it() -> None:
    """Fails when it counts as a refund that was never booked: the event would be done with, and the return lost."""
    world, payment_id = captured()
    left_in_doubt(world, payment_id, 400)
    refund = world.gateway.succeeded(REFUND)[0]
    world.gateway.give_back(refund)
    early = look(world, payment_id)
    assert early.changes == []
    assert "not booked yet: op_" in early.open_reason
    assert early.explained == frozenset()
    # The lookup of the refund is behind its return, so that it is booked as a success first.
    world.gateway.came_back.clear()
    world.clock.ms += 3_600_000
    world.recover()
    world.gateway.give_back(refund)
    assert look(world, payment_id).changes == [Change.RETURNED]
    assert history(world, payment_id)[-2:] == ["refund.succeeded_in_part", "refund.returned"]
    assert balances(world) == CHARGED


def test_a_refund_that_the_gateway_tells_under_the_payments_reference_is_known_by_its_id() -> None:
    """Adyen may name the payment's reference. Fails when the refund of ours is looked for by its reference alone."""
    world, payment_id = captured()
    refund = refunded(world, payment_id)
    assert isinstance(refund.outcome, Succeeded)
    state = ChargeState(
        captured_minor=1000,
        refunded_minor=0,
        voided=False,
        currency="EUR",
        refunds=(ChargeRefund(
            gateway_refund_id=refund.outcome.gateway_operation_id,
            amount_minor=1000,
            gateway_reference=f"{payment_id}-1",
            came_back=True,
        ),),
    )  # fmt: skip
    world.gateway.read_charge = lambda *_: state  # type: ignore[method-assign]
    assert look(world, payment_id).changes == [Change.RETURNED]
    assert operation(world, payment_id, refund)["status"] == "returned"


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_refund_that_the_gateway_has_executed_twice_comes_back_once(newest_first: bool) -> None:
    """The second one is somebody else's, as it stands at the gateway, wherever it is listed.

    Fails when the reference decides whose it is: the first in the list is taken for the one that is booked.
    """
    world, payment_id = captured()
    ours = refunded(world, payment_id, 400)
    assert isinstance(ours.outcome, Succeeded)
    again = replace(ours, outcome=replace(ours.outcome, gateway_operation_id="op_again"))
    world.gateway.bookings.insert(world.gateway.bookings.index(ours) + (not newest_first), again)
    world.gateway.give_back(again)
    look(world, payment_id)
    assert history(world, payment_id)[2:] == [
        "payment.refunded_at_gateway_in_part",
        "payment.refund_returned_in_part",
    ]
    assert operation(world, payment_id, ours)["status"] == "succeeded"
    world.gateway.give_back(ours)
    assert look(world, payment_id).changes == [Change.RETURNED]
    assert balances(world) == CHARGED


def test_a_lookup_that_is_behind_may_book_a_refund_of_ours_that_was_never_booked_and_a_later_one_reverses_it() -> None:
    """It shows the refund as one that stands, and ours has ended without it. Fails when the entry stays for ever."""
    world, payment_id = captured()
    left_in_doubt(world, payment_id, 360)
    world.gateway.give_back(world.gateway.succeeded(REFUND)[0])
    world.clock.ms += 3_600_000
    world.recover()
    world.gateway.behind = True
    assert look(world, payment_id).changes == [Change.REFUNDED_ELSEWHERE_PART]
    world.gateway.behind = False
    assert look(world, payment_id).changes == [Change.RETURNED_ELSEWHERE]
    assert look(world, payment_id).changes == []
    assert amounts(stored(world, payment_id)) == ("captured", 0, 1000)
    assert balances(world) == CHARGED


def test_a_refund_that_does_not_fit_into_a_lookup_that_is_behind_is_booked_whole_or_not() -> None:
    """The charge shows 1001 refunded of 1000, since two of them have come back. Fails (1000 refunded here for ever, and
    514 at the gateway) when as much of the one in the dashboard is booked as there is room for: no entry is its own.
    """
    world, payment_id = captured()
    first = refunded(world, payment_id, 1, "r-1")
    world.gateway.elsewhere(REFUND, 486)
    for booking in world.gateway.succeeded(REFUND):
        world.gateway.give_back(booking)
    refunded(world, payment_id, 514, "r-2")
    world.gateway.behind = True
    early = look(world, payment_id)
    assert (early.changes, "not booked yet: op_" in early.open_reason) == ([], True)
    world.gateway.behind = False
    changes = [Change.RETURNED_PART, Change.REFUNDED_ELSEWHERE, Change.RETURNED_ELSEWHERE_PART]
    assert look(world, payment_id).changes == changes
    assert look(world, payment_id).changes == []
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 514, 486)
    assert operation(world, payment_id, first)["status"] == "returned"


# ---------------------------------------------------------------- among other things


def test_a_return_while_another_refund_is_in_flight_leaves_its_reservation() -> None:
    world, payment_id = captured()
    first = refunded(world, payment_id, 300, "r-1")
    left_in_doubt(world, payment_id, 500, "r-2")
    world.gateway.give_back(first)
    assert look(world, payment_id).changes == [Change.RETURNED]
    assert amounts(stored(world, payment_id)) == ("captured", 0, 500)
    world.clock.ms += 3_600_000
    world.recover()
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 500, 500)


@pytest.mark.parametrize("taken", ["reversed", "disputed"])
def test_a_return_after_the_payers_bank_took_the_charge_back_too(taken: str) -> None:
    """The money had gone twice, and has come back once. Fails when the two are mixed up."""
    world, payment_id = captured()
    refund = refunded(world, payment_id)
    if taken == "reversed":
        world.gateway.reversed_minor = 1000
    else:
        world.gateway.disputes = (dispute(S.EVIDENCE_DUE, 1000),)
    look(world, payment_id)
    assert stored(world, payment_id).refundable_minor == -1000
    world.gateway.give_back(refund)
    assert look(world, payment_id).changes == [Change.RETURNED]
    after = stored(world, payment_id)
    assert amounts(after) == ("reversed" if taken == "reversed" else "captured", 0, 0)
    assert (after.reversed_minor, after.disputed_minor) == ((1000, 0) if taken == "reversed" else (0, 1000))
    assert balances(world).get("gateway_receivable:bank", 0) == 0
    assert sum(balances(world).values()) == 0


def test_a_return_and_a_new_refund_in_the_dashboard_are_seen_at_once() -> None:
    """Fails when what came back is not free yet as the new refund is booked."""
    world, payment_id = captured()
    refund = refunded(world, payment_id)
    world.gateway.give_back(refund)
    world.gateway.elsewhere(REFUND, 1000)
    caught = look(world, payment_id)
    assert (caught.changes, caught.open_reason) == ([Change.RETURNED, Change.REFUNDED_ELSEWHERE], "")
    assert amounts(stored(world, payment_id)) == ("refunded", 1000, 0)
    assert balances(world) == {}


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_refund_made_in_the_dashboard_comes_back(seen_before: bool) -> None:
    """Whether or not it was seen while it stood. Fails when its return is booked and it is not."""
    world, payment_id = captured()
    ours = refunded(world, payment_id, 400)
    world.gateway.elsewhere(REFUND, 400)
    if seen_before:
        look(world, payment_id)
    world.gateway.give_back(world.gateway.succeeded(REFUND)[-1])
    look(world, payment_id)
    assert history(world, payment_id) == [
        "payment.captured",
        "refund.succeeded_in_part",
        "payment.refunded_at_gateway_in_part",
        "payment.refund_returned_in_part",
    ]
    assert look(world, payment_id).changes == []
    assert reversed_pairs(world, payment_id) == [(400, f"{payment_id}-1")]
    assert operation(world, payment_id, ours)["status"] == "succeeded"
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 400, 600)


def test_two_equal_refunds_in_the_dashboard_come_back_one_after_the_other() -> None:
    world, payment_id = captured()
    for _ in range(2):
        world.gateway.elsewhere(REFUND, 300)
        look(world, payment_id)
    for booking in reversed(world.gateway.succeeded(REFUND)):
        world.gateway.give_back(booking)
        assert len(look(world, payment_id).changes) == 1
        assert look(world, payment_id).changes == []
    assert reversed_pairs(world, payment_id) == [(300, f"{payment_id}-1")] * 2
    assert balances(world) == CHARGED


def test_two_refunds_in_the_dashboard_that_were_seen_at_once_come_back_one_after_the_other() -> None:
    """Fails when what is seen at once is booked as one sum, of which no refund's return reverses the whole."""
    world, payment_id = captured()
    for amount_minor in (300, 200):
        world.gateway.elsewhere(REFUND, amount_minor)
    look(world, payment_id)
    for booking in world.gateway.succeeded(REFUND):
        world.gateway.give_back(booking)
        assert len(look(world, payment_id).changes) == 1
    assert sorted(reversed_pairs(world, payment_id)) == [(200, f"{payment_id}-1"), (300, f"{payment_id}-1")]
    assert amounts(stored(world, payment_id)) == ("captured", 0, 1000)


def test_a_request_that_came_too_late_brings_the_return_in_with_its_refusal() -> None:
    """Fails when a refused operation's look at the charge books all but what came back."""
    world, payment_id = captured()
    refund = refunded(world, payment_id, 400)
    world.gateway.give_back(refund)
    world.gateway.elsewhere(REFUND, 900)
    answer = world.follow_up(REFUND, payment_id, "too-late", 600)
    assert answer.response.status == 409
    assert "400 of what was refunded has come back" in body(answer)["detail"]
    assert history(world, payment_id)[2:] == [
        "refund.declined",
        "refund.returned",
        "payment.refunded_at_gateway_in_part",
    ]
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 900, 100)


@pytest.mark.parametrize("back", [False, True])
def test_a_refused_refund_that_the_charge_shows_under_its_own_reference_was_executed(back: bool) -> None:
    """An earlier submission was executed, and no lookup knows of it. Fails when it is called declined, or when it is
    called a success although it has come back.
    """
    world, payment_id = captured()
    world.gateway.script, world.gateway.lookup_fails = ["booked_lost"], True
    assert world.follow_up(REFUND, payment_id, "lost", 700).response.status == 202
    world.gateway.lookup_fails = False
    [ours] = world.gateway.succeeded(REFUND)
    if back:
        world.gateway.give_back(ours)
    world.gateway.find = lambda *_: NotFound()  # type: ignore[method-assign]
    world.gateway.submit = lambda *_: Overtaken("overtaken", "Only 300 is left.")  # type: ignore[method-assign]
    world.clock.ms += MINUTE_MS
    world.recover()
    assert operation(world, payment_id, ours)["status"] == ("declined" if back else "succeeded")
    assert look(world, payment_id).changes == []
    standing_minor = 0 if back else 700
    assert stored(world, payment_id).refunded_minor == standing_minor
    entries = refund_entries(world, payment_id)
    references = [entry.movement.gateway_reference for entry in entries if entry.movement is not None]
    assert references == ([] if back else [ours.instruction.gateway_reference])


def test_a_refused_refund_is_booked_under_the_reference_that_the_charge_shows() -> None:
    """Its first one, which no lookup has found. Fails when the books name the second: no report has a row of it."""
    world, payment_id = captured()
    world.gateway.capabilities = REMEMBERING
    world.gateway.script, world.gateway.visible_after_ms = ["booked_remembered"], 1_000 * MINUTE_MS
    assert world.follow_up(REFUND, payment_id, "key", 700).response.status == 202
    for _ in range(5):
        world.clock.ms += MINUTE_MS
        world.recover()
    assert world.errors == []
    first, second = [sent.gateway_reference for sent in world.gateway.submissions if sent.kind is REFUND]
    assert first != second
    assert world.follow_up(REFUND, payment_id, "key", 700).response.status == 201
    [entry] = refund_entries(world, payment_id)
    assert entry.movement is not None
    assert entry.movement.gateway_reference == first


def test_a_refund_of_the_same_amount_that_came_back_is_not_what_was_asked_for() -> None:
    """The payer's bank has the money. Fails (201, and the payer gets nothing) when it counts as the one asked for."""
    world, payment_id = captured()
    world.gateway.elsewhere(REFUND, 400)
    world.gateway.give_back(world.gateway.succeeded(REFUND)[0])
    world.gateway.reversed_minor = 700
    assert world.follow_up(REFUND, payment_id, "r", 400).response.status == 409
    assert amounts(stored(world, payment_id)) == ("captured", 0, 300)


def test_a_refund_that_was_found_where_it_was_asked_for_comes_back_as_that_one() -> None:
    """Its marks are missing at the gateway. Fails when its return is taken for that of somebody else's refund."""
    world, payment_id = captured()
    world.gateway.elsewhere(REFUND, 1000)
    found = world.gateway.succeeded(REFUND)[0]
    answer = world.follow_up(REFUND, payment_id, "r", 1000)
    assert answer.response.status == 201
    assert look(world, payment_id).changes == []
    world.gateway.give_back(found)
    assert look(world, payment_id).changes == [Change.RETURNED]
    assert look(world, payment_id).changes == []
    assert reversed_pairs(world, payment_id) == [(1000, f"{payment_id}-1")]
    assert history(world, payment_id) == [*FULL, "refund.returned"]
    assert balances(world) == CHARGED


def test_what_came_back_before_it_was_seen_is_not_booked_where_others_took_its_amount() -> None:
    """Fails when a part of it is booked, of which nothing can come back."""
    world, payment_id = captured()
    refunded(world, payment_id, 600, "r-1")
    world.gateway.elsewhere(REFUND, 348)
    world.gateway.give_back(world.gateway.succeeded(REFUND)[-1])
    refunded(world, payment_id, 300, "r-2")
    caught = look(world, payment_id)
    assert (caught.changes, caught.open_reason, len(caught.explained)) == ([], "", 1)
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 900, 100)


@pytest.mark.parametrize("marks", ["an order's number", None])
def test_a_refund_under_no_mark_of_its_own_waits_while_it_may_be_ours(marks: str | None) -> None:
    """Fails when it is booked while one of ours is in flight: the same refund would be booked twice."""
    world, payment_id = captured()
    left_in_doubt(world, payment_id, 400)
    [ours] = world.gateway.succeeded(REFUND)
    assert isinstance(ours.outcome, Succeeded)
    shown = ChargeState(
        captured_minor=1000,
        refunded_minor=400,
        voided=False,
        currency="EUR",
        refunds=(
            ChargeRefund(
                gateway_refund_id=ours.outcome.gateway_operation_id, amount_minor=400, gateway_reference=marks
            ),
        ),
    )
    world.gateway.read_charge = lambda *_: shown  # type: ignore[method-assign]
    early = look(world, payment_id)
    assert (early.changes, "not booked yet: op_" in early.open_reason) == ([], True)
    world.clock.ms += 3_600_000
    world.recover()
    assert look(world, payment_id) == CaughtUp()
    assert history(world, payment_id) == ["payment.captured", "refund.in_doubt", "refund.succeeded_in_part"]


def test_what_was_booked_by_the_sum_is_not_booked_again_once_the_gateway_names_its_refunds() -> None:
    """Fails when each is booked beside the sum. That one of them came back is left to people: it has no entry."""
    world, payment_id = captured()
    for amount_minor in (300, 200):
        world.gateway.elsewhere(REFUND, amount_minor)
    world.gateway.names_refunds = False
    assert look(world, payment_id).changes == [Change.REFUNDED_ELSEWHERE_PART]
    world.gateway.names_refunds = True
    assert look(world, payment_id) == CaughtUp()
    world.gateway.elsewhere(REFUND, 100)
    assert look(world, payment_id).changes == [Change.REFUNDED_ELSEWHERE_PART]
    assert amounts(stored(world, payment_id)) == ("partially_refunded", 600, 400)
    world.gateway.give_back(world.gateway.succeeded(REFUND)[0])
    caught = look(world, payment_id)
    assert (caught.changes, "not booked yet" in caught.open_reason, caught.explained) == ([], True, frozenset())


def test_a_refund_that_was_found_in_a_sum_and_comes_back_is_left_to_people() -> None:
    """Its entry has no id. Fails when the event is done with, and nobody learns that the refund came back."""
    world, payment_id = captured()
    world.gateway.elsewhere(REFUND, 1000)
    world.gateway.names_refunds = False
    assert world.follow_up(REFUND, payment_id, "r", 1000).response.status == 201
    world.gateway.names_refunds = True
    found = world.gateway.succeeded(REFUND)[0]
    reference = world.gateway.submissions[-1].gateway_reference
    found.instruction = replace(found.instruction, gateway_reference=reference)  # it is marked later
    assert look(world, payment_id) == CaughtUp()
    world.gateway.give_back(found)
    caught = look(world, payment_id)
    assert (caught.changes, "not booked yet" in caught.open_reason, caught.explained) == ([], True, frozenset())


def test_a_rest_can_be_captured_after_a_return() -> None:
    world = World()
    world.gateway.capabilities = replace(FORGETFUL, multiple_captures=True)
    payment_id: str = json.loads(world.create(capture=CaptureMethod.MANUAL).response.body)["id"]
    world.follow_up(CAPTURE, payment_id, "c-1", 400)
    refund = refunded(world, payment_id, 400)
    world.gateway.give_back(refund)
    look(world, payment_id)
    assert stored(world, payment_id).capturable_minor == 600
    assert world.follow_up(CAPTURE, payment_id, "c-2", 600).response.status == 201
    assert amounts(stored(world, payment_id)) == ("captured", 0, 1000)
    assert balances(world) == CHARGED


# ---------------------------------------------------------------- any history


OURS, NEVER_BOOKED, ELSEWHERE = "ours", "never booked", "elsewhere"
made = st.lists(
    st.tuples(st.sampled_from([OURS, NEVER_BOOKED, ELSEWHERE, ELSEWHERE]), st.integers(1, 600), st.booleans()),
    max_size=5,
)
looks = st.lists(st.lists(st.integers(0, 2), min_size=5, max_size=5), max_size=6)


@settings(max_examples=400, deadline=None)
@given(refunds=made, behind=looks, order=st.randoms(use_true_random=False))
def test_whatever_lookups_show_of_its_refunds_a_payment_ends_as_the_gateway(
    refunds: list[tuple[str, int, bool]], behind: list[list[int]], order: Any
) -> None:
    """Pure. Fails when a lookup that is behind undoes a return, when an amount gets negative, when a refund or a return
    is booked twice, or the order of the gateway's list matters.

    ``refunds``: whose it is, its amount, whether it comes back. One of ours that was never booked came back before its
    own end was stored. ``behind``: lookups, each showing nothing of a refund, that it was made, or all of it.
    """
    ours_minor = sum(amount for whose, amount, _ in refunds if whose == OURS)
    standing_minor = sum(amount for whose, amount, back in refunds if not back and whose != NEVER_BOOKED)
    assume(max(ours_minor, standing_minor) <= 1000)
    payment = replace(
        stored(*captured()),
        status=PaymentStatus.PARTIALLY_REFUNDED if ours_minor else PaymentStatus.CAPTURED,
        refunded_minor=ours_minor,
        refundable_minor=1000 - ours_minor,
    )
    books = {
        f"re_{number}": BookedRefund(entry_id=f"je_{number}", reference=f"ref_{number}-1", amount_minor=amount)
        for number, (whose, amount, _) in enumerate(refunds)
        if whose == OURS
    }
    told: list[tuple[str, bool]] = []
    for stages in [*behind, [2] * 5, [2] * 5]:
        seen = [
            ChargeRefund(
                gateway_refund_id=f"re_{number}",
                amount_minor=amount,
                came_back=stage == 2 and (back or whose == NEVER_BOOKED),
            )
            for number, ((whose, amount, back), stage) in enumerate(zip(refunds, stages, strict=False))
            if stage
        ]
        never = {f"re_{number}" for number, (whose, *_) in enumerate(refunds) if whose == NEVER_BOOKED}
        order.shuffle(seen)
        known = KnownRefunds(
            booked=dict(books),
            never_booked=frozenset({each.gateway_refund_id for each in seen if each.came_back} & never - set(books)),
        )
        state = ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="EUR", refunds=tuple(seen))
        changes = refund_changes(payment, state, known, at_ms=2)
        for effect in changes.effects:
            assert effect.payment.version == payment.version + 1
            payment = effect.payment
            assert 0 <= payment.refunded_minor <= 1000 == payment.refunded_minor + payment.refundable_minor
            assert sum(posting.amount_minor for posting in effect.postings) == 0
            if effect.elsewhere is not None:
                identity = str(effect.elsewhere.gateway_refund_id)
                entry_id = journal_entry_id(payment.merchant_id, payment.payment_id, payment.version)
                books[identity] = BookedRefund(
                    entry_id=entry_id, reference="", amount_minor=effect.elsewhere.amount_minor
                )
            else:
                assert effect.returned is not None
                [identity] = [each for each, booked in books.items() if booked.entry_id == effect.returned.entry_id]
                assert books[identity].amount_minor == effect.returned.amount_minor
                books[identity] = replace(books[identity], is_reversed=True)
            told.append((identity, effect.returned is not None))
    assert changes == RefundChanges((), frozenset())
    assert payment.refunded_minor == standing_minor
    assert len(told) == len(set(told))
