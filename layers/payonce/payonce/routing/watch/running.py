"""Online statistics of a stream, in constant memory and one pass; the state is a plain list of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

TAIL_SHARE = 0.1  # the tail lies above the quantile that this share of the samples exceeds
TAIL_SHAPE = 0.1  # shape of the generalised Pareto tail: a little heavier than exponential, as latencies are
TAIL_STEP_SHARE = 3.0  # factor of the quantile's step, which is in mean excesses, times the rate and the share
TAIL_WARM_UP = 30  # samples for the first estimate of the tail, of which three lie in it
SURPRISE_MAX = 30.0  # cap: a tail estimate can't support a smaller p-value than 1e-30
EXCESS_MIN = 1e-6  # keeps the first exceedance finite for a statistic that has never moved
OUTLIER = 5.0  # a deviation is clipped to this multiple of the scale before it updates the scale
SCALE_WARM_UP = 20  # deviations before any is clipped
RATIO_MAX = 1e6
STILL_RATIO = 50.0  # the ratio of a first deviation, after a scale of 0: far in every tail, yet comparable


@dataclass(slots=True)
class RunningMean:
    """An exponentially weighted mean over about ``span`` samples; the arithmetic mean while there are fewer."""

    span: float
    mean: float = 0.0
    count: int = 0

    def update(self, value: float) -> float:
        """Add one sample and return the mean."""
        self.count += 1
        self.mean += max(1 / self.span, 1 / self.count) * (value - self.mean)
        return self.mean

    def state(self) -> list[float]:
        """Return the numbers for ``restore``."""
        return [self.mean, self.count]

    def restore(self, state: list[float]) -> None:
        """Continue from ``state``."""
        mean, count = state
        self.mean, self.count = float(mean), int(count)


@dataclass(slots=True)
class RunningScale:
    """The mean absolute deviation over about ``span`` samples, clipped so that one outlier can't inflate it."""

    span: float
    deviations: RunningMean = field(init=False)

    def __post_init__(self) -> None:
        self.deviations = RunningMean(self.span)

    def ratio(self, deviation: float) -> float:
        """Return the size of a deviation in units of the scale."""
        size, scale = abs(deviation), self.deviations.mean
        if size == 0:
            return 0.0
        return min(size / scale, RATIO_MAX) if scale > 0 else STILL_RATIO

    def update(self, deviation: float) -> None:
        """Add one deviation."""
        size, scale = abs(deviation), self.deviations.mean
        if self.deviations.count > SCALE_WARM_UP and scale > 0:
            size = min(size, OUTLIER * scale)
        self.deviations.update(size)

    def state(self) -> list[float]:
        """Return the numbers for ``restore``."""
        return self.deviations.state()

    def restore(self, state: list[float]) -> None:
        """Continue from ``state``."""
        self.deviations.restore(state)


class TailSurprise:
    """How surprising a statistic is against its own past: ``-log10`` of the p-value, by an estimate of the tail.

    The method is peaks over threshold (Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD
    2017) with a fixed shape: the quantile is tracked by stochastic approximation, the excesses by their running mean.
    Below the quantile the surprise is 0, so that ordinary samples contribute nothing.
    """

    __slots__ = ("count", "exceeding", "excess", "first", "quantile")

    def __init__(self) -> None:
        self.count = 0
        self.exceeding = 0
        self.quantile = 0.0
        self.excess = 0.0
        self.first: list[float] = []

    def update(self, value: float) -> float:
        """Return the surprise of ``value`` against the past samples, then add it to them."""
        self.count += 1
        if self.count <= TAIL_WARM_UP:
            self.first.append(value)
            if self.count == TAIL_WARM_UP:
                self._begin()
            return 0.0
        beyond = value - self.quantile
        surprise = 0.0
        rate = max(0.3 / self.count**0.6, 0.004) * TAIL_STEP_SHARE
        if beyond > 0:
            growth = math.log10(1 + TAIL_SHAPE * beyond / self.excess) / TAIL_SHAPE
            surprise = min(growth - math.log10(TAIL_SHARE), SURPRISE_MAX)
            self.quantile += self.excess * rate * (1 - TAIL_SHARE)
            self.exceeding += 1
            self.excess += max(1 / (self.exceeding + 3), 0.02) * (min(beyond, 20 * self.excess) - self.excess)
        else:
            self.quantile -= self.excess * rate * TAIL_SHARE
        return surprise

    def _begin(self) -> None:
        ranked = sorted(self.first)
        self.quantile = ranked[-3]
        above = (ranked[-1] + ranked[-2]) / 2 - self.quantile
        self.excess = max(EXCESS_MIN, above, 0.3 * (self.quantile - ranked[len(ranked) // 2]))
        self.first = []

    def state(self) -> list[float]:
        """Return the numbers for ``restore``."""
        return [self.count, self.exceeding, self.quantile, self.excess, *self.first]

    def restore(self, state: list[float]) -> None:
        """Continue from ``state``."""
        count, exceeding, quantile, excess, *first = state
        self.count, self.exceeding = int(count), int(exceeding)
        self.quantile, self.excess, self.first = float(quantile), float(excess), [float(value) for value in first]
