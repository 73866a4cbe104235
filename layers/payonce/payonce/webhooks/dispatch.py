"""The dispatcher handles the messages of the delivery queue. They may be repeated, late or lost.

::

    direct message ─ still its lease? ─ endpoint ─ breaker ─ attempt       one delivery, leased to it when it was stored
                        │ no: a copy, or the lane's           │
                        ▼ wakes the lane                      └ killed: the lane takes it when the lease is over
    wake message ──▶ the lane (see lanes)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.endpoint import EndpointStatus
from payonce.domain.errors import StoreUnavailable, WriteConflict
from payonce.domain.webhooks import DeliveryStatus
from payonce.outbox import find_event
from payonce.ports import Deadline, Table
from payonce.webhooks.attempts import (
    ATTEMPT_TIMEOUT_MS,
    LEASE_MARGIN_MS,
    MIN_ATTEMPT_MS,
    RECORD_RESERVE_MS,
    Dispatched,
    Pulse,
)
from payonce.webhooks.deliveries import delivery_from, delivery_key
from payonce.webhooks.delivery_writes import lease_write, status_write, yield_write
from payonce.webhooks.endpoints import load_endpoint_and_gate
from payonce.webhooks.lanes import Lanes
from payonce.webhooks.messages import WakeMessage

if TYPE_CHECKING:
    from payonce.webhooks.deliveries import Delivery
    from payonce.webhooks.messages import Message
    from payonce.webhooks.session import Tools


class Dispatcher:
    """Handles messages."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._database = tools.attempts.database
        self._clock = tools.attempts.clock
        self._lanes = Lanes(tools)

    def handle(self, message: Message, deadline: Deadline) -> Dispatched:
        """Do what the message asks for, if it still needs to be done, before ``deadline``.

        Raises ``StoreUnavailable`` or ``OutcomeUnknown`` when that could not be recorded: the message must come again.
        If an event was already sent, it is then sent once more, unchanged.
        """
        if isinstance(message, WakeMessage):
            return self._lanes.drain(message, deadline)
        key = delivery_key(message.merchant_id, message.endpoint_id, message.delivery_id)
        item = self._database.get(Table.DELIVERIES, key)
        delivery = None if item is None else delivery_from(item)
        if delivery is None or delivery.status is not DeliveryStatus.PENDING or delivery.fence != message.fence:
            return Dispatched.NOT_ASKED_FOR
        if delivery.lease_expires_at_ms < self._clock.now_ms():
            return self._lanes.drain(_lane_of(delivery), deadline)
        try:
            return self._attempt(delivery, deadline)
        except WriteConflict:
            return Dispatched.NOT_ASKED_FOR

    def _attempt(self, delivery: Delivery, deadline: Deadline) -> Dispatched:
        endpoint, gate = load_endpoint_and_gate(self._database, delivery.merchant_id, delivery.endpoint_id)
        if endpoint is None or gate is None:
            return self._end(delivery, DeliveryStatus.CANCELED)
        if endpoint.status is EndpointStatus.DISABLED:
            return self._end(delivery, DeliveryStatus.HELD)
        now_ms = self._clock.now_ms()
        if gate.health.is_open(now_ms):
            return Dispatched.DEFERRED  # the lane takes it when its lease is over, and the breaker closed
        if gate.health.failing:
            # One at a time: the lane sees to that.
            self._database.write([yield_write(delivery, at_ms=now_ms)])
            return self._lanes.drain(_lane_of(delivery), deadline)
        until = Deadline(deadline.at_ms - RECORD_RESERVE_MS)
        if until.at_ms - now_ms < MIN_ATTEMPT_MS:
            raise StoreUnavailable("Too little time is left for an attempt; the message comes again.")
        event = find_event(self._database, delivery.merchant_id, delivery.event_id)
        if event is None:
            raise StoreUnavailable("The event is not in the outbox.")
        owned = self._for_an_attempt(delivery, now_ms)
        return self._tools.attempts.make(owned, event, endpoint, Pulse(self._tools.gates, gate), until).outcome

    def _for_an_attempt(self, delivery: Delivery, now_ms: int) -> Delivery:
        """Return the delivery with a lease that is long enough for an attempt. A message that was late renews it."""
        needed_ms = now_ms + ATTEMPT_TIMEOUT_MS + LEASE_MARGIN_MS
        if delivery.lease_expires_at_ms >= needed_ms:
            return delivery
        self._database.write([lease_write(delivery, lease_expires_at_ms=needed_ms, lane_mark=delivery.lane_mark)])
        return replace(delivery, lease_expires_at_ms=needed_ms, fence=delivery.fence + 1)

    def _end(self, delivery: Delivery, status: DeliveryStatus) -> Dispatched:
        self._database.write([status_write(delivery, status, at_ms=self._clock.now_ms())])
        return Dispatched(status.value)


def _lane_of(delivery: Delivery) -> WakeMessage:
    return WakeMessage(merchant_id=delivery.merchant_id, endpoint_id=delivery.endpoint_id, lane=delivery.lane)
