"""The wiring of the sidecar: its configuration file, its service for fibers, and the process that serves it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
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

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.ports import Clock
    from payonce.proxy.config import ProxyConfig
    from payonce.proxy.config_process import Store


def run(config_file: str) -> int:
    """Serve until a signal arrives, then return the exit code. Raises ``MisconfiguredError``."""
    config = load_file(config_file, os.environ)
    return serve(sidecar_of(config, os.environ), config.server)


def sidecar_of(config: ProxyConfig, environment: Mapping[str, str]) -> Sidecar:
    """Return the application. Raises ``MisconfiguredError``, and ``StoreUnavailable`` if the store does not answer."""
    clock = SystemClock()
    threads = ThreadPoolExecutor(config.server.max_concurrency, thread_name_prefix="blocking")
    blobs = make_blobs(config.overflow)
    service = ProxyService(
        config,
        store=_store(config.store, clock, threads),
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
    return Sidecar(service, Metrics())


def _store(settings: Store | None, clock: Clock, threads: Executor) -> IdempotencyStore:
    """Return the store for fibers: one that blocks is called from threads."""
    if settings is None or (settings.kind == "memory" and not settings.lock_nodes):
        return make_store(settings, clock=clock)
    if settings.kind == "redis" and not settings.lock_nodes:
        from payonce.stores.redis_pipeline import FiberRedisCalls

        return redis_store(settings, clock, calls=partial(FiberRedisCalls, str(settings.url)))
    return fibers.calls_in_threads(make_store(settings, clock=clock), threads)
