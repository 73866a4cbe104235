"""The scenarios, one function each. ``Ranges`` says between what the seed draws; tuning and report have their own."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from laboratory.scenarios import Fault, GatewaySpec, Scenario, Surge

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("alder", "birch", "cedar", "dogwood")
FEES = (100, 180, 140, 160)  # basis points: the first is the cheap one, and the one that ails; the second the dearest
MEAN_SECONDS = 0.65  # of a healthy authorisation, as scenarios.GatewaySpec draws it
WEEK_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Ranges:
    """What differs between the scenarios that constants are tuned on and those that are reported."""

    gateways: int
    rate: float
    strength: tuple[float, float]
    lasting: tuple[float, float] = (180.0, 300.0)
    median_ms: float = 600.0
    use: float = 0.35  # of all servers on a normal day: what one gateway loses, the others can bear


def _gateways(ranges: Ranges, use: tuple[float, ...] = ()) -> tuple[GatewaySpec, ...]:
    count = ranges.gateways
    mean = MEAN_SECONDS * ranges.median_ms / 600
    share = ranges.rate / count * mean
    return tuple(
        GatewaySpec(
            NAMES[number],
            servers=max(3, round(share / (use[number] if use else ranges.use))),
            fee_basis_points=FEES[number],
            median_ms=ranges.median_ms,
        )
        for number in range(count)
    )


def _trouble(ranges: Ranges, seed: int) -> tuple[Random, float, float, float]:
    random = Random(seed)
    start = random.uniform(240, 300)
    return random, start, start + random.uniform(*ranges.lasting), random.uniform(*ranges.strength)


def _ailing(name: str, ranges: Ranges, faults: list[Fault], heals: float, **more: object) -> Scenario:
    return Scenario(
        name=name,
        gateways=more.pop("gateways", None) or _gateways(ranges),  # type: ignore[arg-type]
        rate=ranges.rate,
        seconds=more.pop("seconds", heals + 420),  # type: ignore[arg-type]
        faults=tuple(faults),
        ailing=NAMES[0],
        fault_at=min(fault.start for fault in faults),
        healed_at=heals,
        **more,  # type: ignore[arg-type]
    )


def ramp(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway gets slower, first by little, in the end beyond the timeout."""
    _, start, heals, strength = _trouble(ranges, seed)
    slow = Fault("slow", NAMES[0], start, heals, strength, "ramp", ramp_seconds=(heals - start) * 0.8)
    return _ailing(name, ranges, [slow], heals)


def cliff(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway loses most of its servers from one second to the next."""
    _, start, heals, strength = _trouble(ranges, seed)
    return _ailing(name, ranges, [Fault("capacity", NAMES[0], start, heals, strength)], heals)


def hang(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A part of one gateway's answers never comes; the others come as ever."""
    _, start, heals, strength = _trouble(ranges, seed)
    return _ailing(name, ranges, [Fault("hang", NAMES[0], start, heals, strength)], heals)


def gray(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One method of one gateway is slow, its other method well."""
    _, start, heals, strength = _trouble(ranges, seed)
    return _ailing(name, ranges, [Fault("slow", NAMES[0], start, heals, strength, methods=("wallet",))], heals)


def loss(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Packets to one gateway get lost: some answers come seconds late, some never, some connections are refused."""
    _, start, heals, strength = _trouble(ranges, seed)
    faults = [
        Fault("loss", NAMES[0], start, heals, strength),
        Fault("fail", NAMES[0], start, heals, strength / 2),
    ]
    return _ailing(name, ranges, faults, heals)


def oscillation(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway is slow and well by turns, for an hour."""
    random, start, _, strength = _trouble(ranges, seed)
    period = random.uniform(*ranges.lasting)
    slow = Fault("slow", NAMES[0], start, start + 3600, strength, "square", period_seconds=period)
    return _ailing(name, ranges, [slow], start + 3600, seconds=start + 3600)


def recovery(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway fails, and comes back in two stages: first with a third of its servers."""
    _, start, heals, strength = _trouble(ranges, seed)
    faults = [
        Fault("hang", NAMES[0], start, start + 60, strength),
        Fault("capacity", NAMES[0], start + 60, heals, 0.33),
    ]
    return _ailing(name, ranges, faults, heals)


def saturating(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway loses most of its servers, and the others have too few for all of its payments."""
    _, start, heals, strength = _trouble(ranges, seed)
    use = (ranges.use, *[0.65] * (ranges.gateways - 1))
    return _ailing(
        name, ranges, [Fault("capacity", NAMES[0], start, heals, strength)], heals, gateways=_gateways(ranges, use)
    )


def demand_surge(name: str, ranges: Ranges, seed: int) -> Scenario:
    """More payments than all gateways together can do."""
    _, start, ends, strength = _trouble(ranges, seed)
    surge = Surge(start, ends, strength / ranges.use)
    return Scenario(name, _gateways(ranges), ranges.rate, ends + 420, surges=(surge,), fault_at=start, healed_at=ends)


def decline_surge(name: str, ranges: Ranges, seed: int) -> Scenario:
    """An issuer declines everything: no gateway is any worse for it."""
    _, start, ends, strength = _trouble(ranges, seed)
    faults = tuple(Fault("decline", NAMES[0], start, ends, strength) for _ in range(1))
    return Scenario(
        name, _gateways(ranges), ranges.rate, ends + 300, faults, ailing=NAMES[0], fault_at=start, healed_at=ends
    )


def noisy_merchant(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One merchant asks for ten times as much as ever, and more than all gateways can do."""
    _, start, ends, strength = _trouble(ranges, seed)
    surge = Surge(start, ends, strength, merchant="m0")
    return Scenario(name, _gateways(ranges), ranges.rate, ends + 300, surges=(surge,), fault_at=start, healed_at=ends)


def diurnal(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A week in which nothing goes wrong: demand and latency swing over the day."""
    random = Random(seed)
    faults = tuple(
        Fault("slow", NAMES[number], 0, WEEK_SECONDS, random.uniform(*ranges.strength), "daily")
        for number in range(ranges.gateways)
    )
    return Scenario(name, _gateways(ranges), ranges.rate, WEEK_SECONDS, faults, daily=True)


KINDS: dict[str, Callable[[str, Ranges, int], Scenario]] = {
    function.__name__: function
    for function in (
        ramp, cliff, hang, gray, loss, oscillation, recovery, saturating, demand_surge, decline_surge, noisy_merchant,
        diurnal,
    )
}  # fmt: skip
