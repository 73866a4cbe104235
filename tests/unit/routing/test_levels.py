"""The rules that keep routes from swinging: trust is lost at once, and earned back by a bounded factor a second."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.decision import levels
from payonce.routing.decision.levels import CUT, DEMOTED, LEAST, RAISE, RAISE_FROM, WHOLE

STEP_SECONDS = 2.0


class Course:
    def __init__(self, level: float = 1.0) -> None:
        self.level = level

    def trust(self, trusted: float, *, seconds: float = STEP_SECONDS) -> float:
        self.level = levels.step(self.level, trusted, seconds=seconds)
        return self.level


@given(st.floats(0, 1), st.floats(0, CUT, exclude_max=True), st.floats(0, 100))
def test_what_is_not_trusted_is_lost_at_once(before: float, trusted: float, seconds: float) -> None:
    """Fails when a level falls by steps: each second of it sends payments to a gateway that fails."""
    course = Course(max(LEAST, before))
    assert course.trust(min(trusted, before), seconds=seconds) == max(LEAST, min(trusted, before))


@given(st.floats(CUT, 1))
def test_a_doubt_that_may_be_chance_takes_nothing_from_a_route_that_is_well(trusted: float) -> None:
    """Fails without a cut that needs evidence: each pair of failures would move payments between equal gateways."""
    assert Course().trust(trusted) == 1


@given(st.floats(LEAST, WHOLE, exclude_max=True))
def test_a_route_that_was_cut_gets_no_more_than_it_is_trusted_with(trusted: float) -> None:
    """Fails when what ends a cut is what begins none: a failing route would have everything again between two cuts."""
    course = Course()
    course.trust(0.0)
    for _ in range(200):
        course.trust(trusted)
    assert course.level == pytest.approx(trusted)


def test_a_route_that_is_not_trusted_at_all_keeps_a_way() -> None:
    """Fails without a least level: a method whose routes all lost everything would have no weights."""
    assert 0 < Course().trust(0.0) <= 0.01


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0, 60.0])), max_size=100))
def test_whatever_is_trusted_a_level_is_a_share_and_rises_by_a_bounded_factor_a_second(
    seen: list[tuple[float, float]],
) -> None:
    course = Course()
    for trusted, seconds in seen:
        before = course.level
        after = course.trust(trusted, seconds=seconds)
        assert 0 < after <= 1
        assert after <= max(LEAST, trusted) or trusted >= (WHOLE if before < 1 else CUT)
        assert after <= max(RAISE_FROM, before * RAISE**seconds) + 1e-12


def test_a_level_comes_back_in_many_steps_and_does_come_back() -> None:
    """Fails when it comes back at once: a gateway that serves little would get all of its payments in a second."""
    course = Course()
    course.trust(0.0)
    seen = [course.trust(1.0) for _ in range(200)]
    steps = seen.index(1.0) + 1
    assert steps > 5
    assert steps <= 1 + math.ceil(math.log(1 / RAISE_FROM) / math.log(RAISE) / STEP_SECONDS)
    assert all(later >= sooner for sooner, later in pairwise(seen))


def test_how_fast_a_level_comes_back_does_not_depend_on_how_often_it_is_decided() -> None:
    """Fails when the factor is one of a step: a predictor that lags would be the more careful one, or the less."""
    often, seldom = Course(0.1), Course(0.1)
    for _ in range(8):
        often.trust(1.0, seconds=1.0)
    for _ in range(2):
        seldom.trust(1.0, seconds=4.0)
    assert often.level == pytest.approx(seldom.level)
    assert 0.1 < often.level <= 1
    assert Course(0.1).trust(1.0, seconds=0.0) == 0.1, "a step without a second"


@pytest.mark.parametrize("seconds", [3_600.0, 86_400.0, 10.0**9])
def test_after_a_long_while_without_payments_a_level_is_a_share(seconds: float) -> None:
    """Fails with an OverflowError: a power of the seconds of a quiet night is beyond any float."""
    assert Course(0.1).trust(1.0, seconds=seconds) == 1


def test_only_what_has_less_than_half_counts_as_demoted() -> None:
    assert [levels.is_demoted(level) for level in (1.0, (1 + DEMOTED) / 2, DEMOTED, DEMOTED / 2, LEAST)] == [
        *(False, False, False),
        *(True, True),
    ]
