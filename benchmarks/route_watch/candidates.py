"""The detectors that the watch is compared with. Each scores logarithms, one at a time, before it learns them."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from payonce.domain.durations import DAY_MS, HOUR_MS
from payonce.routing.watch.neighbours import DISTANCE_MIN, MEMORY, QUARTER_MS, SCALE, Neighbours

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.route_watch.corpus import Series
    from benchmarks.route_watch.score import Detector

FLOOR = DISTANCE_MIN / SCALE  # the least deviation that counts, for all alike
TWO_WEEKS_MS = 14 * DAY_MS
ENOUGH = 20  # deviations before any is judged


class Shipped:
    """The watch's own detector. The threshold is in median distances, as it is for the plain neighbours."""

    def __init__(self, threshold: float) -> None:
        self.memory = Neighbours(threshold)

    def score(self, log: float, at_ms: int) -> float:
        """See ``Detector``."""
        self.judged = self.memory.judge(math.exp(log), at_ms)
        return self.judged.ratio * self.memory.unusual_ratio

    def add(self, log: float, at_ms: int, *, usual: bool) -> None:
        """See ``Detector``."""
        self.memory.add(self.judged)


class WindowedGaussian:
    """Distance from the mean of the last two weeks, in standard deviations."""

    def __init__(self, window: int = MEMORY) -> None:
        self.values: deque[float] = deque()
        self.window, self.total, self.squares = window, 0.0, 0.0

    def score(self, log: float, at_ms: int) -> float:
        """See ``Detector``."""
        if len(self.values) < ENOUGH:
            return 0.0
        mean = self.total / len(self.values)
        variance = max(0.0, self.squares / len(self.values) - mean**2)
        return abs(log - mean) / max(FLOOR, math.sqrt(variance))

    def add(self, log: float, at_ms: int, *, usual: bool) -> None:
        """See ``Detector``."""
        if usual:
            self._count(log, 1)
            self.values.append(log)
        if len(self.values) > self.window:
            self._count(self.values.popleft(), -1)

    def _count(self, log: float, sign: int) -> None:
        self.total += sign * log
        self.squares += sign * log**2


class BandByHour:
    """A stand-in for CloudWatch's anomaly detection, whose algorithm is not published.

    Its documentation ("Using CloudWatch anomaly detection") says that a model of up to two weeks of data, with hourly,
    daily and weekly seasons, gives a band of expected values, and that the alarm's threshold is the band's width in
    standard deviations, 2 in its examples. Here the expected value is the mean of this hour of the week where two were
    seen, else of this hour of the day, and the deviation is that of the two weeks from what was expected.
    """

    def __init__(self) -> None:
        self.past: deque[tuple[int, float, float | None]] = deque()
        self.hours: dict[tuple[str, int], list[float]] = {}  # [count, sum]
        self.deviations, self.squares = 0, 0.0
        self.deviation: float | None = None

    def score(self, log: float, at_ms: int) -> float:
        """See ``Detector``."""
        while self.past and self.past[0][0] < at_ms - TWO_WEEKS_MS:
            self._count(*self.past.popleft(), -1)
        week, day = (self.hours.get(key, [0, 0.0]) for key in self._keys(at_ms))
        count, total = week if week[0] >= 2 else day
        self.deviation = log - total / count if count else None
        if self.deviation is None or self.deviations < ENOUGH:
            return 0.0
        return abs(self.deviation) / max(FLOOR, math.sqrt(max(0.0, self.squares) / self.deviations))

    def add(self, log: float, at_ms: int, *, usual: bool) -> None:
        """See ``Detector``."""
        if usual:
            self.past.append((at_ms, log, self.deviation))
            self._count(at_ms, log, self.deviation, 1)

    @staticmethod
    def _keys(at_ms: int) -> tuple[tuple[str, int], tuple[str, int]]:
        hour = at_ms // HOUR_MS
        return ("week", hour % 168), ("day", hour % 24)

    def _count(self, at_ms: int, log: float, deviation: float | None, sign: int) -> None:
        for key in self._keys(at_ms):
            entry = self.hours.setdefault(key, [0, 0.0])
            entry[0] += sign
            entry[1] += sign * log
        if deviation is not None:
            self.deviations += sign
            self.squares += sign * deviation**2


class PlainNeighbours:
    """k-nearest-neighbours and no more: the last four values, the third nearest, over the median of such distances.

    With ``shapes`` it is a streaming matrix profile: patterns of eight values are normalised to their mean and
    deviation, and the nearest one counts, that does not overlap.
    """

    def __init__(self, *, shapes: bool = False) -> None:
        self.length, self.nearest, self.delay = (8, 1, 8) if shapes else (4, 3, 0)
        self.shapes = shapes
        self.last: deque[float] = deque(maxlen=self.length)
        self.patterns = np.zeros((0, self.length))
        self.distances: list[float] = []
        self.waiting: deque[np.ndarray] = deque()

    def score(self, log: float, at_ms: int) -> float:
        """See ``Detector``."""
        self.last.append(log)
        if len(self.last) < self.length:
            return 0.0
        pattern = np.array(self.last)
        if self.shapes:
            pattern = (pattern - pattern.mean()) / max(FLOOR, float(pattern.std()))
        self.waiting.append(pattern)
        if len(self.patterns) < ENOUGH:
            return 0.0
        squares = ((self.patterns - pattern) ** 2).sum(axis=1)
        distance = math.sqrt(np.partition(squares, self.nearest - 1)[self.nearest - 1])
        self.distances = [*self.distances[1 - MEMORY :], distance]
        return distance / max(FLOOR, float(np.median(self.distances)))

    def add(self, log: float, at_ms: int, *, usual: bool) -> None:
        """See ``Detector``. Everything is learned."""
        if len(self.waiting) > self.delay:
            self.patterns = np.vstack([self.patterns[1 - MEMORY :], self.waiting.popleft()])


