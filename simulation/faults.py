"""Faults of one call, drawn from a profile or played back from a list.

A run begins with a profile: a random third of the kinds of faults, each with a rate of its own, because a fault that
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
FOCUS = 0.5  # what most runs are about: one fault of a write, and one of a submission, met at every turn
FOCUSED = 0.7
OUTAGE = 0.95  # what hardly ever works
RARE = 0.4  # freezes and kills end most of what an execution would meet after them
MILLISECONDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "frozen_before": (3_000, 90_000),
        "frozen_after": (3_000, 90_000),
        "slow": (300, 7_000),
        "late": (1_000, 60_000),
    }
)

# Requests, recovery and corrections have faults of their own, and so has what is behind the outbox. Otherwise a
# database that stops payments would stop their events as well, and hide what a receiver's faults find.
PAYMENTS, DELIVERY = "payments", "delivery"
PORTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        PAYMENTS: ("write", "read", "submit", "ask", "sleep", "send"),
        DELIVERY: ("write", "read", "send", "post", "sleep"),
    }
)
INCLUDED = 0.35  # of the kinds of faults, in each run
# A delivery makes twice as many calls as a payment: with the same rates hardly one would come to its end.
RATES: Mapping[str, tuple[float, ...]] = MappingProxyType({PAYMENTS: (0.01, 0.05, 0.2), DELIVERY: (0.01, 0.02, 0.08)})
FOCI: Mapping[str, tuple[str, ...]] = MappingProxyType({PAYMENTS: ("write", "submit"), DELIVERY: ("post",)})
_DELIVERING = ("relay-", "dispatch-", "scheduler-")

type Profile = dict[tuple[str, str, str], float]


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault, and for how long where it lasts."""

    kind: str
    ms: int = 0


type Drawn = dict[tuple[str, int], Fault]


def draw_profile(chance: Random, *, long: bool) -> Profile:
    """Return the kinds of faults of a run, with their rates by (part, port, kind). In a long one no lookup works."""
    profile: Profile = {}
    for part, ports in PORTS.items():
        for port in ports:
            for kind in FAULTS[port]:
                if chance.random() < INCLUDED:
                    profile[part, port, kind] = chance.choice(RATES[part]) * _rare(kind)
        for port in FOCI[part]:
            kind = chance.choice(FAULTS[port])
            if chance.random() < FOCUSED:
                profile[part, port, kind] = (OUTAGE if port == "post" else FOCUS) * _rare(kind)
    if long:
        profile[PAYMENTS, "ask", "unanswered"] = OUTAGE
    return profile


def _rare(kind: str) -> float:
    return RARE if kind.startswith(("frozen", "killed")) else 1.0


def part_of(actor: str) -> str:
    """Return the part that an actor belongs to, by its name."""
    return DELIVERY if actor.startswith(_DELIVERING) else PAYMENTS


class Fates:
    """Says what happens to each call. ``drawn`` holds the faults so far, by actor and number of the call."""

    def __init__(self, profile: Profile, played: Drawn | None = None) -> None:
        self._by_port = {
            (part, port): [(kind, profile[part, port, kind]) for kind in FAULTS[port] if (part, port, kind) in profile]
            for part, ports in PORTS.items()
            for port in ports
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
        for kind, rate in self._by_port[part_of(actor.name), port]:
            point -= rate
            if point < 0:
                low, high = MILLISECONDS.get(kind, (0, 0))
                # Log-uniform: short ones are as frequent as long ones.
                ms = int(low * (high / low) ** actor.faults.random()) if low else 0
                fault = Fault(kind, ms)
                self.drawn[actor.name, actor.calls] = fault
                return fault
        return None
