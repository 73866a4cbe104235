"""The memory per route: its level, the trusted part of its neutral share, lost at once and earned back by answers.

::

    1 ──worse──▶ PROBED: a few real payments ──GOOD_ANSWERS in a row, hold over──▶ x RAISE every RAISE_SECONDS ──▶ 1
                   ▲                                                                 │
                   └────────────────────── a bad answer beyond chance ◀──────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.routing.detection.significance import surprise

if TYPE_CHECKING:
    from payonce.routing.control.routing_settings import RoutingSettings
    from payonce.routing.detection.verdict import Verdict

LOADLESS = frozenset({"failing", "hanging"})
PROBED = 0.001  # level of a demoted route, far below the floor of probes: only they are left
RAISE_FROM = 0.03
GOOD_ANSWERS = 14  # in a row before it gets more: a route that fails one payment in seven gives them once in nine tries
RAISE = 2.0  # factor by which a level rises every RAISE_SECONDS: the more it has shown, the more it gets
RAISE_SECONDS = 5.0  # a new level takes 2 s to arrive everywhere, and its payments another to be answered
CHANCE_EVIDENCE = 1.0  # bad answers with a p-value of 0.1 or less are beyond chance: one in twenty, two in a hundred
HALF = 0.5  # a route that had so much of its share and is cut again has relapsed
RELAPSE_FACTOR = 2.0  # the hold grows by this factor with each relapse, so that a flapping gateway is tried less often
HOLD_SHARE = 0.1  # the hold grows by at most this share of the trouble's duration, so that short trouble ends soon
RELAPSE_SECONDS = 1800.0  # a demotion within half an hour of the last recovery is a relapse
MAX_HOLD_SECONDS = 1800.0


@dataclass(slots=True)
class Level:
    """The level of one route, a share of its neutral weight in (0, 1], and its history.

    ``bad_share`` is that of the payments it was demoted for. ``good`` and ``bad`` count the answers since the last
    failure. ``began_at_ms`` is the first cut of this trouble, relapses included. ``is_loadless``: no smaller load mends
    it, so that no limit is needed.
    """

    level: float = 1.0
    bad_share: float = 0.0
    good: int = 0
    bad: int = 0
    bad_at_ms: int = 0
    raised_at_ms: int = 0
    restored_at_ms: int = 0
    hold_seconds: float = 0.0
    began_at_ms: int = 0
    is_loadless: bool = False

    @property
    def demoted(self) -> bool:
        """Return whether the route has less than its neutral share."""
        return self.level < 1


def step(level: Level, verdict: Verdict, good: int, bad: int, *, now_ms: int, settings: RoutingSettings) -> Level:
    """Return the level after one step. ``good`` and ``bad`` count the answers since the last one, if it is demoted."""
    if not level.demoted:
        return _cut(level, verdict, now_ms, settings) if verdict.worse else level
    following = replace(level, good=level.good + good, bad=level.bad + bad)
    following.bad_share = max(level.bad_share, verdict.forecast.bad_share if verdict.worse else 0.0)
    if bad and surprise(following.bad, following.good + following.bad, verdict.usual) >= CHANCE_EVIDENCE:
        following.good = following.bad = 0
        following.bad_at_ms, following.level = now_ms, PROBED
        if level.level >= HALF:
            _hold_longer(following, now_ms, settings)
        return following
    held = now_ms - level.bad_at_ms >= level.hold_seconds * 1000 and following.good >= GOOD_ANSWERS
    if held and now_ms - level.raised_at_ms >= RAISE_SECONDS * 1000:
        following.level, following.raised_at_ms = min(1.0, max(RAISE_FROM, RAISE * level.level)), now_ms
    if not following.demoted:
        following.restored_at_ms = now_ms
    return following


def _cut(level: Level, verdict: Verdict, now_ms: int, settings: RoutingSettings) -> Level:
    following = replace(level, level=PROBED, good=0, bad=0, bad_at_ms=now_ms)
    following.bad_share = verdict.forecast.bad_share
    following.is_loadless = bool(LOADLESS & set(verdict.forecast.drivers))
    if level.restored_at_ms and now_ms - level.restored_at_ms <= RELAPSE_SECONDS * 1000:
        _hold_longer(following, now_ms, settings)
    else:
        following.hold_seconds, following.began_at_ms = float(settings.hold_seconds), now_ms
    return following


def _hold_longer(following: Level, now_ms: int, settings: RoutingSettings) -> None:
    lasted_seconds = (now_ms - following.began_at_ms) / 1000
    most = min(MAX_HOLD_SECONDS, settings.hold_seconds + HOLD_SHARE * lasted_seconds)
    following.hold_seconds = max(following.hold_seconds, min(most, RELAPSE_FACTOR * following.hold_seconds))
