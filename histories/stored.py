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
AT_ONCE = 500  # keys of one call of the script
OWN_NAMES = ("id", "claim_id", "fingerprint")
# ARGV 1 number of words that all have, 2 purge time in seconds, 3... these words, then of each: its key and OWN_NAMES.
WRITE_ALIKE = """
local alike = tonumber(ARGV[1])
for at = 3 + alike, #ARGV, 4 do
    redis.call('HSET', ARGV[at], 'id', ARGV[at + 1], 'claim_id', ARGV[at + 2], 'fingerprint', ARGV[at + 3],
        unpack(ARGV, 3, 2 + alike))
    redis.call('EXPIREAT', ARGV[at], ARGV[2])
end
"""
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


def _own(number: int) -> tuple[str, str, str]:
    """Return what one key has for itself, by ``OWN_NAMES``."""
    return f"shop#old#{number:064x}", f"old_{number:026}", f"{number:064x}"


def _record(number: int) -> IdempotencyRecord:
    now_ms = SystemClock().now_ms()
    record_id, claim_id, fingerprint = _own(number)
    return IdempotencyRecord(
        record_id=record_id,
        status=RecordStatus.IN_PROGRESS,
        claim_id=claim_id,
        fence=1,
        fingerprint=fingerprint,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + DAYS_30_MS,
        lease_expires_at_ms=now_ms,
        resource="",
        plan={},
    )


def _fill_valkey(url: str, first: int, count: int) -> None:
    """Write hashes as the store's scripts leave them, hundreds in one exchange; the audit streams stay empty."""
    client = redis_client(url)
    client.config_set("appendfsync", "no")  # nobody serves yet
    keys, write = RedisKeys(DEFAULT_PREFIX), client.register_script(WRITE_ALIKE)
    item = item_of(first)
    alike = to_fields({name: value for name, value in item.items() if name not in OWN_NAMES})
    for begin in range(first, count, AT_ONCE):
        own = [_own(number) for number in range(begin, min(begin + AT_ONCE, count))]
        written = [word for one in own for word in (keys.record(one[0]), *one)]
        write(args=[len(alike), item["purge_at"], *alike, *written])
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
