"""Detects a change of a route's typical latency, dates its begin, and projects it to the forecast's horizon.

The detector's exact test looks at the tail, and is positive only half-way through a ramp. The typical latency (the
geometric mean) shows it sooner: a slow-down moves all answers, and the mean of forty is accurate to 6 %. It is
monitored by a CUSUM (Page, *Continuous inspection schemes*, Biometrika 41, 1954): each window's deviation from the
usual, in standard deviations less an allowance, is added to a sum that never falls below zero::

    window   · ˙ . · ˙ · . · ˙ ˙ ¨ ¨ ¨
    sum      0 0 0 0 1 0 0 0 1 2 4 6 9    at RISING_CHANGE it has left the usual range
                           └─┴─┴─┴─┴─┘    the change began at the last zero: the trend is fitted to these steps
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.routing.detection.baseline import Baseline
    from payonce.routing.signals.observation import CellSignals

CHANGE_DRIFT = 1.0  # the CUSUM's allowance per window, in standard deviations
MOST_DEVIATION = 5.0  # the most that one window counts, in standard deviations, so that a short burst is no trend
RISING_CHANGE = 3.0  # chance reaches it in a few steps a day, so it counts only together with a projected miss
DOUBTFUL_CHANGE = 2.0  # learning stops here
MAX_CHANGE = 10.0  # caps the sum, so that it is back to zero about two minutes after the trouble
ENOUGH_SAMPLES = 40  # per window; in fewer, one bad second dominates every window that overlaps it
MOST_COUNTED = 400  # samples per window: beyond, the mean's variation is no sampling error and shrinks no further
LEAST_SPREAD = 0.04  # lower bound of the variance of a log latency: a standard deviation of 20 %
TREND_STEPS = 5  # 20 s: a shorter rise is a queue that comes and goes
KEPT_STEPS = 7  # about 30 s at one step in 5 s
AHEAD_SECONDS = 60.0  # the forecast's horizon
PROJECTED_FROM = 0.25  # log latency below the SLO from which a window may miss it by chance
PROJECTED_SCALE = 0.25  # the projection's own uncertainty, in log latency


def follow(following: Baseline, signals: CellSignals, log_typical: float) -> float:
    """Add the window to the sum; return its deviation from the usual in standard deviations, 0 while unknown."""
    total, deviation = signals.sketch.total, 0.0
    if following.warm and total:
        error = math.sqrt(following.spread / min(total, MOST_COUNTED))
        deviation = (log_typical - following.log_typical) / error
    if total < ENOUGH_SAMPLES:
        following.recent_at_ms, following.recent_log_typical, following.change = [], [], 0.0
        return deviation
    if following.warm:
        # The window overlaps the previous one: only its new part is counted.
        share = min(1.0, (signals.good + signals.bad) / total)
        step = share * (min(deviation, MOST_DEVIATION) - CHANGE_DRIFT)
        following.change = min(MAX_CHANGE, max(0.0, following.change + step))
    kept = KEPT_STEPS if following.change > 0 else 1
    following.recent_at_ms = [*following.recent_at_ms, following.at_ms][-kept:]
    following.recent_log_typical = [*following.recent_log_typical, log_typical][-kept:]
    return deviation


def is_rising(following: Baseline) -> bool:
    """Return whether the typical latency has left the usual range."""
    return following.change >= RISING_CHANGE


def slope_per_second(following: Baseline) -> float:
    """Return the least-squares slope of the log latency per second since the change began; 0 before ``TREND_STEPS``."""
    at_ms, values = following.recent_at_ms, following.recent_log_typical
    count = len(values)
    if count < TREND_STEPS:
        return 0.0
    mean_at, mean_value = sum(at_ms) / count, sum(values) / count
    spread = sum((at - mean_at) ** 2 for at in at_ms)
    if not spread:
        return 0.0
    return 1000 * sum((at - mean_at) * (value - mean_value) for at, value in zip(at_ms, values, strict=True)) / spread


def projected(drift: float, slope: float, distance: float) -> float:
    """Return a score in [0, 1) for how far the p95 will exceed, or nearly reach, the SLO within the horizon.

    All arguments are in log latency: ``drift`` is how much slower than usual the route is now, ``slope`` its trend per
    second, ``distance`` how far the usual p95 is below the SLO.
    """
    beyond = drift + slope * AHEAD_SECONDS - max(0.0, distance) + PROJECTED_FROM
    return 1 - math.exp(-max(0.0, beyond) / PROJECTED_SCALE)
