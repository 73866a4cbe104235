"""What a request costs the sidecar's process: no thread and no connection, neither to the upstream nor to Redis."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.redis_servers import running_redis
from tests.contract.proxy.test_kept_connections import Server
from tests.support.conformance import fresh
from tests.support.http import call
from tests.support.proxy import TENANT, configuration
from tests.support.redis_faults import client_of
from tests.support.tcp_faults import serving
from tests.support.upstreams.running import running_sidecar

CLIENTS = 8
REQUESTS = 80


def test_many_requests_at_once_take_one_thread_and_few_connections(tmp_path: Path) -> None:
    """Fails when the engine runs in threads, or a call of the store or of the upstream has a connection of its own."""
    upstream = Server()
    with running_redis() as [redis], serving(upstream.handle) as port:
        store = {"kind": "redis", "url": redis.url}
        config = configuration(f"http://127.0.0.1:{port}", store=store, server={"recovery_interval_seconds": 0.2})
        config["upstreams"]["counter"]["keep_alive_seconds"] = 60  # the machine may be busy
        with running_sidecar(config, tmp_path) as sidecar, client_of(redis.url) as client:
            before = client.info("stats")["total_connections_received"]

            def order(_: int) -> int:
                headers = {"Idempotency-Key": fresh(), TENANT: "shop"}
                return call(sidecar.url, "POST", "/orders", b"{}", headers).status

            with ThreadPoolExecutor(CLIENTS) as clients:
                assert list(clients.map(order, range(REQUESTS))) == [200] * REQUESTS
            status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
            threads = int(re.findall(r"^Threads:\s+(\d+)$", status, re.MULTILINE)[0])
            connections = client.info("stats")["total_connections_received"] - before
    assert threads == 1
    assert connections <= 1  # recovery may have made it before
    assert upstream.requests == REQUESTS
    assert upstream.connections <= CLIENTS