class HalfSpaceTrees:
    """Streaming half-space trees (Tan, Ting and Liu, IJCAI 2011) on the last four values: how empty their region is."""

    TREES, DEPTH, WINDOW, LENGTH, LEAF_SHARE = 25, 8, 250, 4, 0.1

    def __init__(self) -> None:
        self.random = np.random.default_rng(1)
        self.last: deque[float] = deque(maxlen=self.LENGTH)
        self.first: list[np.ndarray] = []
        self.nodes = 2 ** (self.DEPTH + 1) - 1
        self.trees = np.arange(self.TREES)
        self.learned = 0

    def score(self, log: float, at_ms: int) -> float:
        """See ``Detector``. The logarithm of the emptiness, which is at most 20."""
        self.last.append(log)
        if len(self.first) < LEARN_FIRST or len(self.last) < self.LENGTH:
            return 0.0
        masses = np.full(self.TREES, np.nan)
        for depth, node in enumerate(self._path(np.array(self.last))):
            mass = self.reference[self.trees, node]
            stops = np.isnan(masses) & ((mass < self.LEAF_SHARE * self.WINDOW) | (depth == self.DEPTH))
            masses[stops] = mass[stops] * 2**depth
        return 20 - math.log2(float(masses.mean()) + 1)

    def add(self, log: float, at_ms: int, *, usual: bool) -> None:
        """See ``Detector``. Everything is learned, in windows."""
        if len(self.last) < self.LENGTH:
            return
        pattern = np.array(self.last)
        if len(self.first) < LEARN_FIRST:
            self.first.append(pattern)
            if len(self.first) == LEARN_FIRST:
                self._grow(np.array(self.first))
            return
        for node in self._path(pattern):
            self.latest[self.trees, node] += 1
        self.learned += 1
        if self.learned % self.WINDOW == 0:
            self.reference, self.latest = self.latest, np.zeros_like(self.latest)

    def _grow(self, first: np.ndarray) -> None:
        shape = (self.TREES, self.nodes)
        self.features, self.cuts = self.random.integers(0, self.LENGTH, shape), np.zeros(shape)
        span = np.maximum(first.max(axis=0) - first.min(axis=0), FLOOR)
        for tree in self.trees:
            centre = self.random.random(self.LENGTH)
            reach = 2 * np.maximum(centre, 1 - centre)
            boxes = {0: (first.min(axis=0) + (centre - reach) * span, first.min(axis=0) + (centre + reach) * span)}
            for node in range(self.nodes):
                low, high = boxes.pop(node)
                feature = self.features[tree, node]
                cut = self.cuts[tree, node] = (low[feature] + high[feature]) / 2
                if 2 * node + 2 < self.nodes:
                    below, above = high.copy(), low.copy()
                    below[feature] = above[feature] = cut
                    boxes[2 * node + 1], boxes[2 * node + 2] = (low, below), (above, high)
        self.reference, self.latest = np.zeros(shape), np.zeros(shape)
        for pattern in first:
            for node in self._path(pattern):
                self.reference[self.trees, node] += self.WINDOW / LEARN_FIRST

    def _path(self, pattern: np.ndarray) -> list[np.ndarray]:
        nodes = [np.zeros(self.TREES, dtype=int)]
        for _ in range(self.DEPTH):
            node = nodes[-1]
            right = pattern[self.features[self.trees, node]] >= self.cuts[self.trees, node]
            nodes.append(2 * node + 1 + right)
        return nodes


LEARN_FIRST = 96  # patterns, from which the trees take their ranges


class Replayed:
    """Scores that depend on no threshold, by quarter of an hour: published ones, or those of what learns everything."""

    def __init__(self, scores: dict[int, float]) -> None:
        self.scores = scores

    def score(self, log: float, at_ms: int) -> float:
        """See ``Detector``."""
        return self.scores[at_ms // QUARTER_MS]

    def add(self, log: float, at_ms: int, *, usual: bool) -> None:
        """See ``Detector``. They are what they are."""


def once(make: Callable[[], Detector]) -> Callable[[Series, float], Detector]:
    """Return the detector scored once per series, however many thresholds are tried."""
    known: dict[tuple[str, int], dict[int, float]] = {}

    def replayed(series: Series, _threshold: float) -> Detector:
        key = series.name, len(series.logs)  # longer with its gaps
        if key not in known:
            detector, known[key] = make(), {}
            for log, at_ms in zip(series.logs, series.at_ms, strict=True):
                known[key][at_ms // QUARTER_MS] = detector.score(log, at_ms)
                detector.add(log, at_ms, usual=True)
        return Replayed(known[key])

    return replayed
