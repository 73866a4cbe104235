"""Redriving dead letters, on moto's SQS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from payonce.aws.redrive import dead_letters, redrive
from payonce.domain.errors import StoreUnavailable
from tests.support.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

BODIES = [f"message {number}" for number in range(25)]


@pytest.fixture
def queues() -> Iterator[tuple[Any, str, str]]:
    """A client, a dead-letter queue with 25 messages, and the queue that they came from."""
    with mock_aws():
        client = boto3.client("sqs", region_name=REGION)
        source = client.create_queue(QueueName="failures")["QueueUrl"]
        target = client.create_queue(QueueName="deliveries")["QueueUrl"]
        for body in BODIES:
            client.send_message(QueueUrl=source, MessageBody=body)
        yield client, source, target


def bodies(client: Any, url: str) -> list[str]:
    found: list[str] = []
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    return found


def test_every_message_is_moved_once(queues: tuple[Any, str, str]) -> None:
    client, source, target = queues
    told: list[int] = []
    assert dead_letters(client, source) == 25
    assert redrive(client, source, target, at_most=100, moved=told.append) == 25
    assert told == [10, 20, 25]
    assert sorted(bodies(client, target)) == sorted(BODIES)
    assert dead_letters(client, source) == 0


def test_it_stops_at_its_bound(queues: tuple[Any, str, str]) -> None:
    """Fails without the bound: a message that fails again at once would be moved for ever."""
    client, source, target = queues
    assert redrive(client, source, target, at_most=12, moved=lambda _count: None) == 12
    assert len(bodies(client, target)) == 12


def test_what_the_queue_does_not_take_stays_where_it_was(
    queues: tuple[Any, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when messages are deleted before they are known to be queued."""
    client, source, target = queues
    real = client.send_message_batch

    def half(QueueUrl: str, Entries: list[Any]) -> Any:
        return real(QueueUrl=QueueUrl, Entries=Entries[:5])

    monkeypatch.setattr(client, "send_message_batch", half)
    with pytest.raises(StoreUnavailable):
        redrive(client, source, target, at_most=100, moved=lambda _count: None)
    client.set_queue_attributes(QueueUrl=source, Attributes={"VisibilityTimeout": "0"})
    assert len(bodies(client, target)) == 5
    left = client.get_queue_attributes(
        QueueUrl=source, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    )["Attributes"]
    assert sum(int(count) for count in left.values()) == 20


def test_a_queue_that_is_not_there_is_said(queues: tuple[Any, str, str]) -> None:
    client, _, target = queues
    with pytest.raises(StoreUnavailable, match=r"QueueDoesNotExist|NonExistentQueue"):
        redrive(client, target + "-not", target, at_most=1, moved=lambda _count: None)
