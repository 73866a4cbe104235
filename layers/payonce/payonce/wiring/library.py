"""Stores for a program's own idempotent operations, each made in a line. docs/stores.md says what each can lose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.clock import SystemClock
from payonce.extras import needs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

    from payonce.idempotency.record_store import IdempotencyStore


def memory_store() -> IdempotencyStore:
    """Return a store in this process's memory, for tests: it is empty after a restart."""
    from payonce.idempotency.record_store import DatabaseIdempotencyStore
    from payonce.stores.memory import MemoryDatabase

    return DatabaseIdempotencyStore(MemoryDatabase())


def redis_store(url: str, *, prefix: str = "payonce", durability: str = "always") -> IdempotencyStore:
    """Return a store on the primary of Redis or Valkey at ``url``. Its keys begin with ``prefix``.

    ``durability``: what an acknowledged claim must survive: "always" a power cut, "every_second" the server's death,
    "none" nothing. Raises ``MisconfiguredError`` when the server's settings promise less, ``StoreUnavailable`` when it
    does not answer, ``PackageMissing`` without ``payonce[redis]``, and ``ValueError`` for another durability.
    """
    from payonce.stores.redis_calls import check_redis, redis_client
    from payonce.stores.redis_checks import Durability
    from payonce.stores.redis_idempotency import RedisIdempotencyStore

    known = {one.name.lower(): one for one in Durability}
    if durability not in known:
        raise ValueError(f"durability is one of {', '.join(known)}.")
    client, clock, at_least = redis_client(url), SystemClock(), known[durability]
    check_redis(client, clock, at_least=at_least)
    return RedisIdempotencyStore(client, prefix=prefix, clock=clock, at_least=at_least)


def dynamodb_store(table_name: str, *, client: DynamoDBClient | None = None) -> IdempotencyStore:
    """Return a store on a DynamoDB table of the program's own (docs/in-process.md says which keys it needs).

    ``client``: boto3's, by default one with the region and the credentials of the environment. Raises
    ``PackageMissing`` without ``payonce[dynamodb]``.
    """
    with needs("dynamodb"):
        import boto3

    from payonce.idempotency.record_store import DatabaseIdempotencyStore
    from payonce.ports import Table
    from payonce.stores.dynamodb import DynamoDatabase

    database = DynamoDatabase(client or boto3.client("dynamodb"), {Table.IDEMPOTENCY: table_name})
    return DatabaseIdempotencyStore(database)
