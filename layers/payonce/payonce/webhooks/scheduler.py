"""The scheduler runs once a minute: it queues due deliveries, relays what the stream missed, and advances replays.

It decides nothing about a delivery. It only asks the dispatcher for the next attempt, and the dispatcher finds out
whether one is left to make. So the scheduler may run concurrently, be killed at any point, and read a stale index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import PayonceError, WriteConflict
from payonce.domain.webhooks import DeliveryStatus
from payonce.ports import Deadline, Table
from payonce.webhooks.deliveries import (
    DELIVERY_PREFIX,
    DUE_INDEX,
    DUE_SHARDS,
    MESSAGE_GRACE_MS,
    delivery_from,
    message_of,
)
from payonce.webhooks.delivery_writes import queued_write

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Clock, Database, Item, Key, MessageQueue, QueueMessage
    from payonce.webhooks.sweeper import Sweeper

RUN_INTERVAL_MS = 60_000  # the schedule in template.yaml
PAGE_SIZE = 100
MAX_PAGES_PER_SHARD = 10  # 8,000 deliveries per run; the next run takes the rest


@dataclass(slots=True)
class SchedulerReport:
    """Counts of one run: deliveries queued, steps of replays, items that failed, and the sweeper's."""

    queued: int = 0
    swept: int = 0
    sweep_failed: int = 0
    sweep_behind_ms: int = 0
    replays: int = 0
    failed: int = 0


class Scheduler:
    """Restarts what waits. ``advance`` makes one bounded step of a replay, and returns true when none is left now."""

    def __init__(
        self,
        *,
        database: Database,
        queue: MessageQueue,
        sweeper: Sweeper,
        advance: Callable[[Key], bool],
        clock: Clock,
        report_error: Callable[[str, Exception], None],
    ) -> None:
        self._database = database
        self._queue = queue
        self._sweeper = sweeper
        self._advance = advance
        self._clock = clock
        self._report_error = report_error

    def run(self, deadline: Deadline) -> SchedulerReport:
        """Look at every shard until done or until ``deadline``; the next run takes the rest."""
        now_ms = self._clock.now_ms()
        # Half of the time at most: a sweeper that is behind must not keep deliveries waiting that are due.
        swept = self._sweeper.run(Deadline(now_ms + (deadline.at_ms - now_ms) // 2))
        report = SchedulerReport(swept=swept.swept, sweep_failed=swept.failed, sweep_behind_ms=swept.behind_ms)
        first = now_ms // RUN_INTERVAL_MS
        # When a run can't do everything, each run starts at another shard, so that no shard starves.
        for shard in ((first + offset) % DUE_SHARDS for offset in range(DUE_SHARDS)):
            self._queue_due(shard, deadline, report)
        return report

    def _queue_due(self, shard: int, deadline: Deadline, report: SchedulerReport) -> None:
        until_ms = self._clock.now_ms() + RUN_INTERVAL_MS
        start: Item | None = None
        for _ in range(MAX_PAGES_PER_SHARD):
            if self._clock.now_ms() >= deadline.at_ms:
                return
            page = self._database.query(
                Table.DELIVERIES,
                index=DUE_INDEX,
                partition=("due_shard", str(shard)),
                # What becomes due before the next run is queued now, with a delay, so that it need not wait for a run.
                sort_at_most=("due_at_ms", until_ms),
                limit=PAGE_SIZE,
                start=start,
            )
            self._queue_page(page.items, deadline, report)
            start = page.next_key
            if start is None:
                return

    def _queue_page(self, keys: list[Item], deadline: Deadline, report: SchedulerReport) -> None:
        messages: list[QueueMessage] = []
        queued: list[Item] = []
        for key in keys:
            try:
                if key["sk"].startswith(DELIVERY_PREFIX):
                    message = self._message(key)
                    if message is not None:
                        messages.append(message)
                        queued.append(key)
                elif key["due_at_ms"] <= self._clock.now_ms():
                    report.replays += self._replay(key, deadline)
            except PayonceError as error:
                report.failed += 1
                self._report_error(key["sk"], error)
        self._queue.send(messages)
        report.queued += len(messages)
        for key in queued:
            # After the message, not before: if killed in between, a delivery is requested twice, not five minutes late.
            self._look_away(key)

    def _replay(self, key: Item, deadline: Deadline) -> int:
        """Return how many steps were made, until nothing was left to do or time was up."""
        steps = 1
        while not self._advance({"pk": key["pk"], "sk": key["sk"]}) and self._clock.now_ms() < deadline.at_ms:
            steps += 1
        return steps

    def _message(self, key: Item) -> QueueMessage | None:
        item = self._database.get(Table.DELIVERIES, {"pk": key["pk"], "sk": key["sk"]})
        if item is None or item.get("due_at_ms") != key["due_at_ms"]:
            return None  # the index is stale: somebody has just handled it
        delivery = delivery_from(item)
        if delivery.status is not DeliveryStatus.PENDING:
            return None
        wait_ms = max(0, delivery.not_before_ms - self._clock.now_ms())
        return message_of(delivery, delay_seconds=-(-wait_ms // 1000))

    def _look_away(self, key: Item) -> None:
        due_at_ms = max(key["due_at_ms"], self._clock.now_ms()) + MESSAGE_GRACE_MS
        try:
            self._database.write([queued_write(key, due_at_ms=due_at_ms)])
        except WriteConflict:
            return
