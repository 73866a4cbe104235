"""The latencies' detector: what is unusual, what is learned, and what is kept over a restart."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.routing.watch.neighbours import MEMORY, QUARTER_MS, WARM_UP, Neighbours

DAY = 96
START = 1_772_323_200_000 // QUARTER_MS


def usual(quarters: int, *, seed: int = 1, median_ms: float = 400) -> list[float]:
    """Return latencies that follow the day and chance."""
    source = random.Random(seed)
    return [
        median_ms * math.exp(0.3 * math.sin(2 * math.pi * i / DAY) + source.gauss(0, 0.05)) for i in range(quarters)
    ]


def run(memory: Neighbours, values: list[float], first: int = 0) -> list[float]:
    """Return the ratio of each value; and learn it."""
    ratios = []
    for i, value in enumerate(values, start=START + first):
        judged = memory.judge(value, i * QUARTER_MS)
        memory.add(judged)
        ratios.append(judged.ratio)
    return ratios


def test_what_the_days_had_is_usual_and_a_jump_is_not() -> None:
    """Fails when the distance is not compared with what is usual, or the day's swing counts as unusual."""
    memory = Neighbours()
    assert max(run(memory, usual(7 * DAY))) < 1
    assert run(memory, [3_000.0], 7 * DAY)[0] >= 1
    assert run(memory, [30.0], 7 * DAY + 1)[0] >= 1


def test_nothing_is_judged_before_a_day_was_learned() -> None:
    """Fails without WARM_UP: of a few values each new one is far from the others."""
    memory = Neighbours()
    run(memory, usual(WARM_UP + 2))
    assert run(memory, [9_000.0], WARM_UP + 2) == [0.0]
    run(memory, usual(10), WARM_UP + 3)
    assert run(memory, [9_000.0], WARM_UP + 13)[0] >= 1


@pytest.mark.parametrize("after_quarters", [12, DAY, DAY + 40, 4 * DAY])
def test_an_incident_is_as_unusual_when_it_comes_again(after_quarters: int) -> None:
    """Fails when unusual values are learned: the second incident would be near the first."""
    memory = Neighbours()
    values = usual(12 * DAY)
    for at in (7 * DAY, 7 * DAY + after_quarters):
        values[at : at + 8] = [2_500.0] * 8
    ratios = run(memory, values)
    for at in (7 * DAY, 7 * DAY + after_quarters):
        assert min(ratios[at + 1 : at + 8]) >= 1


def test_a_nightly_job_is_usual_on_the_fourth_night_and_at_its_hour_alone() -> None:
    """Fails when unusual values are forgotten (it alarms every night), or learned for all hours, or after one night."""
    memory = Neighbours()
    values = usual(13 * DAY)
    nights = range(6 * DAY + 12, 13 * DAY, DAY)
    for at in nights:
        values[at : at + 4] = [2_500.0] * 4
    values[12 * DAY + 60 : 12 * DAY + 64] = [2_500.0] * 4  # another hour of the last day
    ratios = run(memory, values)
    assert [max(ratios[at : at + 7]) >= 1 for at in nights] == [True] * 3 + [False] * 4
    assert max(ratios[12 * DAY + 60 : 12 * DAY + 64]) >= 1


def test_a_constant_series_alarms_at_no_rounding_and_at_a_jump() -> None:
    """Fails without DISTANCE_MIN: the first move of a series that stands still would be infinitely far."""
    memory = Neighbours()
    assert max(run(memory, [400.0] * 300)) == 0
    assert run(memory, [416.0], 300)[0] < 1
    assert run(memory, [700.0], 301)[0] >= 1


def test_the_usual_range_is_of_what_was_learned() -> None:
    memory = Neighbours()
    assert memory.usual_range() == (0, 0)
    run(memory, usual(4 * DAY) + [9_000.0] * 20)
    low, high = memory.usual_range()
    assert 250 < low < 320
    assert 500 < high < 620


def test_the_memory_is_bounded() -> None:
    """Fails when something grows with the series."""
    memory = Neighbours()
    run(memory, usual(MEMORY + 50))
    assert {len(each) for each in (memory.values, memory.quarters, memory.distances)} == {MEMORY}
    assert len(json.dumps(memory.to_json())) < 20_000


VALUES = st.lists(st.floats(0.5, 6e5), min_size=1, max_size=60)


@settings(max_examples=25)
@given(VALUES, VALUES)
def test_a_restart_changes_no_score(past: list[float], future: list[float]) -> None:
    """Fails when a part of the state is not restored, or not exactly."""
    kept = Neighbours()
    run(kept, usual(2 * DAY) + past)
    restored = Neighbours.from_json(json.loads(json.dumps(kept.to_json())))
    assert run(restored, future, 3 * DAY) == run(kept, future, 3 * DAY)
    assert restored.to_json() == kept.to_json()


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_what_is_no_latency_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not a positive number"):
        Neighbours().judge(value, 0)


@pytest.mark.parametrize(
    "stored",
    [
        [[1], [1], []],
        [[1] * (MEMORY + 1)] * 3,
        [[1.5], [1], [0]],
        [[10**9], [1], [0]],
        [[1], [-1], [0]],
        [[1], ["1"], [0]],
        [[1, 1], [5, 10**9], [0, 0]],
    ],
)
def test_a_malformed_state_is_refused(stored: Any) -> None:
    with pytest.raises(ValueError):
        Neighbours.from_json(stored)
