"""Leaks are found: a secret put into each place on purpose is, and where there is none, nothing is."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from payonce.observability import get_logger
from payonce.ports import Insert, Table
from payonce.webhooks.signing import Ed25519SigningKey, HmacKey
from tests.support.aws import REGION, create_tables, dynamo_database, dynamodb_client
from tests.support.leaks import (
    MARKED_GATEWAY_KEY,
    MARKED_PAYER,
    Listening,
    buckets_leaks,
    leaks_in,
    logs_leaks,
    queues_leaks,
    tables_leaks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANTED = {
    "API key": "Bearer po_" + "x" * 43,
    "webhook secret": HmacKey(bytes(range(32))).text(),
    "gateway's key": "sk_live_4eC39Hq",
    "card number": "card 4111-1111-1111-1111",
    "payment method": "pm_visa",
    "payer's data": MARKED_PAYER,
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("how", ["message", "argument", "extra", "error", "cause"])
def test_what_a_log_says_is_heard(kind: str, how: str) -> None:
    """Fails when one way into a log is not listened to."""
    listening, secret = Listening(), PLANTED[kind]
    logging.getLogger().addHandler(listening)
    try:
        if how == "message":
            get_logger().error(f"refused {secret}")
        elif how == "argument":
            logging.getLogger("urllib3").error("refused %s", secret)
        elif how == "extra":
            get_logger().info("refused", extra={"token": {"of": secret}})
        else:
            try:
                try:
                    raise ValueError(secret)
                except ValueError as error:
                    if how == "error":
                        raise
                    raise KeyError("another") from error
            except (KeyError, ValueError):
                get_logger().exception("unforeseen error")
    finally:
        logging.getLogger().removeHandler(listening)
    assert [leak.kind for leak in leaks_in("log", "\n".join(listening.lines))] == [kind]


@pytest.fixture(autouse=True)
def said() -> None:
    """What these tests log on purpose is no leak."""


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        client = dynamodb_client()
        create_tables(client)
        yield client


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("table", [Table.AUDIT, Table.PAYMENTS])
@pytest.mark.parametrize("binary", [False, True])
def test_what_a_table_holds_is_seen(kind: str, table: Table, binary: bool, client: Any) -> None:
    """A payment has its payer's data; a trail has none, and no table a secret, in bytes neither."""
    names = {table: table.value for table in Table}
    value = PLANTED[kind].encode() if binary else PLANTED[kind]
    keys = {"record_id": "r", "entry_key": "e"} if table is Table.AUDIT else {"pk": "p", "sk": "s"}
    dynamo_database(client, names).write([Insert(table, {**keys, "note": {"of": [value]}})])
    found = [leak.kind for leak in tables_leaks(client, names)]
    allowed = table is Table.PAYMENTS and kind in {"payment method", "payer's data"}
    assert found == ([] if allowed else [kind])


def test_what_queues_logs_and_buckets_hold_is_seen(client: Any) -> None:
    sqs, s3, logs = (boto3.client(service, region_name=REGION) for service in ("sqs", "s3", "logs"))
    url = sqs.create_queue(QueueName="failures")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=f'{{"body": "{MARKED_PAYER}"}}')
    assert [leak.kind for leak in queues_leaks(sqs, [url])] == ["payer's data"]
    s3.create_bucket(Bucket="answers", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="answers", Key="one", Body=f"{MARKED_PAYER} {MARKED_GATEWAY_KEY}".encode())
    assert [leak.kind for leak in buckets_leaks(s3, ["answers"])] == ["gateway's key"]
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    line = {"timestamp": time.time_ns() // 1_000_000, "message": "pm_visa"}
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[line])
    assert [leak.kind for leak in logs_leaks(logs)] == ["payment method"]


def test_a_report_of_a_leak_is_no_leak() -> None:
    secret = Ed25519SigningKey(bytes(range(32))).text()
    (leak,) = leaks_in("log", f"sealed with {secret}")
    assert secret not in repr(leak)
    assert leaks_in("log", repr(leak)) == []
