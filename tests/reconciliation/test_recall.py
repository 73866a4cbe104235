"""Every class of the taxonomy planted many times over seeds, and found as that class and nothing else.

The injector knows no matcher. PAYONCE_RECALL=full plants thousands of each class.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from rich.progress import track

from payonce.reconciliation.taxonomy import BreakClass
from tests.reconciliation.conftest import LINES
from tests.reconciliation.feeding import JUDGED, run_disturbed, run_plainly
from tests.reconciliation.scoring import NOTHING, Scores, table
from tests.support.reconciliation_injector.compose import compose

FULL = os.environ.get("PAYONCE_RECALL") == "full"
SEEDS = range(200) if FULL else range(24)
PER_CLASS = 30
STATEMENT_CLASSES = {BreakClass.STATEMENT_GAP, BreakClass.BALANCE_BREAK, BreakClass.STATEMENT_CONFLICT}


def test_every_deterministic_class_is_found_and_nothing_else_is() -> None:
    """Recall and precision are 1 and no class is taken for another, over rows and over real files.

    Fails when a rule of the engine misses, invents or misnames one break of any seed.
    """
    scores = Scores()
    for seed in track(SEEDS, description="seeds", disable=not FULL):
        # The plain gateway's rows go through its CSV in every second seed, the bank's in every fourth. The bank's CSV
        # has no sequence numbers, so that no gap can be seen there.
        through_bank_file = seed % 4 == 1
        case = compose(seed, PER_CLASS, statement_faults=not through_bank_file)
        result = run_plainly(case, files=seed % 2 == 1, bank_files=through_bank_file)
        scores.add(case, result.breaks, JUDGED)
    LINES.extend(table(scores, JUDGED))
    assert not scores.confused, "\n".join(scores.examples[:20])
    for name in JUDGED:
        least = 1 if name in STATEMENT_CLASSES else PER_CLASS
        assert scores.planted[name] >= least * len(SEEDS) * 3 // 4, f"{name} was hardly planted"
        assert scores.recall(name) == scores.precision(name) == 1.0, name


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_world_with_near_misses_has_no_break(seed: int) -> None:
    """Equal purchases, split refunds, reversals, movements in transit, changes of clocks and 29 February are no faults.

    Fails when equal amounts are taken for duplicates, or the in-transit window or the tolerance of fees is left out.
    """
    for one in range(seed, 40, 4):
        result = run_plainly(compose(one, 0))
        assert [(found.break_class.value, found.subject) for found in result.breaks] == []


@pytest.mark.parametrize("seed", range(4))
def test_order_files_repetition_and_a_second_run_change_nothing(seed: int) -> None:
    """Shuffled, split into overlapping files, given twice and run twice: equal break ids, breaks and digest.

    Fails when a rule depends on the order of rows, or a row that comes in two files counts twice.
    """
    case = compose(seed, 12)
    plain = run_plainly(case)
    for disturbed in run_disturbed(case, seed + 1):
        assert [one.break_id for one in disturbed.breaks] == [one.break_id for one in plain.breaks]
        assert disturbed.breaks == plain.breaks
        assert disturbed.digest == plain.digest
    assert len({one.break_id for one in plain.breaks}) == len(plain.breaks) > 12


def test_the_score_sees_what_is_missing_misnamed_or_invented() -> None:
    """Fails when the score counts a break as right by its class alone, or forgets what nobody planted."""
    case = compose(0, 3)
    breaks = list(run_plainly(case).breaks)
    dispute, fee, refund = (
        next(one for one in breaks if one.break_class is name)
        for name in (BreakClass.DISPUTE_OPEN, BreakClass.FEE_MISMATCH, BreakClass.ORPHAN_REFUND)
    )
    breaks.remove(dispute)
    breaks[breaks.index(fee)] = replace(fee, break_class=BreakClass.FX_MISMATCH)
    breaks[breaks.index(refund)] = replace(refund, subject=("northpay", "another"))
    breaks.append(replace(dispute, subject=("northpay", "invented"), evidence=()))
    scores = Scores()
    scores.add(case, breaks, JUDGED)
    assert scores.recall("dispute_open") == pytest.approx(2 / 3)
    assert scores.confused == {
        ("dispute_open", NOTHING): 1,
        ("fee_mismatch", "fx_mismatch"): 1,
        ("orphan_refund", "orphan_refund"): 1,
        (NOTHING, "dispute_open"): 1,
    }
