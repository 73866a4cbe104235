"""Doubles are found, once, in any order; what was given back is none."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.reconciliation.anomalies import calibration
from payonce.reconciliation.anomalies.calibration import (
    MIN_HISTORY,
    READABLE_PAIRS,
    WINDOWS_SECONDS,
    Basis,
    calibrate,
    hundredths,
    wilson,
)
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from tests.support.anomalies import anomalies_of, doubles_by_definition

if TYPE_CHECKING:
    import random

FROM_MS = 10_000_000_000


def charge(name: str, after_s: int, *, payer: str | None = "pm_1", amount_minor: int = 500) -> LedgerRow:
    return LedgerRow(
        entry_id=f"je_{name}",
        merchant_id="mer_1",
        payment_id=f"pay_{name}",
        gateway="g",
        kind=LedgerKind.CHARGE,
        state=LedgerState.BOOKED,
        reference=f"ref_{name}",
        amount_minor=amount_minor,
        currency="EUR",
        booked_at_ms=FROM_MS + after_s * 1_000,
        gateway_payment_id=f"ch_{name}",
        payer=payer,
    )


def refund(of: LedgerRow, amount_minor: int) -> LedgerRow:
    return replace(
        of, entry_id=of.entry_id + "r", kind=LedgerKind.REFUND, amount_minor=-amount_minor, reference=of.reference + "r"
    )


def found(*rows: LedgerRow) -> list[str | None]:
    breaks = anomalies_of(rows, judged_from_ms=FROM_MS).double_charges
    return sorted(str(one.surplus_gateway_payment_id) for one in breaks)


@given(st.permutations([charge("a", 0), charge("b", 5), charge("c", 9), charge("d", 4_000)]))
def test_three_copies_are_two_breaks_in_any_order(rows: list[LedgerRow]) -> None:
    """Fails when ``_pairs`` does not sort, or when a surplus row becomes an anchor."""
    assert found(*rows) == ["ch_b", "ch_c"]


def test_a_double_given_back_in_full_is_closed_and_a_partial_one_is_not() -> None:
    """Fails when refunds do not net out, or when any refund closes."""
    first, later = charge("a", 0), charge("b", 5)
    assert found(first, later) == ["ch_b"]
    assert found(first, later, refund(later, 500)) == []
    assert found(first, later, refund(first, 500)) == []
    partial = anomalies_of([first, later, refund(later, 200)], judged_from_ms=FROM_MS).double_charges
    assert [one.amount_minor for one in partial] == [300]


def test_a_reversed_double_is_closed() -> None:
    """Fails when reversing entries do not net out."""
    first, later = charge("a", 0), charge("b", 5)
    assert found(first, later, replace(later, entry_id="x", amount_minor=-500, reverses_entry_id="je_b")) == []


def test_what_differs_is_no_double() -> None:
    """Fails when payer, amount, currency, merchant, state, payment or reference leaves the comparison."""
    first, later = charge("a", 0), charge("b", 5)
    others = [
        replace(later, payer="pm_2"),
        replace(later, payer=None),
        replace(later, amount_minor=501),
        replace(later, currency="USD"),
        replace(later, merchant_id="mer_2"),
        replace(later, state=LedgerState.IN_DOUBT),
        replace(later, payment_id=first.payment_id),
        replace(later, reference=first.reference),
    ]
    assert [found(first, other) for other in others] == [[]] * len(others)


def test_a_refund_that_only_the_gateway_knows_gives_back_too() -> None:
    """Fails when the gateway's own refunds are not subtracted, or one that two files have counts twice."""
    first, later = charge("a", 0), charge("b", 5)

    def refunded(amount_minor: int) -> list[GatewayRow]:
        row = GatewayRow(1, f"rf{amount_minor}", None, RowKind.REFUND, -amount_minor, 0, -amount_minor, "EUR", FROM_MS)
        return [replace(row, gateway_payment_id="ch_b")]

    def left(*rows: GatewayRow) -> list[int]:
        found = anomalies_of([first, later], judged_from_ms=FROM_MS, reported={"g": rows}).double_charges
        return [one.amount_minor for one in found]

    assert left(*refunded(500)) == []
    assert left(*refunded(300), *refunded(300)) == [200]
    assert left(*refunded(300), *refunded(200)) == []
    told_again = replace(refunded(300)[0], transaction_id="rf200")
    assert left(*refunded(200), told_again) == [300]  # two contents of one refund are a conflict, not two refunds


