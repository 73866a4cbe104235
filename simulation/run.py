"""One run: a time of faults, a time to settle, and the clients that come back in the end, and much later.

::

    0 s       faults         300 s    settling: no fault, all concludes    + last requests   + 25 h   + 32 d   + 2 d
    ├───────────────────────────┼───────────────────────────────────────────────┼───────────────┼────────┼────────┼──▶
      operations, workers          within SETTLES_WITHIN_SECONDS                final answers    409      409     gone
"""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from payonce.idempotency.keys import record_id
from payonce.observability import get_logger
from payonce.ports import Table
from simulation import invariants
from simulation.actors import OPERATIONS, Cast
from simulation.facts import Violated
from simulation.goals import Goal
from simulation.scheduler import Host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation.history import History
    from simulation.plan import Plan

# After the last fault: what is frozen or late is so for 90 s at most; then the longest pause between two inquiries
# (payments.rules: 15 minutes) twice, each up to a minute before recovery runs.
SETTLES_WITHIN_SECONDS = 90 + 2 * (15 * 60 + 60)
LONGEST_WORKER_SECONDS = 120  # a feeder's run takes a minute and some seconds
# After an hour of faults a delivery waits two hours for its next attempt, and a tenth more by jitter.
DELIVERS_WITHIN_SECONDS = int(1.1 * 2 * 3600) + 600
STEP_SECONDS = 30
BROKEN_WORD = "executed after the gateway's final not-found"  # the gateways here keep what they declare
LAST_REQUESTS_SECONDS = 120
WINDOW_SECONDS = 25 * 3600
GUARD_SECONDS = 32 * 24 * 3600
TTL_LATE_SECONDS = 2 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. ``plan`` lists the faults, so that the run can be repeated without drawing them."""

    plan: Plan
    history: History
    violated: Violated | None
    switches: int
    settled_after_seconds: float

    @property
    def invariant(self) -> str:
        """The name of the violated promise, "" if none was."""
        return "" if self.violated is None else self.violated.invariant


def run(plan: Plan) -> Outcome:
    """Run a plan to its end, or to the first violation."""
    cast = Cast(plan)
    scheduler = cast.scheduler
    violated, settled_seconds = None, 0.0
    try:
        with _heard():
            settled_seconds = _play(cast)
    except Violated as found:
        violated = found
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        violated = Violated("P0", f"an error that nothing explains: {error!r} at {where.filename}:{where.lineno}")
    if violated is not None:
        scheduler.record(f"VIOLATED {violated}")
    scheduler.close()
    drawn = tuple((where, (fault.kind, fault.ms)) for where, fault in cast.world.fates.drawn.items())
    faults = plan.faults if plan.faults is not None else drawn
    return Outcome(replace(plan, faults=faults), scheduler.history, violated, scheduler.switches, settled_seconds)


class _Heard(logging.Handler):
    """Listens to production's log: below ERROR nothing is formatted, and no fault of the world explains what is above.

    An unforeseen error is answered with a 500, which does not say what it was; the log does.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Raise ``Violated`` for what is logged with an exception, or about a gateway that broke its word."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None or record.getMessage() == BROKEN_WORD:
            raise Violated("P0", f"{record.getMessage()}: {error!r}")


@contextmanager
def _heard() -> Iterator[None]:
    """Listen to production's log during a run."""
    logger = logging.getLogger(get_logger().name)
    level, handlers = logger.level, logger.handlers
    logger.handlers = [_Heard()]
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.handlers = handlers
        logger.setLevel(level)


def _play(cast: Cast) -> float:
    world, scheduler = cast.world, cast.scheduler
    cast.schedule()
    scheduler.run_until(cast.plan.faults_seconds)
    world.fates.over = world.stream.over = True
    scheduler.record("-- no more faults")
    settled_seconds = _settle(cast, cast.plan.faults_seconds)
    _last_requests(cast, "last")
    _settle(cast, scheduler.now_us / 1e6)
    _check_end(cast)
    if cast.plan.much_later:
        _much_later(cast)
        _check_end(cast)
    return settled_seconds


def _check_end(cast: Cast) -> None:
    for holds in invariants.IN_THE_END:
        holds(cast.world.facts)


def _settle(cast: Cast, from_seconds: float) -> float:
    """Let time pass until all is concluded, and return how long that took. Raises ``Violated`` if it takes too long."""
    world, scheduler = cast.world, cast.scheduler
    seconds = 0
    seen: dict[str, int] = {}
    while seconds < DELIVERS_WITHIN_SECONDS:
        seconds += STEP_SECONDS
        scheduler.run_until(from_seconds + seconds)
        running = [actor.name for actor in scheduler.actors.values() if not actor.over]
        claims = world.open_claims()
        if not (claims or running or cast.events_open or world.undelivered()):
            return seconds
        # While deliveries wait, a schedule begins something every minute: only what does not end is open.
        seen = {name: seen.get(name, seconds) for name in running}
        stuck = claims + [name for name, since in seen.items() if seconds - since > LONGEST_WORKER_SECONDS]
        if stuck and seconds > SETTLES_WITHIN_SECONDS:
            raise Violated("settling", f"{SETTLES_WITHIN_SECONDS} s after the last fault these are open: {stuck}")
    left = f"{world.undelivered()}, and {cast.events_open} events of gateways"
    raise Violated("settling", f"{DELIVERS_WITHIN_SECONDS} s after the last fault: {left}")


def _last_requests(cast: Cast, name: str) -> None:
    """Let every client ask once more, without faults."""
    scheduler = cast.scheduler
    for operation in cast.plan.operations:
        if operation.kind == "dashboard":
            continue
        attempt = replace(operation.attempts[0], altered=False, host=Host.LAMBDA, skew_ms=0)
        for number in range(3 if operation.kind == "surplus" else 1):
            ask = partial(cast.ask, operation, attempt, f"{operation.name}.{name}-{number}")
            scheduler.after(1 + number * 30, ask)
    scheduler.run_until(scheduler.now_us / 1e6 + LAST_REQUESTS_SECONDS)


def _much_later(cast: Cast) -> None:
    """Ask again when the window is over, when TTL is late, and when it has deleted; nothing happens in between."""
    world, scheduler = cast.world, cast.scheduler
    for name, seconds, deletes in (
        ("late", WINDOW_SECONDS, False),
        ("very-late", GUARD_SECONDS, False),
        ("forgotten", TTL_LATE_SECONDS, True),
    ):
        scheduler.skip_to(scheduler.now_us / 1e6 + seconds)
        if deletes:
            world.database.delete_expired(Table.IDEMPOTENCY, scheduler.true_ms() // 1000)
            for operation in cast.plan.operations:
                world.facts.forget(record_id(operation.merchant, OPERATIONS[operation.kind], operation.key))
            scheduler.history.reached[Goal.KEY_FORGOTTEN] += 1
        _last_requests(cast, name)
        _settle(cast, scheduler.now_us / 1e6)
