"""The scenarios, one function each. The seed draws from ``Ranges``, which differ between tuning and report."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from laboratory.scenarios import Fault, GatewaySpec, Scenario, Surge

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("alder", "birch", "cedar", "dogwood")
FEES = (
    100,
    180,
    140,
    160,
)  # basis points; the first gateway is the cheapest and the one in trouble, the second dearest
MEAN_SECONDS = 0.65  # mean latency of a healthy authorisation, by scenarios.GatewaySpec
WEEK_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Ranges:
    """The ranges of a scenario, which differ between tuning and report. ``lasting`` is in seconds."""

    gateways: int
    rate: float
    strength: tuple[float, float]
    lasting: tuple[float, float] = (180.0, 300.0)
    median_ms: float = 600.0
    use: float = 0.35  # utilisation of all servers on a normal day, so that the others can take over one gateway's load


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
    """One gateway gets slower, at first a little, in the end beyond the timeout."""
    _, start, heals, strength = _trouble(ranges, seed)
    slow = Fault("slow", NAMES[0], start, heals, strength, "ramp", ramp_seconds=(heals - start) * 0.8)
    return _ailing(name, ranges, [slow], heals)


def cliff(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway loses most of its servers from one second to the next."""
    _, start, heals, strength = _trouble(ranges, seed)
    return _ailing(name, ranges, [Fault("capacity", NAMES[0], start, heals, strength)], heals)


def hang(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A share of one gateway's answers never arrives; the rest is normal."""
    _, start, heals, strength = _trouble(ranges, seed)
    return _ailing(name, ranges, [Fault("hang", NAMES[0], start, heals, strength)], heals)


def gray(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One method of one gateway is slow, while its other method is healthy."""
    _, start, heals, strength = _trouble(ranges, seed)
    return _ailing(name, ranges, [Fault("slow", NAMES[0], start, heals, strength, methods=("wallet",))], heals)


def loss(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Packets to one gateway are lost: some answers are seconds late or never arrive, some connections are refused."""
    _, start, heals, strength = _trouble(ranges, seed)
    faults = [
        Fault("loss", NAMES[0], start, heals, strength),
        Fault("fail", NAMES[0], start, heals, strength / 2),
    ]
    return _ailing(name, ranges, faults, heals)


def oscillation(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway is alternately slow and healthy, for an hour."""
    random, start, _, strength = _trouble(ranges, seed)
    period = random.uniform(*ranges.lasting)
    slow = Fault("slow", NAMES[0], start, start + 3600, strength, "square", period_seconds=period)
    return _ailing(name, ranges, [slow], start + 3600, seconds=start + 3600)


def recovery(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway fails and recovers in two stages, first with a third of its servers."""
    _, start, heals, strength = _trouble(ranges, seed)
    faults = [
        Fault("hang", NAMES[0], start, start + 60, strength),
        Fault("capacity", NAMES[0], start + 60, heals, 0.33),
    ]
    return _ailing(name, ranges, faults, heals)


def saturating(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One gateway loses most of its servers, and the others lack the capacity for all of its payments."""
    _, start, heals, strength = _trouble(ranges, seed)
    use = (ranges.use, *[0.65] * (ranges.gateways - 1))
    return _ailing(
        name, ranges, [Fault("capacity", NAMES[0], start, heals, strength)], heals, gateways=_gateways(ranges, use)
    )


def demand_surge(name: str, ranges: Ranges, seed: int) -> Scenario:
    """Demand exceeds the capacity of all gateways together."""
    _, start, ends, strength = _trouble(ranges, seed)
    surge = Surge(start, ends, strength / ranges.use)
    return Scenario(name, _gateways(ranges), ranges.rate, ends + 420, surges=(surge,), fault_at=start, healed_at=ends)


def decline_surge(name: str, ranges: Ranges, seed: int) -> Scenario:
    """An issuer declines everything, which is no fault of a gateway."""
    _, start, ends, strength = _trouble(ranges, seed)
    faults = tuple(Fault("decline", NAMES[0], start, ends, strength) for _ in range(1))
    return Scenario(
        name, _gateways(ranges), ranges.rate, ends + 300, faults, ailing=NAMES[0], fault_at=start, healed_at=ends
    )


def noisy_merchant(name: str, ranges: Ranges, seed: int) -> Scenario:
    """One merchant's demand multiplies and exceeds the capacity of all gateways."""
    _, start, ends, strength = _trouble(ranges, seed)
    surge = Surge(start, ends, strength, merchant="m0")
    return Scenario(name, _gateways(ranges), ranges.rate, ends + 300, surges=(surge,), fault_at=start, healed_at=ends)


def diurnal(name: str, ranges: Ranges, seed: int) -> Scenario:
    """A week without faults, in which demand and latency vary over the day."""
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
