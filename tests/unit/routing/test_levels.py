"""The rules that keep routes from swinging: confirmed, cut at once, given back by doubling, later after a relapse."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.control.routing_settings import RoutingSettings
from payonce.routing.decision import levels
from payonce.routing.decision.levels import Level, probing
from payonce.routing.detection.verdict import Forecast, Verdict

SETTINGS = RoutingSettings(neutral={"alder": 0.5, "birch": 0.5})
STEP_MS = 2_000
HOLD_STEPS = -(-SETTINGS.hold_seconds * 1000 // STEP_MS)
RAISE_STEPS = -(-int(levels.RAISE_SECONDS * 1000) // STEP_MS)
WAIT_STEPS = -(-int(levels.WAIT_SECONDS * 1000) // STEP_MS)


def verdict(
    *drivers: str, sure: bool = False, suspect: bool = False, answered: bool = True, blemished: bool = False
) -> Verdict:
    return Verdict(bool(drivers), sure, suspect, answered, blemished, Forecast(0.2, 0.01, 5.0, drivers))


WELL = verdict()
LATE = verdict("late")
SURE = verdict("late", sure=True)
FAILING = verdict("failing", suspect=True, blemished=True)
SUSPECT = verdict(suspect=True)
BLEMISHED = verdict(blemished=True)
SILENT = verdict(answered=False)


class Course:
    def __init__(self) -> None:
        self.level, self.now_ms = Level(), 1_000_000_000_000

    def see(self, seen: Verdict, steps: int = 1) -> float:
        for _ in range(steps):
            self.now_ms += STEP_MS
            self.level = levels.step(self.level, seen, now_ms=self.now_ms, settings=SETTINGS)
        return self.level.level

    def steps_until_whole(self) -> int:
        for step in range(1, 10_000):
            if self.see(WELL) >= 1:
                return step
        raise AssertionError("it never came back")

    def relapse(self) -> float:
        """Be demoted again and whole again; return the hold."""
        self.see(FAILING, levels.CONFIRMATIONS)
        self.steps_until_whole()
        return self.level.hold_seconds


def test_one_bad_window_is_not_believed() -> None:
    """Fails when a single step may cut."""
    course = Course()
    for _ in range(20):
        assert course.see(LATE) == 1
        assert course.see(WELL) == 1


def test_one_verdict_with_twice_the_evidence_is_believed() -> None:
    """Fails when certainty has to be confirmed: a hang costs two more seconds of payments in doubt."""
    assert Course().see(SURE) == levels.CUT


def test_the_second_cuts_and_the_next_cut_waits_for_the_effect() -> None:
    """Fails when every bad step cuts: the window still holds what was before the first cut."""
    course = Course()
    course.see(LATE)
    assert course.see(LATE) == levels.CUT
    assert course.see(LATE, WAIT_STEPS - 1) == levels.CUT
    assert course.see(LATE) == levels.CUT**2


@pytest.mark.parametrize("driver", sorted(levels.LOADLESS))
def test_what_no_smaller_load_mends_loses_all_but_probes_at_once(driver: str) -> None:
    """Fails when a gateway that hangs is cut step by step."""
    assert Course().see(verdict(driver, sure=True)) == levels.FLOOR


def test_it_never_falls_below_the_floor() -> None:
    assert Course().see(LATE, 1000) == levels.FLOOR


def test_a_demotion_remembers_how_bad_it_was() -> None:
    """Fails when the share is that of the probes: the demoted route would be the better one."""
    course = Course()
    course.see(LATE, levels.CONFIRMATIONS)
    assert course.level.bad_share == LATE.forecast.bad_share
    milder = Verdict(True, False, False, True, False, Forecast(0.05, 0.0, 5.0, ("late",)))
    course.see(milder, WAIT_STEPS)
    assert course.level.level == levels.CUT**2
    assert course.level.bad_share == LATE.forecast.bad_share, "the worst of this trouble"
    course.steps_until_whole()
    course.see(milder, levels.CONFIRMATIONS)
    assert course.level.bad_share == milder.forecast.bad_share, "and not of the last one"


def test_trust_comes_back_after_the_hold_and_by_doubling() -> None:
    course = Course()
    course.see(FAILING, levels.CONFIRMATIONS)
    assert course.see(WELL, HOLD_STEPS - 1) == levels.FLOOR
    assert course.see(WELL) == levels.RAISE_FROM
    raised = []
    while course.level.level < 1:
        raised.append(course.level.level)
        before = course.now_ms
        while course.see(WELL) == raised[-1]:
            pass
        assert course.now_ms - before == RAISE_STEPS * STEP_MS
    assert all(after == levels.RAISE * before for before, after in pairwise(raised))


def test_no_answer_is_no_good_answer() -> None:
    """Fails when time alone restores: a gateway without a single probe would get its share back."""
    course = Course()
    course.see(FAILING, levels.CONFIRMATIONS)
    assert course.see(SILENT, 10 * HOLD_STEPS) == levels.FLOOR
    assert course.see(WELL) == levels.RAISE_FROM


def test_a_bad_probe_makes_it_wait_anew() -> None:
    course = Course()
    course.see(FAILING, levels.CONFIRMATIONS)
    course.see(WELL, HOLD_STEPS - 1)
    assert course.see(BLEMISHED) == levels.FLOOR
    assert course.see(WELL, HOLD_STEPS - 1) == levels.FLOOR
    assert course.see(WELL) == levels.RAISE_FROM


def test_on_the_way_up_weak_evidence_is_enough() -> None:
    """Fails when a relapse has to be proved like the first trouble: each one costs that many payments again."""
    course = Course()
    course.see(FAILING, levels.CONFIRMATIONS)
    course.see(WELL, HOLD_STEPS + RAISE_STEPS)
    before = course.level.level
    assert levels.FLOOR < before < 1
    assert course.see(SUSPECT, levels.CONFIRMATIONS) == max(levels.FLOOR, before * levels.CUT)
    assert Course().see(SUSPECT, 100) == 1, "but not against a route that is trusted"


def test_a_blemish_on_the_way_up_does_not_stop_it() -> None:
    """Fails when one late answer in a minute of many keeps a well gateway waiting."""
    course = Course()
    course.see(FAILING, levels.CONFIRMATIONS)
    course.see(WELL, HOLD_STEPS)
    course.see(BLEMISHED, RAISE_STEPS)
    assert course.level.level == levels.RAISE * levels.RAISE_FROM


def test_every_relapse_waits_longer_up_to_a_limit() -> None:
    """Fails when the hold does not grow: a square wave would flip the route with every period."""
    course = Course()
    holds = [course.relapse() for _ in range(6)]
    assert holds[0] == SETTINGS.hold_seconds
    assert all(later > sooner for sooner, later in pairwise(holds))
    assert all(later <= levels.RELAPSE_FACTOR * sooner for sooner, later in pairwise(holds))
    for _ in range(40):
        course.see(FAILING, 20 * 60 * 1000 // STEP_MS)
        course.steps_until_whole()
        assert course.level.hold_seconds <= levels.MAX_HOLD_SECONDS


def test_what_was_short_is_waited_for_shortly() -> None:
    """Fails when the hold knows only how often it relapsed: the hold would soon be longer than the trouble."""
    course = Course()
    for _ in range(6):
        course.relapse()
        lasted_seconds = (course.level.acted_at_ms - course.level.began_at_ms) / 1000
        assert course.level.hold_seconds <= SETTINGS.hold_seconds + levels.HOLD_SHARE * lasted_seconds


def test_after_a_calm_while_the_first_hold_holds_again() -> None:
    course = Course()
    for _ in range(3):
        course.relapse()
    assert course.level.hold_seconds > SETTINGS.hold_seconds
    course.see(WELL, int(levels.RELAPSE_SECONDS * 1000 / STEP_MS))
    assert course.relapse() == SETTINGS.hold_seconds


def test_the_second_cut_of_one_trouble_is_no_relapse() -> None:
    """Fails when the hold grows with each cut on the way down."""
    course = Course()
    course.see(LATE, 100)
    assert course.level.level == levels.FLOOR
    assert course.level.hold_seconds == SETTINGS.hold_seconds


def test_probes_become_fewer_while_it_stays_bad_and_return_with_good_answers() -> None:
    course = Course()
    course.see(FAILING, levels.CONFIRMATIONS)
    assert course.level.level == levels.FLOOR
    shares = []
    for _ in range(100):
        course.see(FAILING)
        shares.append(probing(course.level, course.now_ms))
    assert all(later <= sooner for sooner, later in pairwise(shares))
    assert shares[0] < 1
    assert shares[-1] == levels.MIN_PROBING
    course.see(WELL, int(levels.PROBING_SECONDS * 1000) // STEP_MS + 1)
    assert probing(course.level, course.now_ms) == 1
    course.see(BLEMISHED)
    assert probing(course.level, course.now_ms) == levels.MIN_PROBING, "a bad one, and they are few again"


@given(st.lists(st.sampled_from([WELL, LATE, SURE, FAILING, SUSPECT, BLEMISHED, SILENT]), max_size=300))
def test_whatever_is_seen_a_level_is_a_share_and_its_hold_is_bounded(seen: list[Verdict]) -> None:
    course = Course()
    for one in seen:
        before = course.level
        course.see(one)
        assert levels.FLOOR <= course.level.level <= 1
        assert course.level.level <= max(levels.RAISE_FROM, levels.RAISE * before.level)
        assert course.level.hold_seconds <= levels.MAX_HOLD_SECONDS
        assert levels.MIN_PROBING <= probing(course.level, course.now_ms) <= 1
