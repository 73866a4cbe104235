"""The level of a route, the trusted part of its neutral share: lost at once, and earned back step by step.

::

    1 ──trusted with less than CUT──▶ what it is trusted with ──WHOLE──▶ x RAISE a second ──▶ 1
                                        ▲                                                     │
                                        └── again within RELAPSE_SECONDS: it fades slowly ◀───┘
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.routing.detection.memory import MOST_SECONDS

if TYPE_CHECKING:
    from payonce.routing.control.routing_settings import RoutingSettings

CUT = 0.1  # what is trusted with less is cut to that: four failures among fifty answers, say, which is hardly chance
WHOLE = 0.3  # what is trusted with so much gets everything again: draws of equal routes leave each one about so much
LEAST = 0.001  # of a demoted route: next to nothing, and still a way where no other is left
DEMOTED = 0.5  # of its share: what has less is demoted
RAISE_FROM = 0.03
RAISE = 1.15  # factor a second, so that it doubles in five: a new level is seen in answers after three
FADE_HOLDS = 2.0  # of the configured hold: what an operator sets is how long a gateway has to be well
RELAPSE_FACTOR = 4.0
RELAPSE_SECONDS = 1800.0  # a demotion within half an hour of the last recovery is a relapse
MAX_FADE_SECONDS = 600.0


@dataclass(slots=True)
class Level:
    """The level of one route, a share of its neutral weight in (0, 1].

    ``fade_seconds`` is the time constant with which the counts of a demoted route fade, and with them its demotion.
    """

    level: float = 1.0
    fade_seconds: float = 0.0
    restored_at_ms: int = 0

    @property
    def demoted(self) -> bool:
        """Return whether the route has less than half of its neutral share."""
        return self.level < DEMOTED


def step(before: Level, trusted: float, *, seconds: float, now_ms: int, settings: RoutingSettings) -> Level:
    """Return the level after one step, ``seconds`` after the last, for the part it is ``trusted`` with now."""
    if trusted >= (WHOLE if before.level < 1 else CUT):
        trusted = 1.0
    level = max(LEAST, min(trusted, max(RAISE_FROM, before.level * RAISE ** min(MOST_SECONDS, seconds))))
    after = replace(before, level=level)
    if after.demoted and not before.demoted:
        relapsed = before.restored_at_ms and now_ms - before.restored_at_ms <= RELAPSE_SECONDS * 1000
        first = FADE_HOLDS * settings.hold_seconds  # which an operator may have set beyond any relapse
        longer = max(first, min(MAX_FADE_SECONDS, RELAPSE_FACTOR * before.fade_seconds))
        after.fade_seconds = longer if relapsed else first
    elif before.demoted and not after.demoted:
        after.restored_at_ms = now_ms
    return after
