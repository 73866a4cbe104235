"""The scheduler runs once a minute: it wakes lanes where something is due, relays missed events, advances replays.

It decides nothing about a delivery. It only wakes whoever works through a lane, and that one finds out whether anything
is left to do. So the scheduler may run concurrently, be killed at any point, and read a stale index. It writes nothing:
it looks into the list of every endpoint, which is half a read unit each, and marks on the way would be writes for each
delivery. Only where something waits does it read the gate too, which says whether the receiver fails: how many do is
told to the overview once a run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import PayonceError
from payonce.ports import Deadline, Table
from payonce.webhooks.crew import each_in_threads
from payonce.webhooks.deliveries import DUE_INDEX, list_of
from payonce.webhooks.gate import GATE_PREFIX, GATE_SHARDS, GATES_INDEX, Gates
from payonce.webhooks.messages import wake
from payonce.webhooks.replay_items import REPLAY_LISTS, replay_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.each import Each
    from payonce.ports import Clock, Database, Item, Key, MessageQueue, QueueMessage
    from payonce.webhooks.sweeper import Sweeper

RUN_INTERVAL_MS = 60_000  # the schedule in template.yaml
PAGE_SIZE = 100


@dataclass(slots=True)
class SchedulerReport:
    """Counts of one run: endpoints looked at, lanes woken, steps of replays, items that failed, and the sweeper's.

    ``failing``: endpoints whose receiver fails, of those that something waits for.
    """

    endpoints: int = 0
    woken: int = 0
    swept: int = 0
    sweep_failed: int = 0
    sweep_behind_ms: int = 0
    replays: int = 0
    failed: int = 0
    failing: int = 0


class Scheduler:
    """Restarts what waits. ``advance`` makes one bounded step of a replay, and returns true when none is left now.

    ``keep`` is given the failing endpoints by merchant, the time in ms, and whether all were looked at, once a run, for
    the overview; an error of it is reported and changes nothing.
    """

    def __init__(
        self,
        *,
        database: Database,
        queue: MessageQueue,
        sweeper: Sweeper,
        advance: Callable[[Key], bool],
        clock: Clock,
        report_error: Callable[[str, Exception], None],
        each: Each = each_in_threads,
        keep: Callable[[Mapping[str, int], int, bool], None] = lambda _failing, _now_ms, _complete: None,
    ) -> None:
        self._database = database
        self._gates = Gates(database)
        self._keep = keep
        self._queue = queue
        self._sweeper = sweeper
        self._advance = advance
        self._clock = clock
        self._report_error = report_error
        self._each = each

    def run(self, deadline: Deadline) -> SchedulerReport:
        """Look at everything until done or until ``deadline``; the next run takes the rest."""
        now_ms = self._clock.now_ms()
        # Half of the time at most: a sweeper that is behind must not keep deliveries waiting that are due.
        swept = self._sweeper.run(Deadline(now_ms + (deadline.at_ms - now_ms) // 2))
        report = SchedulerReport(swept=swept.swept, sweep_failed=swept.failed, sweep_behind_ms=swept.behind_ms)
        # When a run can't do everything, each run starts at another shard, so that no shard starves.
        first = now_ms // RUN_INTERVAL_MS
        failing: Counter[str] = Counter()
        for shard in ((first + offset) % GATE_SHARDS for offset in range(GATE_SHARDS)):
            self._wake_lanes(shard, deadline, report, failing)
        report.failing = failing.total()
        complete = not report.failed and self._clock.now_ms() < deadline.at_ms
        try:
            self._keep(failing, self._clock.now_ms(), complete)
        except PayonceError as error:
            self._report_error("overview", error)
        for number in ((first + offset) % REPLAY_LISTS for offset in range(REPLAY_LISTS)):
            self._advance_replays(number, deadline, report)
        return report

    def _wake_lanes(self, shard: int, deadline: Deadline, report: SchedulerReport, failing: Counter[str]) -> None:
        start: Item | None = None
        while self._clock.now_ms() < deadline.at_ms:
            page = self._database.query(
                Table.ENDPOINTS,
                index=GATES_INDEX,
                partition=("gate_shard", str(shard)),
                limit=PAGE_SIZE,
                start=start,
            )
            found = self._each(self._messages, page.items)
            messages = [message for one in found if not isinstance(one, PayonceError) for message in one[0]]
            failing.update(
                gate["pk"]
                for gate, one in zip(page.items, found, strict=True)
                if not isinstance(one, PayonceError) and one[1]
            )
            self._queue.send(messages)
            report.endpoints += len(page.items)
            report.woken += len(messages)
            for gate, one in zip(page.items, found, strict=True):
                if isinstance(one, PayonceError):
                    report.failed += 1
                    self._report_error(gate["sk"], one)
            start = page.next_key
            if start is None:
                return

    def _messages(self, gate: Item) -> tuple[list[QueueMessage], bool] | PayonceError:
        """Return a message for each lane of an endpoint where something is due by the next run, for that moment.

        Also return whether the receiver fails. Where it does, something waits: what failed is due again.
        """
        now_ms, waits = self._clock.now_ms(), False
        merchant_id, endpoint_id = gate["pk"], gate["sk"].removeprefix(GATE_PREFIX)
        messages = []
        try:
            for lane in range(gate["lanes"]):
                page = self._database.query(
                    Table.DELIVERIES,
                    index=DUE_INDEX,
                    partition=("due_list", list_of(merchant_id, endpoint_id, lane)),
                    limit=1,
                )
                waits = waits or bool(page.items)
                messages += [
                    wake(merchant_id, endpoint_id, lane, delay_ms=item["due_at_ms"] - now_ms)
                    for item in page.items
                    if item["due_at_ms"] <= now_ms + RUN_INTERVAL_MS
                ]
            stored = self._gates.load(merchant_id, endpoint_id) if waits else None
        except PayonceError as error:
            return error
        return messages, stored is not None and stored.health.failing

    def _advance_replays(self, number: int, deadline: Deadline, report: SchedulerReport) -> None:
        start: Item | None = None
        while self._clock.now_ms() < deadline.at_ms:
            page = self._database.query(
                Table.DELIVERIES,
                index=DUE_INDEX,
                partition=("due_list", replay_list(number)),
                sort_at_most=("due_at_ms", self._clock.now_ms()),
                limit=PAGE_SIZE,
                start=start,
            )
            for key in page.items:
                try:
                    report.replays += self._replay(key, deadline)
                except PayonceError as error:
                    report.failed += 1
                    self._report_error(key["sk"], error)
            start = page.next_key
            if start is None:
                return

    def _replay(self, key: Item, deadline: Deadline) -> int:
        """Return how many steps were made, until nothing was left to do or time was up."""
        steps = 1
        while not self._advance({"pk": key["pk"], "sk": key["sk"]}) and self._clock.now_ms() < deadline.at_ms:
            steps += 1
        return steps
