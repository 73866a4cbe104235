"""Lists that support needs: by reference, customer, status and time; every payment once, and nobody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import BodyMalformed
from payonce.domain.ids import CROCKFORD_ALPHABET, ID_LENGTH
from payonce.domain.payment import Change, PaymentStatus
from payonce.payments.booking import first_writes
from payonce.payments.payment_reads import PaymentFilter, list_payments
from tests.support.payments import stored_payment, waiting_payment
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.domain.payment import Payment

STRANGER = "mer_2"


def identity(number: int) -> str:
    digits = "".join(CROCKFORD_ALPHABET[number >> shift & 31] for shift in (15, 10, 5, 0))
    return "pay_" + digits.rjust(ID_LENGTH, "0")


def store(
    world: World,
    number: int,
    *,
    at_ms: int,
    reference: str | None,
    waits: bool,
    merchant: str,
    customer: str | None = None,
) -> Payment:
    made = waiting_payment if waits else stored_payment
    payment = made(merchant, identity(number), **({} if waits else {"captured": True}))
    payment = replace(payment, created_at_ms=at_ms, updated_at_ms=at_ms, reference=reference, customer=customer)
    world.database.write(first_writes(payment, Change.ACTION_REQUIRED if waits else Change.CHARGED, None))
    return payment


def whole(world: World, wanted: PaymentFilter, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(200):
        page = list_payments(world.services, MERCHANT, limit=limit, cursor=cursor, wanted=wanted)
        assert len(page["data"]) <= limit
        found += page["data"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return found
    raise AssertionError("the list does not end")


ROWS = st.lists(
    st.tuples(
        st.integers(1_700_000_000_000, 1_700_000_000_009),
        st.sampled_from(["order-1", "order-2", "order-1#0", None]),
        st.booleans(),
        st.sampled_from([MERCHANT, STRANGER]),
        st.sampled_from(["cus_1", "cus_2", None]),
    ),
    max_size=25,
)


@given(
    ROWS,
    st.integers(1, 4),
    st.sampled_from(["order-1", "order-1#0", None]),
    st.sampled_from(["cus_1", None]),
    st.sampled_from([PaymentStatus.CAPTURED, PaymentStatus.REQUIRES_ACTION, PaymentStatus.VOIDED, None]),
    st.none() | st.integers(1_700_000_000_000, 1_700_000_000_009),
    st.none() | st.integers(1_700_000_000_000, 1_700_000_000_009),
)
def test_every_page_together_is_what_a_plain_filter_gives(
    rows: list[tuple[int, str | None, bool, str, str | None]],
    limit: int,
    reference: str | None,
    customer: str | None,
    status: PaymentStatus | None,
    from_ms: int | None,
    until_ms: int | None,
) -> None:
    world = World()
    expected = []
    for number, (at_ms, named, waits, merchant, payer) in enumerate(rows):
        payment = store(world, number, at_ms=at_ms, reference=named, waits=waits, merchant=merchant, customer=payer)
        if (
            merchant == MERCHANT
            and reference in (None, named)
            and customer in (None, payer)
            and status in (None, payment.status)
            and (from_ms is None or at_ms >= from_ms)
            and (until_ms is None or at_ms <= until_ms)
        ):
            expected.append((at_ms, payment.payment_id))
    wanted = PaymentFilter(
        reference=reference,
        customer=customer,
        status=status,
        created_from_ms=from_ms,
        created_until_ms=until_ms,
    )
    found = [(view["created_at_ms"], view["id"]) for view in whole(world, wanted, limit)]
    assert found == sorted(expected, reverse=True)


def test_a_cursor_belongs_to_its_filters() -> None:
    world = World()
    for number in range(3):
        store(world, number, at_ms=1_700_000_000_000, reference="order-1", waits=False, merchant=MERCHANT)
    page = list_payments(world.services, MERCHANT, limit=1, cursor=None, wanted=PaymentFilter(reference="order-1"))
    with pytest.raises(BodyMalformed):
        list_payments(world.services, MERCHANT, limit=1, cursor=page["next_cursor"])


def test_a_status_that_is_rare_costs_a_bounded_number_of_reads() -> None:
    """Fails (40 queries more) when a page goes on reading until it is full."""
    world = World()
    for number in range(40):
        store(world, number, at_ms=1_700_000_000_000 + number, reference=None, waits=False, merchant=MERCHANT)
    page = list_payments(
        world.services, MERCHANT, limit=2, cursor=None, wanted=PaymentFilter(status=PaymentStatus.VOIDED)
    )
    assert (page["data"], page["next_cursor"] is None) == ([], False)
