"""DynamoDB for tests: tables made from template.yaml, the one truth about keys, indexes and TTL."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import yaml
from botocore.config import Config

from payonce.network.aws_signature import Credentials, Signer
from payonce.network.kept_connections import Connections
from payonce.ports import Table
from payonce.stores.dynamodb import DynamoDatabase
from payonce.stores.dynamodb_client import HttpDynamoDB
from payonce.wiring.aws_clients import AWS_MAX_ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb.client import DynamoDBClient

REPOSITORY = Path(__file__).resolve().parents[2]
REGION = "eu-central-1"
FAKE_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class _TemplateLoader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms as {tag: value}."""


def _short_form(loader: _TemplateLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {suffix: loader.construct_mapping(node, deep=True)}


_TemplateLoader.add_multi_constructor("!", _short_form)


@cache
def load_template() -> dict[str, Any]:
    """Return template.yaml as plain data: one document for the whole process, which nobody changes."""
    template: dict[str, Any] = yaml.load((REPOSITORY / "template.yaml").read_text(), Loader=_TemplateLoader)  # noqa: S506
    return template


def table_properties(table: Table) -> dict[str, Any]:
    """Return the template's properties of a logical table."""
    properties: dict[str, Any] = load_template()["Resources"][f"{table.value.capitalize()}Table"]["Properties"]
    return properties


def create_tables(client: DynamoDBClient, prefix: str = "") -> dict[Table, str]:
    """Create every table as the template declares it; return their names."""
    names = {table: f"{prefix}{table.value}" for table in Table}
    resources = load_template()["Resources"]  # read once: it takes a second
    for table, name in names.items():
        properties = resources[f"{table.value.capitalize()}Table"]["Properties"]
        request: dict[str, Any] = {
            "TableName": name,
            **{
                part: properties[part]
                for part in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
                if part in properties
            },
        }
        client.create_table(**request)
    return names


def dynamodb_client(endpoint_url: str | None = None, *, plain: bool = False) -> DynamoDBClient:
    """Return a client as production's, with a pool for many threads. ``plain``: it checks parameters, as by default."""
    config = Config(
        connect_timeout=1,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=64,
        parameter_validation=plain,
    )
    return boto3.client("dynamodb", endpoint_url=endpoint_url, config=config, region_name=REGION)


def http_client(
    endpoint_url: str, *, read_seconds: float = 10, sleep: Callable[[float], None] = time.sleep
) -> HttpDynamoDB:
    """Return a client of ours, as functions have it."""
    connections = Connections(endpoint_url, connect_seconds=1, read_seconds=read_seconds, most_idle=64)
    signer = Signer("dynamodb", REGION, lambda: Credentials("testing", "testing"))
    return HttpDynamoDB(connections, signer, max_attempts=AWS_MAX_ATTEMPTS, sleep=sleep)


def dynamo_database(client: DynamoDBClient, names: dict[Table, str]) -> DynamoDatabase:
    """Return the adapter over a client of ours at the same address; over ``client`` itself where moto answers it."""
    url = client.meta.endpoint_url
    return DynamoDatabase(http_client(url) if urlsplit(url).hostname == "127.0.0.1" else client, names)


def dump(client: DynamoDBClient, names: dict[Table, str]) -> dict[str, list[dict[str, Any]]]:
    """Return every item of every table, for comparing before and after."""
    found = {}
    for table, name in names.items():
        items = client.scan(TableName=name, ConsistentRead=True)["Items"]
        found[table.value] = sorted(items, key=repr)
    return found
