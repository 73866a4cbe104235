"""The composition root of gateway and sidecar: the store, the place of large answers, and the service over them.

The functions of the API import none of it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from payonce.bootstrap import client_config
from payonce.clock import SystemClock
from payonce.domain.errors import MisconfiguredError
from payonce.domain.ids import UlidSource
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.ports import Table
from payonce.proxy.config import MAX_ANSWER_BYTES
from payonce.proxy.service import ProxyService

if TYPE_CHECKING:
    from payonce.idempotency.store import IdempotencyStore
    from payonce.ports import Blobs, Clock
    from payonce.proxy.config import Overflow, ProxyConfig, Store

MAX_STORE_CONNECTIONS = 128  # threads of the sidecar that may talk to the store at a time


def make_store(settings: Store | None, *, clock: Clock | None = None) -> IdempotencyStore:
    """Return the configured store.

    Raises ``MisconfiguredError`` when there is none, its package is missing, or it can't be trusted with claims;
    ``StoreUnavailable`` when it does not answer.
    """
    from payonce.idempotency.store import DatabaseIdempotencyStore

    if settings is None:
        raise MisconfiguredError('The sidecar needs a [store], for example: kind = "dynamodb", table = "...".')
    if settings.kind == "memory":
        from payonce.stores.memory import MemoryDatabase

        return DatabaseIdempotencyStore(MemoryDatabase())
    if settings.kind == "redis":
        return _redis_store(settings, clock or SystemClock())
    import boto3

    from payonce.stores.dynamodb import DynamoDatabase

    client = boto3.client("dynamodb", config=client_config(MAX_STORE_CONNECTIONS), endpoint_url=settings.endpoint_url)
    return DatabaseIdempotencyStore(DynamoDatabase(client, {Table.IDEMPOTENCY: str(settings.table)}))


def _redis_store(settings: Store, clock: Clock) -> IdempotencyStore:
    try:
        from payonce.stores.redis_calls import redis_client
        from payonce.stores.redis_checks import Durability, check_redis
        from payonce.stores.redis_idempotency import RedisIdempotencyStore
    except ImportError as error:
        raise MisconfiguredError(f"store.kind redis: {error}. Install requirements/redis.txt.") from error
    client = redis_client(str(settings.url))
    check_redis(client, clock, at_least=Durability[settings.durability.upper()])
    return RedisIdempotencyStore(client, prefix=settings.prefix, clock=clock)


def make_blobs(settings: Overflow | None, *, endpoint_url: str | None = None) -> Blobs | None:
    """Return the place of large answers, if one is configured."""
    if settings is None:
        return None
    if settings.folder is not None:
        from payonce.stores.folder_blobs import FolderBlobs

        return FolderBlobs(settings.folder)
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
) -> ProxyService:
    """Return the wired service."""
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
    )
