"""The benchmark's scorer on windows small enough to compute by hand."""

from __future__ import annotations

import math

import pytest

from benchmarks.nab import scorer
from benchmarks.nab.scorer import LOW_FALSE_NEGATIVES, LOW_FALSE_POSITIVES, STANDARD, Profile, Series
from benchmarks.nab.split import halves


def series(windows: list[tuple[int, int]], samples: int = 100, name: str = "group/a.csv") -> Series:
    return Series(name, list(range(samples)), [0.0] * samples, windows)


def detections(*where: int, samples: int = 100) -> list[float]:
    return [1.0 if i in where else 0.0 for i in range(samples)]


def score(windows: list[tuple[int, int]], *where: int, profile: Profile = STANDARD) -> float:
    one = series(windows)
    outcomes = scorer.sweep_corpus([one], {one.name: detections(*where)}, profile)
    return scorer.normalised(scorer.at_threshold(outcomes, 1.0).raw, len(windows), profile)


def worth(position: float) -> float:
    return 2 / (1 + math.exp(5 * position)) - 1


@pytest.mark.parametrize("profile", scorer.PROFILES)
def test_the_first_sample_of_a_window_is_perfect(profile: Profile) -> None:
    assert score([(40, 49)], 40, profile=profile) == pytest.approx(100)


def test_a_later_detection_earns_less() -> None:
    """Fails when a window earns the same wherever it is found. Sample 45 of 40..49 is halfway: -(49-45+1)/10."""
    expected = 100 * (worth(-0.5) / worth(-1.0) + 1) / 2
    assert score([(40, 49)], 45) == pytest.approx(expected)
    assert expected == pytest.approx(92.99, abs=0.01)


def test_only_the_earliest_detection_of_a_window_counts() -> None:
    assert score([(40, 49)], 40, 41, 45, 49) == pytest.approx(100)


@pytest.mark.parametrize(("profile", "missed", "alarm"), [(STANDARD, 1, 0.11), (LOW_FALSE_POSITIVES, 1, 0.22)])
def test_a_false_alarm_before_any_window_costs_its_whole_weight(profile: Profile, missed: int, alarm: float) -> None:
    assert score([(40, 49)], 30, profile=profile) == pytest.approx(100 * -alarm / (1 + missed))


def test_a_false_alarm_soon_after_a_window_costs_little() -> None:
    """Fails when the distance behind a window is not measured. One sample behind 40..49 is 1/9 of its length."""
    assert score([(40, 49)], 40, 50) == pytest.approx(100 + 100 * 0.11 * worth(1 / 9) / 2)
    assert score([(40, 49)], 40, 99) == pytest.approx(100 - 100 * 0.11 / 2)  # more than three lengths behind


def test_a_missed_window_costs_twice_where_misses_weigh_more() -> None:
    two = [(40, 49), (70, 79)]
    assert score(two, 40) == pytest.approx(50)
    assert score(two, 40, profile=LOW_FALSE_NEGATIVES) == pytest.approx(100 * (1 - 2 + 4) / (2 + 4))


def test_nothing_counts_in_probation() -> None:
    """Fails when the first 15 % are scored: a false alarm at 14 would cost, at 15 it does."""
    assert score([(40, 49)], 14) == pytest.approx(0)
    assert score([(40, 49)], 15) < 0
    assert series([], samples=20_000).probation == 750


def test_the_optimum_is_the_best_threshold_over_the_whole_corpus() -> None:
    a, b = series([(40, 49)]), series([(60, 69)], name="group/b.csv")
    scores = {a.name: detections(40), b.name: [0.5 if i in (20, 60) else 0.0 for i in range(100)]}
    outcomes = scorer.sweep_corpus([a, b], scores, STANDARD)
    best = scorer.optimum(outcomes)
    assert (best.threshold, best.found, best.false_alarms) == (0.5, 2, 1)
    assert best.raw == pytest.approx(2 - 0.11)
    assert scorer.at_threshold(outcomes, 0.7).raw == pytest.approx(0)  # the one found, the other missed
    assert scorer.at_threshold(outcomes, 1.05).raw == pytest.approx(-2)


def test_scores_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="3 scores for 100 samples"):
        list(scorer.points(series([]), [0.0] * 3, STANDARD))


def test_the_split_goes_by_names_only() -> None:
    names = ["artificialNoAnomaly/a", "artificialNoAnomaly/b", "real/c", "real/d", "real/e", "other/f", "other/g"]
    fitted, held = halves([series([], name=name) for name in reversed(names)])
    assert {one.name for one in held} == {"real/d", "other/g"}
    assert len(fitted) + len(held) == len(names)
