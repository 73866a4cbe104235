"""Bursts and outliers: found against the merchant's own history, in any order, never from few samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.reconciliation.anomalies import find
from payonce.reconciliation.anomalies.bursts import MIN_HISTORY_SESSIONS, poisson_tail_ppb
from payonce.reconciliation.anomalies.findings import MAX_EVIDENCE_ROWS, FindingKind
from payonce.reconciliation.anomalies.outliers import MIN_SAMPLES
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from tests.support.anomalies import anomalies_of
from tests.unit.reconciliation.anomalies.test_double_charge import FROM_MS, charge

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from payonce.reconciliation.anomalies.findings import Finding
    from payonce.reconciliation.model import LedgerRow

QUIET = [charge(f"h{i}", -4_000_000 + 1_000 * i, payer=f"pm_{i}") for i in range(MIN_HISTORY_SESSIONS)]
# The middle charges are 8 minutes apart: only the chain of gaps, not one distance, makes them a session.
BURST = [charge(f"b{i}", 480 * i, payer="pm_x", amount_minor=100 + i) for i in range(12)]


def bursts(rows: Iterable[LedgerRow]) -> list[Finding]:
    found = anomalies_of(rows, judged_from_ms=FROM_MS)
    assert sum(found.counts.values()) == len(found.findings)
    return list(found.findings)


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_a_burst_is_one_finding_in_any_order(rng: random.Random) -> None:
    """Fails when sessions are not sorted, when a session is only two neighbours, or a row that came twice counts."""
    rows = [*QUIET, *BURST, *BURST[:4]]
    rng.shuffle(rows)
    (one,) = [one for one in bursts(rows) if one.kind is FindingKind.PAYER_BURST]
    assert (one.subject, one.rows, one.at_ms) == (("mer_1", "pm_x"), 12, FROM_MS)
    assert one.evidence == tuple(row.entry_id for row in BURST[:MAX_EVIDENCE_ROWS])


def test_what_is_usual_here_or_has_no_history_is_no_burst() -> None:
    """Fails when the history is not the merchant's own, or when MIN_HISTORY_SESSIONS is dropped."""
    habit = [charge(f"u{i}", -9_000_000 + 100 * i, payer=f"pm_{i // 12}") for i in range(12 * 120)]
    assert [one for one in bursts([*habit, *BURST]) if "pm_x" in one.subject] == []
    assert bursts([*QUIET[1:], *BURST]) == []


def test_a_session_that_began_before_the_judged_days_is_history() -> None:
    """Fails when a session is cut at the beginning of the judged days and its rest judged alone."""
    begun = [charge(f"e{i}", 300 * i, payer="pm_x") for i in range(-12, 12)]
    assert [one for one in bursts([*QUIET, *begun]) if one.kind is FindingKind.PAYER_BURST] == []


def test_many_payers_at_once_are_a_burst_of_the_merchant() -> None:
    """Fails when only payers are judged, or when a merchant whose payers never rest is not."""
    rows = [*QUIET, *(charge(f"m{i}", i, payer=f"pm_m{i}") for i in range(60))]
    assert [one.kind for one in bursts(rows)] == [FindingKind.MERCHANT_BURST]
    # One charge a minute, day and night, and then 60 more in one.
    busy = [charge(f"n{i}", 60 * i, payer=f"pm_n{i}") for i in range(-5_000, 5_000)]
    assert bursts(busy) == []
    more = [charge(f"b{i}", 90_000 + i, payer=f"pm_b{i}") for i in range(60)]
    (one,) = bursts([*busy, *more])
    assert (one.kind, one.rows) == (FindingKind.MERCHANT_BURST, 70)


@pytest.mark.parametrize(("count", "expected", "ppb"), [(1, 1.0, 632_120_559), (5, 1.0, 3_659_847), (0, 1.0, 10**9)])
def test_the_poisson_tail(count: int, expected: float, ppb: int) -> None:
    """Fails when the tail leaves out its own first term. Values from tables of the distribution."""
    assert poisson_tail_ppb(count, expected) == ppb


def gateway_row(i: int, *, fee: int = 30, delay_ms: int = 172_800_000) -> GatewayRow:
    return GatewayRow(i, f"txn_{i}", f"ref_{i}", RowKind.CHARGE, 1_000, fee, 1_000 - fee, "EUR", 0, delay_ms)


def test_outliers_need_a_baseline_and_stand_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the mean replaces the median (30 of 130 are wild), or when MIN_SAMPLES is dropped."""

    def outliers(*rows: GatewayRow) -> tuple[Finding, ...]:
        return anomalies_of([], judged_from_ms=0, reported={"g": rows}).findings

    usual = [gateway_row(i, fee=30 + i % 2) for i in range(MIN_SAMPLES)]
    wild = [gateway_row(900 + i, fee=300, delay_ms=2_000_000_000) for i in range(30)]
    found = outliers(*usual, *wild)
    assert [one.kind for one in found].count(FindingKind.FEE_OUTLIER) == 30
    assert [one.kind for one in found].count(FindingKind.DELAY_OUTLIER) == 30
    assert found == outliers(*reversed(wild), *usual, *usual)
    assert outliers(*usual[:50], *wild) == ()
    assert outliers(*usual, gateway_row(1, fee=31)) == ()
    monkeypatch.setattr(find, "MAX_FINDINGS_PER_KIND", 7)
    most = anomalies_of([], judged_from_ms=0, reported={"g": [*usual, *wild, gateway_row(7_000, fee=900)]})
    assert (len(most.findings), most.counts[FindingKind.FEE_OUTLIER]) == (14, 31)
    assert most.findings[0].subject == ("g", "EUR", "txn_7000")


def test_what_is_older_than_the_judged_days_only_measures() -> None:
    """Fails when every run tells the same outlier again for as long as its file is read."""
    rows = [gateway_row(i) for i in range(MIN_SAMPLES)]
    found = anomalies_of([], judged_from_ms=1, reported={"g": [*rows, gateway_row(900, fee=300)]})
    assert found.findings == ()
