"""Judges a route against the other routes of its payment method: which one has more bad payments, or soon will have.

A payment is *bad* if it ended without an answer (``unknown``, ``never_sent``) or later than the SLO. Nothing is compared
with the past. So what befalls all gateways alike makes none of them worse, a slower gateway that keeps the SLO is as
good as any, and a predictor that starts inside an incident sees it.

::

    worse = significantly more bad payments than the best other route has, and materially more
         or rising through four windows in a row, so that the p95 will miss the SLO within AHEAD_SECONDS
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.routing.detection.significance import surprise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.routing.detection.memory import RouteMemory
    from payonce.routing.signals.observation import Cell, CellSignals

EVIDENCE = 4.0  # -log10 of the p-value: 1 in 10,000 windows by chance, and two windows in a row are needed
WEAK_EVIDENCE = 1.0  # enough where another method of the gateway has EVIDENCE: one bad answer of two, two of ten
PRIOR_ENDED = 20.0  # a route without data is presumed to be as good as if 1 % of 20 payments had been bad
PRIOR_SHARE = 0.01
LEAST_SHARE = 0.005  # what a healthy gateway may have: timeouts, refused connections, outliers
MARGIN = 0.015  # a smaller difference between two routes is not worth a move
AHEAD_SECONDS = 60.0  # how far ahead a rise is projected
LEAST_RISE = 0.03  # of the mean log latency from one window to the next; less will not matter within AHEAD_SECONDS
FAST_SHARE = 0.45  # of the SLO: if most answers are faster, those that are late do not wait for a server
PROBE_SHARE = 0.05  # of a demoted route's few answers so many may be bad by chance


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is expected of one route. ``bad_share`` (0..1) is that of its payments within ``AHEAD_SECONDS``.

    ``drivers`` name what made it worse than ``others_share``, the best other route's: ``failing``,
    ``hanging``, ``late``, ``rising``.
    """

    bad_share: float
    others_share: float
    evidence: float
    drivers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object for the decision's record."""
        return {
            "bad_share": round(self.bad_share, 4),
            "drivers": list(self.drivers),
            "evidence": round(self.evidence, 2),
            "others_share": round(self.others_share, 4),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one route at one step.

    ``sure``: it is worse with the evidence of two verdicts. ``answered``: it had answers; ``blemished``: bad ones beyond
    chance.
    """

    worse: bool
    sure: bool
    suspect: bool
    answered: bool
    blemished: bool
    forecast: Forecast


def judge(
    memories: Mapping[Cell, RouteMemory],
    signals: Mapping[Cell, CellSignals],
    demoted: Mapping[Cell, float],
    neutral: Mapping[str, float],
    slo_ms: float,
) -> dict[Cell, Verdict]:
    """Return the verdict of every route in ``signals``. Pure.

    ``demoted`` maps the routes that have less than their neutral share to the share of bad payments they were demoted
    for: what they do with a few probes says little about what they would do with more.
    """
    log_slo = math.log(slo_ms)
    shares = {cell: max(_share(memories[cell]), demoted.get(cell, 0.0)) for cell in memories}
    projected = {cell: _projected(memories[cell], log_slo) for cell in memories}
    pools = _pools(memories, demoted)
    verdicts = {}
    for cell in signals:
        memory = memories[cell]
        others = [
            max(shares[other], projected[other])
            for other in memories
            if other.method == cell.method and other.gateway != cell.gateway and neutral.get(other.gateway)
        ]
        unused = [PRIOR_SHARE for name, weight in neutral.items() if weight and not _knows(memories, name, cell)]
        verdicts[cell] = _verdict(
            memory, signals[cell], shares[cell], projected[cell], min([*others, *unused], default=None), pools[cell.gateway], FAST_SHARE * slo_ms
        )
    return verdicts


def _knows(memories: Mapping[Cell, RouteMemory], gateway: str, cell: Cell) -> bool:
    return gateway == cell.gateway or cell._replace(gateway=gateway) in memories


def _verdict(
    memory: RouteMemory,
    signals: CellSignals,
    share: float,
    projected: float,
    best: float | None,
    pool: tuple[float, float],
    fast_ms: float,
) -> Verdict:
    ended, bad = signals.good + signals.bad, signals.bad
    blemished = surprise(bad, ended, PROBE_SHARE) >= WEAK_EVIDENCE
    if best is None:  # there is no other route
        return Verdict(False, False, False, ended > 0, blemished, Forecast(max(share, projected), 0.0, 0.0, ()))
    usual = max(LEAST_SHARE, best)
    own = _evidence(memory.bad, memory.ended, usual)
    pooled = _evidence(pool[1], pool[0], usual)
    failing = own if memory.failed > memory.bad / 2 else 0.0
    if pooled >= EVIDENCE and (own >= WEAK_EVIDENCE or memory.ended < PRIOR_ENDED):
        failing, share = max(failing, pooled), max(share, pool[1] / pool[0])
    drivers = []
    if share - best >= MARGIN and max(own, failing) >= EVIDENCE:
        hanging = signals.sketch.quantile_ms(0.5) < fast_ms
        drivers.append("failing" if failing >= own else "hanging" if hanging else "late")
    if projected - max(best, share) >= MARGIN:
        drivers.append("rising")
    forecast = Forecast(max(share, projected), best, max(own, failing), tuple(drivers))
    sure = "rising" in drivers or (bool(drivers) and forecast.evidence >= 2 * EVIDENCE)
    return Verdict(bool(drivers), sure, own >= WEAK_EVIDENCE and share - best >= MARGIN, ended > 0, blemished, forecast)


def _evidence(bad: float, ended: float, usual: float) -> float:
    return surprise(round(bad), round(ended + PRIOR_ENDED), usual)


def _share(memory: RouteMemory) -> float:
    return (memory.bad + PRIOR_ENDED * PRIOR_SHARE) / (memory.ended + PRIOR_ENDED)


def _pools(memories: Mapping[Cell, RouteMemory], demoted: Mapping[Cell, float]) -> dict[str, tuple[float, float]]:
    """Return per gateway how many payments of all its methods ended, and how many of them without an answer."""
    pools: dict[str, tuple[float, float]] = {}
    for cell, memory in memories.items():
        ended, failed = pools.get(cell.gateway, (0.0, 0.0))
        own = (0.0, 0.0) if cell in demoted else (memory.ended, memory.failed)
        pools[cell.gateway] = ended + own[0], failed + own[1]
    return pools


def _projected(memory: RouteMemory, log_slo: float) -> float:
    """Return the share of late payments that a rise leads to within ``AHEAD_SECONDS``; 0 if nothing rises."""
    at_ms, typical, error = memory.at_ms_of[::-2][:4], memory.typical_of[::-2][:4], memory.error_of[::-2][:4]
    if len(at_ms) < 4:
        return 0.0
    for number in range(3):  # from the newest window back
        if typical[number] - typical[number + 1] < max(LEAST_RISE, math.hypot(error[number], error[number + 1])):
            return 0.0
    slope_per_second = (typical[0] - typical[3]) / max(1, at_ms[0] - at_ms[3]) * 1000
    distance = log_slo - typical[0] - slope_per_second * AHEAD_SECONDS
    return 0.5 * math.erfc(distance / max(0.05, memory.deviation) / math.sqrt(2))
