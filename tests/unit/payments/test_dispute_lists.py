"""The list of a merchant's disputes: every dispute once, newest first, as it is now, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.dispute import dispute_id_of
from payonce.domain.errors import BodyMalformed, NotFound
from payonce.domain.gateway import ChargeState, DisputeStatus
from payonce.domain.payment import Change
from payonce.outbox import events_of_merchant
from payonce.payments.booking import elsewhere_writes, first_writes
from payonce.payments.dispute_items import known_disputes
from payonce.payments.dispute_reads import disputes_of_payment, get_dispute, list_disputes
from payonce.payments.payment_items import head_insert
from payonce.payments.payment_reads import PaymentFilter, list_payments
from payonce.payments.stored_payments import find_payment
from payonce.payments.taken_back import dispute_effects
from tests.support.disputes import dispute
from tests.support.payments import stored_payment
from tests.support.world import MERCHANT, World
from tests.unit.payments.test_payment_lists import STRANGER, identity

if TYPE_CHECKING:
    from payonce.domain.gateway import DisputeState

S = DisputeStatus


def store(world: World, number: int, merchant: str = MERCHANT) -> str:
    payment = stored_payment(merchant, identity(number), captured=True)
    world.database.write([*first_writes(payment, Change.CHARGED, None), head_insert(payment)])
    return payment.payment_id


def show(world: World, payment_id: str, *disputes: DisputeState, at_ms: int, merchant: str = MERCHANT) -> None:
    """Book what the gateway shows of a payment's disputes at a time."""
    payment = find_payment(world.database, merchant, payment_id)
    assert payment is not None
    state = ChargeState(captured_minor=1050, refunded_minor=0, voided=False, currency="EUR", disputes=disputes)
    known = known_disputes(world.database, payment, disputes)
    if effects := dispute_effects(payment, state, known, at_ms=at_ms):
        world.database.write(elsewhere_writes(payment, effects))


def whole(world: World, limit: int, status: DisputeStatus | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(100):
        page = list_disputes(world.services, MERCHANT, limit=limit, cursor=cursor, status=status)
        assert len(page["data"]) <= limit
        found += page["data"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return found
    raise AssertionError("the list does not end")


opened = st.lists(
    st.tuples(
        st.integers(1, 4),  # of which payment
        st.integers(0, 3),  # when, in ms
        st.integers(1, 6),  # how many are opened by this commit
        st.sampled_from([MERCHANT, STRANGER]),
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(rows=opened, limit=st.integers(1, 4), wanted=st.none() | st.sampled_from([S.LOST, S.WON, S.OPENED]))
def test_every_dispute_is_in_the_list_once(
    rows: list[tuple[int, int, int, str]], limit: int, wanted: DisputeStatus | None
) -> None:
    """Fails when a page ends between two disputes of one commit and the next one leaves some out, or a change of one
    puts it into the list again.
    """
    world = World()
    expected: dict[str, tuple[int, DisputeStatus]] = {}
    payments: dict[tuple[str, int], str] = {}
    shown: dict[str, list[DisputeState]] = {}
    for place, (number, at, count, merchant) in enumerate(rows):
        at_ms = 1_800_000_000_000 + at
        own = number + (10 if merchant == STRANGER else 0)
        if (merchant, number) not in payments:
            payments[merchant, number] = store(world, own, merchant)
        payment_id = payments[merchant, number]
        status = list(S)[(place + count) % len(S)]
        new = [dispute(status, 1, name=f"dp_{place}_{each}") for each in range(count)]
        shown.setdefault(payment_id, []).extend(new)
        show(world, payment_id, *shown[payment_id], at_ms=at_ms, merchant=merchant)
        if merchant == MERCHANT:
            expected |= {dispute_id_of(payment_id, each.gateway_dispute_id): (at_ms, status) for each in new}
    found = whole(world, limit, wanted)
    assert sorted(view["id"] for view in found) == sorted(
        name for name, (_, status) in expected.items() if wanted in (None, status)
    )
    times = [view["opened_at_ms"] for view in found]
    assert times == sorted(times, reverse=True)
    assert all((view["opened_at_ms"], view["status"]) == expected[view["id"]] for view in found)
    assert all(view["payment"]["id"] == view["payment_id"] for view in found)


def test_a_dispute_is_listed_as_it_is_now_and_its_payment_too() -> None:
    world = World()
    payment_id = store(world, 1)
    show(world, payment_id, dispute(S.EVIDENCE_DUE, 1050), at_ms=1)
    show(world, payment_id, dispute(S.LOST, 1050), at_ms=2)
    (listed,) = whole(world, 20)
    assert (listed["status"], listed["opened_at_ms"], listed["updated_at_ms"]) == ("lost", 1, 2)
    assert listed["payment"]["disputed_minor"] == 1050
    assert get_dispute(world.services, MERCHANT, listed["id"]) == listed
    assert disputes_of_payment(world.services, MERCHANT, payment_id)["data"] == [listed]


def test_the_list_of_events_has_them_and_the_lists_of_payments_do_not() -> None:
    """Fails when the list of disputes takes an event out of the merchant's list of events, which replays read."""
    world = World()
    payment_id = store(world, 1)
    show(world, payment_id, dispute(S.EVIDENCE_DUE, 1050), at_ms=1_800_000_000_000)
    page = events_of_merchant(world.database, MERCHANT, after="", until="~", limit=20)
    assert [event["event_type"] for event in page.items] == [
        "payment.captured",
        "dispute.opened",
        "dispute.evidence_due",
    ]
    for wanted in (PaymentFilter(), PaymentFilter(reference="")):
        listed = list_payments(world.services, MERCHANT, limit=20, cursor=None, wanted=wanted)["data"]
        assert [view["id"] for view in listed if view["object"] != "payment"] == []


def test_what_is_not_there_is_not_found_and_a_cursor_belongs_to_its_list() -> None:
    world = World()
    payment_id = store(world, 1)
    with pytest.raises(NotFound):
        get_dispute(world.services, MERCHANT, dispute_id_of(payment_id, "dp_1"))
    assert disputes_of_payment(world.services, MERCHANT, payment_id)["data"] == []
    with pytest.raises(NotFound):
        disputes_of_payment(world.services, MERCHANT, identity(2))
    show(world, payment_id, *(dispute(S.LOST, 1, name=f"dp_{number}") for number in range(2)), at_ms=1)
    cursor = list_disputes(world.services, MERCHANT, limit=1, cursor=None)["next_cursor"]
    with pytest.raises(BodyMalformed):
        list_disputes(world.services, MERCHANT, limit=1, cursor=cursor, status=S.LOST)
