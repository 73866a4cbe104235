"""Running statistics of a stream: constant memory, one pass, and a state that is a plain list of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

TAIL_SHARE = 0.1  # the tail is what lies above the value that a tenth of the samples exceed
TAIL_SHAPE = 0.1  # of the generalised Pareto tail: a little heavier than exponential, as latencies are
TAIL_STEP_SHARE = 3.0  # the quantile moves by so many mean excesses, times the rate and the share
TAIL_WARM_UP = 30  # samples of which the tail is first estimated: three lie above it
SURPRISE_MAX = 30.0  # decimal digits: beyond, a tail estimate says nothing more
EXCESS_MIN = 1e-6  # keeps the first exceedance of a statistic that never moved finite
OUTLIER = 5.0  # a deviation counts into its scale as so many times the scale at the most
SCALE_WARM_UP = 20  # deviations before one can be called an outlier
RATIO_MAX = 1e6
STILL_RATIO = 50.0  # of a deviation where there was none before: far in every tail, yet comparable


@dataclass(slots=True)
class RunningMean:
    """An exponentially weighted mean over about ``span`` samples; the plain mean while there are fewer."""

    span: float
    mean: float = 0.0
    count: int = 0

    def update(self, value: float) -> float:
        """Take one sample in and return the mean."""
        self.count += 1
        self.mean += max(1 / self.span, 1 / self.count) * (value - self.mean)
        return self.mean

    def state(self) -> list[float]:
        """Numbers for ``restore``."""
        return [self.mean, self.count]

    def restore(self, state: list[float]) -> None:
        """Go on where ``state`` was taken."""
        mean, count = state
        self.mean, self.count = float(mean), int(count)


@dataclass(slots=True)
class RunningScale:
    """The mean absolute deviation over about ``span`` samples. One outlier can't inflate it."""

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
        """Take one deviation in."""
        size, scale = abs(deviation), self.deviations.mean
        if self.deviations.count > SCALE_WARM_UP and scale > 0:
            size = min(size, OUTLIER * scale)
        self.deviations.update(size)

    def state(self) -> list[float]:
        """Numbers for ``restore``."""
        return self.deviations.state()

    def restore(self, state: list[float]) -> None:
        """Go on where ``state`` was taken."""
        self.deviations.restore(state)


class TailSurprise:
    """How surprising a statistic is beside its own past: ``-log10`` of the probability of one as large.

    Peaks over threshold (Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017) with a
    fixed shape: the quantile is tracked by stochastic approximation, the excesses by their running mean. It is 0 below
    the quantile, so that the bulk of the samples contributes nothing.
    """

    __slots__ = ("count", "exceeding", "excess", "first", "quantile")

    def __init__(self) -> None:
        self.count = 0
        self.exceeding = 0
        self.quantile = 0.0
        self.excess = 0.0
        self.first: list[float] = []

    def update(self, value: float) -> float:
        """Return the surprise of ``value`` judged by what came before, then take it in."""
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
        """Numbers for ``restore``."""
        return [self.count, self.exceeding, self.quantile, self.excess, *self.first]

    def restore(self, state: list[float]) -> None:
        """Go on where ``state`` was taken."""
        count, exceeding, quantile, excess, *first = state
        self.count, self.exceeding = int(count), int(exceeding)
        self.quantile, self.excess, self.first = float(quantile), float(excess), [float(value) for value in first]
