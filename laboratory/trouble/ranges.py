"""The ranges that scenarios are drawn from, and what all kinds of trouble share."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from laboratory.scenarios import HEALTHY_MEDIAN_MS, Fault, GatewaySpec, Scenario, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = ("alder", "birch", "cedar", "dogwood", "elder", "fir")
FEES = (100, 180, 140, 160, 120, 150)  # basis points; the first gateway is the cheapest, the second the dearest
USUAL = 4  # how many of the fees are drawn from by a shop with no more gateways than this
MEAN_SECONDS = 0.65  # mean latency of a healthy authorisation, by scenarios.GatewaySpec
PROMPT = Stream()
AFTER_SECONDS = 240.0  # how long a trial goes on after the trouble


@dataclass(frozen=True, slots=True)
class Ranges:
    """The ranges of a scenario, which differ between tuning and report.

    ``strength`` is as the kind says. ``lasting`` and ``start`` are in seconds; with a negative ``start`` the trouble
    begins before the first payment, and the policy inside it. Any kind can be drawn for any shop: ``neutral`` are the
    gateways' weights (even by default), ``medians`` their median latencies in milliseconds (all ``median_ms`` by
    default), ``tail`` and ``stream`` are as in ``GatewaySpec`` and ``Stream``. ``kind`` is the row's name by default.
    """

    gateways: int
    rate: float
    strength: tuple[float, float] = (0.0, 0.0)
    lasting: tuple[float, float] = (180.0, 300.0)
    median_ms: float = HEALTHY_MEDIAN_MS
    use: float = 0.35  # utilisation of all servers on a normal day, so that the others can take over one gateway's load
    kind: str = ""
    start: tuple[float, float] = (240.0, 300.0)
    neutral: tuple[float, ...] = ()
    medians: tuple[float, ...] = ()
    tail: str = "lognormal"
    stream: Stream = PROMPT


def gateways(ranges: Ranges, use: tuple[float, ...] = (), fees: tuple[int, ...] = FEES) -> tuple[GatewaySpec, ...]:
    """Return the gateways. Each has the servers for an even share of the rate at ``ranges.use``, or its own ``use``."""
    medians = ranges.medians or (ranges.median_ms,) * ranges.gateways
    return tuple(
        GatewaySpec(
            name,
            servers=max(3, round(ranges.rate / ranges.gateways * (MEAN_SECONDS * median / 600) / used)),
            fee_basis_points=fee,
            median_ms=median,
        )
        for name, median, fee, used in zip(NAMES, medians, fees, use or (ranges.use,) * ranges.gateways, strict=False)
    )


@dataclass(frozen=True, slots=True)
class Draw:
    """What a seed draws for a kind: the gateways, the one in trouble, from when until when, and how strong."""

    random: Random
    gateways: tuple[GatewaySpec, ...]
    names: list[str]
    ailing: str
    start: float
    heals: float
    strength: float

    def scenario(self, name: str, ranges: Ranges, faults: Iterable[Fault], *, one: bool = True) -> Scenario:
        """Return the scenario of these faults; ``one`` says whether it is one gateway's trouble."""
        return Scenario(
            name=name,
            gateways=self.gateways,
            rate=ranges.rate,
            seconds=self.heals + AFTER_SECONDS,
            faults=tuple(faults),
            ailing=self.ailing if one else None,
            fault_at=max(0.0, self.start),
            healed_at=self.heals,
        )


def drawn(ranges: Ranges, seed: int, use: tuple[float, ...] = ()) -> Draw:
    """Return a seed's draw. Which gateway is in trouble, and the fees, differ from seed to seed."""
    random = Random(seed)
    fees = random.sample(FEES[: max(USUAL, ranges.gateways)], ranges.gateways)
    specs = gateways(ranges, use, tuple(fees))
    names = [spec.name for spec in specs]
    start = random.uniform(*ranges.start)
    return Draw(
        random=random,
        gateways=specs,
        names=names,
        ailing=random.choice(names),
        start=start,
        heals=max(0.0, start) + random.uniform(*ranges.lasting),
        strength=random.uniform(*ranges.strength),
    )
