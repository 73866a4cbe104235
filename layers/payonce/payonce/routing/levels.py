"""The slow loop's memory per route: how much of its neutral share it is trusted with, and when that may change.

::

    well ──bad twice──▶ level x CUT, wait for the effect, again ... ──▶ floor: probes only
      ▲                                                                  │ well for hold_seconds
      └── level + RECOVER at every step ◀────────────────────────────────┘   (twice as long after every relapse)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.routing.detector import Assessment
    from payonce.routing.settings import RoutingSettings

CONFIRMATIONS = 2
CUT = 0.25  # two cuts leave a sixteenth
RECOVER = 0.1  # ten steps of 5 s back to the neutral share
WAIT_SECONDS = 8.0  # until a cut has arrived everywhere (2 s) and over half of the window has been measured after it
FLOOR = 0.01
RELAPSE_SECONDS = 1800.0  # a demotion within half an hour of the last one is the same trouble again
MAX_HOLD_SECONDS = 1800.0


@dataclass(slots=True)
class Level:
    """One route. ``level`` is a share of the neutral weight in [``FLOOR``, 1]. Times are epoch milliseconds."""

    level: float = 1.0
    strikes: int = 0
    acted_at_ms: int = 0
    bad_at_ms: int = 0
    restored_at_ms: int = 0
    hold_seconds: float = 0.0


def step(level: Level, assessment: Assessment, probability: float, now_ms: int, settings: RoutingSettings) -> Level:
    """The level after one step of the forecast loop."""
    following = replace(level)
    likely = probability >= settings.act_at_probability
    if assessment.elevated and likely:
        following.strikes += 1
        following.bad_at_ms = now_ms
        waited = now_ms - level.acted_at_ms >= WAIT_SECONDS * 1000
        if following.strikes >= CONFIRMATIONS and waited and level.level > FLOOR:
            _cut(following, level, now_ms, settings)
        return following
    following.strikes = 0
    if level.level >= 1:
        return following
    if assessment.elevated or likely:
        following.bad_at_ms = now_ms
    elif assessment.well and now_ms - level.bad_at_ms >= level.hold_seconds * 1000:
        following.level = min(1.0, level.level + RECOVER)
        if following.level >= 1:
            following.restored_at_ms = now_ms
    return following


def _cut(following: Level, level: Level, now_ms: int, settings: RoutingSettings) -> None:
    first = level.level >= 1
    recovering = now_ms - level.acted_at_ms > WAIT_SECONDS * 4000 and level.level > FLOOR
    if first and now_ms - level.restored_at_ms > RELAPSE_SECONDS * 1000:
        following.hold_seconds = float(settings.hold_seconds)
    elif first or recovering:
        following.hold_seconds = min(MAX_HOLD_SECONDS, 2 * level.hold_seconds)
    following.level = max(FLOOR, level.level * CUT)
    following.acted_at_ms = now_ms
