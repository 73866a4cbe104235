"""What the sidecar adds to a bare reverse proxy: the same server and the same forwarding, without idempotency.

``python benchmarks/gateway.py``. One upstream (the order service in Node), one run, every store; the ratios are what to
look at, since all processes share this machine. DynamoDB Local is far slower than DynamoDB's single-digit milliseconds
under load: its row says what a round trip more costs there, and no more.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from rich.console import Console
from rich.progress import track
from rich.table import Table as TextTable

from local.dynamodb_local import running_dynamodb_local
from local.redis_servers import running_redis
from payonce.ports import Table
from tests.support.aws import FAKE_CREDENTIALS, create_tables, dynamodb_client
from tests.support.proxy import TENANT, configuration
from tests.support.upstreams.running import running_counter, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUESTS = int(os.environ.get("PAYONCE_BENCH_REQUESTS", "400"))
WARM_UP = 40
CLIENTS = 16
QUIET = {**FAKE_CREDENTIALS, "POWERTOOLS_LOG_LEVEL": "ERROR"}
BODY = b'{"reference":"bench"}'
console = Console()


@dataclass(frozen=True)
class Measured:
    """One row: latencies of one client after another, and the rate of ``CLIENTS`` at once."""

    label: str
    p50_ms: float
    p99_ms: float
    per_second: float


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


def measure(label: str, url: str, key: Callable[[int], str]) -> Measured:
    """Return the row of ``label``; ``key`` makes the key of the nth request."""
    client = Client(url)
    for number in range(WARM_UP):
        client.post(key(-number - 1))
    samples_ms = []
    for number in track(range(REQUESTS), description=f"{label:32}", console=console):
        began = time.perf_counter()
        client.post(key(number))
        samples_ms.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda number: client.post(key(number)), range(REQUESTS, 3 * REQUESTS)))
    per_second = 2 * REQUESTS / (time.perf_counter() - began)
    quantiles = statistics.quantiles(samples_ms, n=100)
    return Measured(label, quantiles[49], quantiles[98], per_second)


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


def main() -> int:
    """Print the table."""
    os.environ.update(QUIET)
    rows = []
    with tempfile.TemporaryDirectory() as name, running_counter("node") as upstream_url, stores() as configured:
        folder = Path(name)
        bare = configuration(
            upstream_url, route_changes={"methods": ["PUT"], "pass_methods": ["GET", "POST"]}, store={"kind": "memory"}
        )
        with running_sidecar(bare, folder, **QUIET) as proxy:
            rows.append(measure("bare reverse proxy", proxy.url, lambda _: str(uuid4())))
        for label, store in configured.items():
            config = configuration(upstream_url, store=store, server={"recovery_interval_seconds": 0})
            with running_sidecar(config, folder, **QUIET) as sidecar:
                rows.append(measure(f"{label}: fresh keys", sidecar.url, lambda _: str(uuid4())))
                rows.append(measure(f"{label}: replays", sidecar.url, lambda _: "the-same-key-every-time"))
    table = TextTable("case", "p50 ms", "added p50", "p99 ms", "added p99", "requests/s", "rate / bare")
    for row in rows:
        table.add_row(
            row.label,
            f"{row.p50_ms:.2f}",
            f"{row.p50_ms - rows[0].p50_ms:+.2f}",
            f"{row.p99_ms:.2f}",
            f"{row.p99_ms - rows[0].p99_ms:+.2f}",
            f"{row.per_second:.0f}",
            f"{row.per_second / rows[0].per_second:.2f}",
        )
    console.print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
