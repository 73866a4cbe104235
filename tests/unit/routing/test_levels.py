"""The rules that keep routes from swinging: trust is lost at once, earned back by good answers, and later each time."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.control.routing_settings import RoutingSettings
from payonce.routing.decision import levels
from payonce.routing.decision.levels import Level
from payonce.routing.detection.verdict import LEAST_SHARE, Forecast, Verdict

SETTINGS = RoutingSettings(neutral={"alder": 0.5, "birch": 0.5})
STEP_MS = 2_000
HOLD_STEPS = -(-SETTINGS.hold_seconds * 1000 // STEP_MS)
RAISE_STEPS = -(-int(levels.RAISE_SECONDS * 1000) // STEP_MS)
BAD_SHARE = 0.2


def verdict(*drivers: str, bad_share: float = BAD_SHARE) -> Verdict:
    return Verdict(bool(drivers), 0, 0, LEAST_SHARE, Forecast(bad_share, 0.01, 5.0, drivers))


WELL, LATE = verdict(), verdict("late")


class Course:
    def __init__(self) -> None:
        self.level, self.now_ms = Level(), 1_000_000_000_000

    def see(self, seen: Verdict, good: int = 0, bad: int = 0, *, steps: int = 1) -> float:
        for _ in range(steps):
            self.now_ms += STEP_MS
            self.level = levels.step(self.level, seen, good, bad, now_ms=self.now_ms, settings=SETTINGS)
        return self.level.level

    def steps_until_whole(self) -> int:
        for step in range(1, 10_000):
            if self.see(WELL, good=2) >= 1:
                return step
        raise AssertionError("it never came back")

    def relapse(self) -> float:
        """Be demoted again and whole again; return the hold."""
        self.see(LATE)
        self.steps_until_whole()
        return self.level.hold_seconds


def test_a_route_that_is_worse_is_left_with_probes_at_once() -> None:
    course = Course()
    assert course.see(WELL, steps=10) == 1
    assert course.see(LATE) == levels.PROBED
    assert course.level.hold_seconds == SETTINGS.hold_seconds


@pytest.mark.parametrize(("driver", "is_loadless"), [("failing", True), ("hanging", True), ("late", False)])
def test_what_no_smaller_load_mends_is_noted(driver: str, is_loadless: bool) -> None:
    course = Course()
    course.see(verdict(driver))
    assert course.level.is_loadless == is_loadless


def test_a_demotion_remembers_how_bad_it_was() -> None:
    """Fails when the share is that of the probes: the demoted route would be the better one."""
    course = Course()
    course.see(LATE)
    course.see(verdict("late", bad_share=BAD_SHARE / 2))
    course.see(verdict(bad_share=0.9))
    assert course.level.bad_share == BAD_SHARE
    course.see(verdict("late", bad_share=2 * BAD_SHARE))
    assert course.level.bad_share == 2 * BAD_SHARE, "the worst of this trouble"
    course.steps_until_whole()
    course.see(verdict("late", bad_share=BAD_SHARE / 2))
    assert course.level.bad_share == BAD_SHARE / 2, "and not of the last one"


def test_trust_comes_back_after_the_hold_and_by_doubling() -> None:
    course = Course()
    course.see(LATE)
    assert course.see(WELL, good=1, steps=max(HOLD_STEPS, levels.GOOD_ANSWERS) - 1) == levels.PROBED
    assert course.see(WELL, good=1) == levels.RAISE_FROM
    raised = []
    while course.level.level < 1:
        raised.append(course.level.level)
        before = course.now_ms
        while course.see(WELL, good=1) == raised[-1]:
            pass
        assert course.now_ms - before == RAISE_STEPS * STEP_MS
    assert all(after == levels.RAISE * before for before, after in pairwise(raised))


def test_trust_needs_good_answers_and_not_only_time() -> None:
    """Fails when time alone restores: at a few probes a minute, a gateway that fails a quarter looks well by chance."""
    course = Course()
    course.see(LATE)
    assert course.see(WELL, steps=10 * HOLD_STEPS) == levels.PROBED
    for _ in range(levels.GOOD_ANSWERS - 1):
        assert course.see(WELL, good=1) == levels.PROBED
    assert course.see(WELL, good=1) == levels.RAISE_FROM


def test_a_bad_probe_makes_it_wait_anew() -> None:
    course = Course()
    course.see(LATE)
    course.see(WELL, good=1, steps=levels.GOOD_ANSWERS - 1)
    assert course.see(WELL, bad=1) == levels.PROBED
    assert (course.level.good, course.level.bad) == (0, 0)
    assert course.see(WELL, good=1, steps=max(HOLD_STEPS, levels.GOOD_ANSWERS) - 1) == levels.PROBED
    assert course.see(WELL, good=1) == levels.RAISE_FROM


def test_one_bad_answer_among_very_many_is_chance() -> None:
    """Fails when it is not: with one answer in hundreds late by nature, a well gateway would never have its share."""
    course = Course()
    course.see(LATE)
    course.see(WELL, good=30, steps=HOLD_STEPS)
    before = course.level.level
    course.see(WELL, good=30, bad=1)
    assert course.level.level >= before > levels.PROBED


def test_on_the_way_up_a_bad_answer_beyond_chance_takes_everything_again() -> None:
    """Fails when a relapse has to be proved like the first trouble: each one costs that many payments again."""
    course = Course()
    course.see(LATE)
    while course.level.level < levels.HALF:
        course.see(WELL, good=1)
    hold = course.level.hold_seconds
    assert course.see(WELL, good=2, bad=2) == levels.PROBED
    assert course.level.hold_seconds > hold, "it had half of its share: a relapse"
    low = Course()
    low.see(LATE)
    while low.see(WELL, good=1) == levels.PROBED:
        pass
    assert low.see(WELL, bad=2) == levels.PROBED
    assert low.level.hold_seconds == SETTINGS.hold_seconds, "it had next to nothing: no flip, and no longer hold"


def test_a_gateway_that_fails_a_seventh_is_seldom_trusted() -> None:
    """Fails when fewer good answers are enough, or a bad one takes back less."""
    luck, trusted, courses = Random(5), 0, 300
    for _ in range(courses):
        course = Course()
        course.see(LATE)
        course.now_ms += 1000 * SETTINGS.hold_seconds
        for _ in range(levels.GOOD_ANSWERS):
            bad = luck.random() < 1 / 7
            course.see(WELL, good=not bad, bad=bad)
        trusted += course.level.level > levels.PROBED
    assert trusted < 0.2 * courses


def test_every_relapse_waits_longer_up_to_a_limit() -> None:
    """Fails when the hold does not grow: a square wave would flip the route with every period."""
    course = Course()
    holds = [course.relapse() for _ in range(6)]
    assert holds[0] == SETTINGS.hold_seconds
    assert all(later > sooner for sooner, later in pairwise(holds))
    assert all(later <= levels.RELAPSE_FACTOR * sooner for sooner, later in pairwise(holds))
    for _ in range(40):
        course.see(WELL, good=2, steps=900)
        course.relapse()
        assert course.level.hold_seconds <= levels.MAX_HOLD_SECONDS


def test_what_was_short_is_waited_for_shortly() -> None:
    """Fails when the hold knows only how often it relapsed: the hold would soon be longer than the trouble."""
    course = Course()
    for _ in range(6):
        course.see(LATE)
        lasted_seconds = (course.now_ms - course.level.began_at_ms) / 1000
        assert course.level.hold_seconds <= SETTINGS.hold_seconds + levels.HOLD_SHARE * lasted_seconds
        course.steps_until_whole()


def test_after_a_calm_while_the_first_hold_holds_again() -> None:
    course = Course()
    for _ in range(3):
        course.relapse()
    assert course.level.hold_seconds > SETTINGS.hold_seconds
    course.see(WELL, good=2, steps=int(levels.RELAPSE_SECONDS * 1000 / STEP_MS))
    assert course.relapse() == SETTINGS.hold_seconds


steps = st.tuples(st.sampled_from([WELL, LATE, verdict("failing")]), st.integers(0, 20), st.integers(0, 3))


@given(st.lists(steps, max_size=300))
def test_whatever_is_seen_a_level_is_a_share_and_its_hold_is_bounded(seen: list[tuple[Verdict, int, int]]) -> None:
    course = Course()
    for one, good, bad in seen:
        before = course.level.level
        course.see(one, good, bad)
        assert 0 < course.level.level <= 1
        assert course.level.level <= max(levels.RAISE_FROM, levels.RAISE * before)
        assert course.level.hold_seconds <= levels.MAX_HOLD_SECONDS
