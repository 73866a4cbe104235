"""The exact binomial test of a share."""

from __future__ import annotations

import math

_CONVERGED = 1e-12  # of the sum: a smaller term changes nothing


def binomial_tail(successes: int, trials: int, share: float) -> float:
    """Return P(at least ``successes`` of ``trials``) for a probability ``share`` each; 1.0 up to the expected count."""
    if successes <= trials * share or successes == 0:
        return 1.0
    odds = share / (1 - share)
    log_ways = math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    term = math.exp(log_ways + successes * math.log(share) + (trials - successes) * math.log1p(-share))
    tail = term
    for k in range(successes, trials):  # beyond the mean every term is smaller than the one before
        term *= odds * (trials - k) / (k + 1)
        tail += term
        if term < tail * _CONVERGED:
            break
    return min(1.0, tail)


def surprise(successes: int, trials: int, share: float) -> float:
    """Return ``-log10`` of the p-value ``binomial_tail``, at most 30."""
    tail = binomial_tail(successes, trials, share)
    return 30.0 if tail < 1e-30 else max(0.0, -math.log10(tail))
