"""Recall and false positives, measured on merchants with different habits."""

from __future__ import annotations

from payonce.reconciliation.anomalies.calibration import TARGET_PER_10_000
from tests.support.double_charge_score import HEADER, score
from tests.support.repeat_buyers import HABITS

SEEDS = range(101, 104)  # no constant was chosen by these


def test_false_positives_stay_below_the_target_and_doubles_are_found() -> None:
    """Fails when the window ignores the merchant's history: a constant of 10 min floods tickets and arcade."""
    scores = {habit.name: score(habit, seeds=SEEDS, charges=12_000) for habit in HABITS}
    print("\n" + HEADER, *(one.line(name) for name, one in scores.items()), sep="\n")  # noqa: T201
    for name, one in scores.items():
        assert one.false_per_10_000 <= TARGET_PER_10_000, name
        assert one.judged > 5_000
        assert one.planted > 100
    for name in ("shop", "subscription"):
        assert scores[name].recall >= 0.95
    for name in ("coffee", "tickets", "flash_sale"):
        assert scores[name].recall >= 0.8
    assert scores["arcade"].last is not None
    assert scores["arcade"].last.window_seconds == 0
