"""What can happen to a request to DynamoDB, as data, and AWS's own answers of error.

The bodies of errors are those of AWS: the code behind a ``#`` in ``__type``, a message, ``CancellationReasons`` where a
transaction is cancelled, ``x-amzn-RequestId`` and a true ``x-amz-crc32`` (which botocore compares, and asks again).
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from zlib import crc32

MODEL = "com.amazonaws.dynamodb.v20120810"
AT_THE_END = 1_000_000


class Reaches(Enum):
    """Whether a request reaches DynamoDB."""

    NOW = auto()
    NEVER = auto()
    LATE = auto()  # held back, and executed when its sender has long given up on it


class Comes(Enum):
    """What comes back to the client."""

    ANSWER = auto()
    ERROR = auto()
    RESET = auto()
    SILENCE = auto()  # nothing, until the client's own time is over
    CUT = auto()  # half of the body, then the end of the connection
    GARBLED = auto()  # half of the body as if it were the whole
    WRONG_CHECKSUM = auto()
    UNPLUGGED = auto()  # a reset, and nobody listens any more until the fault is over


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one request. ``lands_after`` counts the requests that are executed before a late one is."""

    reaches: Reaches = Reaches.NOW
    comes: Comes = Comes.ANSWER
    status: int = 400
    document: tuple[tuple[str, str], ...] = ()
    reason: str = ""  # of a cancelled transaction's first action
    lands_after: int = AT_THE_END
    overtaken: str = ""  # "before" or "after" it reaches DynamoDB its sender stands still, and another does its work


@dataclass(frozen=True, slots=True)
class Script:
    """Fates from the ``first`` request on (counted from 1); ``rest`` is that of all which follow."""

    first: int
    fates: tuple[Fate, ...]
    rest: Fate = Fate()

    def fate(self, number: int, _request: bytes) -> Fate:
        """Return the fate of the request with this number."""
        index = number - self.first
        if index < 0:
            return Fate()
        return self.fates[index] if index < len(self.fates) else self.rest


@dataclass(frozen=True, slots=True)
class HotPartition:
    """All requests of an action that name a value have one fate, as those to a partition that has too much to do."""

    action: str
    value: str
    one: Fate

    def fate(self, _number: int, request: bytes) -> Fate:
        """Return the fate of a request."""
        named = json.dumps(self.value).encode() in request.partition(b"\r\n\r\n")[2]
        return self.one if named and action_of(request) == self.action else Fate()


@dataclass(frozen=True, slots=True)
class Wire:
    """An HTTP answer as it is sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def head(self, length: int) -> bytes:
        """Return status line and header lines, with this Content-Length."""
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def action_of(request: bytes) -> str:
    """Return what a request asks for, in lower case: putitem, query, ..."""
    head = request.partition(b"\r\n\r\n")[0].decode("latin-1").lower()
    [target] = [line for line in head.split("\r\n") if line.startswith("x-amz-target:")]
    return target.rsplit(".", 1)[1]


def with_checksum(answer: Wire, checksum: int) -> Wire:
    """Return the answer with this checksum, whether it is its own or not."""
    kept = [line for line in answer.headers if line[0].lower() != "x-amz-crc32"]
    return Wire(answer.status, (*kept, ("x-amz-crc32", str(checksum))), answer.body)


def error_answer(fate: Fate, request: bytes, request_id: str) -> Wire:
    """Return AWS's answer for an error."""
    document: dict[str, Any] = dict(fate.document)
    if fate.reason:
        count = len(json.loads(request.partition(b"\r\n\r\n")[2]).get("TransactItems", [0]))
        codes = [fate.reason, *["None"] * (count - 1)]
        document["Message"] = (
            f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
        )
        document["CancellationReasons"] = [{"Code": code} for code in codes]
    body = json.dumps(document).encode()
    headers = (("x-amzn-RequestId", request_id), ("Content-Type", "application/x-amz-json-1.0"))
    return with_checksum(Wire(fate.status, headers, body), crc32(body))
