"""What is remembered of a route: counts that fade, and what is usual."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.detection.memory import (
    ENOUGH_COUNTS,
    FADE_SECONDS,
    KEPT_WINDOWS,
    LEARN_SECONDS,
    MOST_FADE_SECONDS,
    WARM_SAMPLES,
    WINDOW_MS,
    Counts,
    RouteMemory,
    follow,
    patience_seconds,
)
from tests.support.route_courses import CALM, NONE, STEP_MS, T0, USUAL_MS, WELL, ended, sketch_of

if TYPE_CHECKING:
    from payonce.routing.signals.observation import CellSignals


def after(
    memory: RouteMemory,
    signals: CellSignals,
    at_ms: int,
    *,
    fade_seconds: float = FADE_SECONDS,
    late_counts: bool = True,
) -> RouteMemory:
    return follow(memory, signals, at_ms, fade_seconds=fade_seconds, late_counts=late_counts)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_counts_fade_and_are_never_negative(steps: list[tuple[int, int, int]]) -> None:
    memory, at_ms = RouteMemory(), T0
    for good, bad, failed in steps:
        memory = after(memory, ended(good, bad, failed), at_ms)  # more may have failed than were judged in this step
        at_ms += STEP_MS
        assert min(memory.counts.good, memory.counts.failed, memory.counts.late) >= 0
    later = after(memory, NONE, at_ms - STEP_MS + 6_000)
    assert later.counts.total == pytest.approx(memory.counts.total * math.exp(-6 / FADE_SECONDS))
    slower = after(memory, NONE, at_ms - STEP_MS + 6_000, fade_seconds=10 * FADE_SECONDS)
    assert slower.counts.failed == pytest.approx(memory.counts.failed * math.exp(-0.6 / FADE_SECONDS))


def test_an_attempt_that_was_late_and_then_failed_counts_once() -> None:
    """Fails when it stays a late one: ten attempts of a hang would count as twenty."""
    memory = after(after(RouteMemory(), ended(10, 10), T0), ended(0, 0, 10), T0)
    assert memory.counts == Counts(good=10, failed=10, late=0)


def test_late_answers_that_are_no_fault_of_the_route_are_forgotten() -> None:
    """Fails when the queue of before speaks against the route once its gateway is no longer full."""
    memory = after(RouteMemory(), ended(10, 5, 2), T0)
    assert memory.counts == Counts(good=10, failed=2, late=3)
    assert after(memory, ended(1, 4, 1), T0, late_counts=False).counts == Counts(good=11, failed=3, late=0)


@given(st.lists(st.floats(0, 10**6), min_size=1, max_size=16))
def test_what_a_method_has_few_payments_of_is_remembered_for_longer(totals: list[float]) -> None:
    """Fails when all counts fade alike: a route with a payment in six minutes would remember none of them."""
    seconds = patience_seconds(totals)
    assert FADE_SECONDS <= seconds <= MOST_FADE_SECONDS
    assert patience_seconds([2 * total for total in totals]) <= seconds
    assert seconds == FADE_SECONDS or sum(totals) < ENOUGH_COUNTS * len(totals)


@pytest.mark.parametrize(("seconds_between", "remembered"), [(1, 37), (10, 17), (360, 5)])
def test_how_many_payments_a_route_remembers(seconds_between: int, remembered: int) -> None:
    total = 0.0
    for _ in range(max(200, 10_000 // seconds_between)):
        for _ in range(seconds_between):
            total *= math.exp(-1 / patience_seconds([total]))
        total += 1
    assert total == pytest.approx(remembered, abs=1)


def test_the_usual_p95_is_warm_after_enough_answers_and_follows_the_time_of_day() -> None:
    """Fails when the first window is believed for ten minutes, or a new level of the day never."""
    memory, at_ms, seconds = RouteMemory(), T0, 0.0
    slow = ended(10, sketch=sketch_of(2 * USUAL_MS))
    for _ in range(WARM_SAMPLES // 10):
        assert not memory.warm
        memory, at_ms = after(memory, ended(10), at_ms), at_ms + STEP_MS
    assert memory.warm
    assert memory.p95_ms == pytest.approx(CALM.quantile_ms(0.95), rel=0.01)
    while seconds < 3 * LEARN_SECONDS:
        memory, at_ms, seconds = after(memory, slow, at_ms), at_ms + STEP_MS, seconds + STEP_MS / 1000
    assert memory.p95_ms == pytest.approx(slow.sketch.quantile_ms(0.95), rel=0.05)


def test_a_ramp_of_minutes_is_not_followed() -> None:
    memory, at_ms = RouteMemory(), T0
    for _ in range(1000):
        memory, at_ms = after(memory, ended(10), at_ms), at_ms + STEP_MS
    before = memory.p95_ms
    for step in range(60):
        memory = after(memory, ended(10, sketch=sketch_of(USUAL_MS * 2 ** (step / 60))), at_ms)
        at_ms += STEP_MS
    assert memory.p95_ms < 1.25 * before, "though it has doubled"


def test_windows_overlap_by_half_at_most_and_are_bounded() -> None:
    memory, at_ms = RouteMemory(), T0
    for _ in range(100):
        memory, at_ms = after(memory, WELL, at_ms), at_ms + STEP_MS
    assert len(memory.at_ms_of) == len(memory.typical_of) == len(memory.error_of) == KEPT_WINDOWS
    steps = [later - sooner for sooner, later in zip(memory.at_ms_of, memory.at_ms_of[1:], strict=False)]
    assert min(steps) >= WINDOW_MS


def test_a_clock_that_goes_back_costs_nothing() -> None:
    """Fails with an overflow, or with counts that grow."""
    memory = after(RouteMemory(), ended(10, 5, 5), T0)
    assert after(memory, NONE, T0 - 10**9).counts == memory.counts
