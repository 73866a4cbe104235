"""Fills a store with keys that were completed long ago: what a table holds when it has been in use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from local.redis_servers import RedisServer
from payonce.clock import SystemClock
from payonce.idempotency.record_items import response_attributes, to_item
from payonce.idempotency.records import IdempotencyRecord, RecordStatus, StoredResponse
from payonce.ports import Table
from payonce.stores.dynamodb_requests import to_attributes
from payonce.stores.redis_calls import redis_client
from payonce.stores.redis_checks import Durability
from payonce.stores.redis_idempotency import RedisIdempotencyStore
from tests.support.aws import dynamodb_client

if TYPE_CHECKING:
    from histories.servers import ProcessServer

BATCH = 25  # items of one BatchWriteItem
WRITERS = 8
RESPONSE = StoredResponse(201, {"content-type": "application/json"}, b'{"order":1,"padding":"' + b"x" * 300 + b'"}')
DAYS_30_MS = 30 * 86_400_000


def fill(store: ProcessServer | RedisServer, count: int) -> None:
    """Store ``count`` completed keys, in the stores' own form."""
    if isinstance(store, RedisServer):
        _fill_valkey(store.url, count)
    else:
        _fill_dynamodb(store.url, count)


def _record(number: int) -> IdempotencyRecord:
    now_ms = SystemClock().now_ms()
    return IdempotencyRecord(
        record_id=f"shop#old#{number:064x}",
        status=RecordStatus.IN_PROGRESS,
        claim_id=f"old_{number:026}",
        fence=1,
        fingerprint=f"{number:064x}",
        created_at_ms=now_ms,
        expires_at_ms=now_ms + DAYS_30_MS,
        lease_expires_at_ms=now_ms,
        resource="",
        plan={},
    )


def _fill_valkey(url: str, count: int) -> None:
    client = redis_client(url)
    client.config_set("appendfsync", "no")  # ten times as fast; nobody serves yet
    store = RedisIdempotencyStore(client, prefix="payonce", clock=SystemClock(), at_least=Durability.NONE)

    def write(number: int) -> None:
        owned = store.claim(_record(number))
        purge_at_seconds = (owned.created_at_ms + DAYS_30_MS) // 1000
        store.complete(owned, RESPONSE, purge_at_seconds=purge_at_seconds, ended_at_ms=owned.created_at_ms, writes=())

    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(write, range(count)):
            pass
    client.config_set("appendfsync", "always")
    client.close()


def _fill_dynamodb(url: str, count: int) -> None:
    client = dynamodb_client(url)

    def write(first: int) -> None:
        items = []
        for number in range(first, min(first + BATCH, count)):
            record = replace(_record(number), status=RecordStatus.COMPLETED)
            item = {**to_item(record), **response_attributes(RESPONSE), "ended_at_ms": record.created_at_ms}
            items.append({"PutRequest": {"Item": to_attributes(item)}})
        client.batch_write_item(RequestItems={Table.IDEMPOTENCY.value: items})  # type: ignore[dict-item]

    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(write, range(0, count, BATCH)):
            pass
    client.close()
