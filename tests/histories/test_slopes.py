"""Slopes: a leak is found in noise, noise is not called flat, and readings that resemble each other count for less."""

from __future__ import annotations

from random import Random

import pytest

from histories.slopes import HOUR_SECONDS, Verdict, slope_of, student

DRAWS = 400
POINTS = 20


def series(
    random: Random, *, per_hour: float = 0.0, noise: float = 1.0, likeness: float = 0.0
) -> list[tuple[float, float]]:
    """Return 20 minutes of values whose noise keeps ``likeness`` of the one before."""
    found, error = [], random.gauss(0, noise)
    for minute in range(POINTS):
        found.append((60.0 * minute, 100 + per_hour * minute / 60 + error))
        error = likeness * error + random.gauss(0, noise * (1 - likeness**2) ** 0.5)
    return found


def test_a_line_has_its_slope_and_no_error() -> None:
    found = slope_of([(at, 5 + 2 * at) for at in range(10)])
    assert found.per_hour == pytest.approx(2 * HOUR_SECONDS)
    assert found.error == pytest.approx(0, abs=1e-6)
    assert found.mean == 14


@pytest.mark.parametrize(
    ("per_hour", "noise", "expected"),
    [
        (0, 0.1, Verdict.FLAT),
        (20, 0.1, Verdict.GROWS),
        (0, 50, Verdict.UNCLEAR),
        (20, 50, Verdict.UNCLEAR),
        (-20, 0.1, Verdict.FLAT),
    ],
)
def test_flat_excludes_growth_and_noise_is_no_proof_of_it(per_hour: float, noise: float, expected: Verdict) -> None:
    """Fails when "no growth was found" counts as flat."""
    assert slope_of(series(Random(1), per_hour=per_hour, noise=noise)).verdict(8) is expected


@pytest.mark.parametrize(("likeness", "at_least"), [(0.0, 0.93), (0.5, 0.82)])
def test_the_interval_holds_the_truth_nearly_as_often_as_it_says(likeness: float, at_least: float) -> None:
    """Of twenty readings the likeness is known badly: 88 % instead of 95. It is 75 % when each counts in full."""
    random = Random(7)
    slopes = [slope_of(series(random, per_hour=3, likeness=likeness)) for _ in range(DRAWS)]
    held = sum(abs(slope.per_hour - 3) <= slope.error for slope in slopes)
    assert held > at_least * DRAWS


@pytest.mark.parametrize(("freedom", "expected"), [(2, 4.303), (4, 2.776), (10, 2.228), (30, 2.042), (1000, 1.962)])
def test_students_quantiles_are_those_of_the_tables(freedom: float, expected: float) -> None:
    assert student(freedom) == pytest.approx(expected, rel=0.03)


def test_few_points_have_no_slope() -> None:
    with pytest.raises(ValueError, match="too few"):
        slope_of([(0, 1), (1, 2)])
    with pytest.raises(ValueError, match="one time"):
        slope_of([(1.0, float(number)) for number in range(8)])
