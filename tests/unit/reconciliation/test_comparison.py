"""What each class of break compares, in money: every class of the list, from rows as the engine shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.reconciliation.matching.comparison import Comparison, compared, sides_of
from payonce.reconciliation.matching.contract_fee import contract_fee
from payonce.reconciliation.model import Break, Evidence, FeeRule, LedgerKind, RunSettings, Source
from payonce.reconciliation.taxonomy import TO_DO, BreakClass

FEES = (
    FeeRule(gateway="gw", currency="EUR", fixed_minor=30, basis_points=325, card_countries=("US", "CA")),
    FeeRule(gateway="gw", currency="EUR", fixed_minor=25, basis_points=150),
)
SETTINGS = RunSettings(as_of_ms=0, fees=FEES)
HOUR_MS = 3_600_000


def ours(amount: int, key: str = "e1", **fields: Any) -> Evidence:
    shown = {"entry_id": key, "state": "booked", "amount_minor": amount, "currency": "EUR"} | fields
    return Evidence(source=Source.LEDGER, row_key=key, fields=shown)


def theirs(amount: int, key: str = "t1", **fields: Any) -> Evidence:
    shown = {
        "gateway": "gw",
        "transaction_id": key,
        "kind": "charge",
        "amount_minor": amount,
        "fee_minor": 0,
        "currency": "EUR",
        "created_at_ms": 0,
    } | fields
    return Evidence(source=Source.GATEWAY, row_key=f"gw|{key}", fields=shown)


def line(amount: int, key: str = "l1", **fields: Any) -> Evidence:
    return Evidence(source=Source.BANK, row_key=key, fields={"amount_minor": amount, "currency": "EUR"} | fields)


def statement(opening: int, closing: int, key: str = "s1", **fields: Any) -> Evidence:
    shown = {"opening_minor": opening, "closing_minor": closing, "currency": "EUR"} | fields
    return Evidence(source=Source.STATEMENT, row_key=key, fields=shown)


def found(name: BreakClass, stake: int, *rows: Evidence, subject: tuple[str, ...] = ("gw", "r1")) -> Break:
    return Break(
        break_class=name,
        subject=subject,
        amount_minor=stake,
        currency="EUR",
        occurred_at_ms=0,
        gateway="gw",
        evidence=rows,
    )


def payout(amount: int, **fields: Any) -> Evidence:
    return theirs(-amount, "po", kind="payout", **fields)


C = BreakClass
TWICE = ("gw", "r1", "t2")
# Of each class: the stake, its rows, and (expected, actual, difference) worked out by hand.
CASES: list[tuple[Break, tuple[int | None, int | None, int | None]]] = [
    (found(C.MISSING_IN_GATEWAY, 1000, ours(1000)), (1000, 0, -1000)),
    (found(C.MISSING_IN_LEDGER, 1000, theirs(1000)), (0, 1000, 1000)),
    (found(C.ORPHAN_REFUND, 300, theirs(-300, kind="refund")), (0, -300, -300)),
    (found(C.ORPHAN_REFUND, 300, ours(-300), theirs(-300), theirs(-300, "t2"), subject=TWICE), (0, -300, -300)),
    (found(C.LATE_SETTLEMENT, 1000, ours(1000), theirs(1000, available_at_ms=300 * HOUR_MS)), (1000, 1000, 0)),
    (found(C.DUPLICATE_CAPTURE, 1000, ours(1000), theirs(1000), theirs(1000, "t2"), subject=TWICE), (0, 1000, 1000)),
    # 400 of the surplus has been given back.
    (found(C.DUPLICATE_CAPTURE, 600, ours(1000), theirs(1000), theirs(1000, "t2"), subject=TWICE), (0, 600, 600)),
    (found(C.DOUBLE_CHARGE, 1000, ours(1000), ours(1000, "e2"), subject=("m", "pay2")), (0, 1000, 1000)),
    (
        found(C.DUPLICATE_POSTING, 1000, ours(1000), ours(1000, "e2"), theirs(1000), subject=("gw", "r1", "e2")),
        (1000, 0, -1000),
    ),
    (found(C.PAYLOAD_CONFLICT, 700, ours(1000), theirs(1000), theirs(700, "t2"), subject=TWICE), (0, 700, 700)),
    # One id with two contents: the one that contradicts is meant, not the one that agrees.
    (found(C.PAYLOAD_CONFLICT, 700, theirs(1000, "t2"), theirs(-700, "t2"), subject=TWICE), (0, -700, -700)),
    (found(C.DUPLICATE_ROW, 1000, theirs(1000), theirs(1000, "t2"), subject=TWICE), (0, 1000, 1000)),
    (found(C.AMOUNT_MISMATCH, 100, ours(1000), theirs(900)), (1000, 900, -100)),
    # The part that was never captured is a row of its own.
    (found(C.AMOUNT_MISMATCH, 100, ours(1000), theirs(1500), theirs(-600, "t2", kind="uncaptured")), (1000, 900, -100)),
    # A row that stands there with two contents counts once, by the content that the rules took.
    (found(C.AMOUNT_MISMATCH, 100, ours(1000), theirs(5000), theirs(900)), (1000, 900, -100)),
    (found(C.CURRENCY_MISMATCH, 1000, ours(1000, currency="USD"), theirs(1000)), (1000, 1000, None)),
    (found(C.FEE_MISMATCH, 15, ours(1000), theirs(1000, fee_minor=55)), (40, 55, 15)),
    (found(C.FEE_MISMATCH, 8, ours(1000), theirs(1000, fee_minor=55, card_country="US")), (63, 55, -8)),
    (found(C.FEE_MISMATCH, 9, ours(-500), theirs(-500, fee_minor=9, kind="refund")), (0, 9, 9)),
    (
        found(
            C.FX_MISMATCH,
            80,
            ours(1000, currency="USD"),
            theirs(1000, presented_minor=1000, presented_currency="USD", measured_rate_millionths=920_000),
        ),
        (920, 1000, 80),
    ),
    (
        found(
            C.FX_MISMATCH,
            20,
            theirs(-900, presented_minor=-1000, presented_currency="USD", measured_rate_millionths=920_000),
        ),
        (-920, -900, 20),
    ),
    (found(C.STATUS_MISMATCH, 1000, ours(1000, state="declined"), theirs(1000)), (0, 1000, 1000)),
    (found(C.REFUND_EXCEEDS_CAPTURE, 200, ours(-700), theirs(-700, kind="refund")), (-500, -700, -200)),
    (
        found(C.REFUND_FAILED, 400, ours(-400), theirs(-400, kind="refund"), theirs(400, "t2", kind="refund_reversal")),
        (-400, 0, 400),
    ),
    (found(C.REFUND_FAILED, 400, theirs(400, kind="refund_reversal")), (0, 400, 400)),
    (
        found(C.SETTLEMENT_REVERSED, 250, ours(1000), theirs(1000), theirs(-250, "t2", kind="charge_reversal")),
        (1000, 750, -250),
    ),
    (found(C.DISPUTE_OPEN, 1000, theirs(-1000, kind="dispute")), (0, -1000, -1000)),
    (
        found(
            C.DISPUTE_LOST,
            1000,
            theirs(-1000, kind="dispute"),
            theirs(1000, "t2", kind="dispute_reversal"),
            theirs(-1000, "t3", kind="dispute_lost"),
        ),
        (0, -1000, -1000),
    ),
    (found(C.PAYOUT_MISSING, 5000, payout(5000)), (5000, 0, -5000)),
    (found(C.PAYOUT_DIFFERENT, 500, payout(5000), line(4500)), (5000, 4500, -500)),
    # What the bank says was sent before its charges, and what was sent in another currency, is what came.
    (
        found(C.PAYOUT_DIFFERENT, 500, payout(5000), line(4450, sent_minor=4500, sent_currency="EUR")),
        (5000, 4500, -500),
    ),
    (
        found(C.PAYOUT_DIFFERENT, 500, payout(5000), line(4900, currency="USD", sent_minor=4500, sent_currency="EUR")),
        (5000, 4500, -500),
    ),
    # The bank agrees with the payout, and its members do not.
    (found(C.PAYOUT_DIFFERENT, 300, payout(5000, members_more_minor=300), line(5000)), (5300, 5000, -300)),
    (found(C.PAYOUT_DIFFERENT, 300, payout(5000), line(4000, currency="USD")), (5000, None, None)),
    (
        found(C.DUPLICATE_CREDIT, 5000, payout(5000), line(5000), line(5000, "l2"), subject=("gw", "po", "l2")),
        (0, 5000, 5000),
    ),
    (found(C.PAYOUT_RETURNED, 5000, payout(5000), line(5000), line(-5000, "l2")), (5000, 0, -5000)),
    (
        found(C.STATEMENT_GAP, 70, statement(170, 200, goes_on_from_minor=100), subject=("A", "4", "20000")),
        (100, 170, 70),
    ),
    (found(C.BALANCE_BREAK, 30, statement(70, 200, goes_on_from_minor=100), subject=("A", "s1")), (100, 70, -30)),
    (
        found(
            C.STATEMENT_CONFLICT,
            40,
            statement(0, 100, is_taken=1),
            statement(0, 60, "s2", is_taken=0),
            subject=("A", "4", "20000"),
        ),
        (100, 60, -40),
    ),
    (found(C.AMBIGUOUS, 2000, ours(1000), theirs(1000), theirs(1000, "t2")), (1000, 2000, 1000)),
    (found(C.AMBIGUOUS, 5000, payout(5000), line(5000), line(5000, "l2")), (5000, 10000, 5000)),
]


@pytest.mark.parametrize(("one", "money"), CASES, ids=lambda value: getattr(value, "break_class", None))
def test_each_class_says_what_is_expected_what_there_is_and_the_difference(
    one: Break, money: tuple[int | None, int | None, int | None]
) -> None:
    """Fails when an amount, a sign or the row that is meant is another one."""
    comparison = compared(one, SETTINGS)
    assert (comparison.expected_minor, comparison.actual_minor, comparison.difference_minor) == money


def test_every_class_of_the_list_is_among_the_cases_and_says_what_to_do() -> None:
    """Fails when a class is added without its comparison, its words, or what somebody has to do about it."""
    assert {one.break_class for one, _ in CASES} == set(BreakClass) == set(TO_DO)
    assert all(all(sides_of(name)) and TO_DO[name].endswith(".") for name in BreakClass)


@pytest.mark.parametrize("name", BreakClass)
def test_a_break_whose_rows_were_cut_or_are_not_there_claims_no_amount(name: BreakClass) -> None:
    """Fails when a sum over some of the rows is shown as the whole, or a class raises without its rows."""
    cut = found(name, 999_999, *(theirs(1, f"t{number}") for number in range(8)), subject=("gw", "r1"))
    if name is not C.DOUBLE_CHARGE:  # its stake is all that it needs
        assert compared(cut, SETTINGS).difference_minor is None
        assert compared(replace(cut, evidence=()), SETTINGS).difference_minor is None


def test_the_notes_say_by_what_it_is_off() -> None:
    """Fails when a late settlement does not say how late, or a fee not by which rule."""
    by_class = {one.break_class: compared(one, SETTINGS) for one, _ in CASES}
    assert by_class[C.LATE_SETTLEMENT].note == "Available 300 hours after the charge; 264 are agreed."
    charged = next(compared(one, SETTINGS) for one, _ in CASES if one.break_class is C.FEE_MISMATCH)
    assert charged.note == "By the policy: 0.25 EUR + 1.50 % of 10.00 EUR."


def test_two_currencies_have_no_difference() -> None:
    """Fails when amounts of two currencies are subtracted."""
    one = next(one for one, _ in CASES if one.break_class is C.CURRENCY_MISMATCH)
    assert compared(one, SETTINGS) == Comparison(1000, 1000, "USD", "EUR")


@pytest.mark.parametrize(
    ("changes", "fee"),
    [
        ({}, 40),
        ({"amount_minor": -1000}, 40),
        ({"currency": "USD"}, None),
        ({"gateway": "other"}, None),
        ({"card_country": "CA"}, 63),
        ({"payment_method": "ideal"}, 29),
        ({"amount_minor": 100_000}, 1000),
        ({"created_at_ms": 50 * HOUR_MS}, 10),
        ({"kind": "refund"}, 0),
        ({"kind": "refund", "currency": "USD"}, None),
    ],
)
def test_the_first_rule_of_the_policy_that_applies_is_the_fee(changes: dict[str, Any], fee: int | None) -> None:
    """Fails when a condition of a rule is not looked at: then the expected fee is not the engine's."""
    rules = (
        FeeRule(gateway="gw", currency="EUR", fixed_minor=29, basis_points=0, payment_method="ideal"),
        FeeRule(gateway="gw", currency="EUR", fixed_minor=0, basis_points=100, from_minor=50_000),
        FeeRule(gateway="gw", currency="EUR", fixed_minor=10, basis_points=0, from_ms=40 * HOUR_MS),
        *FEES,
    )
    fields = theirs(1000).fields | changes  # type: ignore[operator]
    given = contract_fee(fields, rules)
    assert (None if given is None else given.minor) == fee
    of_refund = FeeRule(gateway="gw", currency="EUR", fixed_minor=7, basis_points=0, kind=LedgerKind.REFUND)
    if fields["kind"] == "refund" and fee is not None:
        given = contract_fee(fields, (*rules, of_refund))
        assert given is not None
        assert given.minor == 7
