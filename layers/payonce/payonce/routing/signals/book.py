"""Counts the stream of claims and commits per route (a gateway and a payment method) and second.

A claim without a commit is a request in flight. One older than nearly all of the route's past latencies is *overdue*:
it counts as slow now, long before its timeout.

::

    claim ├──────── usual latency ───────┤ overdue: counted as slow ─────────────┤ timeout: in doubt

A stream has several shards, and one of them may lag, with commits that it has not delivered yet. So the age of a claim
is measured against the newest event of *its own* shard::

    shard 1 ──claim a──────────────────────────────────────────now   a is open: overdue
    shard 2 ──claim b─────newest┤ · · · commit b, on its way · · ·   b keeps the age it had then

An idle shard looks the same: its claims age with its next event.
"""

from __future__ import annotations

from collections import Counter, deque
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from payonce.domain.durations import SECOND_MS
from payonce.routing.control.admission import Priority
from payonce.routing.control.routing_settings import SLO_MS
from payonce.routing.signals.observation import Cell, CellSignals, GatewaySignals, Observation
from payonce.routing.signals.sketch import LatencySketch
from payonce.routing.signals.windows import Demand, Route, bring_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REFLEX_SECONDS = 3  # over a shorter window the rate of a route with ten payments a second is mostly noise
FORECAST_SECONDS = 10
ENOUGH_SAMPLES = 40  # a window is lengthened, up to KEEP_SECONDS, until its p95 rests on this many
FORGET_OPEN_SECONDS = 60  # longer than every lease: an older open claim is recovery's and says nothing about now
MAX_MERCHANTS = 4_000  # with demand counted individually, because a decision's record has to fit an item of 400 KB
EVERYONE_ELSE = "*"


class Outcome(StrEnum):
    """How an attempt ended. An issuer's decline is an answer: only the last two count against the gateway."""

    APPROVED = "approved"
    DECLINED = "declined"
    NEVER_SENT = "never_sent"
    UNKNOWN = "unknown"


TECHNICAL = frozenset({Outcome.NEVER_SENT, Outcome.UNKNOWN})


