"""Moves dead letters back to their queue. Safe to stop at any point: a message is deleted after it is queued again.

SQS has its own task for this (``StartMessageMoveTask``), but it can't be watched message by message, and the local
cloud lacks it. A duplicate is harmless here: every message names the attempt that it asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.errors import StoreUnavailable
from payonce.extras import needs

with needs("dynamodb"):
    from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_sqs.client import SQSClient

BATCH_SIZE = 10  # the largest batch that SQS gives or accepts
VISIBILITY_SECONDS = 60  # per batch; after an interrupted command, its messages stay invisible that long
WAIT_SECONDS = 1  # long polling asks every server of the queue, so an empty answer is nearly always true


def dead_letters(client: SQSClient, url: str) -> int:
    """Return the approximate number of messages in the queue. Raises ``StoreUnavailable``."""
    try:
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    except (ClientError, BotoCoreError) as error:
        raise _translated(error) from error
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def redrive(client: SQSClient, source_url: str, target_url: str, *, at_most: int, moved: Callable[[int], None]) -> int:
    """Move up to ``at_most`` messages and return their number; ``moved`` gets the count after each batch.

    The limit exists because a message that fails again returns here, and would be moved for ever. Raises
    ``StoreUnavailable``.
    """
    count = 0
    try:
        while count < at_most:
            answer = client.receive_message(
                QueueUrl=source_url,
                MaxNumberOfMessages=min(BATCH_SIZE, at_most - count),
                VisibilityTimeout=VISIBILITY_SECONDS,
                WaitTimeSeconds=WAIT_SECONDS,
            )
            messages: list[Any] = list(answer.get("Messages", []))
            if not messages:
                return count
            count += _move(client, messages, source_url, target_url)
            moved(count)
    except (ClientError, BotoCoreError) as error:
        raise _translated(error) from error
    return count


def _move(client: SQSClient, messages: list[Any], source_url: str, target_url: str) -> int:
    entries: list[Any] = [
        {"Id": str(number), "MessageBody": message["Body"]} for number, message in enumerate(messages)
    ]
    sent = client.send_message_batch(QueueUrl=target_url, Entries=entries)
    done = [one["Id"] for one in sent.get("Successful", [])]
    if done:
        client.delete_message_batch(
            QueueUrl=source_url,
            Entries=[{"Id": one, "ReceiptHandle": messages[int(one)]["ReceiptHandle"]} for one in done],
        )
    if len(done) < len(messages):
        raise StoreUnavailable("The queue did not take every message. What was not moved is still where it was.")
    return len(done)


def _translated(error: ClientError | BotoCoreError) -> StoreUnavailable:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    return StoreUnavailable(f"The queue refused the request ({code}). Run the command again: nothing is lost.")
