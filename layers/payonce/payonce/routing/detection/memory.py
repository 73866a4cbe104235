"""What is remembered of one route: how its payments ended lately, and how long they take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.routing.signals.observation import CellSignals

LONG_SECONDS = 30.0  # time constant of the counts: long enough to see 4 % of failures, short enough to see them end
SHORT_SECONDS = 6.0  # the same for what begins suddenly, which minutes of good answers before would hide
FADE_ATTEMPTS = 40.0
SPARSE_SECONDS = 200.0  # the same for a route with so few payments that half a minute shows nothing
LEARN_SECONDS = 600.0  # time constant of the usual p95: it follows the time of day, and not a ramp of minutes
WARM_SAMPLES = 100  # before that, what is usual is not known
TAIL = 0.05  # the share above a p95, by definition
ENOUGH_SAMPLES = 40  # per window of ten seconds: the mean of forty is accurate to 6 %
WINDOW_MS = 4_800  # half of a window's ten seconds: windows overlap by half
WINDOWS = 4  # in a row: a step, which needs two to pass, is no rise
KEPT_WINDOWS = 2 * WINDOWS - 1  # every other one of them is a window of its own


@dataclass(slots=True)
class Counts:
    """Attempts that ended, those of them without an answer within the SLO (``bad``), and without any (``failed``)."""

    ended: float = 0.0
    bad: float = 0.0
    failed: float = 0.0

    def after(self, kept: float, signals: CellSignals, late=True) -> Counts:
        """Return the counts of which the share ``kept`` is left, and the observation's."""
        bad = signals.bad if late else signals.failed
        ended = self.ended * kept + signals.good + bad
        return Counts(ended, self.bad * kept + bad, self.failed * kept + signals.failed)

    def plus(self, other: Counts) -> Counts:
        """Return the sums."""
        return Counts(self.ended + other.ended, self.bad + other.bad, self.failed + other.failed)


@dataclass(slots=True)
class RouteMemory:
    """The memory of one route.

    ``long`` and ``short`` count the attempts since the last cut; they fade with ``LONG_SECONDS`` and ``SHORT_SECONDS``.
    ``log_p95`` is the usual one, in the logarithm of milliseconds. ``at_ms_of`` and ``typical_of`` hold the last
    windows: their times, and the means of their latencies' logarithms; ``error_of`` those means' standard errors.
    ``deviation`` is the standard deviation of a single latency's logarithm in the last one.
    """

    at_ms: int = 0
    long: Counts = field(default_factory=Counts)
    short: Counts = field(default_factory=Counts)
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


def follow(memory: RouteMemory, signals: CellSignals, at_ms: int, late=True, rate=10.0) -> RouteMemory:
    """Return the memory after one more observation. Pure."""
    seconds = min(60.0, max(0.0, (at_ms - memory.at_ms) / 1000)) if memory.at_ms else 0.0
    long_seconds = LONG_SECONDS if memory.long.ended > FADE_ATTEMPTS else SPARSE_SECONDS
    if not late: memory = replace(memory, long=replace(memory.long, ended=memory.long.ended - (memory.long.bad - memory.long.failed), bad=memory.long.failed))
    after = replace(
        memory,
        at_ms=at_ms,
        long=memory.long.after(math.exp(-seconds / long_seconds), signals, late),
        short=memory.short.after(math.exp(-seconds / SHORT_SECONDS), signals),
    )
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


def forgotten(memory: RouteMemory) -> RouteMemory:
    """Return the memory without its counts: what a cut was based on is not used for the next one."""
    return replace(memory, long=Counts(), short=Counts())
