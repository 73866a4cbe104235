"""Traces of claims from a table's stream, checked against the specification (``spec/steps.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from payonce.stores.dynamodb_requests import from_attributes
from spec.steps import check, record_step
from tests.support.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient


def keep_trace(client: DynamoDBClient, table_name: str) -> None:
    """Let the table keep every change of its items."""
    stream: Any = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    client.update_table(TableName=table_name, StreamSpecification=stream)


def check_trace(client: DynamoDBClient, table_name: str, *, at_least: int) -> None:
    """Check every change of every claim since ``keep_trace``. Raises ``NotAllowed``.

    ``at_least``: so many changes there must be, or nothing was checked.
    """
    state: dict[str, Any] = {}
    count = 0
    for change in _changes(client, table_name):
        record_id = change["Keys"]["id"]["S"]
        before, after = (
            from_attributes(change[image]) if change.get(image) else None for image in ("OldImage", "NewImage")
        )
        assert before == state.get(record_id), f"a change of {record_id} is missing from the trace"
        check(record_step(record_id, before, after))
        state[record_id] = after
        count += 1
    assert count >= at_least, f"the trace has {count} changes"


def _changes(client: DynamoDBClient, table_name: str) -> Iterator[dict[str, Any]]:
    streams: Any = boto3.client("dynamodbstreams", endpoint_url=client.meta.endpoint_url, region_name=REGION)
    arn = client.describe_table(TableName=table_name)["Table"]["LatestStreamArn"]
    found: list[dict[str, Any]] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator)
            if not page["Records"]:
                break
            found += [record["dynamodb"] for record in page["Records"]]
            iterator = page.get("NextShardIterator")
    yield from sorted(found, key=lambda change: int(change["SequenceNumber"]))
