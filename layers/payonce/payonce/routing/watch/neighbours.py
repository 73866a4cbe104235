"""How unusual a latency is: the distance of its last hour from the nearest hours of the last two weeks.

The detector is k-nearest-neighbours on the last four log values. An unusual hour is not learned, so that an incident is
as unusual when it comes again; but it is remembered for its time of day. So what comes at the same hour on three days,
a nightly job or what lasts, is usual there on the fourth. docs/route-watch.md has the measurements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Self

from payonce.domain.durations import DAY_MS, HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

PATTERN = 4  # values, an hour: tells a level, a drift and a jump apart
NEAREST = 3  # the distance is that to the third nearest: one or two may be near by chance
MEMORY = 14 * 96  # values, two weeks of quarter hours: each weekday twice
WARM_UP = 96  # learned patterns, a day, before any value is judged
UNUSUAL_RATIO = 19.3  # times the median distance: fitted on labelled latencies, docs/route-watch.md
SCALE = 1000  # values are kept as thousandths of the natural logarithm: whole numbers are small, and restored exactly
DISTANCE_MIN = 20  # thousandths: 2 %, the sketch's accuracy, so that a series that stands still alarms at no rounding
RANGE_SHARES = (0.025, 0.975)  # the usual range has 95 % of the learned values
QUARTER_MS = 15 * MINUTE_MS  # the resolution of the stored times
MAX_SCALED = 10**6  # bounds a stored number; e**1000 ms is no latency
_UNUSUAL, _NO_PATTERN = -1, -2  # in the place of a distance
_FAR = MAX_SCALED**2  # the square of a distance that is none, while too few patterns were learned


@dataclass(frozen=True, slots=True)
class Judged:
    """A value, and how unusual the pattern is that ends with it: from a ``ratio`` of 1 on it is.

    Ratios are in units of ``UNUSUAL_RATIO`` median distances, and 0 while fewer than ``WARM_UP`` patterns were learned.
    """

    scaled: int
    at_ms: int
    distance: int  # to the learned patterns alone
    ratio: float  # with the unusual ones of this time of day
    ratio_alone: float  # without: what is usual at one time of day is not learned for the others


@dataclass(slots=True)
class Neighbours:
    """The memory of one series of positive values. A gap has no value: it is not given, and nothing fills it."""

    unusual_ratio: float = UNUSUAL_RATIO
    values: list[int] = field(default_factory=list)
    quarters: list[int] = field(default_factory=list)  # when: quarters of an hour since the epoch
    distances: list[int] = field(default_factory=list)  # of the pattern that ends at the value, when it was learned

    def judge(self, value: float, at_ms: int) -> Judged:
        """Return how unusual ``value`` is at ``at_ms``. Raises ``ValueError`` unless it is positive and finite."""
        if not 0 < value < math.inf:
            raise ValueError(f"not a positive number: {value!r}")
        scaled = round(SCALE * math.log(value))
        alone, here = self._distances(scaled, at_ms) if len(self.values) >= PATTERN - 1 else (_NO_PATTERN, _NO_PATTERN)
        learned = sorted(distance for distance in self.distances if distance >= 0)
        if len(learned) < WARM_UP:
            return Judged(scaled, at_ms, alone, 0.0, 0.0)
        usual = max(_median(learned), DISTANCE_MIN) * self.unusual_ratio
        return Judged(scaled, at_ms, alone, here / usual, alone / usual)

    def add(self, judged: Judged) -> None:
        """Append a judged value. The pattern that ends with it is learned if it is usual at any time of day."""
        learned = judged.ratio_alone < 1
        self.values.append(judged.scaled)
        self.quarters.append(judged.at_ms // QUARTER_MS)
        self.distances.append(judged.distance if learned else _UNUSUAL)
        if len(self.values) > MEMORY:
            del self.values[0], self.quarters[0], self.distances[0]

    def _distances(self, newest: int, at_ms: int) -> tuple[int, int]:
        """Return the distance to the learned patterns alone, and with the unusual ones of this time of day."""
        a, b, c = self.values[1 - PATTERN :]
        nearest = [_FAR] * NEAREST
        recurring = dict[int, int]()
        firsts, seconds, thirds, lasts = (self.values[i:] for i in range(PATTERN))
        known = zip(firsts, seconds, thirds, lasts, self.quarters[3:], self.distances[3:], strict=False)
        for first, second, third, last, quarter, distance in known:
            square = (newest - last) ** 2
            if square >= nearest[-1] or distance == _NO_PATTERN:
                continue  # most are far by their last value alone
            square += (a - first) ** 2 + (b - second) ** 2 + (c - third) ** 2
            if distance == _UNUSUAL:
                days, off_ms = divmod(at_ms - quarter * QUARTER_MS + HOUR_MS, DAY_MS)
                if days > 0 and off_ms <= 2 * HOUR_MS:  # within an hour of its time of day, and once a day
                    recurring[days] = min(square, recurring.get(days, square))
            elif square < nearest[-1]:
                nearest = sorted([*nearest[:-1], square])
        here = sorted([*nearest, *recurring.values()])[NEAREST - 1]
        return math.isqrt(nearest[-1]), math.isqrt(here)

    def usual_range(self) -> tuple[float, float]:
        """Return (low, high) of the learned values, of which 95 % lie between; (0, 0) before any is learned."""
        pairs = zip(self.values, self.distances, strict=True)
        learned = sorted(value for value, distance in pairs if distance >= 0)
        if not learned:
            return 0.0, 0.0
        low, high = (math.exp(learned[round(share * (len(learned) - 1))] / SCALE) for share in RANGE_SHARES)
        return low, high

    def to_json(self) -> list[list[int]]:
        """Return the stored form. Times are kept as steps, which are nearly all 1 and pack to nothing."""
        steps = [later - earlier for earlier, later in pairwise([0, *self.quarters])]
        return [self.values, steps, self.distances]

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """Return the memory of a stored form, the inverse of ``to_json``. Raises ``ValueError`` for anything else."""
        values, steps, distances = stored
        if not len(values) == len(steps) == len(distances) <= MEMORY:
            raise ValueError("the stored latencies are not whole")
        if not all(type(number) is int and abs(number) <= MAX_SCALED for number in (*values, *steps[1:], *distances)):
            raise ValueError("a stored latency is no whole number in its bounds")
        if any(type(step) is not int or step < 0 for step in steps):
            raise ValueError("a stored latency has no time")
        return cls(values=list(values), quarters=list(accumulate(steps)), distances=list(distances))


def _median(ranked: Sequence[int]) -> float:
    # Not the statistics module: its import adds 5 ms to a start (python -X importtime), for fractions and decimals.
    return (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
