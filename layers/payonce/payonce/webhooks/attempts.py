"""One attempt of one delivery: signed, posted, judged and recorded; and what it says about the receiver.

::

    SIGN ─ POST ─ judge ─ [disable] ─ RECORD ─ [health] ─ [message]
             │                           └ requires the fence that was read: refused to whom somebody has overtaken
             └ killed from here on: the delivery stays pending, and is sent again, unchanged
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING

from payonce.domain.delivery import NoAnswer, NoAnswerReason
from payonce.domain.endpoint import DisabledReason
from payonce.domain.errors import SecretNotOpened, StoreUnavailable, WriteConflict
from payonce.domain.webhooks import Accepted, DeliveryStatus, GiveUp, Gone, TryAgain, judge
from payonce.webhooks.deliveries import attempt_entry
from payonce.webhooks.delivery_writes import attempt_write
from payonce.webhooks.disabling import disable
from payonce.webhooks.messages import wake

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.delivery import Exchanged
    from payonce.domain.endpoint import Endpoint
    from payonce.domain.webhooks import Health, Verdict
    from payonce.ports import Clock, Database, Deadline, Item, MessageQueue, WebhookTransport
    from payonce.webhooks.deliveries import Delivery
    from payonce.webhooks.gate import Gate, Gates
    from payonce.webhooks.signer import Signer

ATTEMPT_TIMEOUT_MS = 15_000  # for the whole exchange; a receiver should queue the event and answer
RECORD_RESERVE_MS = 5_000  # kept free at the end of the function, for the record and its retries
MIN_ATTEMPT_MS = 2_000  # with less time left, it is better to let the message come again
LEASE_MARGIN_MS = 10_000  # for clock differences, and for the record after the exchange
MAX_MESSAGE_DELAY_MS = 900_000  # SQS's maximum delay; the scheduler handles what is due later


class Dispatched(StrEnum):
    """What has become of a message, or of one delivery."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    FAILED = "failed"
    HELD = "held"
    CANCELED = "canceled"
    OVERTAKEN = "overtaken"  # it was sent, but a newer owner writes the record
    NOT_ASKED_FOR = "not_asked_for"  # the message is a copy, or outdated; or nothing is due
    DEFERRED = "deferred"  # the breaker is open
    LEFT = "left"  # to the sender that works through the lane
    DRAINED = "drained"  # the lane was worked through


class Pulse:
    """A receiver's health during one session, seen through its own answers. Thread-safe."""

    def __init__(self, gates: Gates, gate: Gate) -> None:
        self._gates = gates
        self._gate = gate
        self._lock = Lock()
        self.health = gate.health

    def refresh(self, health: Health) -> None:
        """Take over what is stored, which contains other senders' results, unless ours is newer."""
        with self._lock:
            if health.last_failure_at_ms >= self.health.last_failure_at_ms:
                self.health = health

    def accepted(self) -> None:
        """Reset the failures, if there are any."""
        with self._lock:
            sound = not self.health.failing and not self.health.failing_since_ms
            self.health = self.health.accepted()
        if not sound:
            self._gates.succeeded(self._gate)

    def failed(self, *, began_ms: int, now_ms: int) -> None:
        """Count a failure, unless it belongs to one that was counted."""
        with self._lock:
            before = self.health
            self.health = after = before.failed(began_ms=began_ms, now_ms=now_ms)
        if after is not before:
            self._gates.failed(self._gate, after)


@dataclass(frozen=True, slots=True)
class Made:
    """An attempt that was made. ``latency_ms`` is the receiver's; ``blames``: it speaks against the receiver."""

    outcome: Dispatched
    accepted: bool
    blames: bool
    latency_ms: int


