"""One dead endpoint among a hundred, in virtual time, with the production relay, dispatcher, gate and breaker.

Executions are as Lambda runs them: each takes up to ten messages, handles them at once, and is busy until the last is
done. The dead receiver takes the whole 15 s of every attempt, and its merchant is the busiest of all.
"""

from __future__ import annotations

import itertools
import random
import statistics
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain import webhooks as rules
from payonce.domain.delivery import Answer, NoAnswer, NoAnswerReason
from payonce.webhooks.dispatch import ATTEMPT_TIMEOUT_MS
from tests.support.aws import load_template
from tests.support.virtual_time import VirtualTime
from tests.support.webhooks import WebhookWorld

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from payonce.domain.delivery import Exchanged
    from payonce.ports import Deadline

ENDPOINTS = 100
EXECUTIONS: int = load_template()["Mappings"]["Environments"]["production"]["MaxDispatchers"]
BATCH = 10
POLL_SECONDS = 0.005
EVENTS_PER_SECOND = 100  # of the healthy endpoints together
DEAD_EVENTS_PER_SECOND = 20
RUN_SECONDS = 40
SHORT_RUN_SECONDS = 15
MANY_SLOTS = 600  # more than all executions together can use
RECEIVER_SECONDS = (0.03, 0.07)
DEAD = "https://e000.example/"


class VirtualReceivers:
    """Receivers that take virtual time; the dead one never answers."""

    def __init__(self, time: VirtualTime, *, dead: bool, chance: random.Random) -> None:
        self._time = time
        self._dead = dead
        self._chance = chance
        self.dead_at_once = 0
        self.most_dead_at_once = 0

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Exchanged:
        """See ``WebhookTransport``."""
        del headers, body, deadline
        if self._dead and url == DEAD:
            self.dead_at_once += 1
            self.most_dead_at_once = max(self.most_dead_at_once, self.dead_at_once)
            self._time.sleep(ATTEMPT_TIMEOUT_MS / 1000)
            self.dead_at_once -= 1
            return NoAnswer(reason=NoAnswerReason.TIMED_OUT, latency_ms=ATTEMPT_TIMEOUT_MS, detail="timed out")
        seconds = self._chance.uniform(*RECEIVER_SECONDS)
        self._time.sleep(seconds)
        return Answer(status=200, latency_ms=int(seconds * 1000))


class Run:
    """One run; ``latencies_ms`` are the healthy deliveries' times from the queue to their record."""

    def __init__(self, *, dead: bool, seed: int, seconds: int = RUN_SECONDS) -> None:
        self.time = VirtualTime()
        chance = random.Random(seed)
        self.world = WebhookWorld(clock=self.time)  # type: ignore[arg-type]
        self.receivers = VirtualReceivers(self.time, dead=dead, chance=chance)
        self.world.dispatcher._transport = self.receivers
        self.world.gates._choose = chance.randrange
        self.world.dispatcher._jitter = chance.random
        self.latencies_ms: list[float] = []
        self.waiting: list[tuple[float, str]] = []  # queued at, body
        for number in range(ENDPOINTS):
            self.world.endpoint(f"e{number:03d}", merchant_id=f"mer_{number:03d}")
        self.busy = 0
        self.time.start(self._poll)
        self.time.start(self._healthy_load)
        if dead:
            self.time.start(self._dead_load)
        self.time.run_until(seconds)

    def _emit(self, merchant: int, number: int) -> None:
        self.world.relay_events(self.world.event(f"pay_{number}", merchant_id=f"mer_{merchant:03d}"))

    def _healthy_load(self) -> None:
        for number in itertools.count():
            self._emit(1 + number % (ENDPOINTS - 1), number)
            self.time.sleep(1 / EVENTS_PER_SECOND)

    def _dead_load(self) -> None:
        for number in itertools.count():
            self._emit(0, 1_000_000 + number)
            self.time.sleep(1 / DEAD_EVENTS_PER_SECOND)

    def _poll(self) -> None:
        """Give up to ten messages to an execution that is free, again and again."""
        while True:
            self.waiting += [(self.time.seconds, body) for body in self.world.queue.take()]
            while self.waiting and self.busy < EXECUTIONS:
                batch, self.waiting = self.waiting[:BATCH], self.waiting[BATCH:]
                self._execute(batch)
            self.time.sleep(POLL_SECONDS)

    def _execute(self, batch: list[tuple[float, str]]) -> None:
        self.busy += 1
        left = len(batch)

        def one(queued_at: float, body: str) -> None:
            nonlocal left
            outcome = self.world.handle(body)
            if outcome.value == "delivered":
                self.latencies_ms.append((self.time.seconds - queued_at) * 1000)
            left -= 1
            self.busy -= left == 0

        for message in batch:
            self.time.start(partial(one, *message))

    def p99_ms(self) -> float:
        """Return the healthy deliveries' 99th percentile."""
        assert len(self.latencies_ms) > RUN_SECONDS * EVENTS_PER_SECOND * 0.95
        return statistics.quantiles(self.latencies_ms, n=100)[98]


def test_a_dead_endpoint_does_not_delay_the_others() -> None:
    """The healthy ones' p99 stays within a tenth of the run without it. Fails without slots and breaker (see below)."""
    without, with_dead = Run(dead=False, seed=1), Run(dead=True, seed=1)
    assert with_dead.p99_ms() <= 1.10 * without.p99_ms()
    assert with_dead.receivers.most_dead_at_once <= rules.SLOT_COUNT


def test_without_slots_and_breaker_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows that the load is such that isolation matters: else the test above would prove nothing."""
    monkeypatch.setattr("payonce.domain.webhooks.Health.slots", lambda _health: MANY_SLOTS)
    monkeypatch.setattr("payonce.domain.webhooks.Health.cooldown_over_at_ms", lambda _health: 0)
    monkeypatch.setattr("payonce.webhooks.gate.SLOTS", tuple(f"slot_{number:03d}" for number in range(MANY_SLOTS)))
    healthy = Run(dead=False, seed=1, seconds=SHORT_RUN_SECONDS)
    dead = Run(dead=True, seed=1, seconds=SHORT_RUN_SECONDS)
    # After some seconds every execution holds a message of the dead endpoint, and the healthy ones wait.
    assert len(dead.latencies_ms) < 0.5 * len(healthy.latencies_ms)
