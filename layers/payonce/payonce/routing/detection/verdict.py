"""Judges each route against the other routes of its payment method: what share of its payments it is trusted with.

A payment is *bad* if it ended without an answer (``unknown``) or later than the SLO. A refused connection is not: it
moves on to another gateway at once. Nothing is compared with the past. So what befalls all gateways alike makes none of
them worse, a slower gateway that keeps the SLO is as good as any, and a predictor that starts inside an incident sees
it. Failed and late payments are two questions with two answers (``trust.FAILED``, ``trust.LATE``); the smaller counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.routing.detection import trust
from payonce.routing.detection.memory import Counts, RouteMemory
from payonce.routing.detection.rising import late_ahead
from payonce.routing.signals.observation import Cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

RISING_ATTEMPTS = 100.0  # a forecast counts like so many attempts of which the projected share was late
SAID = 0.5  # what a route is trusted with less than has a reason
UNKNOWN = RouteMemory()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is known of one route. ``bad_share`` (0..1) is that of its payments lately, or within a minute if it rises.

    ``others_share`` is the best other route's; ``trusted`` the part (0..1) of its neutral share that it is trusted
    with. ``drivers`` name what made it less: ``failing``, ``hanging``, ``late``, ``rising``.
    """

    bad_share: float
    others_share: float
    trusted: float
    drivers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object for the decision's record."""
        return {
            "bad_share": round(self.bad_share, 4),
            "drivers": list(self.drivers),
            "others_share": round(self.others_share, 4),
            "trusted": round(self.trusted, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """All routes at one step, to judge each against the others.

    ``demoted`` are the routes that have less than half of their share; ``limited`` the gateways that the reflex limits;
    ``hanging`` those whose other answers are as fast as ever: what is late there will fail.
    """

    memories: Mapping[Cell, RouteMemory]
    demoted: Set[Cell]
    limited: Set[str]
    hanging: Set[str]
    neutral: Mapping[str, float]
    slo_ms: float

    def judge(self, method: str) -> dict[Cell, Forecast]:
        """Return the forecasts of one method's routes. Pure."""
        cells = {name: Cell(name, method) for name, weight in self.neutral.items() if weight}
        failed, late, ahead = {}, {}, {}
        for name, cell in cells.items():
            own, others = self._counts(cell), self._others(cell)
            ahead[name] = self._ahead(cell, cells)
            known = trust.pooled(own, others, trust.FAILED)
            failed[name] = known.good + known.late, known.failed
            known = trust.pooled(own, others, trust.LATE)
            late[name] = known.good, known.late + RISING_ATTEMPTS * ahead[name]
        by_failed = trust.levels(failed, self.neutral, trust.FAILED)
        by_late = trust.levels(late, self.neutral, trust.LATE)
        shares = {name: max(ahead[name], _share(failed[name]), _share(late[name])) for name in cells}
        found = {}
        for name, cell in cells.items():
            drivers = []
            if by_failed[name] < SAID:
                drivers.append("hanging" if name in self.hanging else "failing")
            if by_late[name] < SAID:
                drivers.append("rising" if ahead[name] else "late")
            best = min((share for other, share in shares.items() if other != name), default=1.0)
            found[cell] = Forecast(shares[name], best, min(by_failed[name], by_late[name]), tuple(drivers))
        return found

    def _counts(self, cell: Cell) -> Counts:
        counts = self.memories.get(cell, UNKNOWN).counts
        if cell.gateway in self.hanging:
            return Counts(counts.good, counts.failed + counts.late)
        return counts

    def _others(self, cell: Cell) -> Counts:
        """Return the counts of the gateway's other methods."""
        total = Counts()
        for other in self.memories:
            if other.gateway == cell.gateway and other != cell:
                total = total.plus(self._counts(other))
        return total

    def _ahead(self, cell: Cell, cells: Mapping[str, Cell]) -> float:
        if cell.gateway in self.limited or cell not in self.memories:
            return 0.0
        well = [other for other in cells.values() if other != cell and other not in self.demoted]
        return late_ahead(self.memories[cell], [self.memories.get(other, UNKNOWN) for other in well], self.slo_ms)


def _share(counts: trust.Judged) -> float:
    good, bad = counts
    return bad / max(1.0, good + bad)
