"""The slow loop's memory per route: how much of its neutral share it is trusted with, and when that may change.

::

    well ──bad twice──▶ level x CUT, wait for the effect, again ... ──▶ floor: probes only
      ▲                                                                  │ well for hold_seconds
      └── level + RECOVER at every step ◀──── GOOD_ANSWERS, too ─────────┘   (longer after every relapse, and the longer
                                                                              the trouble has lasted)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.routing.control.routing_settings import RoutingSettings
    from payonce.routing.detection.detector import Assessment

CONFIRMATIONS = 2
CUT = 0.15  # two cuts leave a fiftieth
RECOVER = 0.125  # eight steps of 5 s back to the neutral share
RECOVER_RELAPSED = 0.0835  # twelve after a relapse
GOOD_ANSWERS = 14  # in a row, before any trust is given back: a gateway that fails a quarter shows them 1 time in 56
BAD_WEIGHT = 8  # good answers that one bad one takes back: on the best of days one in seventy is slow
RELAPSE_FACTOR = 2.0  # what comes and goes is tried less and less often
ABORTED_FACTOR = 1.5  # when it had less than half of its share back: the route had not flipped
HALF = 0.5
HOLD_SHARE = 0.1  # of how long the trouble has lasted: what was short is waited for shortly
WAIT_SECONDS = 8.0  # until a cut has arrived everywhere (2 s) and over half of the window has been measured after it
FLOOR = 0.001  # far below any floor of probes, which is what is left then
RELAPSE_SECONDS = 1800.0  # a demotion within half an hour of the last one is the same trouble again
MAX_HOLD_SECONDS = 1800.0
PROBING_SECONDS = 30.0  # at the floor and still bad for so long, half of the probes are enough
MIN_PROBING = 0.15  # one in 33 s, by default


@dataclass(slots=True)
class Level:
    """One route. ``level`` is a share of the neutral weight in [``FLOOR``, 1]. Times are epoch milliseconds.

    ``began_at_ms``: the first cut of this trouble, relapses included.
    ``risen``: it has got some trust back since the last cut, so that the next cut is a relapse. ``good``: how many good
    answers there were since the last bad one, up to ``GOOD_ANSWERS``.
    """

    level: float = 1.0
    strikes: int = 0
    acted_at_ms: int = 0
    bad_at_ms: int = 0
    restored_at_ms: int = 0
    hold_seconds: float = 0.0
    began_at_ms: int = 0
    risen: bool = False
    good: int = 0

    @property
    def demoted(self) -> bool:
        """Whether it has less than its neutral share."""
        return self.level < 1


def step(
    level: Level, assessment: Assessment, *, likely: bool, scarce: bool, now_ms: int, settings: RoutingSettings
) -> Level:
    """The level after one step of the forecast loop.

    ``likely``: that the route breaks its SLO within the horizon. ``scarce``: payments are being refused, so that a
    gateway that is well is not kept waiting.
    """
    following = replace(level, good=_good(level, assessment))
    worse = assessment.elevated or assessment.rising
    if worse and assessment.overloaded:
        following.strikes = 0
        return following
    if worse and likely:
        following.strikes += 1
        following.bad_at_ms = now_ms
        waited = now_ms - level.acted_at_ms >= WAIT_SECONDS * 1000
        if following.strikes >= CONFIRMATIONS and waited and level.level > FLOOR:
            _cut(following, level, now_ms, settings)
        return following
    following.strikes = 0
    if not level.demoted:
        return following
    held = now_ms - level.bad_at_ms >= level.hold_seconds * 1000 and following.good >= GOOD_ANSWERS
    if assessment.elevated or likely or (assessment.blemished and not following.good and not level.risen):
        following.bad_at_ms = now_ms
    elif assessment.well and (scarce or held):
        following.risen = True
        slow = level.hold_seconds > settings.hold_seconds and not scarce
        following.level = min(1.0, level.level + (RECOVER_RELAPSED if slow else RECOVER))
        if not following.demoted:
            following.restored_at_ms = now_ms
    return following


def _good(level: Level, assessment: Assessment) -> int:
    # Wald's sequential test of a quarter failing against one in thirty: one bad answer weighs as much as eight good
    # ones, so that a well gateway's slow answer now and then doesn't begin everything anew.
    if assessment.blemished:
        return max(0, level.good - BAD_WEIGHT * assessment.bad)
    return min(GOOD_ANSWERS, level.good + assessment.good)


def _cut(following: Level, level: Level, now_ms: int, settings: RoutingSettings) -> None:
    first = not level.demoted
    if first and now_ms - level.restored_at_ms > RELAPSE_SECONDS * 1000:
        following.hold_seconds, following.began_at_ms = float(settings.hold_seconds), now_ms
    elif first or level.risen:
        factor = RELAPSE_FACTOR if level.level >= HALF else ABORTED_FACTOR
        lasted_seconds = (now_ms - level.began_at_ms) / 1000
        most = min(MAX_HOLD_SECONDS, settings.hold_seconds + HOLD_SHARE * lasted_seconds)
        following.hold_seconds = max(level.hold_seconds, min(most, factor * level.hold_seconds))
    following.level = max(FLOOR, level.level * CUT)
    following.acted_at_ms, following.risen, following.good = now_ms, False, 0


def probing(level: Level, now_ms: int) -> float:
    """The share of the usual probes: fewer while a gateway stays bad, all of them with the first good answer.

    Every probe of a gateway that hangs is somebody's payment in doubt.
    """
    if level.level > FLOOR or level.good > 0:
        return 1.0
    return max(MIN_PROBING, PROBING_SECONDS / (PROBING_SECONDS + (now_ms - level.acted_at_ms) / 1000))
