"""Databases for the contract suites: memory, moto and DynamoDB Local, all with the template's tables."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from local.dynamodb_local import running_dynamodb_local
from payonce.stores.memory import MemoryDatabase
from tests.support.aws import create_tables, dynamo_database, dynamodb_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Database

_prefixes = itertools.count()


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[str]:
    """One DynamoDB Local for the session; each test has its own tables."""
    with running_dynamodb_local() as endpoint_url:
        yield endpoint_url


@pytest.fixture(params=["memory", "moto", "dynamodb_local"])
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
        yield dynamo_database(client, create_tables(client, f"t{next(_prefixes)}-"))
