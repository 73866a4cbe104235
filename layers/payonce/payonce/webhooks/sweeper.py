"""The sweeper relays what the stream did not bring: it reads the events of minutes ago, and looks for their deliveries.

It keeps a position per shard of the index by day, below which every event has been looked at. An event costs it reads
only, a tenth of the price of a write, and an event of a merchant without endpoints costs nothing more than its place in
the index::

    position ─── events by time ─── deliveries owed? ─┬ all there: go on
                                                      ├ some missing: relay ─┬ done: go on
                                                      │                      └ failed: kept aside for the next run
    until two minutes ago ── store the positions      └ nobody is owed one: go on

Killed before the positions are stored, or run twice at once, it looks again: a relay inserts only what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import batched
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS
from payonce.domain.errors import PayonceError, WriteConflict
from payonce.domain.webhooks import delivery_id
from payonce.each import in_turn
from payonce.idempotency.window import LEASE_MARGIN_MS
from payonce.outbox import BY_DAY_INDEX, DAY_SHARDS, events_of_day, is_event, opened
from payonce.ports import Adjust, Insert, Table
from payonce.webhooks.deliveries import delivery_key
from payonce.webhooks.endpoints import load_endpoints
from payonce.webhooks.relay import is_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.endpoint import Endpoint
    from payonce.each import Each
    from payonce.ports import Clock, Database, Deadline, Item, Key, Write
    from payonce.webhooks.relay import Relay

# The stream brings an event within a second or two. A write may become visible up to a minute after the time that its
# event bears (slow clocks, retries); the index by day follows its table within seconds.
SWEEP_AFTER_MS = 120_000
FIRST_LOOK_BACK_MS = DAY_MS  # without a position: as long as a stream keeps what is not read
IDLE_MS = 3_600_000  # an idle stack stores its positions once an hour
PAGE_SIZE = 100  # as many as one batch of keys may have
# Events of a shard that may be passed although their relay failed; they are tried on with every run. When there are
# more, it is an outage and no damaged event, and the position waits at the first of them.
MAX_ASIDE = 8
SWEEPING_THREADS = 8  # within the ten connections that the SDK keeps open
SWEEP_KEY: Key = MappingProxyType({"pk": "SWEEP", "sk": "POSITIONS"})


@dataclass(slots=True)
class SweepReport:
    """Counts of one run: events relayed, events that failed, and how far the slowest shard is behind, in ms."""

    swept: int = 0
    failed: int = 0
    behind_ms: int = 0


@dataclass(slots=True)
class _Shard:
    """Where a shard stands: all its events before ``position_ms`` were looked at, ``aside`` are those that failed."""

    number: int
    position_ms: int
    aside: list[Key]
    seen: int = 0
    swept: int = 0
    failed: int = 0


class Sweeper:
    """Finds events whose deliveries are missing and relays them. May run concurrently, and be killed at any point.

    ``each`` runs a function for every shard and returns when all are done; the default is one after the other.
    """

    def __init__(
        self,
        *,
        database: Database,
        relay: Relay,
        clock: Clock,
        report_error: Callable[[str, Exception], None],
        each: Each = in_turn,
    ) -> None:
        self._database = database
        self._relay = relay
        self._clock = clock
        self._report_error = report_error
        self._each = each

    def run(self, deadline: Deadline) -> SweepReport:
        """Look at every shard until two minutes ago, or until ``deadline``; the next run takes the rest."""
        until_ms = self._clock.now_ms() - SWEEP_AFTER_MS
        stored = self._database.get(Table.ENDPOINTS, SWEEP_KEY)
        shards = _shards(stored, until_ms)
        idle_ms = until_ms - min(shard.position_ms for shard in shards)
        run = _Run(self._database, self._relay, until_ms, deadline, self._clock, self._report_error)
        self._each(run.sweep, shards)
        if stored is None or idle_ms >= IDLE_MS or any(shard.seen for shard in shards):
            self._store(stored, shards)
        return SweepReport(
            swept=sum(shard.swept for shard in shards),
            failed=sum(shard.failed for shard in shards),
            behind_ms=until_ms - min(shard.position_ms for shard in shards),
        )

    def _store(self, stored: Item | None, shards: Sequence[_Shard]) -> None:
        turn = 0 if stored is None else stored["turn"]
        shown = [{"position_ms": shard.position_ms, "aside": [dict(key) for key in shard.aside]} for shard in shards]
        write: Write = Insert(Table.ENDPOINTS, {**SWEEP_KEY, "turn": 1, "shards": shown})
        if stored is not None:
            write = Adjust(
                table=Table.ENDPOINTS,
                key=SWEEP_KEY,
                require={"turn": turn},
                set={"turn": turn + 1, "shards": shown},
            )
        try:
            self._database.write([write])
        except WriteConflict:
            return  # a concurrent run has looked at the same events, and its positions are as good


@dataclass(slots=True)
class _Run:
    """What the shards of one run share: its time, and each merchant's endpoints as they were read once."""

    database: Database
    relay: Relay
    until_ms: int
    deadline: Deadline
    clock: Clock
    report_error: Callable[[str, Exception], None]
    endpoints: dict[str, list[Endpoint]] = field(default_factory=dict)

    def sweep(self, shard: _Shard) -> None:
        """Look at the shard's events from its position on. Where it fails, the next run goes on."""
        try:
            self._try_aside(shard)
            while self._day(shard):
                pass
        except PayonceError as error:
            self._failed(shard, f"{BY_DAY_INDEX} shard {shard.number}", error)

    def _try_aside(self, shard: _Shard) -> None:
        if shard.aside:
            items = self.database.get_many(Table.OUTBOX, shard.aside)
            shard.seen += len(items)
            shard.aside = [_key_of(items[position]) for position in self._relay_missing(shard, items)]

    def _day(self, shard: _Shard) -> bool:
        """Look at the events of one day. Return whether the next day is to be looked at."""
        start: Item | None = None
        while self.clock.now_ms() < self.deadline.at_ms:
            page = events_of_day(
                self.database,
                shard.number,
                from_ms=shard.position_ms,
                until_ms=self.until_ms,
                start=start,
                limit=PAGE_SIZE,
            )
            if page.items and not self._pass(shard, page.items):
                return False
            start = page.next_key
            if start is None:
                shard.position_ms = min((shard.position_ms // DAY_MS + 1) * DAY_MS, self.until_ms)
                return shard.position_ms < self.until_ms
        return False

    def _pass(self, shard: _Shard, items: Sequence[Item]) -> bool:
        """Look at a page of events and move the position behind it. Return ``False`` when too many of them fail."""
        shard.seen += len(items)
        failed = self._relay_missing(shard, items)
        if len(shard.aside) + len(failed) > MAX_ASIDE:
            shard.position_ms = items[failed[0]]["created_at_ms"]
            return False
        shard.aside += [_key_of(items[position]) for position in failed]
        shard.position_ms = items[-1]["created_at_ms"]
        return True

    def _relay_missing(self, shard: _Shard, items: Sequence[Item]) -> list[int]:
        """Relay those of ``items`` that lack a delivery. Return the positions of those that failed, in order."""
        failed: dict[int, Exception] = {}
        owed: dict[int, list[Key]] = {}
        for position, item in enumerate(items):
            if not is_event(item):
                continue
            try:
                owed[position] = self._owed(opened(item))
            except KeyError as error:
                failed[position] = error
        keys = [key for keys in owed.values() for key in keys]
        found = {
            tuple(_key_of(item).values())
            for some in batched(keys, PAGE_SIZE)
            for item in self.database.get_many(Table.DELIVERIES, some)
        }
        missing = [
            position
            for position, keys in owed.items()
            if any(tuple(_key_of(key).values()) not in found for key in keys)
        ]
        if missing:
            relayed = self.relay.relay([items[position] for position in missing])
            failed |= {missing[position]: error for position, error in relayed.failed.items()}
            shard.swept += len(missing) - len(relayed.failed)
        for position, why in failed.items():
            self._failed(shard, f"event {items[position].get('pk')} {items[position].get('sk')}", why)
        return sorted(failed)

    def _owed(self, event: Item) -> list[Key]:
        """Return the keys of the deliveries that this event must have."""
        merchant_id = event["merchant_id"]
        if merchant_id not in self.endpoints:
            self.endpoints[merchant_id] = load_endpoints(self.database, merchant_id)
        return [
            delivery_key(
                merchant_id,
                endpoint.endpoint_id,
                delivery_id(event["event_id"], endpoint.endpoint_id, event["created_at_ms"]),
            )
            for endpoint in self.endpoints[merchant_id]
            # An endpoint is not owed what was before it. Two machines' clocks wrote these times.
            if endpoint.created_at_ms - LEASE_MARGIN_MS <= event["created_at_ms"] and is_for(event, endpoint)
        ]

    def _failed(self, shard: _Shard, name: str, error: Exception) -> None:
        shard.failed += 1
        self.report_error(name, error)


def _shards(stored: Item | None, until_ms: int) -> list[_Shard]:
    if stored is None:
        return [_Shard(number, until_ms - FIRST_LOOK_BACK_MS, []) for number in range(DAY_SHARDS)]
    return [_Shard(number, one["position_ms"], one["aside"]) for number, one in enumerate(stored["shards"])]


def _key_of(item: Key) -> Key:
    return {"pk": item["pk"], "sk": item["sk"]}
