"""Habituation: an anomaly's score is reduced by the number of past ones that were as large."""

from __future__ import annotations

import math

EPISODE_SURPRISE = 2.0  # the smallest surprise that belongs to an episode
GAP_SAMPLES = 30  # a gap of this many samples ends an episode
FORGET_SAMPLES = 20_000  # decay constant: the samples after which an episode counts 1/e
AS_LARGE = 0.9  # a past peak of at least this share of the surprise counts as as large
EPISODES_MAX = 24


class Episodes:
    """Remembers the peaks of past episodes. A surprise is divided by (1 + number of peaks as large) ** ``strength``."""

    __slots__ = ("last", "peaks", "strength")

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self.peaks: list[tuple[int, float]] = []  # (sample number, largest surprise), the current one last
        self.last: int | None = None

    def update(self, surprise: float, now: int) -> float:
        """Return the reduced surprise of sample number ``now``, and remember the surprise."""
        if surprise < EPISODE_SURPRISE:
            return surprise
        current = self.last is not None and now - self.last < GAP_SAMPLES
        past = self.peaks[:-1] if current else self.peaks
        as_large = sum(self._weight(at, now) for at, peak in past if peak >= AS_LARGE * surprise)
        if not current:
            self._begin(now, surprise)
        elif surprise > self.peaks[-1][1]:
            self.peaks[-1] = (self.peaks[-1][0], surprise)
        self.last = now
        return surprise / math.pow(1 + as_large, self.strength)

    @staticmethod
    def _weight(at: int, now: int) -> float:
        return math.exp((at - now) / FORGET_SAMPLES)

    def _begin(self, now: int, surprise: float) -> None:
        if len(self.peaks) == EPISODES_MAX:
            self.peaks.remove(min(self.peaks, key=lambda one: one[1] * self._weight(one[0], now)))
        self.peaks.append((now, surprise))

    def state(self) -> list[float | None]:
        """Return the numbers for ``restore``."""
        return [self.last, *(number for peak in self.peaks for number in peak)]

    def restore(self, state: list[float | None]) -> None:
        """Continue from ``state``. Raises ValueError for too many episodes or an incomplete one."""
        last, *flat = state
        numbers = [float(number or 0) for number in flat]
        if len(numbers) % 2 or len(numbers) > 2 * EPISODES_MAX:
            raise ValueError("the stored episodes are not whole")
        self.peaks = [(int(at), peak) for at, peak in zip(numbers[::2], numbers[1::2], strict=True)]
        self.last = None if last is None else int(last)
