"""What the stream of claims and commits says about each route (a gateway and a payment method), second by second.

A claim without a commit is a request in flight. One that is older than nearly every answer of the route has ever been
is *overdue*: it counts as slow now, long before its timeout.

::

    claim ├──────── usual latency ───────┤ overdue: counted as slow ─────────────┤ timeout: in doubt
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from payonce.routing.admission import Priority
from payonce.routing.observation import Cell, CellSignals, GatewaySignals, Observation
from payonce.routing.sketch import LatencySketch

SECOND_MS = 1000
KEEP_SECONDS = 60  # the longest window that is looked at
REFLEX_SECONDS = 3  # shorter, and the rate of a route with ten payments a second is mostly noise
FORECAST_SECONDS = 10
ENOUGH_SAMPLES = 40  # a window is lengthened up to KEEP_SECONDS until a p95 rests on this many
FORGET_OPEN_SECONDS = 60  # beyond every lease: recovery has it by then, and it says nothing about now
MAX_MERCHANTS = 10_000  # whose demand is counted; the rest share one line
EVERYONE_ELSE = "*"
NEVER_OVERDUE_MS = 2**31


class Outcome(StrEnum):
    """How an attempt ended. An issuer's decline is an answer: only the last two say anything bad about the gateway."""

    APPROVED = "approved"
    DECLINED = "declined"
    NEVER_SENT = "never_sent"
    UNKNOWN = "unknown"


TECHNICAL = frozenset({Outcome.NEVER_SENT, Outcome.UNKNOWN})


@dataclass(slots=True)
class _Slot:
    second: int
    sketch: LatencySketch = field(default_factory=LatencySketch)
    started: int = 0
    refused: int = 0
    answered: int = 0
    technical: int = 0
    slow: int = 0


@dataclass(slots=True)
class _Demand:
    second: int
    merchants: dict[str, int] = field(default_factory=dict)
    priorities: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Route:
    open: dict[str, int] = field(default_factory=dict)  # attempt → claimed at, in the order of the stream
    slots: deque[_Slot] = field(default_factory=deque)
    overdue_after_ms: int = NEVER_OVERDUE_MS

    def slot(self, now_ms: int) -> _Slot:
        # An event from the past (a shard that lagged) counts in the newest slot: it is news now.
        second = now_ms // SECOND_MS
        if not self.slots or self.slots[-1].second < second:
            self.slots.append(_Slot(second))
            while self.slots[0].second <= second - KEEP_SECONDS:
                self.slots.popleft()
        return self.slots[-1]


