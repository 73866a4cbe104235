"""Faults of one call, drawn from a profile or played back from a list.

A run begins with a profile: a random half of the kinds of faults, each with a rate of its own, because a fault that
always comes with all others hides what it would find alone (swarm testing: Groce et al., ISSTA 2012). What was drawn is
kept by actor and number of the call; played back from there, each fault can be left out on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from simulation.scheduler import Actor

ANY_PORT = ("frozen_before", "frozen_after", "killed_before", "killed_after", "slow")
FAULTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "write": ("throttled", "lost", "applied", "late", *ANY_PORT),
        "read": ("throttled", *ANY_PORT),
        "submit": ("declined", "never", "lost", "booked_lost", "late", "kept", "booked_kept", *ANY_PORT),
        "ask": ("unanswered", *ANY_PORT),
        "send": ("lost", "applied", "repeated", *ANY_PORT),
        "post": ("refused", "unanswered", "received_unanswered", *ANY_PORT),
        "sleep": ("frozen_after", "killed_after"),
    }
)
RATES = (0.02, 0.08, 0.25)
FOCUS = 0.5  # what half of the runs are about: one fault of a write, or of a submission, that is met at every turn
RARE = 0.4  # freezes and kills end most of what an execution would meet after them
MILLISECONDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "frozen_before": (3_000, 90_000),
        "frozen_after": (3_000, 90_000),
        "slow": (300, 7_000),
        "late": (1_000, 60_000),
    }
)

type Profile = dict[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault, and for how long where it lasts."""

    kind: str
    ms: int = 0


type Drawn = dict[tuple[str, int], Fault]


def draw_profile(chance: Random) -> Profile:
    """Return the kinds of faults of a run, with their rates by (port, kind)."""
    profile: Profile = {}
    focus = [chance.choice([(port, kind) for kind in FAULTS[port]]) for port in ("write", "submit", "post")]
    for port, kinds in FAULTS.items():
        for kind in kinds:
            if chance.random() < 0.5:
                rare = RARE if kind.startswith(("frozen", "killed")) else 1.0
                profile[port, kind] = chance.choice(RATES) * rare
    for each in focus:
        if chance.random() < 0.5:
            profile[each] = FOCUS * (RARE if each[1].startswith(("frozen", "killed")) else 1.0)
    return profile


class Fates:
    """Says what happens to each call. ``drawn`` holds the faults so far, by actor and number of the call."""

    def __init__(self, profile: Profile, played: Drawn | None = None) -> None:
        self._by_port = {
            port: [(kind, profile[port, kind]) for kind in kinds if (port, kind) in profile]
            for port, kinds in FAULTS.items()
        }
        self._played = played
        self.drawn: Drawn = {}
        self.over = False

    def of(self, actor: Actor, port: str) -> Fault | None:
        """Return the fault of the actor's present call, if it has one."""
        if self.over:
            return None
        if self._played is not None:
            fault = self._played.get((actor.name, actor.calls))
            return fault if fault is not None and fault.kind in FAULTS[port] else None
        point = actor.faults.random()
        for kind, rate in self._by_port[port]:
            point -= rate
            if point < 0:
                low, high = MILLISECONDS.get(kind, (0, 0))
                # Log-uniform: short ones are as frequent as long ones.
                ms = int(low * (high / low) ** actor.faults.random()) if low else 0
                fault = Fault(kind, ms)
                self.drawn[actor.name, actor.calls] = fault
                return fault
        return None
