"""Thompson sampling of routes, all draws of a step at once: which share of its payments each route is trusted with.

The counts of a route say how many of its payments may be bad: the draws of that share follow the gamma posterior of a
Poisson rate. A route takes part in a draw if its share is no worse than the best one's, within a tolerance, and those
that take part have their neutral weights. So what befalls all gateways alike moves nothing, few answers leave much
open, and a route that nobody has asked for a while is tried again as its counts fade. The draws are the same ones in
every step, so that the same counts give the same shares, and a decision replays to the same bytes.

Sources: Thompson, Biometrika 25, 1933; the discounting of Raj and Kalyani, arXiv:1707.09727; the quantiles of Wilson
and Hilferty, PNAS 17, 1931.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import compress
from operator import le
from random import Random
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from payonce.routing.control.routing_settings import MAX_GATEWAYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.routing.detection.memory import Counts

DRAWS = 64  # a share is accurate to 6 %, and four gateways with three methods take a millisecond a step
PRIOR = 1.0  # a good and a bad payment that nobody saw: a route without data is neither trusted nor given up
NOTHING = 0.1  # fewer bad payments than this, at the worst route, are no reason to draw

type Judged = tuple[float, float]  # good and bad attempts


class Question(NamedTuple):
    """How one kind of bad payment is judged.

    A route takes part in a draw if its bad share is at most ``margin``, and the share that was counted of the last
    route of the better half, above the least one drawn. A route with fewer attempts than ``pooled`` is judged by those
    of its gateway's other methods, too.
    """

    margin: float
    pooled: float


# What ends without an answer is in doubt, and somebody has to look for it: little is tolerated, and soon.
FAILED = Question(margin=0.006, pooled=60.0)
# A late answer is an answer, and chance and a short queue cause it, too: it takes more to move payments for it.
LATE = Question(margin=0.015, pooled=30.0)


def _shuffled(number: int) -> list[float]:
    quantiles = [NormalDist().inv_cdf((k + 0.5) / DRAWS) for k in range(DRAWS)]
    Random(number).shuffle(quantiles)  # noqa: S311  (each gateway its own order, so that their draws are independent)
    return quantiles


_QUANTILES = [_shuffled(number) for number in range(MAX_GATEWAYS)]


def levels(counts: Mapping[str, Judged], neutral: Mapping[str, float], asked: Question) -> dict[str, float]:
    """Return for each gateway the part (0..1) of its neutral weight that the draws leave it. Pure.

    ``counts`` are those of each gateway with a neutral weight.
    """
    if max(bad for _, bad in counts.values()) < NOTHING:
        return dict.fromkeys(counts, 1.0)
    drawn = [_draws(*counts[name], quantiles) for name, quantiles in zip(counts, _QUANTILES, strict=False)]
    weights = [neutral[name] for name in counts]
    # Where all are bad, chance makes large differences, and the luckiest of many routes says little of the others.
    bad_shares = sorted(bad / max(1.0, good + bad) for good, bad in counts.values())
    usual = bad_shares[max(0, len(bad_shares) // 2 - 1)]
    tolerated = asked.margin + usual
    mosts = [min(one) + tolerated for one in zip(*drawn, strict=True)]
    shares = [0.0] * len(weights)
    for taking_part, times in Counter(zip(*[map(le, one, mosts) for one in drawn], strict=True)).items():
        whole = sum(compress(weights, taking_part))
        for number in compress(range(len(weights)), taking_part):
            shares[number] += times * weights[number] / whole
    return {name: min(1.0, share / DRAWS / weight) for name, share, weight in zip(counts, shares, weights, strict=True)}


def pooled(own: Counts, others: Counts, asked: Question) -> Counts:
    """Return a route's ``own`` counts, made up to ``asked.pooled`` attempts by its gateway's ``others``."""
    missing = max(0.0, asked.pooled - own.total)
    return own.plus(others, min(1.0, missing / others.total)) if others.total else own


def _draws(good: float, bad: float, quantiles: list[float]) -> list[float]:
    shape = PRIOR + bad
    middle, spread = 1 - 1 / (9 * shape), 1 / (3 * math.sqrt(shape))
    well = PRIOR + good
    # Positive: the lowest quantile is -2.4, and a shape is at least 1.
    return [(one := shape * (middle + spread * quantile) ** 3) / (well + one) for quantile in quantiles]
