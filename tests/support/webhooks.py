"""A small world for webhook tests: a queue and receivers that tests own, and the wiring between."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.delivery import Answer
from payonce.domain.endpoint import Endpoint, EndpointChange, EndpointKey, KeyKind
from payonce.domain.errors import StoreUnavailable
from payonce.domain.events import build_event
from payonce.domain.payment import Change
from payonce.each import in_turn
from payonce.outbox import event_item, event_write, opened
from payonce.ports import Deadline, QueueMessage
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_cipher import MemoryCipher
from payonce.webhooks.attempts import Attempts, Dispatched
from payonce.webhooks.deliveries import Delivery, deliveries_of_endpoint, delivery_from
from payonce.webhooks.dispatch import Dispatcher
from payonce.webhooks.endpoints import change_writes, create_writes, load_endpoint
from payonce.webhooks.gate import Gate, Gates
from payonce.webhooks.keys import key_context
from payonce.webhooks.messages import parse_message
from payonce.webhooks.relay import Relay, RelayReport
from payonce.webhooks.replays import advance_replay
from payonce.webhooks.scheduler import Scheduler, SchedulerReport
from payonce.webhooks.session import Tools
from payonce.webhooks.signer import Signer
from payonce.webhooks.signing import HmacKey
from payonce.webhooks.sweeper import Sweeper
from tests.support.crews import OneByOne
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.domain.delivery import Exchanged
    from payonce.domain.endpoint import DisabledReason
    from payonce.domain.webhooks import DeliveryStatus
    from payonce.ports import Clock, Database, Item
    from payonce.webhooks.crew import Crew

MERCHANT = "mer_1"
REQUEST_MS = 60_000
SECRET = HmacKey(b"s" * 32)
EXCHANGE_MS = 50


@dataclass
class HandQueue:
    """A queue that delivers when a test says so; ``down`` makes sending fail."""

    clock: Clock
    down: bool = False
    sent: list[tuple[int, str]] = field(default_factory=list)

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        if self.down and messages:
            raise StoreUnavailable("The queue does not answer.")
        self.sent += [(self.clock.now_ms() + message.delay_seconds * 1000, message.body) for message in messages]

    def take(self) -> list[str]:
        """Return and remove the messages that are visible now."""
        now_ms = self.clock.now_ms()
        visible = [body for at_ms, body in self.sent if at_ms <= now_ms]
        self.sent = [(at_ms, body) for at_ms, body in self.sent if at_ms > now_ms]
        return visible


@dataclass(slots=True)
class Received:
    """One request as the receiver saw it."""

    at_ms: int
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receivers:
    """The transport: answers by URL. A script holds the next answers; then 200."""

    clock: Clock
    scripts: dict[str, list[Exchanged]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, Exchanged] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    before_answer: Callable[[], None] = lambda: None

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Exchanged:
        """See ``WebhookTransport``."""
        assert self.clock.now_ms() < deadline.at_ms
        self.received.append(Received(self.clock.now_ms(), url, dict(headers), body))
        self.before_answer()
        if self.scripts[url]:
            return self.scripts[url].pop(0)
        return self.always.get(url, Answer(status=200, latency_ms=EXCHANGE_MS))


@dataclass
class WebhookWorld:
    """Everything from the outbox to the receiver, on a database."""

    clock: ManualClock = field(default_factory=ManualClock)
    database: Database = field(default_factory=MemoryDatabase)
    queue: HandQueue = field(init=False)
    receivers: Receivers = field(init=False)
    disabled: list[tuple[str, DisabledReason]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    kept: list[tuple[dict[str, int], bool]] = field(default_factory=list)
    jitter: float = 0.5
    crew: Callable[[], Crew] = OneByOne
    sleep: Callable[[float], None] = lambda _seconds: None

    def __post_init__(self) -> None:
        self.queue = HandQueue(self.clock)
        self.receivers = Receivers(self.clock)
        self.cipher = MemoryCipher(self.clock, os.urandom)
        self.gates = Gates(self.database)
        self.relay = Relay(database=self.database, queue=self.queue, clock=self.clock, gates=self.gates, each=in_turn)
        self.attempts = Attempts(
            database=self.database,
            queue=self.queue,
            transport=self.receivers,
            signer=Signer(cipher=self.cipher, clock=self.clock),
            clock=self.clock,
            jitter=lambda: self.jitter,
            report_disabled=lambda identity, reason: self.disabled.append((identity, reason)),
        )
        self.dispatcher = Dispatcher(
            Tools(
                attempts=self.attempts,
                gates=self.gates,
                crew=self.crew,
                sleep=self.sleep,
                report_error=lambda _name, error: self.errors.append(error),
            )
        )
        self.sweeper = Sweeper(
            database=self.database,
            relay=self.relay,
            clock=self.clock,
            report_error=lambda _name, error: self.errors.append(error),
        )
        self.scheduler = Scheduler(
            database=self.database,
            queue=self.queue,
            sweeper=self.sweeper,
            advance=lambda key: advance_replay(self.database, self.queue, self.clock, key),
            clock=self.clock,
            report_error=lambda _name, error: self.errors.append(error),
            each=in_turn,
            keep=lambda failing, _now_ms, complete: self.kept.append((dict(failing), complete)),
        )

    def endpoint(self, name: str, *, merchant_id: str = MERCHANT, event_types: Sequence[str] = ("*",)) -> Endpoint:
        """Store an endpoint at ``https://<name>.example/`` and return it. Its own event counts as relayed."""
        context = key_context(merchant_id, name, "whk_1")
        made = Endpoint(
            merchant_id=merchant_id,
            endpoint_id=name,
            url=f"https://{name}.example/",
            event_types=tuple(event_types),
            keys=(
                EndpointKey(
                    key_id="whk_1",
                    kind=KeyKind.HMAC_SHA256,
                    sealed=self.cipher.seal(SECRET.text().encode(), context),
                    created_at_ms=self.clock.now_ms(),
                ),
            ),
            created_at_ms=self.clock.now_ms(),
            updated_at_ms=self.clock.now_ms(),
        )
        self.database.write(create_writes(made)[:2])
        return made

    def change(self, endpoint: Endpoint, change: EndpointChange, **changes: Any) -> Endpoint:
        """Change a stored endpoint."""
        stored = load_endpoint(self.database, endpoint.merchant_id, endpoint.endpoint_id)
        assert stored is not None
        after = stored.changed(at_ms=self.clock.now_ms(), **changes)
        self.database.write(change_writes(stored, after, change)[:1])
        return after

    def event(self, name: str = "pay_1", *, merchant_id: str = MERCHANT, **more: Any) -> Item:
        """Store an outbox event and return its item."""
        made = build_event(
            Change.CHARGED,
            merchant_id=merchant_id,
            resource_id=name,
            version=1,
            created_at_ms=self.clock.now_ms(),
            data={"id": name, "text": "ö☃"},
            **more,
        )
        self.database.write([event_write(made)])
        return opened(event_item(made))

    def relay_events(self, *events: Item) -> RelayReport:
        """Bring events to the relay, as the stream does."""
        return self.relay.relay(list(events))

    def dispatch(self) -> list[Dispatched]:
        """Handle every message that is visible now."""
        return [self.handle(body) for body in self.queue.take()]

    def handle(self, body: str) -> Dispatched:
        """Handle one message."""
        return self.dispatcher.handle(parse_message(body), Deadline(self.clock.now_ms() + REQUEST_MS))

    def schedule(self) -> SchedulerReport:
        """Run the scheduler once."""
        return self.scheduler.run(Deadline(self.clock.now_ms() + 10_000_000))

    def run_until(self, end_ms: int, step_ms: int = 1_000) -> None:
        """Let time pass: messages are handled as they become visible, the scheduler runs every minute."""
        while self.clock.ms < end_ms:
            self.dispatch()
            if self.clock.ms % 60_000 < step_ms:
                self.schedule()
            self.clock.ms += step_ms

    def deliveries(self, endpoint: Endpoint) -> list[Delivery]:
        """Return the endpoint's deliveries in order of time."""
        page = deliveries_of_endpoint(self.database, endpoint.merchant_id, endpoint.endpoint_id, limit=10_000)
        return [delivery_from(item) for item in page.items]

    def gate(self, endpoint: Endpoint) -> Gate:
        """Return the endpoint's gate as it is stored."""
        gate = self.gates.load(endpoint.merchant_id, endpoint.endpoint_id)
        assert gate is not None
        return gate

    def statuses(self, endpoint: Endpoint) -> list[DeliveryStatus]:
        """Return where the endpoint's deliveries stand."""
        return [delivery.status for delivery in self.deliveries(endpoint)]


def ids_and_bytes(received: Sequence[Received]) -> set[tuple[str, bytes]]:
    """Return what makes copies one event: webhook-id and body."""
    return {(one.headers["webhook-id"], one.body) for one in received}


def parsed(message: str) -> dict[str, Any]:
    """Return a message as data."""
    value: dict[str, Any] = json.loads(message)
    return value
