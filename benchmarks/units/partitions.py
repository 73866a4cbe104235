"""A model of what DynamoDB refuses: partition keys that are asked for too much, and transactions that meet on an item.

- A partition key of a table or an index takes 1,000 write and 3,000 read units a second, saved up for at most one
  second (DynamoDB Developer Guide, bp-partition-key-design.html). A write whose index can't take it is refused too: a
  throttled index throttles its table (gsi-throttling.html). Nothing splits a hot partition, as AWS may in the long run.
- A transaction is refused when another one on one of its items is under way, and so is a single write
  (transaction-apis.html, "Transaction conflict handling"). What is refused has taken its units.
- What was refused is sent again as the adapter does (``payonce.stores.dynamodb``): after 10, 20, 40 ... ms, nine times
  in all; an environment that has met another one on a balance's counter spreads over more of them from then on.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from payonce.stores.dynamodb import FIRST_CONFLICT_PAUSE_SECONDS, MAX_CONFLICT_RETRIES

if TYPE_CHECKING:
    from benchmarks.units.charges import Charge
    from benchmarks.units.meter import Metered
    from benchmarks.units.traffic import Timed, Traffic

    type Bucket = tuple[str, str, str, str]  # table, index, partition, write or read

WRITE_UNITS_PER_SECOND = 1_000
READ_UNITS_PER_SECOND = 3_000
TRANSACTION_MS = 10  # from its beginning to its end; AWS says single-digit to some tens of milliseconds
OWN_TOUCHES = 8  # an item that is written more often is shared by payments
GOAL_AGAIN = 0.01  # requests sent again for each payment


@dataclass
class Outcome:
    """What became of the requests. ``throttled`` and ``conflicts`` count refusals, by table or index."""

    payments: int = 0
    again: int = 0  # requests that were refused at least once
    given_up: int = 0
    throttled: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)

    @property
    def share_again(self) -> float:
        """Return how many requests were sent again for each payment: more than the share of payments that were."""
        return self.again / self.payments

    @property
    def is_met(self) -> bool:
        """Return whether nothing was throttled, and less than one payment in a hundred had a request sent again."""
        return not self.throttled and self.share_again < GOAL_AGAIN


@dataclass
class Model:
    """The partitions and items of all tables; ``run`` sends traffic to them, repeated until ``seconds`` are over."""

    transaction_ms: float = TRANSACTION_MS
    outcome: Outcome = field(default_factory=Outcome)
    _units: dict[Bucket, tuple[float, float]] = field(default_factory=dict)  # what is there, and since when
    _busy_until: dict[tuple[str, str], float] = field(default_factory=dict)
    _spreading: set[int] = field(default_factory=set)  # the environments whose transactions have met others

    def run(self, traffic: Traffic, seconds: float) -> Outcome:
        """Return what became of ``traffic``."""
        order = itertools.count()
        waiting: list[tuple[float, int, int, Timed]] = []
        touched = Counter(item for timed in traffic.sent for item in timed.request.items)
        rounds = max(1, round(seconds * 1000 / traffic.duration_ms))
        for number in range(rounds):
            for timed in traffic.sent:
                at_ms = timed.at_ms + number * traffic.duration_ms
                waiting.append((at_ms, next(order), 0, _in_round(timed, number, touched)))
        self.outcome.payments += rounds * traffic.payments
        heapq.heapify(waiting)
        while waiting:
            at_ms, _, attempt, timed = heapq.heappop(waiting)
            if self.send(timed.request, at_ms, timed.environment):
                continue
            self.outcome.again += attempt == 0
            if attempt == MAX_CONFLICT_RETRIES:
                self.outcome.given_up += 1
                continue
            pause_ms = FIRST_CONFLICT_PAUSE_SECONDS * 1000 * 2**attempt
            heapq.heappush(waiting, (at_ms + pause_ms, next(order), attempt + 1, timed))
        return self.outcome

    def send(self, request: Metered, at_ms: float, environment: int = -1) -> bool:
        """Return whether ``request`` is carried out at ``at_ms``; count why it is not."""
        full = {charge.place for charge in request.charges if not self._has(charge, at_ms)}
        if full:
            self.outcome.throttled.update(full)
            return False
        for charge in request.charges:
            self._take(charge, at_ms)
        instead = dict(request.spread) if environment in self._spreading else {}
        items = [instead.get(item, item) for item in request.items]
        met = {item for item in items if self._busy_until.get(item, -1.0) > at_ms}
        if met:
            if met & {few for few, _ in request.spread}:
                self._spreading.add(environment)
            self.outcome.conflicts.update({table for table, _ in met})
            return False
        if request.transactional:
            self._busy_until.update(dict.fromkeys(items, at_ms + self.transaction_ms))
        return True

    def _has(self, charge: Charge, at_ms: float) -> bool:
        return all(self._left(bucket, limit, at_ms) >= units for bucket, limit, units in _buckets(charge))

    def _take(self, charge: Charge, at_ms: float) -> None:
        for bucket, limit, units in _buckets(charge):
            self._units[bucket] = (self._left(bucket, limit, at_ms) - units, at_ms)

    def _left(self, bucket: Bucket, limit: float, at_ms: float) -> float:
        there, since_ms = self._units.get(bucket, (limit, at_ms))
        return min(limit, there + (at_ms - since_ms) * limit / 1000)


def _in_round(timed: Timed, number: int, touched: Counter[tuple[str, str]]) -> Timed:
    """Return the request of a later round: a payment's own items are others then, shared ones are the same."""

    def then(item: tuple[str, str], of: tuple[str, str]) -> tuple[str, str]:
        return (item[0], f"{number} {item[1]}") if touched[of] <= OWN_TOUCHES else item

    request = timed.request
    items = tuple(then(item, item) for item in request.items)
    spread = tuple((then(few, few), then(many, few)) for few, many in request.spread)
    return replace(timed, request=replace(request, items=items, spread=spread))


def _buckets(charge: Charge) -> list[tuple[Bucket, float, float]]:
    where = (charge.table, charge.index, charge.partition)
    both = (("write", WRITE_UNITS_PER_SECOND, charge.write), ("read", READ_UNITS_PER_SECOND, charge.read))
    return [((*where, kind), limit, units) for kind, limit, units in both if units]
