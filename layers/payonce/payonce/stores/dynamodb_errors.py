"""Classifies DynamoDB's errors: the request was refused, can never succeed, or may have been applied.

The SDK retries by itself and shows only its last attempt's error. A throttled attempt after one whose answer was lost
would then pass for "nothing was written" (https://github.com/aws/aws-sdk-java/issues/2667 shows the same with a failed
condition). So ``watch_attempts`` stops the SDK from retrying a write that may have been applied, and the last error is
valid for all attempts:

::

    attempt    1 throttled ─▶ 2 throttled ─▶ 3 applied, answer lost ─▶ stop: may have been applied
               1 applied, answer lost ─▶ stop    (not: ─▶ 2 throttled ─▶ "nothing was written")
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import OutcomeUnknown, StoreRequestInvalid, StoreThrottled, StoreUnavailable, WriteConflict
from payonce.extras import needs
from payonce.stores.dynamodb_requests import from_attributes

with needs("dynamodb"):
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        CredentialRetrievalError,
        EndpointConnectionError,
        NoCredentialsError,
        ParamValidationError,
        PartialCredentialsError,
        ProxyConnectionError,
    )

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.client import DynamoDBClient

    type AwsError = ClientError | BotoCoreError

WRITE_OPERATIONS = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
# No byte of the request was sent.
NEVER_SENT = (
    EndpointConnectionError,
    ConnectTimeoutError,
    ProxyConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
)
# DynamoDB was asked for more in this moment than a partition, the table or the account takes.
THROTTLED_CODES = frozenset(
    {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "Throttling", "ThrottlingException"}
)
# DynamoDB refused the request before it wrote anything, and may accept it later. Codes in no set may have been applied:
# InternalServerError, ServiceUnavailable, RequestTimeout, LimitExceededException, TransactionInProgressException.
REFUSED_CODES = THROTTLED_CODES | frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "ReplicatedWriteConflictException",
        "ResourceNotFoundException",  # also for a table that is being restored
        "TransactionConflictException",
        "UnrecognizedClientException",
    }
)
# DynamoDB refused the request and always will.
INVALID_CODES = frozenset(
    {
        "IdempotentParameterMismatchException",
        "ItemCollectionSizeLimitExceededException",
        "SerializationException",
        "UnknownOperationException",
        "ValidationException",
    }
)
CONDITION_FAILED_CODE = "ConditionalCheckFailedException"
CANCELED_CODE = "TransactionCanceledException"
# Reasons of a canceled transaction: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
CONDITION_FAILED_REASON = "ConditionalCheckFailed"
TRANSACTION_CONFLICT_REASON = "TransactionConflict"
BUSY_REASONS = frozenset({TRANSACTION_CONFLICT_REASON, "ThrottlingError", "ProvisionedThroughputExceeded"})
INVALID_REASONS = frozenset({"ValidationError", "ItemCollectionSizeLimitExceeded"})


class BrokenAnswerError(BotoCoreError):
    """A truncated success response: the SDK would read it as an empty one, such as "no item is stored"."""

    fmt = "The answer to {operation} is not whole."


def watch_attempts(client: DynamoDBClient) -> None:
    """Stop the SDK from retrying a write that may have been applied, and from reading a truncated answer as empty.

    The client's configured retries after a refusal remain. Idempotent.
    """
    for operation in WRITE_OPERATIONS:
        client.meta.events.register_first(
            f"needs-retry.dynamodb.{operation}",
            _stop_at_a_doubt,
            unique_id=f"payonce-stop-at-a-doubt-{operation}",
        )
    client.meta.events.register("before-parse.dynamodb", _require_whole, unique_id="payonce-require-whole")


def may_have_been_applied(error: Exception) -> bool:
    """Return whether a write that ended in ``error`` may have been applied. Any doubt counts as yes."""
    if isinstance(error, ClientError):
        refused = {CONDITION_FAILED_CODE, CANCELED_CODE} | REFUSED_CODES | INVALID_CODES
        return code_of(error) not in refused
    return not isinstance(error, (*NEVER_SENT, ParamValidationError))


def code_of(error: Exception) -> str:
    """Return the service's error code, or the name of the SDK's class."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__


