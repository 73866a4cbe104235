"""Trouble of one gateway, always the cheapest."""

from __future__ import annotations

from random import Random

from laboratory.scenarios import Fault, Scenario
from laboratory.trouble.ranges import NAMES, Ranges, gateways


def started(ranges: Ranges, seed: int) -> tuple[Random, float, float, float]:
    """Return a seed's random numbers, and when its trouble starts and ends, and how strong it is."""
    random = Random(seed)
    start = random.uniform(*ranges.start)
    return random, start, start + random.uniform(*ranges.lasting), random.uniform(*ranges.strength)


def _ailing(name: str, ranges: Ranges, faults: list[Fault], heals: float, **more: object) -> Scenario:
    return Scenario(
        name=name,
        gateways=more.pop("gateways", None) or gateways(ranges),  # type: ignore[arg-type]
        rate=ranges.rate,
        seconds=more.pop("seconds", heals + 420),  # type: ignore[arg-type]
        faults=tuple(faults),
        ailing=NAMES[0],
        fault_at=max(0.0, min(fault.start for fault in faults)),
        healed_at=heals,
        **more,  # type: ignore[arg-type]
    )


def ramp(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway gets slower, at first a little, in the end beyond the timeout."""
    _, start, heals, strength = started(ranges, seed)
    slow = Fault("slow", NAMES[0], start, heals, strength, "ramp", ramp_seconds=(heals - start) * 0.8)
    return _ailing(name, ranges, [slow], heals)


def cliff(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway loses most of its servers from one second to the next."""
    _, start, heals, strength = started(ranges, seed)
    return _ailing(name, ranges, [Fault("capacity", NAMES[0], start, heals, strength)], heals)


def hang(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A share of one gateway's answers never arrives; the rest is normal."""
    _, start, heals, strength = started(ranges, seed)
    return _ailing(name, ranges, [Fault("hang", NAMES[0], start, heals, strength)], heals)


def gray(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One method of one gateway is slow, while its other method is healthy."""
    _, start, heals, strength = started(ranges, seed)
    return _ailing(name, ranges, [Fault("slow", NAMES[0], start, heals, strength, methods=("wallet",))], heals)


def loss(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Packets to one gateway are lost: some answers are seconds late or never arrive, some connections are refused."""
    _, start, heals, strength = started(ranges, seed)
    faults = [
        Fault("loss", NAMES[0], start, heals, strength),
        Fault("fail", NAMES[0], start, heals, strength / 2),
    ]
    return _ailing(name, ranges, faults, heals)


def oscillation(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway is alternately slow and healthy, for an hour."""
    random, start, _, strength = started(ranges, seed)
    period = random.uniform(*ranges.lasting)
    slow = Fault("slow", NAMES[0], start, start + 3600, strength, "square", period_seconds=period)
    return _ailing(name, ranges, [slow], start + 3600, seconds=start + 3600)


def recovery(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway fails and recovers in two stages, first with a third of its servers."""
    _, start, heals, strength = started(ranges, seed)
    faults = [
        Fault("hang", NAMES[0], start, start + 60, strength),
        Fault("capacity", NAMES[0], start + 60, heals, 0.33),
    ]
    return _ailing(name, ranges, faults, heals)


def saturating(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway loses most of its servers, and the others lack the capacity for all of its payments."""
    _, start, heals, strength = started(ranges, seed)
    use = (ranges.use, *[0.65] * (ranges.gateways - 1))
    return _ailing(
        name, ranges, [Fault("capacity", NAMES[0], start, heals, strength)], heals, gateways=gateways(ranges, use)
    )


def decline_surge(name: str, ranges: Ranges, seed: int) -> Scenario:
    """An issuer declines everything, which is no fault of a gateway."""
    _, start, ends, strength = started(ranges, seed)
    faults = (Fault("decline", NAMES[0], start, ends, strength),)
    return Scenario(
        name, gateways(ranges), ranges.rate, ends + 300, faults, ailing=NAMES[0], fault_at=start, healed_at=ends
    )


KINDS = (ramp, cliff, hang, gray, loss, oscillation, recovery, saturating, decline_surge)
