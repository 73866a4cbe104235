"""The exact test agrees with sums that can be done by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.detection.significance import binomial_tail, surprise


@given(st.integers(1, 60), st.integers(0, 60), st.floats(0.001, 0.5))
def test_the_binomial_tail_is_the_sum_of_its_terms(trials: int, successes: int, share: float) -> None:
    successes = min(successes, trials)
    terms = [math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(successes, trials + 1)]
    expected = 1.0 if successes <= trials * share else sum(terms)
    assert binomial_tail(successes, trials, share) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_seven_slow_of_seven_are_nine_zeros() -> None:
    assert surprise(7, 7, 0.05) == pytest.approx(-7 * math.log10(0.05))
    assert surprise(0, 100, 0.05) == 0.0
