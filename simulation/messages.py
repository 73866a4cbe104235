"""The queue, the stream and the receivers: everything is delivered at least once, in no order that anybody promised."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.delivery import Answer, Exchanged, NoAnswer, NoAnswerReason
from payonce.domain.errors import StoreUnavailable
from payonce.ports import Table
from simulation.goals import Goal
from tests.support.stream import stream_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.ports import Deadline, Item, QueueMessage
    from simulation.database import Commit
    from simulation.scheduler import Scheduler
    from simulation.wire import Wire

QUEUE_TYPICAL_MS = 10
VISIBILITY_SECONDS = 360  # as in template.yaml
MAX_RECEIVES = 2  # fewer than deployed, so that a short run sees the dead-letter queue
STREAM_SHARDS = 2
STREAM_BATCH = 10
STREAM_TRIES = 3
RECEIVER_TYPICAL_MS = 40


class SimulatedQueue:
    """The port ``MessageQueue``: repeats, reorders, and gives up on a message after ``MAX_RECEIVES``.

    ``handle`` starts an actor for a message and tells the function it is given whether the message is done with.
    """

    def __init__(self, wire: Wire, handle: Callable[[str, Callable[[bool], None]], None]) -> None:
        self._wire = wire
        self._handle = handle
        self.waiting = 0
        self.dead = 0

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        if not messages:
            return
        fault = self._wire.begin("send")
        kind, latencies = fault[0], self._wire.scheduler.alive().latencies

        def arrive() -> None:
            for message in messages:
                # Two standard queues' promises are missing here on purpose: order, and exactly once.
                for _ in range(2 if kind == "repeated" else 1):
                    self._deliver(message.body, message.delay_seconds + latencies.expovariate(10))

        self._wire.scheduler.record(f"queue {len(messages)} messages{f' ({kind})' if kind else ''}")
        self._wire.exchange(fault, arrive, typical_ms=QUEUE_TYPICAL_MS, lands_ms=-1 if kind == "lost" else None)
        if kind in {"lost", "applied"}:
            raise StoreUnavailable("The queue does not answer.")

    def _deliver(self, body: str, after_seconds: float, receives: int = 1) -> None:
        self.waiting += 1

        def done(handled: bool) -> None:
            self.waiting -= 1
            if handled:
                return
            if receives >= MAX_RECEIVES:
                self.dead += 1
                self._wire.reached[Goal.DEAD_LETTER] += 1
                return
            self._deliver(body, VISIBILITY_SECONDS, receives + 1)

        self._wire.scheduler.after(after_seconds, partial(self._handle, body, done))


class SimulatedStream:
    """The outbox's stream: per shard in order, with lag and repeats; what fails too often is dropped.

    ``relay`` starts an actor for a batch and tells the function it is given whether the batch is done with.
    """

    def __init__(
        self, scheduler: Scheduler, stalls: Callable[[], float], relay: Callable[[Any, Callable[[bool], None]], None]
    ) -> None:
        self._scheduler = scheduler
        self._stalls = stalls
        self._relay = relay
        self._shards: list[list[Item]] = [[] for _ in range(STREAM_SHARDS)]
        self._busy = [False] * STREAM_SHARDS
        self._relayed: Counter[str] = Counter()
        self.over = False

    def take(self, commit: Commit) -> None:
        """Take in the new events of a commit."""
        for change in commit.changes:
            if change.table is Table.OUTBOX and change.before is None and change.after is not None:
                shard = zlib.crc32(change.key[0].encode()) % STREAM_SHARDS
                self._shards[shard].append(change.after)
                self._poll(shard)

    def _poll(self, shard: int) -> None:
        if not self._busy[shard] and self._shards[shard]:
            self._busy[shard] = True
            self._scheduler.after(self._stalls(), partial(self._next, shard, 1))

    def _next(self, shard: int, attempt: int) -> None:
        batch = self._shards[shard][:STREAM_BATCH]

        def done(handled: bool) -> None:
            again = handled and not self.over and self._stalls() > 1
            if not again and (handled or attempt >= STREAM_TRIES):
                del self._shards[shard][: len(batch)]
                self._busy[shard] = False
                self._poll(shard)
            else:
                self._scheduler.after(self._stalls(), partial(self._next, shard, attempt + 1))

        for item in batch:
            named = f"{item['pk']} {item['sk']}"
            self._relayed[named] += 1
            if self._relayed[named] > 1:
                self._scheduler.history.reached[Goal.RELAYED_TWICE] += 1
        self._relay(stream_event(batch), done)


def stream_event(batch: Sequence[Item]) -> dict[str, Any]:
    """Return the event with which Lambda is given new items of a stream."""
    return {
        "Records": [
            {
                "eventName": "INSERT",
                "dynamodb": {"NewImage": stream_image(item), "SequenceNumber": f"{number}"},
            }
            for number, item in enumerate(batch)
        ]
    }


@dataclass(frozen=True, slots=True)
class Received:
    """A webhook as its receiver saw it."""

    url: str
    event_id: str
    body: bytes


class SimulatedReceivers:
    """The port ``WebhookTransport``."""

    def __init__(self, wire: Wire, on_received: Callable[[Received], None]) -> None:
        self._wire = wire
        self._on_received = on_received
        self._seen: Counter[tuple[str, str]] = Counter()

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Exchanged:
        """See ``WebhookTransport``."""
        fault = self._wire.begin("post")
        kind, ms = fault
        remaining_ms = deadline.at_ms - self._wire.scheduler.now_ms()
        event_id = headers["webhook-id"]
        named = f"post {event_id[:12]} to {url}"
        if remaining_ms <= 0:
            return NoAnswer(reason=NoAnswerReason.TIMED_OUT, latency_ms=0, detail="no time is left")

        def receive() -> Exchanged:
            self._wire.scheduler.record(f"{named} -> {kind or 200}")
            if kind != "refused":
                self._on_received(Received(url, event_id, body))
                self._seen[url, event_id] += 1
                if self._seen[url, event_id] > 1:
                    self._wire.reached[Goal.DELIVERED_TWICE] += 1
            return Answer(status=500 if kind == "refused" else 200, latency_ms=RECEIVER_TYPICAL_MS)

        vain = kind in {"unanswered", "received_unanswered"}
        slow = "slow", min(ms, remaining_ms // 2)
        done = self._wire.exchange(
            slow if kind == "slow" else fault,
            receive,
            typical_ms=min(RECEIVER_TYPICAL_MS, max(1, remaining_ms // 20)),
            waits_ms=remaining_ms if vain else None,
            lands_ms=-1 if kind == "unanswered" else None,
        )
        if vain or done.value is None:
            return NoAnswer(reason=NoAnswerReason.TIMED_OUT, latency_ms=remaining_ms, detail="timed out")
        return done.value
