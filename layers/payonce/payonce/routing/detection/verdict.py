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

from payonce.routing.detection.memory import RouteMemory
from payonce.routing.detection.significance import surprise

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from payonce.routing.signals.observation import Cell, CellSignals

EVIDENCE = 4.0  # -log10 of the p-value: 1 in 10,000 windows by chance, and two windows in a row are needed
WEAK_EVIDENCE = 1.0  # enough where another method of the gateway has EVIDENCE: one bad answer of two, two of ten
PRIOR_ENDED = 20.0  # a route without data is presumed to be as good as if 1 % of 20 payments had been bad
PRIOR_SHARE = 0.01
LEAST_SHARE = 0.005  # what a healthy gateway may have: timeouts, refused connections, outliers
MARGIN = 0.015  # a smaller difference between two routes is not worth a move
LIMITED_MARGIN = 0.1  # the same for a limited gateway, in whose queue some payments are late
AHEAD_SECONDS = 60.0  # how far ahead a rise is projected
LEAST_RISE = 0.03  # of the mean log latency from one window to the next; less will not matter within AHEAD_SECONDS
FAST_SHARE = 0.45  # of the SLO: if most answers are faster, those that are late do not wait for a server
PROBE_SHARE = 0.05  # of a demoted route's few answers so many may be bad by chance
UNKNOWN = RouteMemory()


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

    ``sure``: it is worse with the evidence of two verdicts. ``suspect``: weaker evidence, enough against a route that has
    just recovered. ``answered``: it had answers; ``blemished``: bad ones beyond chance.
    """

    worse: bool
    sure: bool
    suspect: bool
    answered: bool
    blemished: bool
    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """All routes at one step, to judge each against the others.

    ``demoted`` maps the routes that have less than their neutral share to the share of bad payments they were demoted
    for: what they do with a few probes says little about what they would do with more. ``limited`` are the gateways
    that the reflex loop limits: a queue of theirs is that loop's affair.
    """

    memories: Mapping[Cell, RouteMemory]
    demoted: Mapping[Cell, float]
    limited: Set[str]
    neutral: Mapping[str, float]
    slo_ms: float

    def judge(self, cell: Cell, signals: CellSignals) -> Verdict:
        """Return the verdict of one route. ``signals`` are what it was observed to do since the last step. Pure."""
        memory, now, ahead = self.memories[cell], self._share(cell), self._ahead(cell)
        ended = signals.good + signals.bad
        blemished = surprise(signals.bad, ended, PROBE_SHARE) >= WEAK_EVIDENCE
        near = [cell._replace(gateway=name) for name, weight in self.neutral.items() if weight]
        others = [other for other in near if other != cell]
        best = min(map(self._share, others), default=1.0)
        usual = min(0.99, max(LEAST_SHARE, best))
        own, failing = _evidence(memory.bad, memory.ended, usual), self._failing(cell, usual)
        now = max(now, failing and self._pool(cell)[1])
        drivers = []
        if failing >= EVIDENCE and now - best >= MARGIN:
            drivers.append("failing")
        elif own >= EVIDENCE and now - best >= (LIMITED_MARGIN if cell.gateway in self.limited else MARGIN):
            drivers.append("hanging" if signals.sketch.quantile_ms(0.5) < FAST_SHARE * self.slo_ms else "late")
        well = [self._ahead(other) for other in others if other not in self.demoted]
        if cell.gateway not in self.limited and well and ahead - max(now, *well) >= MARGIN:
            drivers.append("rising")
        evidence = max(own, failing)
        return Verdict(
            worse=bool(drivers),
            sure="rising" in drivers or (bool(drivers) and evidence >= 2 * EVIDENCE),
            suspect=own >= WEAK_EVIDENCE and now - best >= MARGIN,
            answered=ended > 0,
            blemished=blemished,
            forecast=Forecast(max(now, ahead), min(1.0, best), evidence, tuple(drivers)),
        )

    def _share(self, cell: Cell) -> float:
        """Return the share of bad payments now: of the last half minute, or that it was demoted for."""
        memory = self.memories.get(cell, UNKNOWN)
        share = (memory.bad + PRIOR_ENDED * PRIOR_SHARE) / (memory.ended + PRIOR_ENDED)
        return max(share, self.demoted.get(cell, 0.0))

    def _ahead(self, cell: Cell) -> float:
        """Return the share of bad payments that is expected within ``AHEAD_SECONDS``."""
        return max(self._share(cell), _projected(self.memories.get(cell, UNKNOWN), math.log(self.slo_ms)))

    def _failing(self, cell: Cell, usual: float) -> float:
        """Return the evidence that the route's payments end without an answer, pooled over the gateway's methods.

        Its own answers can acquit a method, if there are enough of them.
        """
        memory = self.memories[cell]
        own = _evidence(memory.bad, memory.ended, usual)
        failing = own if memory.failed > memory.bad / 2 else 0.0
        ended, share = self._pool(cell)
        pooled = _evidence(share * ended, ended, usual)
        if pooled >= EVIDENCE and (own >= WEAK_EVIDENCE or memory.ended < PRIOR_ENDED):
            return max(failing, pooled)
        return failing

    def _pool(self, cell: Cell) -> tuple[float, float]:
        """Return how many payments ended at the gateway, and the share of those without an answer."""
        near = [m for other, m in self.memories.items() if other.gateway == cell.gateway and other not in self.demoted]
        ended = sum(memory.ended for memory in near)
        return ended, sum(memory.failed for memory in near) / max(1.0, ended)


def _evidence(bad: float, ended: float, usual: float) -> float:
    return surprise(round(bad), round(ended + PRIOR_ENDED), usual)


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
