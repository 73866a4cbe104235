"""The relay writes the deliveries of each event and queues messages for them. It is idempotent per event.

::

    outbox events ─┬─ 1 insert one delivery per event and endpoint (refused when it is there), many at a time
                   └─ 2 queue: its own message for each that is leased to it, one wake for each lane that others wait in
    killed before 2: the stream or the sweeper brings the event again; the ids are equal, so nothing is duplicated

A new delivery is leased to a message of its own while few are pending in its lane: then nothing else has to be written
until it ends. Beyond that, while the receiver fails, and while somebody works through the lane, it waits in the list.

A lane's list is one partition of an index. When the database refuses a delivery because there are too many in this
moment, the endpoint gets more lanes, and the event comes again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.endpoint import Endpoint, EndpointStatus
from payonce.domain.errors import PayonceError, StoreThrottled, WriteConflict
from payonce.domain.webhooks import MOST_DIRECT, DeliveryStatus
from payonce.outbox import opened
from payonce.webhooks.crew import each_in_threads
from payonce.webhooks.deliveries import Delivery, delivery_from, leased_to_its_message, new_delivery
from payonce.webhooks.delivery_writes import insert_write
from payonce.webhooks.endpoints import load_endpoints_and_gates
from payonce.webhooks.messages import direct, wake
from payonce.webhooks.waiting_list import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.each import Each
    from payonce.ports import Clock, Database, Item, MessageQueue, QueueMessage
    from payonce.webhooks.gate import Gate, Gates

type LaneName = tuple[str, str, int]  # merchant, endpoint, number
type Targets = list[tuple[Endpoint, Gate]]


@dataclass(slots=True)
class RelayReport:
    """The result of one run. ``failed`` maps the positions of events that must come again to their errors."""

    deliveries: int = 0
    failed: dict[int, Exception] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Planned:
    """A delivery of the event at this position, and the gate of its endpoint as it was read."""

    position: int
    delivery: Delivery
    gate: Gate

    @property
    def lane(self) -> LaneName:
        return lane_name(self.delivery)

    @property
    def pending(self) -> bool:
        return self.delivery.status is DeliveryStatus.PENDING

    def is_held(self, now_ms: int) -> bool:
        """Return whether somebody works through the lane."""
        return self.gate.lanes[self.delivery.lane].is_held(now_ms)


class Relay:
    """Turns outbox events into deliveries. ``each`` makes calls for many values, by default at the same time."""

    def __init__(
        self, *, database: Database, queue: MessageQueue, clock: Clock, gates: Gates, each: Each = each_in_threads
    ) -> None:
        self._database = database
        self._queue = queue
        self._clock = clock
        self._gates = gates
        self._each = each

    def relay(self, events: Sequence[Item]) -> RelayReport:
        """Relay stored events. One that fails does not delay the others."""
        report = RelayReport()
        planned = self._leased(self._planned(events, report))
        messages: list[QueueMessage] = []
        waiting: dict[LaneName, Gate] = {}
        crowded: dict[tuple[str, str], Gate] = {}
        for plan, (stored, is_new) in zip(planned, self._each(self._insert, planned), strict=True):
            if isinstance(stored, PayonceError):
                report.failed[plan.position] = stored
                if isinstance(stored, StoreThrottled):
                    crowded[plan.gate.merchant_id, plan.gate.endpoint_id] = plan.gate
            elif stored.status is DeliveryStatus.PENDING and not stored.attempt_count:
                report.deliveries += 1
                # Not the lane that was planned: what was stored earlier may lie in another one, from before more came.
                lane = lane_name(stored)
                if not stored.fence:
                    waiting[lane] = plan.gate
                elif is_new:
                    messages.append(direct(stored))
                else:
                    # Its message may be under way, and a copy would be sent too. The lane takes it if it was lost.
                    messages.append(wake(*lane, delay_ms=stored.due_at_ms - self._clock.now_ms()))
        self._widen(crowded.values())
        try:
            # One call for the whole run, because the queue bills by request, and a request takes ten messages.
            self._queue.send(messages + self._wakes(waiting))
        except PayonceError as error:
            report.failed |= dict.fromkeys((plan.position for plan in planned), error)
        return report

    def _planned(self, items: Sequence[Item], report: RelayReport) -> list[_Planned]:
        """Return the deliveries of the events, all of them waiting."""
        events: dict[int, tuple[str, Item]] = {}
        for position, item in enumerate(items):
            try:
                event = opened(item)
                events[position] = event["merchant_id"], event
            except KeyError as error:
                report.failed[position] = error
        merchants = list(dict.fromkeys(merchant_id for merchant_id, _ in events.values()))
        # Read once per run: an endpoint created after this moment is not owed an earlier event.
        targets = dict(zip(merchants, self._each(self._targets, merchants), strict=True))
        planned: list[_Planned] = []
        for position, (merchant_id, event) in events.items():
            found = targets[merchant_id]
            if isinstance(found, PayonceError):
                report.failed[position] = found
                continue
            try:
                planned += [
                    _Planned(position, self._new(event, endpoint, gate), gate)
                    for endpoint, gate in found
                    if is_for(event, endpoint)
                ]
            except KeyError as error:
                report.failed[position] = error
        return planned

    def _targets(self, merchant_id: str) -> Targets | PayonceError:
        try:
            return load_endpoints_and_gates(self._database, merchant_id)
        except PayonceError as error:
            return error

    def _new(self, event: Item, endpoint: Endpoint, gate: Gate) -> Delivery:
        enabled = endpoint.status is EndpointStatus.ENABLED
        status = DeliveryStatus.PENDING if enabled else DeliveryStatus.HELD
        now_ms = self._clock.now_ms()
        return new_delivery(event, endpoint.endpoint_id, status, now_ms=now_ms, lanes=gate.lane_count)

    def _leased(self, planned: list[_Planned]) -> list[_Planned]:
        """Return the planned deliveries, as many of them leased to messages of their own as there is room for."""
        now_ms = self._clock.now_ms()
        quiet = {
            plan.lane: None
            for plan in planned
            if plan.pending and not plan.gate.health.failing and not plan.is_held(now_ms)
        }
        room = dict(zip(quiet, self._each(self._room, list(quiet)), strict=True))
        leased = []
        for plan in planned:
            if plan.pending and room.get(plan.lane, 0) > 0:
                room[plan.lane] -= 1
                delivery = leased_to_its_message(plan.delivery, now_ms=now_ms)
                leased.append(_Planned(plan.position, delivery, plan.gate))
            else:
                leased.append(plan)
        return leased

    def _room(self, lane: LaneName) -> int:
        """Return how many more deliveries may have messages of their own."""
        try:
            return MOST_DIRECT - count(self._database, *lane, at_most=MOST_DIRECT)
        except PayonceError:
            return 0  # all wait, which is as right, and a little later

    def _insert(self, plan: _Planned) -> tuple[Delivery | PayonceError, bool]:
        """Store a delivery. Return it as it is stored, or the error; and whether it is this run that stored it."""
        try:
            self._database.write([insert_write(plan.delivery)])
        except WriteConflict as conflict:
            return conflict if conflict.current is None else delivery_from(conflict.current), False
        except PayonceError as error:
            return error, False
        return plan.delivery, True

    def _widen(self, gates: Iterable[Gate]) -> None:
        """Give endpoints more lanes. Nothing depends on it: what was refused comes again in any case."""
        for gate in gates:
            with suppress(PayonceError):
                self._gates.add_lanes(gate)

    def _wakes(self, waiting: dict[LaneName, Gate]) -> list[QueueMessage]:
        """Return a message for each lane that nobody will look into by himself.

        A lane that was held is looked at again, now that the deliveries are stored: if it is still held, its holder
        finds them. One with an open breaker is left to the scheduler.
        """
        now_ms = self._clock.now_ms()
        lanes = [lane for lane, gate in waiting.items() if not gate.health.is_open(now_ms)]
        held = dict(zip(lanes, self._each(lambda lane: self._is_held(lane, waiting[lane]), lanes), strict=True))
        return [wake(*lane) for lane in lanes if not held[lane]]

    def _is_held(self, lane: LaneName, before: Gate) -> bool:
        merchant_id, endpoint_id, number = lane
        now_ms = self._clock.now_ms()
        if not before.lanes[number].is_held(now_ms):
            return False
        try:
            gate = self._gates.load(merchant_id, endpoint_id)
        except PayonceError:
            return False
        return gate is not None and gate.lanes[number].is_held(now_ms)


def lane_name(delivery: Delivery) -> LaneName:
    """Return the lane that a delivery is in, as messages name it."""
    return delivery.merchant_id, delivery.endpoint_id, delivery.lane


def is_for(event: Item, endpoint: Endpoint) -> bool:
    """Return whether the endpoint gets this event (``outbox.opened``)."""
    only_endpoint_id = event.get("only_endpoint_id")
    if only_endpoint_id is not None:
        return bool(only_endpoint_id == endpoint.endpoint_id)
    return endpoint.wants(event["event_type"])
