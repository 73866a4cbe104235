"""A session: one sender works through a lane of an endpoint, many deliveries at the same time, until nothing waits.

::

    WORKER   next ─ [lease] ─ attempt ─ next ─ ...          as many as the pace allows; more are started when it grows
               └ nothing read ahead: one of them reads the next batch, the others leave and are started again

Each worker owns what it sends because the session holds the lane. What an abandoned session may still hold (one whose
sender was killed, or froze) is leased before it is sent, which raises its fence: the older sender's record is refused.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from payonce.domain.endpoint import EndpointStatus
from payonce.domain.errors import OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.webhooks.attempts import ATTEMPT_TIMEOUT_MS, Pulse
from payonce.webhooks.delivery_writes import lease_write
from payonce.webhooks.endpoints import load_endpoint_and_gate
from payonce.webhooks.gate import CLOCK_MARGIN_MS
from payonce.webhooks.pace import Pace
from payonce.webhooks.waiting_list import with_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.endpoint import Endpoint
    from payonce.ports import Deadline
    from payonce.webhooks.attempts import Attempts
    from payonce.webhooks.crew import Crew
    from payonce.webhooks.deliveries import Delivery
    from payonce.webhooks.gate import Gate, Gates, Lane
    from payonce.webhooks.waiting_list import Job, WaitingList

LEAST_BATCH = 10  # read ahead, however narrow the lane is
EARLY_MS = 1_000  # a message may be that early by its sender's clock, and finds what it was sent for all the same
POLL_SECONDS = 0.25  # while nothing waits and some are still under way: what comes meanwhile is sent at once


@dataclass(frozen=True, slots=True)
class Tools:
    """What sessions work with."""

    attempts: Attempts
    gates: Gates
    crew: Callable[[], Crew]
    sleep: Callable[[float], None]
    report_error: Callable[[str, Exception], None]


class Session:
    """One session over a lane that this sender holds, as ``held`` says. ``until``: the end of its last exchange."""

    def __init__(
        self, tools: Tools, gate: Gate, number: int, held: Lane, waiting: WaitingList, until: Deadline
    ) -> None:
        self._tools = tools
        self._gate = gate
        self._number = number
        self._held = held
        self._waiting = waiting
        self._until = until
        self._clock = tools.attempts.clock
        left_ms = until.at_ms - self._clock.now_ms()
        # An attempt that is begun has all its time; in a function that has little, half of what there is.
        self._last_start_ms = until.at_ms - min(ATTEMPT_TIMEOUT_MS, left_ms // 2)
        self._crew = tools.crew()
        self._lock = Lock()
        self._endpoint: Endpoint | None = None
        self._ready: deque[Job] = deque()
        self._active = 0
        self._reading = False
        self._over = False
        self.pulse = Pulse(tools.gates, gate)
        self.pace = Pace.after(gate.width, gate.quickest_ms)
        self.error: Exception | None = None  # the first one that ended the session early
        self.in_doubt = False  # some record may be written yet
        self.unfinished = False  # something may be due still: time was up, or the endpoint was changed
        self._time_is_up = False

    @property
    def is_behind(self) -> bool:
        """Whether the receiver took all as quickly as ever, and yet not everything could be sent in time."""
        return self._time_is_up and bool(self._ready) and not self.pace.reduced and self.error is None

    def run(self) -> None:
        """Work through all that is due. Returns when nothing is in hand any more."""
        self._active = 1
        self._crew.start(self._work)
        self._crew.join()

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._send(job)
                self._man()
        except Exception as error:
            self._fail(error)

    def _man(self) -> None:
        """Start as many workers as there is work and leave for."""
        with self._lock:
            more = 0 if self._over else max(0, min(len(self._ready), self._allowed() - self._active))
            self._active += more
        for _ in range(more):
            self._crew.start(self._work)

    def _allowed(self) -> int:
        return 1 if self.pulse.health.failing else min(self.pace.width, self._crew.most)

    def _next(self) -> Job | None:
        """Return the next job, or ``None`` when this worker has to leave."""
        while True:
            with self._lock:
                # Also of what was just read: read after our time, it may be in the hands of the lane's next holder.
                if self._clock.now_ms() >= self._last_start_ms:
                    self._over = self.unfinished = self._time_is_up = True
                if self._over or self._active > self._allowed() or (not self._ready and self._reading):
                    self._active -= 1
                    return None
                if self._ready:
                    return self._ready.popleft()
                self._reading = True
            if not self._read_on():
                return None
            self._man()

    def _read_on(self) -> bool:
        """Read until something is found. Return whether it is; ``False`` when this worker has to leave.

        One worker reads at a time, so the others leave meanwhile: who is alone and finds nothing has come to the end.
        """
        while True:
            found = self._read()
            with self._lock:
                if found or self._over or self._active == 1:
                    self._reading = False
                    self._ready.extend(found)
                    self._active -= not found
                    return bool(found)
            self._tools.sleep(POLL_SECONDS)

    def _read(self) -> list[Job]:
        """Return the next batch, and look whether the endpoint is still as it was."""
        database, gate = self._tools.attempts.database, self._gate
        endpoint, now = load_endpoint_and_gate(database, gate.merchant_id, gate.endpoint_id)
        ours = now is not None and now.lanes[self._number].held_until_ms == self._held.held_until_ms
        if endpoint is None or endpoint.status is not EndpointStatus.ENABLED or now is None or not ours:
            self._over = self.unfinished = True
            return []
        self._endpoint = endpoint
        self.pulse.refresh(now.health)
        now_ms = self._clock.now_ms()
        if self.pulse.health.is_open(now_ms):
            self._over = True
            return []
        batch = max(LEAST_BATCH, 2 * self._allowed())
        deliveries = self._waiting.take(batch, now_ms=now_ms, until_ms=now_ms + EARLY_MS)
        jobs, without = with_events(database, deliveries)
        for delivery in without:
            self._tools.report_error(delivery.delivery_id, StoreUnavailable("The event is not in the outbox."))
        return jobs

    def _send(self, job: Job) -> None:
        endpoint = self._endpoint
        if endpoint is None:  # pragma: no cover - jobs come from _read, which has set it
            return
        try:
            delivery = self._owned(job.delivery)
        except WriteConflict:
            return  # somebody else has changed it meanwhile
        try:
            made = self._tools.attempts.make(delivery, job.event, endpoint, self.pulse, self._until)
        except OutcomeUnknown:
            self.in_doubt = True
            raise
        with self._lock:
            if made.accepted:
                self.pace.accepted(made.latency_ms)
            elif made.blames:
                self.pace.failed()
            if self.pulse.health.is_open(self._clock.now_ms()):
                self._over = True

    def _owned(self, delivery: Delivery) -> Delivery:
        """Return the delivery as this session owns it: leased, if an earlier owner may still have it in hand."""
        held = self._held
        abandoned = held.abandoned > delivery.lane_mark
        if not delivery.lease_expires_at_ms and not (
            abandoned and delivery.updated_at_ms <= held.abandoned_at_ms + CLOCK_MARGIN_MS
        ):
            return delivery
        write = lease_write(delivery, lease_expires_at_ms=held.held_until_ms, lane_mark=held.abandoned)
        self._tools.attempts.database.write([write])
        return replace(
            delivery,
            lease_expires_at_ms=held.held_until_ms,
            fence=delivery.fence + 1,
            lane_mark=held.abandoned,
        )

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self.error = self.error or error
            self._over = True
            self._reading = False
            self._active -= 1
