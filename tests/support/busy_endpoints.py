"""Endpoints of which one is hot, dead or failing, in virtual time: production code, a database that takes time, few
executions.

Executions are as Lambda runs them: each takes up to ten messages, handles them at once, and is busy until the last is
done. Stream batches are relayed as a shard with a parallelization factor gives them. Writes are charged by AWS's rules
for items up to a kilobyte: one unit each, and one for each entry of an index that is put or removed (two if it moves).
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

from __future__ import annotations

import random
import statistics
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.delivery import Answer, NoAnswer, NoAnswerReason
from payonce.ports import Insert, Table
from payonce.stores.limits import item_bytes
from payonce.stores.memory import MemoryDatabase
from payonce.stores.schema import SCHEMAS, primary_key
from tests.support.virtual_time import VirtualTime
from tests.support.webhooks import WebhookWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.domain.delivery import Exchanged
    from payonce.ports import Deadline, Item, Key, Page, Write

BATCH = 10
POLL_SECONDS = 0.005
RECEIVER_SECONDS = (0.03, 0.07)
HOT = 0  # the number of the endpoint that differs from the others
UNIT_BYTES = 1024
SETTLES_SECONDS = 3  # after the last event, so that what was stored was also delivered


class TimedDatabase:
    """A database in memory each of whose calls takes ``step`` seconds; it charges writes by the kind of item."""

    def __init__(self, time: VirtualTime, step: float) -> None:
        self._time = time
        self._step = step
        self._inner = MemoryDatabase()
        self.units: Counter[str] = Counter()
        self.quiet = True  # while a test sets up

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        self._pass()
        return self._inner.get(table, key)

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``."""
        self._pass()
        return self._inner.get_many(table, keys)

    def query(self, table: Table, **request: Any) -> Page:
        """See ``Database``."""
        self._pass()
        return self._inner.query(table, **request)

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        self._pass()
        before = [self._stored(write) for write in writes]
        try:
            self._inner.write(writes)
        finally:
            if not self.quiet:
                for write, was in zip(writes, before, strict=True):
                    self._charge(write, was, self._stored(write), times=1 + (len(writes) > 1))

    def _pass(self) -> None:
        if not self.quiet:
            self._time.sleep(self._step)

    def _stored(self, write: Write) -> Item | None:
        key = write.item if isinstance(write, Insert) else write.key
        return self._inner._tables[write.table].get(primary_key(write.table, key))

    def _charge(self, write: Write, was: Item | None, now: Item | None, *, times: int) -> None:
        largest = max(item_bytes(item) if item else 0 for item in (was, now))
        units = times * max(1, -(-largest // UNIT_BYTES))
        for names in SCHEMAS[write.table].indexes.values():
            entries = [
                tuple(item[name] for name in names) if item and all(name in item for name in names) else None
                for item in (was, now)
            ]
            if entries[0] != entries[1]:
                units += sum(entry is not None for entry in entries)
        self.units[write.table.value] += units


class VirtualCrew:
    """A crew of virtual time."""

    most = 64

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self._working = 0

    def start(self, work: Callable[[], None]) -> None:
        """See ``Crew``."""
        self._working += 1

        def run() -> None:
            work()
            self._working -= 1

        self._time.start(run)

    def join(self) -> None:
        """See ``Crew``."""
        while self._working:
            self._time.sleep(POLL_SECONDS)


type Answering = Callable[[float], tuple[float, int]]
"""Given the second of a run, the seconds that an answer takes, and its status."""


class VirtualReceivers:
    """Receivers that take virtual time. Only the hot one is watched."""

    def __init__(self, time: VirtualTime, chance: random.Random, hot: Answering) -> None:
        self._time = time
        self._chance = chance
        self._hot = hot
        self.hot_at_once = 0
        self.most_hot_at_once = 0
        self.hot_counts: list[tuple[float, int]] = []  # at which second it had how many
        self.accepted: Counter[str] = Counter()  # by URL

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Exchanged:
        """See ``WebhookTransport``."""
        del headers, body
        status = 200
        seconds = self._chance.uniform(*RECEIVER_SECONDS)
        hot = url == url_of(HOT)
        if hot:
            self.hot_at_once += 1
            self.hot_counts.append((self._time.seconds, self.hot_at_once))
            self.most_hot_at_once = max(self.most_hot_at_once, self.hot_at_once)
            seconds, status = self._hot(self._time.seconds)
        left = deadline.at_ms - self._time.now_ms()
        self._time.sleep(min(seconds, left / 1000))
        self.hot_at_once -= hot
        if seconds * 1000 > left:
            return timed_out(left)
        self.accepted[url] += status == 200
        return Answer(status=status, latency_ms=int(seconds * 1000))


def timed_out(ms: int) -> Exchanged:
    """Return what a receiver that does not answer comes to."""
    return NoAnswer(reason=NoAnswerReason.TIMED_OUT, latency_ms=ms, detail="timed out")


def url_of(number: int) -> str:
    """Return the URL of an endpoint."""
    return f"https://e{number:03d}.example/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a run is given. ``hot_rate`` of 0: there is no hot endpoint."""

    endpoints: int
    executions: int
    rate: float  # events a second of all others together
    hot_rate: float
    hot: Answering
    seconds: int
    step: float = 0.005  # of a call of the database
    seed: int = 1


@dataclass
class Run:
    """One run; ``latencies_ms`` are the others' times from the relay's call to their record."""

    scenario: Scenario
    time: VirtualTime = field(default_factory=VirtualTime)
    latencies_ms: list[float] = field(default_factory=list)
    hot_events: int = 0

    def __post_init__(self) -> None:
        scenario, chance = self.scenario, random.Random(self.scenario.seed)
        self.database = TimedDatabase(self.time, scenario.step)
        self.receivers = VirtualReceivers(self.time, chance, scenario.hot)
        self.world = make_world(self.time, self.database, self.receivers, chance)
        self._waiting: list[str] = []
        self._busy = 0
        self._began: dict[str, float] = {}
        for number in range(scenario.endpoints):
            self.world.endpoint(f"e{number:03d}", merchant_id=f"mer_{number:03d}")
        self.database.quiet = False
        self._watch_records()
        self.time.start(self._poll)
        self.time.start(self._healthy_load)
        self.time.start(self._schedule)
        if scenario.hot_rate:
            self.time.start(self._hot_load)
        self.time.run_until(scenario.seconds + SETTLES_SECONDS)

    def _watch_records(self) -> None:
        original = self.database.write

        def write(writes: Sequence[Write]) -> None:
            original(writes)
            for made in writes:
                changes = getattr(made, "set", {})
                if made.table is Table.DELIVERIES and changes.get("status") == "delivered":
                    item = self.database._stored(made)
                    assert item is not None
                    if (began := self._began.pop(item["event_id"], None)) is not None:
                        self.latencies_ms.append((self.time.seconds - began) * 1000)

        self.database.write = write  # type: ignore[method-assign]

    def _emit(self, merchant: int, number: int) -> None:
        """Store an event, which costs this run nothing, and let a relay of its own take it."""
        self.database.quiet = True
        event = self.world.event(f"pay_{number}", merchant_id=f"mer_{merchant:03d}")
        self.database.quiet = False
        if merchant == HOT:
            self.hot_events += 1
        else:
            self._began[event["event_id"]] = self.time.seconds
        self.time.start(lambda: None if not self.world.relay_events(event).failed else self._fail())

    def _fail(self) -> None:
        raise AssertionError("an event was not relayed")

    def _healthy_load(self) -> None:
        for number in range(int(self.scenario.rate * self.scenario.seconds)):
            self._emit(1 + number % (self.scenario.endpoints - 1), number)
            self.time.sleep(1 / self.scenario.rate)

    def _hot_load(self) -> None:
        for number in range(int(self.scenario.hot_rate * self.scenario.seconds)):
            self._emit(HOT, 1_000_000 + number)
            self.time.sleep(1 / self.scenario.hot_rate)

    def _schedule(self) -> None:
        while True:
            self.time.sleep(60)
            self.world.schedule()

    def _poll(self) -> None:
        """Give up to ten messages to an execution that is free, again and again."""
        while True:
            self._waiting += self.world.queue.take()
            while self._waiting and self._busy < self.scenario.executions:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                self._execute(batch)
            self.time.sleep(POLL_SECONDS)

    def _execute(self, batch: list[str]) -> None:
        self._busy += 1
        left = len(batch)

        def one(body: str) -> None:
            nonlocal left
            self.world.handle(body)
            left -= 1
            self._busy -= left == 0

        for message in batch:
            self.time.start(partial(one, message))

    def percentile_ms(self, percent: int) -> float:
        """Return a percentile of the others' latencies."""
        return statistics.quantiles(self.latencies_ms, n=100)[percent - 1]

    @property
    def hot_accepted(self) -> int:
        """How many events the hot receiver has accepted."""
        return self.receivers.accepted[url_of(HOT)]

    def units_of(self, *tables: str) -> float:
        """Return the write units of these tables, per event that any receiver has accepted."""
        return sum(self.database.units[table] for table in tables) / self.receivers.accepted.total()

    def most_hot_at_once_after(self, second: float) -> int:
        """Return the most deliveries that the hot receiver had at the same time, from this second on."""
        return max((count for at, count in self.receivers.hot_counts if at >= second), default=0)


def make_world(
    time: VirtualTime, database: TimedDatabase, receivers: VirtualReceivers, chance: random.Random
) -> WebhookWorld:
    """Return the production code on virtual time."""
    world = WebhookWorld(
        clock=time,  # type: ignore[arg-type]
        database=database,  # type: ignore[arg-type]
        crew=partial(VirtualCrew, time),
        sleep=time.sleep,
    )
    world.attempts._transport = receivers
    world.attempts._jitter = chance.random
    world.relay._each = partial(each_at_once, time)
    world.scheduler._each = partial(each_at_once, time)
    return world


def each_at_once(time: VirtualTime, call: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Make the calls at the same time. See ``Each``."""
    found: dict[int, Any] = {}
    if len(values) < 2:
        return [call(value) for value in values]

    def one(place: int, value: Any) -> None:
        found[place] = call(value)

    for place, value in enumerate(values):
        time.start(partial(one, place, value))
    while len(found) < len(values):
        time.sleep(0.001)
    return [found[place] for place in range(len(values))]


def steady(seconds: float) -> Answering:
    """Return a receiver that accepts everything, and takes so many seconds."""
    return lambda _second: (seconds, 200)
