"""The operations of DynamoDB that ``DynamoDatabase`` calls, without the SDK: see ``network.aws_json``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from payonce.network.aws_json import JsonService, RetryTokens
from payonce.stores.dynamodb_errors import WRITE_OPERATIONS, may_have_been_applied, require_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.network.aws_signature import Signer
    from payonce.network.kept_connections import Answer, Connections


class HttpDynamoDB:
    """Has the SDK client's methods and raises its exceptions. It never repeats a write that may have been applied."""

    def __init__(
        self,
        connections: Connections,
        signer: Signer,
        *,
        max_attempts: int,
        sleep: Callable[[float], None] = time.sleep,
        tokens: RetryTokens | None = None,
    ) -> None:
        self.service = JsonService(
            connections,
            signer,
            target="DynamoDB_20120810",
            version="1.0",
            max_attempts=max_attempts,
            may_repeat=_may_repeat,
            check=_check,
            sleep=sleep,
            tokens=tokens,
        )

    def get_item(self, **request: Any) -> dict[str, Any]:
        """Read an item."""
        return self.service.call("GetItem", request)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        """Read up to 100 items."""
        return self.service.call("BatchGetItem", request)

    def query(self, **request: Any) -> dict[str, Any]:
        """Read a page of a partition."""
        return self.service.call("Query", request)

    def put_item(self, **request: Any) -> dict[str, Any]:
        """Write an item."""
        return self.service.call("PutItem", request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        """Change an item."""
        return self.service.call("UpdateItem", request)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        """Delete an item."""
        return self.service.call("DeleteItem", request)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """Write items together."""
        return self.service.call("TransactWriteItems", request)


def _may_repeat(operation: str, error: Exception) -> bool:
    return operation not in WRITE_OPERATIONS or not may_have_been_applied(error)


def _check(operation: str, answer: Answer) -> None:
    require_whole(operation, answer.headers.get("x-amz-crc32"), answer.body)
