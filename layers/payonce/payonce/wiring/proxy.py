"""The wiring of the proxy function and the sidecar: the store, the blobs for large answers, and the service over both.

The API's functions do not import this module.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.clock import SystemClock
from payonce.domain.errors import MisconfiguredError
from payonce.domain.ids import UlidSource
from payonce.extras import needs
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.ports import Table
from payonce.proxy.patterns import MAX_ANSWER_BYTES
from payonce.proxy.service import ProxyService
from payonce.wiring.aws_clients import client_config, dynamodb_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from payonce.idempotency.audit import AuditEntry, AuditTrail
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.release import ReleaseDesk
    from payonce.ports import Blobs, Clock
    from payonce.proxy.config import ProxyConfig
    from payonce.proxy.config_process import Overflow, Store
    from payonce.stores.redis_calls import RedisCalls
    from payonce.stores.redis_checks import ServerCheck

MAX_STORE_CONNECTIONS = 128  # threads of the sidecar that may use the store concurrently


def make_store(settings: Store | None, *, clock: Clock | None = None) -> IdempotencyStore:
    """Return the configured store.

    Raises ``MisconfiguredError`` if none is configured or its setup is unsafe for claims, ``PackageMissing`` if its
    package is not installed, and ``StoreUnavailable`` if it does not answer.
    """
    from payonce.idempotency.record_store import DatabaseIdempotencyStore

    clock = clock or SystemClock()
    if settings is None:
        raise MisconfiguredError('The sidecar needs a [store], for example: kind = "dynamodb", table = "...".')
    if settings.lock_nodes:
        return _locked(make_store(settings.model_copy(update={"lock_nodes": ()}), clock=clock), settings, clock)
    if settings.kind == "memory":
        from payonce.stores.memory import MemoryDatabase

        return DatabaseIdempotencyStore(MemoryDatabase())
    if settings.kind == "redis":
        return redis_store(settings, clock)
    from payonce.stores.dynamodb import DynamoDatabase

    client = dynamodb_client(settings.endpoint_url, max_connections=MAX_STORE_CONNECTIONS)
    return DatabaseIdempotencyStore(DynamoDatabase(client, {Table.IDEMPOTENCY: str(settings.table)}))


def redis_store(
    settings: Store, clock: Clock, *, calls: Callable[[Redis, ServerCheck], RedisCalls] | None = None
) -> IdempotencyStore:
    """Return the store on a Redis server; ``calls`` are how it is talked to. Raises as ``make_store`` does."""
    from payonce.stores.redis_calls import RedisCalls, check_redis, redis_client
    from payonce.stores.redis_checks import Durability
    from payonce.stores.redis_idempotency import RedisIdempotencyStore

    client = redis_client(str(settings.url))
    at_least = Durability[settings.durability.upper()]
    check_redis(client, clock, at_least=at_least)
    return RedisIdempotencyStore(
        client, prefix=settings.prefix, clock=clock, at_least=at_least, calls=calls or RedisCalls
    )


def _locked(store: IdempotencyStore, settings: Store, clock: Clock) -> IdempotencyStore:
    from payonce.stores.redlock import RedlockIdempotencyStore, lock_node

    nodes = [lock_node(url) for url in settings.lock_nodes]
    return RedlockIdempotencyStore(store, nodes, prefix=settings.prefix, clock=clock)


class NoAuditTrail:
    """Stands in for the audit trail of a store without one: exports fail, rather than show an empty trail."""

    def entries(self, *, from_ms: int, until_ms: int, scope: str | None = None) -> Iterator[AuditEntry]:
        """Raise ``MisconfiguredError``: this store keeps no audit trail."""
        del from_ms, until_ms, scope
        raise MisconfiguredError(
            "This store keeps no audit trail. The stack's own table has one (from its stream), and so has Redis."
        )

    def history(self, record_id: str, *, newest_first: bool = False, limit: int = 100) -> list[AuditEntry]:
        """Return an empty list."""
        del record_id, newest_first, limit
        return []


@dataclass(frozen=True, slots=True)
class SidecarDesk:
    """The parts of a sidecar that the operator's commands use: records, audit trail, and the release of claims."""

    store: IdempotencyStore
    audit_trail: AuditTrail
    release_desk: ReleaseDesk
    clock: Clock
    operations: tuple[str, ...]


def desk_of(config: ProxyConfig, *, clock: Clock | None = None) -> SidecarDesk:
    """Return the desk of the sidecar with this configuration.

    Raises ``MisconfiguredError``, also for records in memory, which no other process can read.
    """
    from payonce.idempotency.release import ReleaseDesk
    from payonce.proxy.identity import operation_of

    if config.store is None or config.store.kind == "memory":
        raise MisconfiguredError("The records are in the sidecar's memory: no other process can look at them.")
    clock = clock or SystemClock()
    store = make_store(config.store, clock=clock)
    trail: AuditTrail = NoAuditTrail()
    if config.store.kind == "redis":
        from payonce.stores.redis_audit import RedisAuditTrail
        from payonce.stores.redis_calls import redis_client

        trail = RedisAuditTrail(redis_client(str(config.store.url)), prefix=config.store.prefix)
    # An upstream request has reserved nothing here to undo, and may have been executed once it is claimed.
    # How soon the upstream shows what it has executed only its operator knows: the finding is taken at its word.
    desk = ReleaseDesk(
        store=store,
        clock=clock,
        undo=lambda _record: (),
        may_have_happened=lambda _record: True,
        settles_after_seconds=lambda _record: 0.0,
    )
    return SidecarDesk(store, trail, desk, clock, tuple(operation_of(route) for route in config.routes))


def make_blobs(settings: Overflow | None, *, endpoint_url: str | None = None) -> Blobs | None:
    """Return the blobs for large answers, or ``None`` if they are not configured."""
    if settings is None:
        return None
    if settings.folder is not None:
        from payonce.stores.folder_blobs import FolderBlobs

        return FolderBlobs(settings.folder)
    with needs("dynamodb"):
        import boto3

    from payonce.aws.s3_blobs import S3Blobs

    client = boto3.client("s3", config=client_config(MAX_STORE_CONNECTIONS), endpoint_url=endpoint_url)
    return S3Blobs(client, str(settings.bucket))


def make_service(
    config: ProxyConfig,
    store: IdempotencyStore,
    *,
    clock: Clock | None = None,
    endpoint_url: str | None = None,
    documentation_url: str = "",
) -> ProxyService:
    """Return the proxy's service over ``store``."""
    clock = clock or SystemClock()
    return ProxyService(
        config,
        store=store,
        transports={
            name: DeadlineExchange(clock, max_answer_bytes=MAX_ANSWER_BYTES, ca_file=upstream.ca_file)
            for name, upstream in config.upstreams.items()
        },
        clock=clock,
        ids=UlidSource(clock.now_ms, os.urandom),
        sleep=time.sleep,
        blobs=make_blobs(config.overflow, endpoint_url=endpoint_url),
        documentation_url=documentation_url,
    )
