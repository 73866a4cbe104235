"""The database port on DynamoDB. Every AWS error is translated here, once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.ports import Item, Key, Page, Table, Write
from payonce.stores.dynamodb_requests import from_attributes, key_condition, to_attributes, write_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

# Two transactions that touch one item at once cancel each other; a counter shard is busy for some 10 ms.
MAX_CONFLICT_RETRIES = 8
FIRST_CONFLICT_PAUSE_SECONDS = 0.01

CONDITION_FAILED = "ConditionalCheckFailed"
TRANSIENT_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
# Refused before anything was written, whatever the request was.
REFUSED_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "AccessDeniedException",
        "ResourceNotFoundException",
        "ValidationException",
        "UnrecognizedClientException",
        "ExpiredTokenException",
        "TransactionConflictException",
    }
)


class DynamoDatabase:
    """The port over a boto3 DynamoDB client. ``table_names`` maps logical tables to real ones."""

    def __init__(
        self,
        client: DynamoDBClient,
        table_names: Mapping[Table, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._client = client
        self._names = table_names
        self._sleep = sleep
        self._jitter = jitter

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        try:
            answer = self._client.get_item(TableName=self._names[table], Key=to_attributes(key), ConsistentRead=True)
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error
        return from_attributes(answer["Item"]) if "Item" in answer else None

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``. What a busy table leaves out of its answer is asked for again."""
        name = self._names[table]
        asked: list[Any] = [to_attributes(key) for key in keys]
        items: list[Item] = []
        for attempt in range(MAX_CONFLICT_RETRIES + 1):
            try:
                answer = self._client.batch_get_item(RequestItems={name: {"Keys": asked, "ConsistentRead": True}})
            except (ClientError, BotoCoreError) as error:
                raise _unavailable(error) from error
            items += [from_attributes(item) for item in answer["Responses"].get(name, ())]
            left = answer["UnprocessedKeys"].get(name)
            if left is None:
                return items
            asked = list(left["Keys"])
            self._pause(attempt)
        raise StoreUnavailable("The database is busy. Retry with the same key.")

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        requests = [write_request(write, self._names[write.table]) for write in writes]
        if len(requests) == 1:
            self._write_one(*requests[0])
        else:
            self._write_all([{action: request} for action, request in requests])

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
        """See ``Database``. Queries of an index are eventually consistent, others strongly."""
        request: dict[str, Any] = {
            "TableName": self._names[table],
            **key_condition(partition, prefix=sort_prefix, at_least=sort_at_least, at_most=sort_at_most),
            "ScanIndexForward": not descending,
            "Limit": limit,
            **({"IndexName": index} if index else {"ConsistentRead": True}),
            **({"ExclusiveStartKey": to_attributes(start)} if start else {}),
        }
        try:
            answer = self._client.query(**request)
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error
        last = answer.get("LastEvaluatedKey")
        return Page([from_attributes(item) for item in answer["Items"]], from_attributes(last) if last else None)

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
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "ConditionalCheckFailedException":
                    raise _conflict(0, error.response.get("Item")) from error
                if code != "TransactionConflictException" or attempt == MAX_CONFLICT_RETRIES:
                    raise _write_error(error) from error
            except BotoCoreError as error:
                raise _write_error(error) from error
            self._pause(attempt)

    def _write_all(self, requests: list[dict[str, Any]]) -> None:
        for attempt in range(MAX_CONFLICT_RETRIES + 1):
            try:
                # botocore adds a ClientRequestToken, the same for its own retries: a lost answer is harmless.
                self._client.transact_write_items(TransactItems=requests)  # type: ignore[arg-type]
                return
            except self._client.exceptions.TransactionCanceledException as error:
                _raise_condition(error)
                if attempt == MAX_CONFLICT_RETRIES or not _is_transient(error):
                    raise StoreUnavailable("The database is busy; nothing was written. Retry.") from error
            except (ClientError, BotoCoreError) as error:
                raise _write_error(error) from error
            self._pause(attempt)

    def _pause(self, attempt: int) -> None:
        self._sleep(FIRST_CONFLICT_PAUSE_SECONDS * 2**attempt * self._jitter())


def _reasons(error: ClientError) -> list[dict[str, Any]]:
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return reasons


def _raise_condition(error: ClientError) -> None:
    for index, reason in enumerate(_reasons(error)):
        if reason.get("Code") == CONDITION_FAILED:
            raise _conflict(index, reason.get("Item")) from error


def _is_transient(error: ClientError) -> bool:
    return any(reason.get("Code") in TRANSIENT_REASONS for reason in _reasons(error))


def _conflict(index: int, item: Any) -> WriteConflict:
    return WriteConflict("a condition failed", index=index, current=from_attributes(item) if item else None)


def _unavailable(error: Exception) -> StoreUnavailable:
    name = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
    return StoreUnavailable(f"The database could not be read ({name}). Retry with the same key.")


def _write_error(error: ClientError | BotoCoreError) -> StoreUnavailable | OutcomeUnknown:
    """Tell "certainly not written" from "may have been written"; every doubt is the latter."""
    if isinstance(error, EndpointConnectionError):
        return StoreUnavailable("The database could not be reached; nothing was written. Retry.")
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in REFUSED_CODES:
        code = error.response["Error"]["Code"]
        return StoreUnavailable(f"The database refused the request ({code}); nothing was written. Retry.")
    return OutcomeUnknown("The database did not confirm the write. Retry with the same key: nothing happens twice.")
