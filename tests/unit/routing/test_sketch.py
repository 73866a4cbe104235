"""Sketches merge in any order, and their quantiles are as accurate as they say."""

from __future__ import annotations

import math
from statistics import pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.signals.sketch import RELATIVE_ACCURACY, LatencySketch

latencies = st.lists(st.integers(1, 600_000), min_size=1, max_size=200)


def sketch_of(values: list[int]) -> LatencySketch:
    sketch = LatencySketch()
    for value in values:
        sketch.add(value)
    return sketch


@given(latencies, st.floats(0, 1))
def test_a_quantile_is_within_the_relative_accuracy(values: list[int], quantile: float) -> None:
    exact = sorted(values)[int(quantile * (len(values) - 1))]
    assert sketch_of(values).quantile_ms(quantile) == pytest.approx(exact, rel=RELATIVE_ACCURACY + 1e-9)


@given(latencies, latencies)
def test_merging_is_counting_both(one: list[int], other: list[int]) -> None:
    merged = sketch_of(one)
    merged.merge(sketch_of(other))
    assert merged.to_pairs() == sketch_of(other + one).to_pairs()
    assert merged.total == len(one) + len(other)


@given(latencies)
def test_stored_and_read_it_is_the_same(values: list[int]) -> None:
    sketch = sketch_of(values)
    assert LatencySketch.from_pairs(sketch.to_pairs()).to_pairs() == sketch.to_pairs()


@given(latencies)
def test_the_moments_of_the_logarithms_are_within_the_relative_accuracy(values: list[int]) -> None:
    """Fails when a bucket stands for another value than its middle."""
    mean, deviation = sketch_of(values).log_moments()
    logs = [math.log(value) for value in values]
    assert mean == pytest.approx(sum(logs) / len(logs), abs=RELATIVE_ACCURACY + 1e-3)
    assert deviation == pytest.approx(pstdev(logs), abs=RELATIVE_ACCURACY + 1e-3)


def test_an_empty_sketch_has_no_moments() -> None:
    assert LatencySketch().log_moments() == (0.0, 0.0)


@pytest.mark.parametrize("pairs", [[[1.5, 1]], [[1, 0]], [[1, -1]], [["1", 1]], [[1]]])
def test_what_is_no_sketch_is_refused(pairs: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"pairs|unpack"):
        LatencySketch.from_pairs(pairs)
