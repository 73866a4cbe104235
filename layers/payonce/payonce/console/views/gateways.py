"""The gateways: how they did in each minute, what was forecast, decided and overridden, and decisions made again.

Allowed: dynamodb:GetItem on RoutingTable with the leading keys CONTROL; dynamodb:Query on RoutingTable with the leading
keys MINUTES, OVERRIDES and DECISION#*; dynamodb:BatchGetItem on RoutingTable with the leading keys DECISION#*.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from payonce.console.page import Rendered
from payonce.console.plots.drawing import percent
from payonce.console.plots.heat_map import column_of, heat_map
from payonce.console.plots.lines import Series, lines_plot
from payonce.console.plots.shares import shares_plot
from payonce.console.views.routing_now import ANY_METHOD, RoutingNow, routing_now, what_it_does
from payonce.domain.errors import BodyMalformed
from payonce.overview.minutes import minute_of
from payonce.routing.control.override import parse_override
from payonce.routing.control.override_desk import OverrideDesk, last_version
from payonce.routing.decision.minutes import read_minutes
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.observation import Cell
from payonce.routing.signals.sketch import LatencySketch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.console.page import PageRequest, Services
    from payonce.console.plots.drawing import Plot
    from payonce.routing.control.override_desk import Entry
    from payonce.routing.decision.minutes import RouteMinute

SPANS = (60, 180)  # minutes that can be looked at: more columns than pixels would show nothing
RECENT_MINUTES = 15  # of the table
SHOWN_OVERRIDES = 10
APPROVED = Outcome.APPROVED.value
ANSWERED = (APPROVED, Outcome.DECLINED.value)
USUAL_MINUTES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRow:
    """A gateway: how it did in the last minutes, and what routing does with it. Shares are 0..1, ``None`` for none."""

    name: str
    payments: int
    share: float | None
    p50_ms: float | None
    p95_ms: float | None
    approval: float | None
    bad: float | None
    weight: float
    static: float
    limit: float | None
    overridden: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideRow:
    """A change of the override by a person, for the history."""

    version: int
    at_ms: int
    operator: str
    reason: str
    says: str


def gateways(services: Services, request: PageRequest) -> Rendered:
    """Return the page of all gateways, and of one route more closely. Three round trips.

    The query may have ``route`` (``gateway|method``) and ``minutes`` (one of ``SPANS``). Raises ``BodyMalformed`` for
    another, and ``StoreUnavailable``.
    """
    span = _span(request.query.get("minutes", str(SPANS[0])))
    last = minute_of(request.now_ms)
    first = last - span + 1
    kept = read_minutes(services.database, first, last)
    now = routing_now(services, request.now_ms)
    settings = services.settings.routing
    names = sorted({*settings.neutral, *(cell.gateway for cell in _cells(kept))})
    cells = sorted(_cells(kept))
    cell = _chosen(request.query.get("route", ""), cells, kept)
    method = cell.method if cell else ANY_METHOD
    desk = OverrideDesk(services.database, services.clock, settings.neutral)
    overrides = list(islice(desk.history(), SHOWN_OVERRIDES))
    return Rendered(
        "gateways.html",
        {
            "now": now,
            "now_ms": request.now_ms,
            "method": method,
            "rows": [_row(name, kept, last, now, method) for name in names],
            "cells": cells,
            "cell": cell,
            "span": span,
            "spans": SPANS,
            "plots": _plots(kept, cell, names, first, last, settings.slo_ms),
            "overrides": [override_row(entry) for entry in overrides],
            "override_version": last_version(now.override_version, next(iter(overrides), None)),
            "usual_minutes": USUAL_MINUTES,
            "routed": [(name, name) for name in sorted(settings.neutral)],
            "drained_first": cell.gateway if cell is not None and cell.gateway in settings.neutral else "",
            "recent_minutes": RECENT_MINUTES,
        },
    )


def _span(text: str) -> int:
    if text not in map(str, SPANS):
        raise BodyMalformed(f"The minutes to look at are one of {', '.join(map(str, SPANS))}.", field="minutes")
    return int(text)


def _cells(kept: Mapping[int, RouteMinute]) -> set[Cell]:
    return {Cell.parse(key) for minute in kept.values() for key in minute.cells}


def _chosen(text: str, cells: Sequence[Cell], kept: Mapping[int, RouteMinute]) -> Cell | None:
    """Return the route that was asked for, or the one with the most payments; ``None`` where there is none."""
    if not text:
        totals = Counter(dict.fromkeys(map(Cell.key, cells), 0))
        for minute in kept.values():
            totals.update({key: cell.total for key, cell in minute.cells.items()})
        return Cell.parse(totals.most_common(1)[0][0]) if totals else None
    try:
        return Cell.parse(text)
    except ValueError:
        raise BodyMalformed("A route is a gateway and a method, such as alder|card.", field="route") from None


def _row(name: str, kept: Mapping[int, RouteMinute], last: int, now: RoutingNow, method: str) -> GatewayRow:
    sketch, ends, bad, everything = LatencySketch(), Counter[str](), 0, 0
    for minute, seen in kept.items():
        if minute <= last - RECENT_MINUTES:
            continue
        for key, cell in seen.cells.items():
            everything += cell.total
            if Cell.parse(key).gateway == name:
                sketch.merge(cell.sketch)
                ends.update(cell.ends)
                bad += cell.bad
    total = ends.total()
    answered = sum(ends[outcome] for outcome in ANSWERED)
    weights = now.weights.get(method, now.weights[ANY_METHOD])
    return GatewayRow(
        name=name,
        payments=total,
        share=total / everything if everything else None,
        p50_ms=sketch.quantile_ms(0.5) if sketch.total else None,
        p95_ms=sketch.quantile_ms(0.95) if sketch.total else None,
        approval=ends[APPROVED] / answered if answered else None,
        bad=bad / total if total else None,
        weight=weights.get(name, 0.0),
        static=now.static.get(name, 0.0),
        limit=now.limits.get(name),
        overridden=now.share_of(name),
    )


def _plots(
    kept: Mapping[int, RouteMinute], cell: Cell | None, names: Sequence[str], first: int, last: int, slo_ms: float
) -> dict[str, Plot]:
    plots: dict[str, Plot] = {}
    colours = {name: place for place, name in enumerate(names, 1)}
    shares: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for minute, seen in kept.items():
        for key, one in seen.cells.items():
            shares[minute][Cell.parse(key).gateway] += one.total
    plots["shares"] = shares_plot("shares", "Share of each gateway", shares, names, first, last)
    limits = [
        Series(
            name, {m: seen.limits[name] for m, seen in kept.items() if name in seen.limits}, colours[name], stepped=True
        )
        for name in names
    ]
    limited = [series for series in limits if series.values]
    if limited:
        plots["limits"] = lines_plot("limits", "Limits: requests in flight", limited, first, last, _whole)
    if cell is None:
        return plots
    own = {minute: seen.cells[cell.key()] for minute, seen in kept.items() if cell.key() in seen.cells}
    columns = {minute: column_of(one.sketch) for minute, one in own.items() if one.sketch.total}
    route = f"{cell.gateway}, {cell.method}"
    plots["heat"] = heat_map("heat", f"Latency at {route}", columns, first, last, slo_ms)
    came = {minute: one.bad / one.total for minute, one in own.items() if one.total}
    # A forecast is for the minute after it.
    expected = {minute + 1: one.expected for minute, one in own.items() if one.expected is not None and minute < last}
    both = [Series("came", came, 1, filled=True), Series("forecast", expected, 2, dashed=True)]
    plots["forecast"] = lines_plot(
        "forecast", f"Bad payments at {route}: forecast against what came", both, first, last, percent
    )
    weights = [
        Series(
            name,
            {
                minute: seen.weights[cell.method].get(name, 0.0)
                for minute, seen in kept.items()
                if cell.method in seen.weights
            },
            colours[name],
            stepped=True,
        )
        for name in names
    ]
    plots["weights"] = lines_plot("weights", f"Weights decided for {cell.method}", weights, first, last, percent, 1.0)
    return plots


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def override_row(entry: Entry) -> OverrideRow:
    """Return a change of the override as the history shows it; one that can't be read says so."""
    try:
        override = parse_override(entry.after, None)
    except ValueError:
        says = "unreadable"
    else:
        says = what_it_does(override, override.issued_at_ms)
    return OverrideRow(
        version=entry.version, at_ms=entry.at_ms, operator=entry.operator, reason=entry.reason, says=says
    )
