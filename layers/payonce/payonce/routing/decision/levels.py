"""The forecast loop's memory per route: its level (the trusted part of its neutral share) and when that may change.

::

    well ──worse twice──▶ level x CUT, wait for the effect, again ... ──▶ floor: probes only
      ▲                                                                    │ well for hold_seconds
      └── level x RAISE every RAISE_SECONDS ◀──────────────────────────────┘   (longer after every relapse, and the
                                                                                longer the trouble has lasted)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.routing.control.routing_settings import RoutingSettings
    from payonce.routing.detection.verdict import Verdict

CONFIRMATIONS = 2  # verdicts in a row, or one that is as sure
CUT = 0.15  # factor of one cut; two cuts leave 2 %
RAISE = 2.0  # factor by which a level rises every RAISE_SECONDS: the more it has shown, the more it gets
RAISE_FROM = 0.03
RAISE_SECONDS = 5.0  # six of them until the whole share is back
RELAPSE_FACTOR = 2.0  # the hold grows by this factor with each relapse, so that a flapping gateway is tried less often
HOLD_SHARE = 0.1  # the hold grows by at most this share of the trouble's duration, so that short trouble ends soon
WAIT_SECONDS = 8.0  # a cut takes 2 s to arrive everywhere; then over half of the window has to be measured after it
LOADLESS = frozenset({"failing", "hanging"})  # what no smaller load mends: only probes are left at once
FLOOR = 0.001  # the lowest level; far below the floor of probes, so that only probes are left
RELAPSE_SECONDS = 1800.0  # a demotion within half an hour of the last recovery is a relapse
MAX_HOLD_SECONDS = 1800.0
PROBING_SECONDS = 30.0  # a gateway at the floor and bad for this long gets half of its probes
MIN_PROBING = 0.15  # the smallest share of the probes: by default one in 33 s


@dataclass(slots=True)
class Level:
    """The level of one route, a share of its neutral weight in [``FLOOR``, 1], and its history.

    ``bad_share`` is that of the payments it was demoted for. ``began_at_ms`` is the first cut of this trouble, relapses
    included. ``risen`` says that the level has risen since the last cut, so that the next cut is a relapse.
    """

    level: float = 1.0
    bad_share: float = 0.0
    strikes: int = 0
    acted_at_ms: int = 0
    bad_at_ms: int = 0
    raised_at_ms: int = 0
    restored_at_ms: int = 0
    hold_seconds: float = 0.0
    began_at_ms: int = 0
    risen: bool = False

    @property
    def demoted(self) -> bool:
        """Return whether the route has less than its neutral share."""
        return self.level < 1


def step(level: Level, verdict: Verdict, *, now_ms: int, settings: RoutingSettings) -> Level:
    """Return the level after one step of the forecast loop."""
    following = replace(level)
    if verdict.worse or (level.risen and level.demoted and verdict.suspect):
        following.strikes, following.bad_at_ms = level.strikes + (CONFIRMATIONS if verdict.sure else 1), now_ms
        waited = now_ms - level.acted_at_ms >= WAIT_SECONDS * 1000
        if following.strikes >= CONFIRMATIONS and waited and level.level > FLOOR:
            _cut(following, level, now_ms, settings)
            following.level = FLOOR if LOADLESS & set(verdict.forecast.drivers) else max(FLOOR, level.level * CUT)
            following.bad_share = max(level.bad_share if level.demoted else 0.0, verdict.forecast.bad_share)
        return following
    following.strikes = 0
    if not level.demoted:
        return following
    if verdict.blemished and not level.risen:
        following.bad_at_ms = now_ms
    elif (
        verdict.answered
        and now_ms - level.bad_at_ms >= level.hold_seconds * 1000
        and now_ms - level.raised_at_ms >= RAISE_SECONDS * 1000
    ):
        following.risen, following.raised_at_ms = True, now_ms
        following.level = min(1.0, max(RAISE_FROM, RAISE * level.level))
        if not following.demoted:
            following.restored_at_ms = now_ms
    return following


def _cut(following: Level, level: Level, now_ms: int, settings: RoutingSettings) -> None:
    first = not level.demoted
    if first and now_ms - level.restored_at_ms > RELAPSE_SECONDS * 1000:
        following.hold_seconds, following.began_at_ms = float(settings.hold_seconds), now_ms
    elif first or level.risen:
        lasted_seconds = (now_ms - level.began_at_ms) / 1000
        most = min(MAX_HOLD_SECONDS, settings.hold_seconds + HOLD_SHARE * lasted_seconds)
        following.hold_seconds = max(level.hold_seconds, min(most, RELAPSE_FACTOR * level.hold_seconds))
    following.acted_at_ms, following.risen, following.strikes = now_ms, False, 0


def probing(level: Level, now_ms: int) -> float:
    """Return the share of the usual probes that a route gets: fewer while it stays bad.

    Probes are real payments: each one that meets a hanging gateway leaves a payment in doubt.
    """
    if level.level > FLOOR or now_ms - level.bad_at_ms > PROBING_SECONDS * 1000:
        return 1.0
    return max(MIN_PROBING, PROBING_SECONDS / (PROBING_SECONDS + (now_ms - level.acted_at_ms) / 1000))
