"""What a request costs the sidecar's process: no thread and no connection, neither to the upstream nor to Redis."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import AsyncMock

from local.redis_servers import running_redis
from payonce.wiring.sidecar import sidecar_of
from tests.contract.proxy.test_kept_connections import Server
from tests.support.conformance import fresh
from tests.support.http import call
from tests.support.proxy import TENANT, configuration, parsed
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


def test_a_shutdown_ends_the_connection_to_redis() -> None:
    """Fails when it is left to the end of the process: a call that is under way would be cut off."""
    with running_redis() as [redis], client_of(redis.url) as client:
        config = parsed(configuration("http://127.0.0.1:1", store={"kind": "redis", "url": redis.url}))
        sidecar = sidecar_of(config, {})

        def connections() -> set[str]:
            return {each["id"] for each in client.client_list()}

        async def scenario() -> None:
            before, answers = connections(), AsyncMock()
            await sidecar({"type": "http", "method": "GET", "path": "/-/ready"}, AsyncMock(), answers)
            assert answers.await_args_list[0].args[0]["status"] == 200
            assert len(connections() - before) == 1
            lifespan = AsyncMock(return_value={"type": "lifespan.shutdown"})
            await sidecar({"type": "lifespan"}, lifespan, AsyncMock())
            for _ in range(100):
                await asyncio.sleep(0.05)
                if connections() == before:
                    return
            raise AssertionError("it is still there")

        asyncio.run(scenario())
