"""Seasonal profiles: the usual level at each hour of the day, and of the week."""

from __future__ import annotations

from payonce.domain.durations import HOUR_MS
from payonce.routing.watch.running import RunningScale

HOURS_PER_DAY = 24
HOURS_PER_WEEK = 168
DAILY_RATE = 0.25  # learning rate: the share by which an hour's level moves towards that hour of one day
WEEKLY_RATE = 0.4  # higher, because each hour occurs only once a week
SCALE_SPAN = 300  # samples


class HourProfile:
    """The usual level at each hour of a cycle (UTC), and the scale of deviations from it."""

    __slots__ = ("levels", "rate", "scale")

    def __init__(self, hours: int, rate: float) -> None:
        self.rate = rate
        self.levels: list[float | None] = [None] * hours
        self.scale = RunningScale(SCALE_SPAN)

    def update(self, value: float, hour: int, passed_ms: int) -> float | None:
        """Return the distance of ``value`` from its hour's level in units of the scale, then learn it.

        ``hour`` counts from the epoch; ``passed_ms`` is the time since the last sample. Returns None for a new hour.
        """
        slot = hour % len(self.levels)
        level = self.levels[slot]
        if level is None:
            self.levels[slot] = value
            return None
        deviation = value - level
        judged = self.scale.ratio(deviation) if self.scale.deviations.count else None
        self.scale.update(deviation)
        self.levels[slot] = level + self.rate * min(1.0, passed_ms / HOUR_MS) * deviation
        return judged

    def state(self) -> list[list[float | None]]:
        """Return the numbers for ``restore``."""
        return [list(self.levels), [*self.scale.state()]]

    def restore(self, state: list[list[float | None]]) -> None:
        """Continue from ``state``. Raises ValueError for a cycle of another length."""
        levels, scale = state
        if len(levels) != len(self.levels):
            raise ValueError("the stored profile is of another cycle")
        self.levels = [None if level is None else float(level) for level in levels]
        self.scale.restore([float(number or 0) for number in scale])
