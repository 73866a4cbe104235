"""Has a route's typical latency left what is usual, since when, and where will it be within the horizon?

The exact test of the detector asks about the tail, and says yes when a ramp has gone half of its way. The typical
latency (the geometric mean) says so sooner: a slow-down moves all answers, and the mean of forty is known within 6 %.
So it is followed with a cumulative sum (Page, *Continuous inspection schemes*, Biometrika 41, 1954): what a window is
above the usual, in standard deviations, less what is forgiven, is added up, and never falls below zero::

    window   · ˙ . · ˙ · . · ˙ ˙ ¨ ¨ ¨
    sum      0 0 0 0 1 0 0 0 1 2 4 6 9    from RISING_CHANGE on it has left what is usual
                           └─┴─┴─┴─┴─┘    since the last zero it is on its way: its trend is that of these steps
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.routing.detection.baseline import Baseline
    from payonce.routing.signals.observation import CellSignals

CHANGE_DRIFT = 1.0  # standard deviations of a window that are forgiven
MOST_DEVIATION = 5.0  # that one window counts: a burst of a few seconds is no trend
RISING_CHANGE = 3.0  # chance has it in a few steps of a day: it matters when a miss is projected, too
DOUBTFUL_CHANGE = 2.0  # enough to stop learning
MAX_CHANGE = 10.0  # so that it is over about two minutes after the trouble
ENOUGH_SAMPLES = 40  # in a window: fewer may be one bad second, seen by every window that overlaps it
MOST_COUNTED = 400  # samples: beyond, what moves the mean is weather, which more samples don't make less
LEAST_SPREAD = 0.04  # the variance of one log latency: nothing is steadier than 20 %
TREND_STEPS = 5  # 20 s: less is a queue that comes and goes
KEPT_STEPS = 7  # about 30 s at one step in 5 s
AHEAD_SECONDS = 60.0  # the forecast's horizon
PROJECTED_FROM = 0.25  # of log latency below the SLO: from there on, one window in a few misses it by chance
PROJECTED_SCALE = 0.25  # the projection's own uncertainty, in the same unit


def follow(following: Baseline, signals: CellSignals, log_typical: float) -> float:
    """Take in this window; return by how many standard deviations it is slower than usual. 0 until that is known."""
    total, deviation = signals.sketch.total, 0.0
    if following.warm and total:
        error = math.sqrt(following.spread / min(total, MOST_COUNTED))
        deviation = (log_typical - following.log_typical) / error
    if total < ENOUGH_SAMPLES:
        following.recent_at_ms, following.recent_log_typical, following.change = [], [], 0.0
        return deviation
    if following.warm:
        # The window overlaps its predecessor: only the share of it that is new is counted.
        share = min(1.0, (signals.good + signals.bad) / total)
        step = share * (min(deviation, MOST_DEVIATION) - CHANGE_DRIFT)
        following.change = min(MAX_CHANGE, max(0.0, following.change + step))
    kept = KEPT_STEPS if following.change > 0 else 1
    following.recent_at_ms = [*following.recent_at_ms, following.at_ms][-kept:]
    following.recent_log_typical = [*following.recent_log_typical, log_typical][-kept:]
    return deviation


def is_rising(following: Baseline) -> bool:
    """Whether the typical latency has left what is usual."""
    return following.change >= RISING_CHANGE


def slope_per_second(following: Baseline) -> float:
    """The trend since the change began, in log latency, by least squares. 0 before ``TREND_STEPS`` of it."""
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
    """From 0 to 1: how far the p95 will be beyond (or nearly beyond) the SLO within the horizon, if this goes on.

    ``drift`` is how much slower than usual it is now, ``slope`` its trend per second, ``distance`` how far the usual
    p95 is from the SLO; all of it in log latency.
    """
    beyond = drift + slope * AHEAD_SECONDS - max(0.0, distance) + PROJECTED_FROM
    return 1 - math.exp(-max(0.0, beyond) / PROJECTED_SCALE)
