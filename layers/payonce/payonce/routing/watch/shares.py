"""How unusual a share of answers is: the beta-binomial tail of its count, beside the usual share.

A binomial tail alone would take an ordinary day for an anomaly: shares differ from quarter to quarter by more than
chance, with the hour and with who buys. The beta-binomial distribution has that spread as its second parameter, and is
exact for few answers, where a share of 40 is no measure and a normal approximation is wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Self

WARM_UP = 96  # learned samples, a day, before any is judged
FORGET_SAMPLES = 7 * 96  # a week: the weight of a sample falls to 1/e, so that every weekday counts
UNUSUAL_DIGITS = 5.0  # -log10 of the tail's probability: see docs/route-watch.md for the false alarms that it gives
SPREAD_MIN = 1e-6  # an intra-class correlation; below it the beta-binomial is the binomial
NEGLIGIBLE = 1e-12  # of the tail's sum: terms below it are not added
MAX_SUM = 1e18  # bounds a stored sum: a week of quarter hours with a million answers each, in pairs
RANGE_DEVIATIONS = 2.0  # the usual range reaches as many standard deviations to both sides


@dataclass(slots=True)
class UsualShare:
    """The usual share of one kind of answers, learned from counts, and its spread. ``rising`` is the unusual side."""

    learned: int = 0
    answers: float = 0.0  # decayed sums, as are the following
    counted: float = 0.0
    excess: float = 0.0  # of the squared deviations over what a binomial has, in units of p(1-p)
    pairs: float = 0.0  # of answers within a sample
    rising: bool = field(kw_only=True)

    @property
    def share(self) -> float:
        """The usual share. A half answer of each kind is added: no share is 0 or 1 for certain."""
        return (self.counted + 0.5) / (self.answers + 1)

    @property
    def spread(self) -> float:
        """The intra-class correlation of the answers in a sample, by the method of moments."""
        return min(0.5, max(SPREAD_MIN, self.excess / self.pairs)) if self.pairs else SPREAD_MIN

    def digits(self, count: int, answers: int) -> float:
        """Return -log10 of the probability of a count as far on the unusual side; 0 while too little was learned."""
        if self.learned < WARM_UP:
            return 0.0
        if self.rising:
            return _tail_digits(count, answers, self.share, self.spread)
        return _tail_digits(answers - count, answers, 1 - self.share, self.spread)

    def learn(self, count: int, answers: int) -> None:
        """Learn a usual sample."""
        kept = 1 - 1 / FORGET_SAMPLES
        share = self.share
        variance = share * (1 - share)
        deviation = (count - answers * share) ** 2 / variance - answers
        self.excess = self.excess * kept + (deviation if self.learned else 0.0)
        self.pairs = self.pairs * kept + answers * (answers - 1)
        self.answers = self.answers * kept + answers
        self.counted = self.counted * kept + count
        self.learned += 1

    def usual_range(self, answers: int) -> tuple[float, float]:
        """Return (low, high) of the usual share in a sample of so many answers: two standard deviations each way."""
        variance = self.share * (1 - self.share) * (1 + (answers - 1) * self.spread) / answers
        reach = RANGE_DEVIATIONS * math.sqrt(variance)
        return max(0.0, self.share - reach), min(1.0, self.share + reach)

    def to_json(self) -> list[float]:
        """Return the stored form."""
        return [self.learned, self.answers, self.counted, self.excess, self.pairs]

    @classmethod
    def from_json(cls, stored: Any, *, rising: bool) -> Self:
        """Return the share of a stored form, the inverse of ``to_json``. Raises ``ValueError`` for anything else."""
        learned, answers, counted, excess, pairs = stored
        if type(learned) is not int or not all(isinstance(number, (int, float)) for number in stored):
            raise ValueError("a stored share has numbers")
        sums = 0 <= counted <= answers <= MAX_SUM and 0 <= pairs <= MAX_SUM and abs(excess) <= MAX_SUM  # nor NaN
        if learned < 0 or not sums:
            raise ValueError("a stored share has impossible numbers")
        return cls(*stored, rising=rising)


def _tail_digits(count: int, answers: int, share: float, spread: float) -> float:
    """Return -log10 of P(X >= count) of the beta-binomial with mean ``share`` and intra-class correlation ``spread``.

    Returns 0 for a count up to the mean, which is on the usual side.
    """
    if count <= answers * share:
        return 0.0
    precision = 1 / spread - 1
    a, b = share * precision, (1 - share) * precision
    log_first = (
        math.lgamma(answers + 1) - math.lgamma(count + 1) - math.lgamma(answers - count + 1)
        + math.lgamma(count + a) + math.lgamma(answers - count + b) - math.lgamma(answers + precision)
        + math.lgamma(precision) - math.lgamma(a) - math.lgamma(b)
    )  # fmt: skip
    total = term = 1.0  # in units of the first term
    for k in range(count, answers):
        term *= (answers - k) / (k + 1) * (k + a) / (answers - k - 1 + b)
        total += term
        if term < NEGLIGIBLE * total:
            break
    return max(0.0, -(log_first + math.log(total)) / math.log(10))
