"""The two exact tests of the detector: the binomial test of a share, and the Beta posterior of a rate."""

from __future__ import annotations

import math

_TINY = 1e-300
_MAX_TERMS = 300  # the continued fraction converges in about sqrt(max(a, b)) terms
_CONVERGED = 1e-12


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return P(X <= x) for X ~ Beta(a, b): the regularised incomplete beta function, by Lentz's continued fraction."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x),
    )
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / _away_from_zero(1 + even * d), _away_from_zero(1 + even / c)
        result *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _away_from_zero(1 + odd * d), _away_from_zero(1 + odd / c)
        result *= d * c
        if abs(d * c - 1) < _CONVERGED:
            break
    return result


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


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
