"""The contract of the queue port, on SQS (moto) and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from payonce.aws.sqs import BATCH_MESSAGES, MAX_DELAY_SECONDS, SqsQueue
from payonce.domain.errors import StoreUnavailable
from payonce.ports import QueueMessage
from payonce.stores.memory_queue import MemoryQueue
from tests.support.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.ports import MessageQueue

    type Taken = Callable[[], list[str]]


@pytest.fixture(params=["memory", "sqs"])
def queue(request: pytest.FixtureRequest) -> Iterator[tuple[MessageQueue, Taken]]:
    """Every adapter, and a look at what it holds."""
    if request.param == "memory":
        memory = MemoryQueue()
        yield memory, lambda: [message.body for message in memory.messages]
        return
    with mock_aws():
        client = boto3.client("sqs", region_name=REGION)
        url = client.create_queue(QueueName="deliveries")["QueueUrl"]

        def taken() -> list[str]:
            bodies: list[str] = []
            while found := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                bodies += [message["Body"] for message in found]
            return bodies

        yield SqsQueue(client, url), taken


@pytest.mark.parametrize("count", [0, 1, BATCH_MESSAGES, BATCH_MESSAGES + 1, 3 * BATCH_MESSAGES])
def test_every_message_is_queued_as_it_is(queue: tuple[MessageQueue, Taken], count: int) -> None:
    """Fails when a batch is cut off, or sent whole where the queue takes ten."""
    port, taken = queue
    bodies = [f'{{"n":{number},"text":"☃ \\" <&>"}}' for number in range(count)]
    port.send([QueueMessage(body) for body in bodies])
    assert sorted(taken()) == sorted(bodies)


class Client:
    """An SQS client that answers what a test says."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.sent: list[Any] = []

    def send_message_batch(self, **request: Any) -> Any:
        """As boto3's."""
        self.sent.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_delay_is_passed_on_and_no_longer_than_sqs_takes() -> None:
    """Fails when one long delay has SQS refuse the whole batch."""
    client = Client({})
    SqsQueue(client, "url").send([QueueMessage("a", 7), QueueMessage("b", MAX_DELAY_SECONDS + 1)])  # type: ignore[arg-type]
    assert [entry["DelaySeconds"] for entry in client.sent[0]["Entries"]] == [7, MAX_DELAY_SECONDS]
    assert len({entry["Id"] for entry in client.sent[0]["Entries"]}) == 2


def test_a_message_that_is_refused_is_no_success() -> None:
    """SQS answers 200 to a batch of which it took a part. Fails when only exceptions count as failures."""
    answer = {
        "Successful": [{"Id": "0"}],
        "Failed": [{"Id": "1", "Code": "InternalError", "SenderFault": False, "Message": "whatever"}],
    }
    with pytest.raises(StoreUnavailable, match="1 of 2 messages"):
        SqsQueue(Client(answer), "url").send([QueueMessage("a"), QueueMessage("b")])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SendMessageBatch"),
        ClientError(
            {"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "no"}}, "SendMessageBatch"
        ),
        EndpointConnectionError(endpoint_url="https://sqs"),
    ],
)
def test_every_error_of_aws_is_translated(error: Exception) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        SqsQueue(Client(error), "url").send([QueueMessage("a")])  # type: ignore[arg-type]
    assert refused.value.__cause__ is error
