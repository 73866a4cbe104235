"""Judges a route against the other routes of its payment method: which one has more bad payments, or soon will have.

A payment is *bad* if it ended without an answer (``unknown``) or later than the SLO. A refused connection is not: it
moves on to another gateway at once. Nothing is compared with the past. So what befalls all gateways alike makes none of
them worse, a slower gateway that keeps the SLO is as good as any, and a predictor that starts inside an incident sees
it.

::

    worse = significantly more bad payments than the best other route has, and materially more,
            within half a minute or within seconds
         or rising through four windows in a row, and more than the others, towards the SLO within AHEAD_SECONDS
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.routing.detection.memory import KEPT_WINDOWS, WINDOWS, Counts, RouteMemory
from payonce.routing.detection.significance import surprise

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from payonce.routing.signals.observation import Cell, CellSignals

EVIDENCE = 4.0  # -log10 of the p-value; a week has 600,000 steps, but only some 20,000 half minutes
WEAK_EVIDENCE = 1.0  # enough where another method of the gateway has EVIDENCE: a p-value of 0.1
PRIOR_ENDED = 20.0  # a route without data is presumed to be as good as if 1 % of 20 payments had been bad
PRIOR_SHARE = 0.01
LEAST_SHARE = 0.005  # what a healthy gateway may have: timeouts and outliers
SHARED_SHARE = (
    0.02  # where the best route has so many bad payments, it may be the same trouble, and chance that it has less
)
MARGIN = 0.015  # a smaller difference between two routes is not worth a move
AHEAD_SECONDS = 60.0  # how far ahead a rise is projected
LEAST_DEVIATION = 0.05  # of a log latency
LEAST_RISE = 0.03  # of the mean log latency from one window to the next; less will not matter within AHEAD_SECONDS
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

    ``good`` and ``bad`` count its attempts since the last step; ``usual`` is the share of bad ones that its best
    alternative has, and at least ``LEAST_SHARE``.
    """

    worse: bool
    good: int
    bad: int
    usual: float
    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """All routes at one step, to judge each against the others.

    ``demoted`` maps the routes that have less than their neutral share to the share of bad payments they were demoted
    for: what they do with a few probes says little about what they would do with more. ``limited`` are the gateways
    that the reflex limits: a queue of theirs is its affair. ``hanging`` are those whose other answers are
    as fast as ever.
    """

    memories: Mapping[Cell, RouteMemory]
    demoted: Mapping[Cell, float]
    limited: Set[str]
    hanging: Set[str]
    neutral: Mapping[str, float]
    slo_ms: float

    def judge(self, cell: Cell, signals: CellSignals) -> Verdict:
        """Return the verdict of one route. ``signals`` are what it was observed to do since the last step. Pure."""
        memory, now = self.memories[cell], self._share(cell)
        near = [cell._replace(gateway=name) for name, weight in self.neutral.items() if weight]
        others = [other for other in near if other != cell]
        best = min(map(self._share, others), default=1.0)
        usual = min(
            0.99, max(LEAST_SHARE, best + (self._error(others, best) if others and best >= SHARED_SHARE else 0.0))
        )
        own = max(_evidence(counts.bad, counts.ended, usual) for counts in (memory.long, memory.short))
        failing, failed = self._failing(cell, usual, own)
        now = max(now, failed)
        well = [other for other in others if other not in self.demoted]
        full = cell.gateway in self.limited and all(other.gateway in self.limited for other in well)
        drivers = []
        if failing >= EVIDENCE and now - best >= MARGIN:
            drivers.append("failing")
        elif own >= EVIDENCE and now - best >= MARGIN and not (full and cell.gateway not in self.hanging):
            drivers.append("hanging" if cell.gateway in self.hanging else "late")
        ahead = self._ahead(memory, well)
        if cell.gateway not in self.limited and well and ahead - max(now, *map(self._share, well)) >= MARGIN:
            drivers.append("rising")
        forecast = Forecast(max(now, ahead), min(1.0, best), max(own, failing), tuple(drivers))
        return Verdict(bool(drivers), signals.good, signals.bad, usual, forecast)

    def _error(self, others: list[Cell], best: float) -> float:
        """Return the standard error of the best other route's share."""
        ended = min(self.memories.get(other, UNKNOWN).long.ended for other in others if self._share(other) <= best)
        return math.sqrt(best * (1 - best) / (ended + PRIOR_ENDED))

    def _share(self, cell: Cell) -> float:
        """Return the share of bad payments now, or that it was demoted for."""
        memory = self.memories.get(cell, UNKNOWN)
        shares = [
            (each.bad + PRIOR_ENDED * PRIOR_SHARE) / (each.ended + PRIOR_ENDED) for each in (memory.long, memory.short)
        ]
        return max(*shares, self.demoted.get(cell, 0.0))

    def _ahead(self, memory: RouteMemory, well: list[Cell]) -> float:
        """Return the share of late payments within ``AHEAD_SECONDS``, if it rises more than the others; else 0."""
        changes = [_change(self.memories.get(other, UNKNOWN)) for other in well]
        known = [change for change in changes if change is not None]
        rise = _rise(memory) - max(0.0, min(known)) if known else 0.0
        return _projected(memory, rise, math.log(self.slo_ms)) if rise >= LEAST_RISE * (WINDOWS - 1) else 0.0

    def _failing(self, cell: Cell, usual: float, own: float) -> tuple[float, float]:
        """Return the evidence that the route's payments end without an answer, and their share.

        They are pooled over the gateway's methods. A method is acquitted by its own answers, if there are enough.
        """
        memory = self.memories[cell]
        found = (own, 0.0) if memory.long.failed > memory.long.bad / 2 else (0.0, 0.0)
        if own < WEAK_EVIDENCE and memory.long.ended >= PRIOR_ENDED:
            return found
        near = [m for other, m in self.memories.items() if other.gateway == cell.gateway and other not in self.demoted]
        for counts in ([memory.long for memory in near], [memory.short for memory in near]):
            pool = functools.reduce(Counts.plus, counts, Counts())
            found = max(
                found, (_evidence(pool.failed, pool.ended, usual), min(1.0, pool.failed / max(1.0, pool.ended)))
            )
        return found


