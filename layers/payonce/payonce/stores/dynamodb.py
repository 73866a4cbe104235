"""The database port on DynamoDB. Every AWS error is translated here, once."""

from __future__ import annotations

import itertools
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import OutcomeUnknown, StoreRequestInvalid, StoreUnavailable
from payonce.extras import needs
from payonce.ports import Adjust, Item, Key, Page, Table, Write
from payonce.stores.dynamodb_client import HttpDynamoDB
from payonce.stores.dynamodb_errors import BrokenAnswerError, is_busy, met_at, read_error, watch_attempts, write_error
from payonce.stores.dynamodb_requests import from_attributes, key_condition, to_attributes, write_request
from payonce.stores.limits import check_targets

with needs("dynamodb"):
    from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

# Two concurrent transactions on one item cancel each other; a counter shard is busy for about 10 ms.
MAX_CONFLICT_RETRIES = 8
FIRST_CONFLICT_PAUSE_SECONDS = 0.01

MAX_BROKEN_ANSWERS = 2  # as often as the SDK retries a read without an answer

# A transaction carries a token for which DynamoDB applies it once in 10 minutes, so a resend is harmless.
MAX_DOUBT_RETRIES = 2


class DynamoDatabase:
    """``Database`` over a DynamoDB client, ours or boto3's. ``table_names`` maps logical tables to real ones.

    boto3's may be configured with any SDK retries; ``watch_attempts`` says which of them are then suppressed.
    """

    def __init__(
        self,
        client: DynamoDBClient | HttpDynamoDB,
        table_names: Mapping[Table, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = lambda: 1.0,
    ) -> None:
        if not isinstance(client, HttpDynamoDB):
            watch_attempts(client)
        self._client: Any = client
        self._names = table_names
        self._sleep = sleep
        self._jitter = jitter
        self._spreads = False

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        answer = self._read(
            self._client.get_item, TableName=self._names[table], Key=to_attributes(key), ConsistentRead=True
        )
        return from_attributes(answer["Item"]) if "Item" in answer else None

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``. Keys that a busy table leaves unprocessed are requested again."""
        name = self._names[table]
        asked: list[Any] = [to_attributes(key) for key in keys]
        items: list[Item] = []
        for attempt in range(MAX_CONFLICT_RETRIES + 1):
            request = {name: {"Keys": asked, "ConsistentRead": True}}
            answer = self._read(self._client.batch_get_item, RequestItems=request)
            items += [from_attributes(item) for item in answer["Responses"].get(name, ())]
            left = answer["UnprocessedKeys"].get(name)
            if left is None:
                return items
            asked = list(left["Keys"])
            self._pause(attempt)
        raise StoreUnavailable("The database is busy. Retry with the same key.")

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        if self._spreads:
            writes = [_spread(write) for write in writes]
        check_targets(writes)
        requests = [write_request(write, self._names[write.table]) for write in writes]
        if len(requests) == 1:
            self._write_one(*requests[0])
        else:
            self._write_all(writes, [{action: request} for action, request in requests])

    def query(
        self,
        table: Table,
        *,
        partition: tuple[str, str],
        index: str | None = None,
        sort_prefix: tuple[str, str] | None = None,
        sort_at_least: tuple[str, int | str] | None = None,
        sort_at_most: tuple[str, int | str] | None = None,
        descending: bool = False,
        limit: int,
        start: Item | None = None,
    ) -> Page:
        """See ``Database``. Queries of an index are eventually consistent, others strongly consistent."""
        request: dict[str, Any] = {
            "TableName": self._names[table],
            **key_condition(partition, prefix=sort_prefix, at_least=sort_at_least, at_most=sort_at_most),
            "ScanIndexForward": not descending,
            "Limit": limit,
            **({"IndexName": index} if index else {"ConsistentRead": True}),
            **({"ExclusiveStartKey": to_attributes(start)} if start else {}),
        }
        answer = self._read(self._client.query, **request)
        last = answer.get("LastEvaluatedKey")
        return Page([from_attributes(item) for item in answer["Items"]], from_attributes(last) if last else None)

    def _read(self, method: Callable[..., Any], **request: Any) -> Any:
        for attempt in itertools.count():
            try:
                return method(**request)
            except BrokenAnswerError as error:
                # The SDK retries a read after any other fault by itself, but does not know this one.
                if attempt == MAX_BROKEN_ANSWERS:
                    raise read_error(error) from error
            except (ClientError, BotoCoreError) as error:
                raise read_error(error) from error

    def _write_one(self, action: str, request: dict[str, Any]) -> None:
        methods: dict[str, Callable[..., Any]] = {
            "Put": self._client.put_item,
            "Update": self._client.update_item,
            "Delete": self._client.delete_item,
        }
        for attempt in range(MAX_CONFLICT_RETRIES + 1):
            try:
                methods[action](**request)
                return
            except (ClientError, BotoCoreError) as error:
                # Never resent after a doubt: without a token it could meet or repeat its own first attempt.
                if attempt == MAX_CONFLICT_RETRIES or not is_busy(error):
                    raise write_error(error) from error
            self._pause(attempt)

    def _write_all(self, writes: Sequence[Write], requests: list[dict[str, Any]]) -> None:
        token = str(uuid.uuid4())
        doubts = 0
        for attempt in range(MAX_CONFLICT_RETRIES + 1):
            try:
                self._client.transact_write_items(TransactItems=requests, ClientRequestToken=token)
                return
            except (ClientError, BotoCoreError) as error:
                # For good, which is as long as a function's environment: what is busy now will be busy again.
                self._spreads |= any(_spread(writes[place]) is not writes[place] for place in met_at(error))
                outcome = write_error(error)
                unknown = isinstance(outcome, OutcomeUnknown)
                doubts += unknown
                again = is_busy(error) or (unknown and doubts <= MAX_DOUBT_RETRIES)
                if attempt < MAX_CONFLICT_RETRIES and again:
                    self._pause(attempt)
                    continue
                if doubts and not isinstance(outcome, StoreRequestInvalid):
                    # A later refusal proves nothing about the attempt whose answer was lost.
                    outcome = OutcomeUnknown("The database did not confirm the write. Retry with the same key.")
                raise outcome from error

    def _pause(self, attempt: int) -> None:
        self._sleep(FIRST_CONFLICT_PAUSE_SECONDS * 2**attempt * self._jitter())


def _spread(write: Write) -> Write:
    """Return the write at its ``spread_key``; the write itself where it has none, or is there already."""
    if not isinstance(write, Adjust) or write.spread_key is None or write.key == write.spread_key:
        return write
    return replace(write, key=write.spread_key)
