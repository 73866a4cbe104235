"""The feeder: reads what is open, and releases it to the queue at each lane's pace.

::

    every minute   read the index ─ lead ─┬ hear what was asked ─ release ─ keep ─┬ 1 s ─▶ again, while claims wait
                                          └───────────────────────────────────────┘
    next run           read the index ─ stand by until the lead is free ─ go on

A message only asks. Whether a claim may be taken over is decided by its record alone, so a feeder may be killed at any
point, run twice, and read a stale index; a claim that it releases twice is asked about once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError, WriteConflict
from payonce.each import in_turn
from payonce.ports import QueueMessage
from payonce.recovery.backlog import Backlog, read_backlog
from payonce.recovery.book import Left, mark_of
from payonce.recovery.lanes import Lane
from payonce.recovery.messages import CLAIMS_PER_MESSAGE, AskMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.each import Each
    from payonce.idempotency.open_claims import OpenClaims
    from payonce.ports import Clock, Deadline, IdSource, MessageQueue
    from payonce.recovery.book import Book

TICK_MS = 1_000
STANDBY_MS = 250  # between looks at the lead: nobody feeds in between
LEADER_PREFIX = "feed"
REMEMBERED_MS = 20_000  # longer than the next run takes to read the index, and a claim to be taken over
MAX_LANES = 100  # what one read of the counters takes; there are at most 16 gateways, and some upstreams


@dataclass(slots=True)
class FeederReport:
    """Counts of one run: claims ``released`` to the queue, what askers have ``concluded`` since the run before, their
    ``unanswered`` requests, shards and ticks that ``failed``.

    ``in_doubt`` and ``oldest_seconds`` (since its creation) are of the claims that were open at the run's start.
    ``waiting``: due, and not released at its end. ``drain_seconds``: how long these take at the present pace of their
    lanes, without those of silent lanes.
    """

    in_doubt: int = 0
    oldest_seconds: int = 0
    waiting: int = 0
    released: int = 0
    concluded: int = 0
    unanswered: int = 0
    drain_seconds: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeding:
    """The dependencies. ``bounds``: requests per second of the lanes that are judged; ``other_bound``: of all others.

    ``limits`` returns, by lane, how many claims may be under way now; lanes that it does not name have no limit.
    ``each`` reads the shards of the open leases. ``keep`` is given the doubts (scope and time of creation), the time in
    ms, and whether they are all, once a run, for the overview; an error of it is reported and changes nothing.
    """

    store: OpenClaims
    book: Book
    queue: MessageQueue
    clock: Clock
    ids: IdSource
    sleep: Callable[[float], None]
    bounds: Mapping[str, float]
    other_bound: float
    limits: Callable[[], Mapping[str, float]]
    report_error: Callable[[str, Exception], None]
    each: Each = in_turn
    keep: Callable[[list[tuple[str, int]], int, bool], None] = lambda _doubts, _now_ms, _complete: None


class Feeder:
    """Runs once a minute. One run at a time has the lead, the next one stands by."""

    def __init__(self, feeding: Feeding) -> None:
        self._feeding = feeding

    def run(self, until: Deadline) -> FeederReport:
        """Feed until nothing waits or until the deadline. Never raises for an error of the store or the queue."""
        feeding, report = self._feeding, FeederReport()
        backlog, report.failed = read_backlog(feeding.store, feeding.clock.now_ms, feeding.report_error, feeding.each)
        report.in_doubt = backlog.in_doubt
        if backlog.oldest_created_at_ms:
            report.oldest_seconds = (feeding.clock.now_ms() - backlog.oldest_created_at_ms) // 1000
        try:
            feeding.keep(backlog.doubts, feeding.clock.now_ms(), not report.failed)
        except PayonceError as error:
            feeding.report_error("overview", error)
        backlog.doubts = []  # some 10 MB of 100,000
        term = _Term(feeding, backlog, report)
        next_ms = feeding.clock.now_ms()
        while backlog.lanes() and next_ms < until.at_ms:
            feeding.sleep(max(0, next_ms - feeding.clock.now_ms()) / 1000)
            try:
                pause_ms = term.tick()
            except WriteConflict:
                break  # another feeder leads; what was released here is settled all the same
            except PayonceError as error:
                report.failed += 1
                feeding.report_error("recovery tick", error)
                pause_ms = TICK_MS
            # From one tick's beginning to the next one's. What a slow one has missed is made up for by the lanes.
            next_ms = max(next_ms + pause_ms, feeding.clock.now_ms())
        term.end()
        return report


class _Term:
    """A run's time: it stands by until the lead is free, then leads."""

    def __init__(self, feeding: Feeding, backlog: Backlog, report: FeederReport) -> None:
        self._feeding = feeding
        self._backlog = backlog
        self._report = report
        self._leader = feeding.ids.new(LEADER_PREFIX)
        self._lanes: dict[str, Lane] = {}
        self._left: Left | None = None  # by the feeder before, once this one leads
        self._released: list[tuple[int, str]] = []  # when, which

    def tick(self) -> int:
        """Hear, release, keep; return how many milliseconds later there is something to do.

        Raises ``WriteConflict`` when the lead is lost, and the errors of the store and the queue.
        """
        feeding, left = self._feeding, self._left
        if left is None:
            left = feeding.book.lead(self._leader, feeding.clock.now_ms())
            if left is None:
                return STANDBY_MS
            self._left, self._lanes, self._backlog.released = left, self._restored(left.lanes), left.released
        now_ms = feeding.clock.now_ms()
        limits = feeding.limits()
        for name, total in feeding.book.asked(list(self._lanes)).items():
            new = self._lanes[name].hear(total, now_ms)
            self._report.concluded += new.concluded
            self._report.unanswered += new.unanswered
        messages: list[QueueMessage] = []
        released: list[str] = []
        for name, lane in self._lanes.items():
            lane.limit = limits.get(name)
            claims = self._backlog.take(name, lane.allowance(now_ms))
            lane.release(len(claims), now_ms)
            messages += self._messages(name, claims, now_ms)
            released += claims
        # Kept before it is sent: whoever goes on after a crash knows of a probe that may be under way.
        feeding.book.keep(self._leader, self._state(left), now_ms)
        feeding.queue.send(messages)
        self._report.released += len(released)
        self._released += ((now_ms, claim) for claim in released)
        return self._pause_ms(now_ms)

    def end(self) -> None:
        """Give the lead up, so that the next run need not wait for it, and say what is left."""
        for name in self._backlog.lanes():
            count, lane = self._backlog.count(name), self._lanes.get(name)
            self._report.waiting += count
            if lane is not None and lane.answers:
                seconds = int(count * lane.cost / lane.pace)
                self._report.drain_seconds = max(self._report.drain_seconds, seconds)
        if self._left is not None:
            since_ms = self._feeding.clock.now_ms() - REMEMBERED_MS
            released = frozenset(mark_of(claim) for at_ms, claim in self._released if at_ms >= since_ms)
            with suppress(PayonceError):  # the lead then ends by itself
                self._feeding.book.resign(self._leader, Left(self._state(self._left), released))

    def _restored(self, stored: Mapping[str, Mapping[str, object]]) -> dict[str, Lane]:
        feeding = self._feeding
        names = list(dict.fromkeys([*feeding.bounds, *self._backlog.lanes()]))[:MAX_LANES]
        return {
            name: Lane.restored(
                feeding.bounds.get(name, feeding.other_bound), name in feeding.bounds, stored.get(name, {})
            )
            for name in names
        }

    def _messages(self, name: str, claims: list[str], now_ms: int) -> list[QueueMessage]:
        since = {other: at_ms for other, lane in self._lanes.items() if (at_ms := lane.known_since_ms(now_ms))}
        messages = []
        for some in batched(claims, CLAIMS_PER_MESSAGE):
            silent = frozenset[str]() if self._lanes[name].is_judged else self._silent(now_ms)
            message = AskMessage(lane=name, claims=some, silent=silent, answering_since_ms=since)
            messages.append(QueueMessage(message.to_text()))
        return messages

    def _silent(self, now_ms: int) -> frozenset[str]:
        """Return the lanes that claims must not ask which do not name theirs.

        A lane whose probe is due is not among them: it may have no other claim with which to find out that it is back.
        """
        silent = set()
        for name, lane in self._lanes.items():
            if lane.answers:
                continue
            if now_ms < lane.probe_at_ms:
                silent.add(name)
            else:
                lane.probed(now_ms)
        return frozenset(silent)

    def _state(self, left: Left) -> dict[str, Any]:
        """Return the state of all lanes: of those for which nothing waits, what it was."""
        return {**left.lanes, **{name: lane.to_json() for name, lane in self._lanes.items()}}

    def _pause_ms(self, now_ms: int) -> int:
        waiting = [self._lanes[name] for name in self._backlog.lanes() if name in self._lanes]
        if any(lane.answers or lane.under_way for lane in waiting):
            return TICK_MS
        return max(TICK_MS, min((lane.probe_at_ms for lane in waiting), default=now_ms) - now_ms)
