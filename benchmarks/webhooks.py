"""Webhooks, in one run on DynamoDB Local: what a delivery costs, how fast it is, how it grows, and who waits for whom.

Deliveries go through the real relay, dispatcher and sender to a receiver in a process of its own. Read the ratios: the
absolute times are this machine's, and DynamoDB Local takes a good part of it.
"""

from __future__ import annotations

import itertools
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.progress import track
from rich.table import Table as TextTable

from benchmarks.meter import Meter, console
from local.dynamodb_local import running_dynamodb_local
from payonce.domain.endpoint import Endpoint, EndpointKey, KeyKind
from payonce.domain.events import build_event
from payonce.domain.payment import Change
from payonce.network.webhook_sender import WebhookSender
from payonce.outbox import event_item, event_write, opened
from payonce.ports import Deadline, Table
from payonce.stores.memory_cipher import MemoryCipher
from payonce.webhooks.dispatch import Dispatcher
from payonce.webhooks.endpoints import create_writes
from payonce.webhooks.gate import Gates
from payonce.webhooks.keys import key_context
from payonce.webhooks.messages import parse_message
from payonce.webhooks.relay import Relay
from payonce.webhooks.signer import Signer
from payonce.webhooks.signing import HmacKey
from tests.simulation.test_isolation import Run
from tests.support.aws import FAKE_CREDENTIALS, create_tables, dynamo_database, dynamodb_client
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Database, Item, QueueMessage, WebhookTransport

DELIVERIES = int(os.environ.get("PAYONCE_BENCH_DELIVERIES", "400"))
FUNCTION_MS = 30_000
BATCH = 10
ISOLATION_SEEDS = (1, 2, 3)
RECEIVER = """
import sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *args):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.request_queue_size = 128
print(server.server_port, flush=True)
server.serve_forever()
"""
_numbers = itertools.count()


