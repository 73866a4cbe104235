"""DynamoDB fails at every request of the relay, the dispatcher and the scheduler: no event is lost or changed.

Afterwards comes what the platform does by itself: the stream gives a failed batch again, the queue a message that was
not handled, the scheduler runs. https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html (a failed batch is retried)
and https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
"""

from __future__ import annotations

import os
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.delivery import Answer
from payonce.domain.errors import PayonceError
from payonce.domain.webhooks import DeliveryStatus
from payonce.ports import Table
from payonce.webhooks.deliveries import deliveries_of_endpoint
from tests.contract.faults.catalogue import FAULTS
from tests.contract.faults.conftest import CELLS
from tests.contract.faults.servers import wipe
from tests.support.dynamodb_fates import Comes
from tests.support.webhooks import EXCHANGE_MS, WebhookWorld, ids_and_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.ports import Item
    from tests.contract.faults.catalogue import Fault
    from tests.contract.faults.servers import Servers

FULL = os.environ.get("PAYONCE_FAULTS") == "full"
VISIBILITY_TIMEOUT_MS = 360_000
ROUND_MS = 6 * 60_000  # longer than a lost message's grace
# Nobody overtakes here: a message or an event that comes twice is what happens anyway.
PLAYED = [fault for fault in FAULTS if not fault.overtaker and (FULL or not fault.alike)]


class Switch:
    """The database of the world: through the proxy while the fault is on, else straight."""

    def __init__(self, current: Any) -> None:
        self.current = current

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current, name)


@dataclass
class Hooks:
    """One event on its way to two endpoints."""

    servers: Servers
    world: WebhookWorld
    switch: Switch
    event: Item

    def relay(self) -> None:
        """Relay the event, as often as the stream gives it."""
        while self.world.relay_events(self.event).failed:
            self.switch.current = self.servers.direct

    def handle(self, message: str) -> None:
        """Handle a message; one that fails is visible again later."""
        try:
            self.world.handle(message)
        except PayonceError:
            self.world.queue.sent.append((self.world.clock.ms + VISIBILITY_TIMEOUT_MS, message))

    def dispatch(self) -> None:
        """Handle what is visible."""
        for message in self.world.queue.take():
            self.handle(message)

    def schedule(self) -> None:
        """Run the scheduler; one that fails runs again a minute later."""
        try:
            self.world.schedule()
        except PayonceError:
            self.world.clock.ms += 60_000


def _struck_relay(hooks: Hooks) -> Callable[[], None]:
    return hooks.relay


def _struck_dispatch(hooks: Hooks) -> Callable[[], None]:
    hooks.relay()
    first, *others = hooks.world.queue.take()
    hooks.world.queue.sent += [(0, message) for message in others]
    return lambda: hooks.handle(first)


def _struck_retry(hooks: Hooks) -> Callable[[], None]:
    for name in ("one", "two"):
        hooks.world.receivers.scripts[f"https://{name}.example/"].append(Answer(status=500, latency_ms=EXCHANGE_MS))
    return _struck_dispatch(hooks)


def _struck_lane(hooks: Hooks) -> Callable[[], None]:
    """Strike whoever works through a lane: both direct messages are lost, and the scheduler has woken it."""
    hooks.relay()
    hooks.world.queue.take()
    hooks.world.clock.ms += ROUND_MS
    hooks.schedule()
    first, *others = hooks.world.queue.take()
    hooks.world.queue.sent += [(0, message) for message in others]
    return lambda: hooks.handle(first)


def _struck_schedule(hooks: Hooks) -> Callable[[], None]:
    hooks.relay()
    hooks.world.queue.take()  # both messages are lost
    hooks.world.clock.ms += ROUND_MS
    return hooks.schedule


def _struck_sweep(hooks: Hooks) -> Callable[[], None]:
    hooks.world.clock.ms += ROUND_MS  # the stream has brought nothing
    return hooks.schedule


OPERATIONS = {
    "relay": _struck_relay,
    "dispatch": _struck_dispatch,
    "dispatch of a 500": _struck_retry,
    "lane": _struck_lane,
    "schedule, messages lost": _struck_schedule,
    "schedule, stream lost": _struck_sweep,
}
_actions: dict[str, list[str]] = {}


@contextmanager
def hooked(servers: Servers) -> Iterator[Hooks]:
    """Yield a world with two endpoints and an event, and empty the tables after it."""
    servers.refill()
    servers.clock.ms += ROUND_MS
    switch = Switch(servers.direct)
    world = WebhookWorld(clock=servers.clock, database=switch)
    for name in ("one", "two"):
        world.endpoint(name)
    try:
        yield Hooks(servers, world, switch, world.event())
    finally:
        servers.proxy.disarm()
        servers.proxy.land()
        wipe(servers, (Table.ENDPOINTS, Table.DELIVERIES, Table.OUTBOX))


def play(servers: Servers, operation: str, fault: Fault, number: int) -> None:
    """Strike the operation at one request, let the platform go on, and check what arrived and what is stored."""
    with hooked(servers) as hooks:
        act = OPERATIONS[operation](hooks)
        hasty = any(fate.comes is Comes.SILENCE for fate in fault.fates)
        hooks.switch.current = servers.hasty if hasty else servers.patient
        servers.proxy.arm(fault.script(number))
        act()
        servers.proxy.disarm()
        hooks.switch.current = servers.direct
        servers.proxy.land()
        for _ in range(4):
            hooks.dispatch()
            servers.clock.ms += ROUND_MS
            hooks.schedule()
        hooks.dispatch()
        check(hooks)
        copies = len(hooks.world.receivers.received)
        CELLS[operation, fault.name][f"{copies} copies"] += 1


def check(hooks: Hooks) -> None:
    """Both endpoints have the event, all copies are the same, nothing is left to do."""
    received = hooks.world.receivers.received
    assert ids_and_bytes(received) == {(hooks.event["event_id"], hooks.event["body"])}
    assert {one.url for one in received} == {"https://one.example/", "https://two.example/"}
    database = hooks.servers.direct
    for name in ("one", "two"):
        items = deliveries_of_endpoint(database, "mer_1", name, limit=100).items
        assert [item["status"] for item in items] == [DeliveryStatus.DELIVERED.value]
        assert "due_list" not in items[0]
    assert hooks.world.queue.take() == []


@pytest.mark.parametrize("fault", PLAYED, ids=lambda fault: fault.name.replace(" ", "_"))
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_event_is_lost_or_changed(servers: Servers, operation: str, fault: Fault) -> None:
    if operation not in _actions:
        with hooked(servers) as hooks:
            act = OPERATIONS[operation](hooks)
            hooks.switch.current = servers.patient
            servers.proxy.arm(None)
            act()
            _actions[operation] = servers.proxy.disarm()
    numbers = [number for number, action in enumerate(_actions[operation], start=1) if fault.fits(action)]
    if not FULL and numbers:
        numbers = numbers[zlib.crc32(f"{operation}{fault.name}".encode()) % len(numbers) :][:1]
    for number in numbers:
        play(servers, operation, fault, number)
