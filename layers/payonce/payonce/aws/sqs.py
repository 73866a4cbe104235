"""The queue port on SQS. Every AWS error is translated here, once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from payonce.domain.errors import StoreUnavailable
from payonce.extras import needs

with needs("dynamodb"):
    from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

    from payonce.ports import QueueMessage

BATCH_MESSAGES = 10  # the largest batch that SQS accepts
MAX_DELAY_SECONDS = 900  # the longest delay that SQS supports


class SqsQueue:
    """``MessageQueue`` over a boto3 SQS client."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def send(self, messages: Sequence[QueueMessage]) -> None:
        """See ``MessageQueue``. A delay above SQS's limit is shortened: the message is then early, not lost."""
        for batch in itertools.batched(messages, BATCH_MESSAGES):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {
                    "Id": str(number),
                    "MessageBody": message.body,
                    "DelaySeconds": min(message.delay_seconds, MAX_DELAY_SECONDS),
                }
                for number, message in enumerate(batch)
            ]
            try:
                answer = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                raise StoreUnavailable("The queue did not confirm the messages. Send them again.") from error
            if failed := answer.get("Failed"):
                raise StoreUnavailable(
                    f"The queue refused {len(failed)} of {len(batch)} messages ({failed[0]['Code']}). Send them again."
                )
