"""What all ports share: the fault of a call, freezes and kills around it, and its way there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.goals import Goal
from simulation.scheduler import US, Exchange, Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.faults import Fates, Fault

LEASE_MS = 30_000  # a request's time and the lease's margin: who is frozen for longer has lost its lease
QUICK = "", 0


class Wire:
    """Calls of ports, by the actor that runs."""

    def __init__(self, scheduler: Scheduler, fates: Fates) -> None:
        self.scheduler = scheduler
        self.fates = fates
        self.reached = scheduler.history.reached

    def begin(self, port: str) -> tuple[str, int]:
        """Begin a call: return its fault as (kind, milliseconds), after a freeze or a kill that comes before it."""
        actor = self.scheduler.alive()
        actor.calls += 1
        fault = self.fates.of(actor, port)
        if fault is None:
            return QUICK
        if fault.kind.endswith("_before"):
            self._suffer(fault)
            return QUICK
        return fault.kind, fault.ms

    def exchange[T](
        self,
        fault: tuple[str, int],
        effect: Callable[[], T],
        *,
        typical_ms: int,
        waits_ms: int | None = None,
        lands_ms: int | None = None,
    ) -> Exchange[T]:
        """Let the effect happen and wait for the answer, or for ``waits_ms`` in vain.

        ``lands_ms``: see ``Scheduler.perform``. A freeze or kill after the effect comes before the answer is seen.
        """
        kind, ms = fault
        latencies = self.scheduler.alive().latencies
        # Exponential, so that most calls are quick and some are late enough to be overtaken.
        there_us = int(latencies.expovariate(1 / (typical_ms * US)))
        back_us = int(latencies.expovariate(1 / (typical_ms * US)))
        if kind == "slow":
            there_us += ms * US
        if waits_ms is not None:
            there_us = min(there_us, waits_ms * US)
            back_us = waits_ms * US - there_us
        lands_us = None if lands_ms is None else lands_ms * US
        done = self.scheduler.perform(effect, there_us=there_us, back_us=back_us, lands_us=lands_us)
        if kind.endswith("_after"):
            self._suffer_kind(kind, ms)
        return done

    def sleep(self, seconds: float) -> None:
        """Pause, as production code does between tries."""
        kind, ms = self.begin("sleep")
        self.scheduler.sleep(seconds)
        if kind:
            self._suffer_kind(kind, ms)

    def _suffer(self, fault: Fault) -> None:
        self._suffer_kind(fault.kind, fault.ms)

    def _suffer_kind(self, kind: str, ms: int) -> None:
        if kind.startswith("killed"):
            self.reached[Goal.KILLED] += 1
            self.scheduler.record("KILLED")
            self.scheduler.kill()
        self.scheduler.record(f"FROZEN for {ms / 1000:.3f} s")
        if ms > LEASE_MS:
            self.reached[Goal.FROZEN_PAST_LEASE] += 1
        self.scheduler.sleep(ms / 1000)
        self.scheduler.record("goes on")
