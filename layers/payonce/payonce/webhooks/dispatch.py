"""The dispatcher makes one attempt of one delivery, or decides why not now. Messages may be repeated, late or lost.

::

    message ─ asked for? ─ endpoint there? ─ breaker ─ slot ─ LEASE ─ POST ─ RECORD ─ slot back ─ message
               │ no: a copy        │ no: cancel      │ open: defer      │      │        └ requires the lease's fence
               ▼ nothing           ▼ disabled: hold  ▼ no attempt used  │      └ killed: sent again, unchanged
                                                                        └ killed: the scheduler finds the delivery
                                                                          when its message is overdue
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.delivery import NoAnswer, NoAnswerReason
from payonce.domain.endpoint import DisabledReason, EndpointStatus
from payonce.domain.errors import PayonceError, SecretNotOpened, StoreUnavailable, WriteConflict
from payonce.domain.webhooks import (
    COOLDOWN_SPREAD_MS,
    Accepted,
    DeliveryStatus,
    GiveUp,
    Gone,
    TryAgain,
    judge,
)
from payonce.outbox import find_event
from payonce.ports import Deadline, Table
from payonce.webhooks.deliveries import MESSAGE_GRACE_MS, attempt_entry, delivery_from, delivery_key, message_of
from payonce.webhooks.delivery_writes import attempt_write, defer_write, lease_write, status_write
from payonce.webhooks.disabling import disable
from payonce.webhooks.endpoints import load_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.delivery import Exchanged
    from payonce.domain.endpoint import Endpoint
    from payonce.domain.webhooks import Verdict
    from payonce.ports import Clock, Database, MessageQueue, WebhookTransport
    from payonce.webhooks.deliveries import Delivery
    from payonce.webhooks.gate import Gate, Gates, Slot
    from payonce.webhooks.messages import DeliveryMessage
    from payonce.webhooks.signer import Signer

ATTEMPT_TIMEOUT_MS = 15_000  # for the whole exchange; a receiver should queue the event and answer
RECORD_RESERVE_MS = 5_000  # kept free at the end of the function, for the record and its retries
MIN_ATTEMPT_MS = 2_000  # with less time left, it is better to let the message come again
LEASE_MARGIN_MS = 10_000  # for clock differences, and for the record after the exchange
EARLY_TOLERANCE_MS = 5_000  # for clock differences: slightly early is better than minutes late
MAX_MESSAGE_DELAY_MS = 900_000  # SQS's maximum delay; the scheduler handles what is due later
BUSY_PAUSE_MS = 2_000  # while all slots are taken: the duration of a slow exchange
BUSY_PAUSE_FAILING_MS = 30_000


class Dispatched(StrEnum):
    """The dispatcher's decision about a message."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    FAILED = "failed"
    HELD = "held"
    CANCELED = "canceled"
    DEFERRED = "deferred"
    BUSY = "busy"
    NOT_ASKED_FOR = "not_asked_for"  # the message is a copy, or outdated
    OVERTAKEN = "overtaken"  # it was sent, but a newer owner writes the record


