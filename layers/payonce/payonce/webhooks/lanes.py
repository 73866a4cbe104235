"""Works through the lane of an endpoint that somebody was woken for: takes it, runs a session, gives it back.

::

    wake ─ endpoint there? ─ held? ─ breaker ─ anything due? ─ TAKE ─ session ─ GIVE BACK ─ anything due since?
            │ no: cancel      │        │ open       │ no                                     │ no: done
            │ disabled: hold  │        └ later      └ nothing is written                     └ yes: once more
                              └ leave it to its holder, who looks again after giving back

What is stored just before the holder gives the lane back finds it held, and nobody is woken for it. So the holder looks
once more afterwards, when the index has caught up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.endpoint import EndpointStatus
from payonce.domain.errors import StoreUnavailable, WriteConflict
from payonce.domain.webhooks import DeliveryStatus
from payonce.ports import Deadline
from payonce.webhooks.attempts import LEASE_MARGIN_MS, MIN_ATTEMPT_MS, RECORD_RESERVE_MS, Dispatched
from payonce.webhooks.delivery_writes import status_write
from payonce.webhooks.endpoints import load_endpoint_and_gate
from payonce.webhooks.gate import Gate
from payonce.webhooks.messages import wake
from payonce.webhooks.session import EARLY_MS, LEAST_BATCH, Session, Tools
from payonce.webhooks.waiting_list import MOST_KEYS, MOST_PAGES, WaitingList

if TYPE_CHECKING:
    from payonce.domain.webhooks import Health
    from payonce.webhooks.messages import WakeMessage

INDEX_LAG_SECONDS = 0.2  # an index of DynamoDB is rarely further behind; the scheduler finds what was missed
# A breaker that closes before the scheduler looks again: a message for that moment is better.
SOON_MS = 60_000


class Lanes:
    """Works through lanes."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._attempts = tools.attempts
        self._clock = tools.attempts.clock

    def drain(self, message: WakeMessage, deadline: Deadline) -> Dispatched:
        """Work through what is due in the lane.

        Raises ``StoreUnavailable`` or ``OutcomeUnknown`` when something could not be recorded: it is sent once more.
        """
        outcome = Dispatched.NOT_ASKED_FOR
        while True:
            gate = self._to_be_drained(message, deadline)
            if not isinstance(gate, Gate):
                return gate
            if not self._is_due(self._list(message)):
                return outcome
            waiting = self._list(message)
            session = self._session(message, gate, waiting, deadline)
            if session is None:
                return Dispatched.LEFT
            outcome = Dispatched.DRAINED
            if session.unfinished:
                return outcome  # somebody was woken who goes on
            self._tools.sleep(INDEX_LAG_SECONDS)
            if not self._is_due(waiting):
                return outcome

    def _to_be_drained(self, message: WakeMessage, deadline: Deadline) -> Gate | Dispatched:
        """Return the gate of an endpoint whose lane may be taken now, or what has become of the message instead."""
        endpoint, gate = load_endpoint_and_gate(self._attempts.database, message.merchant_id, message.endpoint_id)
        if endpoint is None or gate is None:
            return self._end_all(message, DeliveryStatus.CANCELED, None)
        now_ms = self._clock.now_ms()
        if endpoint.status is EndpointStatus.DISABLED:
            return self._end_all(message, DeliveryStatus.HELD, now_ms + EARLY_MS)
        if gate.lanes[message.lane].is_held(now_ms):
            return Dispatched.LEFT
        if gate.health.is_open(now_ms):
            return self._defer(message, gate.health, now_ms)
        if deadline.at_ms - RECORD_RESERVE_MS - now_ms < MIN_ATTEMPT_MS:
            raise StoreUnavailable("Too little time is left for an attempt; the message comes again.")
        return gate

    def _is_due(self, waiting: WaitingList) -> bool:
        now_ms = self._clock.now_ms()
        return bool(waiting.take(LEAST_BATCH, now_ms=now_ms, until_ms=now_ms + EARLY_MS))

    def _session(self, message: WakeMessage, gate: Gate, waiting: WaitingList, deadline: Deadline) -> Session | None:
        """Run one session and return it; ``None`` when somebody else has taken the lane. Raises what ended it early."""
        lane = message.lane
        until_ms = deadline.at_ms + LEASE_MARGIN_MS
        held = self._tools.gates.take(gate, lane, now_ms=self._clock.now_ms(), until_ms=until_ms)
        if held is None:
            return None
        session = Session(self._tools, gate, lane, held, waiting, Deadline(deadline.at_ms - RECORD_RESERVE_MS))
        session.run()
        in_doubt_at_ms = self._clock.now_ms() if session.in_doubt else None
        self._tools.gates.give_back(gate, lane, held, session.pace, in_doubt_at_ms=in_doubt_at_ms)
        if session.is_behind:
            self._tools.gates.add_lanes(gate)
        if session.error is not None:
            raise session.error
        if session.unfinished:
            self._attempts.queue.send([wake(message.merchant_id, message.endpoint_id, lane)])
        return session

    def _defer(self, message: WakeMessage, health: Health, now_ms: int) -> Dispatched:
        """Wake the lane again when its breaker closes. Nothing is written, however much waits."""
        wait_ms = health.cooldown_over_at_ms() - now_ms
        if wait_ms <= SOON_MS:
            self._attempts.wake_later(message.merchant_id, message.endpoint_id, message.lane, wait_ms)
        return Dispatched.DEFERRED

    def _end_all(self, message: WakeMessage, status: DeliveryStatus, until_ms: int | None) -> Dispatched:
        """End everything in the lane that nobody has in hand: its endpoint is disabled, or was deleted."""
        waiting, ended = self._list(message), 0
        for _ in range(MOST_PAGES):
            now_ms = self._clock.now_ms()
            deliveries = waiting.take(MOST_KEYS, now_ms=now_ms, until_ms=until_ms)
            if not deliveries:
                break
            for delivery in deliveries:
                try:
                    self._attempts.database.write([status_write(delivery, status, at_ms=now_ms)])
                except WriteConflict:
                    continue
                ended += 1
        else:
            self._attempts.queue.send([wake(message.merchant_id, message.endpoint_id, message.lane)])
        return Dispatched(status.value) if ended else Dispatched.NOT_ASKED_FOR

    def _list(self, message: WakeMessage) -> WaitingList:
        return WaitingList(self._attempts.database, message.merchant_id, message.endpoint_id, message.lane)
