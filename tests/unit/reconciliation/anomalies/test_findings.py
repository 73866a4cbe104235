"""Bursts and outliers: found against the merchant's own history, in any order, never from few samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.reconciliation.anomalies.bursts import MIN_HISTORY_SESSIONS, find_bursts, poisson_tail_ppb
from payonce.reconciliation.anomalies.findings import FindingKind
from payonce.reconciliation.anomalies.outliers import MIN_SAMPLES, find_outliers
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from tests.unit.reconciliation.anomalies.test_double_charge import FROM_MS, charge

if TYPE_CHECKING:
    import random

QUIET = [charge(f"h{i}", -4_000_000 + 1_000 * i, payer=f"pm_{i}") for i in range(MIN_HISTORY_SESSIONS)]
# The middle charges are 8 minutes apart: only the chain of gaps, not one distance, makes them a session.
BURST = [charge(f"b{i}", 480 * i, payer="pm_x", amount_minor=100 + i) for i in range(12)]


@given(st.randoms(use_true_random=False))
def test_a_burst_is_one_finding_in_any_order(rng: random.Random) -> None:
    """Fails when sessions are not sorted, or when a session is only two neighbours."""
    rows = [*QUIET, *BURST]
    rng.shuffle(rows)
    payers = [one for one in find_bursts(rows, judged_from_ms=FROM_MS) if one.kind is FindingKind.PAYER_BURST]
    assert [(one.subject, len(one.evidence)) for one in payers] == [(("mer_1", "pm_x"), 12)]


def test_what_is_usual_here_or_has_no_history_is_no_burst() -> None:
    """Fails when the history is not the merchant's own, or when MIN_HISTORY_SESSIONS is dropped."""
    habit = [charge(f"u{i}", -9_000_000 + 100 * i, payer=f"pm_{i // 12}") for i in range(12 * 120)]
    assert [one for one in find_bursts([*habit, *BURST], judged_from_ms=FROM_MS) if "pm_x" in one.subject] == []
    assert find_bursts([*QUIET[1:], *BURST], judged_from_ms=FROM_MS) == ()


def test_many_payers_at_once_are_a_burst_of_the_merchant() -> None:
    """Fails when only payers are judged."""
    rows = [*QUIET, *(charge(f"m{i}", i, payer=f"pm_m{i}") for i in range(60))]
    assert [one.kind for one in find_bursts(rows, judged_from_ms=FROM_MS)] == [FindingKind.MERCHANT_BURST]


@pytest.mark.parametrize(("count", "expected", "ppb"), [(1, 1.0, 632_120_559), (5, 1.0, 3_659_847), (0, 1.0, 10**9)])
def test_the_poisson_tail(count: int, expected: float, ppb: int) -> None:
    """Fails when the tail leaves out its own first term. Values from tables of the distribution."""
    assert poisson_tail_ppb(count, expected) == ppb


def gateway_row(i: int, *, fee: int = 30, delay_ms: int = 172_800_000) -> GatewayRow:
    return GatewayRow(i, f"txn_{i}", f"ref_{i}", RowKind.CHARGE, 1_000, fee, 1_000 - fee, "EUR", 0, delay_ms)


def test_outliers_need_a_baseline_and_stand_out_of_it() -> None:
    """Fails when the mean replaces the median (30 of 130 are wild), or when MIN_SAMPLES is dropped."""
    usual = [("g", gateway_row(i, fee=30 + i % 2)) for i in range(MIN_SAMPLES)]
    wild = [("g", gateway_row(900 + i, fee=300, delay_ms=2_000_000_000)) for i in range(30)]
    found = find_outliers([*usual, *wild])
    assert [one.kind for one in found].count(FindingKind.FEE_OUTLIER) == 30
    assert [one.kind for one in found].count(FindingKind.DELAY_OUTLIER) == 30
    assert found == find_outliers([*reversed(wild), *usual, *usual])
    assert find_outliers([*usual[:50], *wild]) == ()
    assert find_outliers([*usual, ("g", gateway_row(1, fee=31))]) == ()