class CountingQueue:
    """Keeps messages with the time at which they were queued; counts the requests that SQS would bill."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, float, str]] = []  # visible at, queued at, body
        self.requests = 0
        self.lock = threading.Lock()

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``."""
        now = time.perf_counter()
        self.requests += -(-len(messages) // BATCH)
        with self.lock:
            self.waiting += [(now + message.delay_seconds, now, message.body) for message in messages]

    def take(self, at_most: int) -> list[tuple[float, str]]:
        """Return and remove up to ``at_most`` visible messages, oldest first."""
        now = time.perf_counter()
        with self.lock:
            visible = [entry for entry in self.waiting if entry[0] <= now][:at_most]
            for entry in visible:
                self.waiting.remove(entry)
        return [(visible_at, body) for visible_at, _, body in visible]


@dataclass
class Rig:
    """Relay and dispatcher on a database."""

    database: Database
    transport: WebhookTransport
    clock: RealClock = field(default_factory=RealClock)
    queue: CountingQueue = field(default_factory=CountingQueue)

    def __post_init__(self) -> None:
        self.cipher = MemoryCipher(self.clock, os.urandom)
        self.relay = Relay(database=self.database, queue=self.queue, clock=self.clock)
        self.dispatcher = Dispatcher(
            database=self.database,
            queue=self.queue,
            transport=self.transport,
            signer=Signer(cipher=self.cipher, clock=self.clock),
            gates=Gates(self.database, choose=random.randrange),
            clock=self.clock,
            jitter=random.random,
            report_disabled=lambda _identity, _reason: None,
        )

    def add_endpoint(self, merchant_id: str, identity: str, url: str) -> None:
        """Store an endpoint for all events."""
        now_ms = self.clock.now_ms()
        sealed = self.cipher.seal(HmacKey(b"s" * 32).text().encode(), key_context(merchant_id, identity, "whk_1"))
        key = EndpointKey(key_id="whk_1", kind=KeyKind.HMAC_SHA256, sealed=sealed, created_at_ms=now_ms)
        made = Endpoint(
            merchant_id=merchant_id,
            endpoint_id=identity,
            url=url,
            event_types=("*",),
            keys=(key,),
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        self.database.write(create_writes(made)[:2])

    def event(self, merchant_id: str) -> Item:
        """Store an event of a payment's size and return it."""
        made = build_event(
            Change.CHARGED,
            merchant_id=merchant_id,
            resource_id=f"pay_{next(_numbers):026d}",
            version=1,
            created_at_ms=self.clock.now_ms(),
            data={"id": "pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", "text": "x" * 500},
        )
        self.database.write([event_write(made)])
        return opened(event_item(made))

    def handle(self, body: str) -> str:
        """Handle one message."""
        return self.dispatcher.handle(parse_message(body), Deadline(self.clock.now_ms() + FUNCTION_MS)).value


def main() -> int:
    """Print the tables."""
    os.environ.update(FAKE_CREDENTIALS, POWERTOOLS_LOG_LEVEL="ERROR")
    warnings.simplefilter("ignore")
    receiver = subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        url = f"http://127.0.0.1:{int(receiver.stdout.readline())}/"
        with running_dynamodb_local() as endpoint_url:
            costs(endpoint_url, url)
            growth(endpoint_url, url)
    finally:
        receiver.kill()
    isolation()
    return 0


def costs(endpoint_url: str, url: str) -> None:
    """Print what one delivery costs and how many one core makes."""
    rig, meter = _on_dynamodb(endpoint_url, "cost-", WebhookSender(RealClock(), allow_local=True))
    rig.add_endpoint("mer_1", "whe_1", url)
    events = [rig.event("mer_1") for _ in range(DELIVERIES)]
    meter.calls, meter.write_units, meter.read_units = 0, 0.0, 0.0
    rig.relay.relay(events)
    relayed_calls, relayed_units, relayed_reads = meter.calls, meter.write_units, meter.read_units
    messages = rig.queue.take(DELIVERIES)
    cpu, wall, samples = time.process_time(), time.perf_counter(), []
    for _, body in track(messages, description=f"{DELIVERIES} deliveries, one after the other", console=console):
        began = time.perf_counter()
        assert rig.handle(body) == "delivered"
        samples.append((time.perf_counter() - began) * 1000)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    table = TextTable("per delivery", "relay", "dispatch", "sum", title="cost of a delivery at its first attempt")
    dispatch_calls, dispatch_units = meter.calls - relayed_calls, meter.write_units - relayed_units
    dispatch_reads = meter.read_units - relayed_reads
    for name, relay, dispatch in (
        ("DynamoDB requests", relayed_calls, dispatch_calls),
        ("write units", relayed_units, dispatch_units),
        ("read units", relayed_reads, dispatch_reads),
        # Ten messages to a request when events come in batches; receiving and deleting are batched in the same way.
        ("SQS requests, in full batches", rig.queue.requests, 2 * -(-DELIVERIES // BATCH)),
    ):
        cells = (relay / DELIVERIES, dispatch / DELIVERIES, (relay + dispatch) / DELIVERIES)
        table.add_row(name, *(f"{cell:.2f}" for cell in cells))
    console.print(table)
    quantiles = statistics.quantiles(samples, n=100)
    table = TextTable("one sender, one core", "")
    table.add_row("deliveries per second of processor time", f"{DELIVERIES / cpu:.0f}")
    table.add_row("deliveries per second of wall time", f"{DELIVERIES / wall:.0f}")
    table.add_row("from taking the message to the record, p50 / p99 ms", f"{quantiles[49]:.1f} / {quantiles[98]:.1f}")
    console.print(table)
    batches = [events[at : at + BATCH] for at in range(0, 200, BATCH)]
    samples = [sample for batch in batches for sample in _queue_to_receiver(rig, len(batch))]
    quantiles = statistics.quantiles(samples, n=100)
    console.print(
        f"queue to receiver's answer in batches of {BATCH}, p50 / p99 ms: {quantiles[49]:.1f} / {quantiles[98]:.1f}\n"
    )


def _queue_to_receiver(rig: Rig, count: int) -> list[float]:
    rig.relay.relay([rig.event("mer_1") for _ in range(count)])
    taken = rig.queue.take(count)

    def one(message: tuple[float, str]) -> float:
        rig.handle(message[1])
        return (time.perf_counter() - message[0]) * 1000

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, taken))


def growth(endpoint_url: str, url: str) -> None:
    """Print how the relay and the dispatcher grow with the endpoints of a merchant."""
    table = TextTable(
        "endpoints", "relay ms per delivery", "ratio", "dispatch p50 ms", "ratio", title="growth with the endpoints"
    )
    base: tuple[float, float] | None = None
    for count in (1, 10, 100):
        rig, _ = _on_dynamodb(endpoint_url, f"growth{count}-", WebhookSender(RealClock(), allow_local=True))
        for number in range(count):
            rig.add_endpoint("mer_1", f"whe_{number:03d}", url)
        events = [rig.event("mer_1") for _ in range(max(3, 100 // count))]
        began = time.perf_counter()
        rig.relay.relay(events)
        relay_ms = (time.perf_counter() - began) * 1000 / (len(events) * count)
        samples = []
        for _, body in rig.queue.take(100):
            began = time.perf_counter()
            rig.handle(body)
            samples.append((time.perf_counter() - began) * 1000)
        found = (relay_ms, statistics.median(samples))
        base = base or found
        ratios = [f"{one / first:.2f}" for one, first in zip(found, base, strict=True)]
        table.add_row(str(count), f"{found[0]:.2f}", ratios[0], f"{found[1]:.2f}", ratios[1])
    console.print(table)


def isolation() -> None:
    """Print the healthy endpoints' latency with and without a dead one among them, in virtual time."""
    table = TextTable(
        "of 100 endpoints, seed", "p99 ms, all healthy", "p99 ms, one dead", "ratio", title="isolation, queue to record"
    )
    for seed in ISOLATION_SEEDS:
        healthy, dead = (Run(dead=dead, seed=seed).p99_ms() for dead in (False, True))
        table.add_row(str(seed), f"{healthy:.1f}", f"{dead:.1f}", f"{dead / healthy:.3f}")
    console.print(table)


def _on_dynamodb(endpoint_url: str, prefix: str, transport: WebhookTransport) -> tuple[Rig, Meter]:
    client: Any = dynamodb_client(endpoint_url)
    names: dict[Table, str] = create_tables(client, prefix)
    meter = Meter()
    meter.watch(client)
    return Rig(dynamo_database(client, names), transport), meter


if __name__ == "__main__":
    sys.exit(main())