def is_busy(error: Exception) -> bool:
    """Return whether concurrent writers caused it: nothing was written, and a retry may succeed."""
    if code_of(error) == "TransactionConflictException":
        return True
    codes = {reason.get("Code") for reason in _reasons(error)}
    return bool(codes & BUSY_REASONS) and CONDITION_FAILED_REASON not in codes and not codes & INVALID_REASONS


def met_at(error: Exception) -> set[int]:
    """Return the places of the writes of a canceled transaction whose items another transaction had in hand.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html (transaction conflicts)
    """
    return {place for place, reason in enumerate(_reasons(error)) if reason.get("Code") == TRANSACTION_CONFLICT_REASON}


def read_error(error: AwsError) -> StoreUnavailable | StoreRequestInvalid:
    """Return our error for a failed read."""
    if _is_invalid(error):
        return _invalid(error)
    return StoreUnavailable(f"The database could not be read ({code_of(error)}). Retry with the same key.")


def write_error(error: AwsError) -> StoreUnavailable | StoreRequestInvalid | OutcomeUnknown | WriteConflict:
    """Return our error for a failed write. For a canceled transaction, the first failed condition counts."""
    if may_have_been_applied(error):
        return OutcomeUnknown("The database did not confirm the write. Retry with the same key: nothing happens twice.")
    if code_of(error) == CONDITION_FAILED_CODE and isinstance(error, ClientError):
        return _conflict(0, error.response)
    for index, reason in enumerate(_reasons(error)):
        if reason.get("Code") == CONDITION_FAILED_REASON:
            return _conflict(index, reason)
    if _is_invalid(error):
        return _invalid(error)
    if isinstance(error, ClientError):
        refused = StoreThrottled if code_of(error) in THROTTLED_CODES else StoreUnavailable
        return refused(f"The database refused the request ({code_of(error)}); nothing was written by it.")
    return StoreUnavailable("The database could not be reached; nothing was written.")


def _stop_at_a_doubt(
    response: tuple[Any, dict[str, Any]] | None, caught_exception: Exception | None, operation: Any, **_: Any
) -> None:
    """Raise the error of an attempt that may have been applied; leave all others to the SDK.

    Returning a value could not stop a retry: before 1.43.3 botocore took any value but ``None`` for "retry".
    """
    error = caught_exception
    if response is not None and response[0].status_code >= 300:
        error = ClientError(response[1], operation.name)  # type: ignore[arg-type]
    if error is not None and may_have_been_applied(error):
        raise error


def _require_whole(operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
    if response_dict["status_code"] < 300:
        require_whole(operation_model.name, response_dict["headers"].get("x-amz-crc32"), response_dict["body"])


def require_whole(operation: str, checksum: str | None, body: bytes) -> None:
    """Raise ``BrokenAnswerError`` for a success response whose body was truncated or changed in transit.

    ``checksum`` is the header ``x-amz-crc32``. DynamoDB sends it with every answer; without one, JSON must do.
    """
    if checksum is not None:
        whole = zlib.crc32(body) == int(checksum)
    else:
        try:
            whole = isinstance(json.loads(body), dict)
        except ValueError:
            whole = False
    if not whole:
        raise BrokenAnswerError(operation=operation)


def _is_invalid(error: AwsError) -> bool:
    if isinstance(error, ParamValidationError) or code_of(error) in INVALID_CODES:
        return True
    return any(reason.get("Code") in INVALID_REASONS for reason in _reasons(error))


def _invalid(error: AwsError) -> StoreRequestInvalid:
    return StoreRequestInvalid(f"The database refused a request that is not valid ({code_of(error)}): a defect.")


def _reasons(error: Exception) -> list[dict[str, Any]]:
    if code_of(error) != CANCELED_CODE or not isinstance(error, ClientError):
        return []
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return reasons


def _conflict(index: int, refused: Mapping[str, Any]) -> WriteConflict:
    item = refused.get("Item")
    return WriteConflict("a condition failed", index=index, current=from_attributes(item) if item else None)
