"""Whether a series grows: a least-squares slope with its uncertainty, and a verdict that has to exclude growth.

Successive readings of one process resemble each other, so that the usual error of a slope is far too small. It is
widened as climatology does for trends (Santer et al. 2000, https://doi.org/10.1029/1999JD901105, section 5): with
``r``, the lag-1 autocorrelation of the residuals, ``n`` readings count as ``n (1 - r) / (1 + r)``.

*Flat* is not "no growth was found", which a noisy series always is: the whole interval has to lie below what is
allowed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95  # of the interval, two-sided
FEWEST_POINTS = 8
FEWEST_EFFECTIVE = 4.0  # below, Student's t is so wide that the interval says it by itself
HOUR_SECONDS = 3600.0


class Verdict(StrEnum):
    """What an interval says about a limit."""

    FLAT = "flat"
    GROWS = "GROWS"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Slope:
    """The growth in an hour: ``per_hour`` plus or minus ``error`` (95 %), and the series' mean, in its unit."""

    per_hour: float
    error: float
    mean: float

    def verdict(self, most_per_hour: float) -> Verdict:
        """Return whether the growth is surely at most ``most_per_hour``, surely more, or neither."""
        if self.per_hour + self.error <= most_per_hour:
            return Verdict.FLAT
        return Verdict.GROWS if self.per_hour - self.error > most_per_hour else Verdict.UNCLEAR


def slope_of(points: Sequence[tuple[float, float]]) -> Slope:
    """Return the slope of (second, value). Raises ``ValueError`` for fewer than eight points, or no time between."""
    if len(points) < FEWEST_POINTS:
        raise ValueError(f"{len(points)} points are too few for a slope; {FEWEST_POINTS} are needed")
    times, values = [at for at, _ in points], [value for _, value in points]
    middle, mean = fmean(times), fmean(values)
    spread = sum((at - middle) ** 2 for at in times)
    if spread == 0:
        raise ValueError("all points are of one time")
    slope = sum((at - middle) * (value - mean) for at, value in points) / spread
    residuals = [value - mean - slope * (at - middle) for at, value in points]
    squares = sum(residual**2 for residual in residuals)
    effective = _effective(residuals, squares)
    freedom = effective - 2
    error = student(freedom) * math.sqrt(squares / freedom / spread)
    return Slope(HOUR_SECONDS * slope, HOUR_SECONDS * error, mean)


def _effective(residuals: Sequence[float], squares: float) -> float:
    """Return how many independent readings these are worth."""
    if squares == 0:
        return float(len(residuals))
    pairs = itertools.pairwise(residuals)
    likeness = max(0.0, sum(first * second for first, second in pairs) / squares)
    return max(FEWEST_EFFECTIVE, len(residuals) * (1 - likeness) / (1 + likeness))


def student(freedom: float) -> float:
    """Return Student's t for the confidence, within 3 % from 2 on (Abramowitz and Stegun 26.7.5)."""
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))