class SignalBook:
    """Collects events and answers ``observe``. Holds at most ``KEEP_SECONDS`` of counts and the open claims.

    Every event may be delivered more than once. All times are the stream's, epoch milliseconds.
    """

    def __init__(self) -> None:
        self._routes: dict[Cell, _Route] = {}
        self._closed: dict[str, int] = {}
        self._demand: deque[_Demand] = deque()

    def claimed(self, at_ms: int, attempt_id: str, cell: Cell, merchant_id: str, priority: Priority) -> None:
        """A payment was claimed for the route and is about to be sent."""
        route = self._route(cell)
        if attempt_id in route.open or attempt_id in self._closed:
            return
        route.open[attempt_id] = at_ms
        route.slot(at_ms).started += 1
        self._count_demand(at_ms, merchant_id, priority)

    def committed(self, at_ms: int, attempt_id: str, cell: Cell, latency_ms: int, outcome: Outcome) -> None:
        """The attempt ended. ``latency_ms`` is the gateway's, as the function measured it."""
        if attempt_id in self._closed:
            return
        route = self._route(cell)
        route.open.pop(attempt_id, None)
        self._closed[attempt_id] = at_ms
        slot = route.slot(at_ms)
        if outcome in TECHNICAL:
            slot.technical += 1
        else:
            slot.answered += 1
        if outcome is not Outcome.NEVER_SENT:  # a refused connection is quick, and says nothing about latency
            slot.sketch.add(latency_ms)
            if latency_ms > route.overdue_after_ms:
                slot.slow += 1

    def refused(self, at_ms: int, cell: Cell, merchant_id: str, priority: Priority) -> None:
        """A request was answered 429 before any claim, by the request log. ``cell`` is the route it would have had."""
        self._route(cell).slot(at_ms).refused += 1
        self._count_demand(at_ms, merchant_id, priority)

    def expect(self, cell: Cell, overdue_after_ms: int) -> None:
        """From now on an attempt of the route that takes longer is slow."""
        self._route(cell).overdue_after_ms = overdue_after_ms

    def observe(self, now_ms: int, *, forecast: bool) -> Observation:
        """What is known as of ``now_ms``, which is the time of the newest event rather than the reader's own.

        Else the stream's delay would look like a pause of all gateways. The windows of the forecast are merged only
        when asked for: they are the costly part.
        """
        self._forget(now_ms)
        cells = {cell: self._cell(route, now_ms) for cell, route in self._routes.items()} if forecast else {}
        gateways: dict[str, GatewaySignals] = {}
        demand: dict[str, int] = {}
        for cell, route in self._routes.items():
            signals = gateways.setdefault(cell.gateway, GatewaySignals())
            offered = self._add_recent(signals, route, now_ms)
            demand[cell.method] = demand.get(cell.method, 0) + offered
        seconds = REFLEX_SECONDS + now_ms % SECOND_MS / SECOND_MS
        merchants, priorities = self._demand_rates(now_ms, seconds)
        return Observation(now_ms, seconds, cells, gateways, _per_second(demand, seconds), merchants, priorities)

    def _route(self, cell: Cell) -> _Route:
        route = self._routes.get(cell)
        if route is None:
            route = self._routes[cell] = _Route()
            self._routes = dict(sorted(self._routes.items()))  # one order, so that sums have the same bytes
        return route

    def _count_demand(self, at_ms: int, merchant_id: str, priority: Priority) -> None:
        second = at_ms // SECOND_MS
        if not self._demand or self._demand[-1].second < second:
            self._demand.append(_Demand(second))
            while self._demand[0].second < second - REFLEX_SECONDS:
                self._demand.popleft()
        demand = self._demand[-1]
        demand.priorities[priority] = demand.priorities.get(priority, 0) + 1
        if priority is not Priority.PROTECTED:
            counts = demand.merchants
            name = merchant_id if merchant_id in counts or len(counts) < MAX_MERCHANTS else EVERYONE_ELSE
            counts[name] = counts.get(name, 0) + 1

    def _demand_rates(self, now_ms: int, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
        oldest = now_ms // SECOND_MS - REFLEX_SECONDS
        merchants: dict[str, int] = {}
        priorities: dict[str, int] = {}
        for demand in self._demand:
            if demand.second >= oldest:
                for total, counts in ((merchants, demand.merchants), (priorities, demand.priorities)):
                    for name, count in counts.items():
                        total[name] = total.get(name, 0) + count
        return _per_second(merchants, seconds), _per_second(priorities, seconds)

    def _forget(self, now_ms: int) -> None:
        horizon = now_ms - FORGET_OPEN_SECONDS * SECOND_MS
        for route in self._routes.values():
            while route.open and (oldest := next(iter(route.open.items())))[1] < horizon:
                del route.open[oldest[0]]
        while self._closed and (done := next(iter(self._closed.items())))[1] < horizon:
            del self._closed[done[0]]

    @staticmethod
    def _overdue(route: _Route, now_ms: int) -> list[int]:
        """Ages of the overdue, in milliseconds. The open ones are in order of age, give or take the shards' lag."""
        ages = []
        for claimed_at_ms in route.open.values():
            if now_ms - claimed_at_ms <= route.overdue_after_ms:
                break
            ages.append(now_ms - claimed_at_ms)
        return ages

    def _add_recent(self, signals: GatewaySignals, route: _Route, now_ms: int) -> int:
        oldest = now_ms // SECOND_MS - REFLEX_SECONDS
        overdue = len(self._overdue(route, now_ms))
        signals.in_flight += len(route.open)
        signals.overdue += overdue
        signals.expects = signals.expects or route.overdue_after_ms != NEVER_OVERDUE_MS
        offered = 0
        for slot in reversed(route.slots):
            if slot.second < oldest:
                break
            signals.started += slot.started
            signals.answered += slot.answered
            signals.technical += slot.technical
            signals.slow += slot.slow
            offered += slot.started + slot.refused
        return offered

    def _cell(self, route: _Route, now_ms: int) -> CellSignals:
        second = now_ms // SECOND_MS
        sketch, span, answered, technical, started = LatencySketch(), FORECAST_SECONDS, 0, 0, 0
        for slot in reversed(route.slots):
            age = second - slot.second
            if age > FORECAST_SECONDS and sketch.total >= ENOUGH_SAMPLES:
                break
            span = max(span, age)
            sketch.merge(slot.sketch)
            answered += slot.answered
            technical += slot.technical
            started += slot.started
        overdue = self._overdue(route, now_ms)
        for age_ms in islice(overdue, ENOUGH_SAMPLES * 10):  # enough of them to move any quantile
            sketch.add(age_ms)
        return CellSignals(span, sketch, answered, technical, started, len(route.open), len(overdue))


def _per_second(counts: dict[str, int], seconds: float) -> dict[str, float]:
    return {str(name): count / seconds for name, count in counts.items()}