class SignalBook:
    """Collects events and answers ``observe``. Holds at most ``KEEP_SECONDS`` of counts and the open claims.

    Events may be delivered more than once: claims and commits are deduplicated. All times are the stream's, in epoch
    milliseconds. ``shard`` names the part of the stream that an event came from; the events of one shard come in
    order. An event stamped later than the moment observed counts as of that moment.
    """

    def __init__(self, slo_ms: int = SLO_MS) -> None:
        self._slo_ms = slo_ms
        self._routes: dict[Cell, Route] = {}
        self._closed: dict[str, int] = {}
        self._demand: deque[Demand] = deque()
        self._newest: dict[str, int] = {}  # shard → time of its newest event

    def claimed(
        self, at_ms: int, attempt_id: str, cell: Cell, merchant_id: str, priority: Priority, shard: str = ""
    ) -> None:
        """Count a payment that was claimed for the route and is about to be sent."""
        self._note(shard, at_ms)
        route = self._route(cell)
        if attempt_id in self._closed or any(attempt_id in claims for claims in route.open.values()):
            return
        route.open.setdefault(shard, {})[attempt_id] = at_ms
        route.slot(at_ms).started += 1
        self._count_demand(at_ms, merchant_id, priority)

    def committed(
        self, at_ms: int, attempt_id: str, cell: Cell, latency_ms: int, outcome: Outcome, shard: str = ""
    ) -> bool:
        """Count the end of an attempt; return False if it is a duplicate. ``latency_ms`` is the gateway's latency."""
        self._note(shard, at_ms)
        if attempt_id in self._closed:
            return False
        route = self._route(cell)
        route.close(attempt_id)
        self._closed[attempt_id] = at_ms
        slot = route.slot(at_ms)
        if outcome is not Outcome.NEVER_SENT or latency_ms > self._slo_ms:
            # A refused connection moves on to another gateway at once: the payer loses nothing.
            route.judge(attempt_id, latency_ms, self._slo_ms, failed=outcome in TECHNICAL)
        if outcome in TECHNICAL:
            slot.technical += 1
        else:
            slot.answered += 1
        if outcome is not Outcome.NEVER_SENT:  # a refused connection is fast and says nothing about the latency
            slot.sketch.add(latency_ms)
            if latency_ms > route.overdue_after_ms:
                slot.slow += 1
        return True

    def refused(self, at_ms: int, cell: Cell, merchant_id: str, priority: Priority, shard: str = "") -> None:
        """Count a request answered 429 before its claim, as the log tells. ``cell`` is the route it would have had."""
        self._note(shard, at_ms)
        self._route(cell).slot(at_ms).refused += 1
        self._count_demand(at_ms, merchant_id, priority)

    def expect(self, expectations: Mapping[Cell, int]) -> None:
        """Set the milliseconds per route after which an attempt counts as slow from now on."""
        for cell, overdue_after_ms in expectations.items():
            self._route(cell).overdue_after_ms = overdue_after_ms

    def observe(self, now_ms: int) -> Observation:
        """Return the observation as of ``now_ms``, the time of the newest event.

        The reader's own time would make the stream's delay look like a pause of all gateways. An attempt counts as
        judged in one observation only.
        """
        self._bring_to(now_ms)
        self._forget(now_ms)
        lags, second = self._lags(now_ms), now_ms // SECOND_MS
        cells: dict[Cell, CellSignals] = {}
        gateways: dict[str, GatewaySignals] = {}
        offered = Counter[str]()
        for cell, route in self._routes.items():
            ages_ms = route.overdue(now_ms, lags)
            sketch, is_lengthened = _latencies(route, second, ages_ms)
            cells[cell] = CellSignals(sketch, is_lengthened, *route.take_judged(now_ms, lags, self._slo_ms))
            signals = gateways.setdefault(cell.gateway, GatewaySignals())
            signals.in_flight += sum(map(len, route.open.values()))
            signals.overdue += len(ages_ms)
            offered[cell.method] += _add_recent(signals, route, second - REFLEX_SECONDS)
        asked = Demand(second)
        for demand in self._demand:
            asked.add(demand)
        seconds = REFLEX_SECONDS + now_ms % SECOND_MS / SECOND_MS
        rates = (_per_second(counts, seconds) for counts in (offered, _most(asked.merchants), asked.priorities))
        return Observation(now_ms, seconds, cells, gateways, *rates)

    def _route(self, cell: Cell) -> Route:
        route = self._routes.get(cell)
        if route is None:
            route = self._routes[cell] = Route()
            self._routes = dict(sorted(self._routes.items()))  # sorted, so that floating-point sums have the same bytes
        return route

    def _count_demand(self, at_ms: int, merchant_id: str, priority: Priority) -> None:
        second = at_ms // SECOND_MS
        if not self._demand or self._demand[-1].second < second:
            self._demand.append(Demand(second))
        demand = self._demand[-1]
        demand.priorities[priority] += 1
        if priority is not Priority.PROTECTED:
            counts = demand.merchants
            counts[merchant_id if merchant_id in counts or len(counts) < MAX_MERCHANTS else EVERYONE_ELSE] += 1

    def _note(self, shard: str, at_ms: int) -> None:
        if at_ms > self._newest.get(shard, 0):
            self._newest[shard] = at_ms

    def _lags(self, now_ms: int) -> dict[str, int]:
        """Return for each lagging shard how many milliseconds it is behind the most advanced one."""
        furthest = max(self._newest.values(), default=now_ms)
        return {shard: furthest - newest for shard, newest in self._newest.items() if newest < furthest}

    def _bring_to(self, now_ms: int) -> None:
        if max(self._newest.values(), default=now_ms) <= now_ms:
            return
        for route in self._routes.values():
            route.bring_to(now_ms)
        bring_to(self._demand, Demand(now_ms // SECOND_MS))
        for times in (self._closed, self._newest):
            times.update({name: now_ms for name, at_ms in times.items() if at_ms > now_ms})

    def _forget(self, now_ms: int) -> None:
        horizon = now_ms - FORGET_OPEN_SECONDS * SECOND_MS
        for route in self._routes.values():
            route.forget(horizon)
        while self._closed and (done := next(iter(self._closed.items())))[1] < horizon:
            del self._closed[done[0]]
        while self._demand and self._demand[0].second < now_ms // SECOND_MS - REFLEX_SECONDS:
            self._demand.popleft()
        for shard in [shard for shard, newest in self._newest.items() if newest < horizon]:
            del self._newest[shard]  # the shard is closed, or so late that none of its claims is still open


def _add_recent(signals: GatewaySignals, route: Route, oldest: int) -> int:
    """Add the route's counts since the second ``oldest``; return how many requests asked for the route since."""
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


def _latencies(route: Route, second: int, ages_ms: Iterable[int]) -> tuple[LatencySketch, bool]:
    """Return the latencies of the window that ends with ``second``, and whether the window was lengthened."""
    sketch, is_lengthened = LatencySketch(), False
    for slot in reversed(route.slots):
        if second - slot.second > FORECAST_SECONDS:
            if sketch.total >= ENOUGH_SAMPLES:
                break
            is_lengthened = True
        if slot.sketch.total:
            sketch.merge(slot.sketch)
    for age_ms in islice(ages_ms, ENOUGH_SAMPLES * 10):  # enough of them to move any quantile
        sketch.add(age_ms)
    return sketch, is_lengthened


def _most(merchants: Mapping[str, int]) -> Mapping[str, int]:
    if len(merchants) <= MAX_MERCHANTS:
        return merchants
    known = sorted(merchants, key=lambda name: (name == EVERYONE_ELSE, -merchants[name], name))
    rest = sum(merchants[name] for name in known[MAX_MERCHANTS - 1 :])
    return {name: merchants[name] for name in known[: MAX_MERCHANTS - 1]} | {EVERYONE_ELSE: rest}


def _per_second(counts: Mapping[str, int], seconds: float) -> dict[str, float]:
    return {str(name): count / seconds for name, count in counts.items()}
