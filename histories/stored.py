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
from payonce.stores.redis_fields import to_fields
from payonce.stores.redis_keys import DEFAULT_PREFIX, RedisKeys
from tests.support.aws import dynamodb_client

if TYPE_CHECKING:
    from histories.servers import ProcessServer
    from payonce.ports import Item

BATCH = 25  # items of one BatchWriteItem
WRITERS = 8
PIPELINED = 500  # keys, about 500 KB
RESPONSE = StoredResponse(201, {"content-type": "application/json"}, b'{"order":1,"padding":"' + b"x" * 300 + b'"}')
DAYS_30_MS = 30 * 86_400_000


def fill(store: ProcessServer | RedisServer, count: int, *, already: int = 0) -> None:
    """Store the completed keys with the numbers from ``already`` to ``count``, in the stores' own form."""
    if isinstance(store, RedisServer):
        _fill_valkey(store.url, already, count)
    else:
        _fill_dynamodb(store.url, already, count)


def item_of(number: int) -> Item:
    """Return the item of a completed key."""
    record = replace(_record(number), status=RecordStatus.COMPLETED)
    purge_at_seconds = (record.created_at_ms + DAYS_30_MS) // 1000
    return {
        **to_item(record),
        **response_attributes(RESPONSE),
        "purge_at": purge_at_seconds,
        "ended_at_ms": record.created_at_ms,
    }


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


def _fill_valkey(url: str, first: int, count: int) -> None:
    """Write hashes as the store's script leaves them, hundreds in one exchange; the audit streams stay empty."""
    client = redis_client(url)
    client.config_set("appendfsync", "no")  # nobody serves yet
    keys = RedisKeys(DEFAULT_PREFIX)
    for begin in range(first, count, PIPELINED):
        pipeline = client.pipeline(transaction=False)
        for number in range(begin, min(begin + PIPELINED, count)):
            item = item_of(number)
            key = keys.record(item["id"])
            pipeline.hset(key, items=to_fields(item))
            pipeline.expireat(key, item["purge_at"])
        pipeline.execute()
    client.config_set("appendfsync", "always")
    client.close()


def _fill_dynamodb(url: str, first: int, count: int) -> None:
    client = dynamodb_client(url)

    def write(begin: int) -> None:
        numbers = range(begin, min(begin + BATCH, count))
        left = {
            Table.IDEMPOTENCY.value: [{"PutRequest": {"Item": to_attributes(item_of(number))}} for number in numbers]
        }
        while left:
            left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]  # type: ignore[arg-type, assignment]

    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in pool.map(write, range(first, count, BATCH)):
            pass
    client.close()
