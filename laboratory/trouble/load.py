"""Trouble that comes with the demand, and weeks without trouble."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from laboratory.scenarios import Fault, Scenario, Surge
from laboratory.trouble.one import started
from laboratory.trouble.ranges import NAMES, Ranges, drawn, gateways

WEEK_SECONDS = 7 * 86_400
RUSH = (1.7, 2.3)  # demand at the maximum of a rush, relative to before
RUSH_STEPS = 6


def demand_surge(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Demand exceeds the capacity of all gateways together."""
    _, start, ends, strength = started(ranges, seed)
    surge = Surge(start, ends, strength / ranges.use)
    return Scenario(name, gateways(ranges), ranges.rate, ends + 420, surges=(surge,), fault_at=start, healed_at=ends)


def busy(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Demand rises to a factor within the capacity: more in flight, and no queue, as on any sale's day."""
    draw = drawn(ranges, seed)
    surge = Surge(draw.start, draw.heals, draw.strength)
    return replace(draw.scenario(name, ranges, [], one=False), surges=(surge,))


def rush(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Demand and the latency of all gateways rise and fall again within an hour, as on every morning of a shop.

    It stays within the capacity and the SLO, and no gateway is better than another: each answers later by the same
    factor, and nothing queues. Demand changes in steps, latency without.
    """
    draw = drawn(ranges, seed)
    step = (draw.heals - draw.start) / (2 * RUSH_STEPS + 1)
    factor = draw.random.uniform(*RUSH) ** (1 / RUSH_STEPS)
    surges = tuple(
        Surge(draw.start + number * step, draw.heals - number * step, factor) for number in range(RUSH_STEPS)
    )
    faults = [Fault("late", gateway, draw.start, draw.heals, draw.strength, "hill") for gateway in draw.names]
    return replace(draw.scenario(name, ranges, faults, one=False), surges=surges)


def noisy_merchant(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One merchant's demand multiplies and exceeds the capacity of all gateways."""
    _, start, ends, strength = started(ranges, seed)
    surge = Surge(start, ends, strength, merchant="m0")
    return Scenario(name, gateways(ranges), ranges.rate, ends + 300, surges=(surge,), fault_at=start, healed_at=ends)


def diurnal(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A week without faults, in which demand and latency vary over the day."""
    random = Random(seed)
    faults = tuple(
        Fault("slow", NAMES[number], 0, WEEK_SECONDS, random.uniform(*ranges.strength), "daily")
        for number in range(ranges.gateways)
    )
    return Scenario(name, gateways(ranges), ranges.rate, WEEK_SECONDS, faults, profile="daily")


def peaks(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A week without faults, with two busy times a day, in which latency follows demand, and another level at weekends.

    Card payments follow the hours, and weekends differ; where the peaks are depends on the trade:
    https://m.scoop.co.nz/stories/BU1706/S00102/the-best-time-of-day-to-go-shopping-is.htm
    """
    random = Random(seed)
    faults = tuple(
        Fault("late", NAMES[number], 0, WEEK_SECONDS, random.uniform(*ranges.strength), "peaks")
        for number in range(ranges.gateways)
    )
    return Scenario(name, gateways(ranges), ranges.rate, WEEK_SECONDS, faults, profile="peaks")


KINDS = (demand_surge, busy, rush, noisy_merchant, diurnal, peaks)
