"""The rules that keep routes from swinging: confirmed, cut at once, given back slowly, later after every relapse."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from payonce.routing.control.routing_settings import RoutingSettings
from payonce.routing.decision import levels
from payonce.routing.decision.levels import Level, probing
from payonce.routing.detection.detector import Assessment

SETTINGS = RoutingSettings(neutral={"alder": 0.5, "birch": 0.5})
BAD = Assessment({}, elevated=True, rising=False, suspect=True, well=False, overloaded=False, reasons=("latency",))
WELL = Assessment({}, elevated=False, rising=False, suspect=False, well=True, overloaded=False, reasons=(), good=2)
BLEMISHED = Assessment(
    {}, elevated=False, rising=False, suspect=False, well=True, overloaded=False, reasons=(), good=1, bad=1
)
GOOD = Assessment({}, elevated=False, rising=False, suspect=False, well=True, overloaded=False, reasons=(), good=1)
BLEMISH = Assessment({}, elevated=False, rising=False, suspect=False, well=True, overloaded=False, reasons=(), bad=1)
RISING = Assessment({}, elevated=False, rising=True, suspect=False, well=False, overloaded=False, reasons=())
RARE = Assessment({}, elevated=False, rising=False, suspect=False, well=True, overloaded=False, reasons=(), good=0)
BUSY = Assessment({}, elevated=True, rising=False, suspect=True, well=False, overloaded=True, reasons=("latency",))
SILENT = Assessment({}, elevated=False, rising=False, suspect=False, well=False, overloaded=False, reasons=())
STEP_MS = 5000


class Course:
    def __init__(self) -> None:
        self.level, self.now_ms = Level(), 1_000_000_000_000

    def see(self, assessment: Assessment, steps: int = 1, *, likely: bool | None = None, scarce: bool = False) -> float:
        for _ in range(steps):
            self.now_ms += STEP_MS
            self.level = levels.step(
                self.level,
                assessment,
                likely=assessment.elevated if likely is None else likely,
                scarce=scarce,
                now_ms=self.now_ms,
                settings=SETTINGS,
            )
        return self.level.level

    def steps_until_whole(self) -> int:
        for step in range(1, 1000):
            if self.see(WELL) >= 1:
                return step
        raise AssertionError("it never came back")


def test_one_bad_window_is_not_believed() -> None:
    """Fails when a single step may cut."""
    course = Course()
    for _ in range(20):
        assert course.see(BAD) == 1
        assert course.see(WELL) == 1


def test_the_second_cuts_and_the_next_cut_waits_for_the_effect() -> None:
    """Fails when every bad step cuts."""
    course = Course()
    course.see(BAD)
    assert course.see(BAD) == levels.CUT
    assert course.see(BAD) == levels.CUT
    assert course.see(BAD) == levels.CUT**2


def test_it_never_falls_below_the_floor() -> None:
    assert Course().see(BAD, 1000) == levels.FLOOR


def test_a_route_on_its_way_up_is_cut_when_it_is_going_to_miss_the_slo() -> None:
    """Fails when only the tail counts: a ramp is acted on half a minute later."""
    course = Course()
    assert course.see(RISING, 10, likely=False) == 1
    course.see(RISING, likely=True)
    assert course.see(RISING, likely=True) == levels.CUT


def test_bad_but_not_likely_to_matter_cuts_nothing() -> None:
    assert Course().see(BAD, 100, likely=False) == 1


def test_busy_is_not_bad() -> None:
    """Fails when overload cuts a level: all gateways lose their shares in a surge, and the surge outlasts itself."""
    assert Course().see(BUSY, 100) == 1


def test_trust_comes_back_after_the_hold_and_step_by_step() -> None:
    course = Course()
    course.see(BAD, 10)
    low = course.level.level
    assert course.see(WELL, SETTINGS.hold_seconds * 1000 // STEP_MS - 1) == low
    assert course.see(WELL) == low + levels.RECOVER
    assert course.see(WELL) == low + 2 * levels.RECOVER
    assert course.see(SILENT, 10) == low + 2 * levels.RECOVER, "no answer is no good answer"


def test_one_bad_step_makes_it_wait_anew() -> None:
    course = Course()
    course.see(BAD, 10)
    low = course.level.level
    course.see(WELL, 8)
    course.see(BAD, likely=False)
    assert course.see(WELL, 8) == low


def test_every_relapse_waits_longer_up_to_a_limit() -> None:
    """Fails when the hold does not grow: a square wave would flip the route with every period."""
    course, holds = Course(), []
    for _ in range(8):
        course.see(BAD, 4)
        holds.append(course.level.hold_seconds)
        course.steps_until_whole()
    assert holds[0] == SETTINGS.hold_seconds
    assert all(later > sooner for sooner, later in pairwise(holds))
    for _ in range(40):
        course.see(BAD, 20 * 60)  # hours of it
        course.steps_until_whole()
    assert course.level.hold_seconds == levels.MAX_HOLD_SECONDS


def test_what_was_short_is_waited_for_shortly() -> None:
    """Fails when the hold knows only how often it relapsed: a cliff of four minutes relapses twice, and held six."""
    course = Course()
    for _ in range(3):
        course.see(BAD, 4)
        course.steps_until_whole()
    course.see(BAD, 4)
    lasted_seconds = (course.level.acted_at_ms - course.level.began_at_ms) / 1000
    assert lasted_seconds < 600
    assert course.level.hold_seconds <= SETTINGS.hold_seconds + levels.HOLD_SHARE * lasted_seconds
    assert course.steps_until_whole() * STEP_MS / 1000 < 240


def test_a_rise_that_never_reached_half_lengthens_the_hold_by_less() -> None:
    """Fails when it counts as a flip of the route, which it was not."""
    course = Course()
    course.see(BAD, 400)
    low = course.level.level
    while course.see(WELL) == low:
        pass
    course.see(BAD, 4)
    assert course.level.hold_seconds == levels.ABORTED_FACTOR * SETTINGS.hold_seconds


def test_trust_needs_good_answers_and_not_only_time() -> None:
    """Fails when time alone restores: at a few probes a minute, a gateway that fails a quarter looks well by chance."""
    course = Course()
    course.see(BAD, 10)
    low = course.level.level
    assert course.see(RARE, 10 * SETTINGS.hold_seconds * 1000 // STEP_MS) == low
    assert course.see(WELL, levels.GOOD_ANSWERS) > low


def test_one_bad_probe_among_few_begins_the_hold_anew() -> None:
    """Fails when a single bad answer is forgiven: the share of slow ones in a window of a minute hides it."""
    course = Course()
    course.see(BAD, 10)
    low = course.level.level
    course.see(WELL, 4)
    assert course.see(BLEMISHED) == low
    assert course.level.good == 0
    assert course.see(WELL, SETTINGS.hold_seconds * 1000 // STEP_MS - 1) == low
    assert course.see(WELL) > low


def test_one_slow_answer_among_many_good_ones_does_not() -> None:
    """Fails when it does: with one answer in seventy slow by nature, a well gateway once waited for seven minutes."""
    course = Course()
    course.see(BAD, 10)
    low = course.level.level
    course.see(WELL, SETTINGS.hold_seconds * 1000 // STEP_MS - 1)
    assert course.see(BLEMISHED) == low, "fewer good ones than are needed"
    assert course.level.good == levels.GOOD_ANSWERS - levels.BAD_WEIGHT
    assert probing(course.level, course.now_ms) == 1
    assert course.see(WELL, levels.BAD_WEIGHT // WELL.good) > low


def test_a_gateway_that_fails_a_quarter_is_trusted_as_rarely_as_if_one_bad_answer_took_back_everything() -> None:
    """Fails when a bad answer takes back too little: 22 in 100 at 8 as at 14, 37 at ``BAD_WEIGHT`` 4, 82 at 2."""
    luck = Random(5)
    trusted = 0
    for _ in range(200):
        course = Course()
        course.see(BAD, 10)
        low = course.level.level
        for _ in range(60):  # five minutes of a probe in 5 s
            answer = BLEMISH if luck.random() < 0.25 else GOOD
            if course.see(answer) > low:
                trusted += 1
                break
    assert trusted < 0.28 * 200


def test_after_a_calm_while_the_first_hold_holds_again() -> None:
    course = Course()
    for _ in range(2):
        course.see(BAD, 4)
        course.steps_until_whole()
    course.see(WELL, int(levels.RELAPSE_SECONDS * 1000 / STEP_MS) + 1)
    course.see(BAD, 4)
    assert course.level.hold_seconds == SETTINGS.hold_seconds


def test_when_payments_are_refused_a_well_gateway_is_not_kept_waiting() -> None:
    """Fails when the hold holds in scarcity: one gateway refuses payments while the other, well again, gets none."""
    course = Course()
    course.see(BAD, 10)
    low = course.level.level
    assert course.see(WELL, scarce=True) == low + levels.RECOVER


def test_probes_become_fewer_while_it_stays_bad_and_return_at_once() -> None:
    course = Course()
    course.see(BAD, 12)
    assert course.level.level == levels.FLOOR
    assert probing(course.level, course.now_ms) < 1
    course.see(BAD, 200)
    assert probing(course.level, course.now_ms) == levels.MIN_PROBING
    course.see(WELL)
    assert probing(course.level, course.now_ms) == 1, "with the first good answer"
