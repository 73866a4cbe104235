"""A ramp seen ahead: the share of late payments that a route's rising latency leads to within a minute."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from payonce.routing.detection.memory import KEPT_WINDOWS, WINDOWS, RouteMemory

if TYPE_CHECKING:
    from collections.abc import Iterable

AHEAD_SECONDS = 60.0  # how far ahead a rise is projected
LEAST_DEVIATION = 0.05  # of a log latency
LEAST_RISE = 0.03  # of the mean log latency from one window to the next; less will not matter within AHEAD_SECONDS


def late_ahead(memory: RouteMemory, others: Iterable[RouteMemory], slo_ms: float) -> float:
    """Return the share (0..1) of the route's payments that will be late within ``AHEAD_SECONDS``.

    It is 0 unless the mean latency rose through four windows of ten seconds in a row, each time significantly, and
    more than that of the ``others``, of which there has to be one that is known as well. A step, however high, is no
    rise: it is judged by its late answers.
    """
    changes = [change for change in map(_change, others) if change is not None]
    rise = _rise(memory) - max(0.0, min(changes)) if changes else 0.0
    if rise < LEAST_RISE * (WINDOWS - 1):
        return 0.0
    seconds = (memory.at_ms_of[-1] - memory.at_ms_of[0]) / 1000
    distance = math.log(slo_ms) - memory.typical_of[-1] - rise / seconds * AHEAD_SECONDS
    return 0.5 * math.erfc(distance / max(LEAST_DEVIATION, memory.deviation) / math.sqrt(2))


def _rise(memory: RouteMemory) -> float:
    """Return how much the mean log latency rose over the last four windows; 0 unless it rose from each to the next."""
    typical, error = memory.typical_of[::-2], memory.error_of[::-2]  # every other one, from the newest back
    if len(typical) < WINDOWS:
        return 0.0
    for number in range(WINDOWS - 1):
        if typical[number] - typical[number + 1] < max(LEAST_RISE, math.hypot(error[number], error[number + 1])):
            return 0.0
    return typical[0] - typical[WINDOWS - 1]


def _change(memory: RouteMemory) -> float | None:
    """Return the change of the mean log latency over the last four windows, ``None`` while there are less."""
    return memory.typical_of[-1] - memory.typical_of[0] if len(memory.typical_of) == KEPT_WINDOWS else None