class Attempts:
    """Makes attempts. ``jitter`` returns random numbers, uniform in [0, 1)."""

    def __init__(
        self,
        *,
        database: Database,
        queue: MessageQueue,
        transport: WebhookTransport,
        signer: Signer,
        clock: Clock,
        jitter: Callable[[], float],
        report_disabled: Callable[[str, DisabledReason], None],
    ) -> None:
        self.database = database
        self.queue = queue
        self.clock = clock
        self._transport = transport
        self._signer = signer
        self._jitter = jitter
        self._report_disabled = report_disabled

    def make(self, delivery: Delivery, event: Item, endpoint: Endpoint, pulse: Pulse, deadline: Deadline) -> Made:
        """Make one attempt of a delivery that this caller owns, by ``deadline`` at the latest.

        Raises ``StoreUnavailable`` or ``OutcomeUnknown`` when it may not have been recorded. The event may have been
        sent then; it is sent once more, unchanged.
        """
        began_ms = self.clock.now_ms()
        exchanged = self._exchange(delivery, event, endpoint, deadline.earlier(began_ms + ATTEMPT_TIMEOUT_MS))
        now_ms = self.clock.now_ms()
        verdict = judge(exchanged, attempts=delivery.round_attempts + 1, now_ms=now_ms, jitter=self._jitter())
        self._disable_if_due(verdict, endpoint, pulse.health, now_ms)
        try:
            outcome = self._record(delivery, exchanged, verdict, now_ms)
        except WriteConflict:
            outcome = Dispatched.OVERTAKEN
        accepted = isinstance(verdict, Accepted)
        # A secret that can't be opened is our failure, and says nothing about the receiver.
        ours = isinstance(exchanged, NoAnswer) and exchanged.reason is NoAnswerReason.SIGNING_FAILED
        if accepted:
            pulse.accepted()
        elif not ours:
            pulse.failed(began_ms=began_ms, now_ms=now_ms)
        return Made(outcome, accepted, not accepted and not ours, exchanged.latency_ms)

    def _exchange(self, delivery: Delivery, event: Item, endpoint: Endpoint, deadline: Deadline) -> Exchanged:
        body: bytes = event["body"]
        try:
            headers = self._signer.headers(endpoint, delivery.event_id, body)
        except SecretNotOpened as error:
            return NoAnswer(reason=NoAnswerReason.SIGNING_FAILED, latency_ms=0, detail=error.detail)
        return self._transport.post(endpoint.url, headers=headers, body=body, deadline=deadline)

    def _record(self, delivery: Delivery, exchanged: Exchanged, verdict: Verdict, now_ms: int) -> Dispatched:
        entry = attempt_entry(exchanged, at_ms=now_ms)
        match verdict:
            case Accepted():
                self.database.write([attempt_write(delivery, entry, DeliveryStatus.DELIVERED, at_ms=now_ms)])
                return Dispatched.DELIVERED
            case Gone():
                self.database.write([attempt_write(delivery, entry, DeliveryStatus.HELD, at_ms=now_ms)])
                return Dispatched.HELD
            case GiveUp():
                self.database.write([attempt_write(delivery, entry, DeliveryStatus.FAILED, at_ms=now_ms)])
                return Dispatched.FAILED
            case TryAgain(at_ms):
                self.database.write(
                    [attempt_write(delivery, entry, DeliveryStatus.PENDING, at_ms=now_ms, not_before_ms=at_ms)]
                )
                self.wake_later(delivery.merchant_id, delivery.endpoint_id, delivery.lane, at_ms - now_ms)
                return Dispatched.RETRYING

    def wake_later(self, merchant_id: str, endpoint_id: str, lane: int, delay_ms: int) -> None:
        """Queue a message that wakes the lane then. The scheduler does it when that is later, or the queue is down."""
        if delay_ms > MAX_MESSAGE_DELAY_MS:
            return
        try:
            self.queue.send([wake(merchant_id, endpoint_id, lane, delay_ms=delay_ms)])
        except StoreUnavailable:
            return

    def _disable_if_due(self, verdict: Verdict, endpoint: Endpoint, health: Health, now_ms: int) -> None:
        """Disable before recording the attempt: if killed in between, the delivery comes again and is held."""
        reason = None
        if isinstance(verdict, Gone):
            reason = DisabledReason.GONE
        elif not isinstance(verdict, Accepted):
            reason = health.disable_reason(now_ms)
        if reason and disable(self.database, endpoint.merchant_id, endpoint.endpoint_id, reason, now_ms=now_ms):
            self._report_disabled(endpoint.endpoint_id, reason)
