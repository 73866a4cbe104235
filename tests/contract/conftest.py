"""Databases and idempotency stores for the contract suites, all tables made from the template."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from local.dynamodb_local import running_dynamodb_local
from local.redis_servers import running_redis
from payonce.stores.dynamodb import DynamoDatabase
from payonce.stores.memory import MemoryDatabase
from tests.support.aws import create_tables, dynamo_database, dynamodb_client
from tests.support.stores import StoreAddress, close_client, new_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.redis_servers import RedisServer
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.ports import Database

_prefixes = itertools.count()


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[str]:
    """One DynamoDB Local for the session; each test has its own tables."""
    with running_dynamodb_local() as endpoint_url:
        yield endpoint_url


@pytest.fixture(params=["memory", "moto", "dynamodb_local", "dynamodb_local_sdk"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Every adapter of the database port."""
    if request.param == "memory":
        yield MemoryDatabase()
    elif request.param == "moto":
        with mock_aws():
            client = dynamodb_client()
            yield dynamo_database(client, create_tables(client))
    else:
        client = dynamodb_client(request.getfixturevalue("dynamodb_local"))
        tables = create_tables(client, f"t{next(_prefixes)}-")
        yield DynamoDatabase(client, tables) if request.param.endswith("sdk") else dynamo_database(client, tables)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis or Valkey server for the session; each test has its own prefix. Not for tests that break servers."""
    with running_redis() as [server]:
        yield server
        close_client(server.url)


def _address(request: pytest.FixtureRequest) -> StoreAddress:
    if request.param in {"redis", "redis_fibers"}:
        return new_address(request.param, request.getfixturevalue("redis_server").url)
    if request.param == "dynamodb_local":
        return new_address("dynamodb_local", request.getfixturevalue("dynamodb_local"))
    return new_address(request.param)


@pytest.fixture(params=["memory", "moto", "dynamodb_local", "redis", "redis_fibers"])
def store(request: pytest.FixtureRequest) -> Iterator[IdempotencyStore]:
    """Every store of idempotency records."""
    if request.param == "moto":
        with mock_aws():
            yield _address(request).open()
    else:
        yield _address(request).open()


@pytest.fixture(params=["memory", "dynamodb_local", "redis", "redis_fibers"])
def concurrent_store(request: pytest.FixtureRequest) -> IdempotencyStore:
    """Every store but moto's, whose conditions don't hold between threads: it compares, and writes later."""
    return _address(request).open()


@pytest.fixture(params=["dynamodb_local", "redis"])
def shared_store(request: pytest.FixtureRequest) -> StoreAddress:
    """Every store that processes can share."""
    return _address(request)
