"""A route is judged by what is usual for it, and what is usual is not learned while it looks worse."""

from __future__ import annotations

import random

from payonce.routing.detection.baseline import Baseline
from payonce.routing.detection.detector import MAX_FROZEN_SECONDS, Assessment, assess
from payonce.routing.signals.observation import CellSignals
from payonce.routing.signals.sketch import LatencySketch

T0 = 1_000_000_000_000
STEP_MS = 5000


def window(random_: random.Random, *, factor: float = 1.0, samples: int = 200, technical: int = 0) -> CellSignals:
    sketch = LatencySketch()
    for _ in range(samples):
        sketch.add(600 * factor * random_.lognormvariate(0, 0.35))
    return CellSignals(10, sketch, samples - technical, technical, samples, 12, 0)


class Watch:
    def __init__(self) -> None:
        self.random = random.Random(7)
        self.baseline = Baseline()
        self.now_ms = T0

    def see(self, steps: int, **what: float) -> list[Assessment]:
        seen = []
        for _ in range(steps):
            self.now_ms += STEP_MS
            signals = window(self.random, **what)  # type: ignore[arg-type]
            self.baseline, assessment = assess(self.baseline, signals, self.now_ms, 3000)
            seen.append(assessment)
        return seen


def test_a_calm_day_elevates_nothing() -> None:
    watch = Watch()
    assert not any(assessment.elevated for assessment in watch.see(2000))


def test_slower_by_half_is_elevated_at_once_and_named() -> None:
    watch = Watch()
    watch.see(60)
    (assessment,) = watch.see(1, factor=1.6)
    assert assessment.elevated
    assert assessment.reasons == ("latency",)


def test_what_is_usual_is_frozen_while_elevated() -> None:
    """Fails when learning goes on while the route is worse: the ramp becomes the new normal."""
    watch = Watch()
    watch.see(60)
    usual = watch.baseline.p95_ms
    assert all(assessment.elevated for assessment in watch.see(120, factor=2.0))
    assert watch.baseline.p95_ms == usual


def test_an_hour_worse_is_the_new_usual() -> None:
    watch = Watch()
    watch.see(60)
    watch.see(int(MAX_FROZEN_SECONDS / 5) + 300, factor=2.0)
    assert not any(assessment.elevated for assessment in watch.see(10, factor=2.0))


def test_a_slow_ramp_is_not_absorbed() -> None:
    watch = Watch()
    watch.see(120)
    elevated = [watch.see(1, factor=2 ** (step / 24))[0].elevated for step in range(48)]  # doubles in two minutes
    assert elevated.index(True) <= 16, "before it is 1.6 times as slow"
    assert all(elevated[20:])


def test_technical_errors_elevate_and_declines_do_not() -> None:
    """Fails when the success rate is over all that was not approved."""
    watch = Watch()
    watch.see(60)
    assert not watch.see(1)[0].elevated
    (assessment,) = watch.see(3, technical=60)[-1:]
    assert assessment.reasons == ("technical_errors",)


def test_a_few_samples_are_no_evidence() -> None:
    watch = Watch()
    watch.see(60)
    assert not any(assessment.elevated for assessment in watch.see(50, factor=1.3, samples=3))


def test_an_empty_window_changes_nothing_that_was_learned() -> None:
    watch = Watch()
    watch.see(60)
    usual = watch.baseline.p95_ms
    (assessment,) = watch.see(1, samples=0)
    assert not assessment.elevated
    assert not assessment.well
    assert watch.baseline.p95_ms == usual