def _evidence(bad: float, ended: float, usual: float) -> float:
    # An attempt that was late before a cut may fail after it, so that more have failed than ended since.
    return surprise(round(min(bad, ended)), round(ended + PRIOR_ENDED), usual)


def _rise(memory: RouteMemory) -> float:
    """Return how much the mean log latency rose over the last four windows; 0 unless it rose from each to the next."""
    typical, error = memory.typical_of[::-2], memory.error_of[::-2]  # every other one, from the newest back
    if len(typical) < WINDOWS:
        return 0.0
    for number in range(WINDOWS - 1):
        if typical[number] - typical[number + 1] < max(LEAST_RISE, math.hypot(error[number], error[number + 1])):
            return 0.0
    return typical[0] - typical[WINDOWS - 1]


def _change(memory: RouteMemory) -> float | None:
    """Return the change of the mean log latency over the last four windows, ``None`` while there are less."""
    return memory.typical_of[-1] - memory.typical_of[0] if len(memory.typical_of) == KEPT_WINDOWS else None


def _projected(memory: RouteMemory, rise: float, log_slo: float) -> float:
    """Return the share of late payments that ``rise`` within the last windows leads to within ``AHEAD_SECONDS``."""
    seconds = (memory.at_ms_of[-1] - memory.at_ms_of[0]) / 1000
    distance = log_slo - memory.typical_of[-1] - rise / seconds * AHEAD_SECONDS
    return 0.5 * math.erfc(distance / max(LEAST_DEVIATION, memory.deviation) / math.sqrt(2))
