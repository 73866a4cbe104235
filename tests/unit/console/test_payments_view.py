"""The list of payments: filters in the address, refused when they are none, and reads that do not grow with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.console.exports import ExportForm, exported
from payonce.console.views.payments import PAGE_ROWS, filter_of, payments_page, payments_sheet
from payonce.domain.errors import BodyMalformed
from payonce.domain.gateway import PaymentMethodType
from payonce.domain.payment import Change, PaymentStatus
from payonce.payments.booking import first_writes
from tests.support.console_reads import CountingDatabase
from tests.support.console_views import payment_id_of, sources_of
from tests.support.payments import stored_payment
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.console.views.payments import PaymentRow
    from payonce.domain.payment import Payment

DAY_MS = 86_400_000
BEGAN_MS = 1_800_000_000_000  # 2027-01-15T08:00:00Z


def store(world: World, number: int, merchant_id: str = MERCHANT, **values: object) -> Payment:
    payment = stored_payment(merchant_id, payment_id_of(number), captured=True)
    at_ms = BEGAN_MS + number * 1000
    payment = replace(payment, **{"created_at_ms": at_ms, "updated_at_ms": at_ms, **values})
    world.database.write(first_writes(payment, Change.CHARGED, None))
    return payment


@pytest.fixture
def world() -> World:
    return World(database=CountingDatabase())


def ids(rows: tuple[PaymentRow, ...]) -> list[str]:
    return [row.payment_id for row in rows]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "declined"}, [1]),
        ({"gateway": "other"}, [2]),
        ({"method": "wallet"}, [3]),
        ({"currency": "jpy"}, [4]),
        ({"currency": "EUR", "min": "20", "max": "20,50"}, [5]),
        ({"from": "2027-01-15T08:00:06", "until": "2027-01-15T08:00:06"}, [6]),
        ({"customer": "cus_7"}, [7]),
        ({"reference": "order 8"}, [8]),
        ({"payer": "tok_9"}, [9]),
        ({"payer": "ch_at_gateway"}, [10]),
        ({"reference": "order 8", "customer": "cus_7"}, []),
        ({}, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
    ],
)
def test_each_filter_finds_its_payments_and_no_other(world: World, query: dict[str, str], found: list[int]) -> None:
    """Fails when a filter is ignored, or when another merchant's payment is listed."""
    store(world, 1, status=PaymentStatus.DECLINED)
    store(world, 2, gateway="other")
    store(world, 3, payment_method_type=PaymentMethodType.WALLET)
    store(world, 4, currency="JPY")
    store(world, 5, amount_minor=2050)
    store(world, 6)
    store(world, 7, customer="cus_7")
    store(world, 8, reference="order 8")
    store(world, 9, payment_method="tok_9")
    store(world, 10, gateway_charge_id="ch_at_gateway")
    store(world, 11, merchant_id="mer_2", customer="cus_7", reference="order 8", payment_method="tok_9")
    page = payments_page(sources_of(world), MERCHANT, query)
    assert ids(page.rows) == [payment_id_of(number) for number in found]


def test_the_next_page_keeps_the_filters_and_ends(world: World) -> None:
    for number in range(1, PAGE_ROWS + 3):
        store(world, number, reference="order")
    first = payments_page(sources_of(world), MERCHANT, {"reference": "order", "unknown": "x"})
    assert (len(first.rows), first.is_first) == (PAGE_ROWS, True)
    assert first.next_query is not None
    second = payments_page(sources_of(world), MERCHANT, first.next_query)
    assert (len(second.rows), second.next_query, second.is_first) == (2, None, False)
    assert not {*ids(first.rows)} & {*ids(second.rows)}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"status": "nonsense"}, "status is one of"),
        ({"method": "nonsense"}, "method is one of"),
        ({"currency": "XYZ"}, "ISO 4217"),
        ({"min": "10"}, "needs a currency"),
        ({"min": "10.5", "currency": "JPY"}, "at most 0 decimals"),
        ({"min": "1e9", "currency": "EUR"}, "is an amount"),
        ({"min": "-1", "currency": "EUR"}, "is an amount"),
        ({"min": "99999999999", "currency": "EUR"}, "is an amount"),
        ({"min": "2", "max": "1", "currency": "EUR"}, "larger than the largest"),
        ({"from": "yesterday"}, "is a date or a time"),
        ({"from": "1969-12-31"}, "between 1970 and 2286"),
        ({"from": "2300-01-01"}, "between 1970 and 2286"),
        ({"from": "0001-01-01T00:00+23:59"}, "between 1970 and 2286"),
        ({"until": "9999-12-31"}, "between 1970 and 2286"),
        ({"from": "2027-01-16", "until": "2027-01-15"}, "ends before it begins"),
        ({"customer": "c" * 256}, "255 characters"),
    ],
)
def test_a_filter_that_is_none_is_refused(query: dict[str, str], told: str) -> None:
    """Fails when a mistyped filter is ignored: a person would take the whole list for the filtered one."""
    with pytest.raises(BodyMalformed, match=told):
        filter_of(query)


