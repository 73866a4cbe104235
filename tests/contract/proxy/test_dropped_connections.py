"""Connections that break at every stage, and retries at another sidecar: one execution per key at the upstream.

``PAYONCE_DROPS=1000`` makes as many tries as that (``make dropped-connections``).
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from local.redis_servers import running_redis
from tests.support.dropping import drop
from tests.support.http import call
from tests.support.proxy import configuration
from tests.support.upstreams.running import running_sidecar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ATTEMPTS = int(os.environ.get("PAYONCE_DROPS", "60"))
SIDECARS = 2


def test_one_execution_per_key(counter: str, tmp_path: Path) -> None:
    """Every key reaches the upstream once, whichever sidecar is asked and wherever its connection ended."""

    def executions(keys: Sequence[str]) -> Mapping[str, int]:
        counted = json.loads(call(counter, "GET", "/executions").body)
        return {key: counted.get(key, 0) for key in keys}

    with running_redis() as [redis], ExitStack() as sidecars:
        config = configuration(counter, store={"kind": "redis", "url": redis.url})
        urls = [sidecars.enter_context(running_sidecar(config, tmp_path)).url for _ in range(SIDECARS)]
        found = drop(urls, ATTEMPTS, seed=7, executions=executions)
    print(f"sidecar: {found.attempts} tries, {dict(found.cut)} cut, {found.seconds:.1f} s")  # noqa: T201
