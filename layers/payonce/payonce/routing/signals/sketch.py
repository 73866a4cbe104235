"""A mergeable sketch of latencies: counts in logarithmic buckets, after DDSketch (Masson et al., VLDB 2019)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RELATIVE_ACCURACY = 0.02  # of a quantile; far below the 6 % by which the mean of forty answers varies
MAX_LATENCY_MS = 600_000  # ten minutes, longer than any lease; bounds the number of buckets to about 330
_GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
_LOG_MIDDLE = math.log(2 / (_GAMMA + 1))  # log of a bucket's value, less bucket * _LOG_GAMMA


class LatencySketch:
    """Counts per bucket. Merging adds counts, so that it is commutative and associative."""

    __slots__ = ("counts", "total")

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts = dict(counts or {})
        self.total = sum(self.counts.values())

    def add(self, latency_ms: float) -> None:
        """Count one latency, which is clamped to 1 .. ``MAX_LATENCY_MS`` milliseconds."""
        bucket = math.ceil(math.log(min(latency_ms, MAX_LATENCY_MS)) / _LOG_GAMMA) if latency_ms > 1 else 0
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += 1

    def merge(self, other: LatencySketch) -> None:
        """Add the other's counts to this one."""
        counts = self.counts
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count
        self.total += other.total

    def quantile_ms(self, quantile: float) -> float:
        """Return the latency at ``quantile`` (0..1), within ``RELATIVE_ACCURACY``. 0 when empty."""
        rank = quantile * (self.total - 1)
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen > rank:
                return float(2 * _GAMMA**bucket / (_GAMMA + 1))
        return 0.0

    def log_moments(self) -> tuple[float, float]:
        """Return the mean and the standard deviation of the milliseconds' logarithms; zeros when empty.

        The mean is robust against a few slow answers, while a slow-down of all answers shifts it fully.
        """
        if not self.total:
            return 0.0, 0.0
        mean = sum(bucket * count for bucket, count in self.counts.items()) / self.total
        square = sum((bucket - mean) ** 2 * count for bucket, count in self.counts.items()) / self.total
        return _LOG_GAMMA * mean + _LOG_MIDDLE, _LOG_GAMMA * math.sqrt(square)

    def to_pairs(self) -> list[list[int]]:
        """Return the stored form: pairs ``[bucket, count]``, sorted by bucket."""
        return [[bucket, self.counts[bucket]] for bucket in sorted(self.counts)]

    @classmethod
    def from_pairs(cls, pairs: Iterable[Iterable[int]]) -> LatencySketch:
        """Return the sketch of stored pairs, the inverse of ``to_pairs``. Raises ``ValueError`` for anything else."""
        counts = {}
        for bucket, count in pairs:
            if not isinstance(bucket, int) or not isinstance(count, int) or count < 1:
                raise ValueError("a sketch holds pairs of bucket and count")
            counts[bucket] = count
        return cls(counts)
