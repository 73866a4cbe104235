"""What the sidecar adds to a reverse proxy: beside nginx, and beside its own forwarding without idempotency.

``python benchmarks/proxy.py``. One upstream (the order service in Node) and one run, in which the cases take turns,
in another order each round: what else this machine does strikes them all alike. The ratios are what to look at, since
all processes share it; each is the median of the rounds' own ratios to nginx. DynamoDB Local is far slower than
DynamoDB's single-digit milliseconds under load: its row says what a round trip more costs there, and no more.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from threading import local
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from rich.console import Console
from rich.progress import track
from rich.table import Table as TextTable

from local.dynamodb_local import running_dynamodb_local
from local.nginx_server import running_nginx
from local.redis_servers import running_redis
from payonce.ports import Table
from tests.support.aws import FAKE_CREDENTIALS, create_tables, dynamodb_client
from tests.support.proxy import TENANT, configuration
from tests.support.upstreams.running import running_counter, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUESTS = int(os.environ.get("PAYONCE_BENCH_REQUESTS", "400"))  # of each case, one after another
ROUNDS = 8
WARM_UP = 5  # in each round
CLIENTS = 16
SEED = 20_240_607
QUIET = {**FAKE_CREDENTIALS, "POWERTOOLS_LOG_LEVEL": "ERROR"}
BODY = b'{"reference":"bench"}'
console = Console()


@dataclass
class Measured:
    """One row: latencies of one client after another, and for each round their median and the rate of ``CLIENTS``."""

    label: str
    url: str
    key: Callable[[], str]
    samples_ms: list[float] = field(default_factory=list)
    medians_ms: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Measure one round, on new connections: those of the last round may have been idle for too long."""
        client, samples_ms = Client(self.url), []
        for _ in range(WARM_UP):
            client.post(self.key())
        for _ in range(REQUESTS // ROUNDS):
            began = time.perf_counter()
            client.post(self.key())
            samples_ms.append((time.perf_counter() - began) * 1000)
        number = 2 * REQUESTS // ROUNDS
        began = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda _: client.post(self.key()), range(number)))
        self.per_second.append(number / (time.perf_counter() - began))
        self.samples_ms += samples_ms
        self.medians_ms.append(statistics.median(samples_ms))


class Client:
    """Posts over kept connections, one for each thread."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._threads = local()

    def post(self, key: str) -> None:
        """Send one order; fails unless it is executed or replayed."""
        connection = getattr(self._threads, "connection", None)
        if connection is None:
            connection = HTTPConnection(str(self._address.hostname), self._address.port, timeout=30)
            self._threads.connection = connection
        connection.request("POST", "/orders", BODY, {"Idempotency-Key": key, TENANT: "shop"})
        response = connection.getresponse()
        response.read()
        assert response.status == 201, response.status


@contextmanager
def stores() -> Iterator[dict[str, dict[str, Any]]]:
    """Run the stores' servers, and yield the configuration of each."""
    with ExitStack() as stack:
        (redis,) = stack.enter_context(running_redis())
        (fast_redis,) = stack.enter_context(running_redis(settings={"appendfsync": "everysec"}))
        endpoint_url = stack.enter_context(running_dynamodb_local())
        tables = create_tables(dynamodb_client(endpoint_url))
        yield {
            "memory": {"kind": "memory"},
            "Redis, every second": {"kind": "redis", "url": fast_redis.url, "durability": "every_second"},
            "Redis, always": {"kind": "redis", "url": redis.url},
            "DynamoDB Local": {
                "kind": "dynamodb",
                "table": tables[Table.IDEMPOTENCY],
                "endpoint_url": endpoint_url,
            },
        }


def fresh_key() -> str:
    """Return a key of its own."""
    return str(uuid4())


def main() -> int:
    """Print the table."""
    os.environ.update(QUIET)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream_url = stack.enter_context(running_counter("node"))
        bare = configuration(
            upstream_url, route_changes={"methods": ["PUT"], "pass_methods": ["GET", "POST"]}, store={"kind": "memory"}
        )
        rows = [
            Measured("nginx", stack.enter_context(running_nginx(upstream_url)), fresh_key),
            Measured("no proxy", upstream_url, fresh_key),
            Measured(
                "the sidecar, no keys",
                stack.enter_context(running_sidecar(bare, folder, **QUIET)).url,
                fresh_key,
            ),
        ]
        for label, store in stack.enter_context(stores()).items():
            config = configuration(upstream_url, store=store, server={"recovery_interval_seconds": 0})
            url = stack.enter_context(running_sidecar(config, folder, **QUIET)).url
            rows.append(Measured(f"{label}: fresh keys", url, fresh_key))
            rows.append(Measured(f"{label}: replays", url, lambda: "the-same-key-every-time"))
        order, generator = list(rows), Random(SEED)
        for _ in track(range(ROUNDS), description="rounds", console=console):
            generator.shuffle(order)
            for row in order:
                row.measure()
    console.print(as_table(rows))
    return 0


def as_table(rows: list[Measured]) -> TextTable:
    """Return the rows beside the first one."""
    first = rows[0]
    table = TextTable("case", "p50 ms", "p50 / nginx", "p99 ms", "requests/s", "rate / nginx")
    for row in rows:
        latency = statistics.median(own / theirs for own, theirs in zip(row.medians_ms, first.medians_ms, strict=True))
        rate = statistics.median(own / theirs for own, theirs in zip(row.per_second, first.per_second, strict=True))
        quantiles = statistics.quantiles(row.samples_ms, n=100)
        table.add_row(
            row.label,
            f"{quantiles[49]:.2f}",
            f"{latency:.2f}",
            f"{quantiles[98]:.2f}",
            f"{statistics.median(row.per_second):.0f}",
            f"{rate:.2f}",
        )
    return table


if __name__ == "__main__":
    raise SystemExit(main())
