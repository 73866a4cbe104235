"""DynamoDB, SQS, Lambda and EventBridge as far as a drain depends on them: latencies, scaling, and reuse.

What is modelled, and where it is from:

- An event source of a standard queue starts with five invocations at the same time and adds up to 300 a minute, up to
  its ``MaximumConcurrency`` (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html).
- A schedule of ``rate(1 minute)`` starts a run whether or not the one before is over.
- A query returns at most 1 MB
  (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html).
- A new execution environment has a cold start; one that is free is used again.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from payonce.idempotency.record_store import OPEN_LEASES_INDEX
from payonce.ports import Delete, Insert, Page, Table
from payonce.recovery.backlog import READING_THREADS
from payonce.stores.limits import item_bytes, storable
from payonce.stores.memory import MemoryDatabase, _adjusted, _key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Item, Key, QueueMessage, Write
    from simulation.scheduler import Scheduler

READ_SECONDS, WRITE_SECONDS, TRANSACTION_SECONDS, PAGE_SECONDS = 0.005, 0.008, 0.020, 0.100
SEND_SECONDS = 0.010
POLL_SECONDS = 0.020  # long polling: a message is there as soon as a poller is free
COLD_START_SECONDS = 1.5
FIRST_POLLERS, POLLERS_PER_MINUTE = 5, 300
QUERY_BYTES = 1_048_576
PROJECTED = ("id", "open_shard", "lease_expires_at_ms", "lane", "created_at_ms", "claim_id")


class DrillDatabase(MemoryDatabase):
    """The store in memory; each call takes time, and the index of open leases is one that 100,000 claims can be in.

    Conditions hold as there. Sizes are not checked: that is what tests/contract is for, and here it would take longer
    than all the rest.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self.open: dict[str, dict[str, Item]] = {}
        self._listed_in: dict[str, str] = {}
        self.open_by_lane: Counter[str] = Counter()

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        self._scheduler.sleep(READ_SECONDS)
        return super().get(table, key)

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``."""
        self._scheduler.sleep(READ_SECONDS)
        return super().get_many(table, keys)

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        self._scheduler.sleep(WRITE_SECONDS if len(writes) == 1 else TRANSACTION_SECONDS)
        before = [self._met(index, write) for index, write in enumerate(writes)]
        for write, stored in zip(writes, before, strict=True):
            key = _key_of(write)
            if isinstance(write, Delete):
                del self._tables[write.table][key]
            else:
                item = write.item if isinstance(write, Insert) else _adjusted(stored or dict(write.key), write)
                self._tables[write.table][key] = storable(item)
            if write.table is Table.IDEMPOTENCY:
                self._index(key)

    def query(self, table: Table, *, index: str | None = None, limit: int, **request: Any) -> Page:
        """See ``Database``."""
        self._scheduler.sleep(PAGE_SECONDS / READING_THREADS)  # the feeder reads so many shards at the same time
        if index != OPEN_LEASES_INDEX:
            return super().query(table, index=index, limit=limit, **request)
        listed = sorted(self.open.get(request["partition"][1], {}).values(), key=_position)
        start = request.get("start")
        if start is not None:
            listed = [item for item in listed if _position(item) > _position(start)]
        page: list[Item] = []
        size = 0
        while len(page) < min(limit, len(listed)) and size < QUERY_BYTES:
            page.append(dict(listed[len(page)]))
            size += item_bytes(page[-1])
        key = {name: page[-1][name] for name in PROJECTED[:3]} if len(page) < len(listed) else None
        return Page(page, key)

    def _index(self, key: tuple[str, ...]) -> None:
        item = self._tables[Table.IDEMPOTENCY].get(key)
        before = self.open.get(self._listed_in.pop(key[0], ""), {}).pop(key[0], None)
        if before is not None:
            self.open_by_lane[before["lane"]] -= 1
        if item is not None and "open_shard" in item:
            self._listed_in[key[0]] = item["open_shard"]
            shard = self.open.setdefault(item["open_shard"], {})
            shard[key[0]] = {name: item[name] for name in PROJECTED}
            self.open_by_lane[item["lane"]] += 1


def _position(item: Item) -> tuple[int, str]:
    return item["lease_expires_at_ms"], item["id"]


class DrillQueue:
    """``MessageQueue`` with an event source mapping of batches of one message."""

    def __init__(self, scheduler: Scheduler, handle: Callable[[str], object], most_at_once: int) -> None:
        self._scheduler = scheduler
        self._handle = handle
        self._most_at_once = most_at_once
        self._pollers: float = FIRST_POLLERS
        self._grown_at_us = 0
        self._waiting: deque[str] = deque()
        self._running = self._warm = self.invocations = self.most_running = self.cut_off = 0

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        for start in range(0, len(messages), 10):
            self._scheduler.sleep(SEND_SECONDS)
            self._waiting.extend(message.body for message in messages[start : start + 10])
            self._scheduler.after(POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        now_us = self._scheduler.now_us
        if self._waiting or self._running:  # pollers are added while there is something left to poll
            self._pollers += (now_us - self._grown_at_us) / 60e6 * POLLERS_PER_MINUTE
        else:
            self._pollers = FIRST_POLLERS
        self._pollers = min(self._pollers, self._most_at_once)
        self._grown_at_us = now_us
        while self._waiting and self._running < int(self._pollers):
            self._invoke(self._waiting.popleft())

    def _invoke(self, body: str) -> None:
        self._running += 1
        self.invocations += 1
        self.most_running = max(self.most_running, self._running)
        cold = self._warm < self._running
        self._warm = max(self._warm, self._running)

        def work() -> None:
            if cold:
                self._scheduler.sleep(COLD_START_SECONDS)
            self._handle(body)

        def ended(finished: bool) -> None:
            self.cut_off += not finished
            self._running -= 1
            self._scheduler.after(POLL_SECONDS, self._poll)

        self._scheduler.start(f"ask-{self.invocations}", work, timeout_seconds=35, on_end=ended)
