"""A mergeable sketch of latencies: counts in logarithmic buckets, after DDSketch (Masson et al., VLDB 2019)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RELATIVE_ACCURACY = 0.02  # of a quantile's value: far below the 30 % that anything is decided on
MAX_LATENCY_MS = 600_000  # ten minutes: longer than any lease, so the number of buckets is bounded (about 330)
_GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)
_LOG_MIDDLE = math.log(2 / (_GAMMA + 1))  # of a bucket's value less its number's multiple of the former


def bucket_of(latency_ms: float) -> int:
    """The bucket of a latency. Less than a millisecond counts as one, more than ``MAX_LATENCY_MS`` as that."""
    if latency_ms <= 1:
        return 0
    return math.ceil(math.log(min(latency_ms, MAX_LATENCY_MS)) / _LOG_GAMMA)


class LatencySketch:
    """Counts per bucket. Merging is adding, so the order in which sketches are merged changes nothing."""

    __slots__ = ("counts", "total")

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})
        self.total = sum(self.counts.values())

    def add(self, latency_ms: float) -> None:
        """Count one latency."""
        bucket = bucket_of(latency_ms)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += 1

    def merge(self, other: LatencySketch) -> None:
        """Add the other's counts to this one."""
        counts = self.counts
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count
        self.total += other.total

    def quantile_ms(self, quantile: float) -> float:
        """The latency below which ``quantile`` of the counts lie, within ``RELATIVE_ACCURACY``. 0 when empty."""
        rank = quantile * (self.total - 1)
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen > rank:
                return _value(bucket)
        return 0.0

    def mean_ms(self) -> float:
        """The mean, within ``RELATIVE_ACCURACY``. 0 when empty."""
        if not self.total:
            return 0.0
        return sum(_value(bucket) * self.counts[bucket] for bucket in sorted(self.counts)) / self.total

    def mean_log(self) -> float:
        """The mean logarithm of the milliseconds, within ``RELATIVE_ACCURACY``. 0 when empty.

        Single slow ones pull least at it, and a slow-down of all shifts it as a whole.
        """
        if not self.total:
            return 0.0
        return _LOG_GAMMA * sum(bucket * count for bucket, count in self.counts.items()) / self.total + _LOG_MIDDLE

    def above(self, latency_ms: float) -> int:
        """How many lie above, by bucket: those in the latency's own bucket do not count."""
        bound = bucket_of(latency_ms)
        return sum(count for bucket, count in self.counts.items() if bucket > bound)

    def to_pairs(self) -> list[list[int]]:
        """``[bucket, count]`` in order: the form in which it is stored."""
        return [[bucket, self.counts[bucket]] for bucket in sorted(self.counts)]

    @classmethod
    def from_pairs(cls, pairs: Iterable[Iterable[int]]) -> LatencySketch:
        """The inverse of ``to_pairs``. Raises ``ValueError`` for anything that is not pairs of whole numbers."""
        counts = {}
        for bucket, count in pairs:
            if not isinstance(bucket, int) or not isinstance(count, int) or count < 1:
                raise ValueError("a sketch holds pairs of bucket and count")
            counts[bucket] = count
        return cls(counts)


def _value(bucket: int) -> float:
    return float(2 * _GAMMA**bucket / (_GAMMA + 1))
