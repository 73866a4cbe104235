"""Measures how rarely a series has been in its present range of values."""

from __future__ import annotations

import math

from payonce.routing.watch.running import RunningMean

BINS = 8  # within the range so far; there is one more on either side for values outside
FIRST_SAMPLES = 20  # samples that define the first range
SHRINK = 0.0002  # at each sample the range shrinks by this share towards the long mean, to forget extremes in thousands
RARITY_SPAN = 20  # samples averaged: a stay at a rare level counts more than a visit
COUNT_MAX = 32_768  # counts are halved at this total, so that the distant past fades


class RangeHistogram:
    """Counts per eighth of the range. Coarse on purpose: only moves that are large against the whole range are rare."""

    __slots__ = ("count", "counts", "high", "low", "smoothed")

    def __init__(self) -> None:
        self.low = self.high = 0.0
        self.counts = [0] * (BINS + 2)
        self.count = 0
        self.smoothed = RunningMean(RARITY_SPAN)

    def update(self, value: float, usual: float) -> float | None:
        """Return the recent mean of ``-ln`` of the share of samples in the value's bin, then count it.

        ``usual`` is the long mean. Returns None for the first samples.
        """
        if not self.count:
            self.low = self.high = value
        self.count += 1
        rarity = self._rarity(value) if self.count > FIRST_SAMPLES else None
        self.low = min(self.low, value)
        self.high = max(self.high, value)
        self.low += (usual - self.low) * SHRINK
        self.high += (usual - self.high) * SHRINK
        return rarity

    def _rarity(self, value: float) -> float:
        slot = self._bin(value)
        total = sum(self.counts)
        share = (self.counts[slot] + 0.5) / (total + BINS / 2)
        self.counts[slot] += 1
        if total >= COUNT_MAX:
            self.counts = [count // 2 for count in self.counts]
        return self.smoothed.update(-math.log(share))

    def _bin(self, value: float) -> int:
        if value < self.low:
            return BINS
        if value > self.high:
            return BINS + 1
        width = self.high - self.low
        return min(BINS - 1, int(BINS * (value - self.low) / width)) if width > 0 else 0

    def state(self) -> list[float]:
        """Return the numbers for ``restore``."""
        return [self.low, self.high, self.count, *self.smoothed.state(), *self.counts]

    def restore(self, state: list[float]) -> None:
        """Continue from ``state``. Raises ValueError for another number of bins."""
        low, high, count, mean, seen, *counts = state
        if len(counts) != BINS + 2:
            raise ValueError("the stored histogram has another number of bins")
        self.low, self.high, self.count = float(low), float(high), int(count)
        self.smoothed.restore([mean, seen])
        self.counts = [int(number) for number in counts]
