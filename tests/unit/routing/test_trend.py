"""The typical latency is followed: chance is nothing, a ramp is seen early, and where it leads is projected."""

from __future__ import annotations

import math
import random

import pytest

from payonce.routing.detection.baseline import Baseline
from payonce.routing.detection.detector import Assessment, assess
from payonce.routing.signals.observation import CellSignals
from payonce.routing.signals.sketch import LatencySketch

STEP_MS = 5000
SLO_MS = 3000
PER_STEP = 35  # seven payments a second, in windows of 10 s that overlap by half


class Route:
    """Windows as the signals make them: each step's answers are counted in two of them."""

    def __init__(self, seed: int = 7, per_step: int = PER_STEP) -> None:
        self.random, self.per_step = random.Random(seed), per_step
        self.baseline, self.now_ms = Baseline(), 1_000_000_000_000
        self.before = LatencySketch()

    def see(self, factor: float = 1.0, *, in_flight: int = 5, demoted: bool = False) -> Assessment:
        self.now_ms += STEP_MS
        new = LatencySketch()
        for _ in range(self.per_step):
            new.add(650 * factor * self.random.lognormvariate(0, 0.35))
        window = LatencySketch(self.before.counts)
        window.merge(new)
        self.before = new
        signals = CellSignals(10, window, window.total, 0, window.total, in_flight, 0, good=self.per_step, bad=0)
        self.baseline, assessment = assess(self.baseline, signals, self.now_ms, SLO_MS, demoted=demoted)
        return assessment

    def calm(self, steps: int = 60) -> None:
        for _ in range(steps):
            self.see()


def ramp(seconds: float, per_minute: float) -> float:
    return math.exp(per_minute * seconds / 60)


def test_a_ramp_is_rising_long_before_its_tail_is_elevated() -> None:
    """Fails when the sum is not kept: no window alone proves a tenth, and the tail is beyond doubt 20 s later."""
    leads = []
    for seed in range(10):
        route = Route(seed)
        route.calm()
        seen = [route.see(ramp(5 * step, 0.6)) for step in range(1, 16)]
        rising = next(step for step, assessment in enumerate(seen) if assessment.rising)
        elevated = next(step for step, assessment in enumerate(seen) if assessment.elevated)
        leads.append(elevated - rising)
    assert min(leads) >= 2
    assert sum(leads) / len(leads) >= 4


def test_a_ramp_is_projected_over_the_slo_half_a_minute_before_it_is_there() -> None:
    """Fails when only what is counts, without the trend: seen with a slope of 0."""
    route = Route()
    route.calm()
    missed_after = 60 * math.log(SLO_MS / route.baseline.p95_ms) / 0.7
    for step in range(1, 40):
        if route.see(ramp(5 * step, 0.7)).features["projected"] > 0.5:
            break
    assert 5 * step <= missed_after - 30


def test_a_calm_day_is_never_projected_over_the_slo() -> None:
    route = Route(per_step=20)
    route.calm()
    worst = max(route.see().features["projected"] for _ in range(17_280))
    assert worst < 0.5


def test_two_very_slow_answers_prove_nothing() -> None:
    """Fails when a change is projected that nothing proves."""
    route = Route()
    route.calm()
    route.before, route.per_step = LatencySketch(), 1
    route.see(8.0)
    assert route.see(8.0).features["projected"] == 0


def test_a_burst_of_ten_seconds_is_no_trend() -> None:
    """Fails when its slope is believed: a queue that comes and goes, extrapolated by a minute, is over every SLO."""
    route = Route()
    route.calm()
    seen = [route.see(factor) for factor in (1.5, 1.6, 1.0, 1.0, 1.0, 1.0)]
    assert any(assessment.rising for assessment in seen)
    assert max(assessment.features["projected"] for assessment in seen) < 0.5


def test_a_plateau_below_the_slo_is_not_projected_over_it() -> None:
    """Fails when the trend is that of the whole past: a gateway that got slower by two thirds stays where it is."""
    route = Route()
    route.calm()
    for step in range(1, 12):
        route.see(ramp(5 * step, 0.6))
    for _ in range(7):
        route.see(ramp(55, 0.6))
    assert route.see(ramp(55, 0.6)).features["projected"] < 0.5


def test_few_answers_are_no_trend() -> None:
    """Fails when the sum runs on them: one slow answer is in every window that overlaps it."""
    route = Route(per_step=4)
    route.calm(200)
    seen = [route.see(ramp(5 * step, 0.6)) for step in range(1, 16)]
    assert not any(assessment.rising for assessment in seen)


def test_what_is_usual_is_not_learned_while_it_rises() -> None:
    """Fails when only the tail stops learning: what an eighth slower does to it is no doubt yet, and becomes usual."""
    route = Route()
    route.calm(200)
    usual = route.baseline.log_typical
    for _ in range(120):
        route.see(1.13)
    assert route.baseline.log_typical == pytest.approx(usual, abs=0.02)


def test_what_is_asked_of_it_is_learned_while_its_latency_is_not() -> None:
    """Fails when it is not: a morning in which latency rises by an eighth would be an overload for an hour."""
    route = Route()
    route.calm()
    for step in range(240):
        route.per_step = PER_STEP + min(35, step // 4)
        route.see(1.13)
    assert route.baseline.frozen_since_ms is not None
    assert not route.see(1.13).overloaded


def test_what_was_asked_of_it_while_demoted_is_not_usual() -> None:
    """Fails when it is learned: its own share then looks like an overload, which demotes nobody, for ten minutes."""
    route = Route(per_step=100)
    for _ in range(200):
        route.see(in_flight=40)
    rate, peak = route.baseline.rate, route.baseline.peak_in_flight
    route.per_step = 1
    for _ in range(600):
        route.see(in_flight=0, demoted=True)
    assert (route.baseline.rate, route.baseline.peak_in_flight) == (rate, peak)
    route.per_step = 100
    route.see(in_flight=40)
    assert not route.see(in_flight=40).overloaded


def test_a_demoted_route_that_is_still_slow_is_not_well() -> None:
    """Fails when a dozen answers are judged by the slowest alone: it gets its share back in the middle of a ramp."""
    well = []
    for seed in range(20):
        route = Route(seed)
        route.calm()
        route.per_step = 6
        route.see(1.6, demoted=True)
        well += [route.see(1.6, demoted=True).well for _ in range(8)]
    assert sum(well) <= 0.1 * len(well)


def test_it_is_over_soon_after_the_trouble() -> None:
    """Fails when the sum has no top: what lasted an hour would count as rising for as long."""
    route = Route()
    route.calm()
    for _ in range(200):
        route.see(2.0)
    seen = [route.see().rising for _ in range(60)]
    assert seen.index(False) * STEP_MS / 1000 <= 120
