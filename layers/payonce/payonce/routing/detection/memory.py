"""What is remembered of one route: how its payments ended lately, and how long they take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from payonce.routing.signals.observation import CellSignals

FADE_SECONDS = 30.0  # time constant of the counts: long enough to see 4 % of failures, short enough to see them end
MOST_FADE_SECONDS = 3600.0  # the same for a method with so few payments that an hour's are needed to see anything
ENOUGH_COUNTS = 40.0  # attempts a route: with less of them, they fade more slowly
LEARN_SECONDS = 600.0  # time constant of the usual p95: it follows the time of day, and not a ramp of minutes
WARM_SAMPLES = 100  # before that, what is usual is not known
TAIL = 0.05  # the share above a p95, by definition
ENOUGH_SAMPLES = 40  # per window of ten seconds: the mean of forty is accurate to 6 %
WINDOW_MS = 4_800  # half of a window's ten seconds: windows overlap by half
WINDOWS = 4  # in a row: a step, which needs two to pass, is no rise
MOST_SECONDS = 60.0  # that a step counts for: after a pause, what was known is old, and not all forgotten
KEPT_WINDOWS = 2 * WINDOWS - 1  # every other one of them is a window of its own


@dataclass(slots=True)
class Counts:
    """Attempts of the last time, older ones faded: with an answer within the SLO, without any answer, and late ones."""

    good: float = 0.0
    failed: float = 0.0
    late: float = 0.0

    @property
    def total(self) -> float:
        """Return the number of attempts."""
        return self.good + self.failed + self.late

    def plus(self, other: Counts, share: float = 1.0) -> Counts:
        """Return the sums with a ``share`` of the other's counts."""
        return Counts(
            self.good + share * other.good, self.failed + share * other.failed, self.late + share * other.late
        )


@dataclass(slots=True)
class RouteMemory:
    """The memory of one route. ``log_p95`` is the usual p95, in the logarithm of milliseconds.

    ``at_ms_of`` and ``typical_of`` hold the last windows: their times, and the means of their latencies' logarithms;
    ``error_of`` those means' standard errors. ``deviation`` is the standard deviation of a single latency's logarithm
    in the last one.
    """

    at_ms: int = 0
    counts: Counts = field(default_factory=Counts)
    log_p95: float = 0.0
    learned: int = 0
    deviation: float = 0.0
    at_ms_of: list[int] = field(default_factory=list)
    typical_of: list[float] = field(default_factory=list)
    error_of: list[float] = field(default_factory=list)

    @property
    def warm(self) -> bool:
        """Return whether ``log_p95`` rests on enough answers."""
        return self.learned >= WARM_SAMPLES

    @property
    def p95_ms(self) -> float:
        """Return the usual 95th percentile of the latency in milliseconds."""
        return math.exp(self.log_p95)


def elapsed_seconds(before_ms: int, at_ms: int) -> float:
    """Return the seconds from one step to the next, 0 for the first, and at most ``MOST_SECONDS``."""
    return min(MOST_SECONDS, max(0.0, (at_ms - before_ms) / 1000)) if before_ms else 0.0


def patience_seconds(totals: Collection[float]) -> float:
    """Return the time constant of the counts of a method's routes, which remember ``totals`` attempts.

    It grows with the square of what is missing, so that a route with a payment in ten seconds remembers about
    seventeen of them, and one with a payment in six minutes five.
    """
    missing = ENOUGH_COUNTS * len(totals) / max(1.0, sum(totals))
    return min(MOST_FADE_SECONDS, FADE_SECONDS * max(1.0, missing) ** 2)


def follow(
    memory: RouteMemory, signals: CellSignals, at_ms: int, *, fade_seconds: float, late_counts: bool
) -> RouteMemory:
    """Return the memory after one more observation. Pure.

    ``fade_seconds`` is the counts' time constant. Without ``late_counts``, late answers are no fault of the route: none
    are counted, and those that were are forgotten.
    """
    seconds = elapsed_seconds(memory.at_ms, at_ms)
    kept = math.exp(-seconds / fade_seconds)
    before = memory.counts
    # An attempt that was late may fail afterwards: then it counts as failed, and no longer as late.
    late = max(0.0, before.late * kept + signals.bad - signals.failed) if late_counts else 0.0
    counts = Counts(before.good * kept + signals.good, before.failed * kept + signals.failed, late)
    after = replace(memory, at_ms=at_ms, counts=counts)
    total = signals.sketch.total
    if total:
        log_p95 = math.log(max(1.0, signals.sketch.quantile_ms(1 - TAIL)))
        answers = signals.good + signals.bad
        after.learned = min(10**6, memory.learned + answers)
        # At first the mean of all answers, later of those of the last ten minutes.
        gain = max(answers / max(1, after.learned), 1 - math.exp(-seconds / LEARN_SECONDS))
        after.log_p95 = memory.log_p95 + gain * (log_p95 - memory.log_p95)
    _keep_window(after, signals)
    return after


def _keep_window(after: RouteMemory, signals: CellSignals) -> None:
    total = signals.sketch.total
    if after.at_ms_of and after.at_ms - after.at_ms_of[-1] < WINDOW_MS:
        return
    if total < ENOUGH_SAMPLES or signals.is_lengthened:
        after.at_ms_of, after.typical_of, after.error_of = [], [], []
        return
    mean, deviation = signals.sketch.log_moments()
    after.at_ms_of = [*after.at_ms_of, after.at_ms][-KEPT_WINDOWS:]
    after.typical_of = [*after.typical_of, mean][-KEPT_WINDOWS:]
    after.error_of = [*after.error_of, deviation / math.sqrt(total)][-KEPT_WINDOWS:]
    after.deviation = deviation
