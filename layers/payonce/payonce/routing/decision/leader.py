"""The predictor's loop: the leader reads signals every second, decides and publishes; other runs stand by.

::

    run 1   leads ─────────────────────────────────┤ gives up
    run 2                          starts, stands by ┤ leads ───────────── ✗ killed
    run 3                                                        stands by ─ lease ─┤ leads, from the stored state

Without a leader the document expires and routing is neutral: no payment depends on the predictor.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import OutcomeUnknown, PayonceError, StoreUnavailable, WriteConflict
from payonce.routing.control.control_store import ControlStore
from payonce.routing.control.in_force import settings_in_force
from payonce.routing.decision.changes import content, log_changes
from payonce.routing.decision.decide import decide, expectations
from payonce.routing.decision.minutes import MinuteKeeper
from payonce.routing.decision.predictor_store import RecordTaken, decision_write
from payonce.routing.decision.record import record
from payonce.routing.decision.state import State, only_of, restore
from payonce.routing.signals.feed import LONG_OVERLAP_MS, OVERLAP_MS, SignalFeed

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Clock, Database, Deadline, Log
    from payonce.routing.control.control_store import Control
    from payonce.routing.control.document import ControlDocument
    from payonce.routing.control.routing_settings import RoutingSettings
    from payonce.routing.decision.predictor_store import PredictorStore, Stored
    from payonce.routing.signals.events import Ended
    from payonce.routing.watch.stored_watch import Watching

STEP_MS = 1_000  # the period of the loop
REPEAT_MS = 4_500  # stream time after which late batches are looked for and an unchanged document is published again
LEASE_MS = 12_000  # covers two publications, each of which renews the lease, and 2 s
STALE_MS = 15_000  # half a document's life: older signals are no base for the next document


@dataclass(slots=True)
class RunReport:
    """The counts of one run. ``standby_steps`` are the seconds in which another run led."""

    steps: int = 0
    decisions: int = 0
    published: int = 0
    standby_steps: int = 0
    stale_steps: int = 0
    conflicts: int = 0
    failures: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicting:
    """The dependencies of a run. ``gateways`` are the configured ones: signals of any other are ignored."""

    database: Database
    store: PredictorStore
    settings: RoutingSettings
    gateways: frozenset[str]
    clock: Clock
    sleep: Callable[[float], None]
    log: Log
    watch: Watching


class PredictorRun:
    """One run of the loop, as the leader or standing by. Its terms use ``work`` and count in ``report``."""

    def __init__(self, work: Predicting) -> None:
        self.work = work
        self.report = RunReport()
        self._term: _Term | None = None
        self._waiting_for: Stored | None = None
        self._waiting_since_ms = 0
        self._doubts_clock = False
        self._has_begun_anew = False
        self._told: set[str] = set()

    def run(self, until: Deadline) -> RunReport:
        """Step once a second until the deadline, then resign the lead. Never raises for an error of the store."""
        clock = self.work.clock
        next_ms = clock.now_ms()
        while next_ms < until.at_ms:
            self.work.sleep(max(0, next_ms - clock.now_ms()) / 1000)
            self.report.steps += 1
            try:
                self._step()
            except (StoreUnavailable, OutcomeUnknown) as error:
                self.report.failures += 1
                self.tell_once("routing step failed", {"error": type(error).__name__, "detail": error.detail})
            # A step that took too long is followed by the next at once; missed steps are not made up for.
            next_ms = max(next_ms + STEP_MS, clock.now_ms())
        self._end()
        return self.report

    def _step(self) -> None:
        if self._term is None:
            self._term = self._begin()
        if self._term is None:
            self.report.standby_steps += 1
            return
        try:
            self._term.step()
        except WriteConflict:
            # Another predictor has written, so it leads, even if its lease has lapsed by our clock.
            self._doubts_clock = True
            self.report.conflicts += 1
            self.report.unreadable += self._term.feed.unreadable
            self._term = None
            self._waiting_for = None
        except (ArithmeticError, TypeError, ValueError) as error:
            # A well-formed state with impossible numbers would end this run and every later one, so restart from an
            # empty state. Only once: if the error comes again it is a defect, and has to be seen.
            if self._has_begun_anew:
                raise
            self._has_begun_anew = True
            self._term = self._term.anew()
            extra = {"epoch": self._term.state.epoch, "error": type(error).__name__, "detail": str(error)}
            self.work.log.error("routing state restarted", extra=extra)

    def _begin(self) -> _Term | None:
        stored, now_ms = self.work.store.read(), self.work.clock.now_ms()
        if stored is not None and self._is_led(stored, now_ms):
            return None
        control = ControlStore(self.work.database).read()
        epoch = max(control.epoch, stored.epoch if stored else 0)
        state = only_of(restore(stored.state if stored else None), self.work.gateways)
        if stored is not None and not state.epoch:
            self.work.log.error("routing state restarted", extra={"epoch": epoch, "bytes": len(stored.state or b"")})
        state.epoch = max(state.epoch, epoch)
        self._waiting_for = None
        return _Term(self, stored, state, control)

    def _is_led(self, stored: Stored, now_ms: int) -> bool:
        if stored.leader == self.work.store.leader or not stored.leader_until_ms:
            return False
        if now_ms >= stored.leader_until_ms and not self._doubts_clock:
            return False
        if self._waiting_for is None or self._waiting_for.guard != stored.guard:
            self._waiting_for, self._waiting_since_ms = stored, now_ms
        # Independent of clock skew: a leader that has written nothing for a whole lease, by our clock, has lost it.
        return now_ms - self._waiting_since_ms < LEASE_MS

    def tell_once(self, message: str, extra: dict[str, object]) -> None:
        """Log a warning, unless this run has logged the same message before."""
        if message not in self._told:
            self._told.add(message)
            self.work.log.warning(message, extra=extra)

    def _end(self) -> None:
        if self._term is None:
            return
        self.report.unreadable += self._term.feed.unreadable
        self.work.watch.keep()
        self._term.keep_minutes(all_of_it=True)
        with suppress(StoreUnavailable, OutcomeUnknown):  # the lease then expires by itself
            self._term.resign()


class _Term:
    """The time for which a run leads: it begins with the stored state and ends with a conflict or with the run."""

    def __init__(self, run: PredictorRun, stored: Stored | None, state: State, control: Control) -> None:
        self._run = run
        self._work = work = run.work
        self._stored = stored
        self.state = state
        self._published_state = state
        self._last: ControlDocument | None = None
        self._control = control
        self._looked_far_at_ms = 0
        self._minutes = MinuteKeeper(work.database, work.settings.slo_ms)
        self.feed = SignalFeed(work.database, work.clock, work.gateways, self._heard, work.settings.slo_ms)

    def anew(self) -> _Term:
        """Return a term with an empty state that continues the epoch."""
        return _Term(self._run, self._stored, State(epoch=self.state.epoch), self._control)

    def step(self) -> None:
        """Read the signals, and decide if there are new ones. Raises ``WriteConflict`` if another predictor leads."""
        feed = self.feed
        feed.book.expect(expectations(self.state, self._work.settings))
        looks_far = not 0 <= feed.newest_ms - self._looked_far_at_ms < REPEAT_MS
        if looks_far:
            self._looked_far_at_ms = feed.newest_ms
        if not feed.read(overlap_ms=LONG_OVERLAP_MS if looks_far else OVERLAP_MS):
            return
        if feed.lag_ms() > STALE_MS:
            self._run.report.stale_steps += 1
            if not feed.is_first_look:  # on the first look, old signals only mean that there was no traffic
                self._run.tell_once("routing signals are late", {"lag_ms": feed.lag_ms()})
            return
        if looks_far:
            self._control = ControlStore(self._work.database).read()
        now_ms = feed.now_ms()
        settings = settings_in_force(self._work.settings, self._control, self._work.gateways, now_ms)
        observed = feed.book.observe(feed.newest_ms)
        decision = decide(self.state, observed, settings, now_ms)
        self._run.report.decisions += 1
        self._minutes.decided(decision, observed.at_ms)
        self.keep_minutes()
        before, self.state = self.state, decision.state  # even if it is not published: no epoch is used twice
        if self._is_news(decision.document):
            recorded = record(before, observed, settings, now_ms, decision)
            self._run.report.published += self._publish(decision.state, decision.document, recorded, now_ms)

    def _is_news(self, document: ControlDocument) -> bool:
        last = self._last
        if last is None or content(document) != content(last):
            return True
        return not 0 <= document.issued_at_ms - last.issued_at_ms < REPEAT_MS

    def keep_minutes(self, *, all_of_it: bool = False) -> None:
        """Keep what people look at. A failure is told, and changes no decision."""
        try:
            self._minutes.keep(self.feed.newest_ms, all_of_it=all_of_it)
        except PayonceError as error:
            self._run.tell_once("routing minutes not kept", {"error": type(error).__name__, "detail": error.detail})

    def _heard(self, event: Ended) -> None:
        self._work.watch.heard(event)
        self._minutes.heard(event)

    def resign(self) -> None:
        """Resign the lead if this run holds it. A run that never published holds none and writes nothing."""
        if self._stored is not None and self._stored.leader == self._work.store.leader:
            self._work.store.resign(self._stored)

    def _publish(self, state: State, document: ControlDocument, recorded: bytes, now_ms: int) -> bool:
        write = decision_write(recorded, epoch=document.epoch, at_ms=now_ms)
        if write is None:
            self._work.log.error("decision too large to be kept", extra={"epoch": document.epoch})
        until_ms = now_ms + LEASE_MS
        try:
            self._stored = self._work.store.publish(self._stored, state.to_bytes(), document, write, until_ms)
        except RecordTaken:
            self._work.log.error("decision is on record already", extra={"epoch": document.epoch})
            return False
        log_changes(self._work.log, self._published_state, state, document, self._last)
        self._published_state, self._last = state, document
        return True
