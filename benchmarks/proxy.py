"""What the sidecar takes beside nginx and HAProxy, and beside its own forwarding without idempotency.

``python benchmarks/proxy.py [FOLDER ...]``. One upstream (the order service in Node) and one run, in which the cases
take turns, in another order each round: what else this machine does strikes them all alike. The figure is the CPU time
that the proxy's process takes for a request, as the system accounts it, and so how many a core would serve; the ratios
to nginx are of the same round. ``FOLDER``s are checkouts of other versions, whose sidecars take part.

The latency is of one client alone. DynamoDB Local is far slower than DynamoDB: its rows say what a sidecar's process
computes, and no more.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import track
from rich.table import Table as TextTable

from local.dynamodb_local import running_dynamodb_local
from local.haproxy_server import running_haproxy
from local.nginx_server import running_nginx
from local.redis_servers import running_redis
from payonce.ports import Table
from tests.support.aws import FAKE_CREDENTIALS, REPOSITORY, create_tables, dynamodb_client
from tests.support.proxy import configuration
from tests.support.upstreams.running import running_counter, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = int(os.environ.get("PAYONCE_BENCH_REQUESTS", "2000"))  # of each case in each round
ROUNDS = int(os.environ.get("PAYONCE_BENCH_ROUNDS", "5"))
CLIENTS = 64
ALONE = 100  # requests of one client, for the latency
SEED = 20_240_607
ONE_KEY = "the-same-key-every-time"  # to a version: two may not read each other's records
QUIET = {**FAKE_CREDENTIALS, "POWERTOOLS_LOG_LEVEL": "ERROR"}
console = Console()


@dataclass
class Measured:
    """One row. ``key``: of every request, "" for one of its own each."""

    label: str
    url: str
    pid: int
    key: str = ""
    cpu_us: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """Measure one round."""
        before = cpu_seconds(self.pid)
        load(self.url, REQUESTS, CLIENTS, self.key)
        self.cpu_us.append((cpu_seconds(self.pid) - before) / REQUESTS * 1e6)
        began = time.perf_counter()
        load(self.url, 1, 1, self.key)
        start = time.perf_counter()
        load(self.url, ALONE + 1, 1, self.key)
        self.latency_ms.append((time.perf_counter() - start - (start - began)) / ALONE * 1000)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has taken, its threads' included (proc(5), schedstat: nanoseconds)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def load(url: str, requests: int, clients: int, key: str) -> None:
    """Send requests from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.proxy_load", url, str(requests), str(clients), *([key] if key else [])]
    subprocess.run(command, check=True, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": path_of(REPOSITORY)})


def path_of(folder: Path) -> str:
    """Return Python's path for a checkout."""
    return f"{folder}:{folder / 'layers' / 'payonce'}"


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


def sidecars_of(
    folder: Path, name: str, upstream_url: str, stack: ExitStack, stores: dict[str, dict[str, Any]], files: Path
) -> list[Measured]:
    """Start the sidecars of one checkout and return their rows."""
    environment = {**QUIET, "PYTHONPATH": path_of(folder)}
    server = {"max_concurrency": CLIENTS, "recovery_interval_seconds": 0}
    passing = {"methods": ["PUT"], "pass_methods": ["GET", "POST"]}
    bare = configuration(upstream_url, route_changes=passing, store={"kind": "memory"}, server=server)
    found = stack.enter_context(running_sidecar(bare, files, **environment))
    rows = [Measured(f"{name}, no keys", found.url, found.process.pid)]
    for label, store in stores.items():
        config = configuration(upstream_url, store={**store, **_apart(store, name)}, server=server)
        found = stack.enter_context(running_sidecar(config, files, **environment))
        rows.append(Measured(f"{name}, {label}: fresh keys", found.url, found.process.pid))
        rows.append(Measured(f"{name}, {label}: replays", found.url, found.process.pid, f"{ONE_KEY}-{name}"))
    return rows


def _apart(store: dict[str, Any], name: str) -> dict[str, str]:
    return {"prefix": name.replace(" ", "-")} if store["kind"] == "redis" else {}


def main() -> int:
    """Print the table."""
    os.environ.update(QUIET)
    with ExitStack() as stack:
        files = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream_url = stack.enter_context(running_counter("node"))
        nginx = stack.enter_context(running_nginx(upstream_url, keeps_connections=True))
        haproxy = stack.enter_context(running_haproxy(upstream_url))
        rows = [Measured("nginx", nginx.url, nginx.pid), Measured("HAProxy", haproxy.url, haproxy.pid)]
        found = stack.enter_context(stores())
        rows += sidecars_of(REPOSITORY, "sidecar", upstream_url, stack, found, files)
        for folder in map(Path, sys.argv[1:]):
            rows += sidecars_of(folder.resolve(), folder.name, upstream_url, stack, found, files)
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
    table = TextTable("case", "CPU µs a request", "requests/s of a core", "CPU / nginx", "ms alone")
    for row in rows:
        ratio = statistics.median(own / theirs for own, theirs in zip(row.cpu_us, first.cpu_us, strict=True))
        cpu_us = statistics.median(row.cpu_us)
        alone = statistics.median(row.latency_ms)
        table.add_row(row.label, f"{cpu_us:.0f}", f"{1e6 / cpu_us:,.0f}", f"{ratio:.1f}", f"{alone:.2f}")
    return table


if __name__ == "__main__":
    raise SystemExit(main())
