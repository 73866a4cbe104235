"""Doubles are found, once, in any order; what was given back is none."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from payonce.reconciliation.anomalies.calibration import MIN_HISTORY, Basis, calibrate, wilson
from payonce.reconciliation.anomalies.double_charge import find_double_charges
from payonce.reconciliation.model import LedgerKind, LedgerRow, LedgerState

FROM_MS = 10_000_000_000


def charge(name: str, after_s: int, *, payer: str = "pm_1", amount_minor: int = 500) -> LedgerRow:
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
    breaks = find_double_charges(rows, judged_from_ms=FROM_MS).breaks
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
    partial = find_double_charges([first, later, refund(later, 200)], judged_from_ms=FROM_MS).breaks
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


def test_calibration_does_not_look_ahead() -> None:
    """Fails when charges of the judged period, or refunds in it, reach the calibration."""
    history = [charge(f"h{i}", -100_000 + 40 * i) for i in range(9)]
    judged = [charge(f"j{i}", 10 * i, payer="pm_9") for i in range(900)]
    late = [replace(refund(row, 500), booked_at_ms=FROM_MS + 1) for row in history]
    alone = find_double_charges(history, judged_from_ms=FROM_MS).calibrations
    assert find_double_charges([*history, *judged, *late], judged_from_ms=FROM_MS).calibrations == alone
    assert alone["mer_1"].history_charges == 9


def test_the_window_follows_the_merchants_own_repeats() -> None:
    """Fails when the window is a constant, or when little history earns a long one."""
    quiet: list[list[int]] = [[0]] * (2 * MIN_HISTORY)
    assert calibrate("m", quiet).window_seconds == 28_800
    busy = [*quiet, *([[0, 400_000]] * 100)]
    assert calibrate("m", busy).window_seconds == 300
    noisy = [*quiet, *([[0, 4_000]] * 100)]
    assert (calibrate("m", noisy).window_seconds, calibrate("m", noisy).basis) == (0, Basis.TOO_NOISY)
    assert calibrate("m", quiet[:50]).basis is Basis.DEFAULT
    assert calibrate("m", [[0, 4_000]] * 50).basis is Basis.TOO_NOISY


@given(st.integers(0, 50), st.integers(50, 5_000))
def test_the_bounds_enclose_the_rate(successes: int, trials: int) -> None:
    """Fails when a bound is on the wrong side."""
    lower, upper = wilson(successes, trials, upper=False), wilson(successes, trials, upper=True)
    assert lower * trials <= successes <= upper * trials
