"""The rules that keep routes from swinging: trust is lost at once, and earned back by a bounded factor a second."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payonce.routing.control.routing_settings import RoutingSettings
from payonce.routing.decision import levels
from payonce.routing.decision.levels import CUT, DEMOTED, LEAST, RAISE, RAISE_FROM, RELAPSE_SECONDS, WHOLE, Level

STEP_SECONDS = 2.0


def settings_of(hold_seconds: int = 60) -> RoutingSettings:
    return RoutingSettings(neutral={"alder": 0.5, "birch": 0.5}, hold_seconds=hold_seconds)


@dataclass
class Course:
    level: Level = field(default_factory=Level)
    settings: RoutingSettings = field(default_factory=settings_of)
    now_ms: int = 1_000_000_000_000

    def trust(self, trusted: float, *, seconds: float = STEP_SECONDS) -> float:
        self.now_ms += int(seconds * 1000)
        self.level = levels.step(self.level, trusted, seconds=seconds, now_ms=self.now_ms, settings=self.settings)
        return self.level.level

    def demote_and_restore(self) -> float:
        """Return with what time constant the counts of the demoted route faded."""
        self.trust(0.0)
        fade_seconds = self.level.fade_seconds
        for _ in range(1_000):
            if self.trust(1.0) == 1:
                return fade_seconds
        raise AssertionError("it never came back")


@given(st.floats(0, 1), st.floats(0, CUT, exclude_max=True), st.floats(0, 100))
def test_what_is_not_trusted_is_lost_at_once(before: float, trusted: float, seconds: float) -> None:
    """Fails when a level falls by steps: each second of it sends payments to a gateway that fails."""
    course = Course(Level(max(LEAST, before)))
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
    assert course.level.level == pytest.approx(trusted)


def test_a_route_that_is_not_trusted_at_all_keeps_a_way() -> None:
    """Fails without a least level: a method whose routes all lost everything would have no weights."""
    assert 0 < Course().trust(0.0) <= 0.01


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0, 60.0])), max_size=100))
def test_whatever_is_trusted_a_level_is_a_share_and_rises_by_a_bounded_factor_a_second(
    seen: list[tuple[float, float]],
) -> None:
    course = Course()
    for trusted, seconds in seen:
        before = course.level.level
        after = course.trust(trusted, seconds=seconds)
        assert 0 < after <= 1
        assert after <= max(LEAST, trusted) or trusted >= (WHOLE if before < 1 else CUT)
        assert after <= max(RAISE_FROM, before * RAISE**seconds) + 1e-12
        assert course.level.fade_seconds <= max(levels.MAX_FADE_SECONDS, 2 * course.settings.hold_seconds)


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
    often, seldom = Course(Level(0.1)), Course(Level(0.1))
    for _ in range(8):
        often.trust(1.0, seconds=1.0)
    for _ in range(2):
        seldom.trust(1.0, seconds=4.0)
    assert often.level.level == pytest.approx(seldom.level.level)
    assert 0.1 < often.level.level <= 1
    assert Course(Level(0.1)).trust(1.0, seconds=0.0) == 0.1, "a step without a second"


@pytest.mark.parametrize("seconds", [3_600.0, 86_400.0, 10.0**9])
def test_after_a_long_while_without_payments_a_level_is_a_share(seconds: float) -> None:
    """Fails with an OverflowError: a power of the seconds of a quiet night is beyond any float."""
    assert Course(Level(0.1)).trust(1.0, seconds=seconds) == 1


def test_only_what_has_less_than_half_counts_as_demoted() -> None:
    assert not Level((1 + DEMOTED) / 2).demoted
    assert not Level(DEMOTED).demoted
    assert Level(DEMOTED / 2).demoted
    course = Course(Level((1 + DEMOTED) / 2))
    course.trust(1.0)
    assert (course.level.fade_seconds, course.level.restored_at_ms) == (0.0, 0), "it was not demoted"


@pytest.mark.parametrize("hold_seconds", [1, 60, 900])
def test_the_counts_of_a_demoted_route_fade_as_the_operator_has_set(hold_seconds: int) -> None:
    one, twice = Course(settings=settings_of(hold_seconds)), Course(settings=settings_of(2 * hold_seconds))
    assert 0 < 2 * one.demote_and_restore() == twice.demote_and_restore()


@given(st.integers(1, 86_400), st.integers(2, 12))
@example(3_600, 2)
def test_a_relapse_fades_no_sooner_than_the_time_before_and_not_for_ever(hold_seconds: int, times: int) -> None:
    """Fails when a relapse is as the first time: with a gateway that is down now and then, routes would flip."""
    course = Course(settings=settings_of(hold_seconds))
    fades = [course.demote_and_restore() for _ in range(times)]
    assert all(later >= sooner for sooner, later in pairwise(fades))
    assert fades[1] > fades[0] or fades[0] >= levels.MAX_FADE_SECONDS
    assert fades[-1] <= max(fades[0], levels.MAX_FADE_SECONDS)


def test_after_a_calm_while_a_demotion_is_the_first_one_again() -> None:
    course = Course()
    first, relapse = course.demote_and_restore(), course.demote_and_restore()
    assert relapse > first
    course.trust(1.0, seconds=RELAPSE_SECONDS + 60)
    assert course.demote_and_restore() == first


def test_while_it_is_demoted_its_fading_stays_as_it_is() -> None:
    """Fails when every step below half counts as a demotion of its own."""
    course = Course()
    course.demote_and_restore()
    course.trust(0.0)
    fade_seconds = course.level.fade_seconds
    for trusted in (0.1, 0.0, 0.3, 0.0):
        course.trust(trusted)
        assert course.level.demoted
        assert course.level.fade_seconds == fade_seconds