def test_calibration_does_not_look_ahead() -> None:
    """Fails when charges of the judged period, or refunds in it, reach the calibration."""
    history = [charge(f"h{i}", -100_000 + 40 * i) for i in range(9)]
    judged = [charge(f"j{i}", 10 * i, payer="pm_9") for i in range(900)]
    late = [replace(refund(row, 500), booked_at_ms=FROM_MS + 1) for row in history]
    (alone,) = anomalies_of(history, judged_from_ms=FROM_MS).calibrations
    (all_of_it,) = anomalies_of([*history, *judged, *late], judged_from_ms=FROM_MS).calibrations
    assert all_of_it == alone
    assert alone.history_charges == 9


def test_what_was_given_back_in_the_history_is_no_repeat_of_it() -> None:
    """Fails when corrected doubles shorten the window."""
    history = [charge(f"h{i}", -100_000 + 20 * i) for i in range(9)]
    given_back = [replace(refund(row, 500), booked_at_ms=row.booked_at_ms + 1) for row in history[1:]]
    (noisy,) = anomalies_of(history, judged_from_ms=FROM_MS).calibrations
    (quiet,) = anomalies_of([*history, *given_back], judged_from_ms=FROM_MS).calibrations
    assert (noisy.pairs, noisy.history_charges, noisy.basis) == (4, 9, Basis.DEFAULT)
    assert (quiet.pairs, quiet.history_charges, quiet.basis) == (0, 1, Basis.DEFAULT)


SALES = st.lists(
    st.tuples(
        st.sampled_from([1, 20, 45, 250, 5_000, 20_000, 40_000]),  # seconds after the one before
        st.sampled_from(["pm_1", "pm_1", "pm_2", None]),
        st.sampled_from([500, 500, 700]),
        st.sampled_from(["none", "none", "refund", "part", "same_payment", "held"]),
    ),
    min_size=4,
    max_size=30,
)


@settings(max_examples=60)
@given(SALES, st.randoms(use_true_random=False), st.booleans())
def test_the_engine_finds_what_the_definition_says(
    sales: list[tuple[int, str | None, int, str]], rng: random.Random, earned: bool
) -> None:
    """Fails when the engine leaves out, beforehand, a charge that counts: such as one at the far end of a window."""
    rows: list[LedgerRow] = []
    second = -sum(after for after, *_ in sales) // 2
    for number, (after, payer, amount_minor, happens) in enumerate(sales):
        second += after
        row = charge(f"{number:02d}", second, payer=payer, amount_minor=amount_minor)
        rows.append(replace(row, state=LedgerState.AUTHORIZED) if happens == "held" else row)
        if happens in ("refund", "part"):
            rows.append(refund(row, amount_minor if happens == "refund" else 100))
        if happens == "same_payment":
            rows.append(replace(row, entry_id=row.entry_id + "x", reference=row.reference + "x"))
    shuffled = [*rows, *rows[:5]]
    rng.shuffle(shuffled)
    with pytest.MonkeyPatch.context() as patch:
        if earned:  # a few charges are history enough for a long window
            patch.setattr(calibration, "MIN_HISTORY", 1)
            patch.setattr(calibration, "TARGET_PER_10_000", 9_000)
        found = anomalies_of(shuffled, judged_from_ms=FROM_MS)
        expected = doubles_by_definition(rows, judged_from_ms=FROM_MS)
    assert {one.payment_id for one in found.double_charges} == expected


def test_the_window_follows_the_merchants_own_repeats() -> None:
    """Fails when the window is a constant, or when little history earns a long one."""
    charges = 2 * MIN_HISTORY

    def window(charges: int, repeats: int, after_seconds: int) -> tuple[int, Basis]:
        pairs = {seconds: repeats if after_seconds <= seconds else 0 for seconds in WINDOWS_SECONDS}
        found = calibrate("m", charges, pairs)
        return found.window_seconds, found.basis

    assert window(charges, 0, 1) == (28_800, Basis.HISTORY)
    assert window(charges, 100, 400) == (300, Basis.HISTORY)
    assert window(charges, 100, 4) == (0, Basis.TOO_NOISY)
    assert window(50, 0, 1) == (30, Basis.DEFAULT)
    assert window(READABLE_PAIRS, READABLE_PAIRS, 4) == (30, Basis.DEFAULT)
    assert window(READABLE_PAIRS + 1, READABLE_PAIRS + 1, 4) == (0, Basis.TOO_NOISY)


def test_a_rate_is_shown_with_two_decimals_and_never_too_low() -> None:
    assert hundredths(Fraction(1, 3)) == "0.34"
    assert hundredths(Fraction(12)) == "12.00"


@given(st.integers(0, 50), st.integers(50, 5_000))
def test_the_bounds_enclose_the_rate(successes: int, trials: int) -> None:
    """Fails when a bound is on the wrong side."""
    lower, upper = wilson(successes, trials, upper=False), wilson(successes, trials, upper=True)
    assert lower * trials <= successes <= upper * trials
