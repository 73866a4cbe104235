"""Slower answers: of all gateways, of one, of several; with queues and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.scenarios import Fault
from laboratory.trouble.ranges import drawn

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario
    from laboratory.trouble.ranges import Draw, Ranges

METHOD = "wallet"
ALIKE = (0.95, 1.05)  # gateways in front of the same slow issuers are slow alike, but not exactly
SATURATED = (0.2, 0.3)  # share of its servers that a lone gateway has left, at a utilisation of 0.35 before


def _alike(draw: Draw, kind: str) -> list[Fault]:
    """Return a fault of every gateway, all of nearly the same strength."""
    return [
        Fault(kind, gateway, draw.start, draw.heals, draw.strength * draw.random.uniform(*ALIKE))
        for gateway in draw.names
    ]


def late_all(name: str, ranges: Ranges, seed: int) -> Scenario:
    """All gateways answer later by nearly the same factor, and nothing queues.

    A card network or its issuers are slow, or TLS inspection is, on the way to all of them. Waiting for them occupies
    no server, so that there is nothing to relieve (https://pingoru.io/providers/clearhaus/incidents/2304669: a
    disruption of Mastercard's that no gateway can do anything about).
    """
    draw = drawn(ranges, seed)
    return draw.scenario(name, ranges, _alike(draw, "late"), one=False)


def slow_all(name: str, ranges: Ranges, seed: int) -> Scenario:
    """All gateways take longer by nearly the same factor, which occupies their servers, so that real queues form.

    A backlog at a shared system has slowed all processing down, as at Visa on 1 June 2018
    (https://finextra.com/newsarticle/32277/visa-says-52m-payments-failed-during-10-hour-outage).
    """
    draw = drawn(ranges, seed)
    return draw.scenario(name, ranges, _alike(draw, "slow"), one=False)


def late_one(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway answers later, nothing queues, and nearly all of its answers are still within the SLO."""
    draw = drawn(ranges, seed)
    return draw.scenario(name, ranges, [Fault("late", draw.ailing, draw.start, draw.heals, draw.strength)])


def slow_one(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway takes longer from one second to the next, which occupies its servers."""
    draw = drawn(ranges, seed)
    return draw.scenario(name, ranges, [Fault("slow", draw.ailing, draw.start, draw.heals, draw.strength)])


def alone(name: str, ranges: Ranges, seed: int) -> Scenario:
    """The gateway answers later at first, within the SLO, and then it loses most of its servers and is saturated.

    Meant for a shop with one gateway, which has nowhere to go: in the first half nothing may be refused, and in the
    second refusing is what keeps the queue short (https://sre.google/sre-book/handling-overload/).
    """
    draw = drawn(ranges, seed)
    middle = (max(0.0, draw.start) + draw.heals) / 2
    faults = [
        Fault("late", draw.ailing, draw.start, middle, draw.strength),
        Fault("capacity", draw.ailing, middle, draw.heals, draw.random.uniform(*SATURATED)),
    ]
    return draw.scenario(name, ranges, faults)


def several(name: str, ranges: Ranges, seed: int) -> Scenario:
    """All gateways but one take longer, with real queues, and the well one would saturate if it took everything.

    The classic cascade: https://sre.google/sre-book/addressing-cascading-failures/.
    """
    draw = drawn(ranges, seed)
    faults = [
        Fault("slow", gateway, draw.start, draw.heals, draw.strength)
        for gateway in draw.names
        if gateway != draw.ailing
    ]
    return draw.scenario(name, ranges, faults, one=False)


def late_method(name: str, ranges: Ranges, seed: int) -> Scenario:
    """The answers of one method come later at all gateways, because its scheme is slow; nothing queues."""
    draw = drawn(ranges, seed)
    faults = [
        Fault("late", gateway, draw.start, draw.heals, draw.strength, methods=(METHOD,)) for gateway in draw.names
    ]
    return draw.scenario(name, ranges, faults, one=False)


KINDS = (late_all, late_method, slow_all, late_one, slow_one, alone, several)