class Dispatcher:
    """Attempts deliveries. ``jitter`` returns random numbers, uniform in [0, 1)."""

    def __init__(
        self,
        *,
        database: Database,
        queue: MessageQueue,
        transport: WebhookTransport,
        signer: Signer,
        gates: Gates,
        clock: Clock,
        jitter: Callable[[], float],
        report_disabled: Callable[[str, DisabledReason], None],
    ) -> None:
        self._database = database
        self._queue = queue
        self._transport = transport
        self._signer = signer
        self._gates = gates
        self._clock = clock
        self._jitter = jitter
        self._report_disabled = report_disabled

    def handle(self, message: DeliveryMessage, deadline: Deadline) -> Dispatched:
        """Do what the message asks for, if it still needs to be done.

        Raises ``StoreUnavailable`` or ``OutcomeUnknown`` when that could not be recorded: the message must come again.
        If the event was already sent, it is then sent once more, unchanged.
        """
        delivery = self._asked_for(message)
        if delivery is None:
            return Dispatched.NOT_ASKED_FOR
        try:
            return self._attempt(delivery, deadline)
        except WriteConflict:
            return Dispatched.NOT_ASKED_FOR

    def _asked_for(self, message: DeliveryMessage) -> Delivery | None:
        key = delivery_key(message.merchant_id, message.endpoint_id, message.delivery_id)
        item = self._database.get(Table.DELIVERIES, key)
        if item is None:
            return None
        delivery = delivery_from(item)
        now_ms = self._clock.now_ms()
        asked_for = (
            delivery.status is DeliveryStatus.PENDING
            and message.attempt == delivery.attempt_count + 1
            and delivery.lease_expires_at_ms < now_ms
            and delivery.not_before_ms <= now_ms + EARLY_TOLERANCE_MS
        )
        return delivery if asked_for else None

    def _attempt(self, delivery: Delivery, deadline: Deadline) -> Dispatched:
        endpoint = load_endpoint(self._database, delivery.merchant_id, delivery.endpoint_id)
        gate = self._gates.load(delivery.merchant_id, delivery.endpoint_id)
        if endpoint is None or gate is None:
            return self._end(delivery, DeliveryStatus.CANCELED, Dispatched.CANCELED)
        if endpoint.status is EndpointStatus.DISABLED:
            return self._end(delivery, DeliveryStatus.HELD, Dispatched.HELD)
        now_ms = self._clock.now_ms()
        closed_at_ms = gate.health.cooldown_over_at_ms()
        if closed_at_ms > now_ms:
            not_before_ms = closed_at_ms + int(self._jitter() * COOLDOWN_SPREAD_MS)
            self._database.write([defer_write(delivery, not_before_ms=not_before_ms, due_at_ms=not_before_ms)])
            return Dispatched.DEFERRED
        attempt_deadline = Deadline(deadline.at_ms - RECORD_RESERVE_MS).earlier(now_ms + ATTEMPT_TIMEOUT_MS)
        if attempt_deadline.at_ms - now_ms < MIN_ATTEMPT_MS:
            raise StoreUnavailable("Too little time is left for an attempt; the message comes again.")
        lease_expires_at_ms = attempt_deadline.at_ms + LEASE_MARGIN_MS
        slot = self._gates.take(gate, now_ms=now_ms, lease_expires_at_ms=lease_expires_at_ms)
        if slot is None:
            return self._busy(delivery, gate)
        return self._send(delivery, endpoint, gate, slot, attempt_deadline)

    def _send(self, delivery: Delivery, endpoint: Endpoint, gate: Gate, slot: Slot, deadline: Deadline) -> Dispatched:
        try:
            signed = self._sign(delivery, endpoint)
            # The slot ends with the lease: nobody sends for us after either of them.
            self._database.write([lease_write(delivery, lease_expires_at_ms=slot.lease_expires_at_ms)])
        except PayonceError:
            self._gates.give_back(gate, slot)
            raise
        leased = replace(delivery, fence=delivery.fence + 1, lease_expires_at_ms=slot.lease_expires_at_ms)
        if isinstance(signed, NoAnswer):
            exchanged: Exchanged = signed
        else:
            headers, body = signed
            exchanged = self._transport.post(endpoint.url, headers=headers, body=body, deadline=deadline)
        return self._conclude(leased, exchanged, gate, slot)

    def _sign(self, delivery: Delivery, endpoint: Endpoint) -> tuple[dict[str, str], bytes] | NoAnswer:
        event = find_event(self._database, delivery.merchant_id, delivery.event_id)
        if event is None:
            raise StoreUnavailable("The event is not in the outbox.")
        body: bytes = event["body"]
        try:
            return self._signer.headers(endpoint, delivery.event_id, body), body
        except SecretNotOpened as error:
            return NoAnswer(reason=NoAnswerReason.SIGNING_FAILED, latency_ms=0, detail=error.detail)

    def _conclude(self, leased: Delivery, exchanged: Exchanged, gate: Gate, slot: Slot) -> Dispatched:
        now_ms = self._clock.now_ms()
        verdict = judge(exchanged, attempts=leased.round_attempts + 1, now_ms=now_ms, jitter=self._jitter())
        self._disable_if_due(verdict, gate, now_ms)
        try:
            outcome = self._record(leased, exchanged, verdict, now_ms)
        except WriteConflict:
            outcome = Dispatched.OVERTAKEN
        if isinstance(verdict, Accepted):
            self._gates.succeeded(gate, slot)
        elif isinstance(exchanged, NoAnswer) and exchanged.reason is NoAnswerReason.SIGNING_FAILED:
            self._gates.give_back(gate, slot)  # the failure is ours, not the receiver's
        else:
            self._gates.failed(gate, slot, now_ms=now_ms)
        return outcome

    def _record(self, leased: Delivery, exchanged: Exchanged, verdict: Verdict, now_ms: int) -> Dispatched:
        entry = attempt_entry(exchanged, at_ms=now_ms)
        match verdict:
            case Accepted():
                self._database.write([attempt_write(leased, entry, DeliveryStatus.DELIVERED, at_ms=now_ms)])
                return Dispatched.DELIVERED
            case Gone():
                self._database.write([attempt_write(leased, entry, DeliveryStatus.HELD, at_ms=now_ms)])
                return Dispatched.HELD
            case GiveUp():
                self._database.write([attempt_write(leased, entry, DeliveryStatus.FAILED, at_ms=now_ms)])
                return Dispatched.FAILED
            case TryAgain(at_ms):
                self._retry(leased, entry, at_ms, now_ms)
                return Dispatched.RETRYING

    def _retry(self, leased: Delivery, entry: dict[str, object], at_ms: int, now_ms: int) -> None:
        by_message = at_ms - now_ms <= MAX_MESSAGE_DELAY_MS
        self._database.write(
            [
                attempt_write(
                    leased,
                    entry,
                    DeliveryStatus.PENDING,
                    at_ms=now_ms,
                    not_before_ms=at_ms,
                    due_at_ms=at_ms + MESSAGE_GRACE_MS if by_message else at_ms,
                )
            ]
        )
        if by_message:
            after = replace(leased, attempt_count=leased.attempt_count + 1)
            self._queue_or_leave(after, at_ms - now_ms)

    def _queue_or_leave(self, delivery: Delivery, delay_ms: int) -> None:
        try:
            self._queue.send([message_of(delivery, delay_seconds=-(-delay_ms // 1000))])
        except StoreUnavailable:
            return  # the index of due deliveries has it: the scheduler asks for it a little later

    def _busy(self, delivery: Delivery, gate: Gate) -> Dispatched:
        pause_ms = BUSY_PAUSE_FAILING_MS if gate.health.consecutive_failures else BUSY_PAUSE_MS
        pause_ms += int(pause_ms * self._jitter())
        not_before_ms = self._clock.now_ms() + pause_ms
        self._database.write(
            [defer_write(delivery, not_before_ms=not_before_ms, due_at_ms=not_before_ms + MESSAGE_GRACE_MS)]
        )
        self._queue_or_leave(delivery, pause_ms)
        return Dispatched.BUSY

    def _end(self, delivery: Delivery, status: DeliveryStatus, outcome: Dispatched) -> Dispatched:
        self._database.write([status_write(delivery, status, at_ms=self._clock.now_ms())])
        return outcome

    def _disable_if_due(self, verdict: Verdict, gate: Gate, now_ms: int) -> None:
        """Disable before recording the attempt: if killed in between, the delivery comes again and is held."""
        reason = None
        if isinstance(verdict, Gone):
            reason = DisabledReason.GONE
        elif not isinstance(verdict, Accepted):
            reason = gate.health.disable_reason(now_ms)
        if reason and disable(self._database, gate.merchant_id, gate.endpoint_id, reason, now_ms=now_ms):
            self._report_disabled(gate.endpoint_id, reason)
