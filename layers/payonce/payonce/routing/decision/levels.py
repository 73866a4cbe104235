"""The level of a route, the trusted part of its neutral share: lost at once, and earned back step by step.

::

    1 ──trusted with less than CUT──▶ what it is trusted with ──WHOLE──▶ x RAISE a second ──▶ 1
"""

from __future__ import annotations

from payonce.routing.detection.memory import MOST_SECONDS

CUT = 0.05  # what is trusted with less is cut to that: four failures among fifty answers, say, which is hardly chance
WHOLE = 0.3  # what is trusted with so much gets everything again: draws of equal routes leave each one about so much
LEAST = 0.001  # of a demoted route: next to nothing, and still a way where no other is left
DEMOTED = 0.5  # of its share: what has less is demoted
RAISE_FROM = 0.03
RAISE = 1.15  # factor a second, so that it doubles in five: a new level is seen in answers after three


def is_demoted(level: float) -> bool:
    """Return whether a route of this level has less than half of its neutral share."""
    return level < DEMOTED


def step(before: float, trusted: float, *, seconds: float) -> float:
    """Return the level after one step, ``seconds`` after the last, for the part it is ``trusted`` with now."""
    if trusted >= (WHOLE if before < 1 else CUT):
        trusted = 1.0
    raised: float = before * RAISE ** min(MOST_SECONDS, seconds)
    return max(LEAST, min(trusted, max(RAISE_FROM, raised)))
