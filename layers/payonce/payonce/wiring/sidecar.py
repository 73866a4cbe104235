"""The wiring of the sidecar: its configuration file, its service for fibers, and the process that serves it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from payonce import fibers
from payonce.clock import SystemClock
from payonce.domain.ids import UlidSource
from payonce.network.kept_exchange import KeptExchange
from payonce.proxy.asgi import Sidecar
from payonce.proxy.config_load import load_file
from payonce.proxy.metrics import Metrics
from payonce.proxy.process import serve
from payonce.proxy.service import ProxyService
from payonce.wiring.proxy import make_blobs, make_store, redis_store
from payonce.wiring.settings import documentation_url_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from redis import Redis

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.ports import Clock
    from payonce.proxy.config import ProxyConfig
    from payonce.proxy.config_process import Store
    from payonce.stores.redis_calls import RedisCalls
    from payonce.stores.redis_checks import ServerCheck


def run(config_file: str) -> int:
    """Serve until a signal arrives, then return the exit code. Raises ``MisconfiguredError``."""
    config = load_file(config_file, os.environ)
    return serve(sidecar_of(config, os.environ), config.server)


def sidecar_of(config: ProxyConfig, environment: Mapping[str, str]) -> Sidecar:
    """Return the application. Raises ``MisconfiguredError``, and ``StoreUnavailable`` if the store does not answer."""
    clock = SystemClock()
    threads = ThreadPoolExecutor(config.server.max_concurrency, thread_name_prefix="blocking")
    blobs = make_blobs(config.overflow)
    ends = ExitStack()
    service = ProxyService(
        config,
        store=_store(config.store, clock, threads, ends),
        transports={
            name: KeptExchange(clock, idle_seconds=upstream.keep_alive_seconds, ca_file=upstream.ca_file)
            for name, upstream in config.upstreams.items()
        },
        clock=clock,
        ids=UlidSource(clock.now_ms, os.urandom),
        sleep=fibers.sleep,
        blobs=None if blobs is None else fibers.calls_in_threads(blobs, threads),
        documentation_url=documentation_url_of(environment),
        elsewhere=partial(fibers.in_thread, threads),
    )
    return Sidecar(service, Metrics(), at_end=ends.close)


def _store(settings: Store | None, clock: Clock, threads: Executor, ends: ExitStack) -> IdempotencyStore:
    """Return the store for fibers: one that blocks is called from threads. ``ends`` gets what ends its connection."""
    if settings is None or (settings.kind == "memory" and not settings.lock_nodes):
        return make_store(settings, clock=clock)
    if settings.kind == "redis" and not settings.lock_nodes:
        from payonce.stores.redis_pipeline import FiberRedisCalls

        def calls(client: Redis, check: ServerCheck) -> RedisCalls:
            made = FiberRedisCalls(str(settings.url), client, check)
            ends.callback(made.close)
            return made

        return redis_store(settings, clock, calls=calls)
    return fibers.calls_in_threads(make_store(settings, clock=clock), threads)