def test_a_foreign_cursor_is_refused(world: World) -> None:
    for number in range(1, PAGE_ROWS + 2):
        store(world, number)
    page = payments_page(sources_of(world), MERCHANT, {})
    with pytest.raises(BodyMalformed, match="cursor"):
        payments_page(sources_of(world), MERCHANT, {"cursor": page.next_cursor or "", "currency": "EUR"})
    with pytest.raises(BodyMalformed, match="cursor"):
        payments_page(sources_of(world), "mer_2", {"cursor": page.next_cursor or ""})


def test_an_end_given_as_a_day_or_a_minute_includes_all_of_it() -> None:
    assert filter_of({"until": "2027-01-15"}).created_until_ms == BEGAN_MS - 8 * 3_600_000 + DAY_MS - 1
    assert filter_of({"until": "2027-01-15T08:00"}).created_until_ms == BEGAN_MS + 59_999
    assert filter_of({"until": "2027-01-15T09:00:01+01:00"}).created_until_ms == BEGAN_MS + 1000
    assert filter_of({"from": "2027-01-15T08:00"}).created_from_ms == BEGAN_MS


@pytest.mark.parametrize("query", [{}, {"status": "declined"}, {"payer": "nobody"}, {"reference": "order"}])
def test_a_page_reads_as_much_of_10_000_payments_as_of_1_000(query: dict[str, str]) -> None:
    """Fails when a page's reads grow with the number of payments: a scan, or a filter without a bound."""
    read = []
    for payments in (1_000, 10_000):
        world = World(database=(database := CountingDatabase()))
        for number in range(payments):
            store(world, number, reference="order" if number % 4 == 0 else None)
        database.tally.clear()
        payments_page(sources_of(world), MERCHANT, query)
        read.append((database.tally.round_trips, database.tally.units))
    assert read[0] == read[1]
    looked_through = not {"status", "payer"}.isdisjoint(query)
    round_trips, units = read[0]
    assert (round_trips, units <= (520 if looked_through else 110)) == (30 if looked_through else 6, True), read


def test_a_file_of_what_is_looked_for_is_bounded_and_says_where_it_goes_on() -> None:
    """Fails when a filter that finds nothing has a file read on and on, or when the file passes for the whole list."""
    world = World(database=(database := CountingDatabase()))
    for number in range(4_200):
        store(world, number)
    database.tally.clear()
    sheet, more = payments_sheet(sources_of(world), MERCHANT, {"payer": "nobody"})
    assert (list(sheet.rows), database.tally.round_trips) == ([], 8 * 5 * 6)
    assert more is not None
    rest, more = payments_sheet(sources_of(world), MERCHANT, {"payer": "nobody", "cursor": more})
    assert (list(rest.rows), more) == ([], None)


def test_the_list_is_saved_with_its_filters(world: World) -> None:
    for number in range(1, 121):
        store(world, number, currency="JPY" if number % 2 else "EUR", reference="=1+1")
    sheet, more = payments_sheet(sources_of(world), MERCHANT, {"currency": "JPY"})
    saved = exported(ExportForm.CSV, sheet, next_cursor=more)
    lines = saved.body.decode("utf-8-sig").splitlines()
    assert (saved.name, len(lines)) == ("payments.csv", 61)
    assert "'=1+1" in lines[1]
    assert "1050,0,0,JPY" in lines[1]
