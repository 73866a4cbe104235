"""Connections that break at every stage, and retries on another process: one execution per key, in each framework.

Two processes of the service share a Valkey server. ``PAYONCE_DROPS=1000`` makes as many tries as that for each
(``make dropped-connections``).
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.dropping import drop
from tests.support.middlewares.orders import Orders
from tests.support.middlewares.running import running_service
from tests.support.middlewares.server import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from local.redis_servers import RedisServer

ATTEMPTS = int(os.environ.get("PAYONCE_DROPS", "60"))
PROCESSES = 2


@pytest.mark.parametrize("kind", KINDS)
def test_one_execution_per_key(kind: str, redis_server: RedisServer, tmp_path: Path) -> None:
    """Every key is executed once, and every answer that arrived for it is the same one."""
    log = tmp_path / "executions"
    store = {"kind": "redis", "url": redis_server.url, "prefix": f"dropped-{kind.replace(' ', '-')}"}
    with ExitStack() as services:
        urls = [services.enter_context(running_service(kind, store, log)) for _ in range(PROCESSES)]
        found = drop(urls, ATTEMPTS, seed=7, executions=lambda _: Orders(log).executions())
    print(f"{kind}: {found.attempts} tries, {dict(found.cut)} cut, {found.seconds:.1f} s")  # noqa: T201
