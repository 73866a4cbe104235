"""A client for AWS's JSON services: what a request needs of the SDK, without the SDK's start-up and events.

It signs, keeps connections, repeats what may be repeated, and raises the SDK's own exceptions, so that who translates
errors need not know which client raised them. Why it exists, and when the SDK is used instead: docs/adr/0035.
"""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from typing import TYPE_CHECKING, Any

from payonce.extras import needs
from payonce.network.kept_connections import Lost, NotSent

with needs("dynamodb"):
    from botocore.exceptions import (
        ClientError,
        ConnectionClosedError,
        ConnectTimeoutError,
        EndpointConnectionError,
        ReadTimeoutError,
    )

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.network.aws_signature import Signer
    from payonce.network.kept_connections import Answer, Connections

# The SDKs' standard mode: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
RETRY_TOKENS = 500  # what a process has for retries, so that an outage is not met with three times the requests
TOKENS_PER_RETRY = 5
LONGEST_PAUSE_SECONDS = 20.0
TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})
REPEATED_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_NO_ANSWER = (ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError, ConnectionClosedError)
_DRAWS = random.SystemRandom()  # has no state that a snapshot of the process could copy


class RetryTokens:
    """The tokens that retries are paid with. Thread-safe."""

    def __init__(self) -> None:
        self._left = RETRY_TOKENS
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Return whether one more retry is paid for."""
        with self._lock:
            paid = self._left >= TOKENS_PER_RETRY
            self._left -= TOKENS_PER_RETRY if paid else 0
            return paid

    def give_back(self, tokens: int) -> None:
        """Return tokens after a success: those of its retry, or one."""
        with self._lock:
            self._left = min(self._left + tokens, RETRY_TOKENS)


class JsonService:
    """Calls the operations of one service.

    ``target`` is the prefix of X-Amz-Target and ``version`` that of the JSON protocol, as in the service's model.
    ``may_repeat`` tells of an operation and its error whether another attempt is harmless; ``check`` receives the
    operation and each answer before it is read, and raises when it is not whole.
    """

    def __init__(
        self,
        connections: Connections,
        signer: Signer,
        *,
        target: str,
        version: str,
        max_attempts: int,
        may_repeat: Callable[[str, Exception], bool] = lambda _operation, _error: True,
        check: Callable[[str, Answer], None] = lambda _operation, _answer: None,
        sleep: Callable[[float], None] = time.sleep,
        tokens: RetryTokens | None = None,
    ) -> None:
        self._connections = connections
        self._signer = signer
        self._target = target
        self._content_type = f"application/x-amz-json-{version}"
        self._max_attempts = max_attempts
        self._may_repeat = may_repeat
        self._check = check
        self._sleep = sleep
        self._tokens = tokens or RetryTokens()

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer's document, a binary member ``{"B": ...}`` as bytes.

        Raises ``ClientError`` for the service's refusals and the ``BotoCoreError`` that the SDK raises when there is no
        answer; the last attempt's, when it made several.
        """
        body = json.dumps(request, separators=(",", ":"), default=_base64_text).encode()
        attempt = 1
        while True:
            try:
                answer = self._once(operation, body)
            except (ClientError, *_NO_ANSWER) as error:
                again = _is_transient(error) and self._may_repeat(operation, error)
                if attempt == self._max_attempts or not again or not self._tokens.take():
                    raise
                # Full jitter, as in the SDK's standard mode.
                self._sleep(min(LONGEST_PAUSE_SECONDS, _DRAWS.random() * 2 ** (attempt - 1)))
                attempt += 1
            else:
                self._tokens.give_back(TOKENS_PER_RETRY if attempt > 1 else 1)
                return answer

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()

    def _once(self, operation: str, body: bytes) -> dict[str, Any]:
        headers = {
            "host": self._connections.host,
            "content-type": self._content_type,
            "x-amz-target": f"{self._target}.{operation}",
        }
        signed = self._signer.sign(headers, body, time.time())
        url = self._connections.host
        try:
            answer = self._connections.post(signed, body)
        except NotSent as error:
            if error.timed_out:
                raise ConnectTimeoutError(endpoint_url=url, error=error) from error
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        except Lost as error:
            if error.timed_out:
                raise ReadTimeoutError(endpoint_url=url, error=error) from error
            raise ConnectionClosedError(endpoint_url=url, error=error) from error
        if answer.status >= 300:
            raise _refusal(operation, answer)
        self._check(operation, answer)
        document: dict[str, Any] = json.loads(answer.body or b"{}", object_hook=_with_bytes)
        return document


def _is_transient(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return True
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status in TRANSIENT_STATUSES or error.response["Error"]["Code"] in REPEATED_CODES


def _refusal(operation: str, answer: Answer) -> ClientError:
    """Return the SDK's exception for an answer that is an error. Without a whole document its code is the status."""
    try:
        document = json.loads(answer.body, object_hook=_with_bytes)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {}
    named = str(document.pop("__type", "") or document.pop("code", "") or answer.status)
    message = document.pop("message", "") or document.pop("Message", "")
    response: dict[str, Any] = {
        **document,
        "Error": {"Code": named.partition(":")[0].rpartition("#")[2], "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": answer.status, "HTTPHeaders": answer.headers},
    }
    return ClientError(response, operation)  # type: ignore[arg-type]


def _base64_text(value: object) -> str:
    """Return bytes as JSON services take them."""
    if not isinstance(value, bytes):
        raise TypeError(f"A {type(value).__name__} can't be sent.")
    return base64.b64encode(value).decode()


def _with_bytes(members: dict[str, Any]) -> dict[str, Any]:
    """Return DynamoDB's binary value with its bytes, and every other object as it is."""
    if len(members) == 1 and isinstance(text := members.get("B"), str):
        return {"B": base64.b64decode(text)}
    return members
