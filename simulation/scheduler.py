"""One seeded scheduler: actors are greenlets that run production code and switch at every call of a port.

::

    actor   ── call ──▶ ┊                                       ┊ ──▶ goes on
    hub                 ┊ there ─▶ effect at the service ─▶ back ┊
                        └ other actors run in both gaps ────────┘

Only virtual time passes. Every latency comes from a random stream of the actor's own, so that leaving one actor out
changes no other's, and the same seed gives the same history.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import greenlet

from simulation.goals import Goal
from simulation.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

START_MS = 1_800_000_000_000
US = 1_000  # microseconds in a millisecond: the scheduler counts in these, so that calls seldom tie


class Killed(BaseException):
    """The actor's process is gone. Nothing in production code catches this."""


class Host(StrEnum):
    """Where an actor runs: Lambda ends it at its timeout, a container lets it go on however late it is."""

    LAMBDA = "lambda"
    CONTAINER = "container"


@dataclass(slots=True, eq=False)
class Actor:
    """One execution of production code. ``skew_ms``: its machine's clock against true time."""

    name: str
    host: Host
    ends_at_us: int
    skew_ms: int
    latencies: Random
    faults: Random
    calls: int = 0
    over: bool = False
    greenlet: greenlet.greenlet | None = None


@dataclass(slots=True)
class Exchange[T]:
    """What came of an effect at a service: a value, or the error that the service answers."""

    value: T | None = None
    error: Exception | None = None

    def run(self, effect: Callable[[], T]) -> None:
        """Let it happen."""
        try:
            self.value = effect()
        except Exception as error:
            self.error = error


@dataclass(slots=True)
class Scheduler:
    """Virtual time, the actors, and what is to happen when."""

    seed: int
    history: History = field(default_factory=History)
    switches: int = 0
    now_us: int = 0
    current: Actor | None = None
    actors: dict[str, Actor] = field(default_factory=dict)
    _heap: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _hub: greenlet.greenlet = field(default_factory=greenlet.getcurrent)

    def true_ms(self) -> int:
        """Return the true time in epoch milliseconds."""
        return START_MS + self.now_us // US

    def now_ms(self) -> int:
        """See ``Clock``: the time on the machine of the actor that asks."""
        return self.true_ms() + (self.current.skew_ms if self.current else 0)

    def record(self, text: str, *, by: str | None = None) -> None:
        """Write a line of the history."""
        self.history.add(self.now_us, by or (self.current.name if self.current else "world"), text)

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let the world do something later."""
        self._push(int(seconds * 1000 * US), event)

    def start(
        self,
        name: str,
        work: Callable[[], object],
        *,
        host: Host = Host.LAMBDA,
        timeout_seconds: float = 0,
        skew_ms: int = 0,
        on_end: Callable[[bool], None] = lambda _finished: None,
    ) -> None:
        """Start an actor now. ``on_end`` is told whether the work finished; it did not if the actor was killed."""
        ends_at_us = self.now_us + int(timeout_seconds * 1000 * US) if timeout_seconds else 1 << 62
        streams = (Random(f"{self.seed}/{name}/latency"), Random(f"{self.seed}/{name}/fault"))
        actor = Actor(name, host, ends_at_us, skew_ms, *streams)
        self.actors[name] = actor

        def run() -> None:
            finished = False
            try:
                work()
                finished = True
            except Killed:
                pass
            actor.over = True
            on_end(finished)

        actor.greenlet = greenlet.greenlet(run, parent=self._hub)
        self._push(0, partial(self._resume, actor))

    def perform[T](
        self, effect: Callable[[], T], *, there_us: int, back_us: int, lands_us: int | None = None
    ) -> Exchange[T]:
        """Let ``effect`` happen at a service, and return when its answer is there, or when the caller gives up.

        ``lands_us``: after how long the effect happens if that is later than its caller waits; -1 for never.
        """
        exchange: Exchange[T] = Exchange()
        actor = self.alive()

        def happen() -> None:
            self.current = actor
            exchange.run(effect)
            self.current = None

        if lands_us is None:
            self._push(there_us, happen)
        elif lands_us >= 0:
            self._push(lands_us, happen)
        self._wait(actor, there_us + back_us)
        return exchange

    def together[T](self, works: Sequence[Callable[[], T]]) -> list[T]:
        """Run all works at the same time, as threads of the actor that calls, and return their results in order."""
        actor, left = self.alive(), len(works)
        results: dict[int, T] = {}

        def ended(_finished: bool) -> None:
            nonlocal left
            left -= 1
            if not left:
                self._push(0, partial(self._resume, actor))

        def run(number: int, work: Callable[[], T]) -> None:
            results[number] = work()

        for number, work in enumerate(works):
            self.start(f"{actor.name}.{number}", partial(run, number, work), skew_ms=actor.skew_ms, on_end=ended)
        if works:
            self.current = None
            self._hub.switch()
        return [results[number] for number in range(len(works))]

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass for the actor that calls."""
        self._wait(self.alive(), int(seconds * 1000 * US))

    def alive(self) -> Actor:
        """Return the actor that runs. Raises ``Killed`` in one that is over."""
        actor = self.current
        if actor is None:
            raise AssertionError("a port was called outside of an actor")
        if actor.over:
            raise Killed
        return actor

    def kill(self) -> None:
        """End the actor that runs, as a crash of its process does."""
        self.alive().over = True
        raise Killed

    def run_until(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Let happen what is to happen until then, or until ``is_over``, or until nothing is left."""
        end_us = int(seconds * 1000 * US)
        heap = self._heap
        while heap and heap[0][0] <= end_us and not is_over():
            at_us, _, event = heapq.heappop(heap)
            self.now_us = max(self.now_us, at_us)
            event()
        self.skip_to(seconds)

    def close(self) -> None:
        """End every actor that is left, in the middle of whatever it does."""
        for actor in self.actors.values():
            if actor.greenlet:
                actor.over, self.current = True, actor
                actor.greenlet.throw(Killed)
        self.current = None
        self._heap.clear()

    def skip_to(self, seconds: float) -> None:
        """Let time pass in which nothing is done."""
        self.now_us = max(self.now_us, int(seconds * 1000 * US))

    def _wait(self, actor: Actor, us: int) -> None:
        self._push(us, partial(self._resume, actor))
        self.current = None
        self._hub.switch()

    def _resume(self, actor: Actor) -> None:
        if actor.over or actor.greenlet is None:
            return
        self.switches += 1
        self.current = actor
        if actor.host is Host.LAMBDA and self.now_us > actor.ends_at_us:
            actor.over = True
            self.history.reached[Goal.ENDED_AT_TIMEOUT] += 1
            self.record("ended by Lambda at its timeout")
            actor.greenlet.throw(Killed)
        else:
            actor.greenlet.switch()
        self.current = None

    def _push(self, us: int, event: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (max(0, us) + self.now_us, next(self._numbers), event))
