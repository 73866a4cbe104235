"""Webhooks in one run: what a delivery takes, alone and where many wait, how the relay grows, and who waits for whom.

Deliveries go through the real relay, dispatcher and sender to a receiver in a process of its own, on DynamoDB Local.
Read the ratios: the absolute times are this machine's, and DynamoDB Local takes a good part of it. What a delivery is
billed is in ``benchmarks/write_units.py``.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table as TextTable

from benchmarks.meter import Meter, console
from benchmarks.webhook_rig import Rig, receiver
from local.dynamodb_local import running_dynamodb_local
from payonce.network.webhook_sender import WebhookSender
from payonce.stores.dynamodb import DynamoDatabase
from payonce.stores.memory import MemoryDatabase
from tests.support.aws import FAKE_CREDENTIALS, create_tables, dynamodb_client, http_client
from tests.support.busy_endpoints import Run, Scenario, steady
from tests.support.certificates import Authority
from tests.support.world import RealClock

if TYPE_CHECKING:
    from payonce.ports import Table, WebhookTransport

DELIVERIES = int(os.environ.get("PAYONCE_BENCH_DELIVERIES", "400"))
STREAM_BATCH = 100
PARALLEL = 10  # batches of a shard: ParallelizationFactor in template.yaml
STEP_SECONDS = 0.005  # of a call of DynamoDB, where it is not DynamoDB Local that answers
ROUNDS = 3


def main() -> int:
    """Print the tables."""
    os.environ.update(FAKE_CREDENTIALS, POWERTOOLS_LOG_LEVEL="ERROR")
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, running_dynamodb_local() as endpoint_url:
        authority = Authority(Path(folder))
        with receiver() as plain, receiver(authority.issue("127.0.0.1")) as encrypted:
            costs(endpoint_url, {"http": plain, "https": encrypted}, str(authority.ca_file))
    relaying()
    isolation()
    return 0


def costs(endpoint_url: str, ports: dict[str, int], ca_file: str) -> None:
    """Print what one delivery takes of the processor, alone and where many wait, without and with TLS, in turn."""
    table = TextTable(
        "sender, per delivery", "requests to DynamoDB", "deliveries/s of processor time", title="one sender, one core"
    )
    senders = {"direct": _direct, "lane": _lane}
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for number in range(ROUNDS):
        for (name, send), (scheme, port) in itertools.product(senders.items(), ports.items()):
            transport = WebhookSender(RealClock(), allow_local=True, ca_file=ca_file)
            rig, meter = _on_dynamodb(endpoint_url, f"{name}-{scheme}-{number}-", transport)
            rig.add_endpoint("mer_1", "whe_1", f"{scheme}://127.0.0.1:{port}/")
            found[name, scheme].append(send(rig, meter))
    for (name, scheme), rounds in found.items():
        calls, rate = min(calls for calls, _ in rounds), max(rate for _, rate in rounds)
        table.add_row(f"{name}, {scheme}", f"{calls:.2f}", f"{rate:.0f}")
    console.print(table)


def _direct(rig: Rig, meter: Meter) -> tuple[float, float]:
    """Deliver one after the other, each by its own message. Return requests each, and deliveries a processor second."""
    calls, cpu = 0, 0.0
    for _ in range(DELIVERIES):
        rig.relay.relay([rig.event("mer_1")])
        [(_, body)] = rig.queue.take(1)
        before, began = meter.calls, time.process_time()
        assert rig.handle(body) == "delivered"
        cpu += time.process_time() - began
        calls += meter.calls - before
    return calls / DELIVERIES, DELIVERIES / cpu


def _lane(rig: Rig, meter: Meter) -> tuple[float, float]:
    """Deliver what waits for an endpoint in one session."""
    for _ in range(DELIVERIES // STREAM_BATCH):
        rig.relay.relay([rig.event("mer_1") for _ in range(STREAM_BATCH)])
    bodies = [body for _, body in rig.queue.take(DELIVERIES)]
    direct = [body for body in bodies if "delivery_id" in body]
    for body in direct:
        rig.handle(body)
    [wake, *_] = [body for body in bodies if body not in direct]
    before, began = meter.calls, time.process_time()
    assert rig.handle(wake) == "drained"
    many = DELIVERIES - len(direct)
    return (meter.calls - before) / many, many / (time.process_time() - began)


class SlowDatabase:
    """A database in memory whose calls take as long as DynamoDB's."""

    def __init__(self) -> None:
        self._inner = MemoryDatabase()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        def slow(*args: Any, **more: Any) -> Any:
            time.sleep(STEP_SECONDS)
            return call(*args, **more)

        return slow


def relaying() -> None:
    """Print how many events a second one batch of a stream's shard takes, by endpoints."""
    table = TextTable(
        "endpoints", "events/s, one batch", f"events/s a shard ({PARALLEL} batches)", title="relay, 5 ms a call"
    )
    for count in (1, 3, 10):
        rig = Rig(SlowDatabase(), WebhookSender(RealClock(), allow_local=True))
        for number in range(count):
            rig.add_endpoint("mer_1", f"whe_{number:03d}", "http://127.0.0.1:9/")
        events = [rig.event("mer_1") for _ in range(STREAM_BATCH)]
        began = time.perf_counter()
        rig.relay.relay(events)
        rate = STREAM_BATCH / (time.perf_counter() - began)
        table.add_row(str(count), f"{rate:.0f}", f"{rate * PARALLEL:.0f}")
    console.print(table)


def isolation() -> None:
    """Print the others' latency with and without a hot and a dead endpoint among them, in virtual time."""
    table = TextTable(
        "among 20 endpoints", "others' p50 / p99 ms", "it got a second", "units a delivery", title="isolation"
    )
    for name, rate, seconds in (("all alike", 0, 0.2), ("150 events/s, 0.2 s each", 150, 0.2), ("dead", 20, 30.0)):
        run = Run(Scenario(endpoints=20, executions=5, rate=20, hot_rate=rate, hot=steady(seconds), seconds=20))
        table.add_row(
            name,
            f"{run.percentile_ms(50):.0f} / {run.percentile_ms(99):.0f}",
            f"{run.hot_accepted / run.scenario.seconds:.0f}",
            f"{run.units_of('deliveries', 'endpoints'):.2f}",
        )
    console.print(table)


def _on_dynamodb(endpoint_url: str, prefix: str, transport: WebhookTransport) -> tuple[Rig, Meter]:
    client = http_client(endpoint_url)
    names: dict[Table, str] = create_tables(dynamodb_client(endpoint_url), prefix)
    meter = Meter()
    meter.watch_own(client)
    return Rig(DynamoDatabase(client, names), transport), meter


if __name__ == "__main__":
    sys.exit(main())
