"""The proxy's HTTP: which request it carries, what each fault leaves of its answer, and services' own errors."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from payonce.domain.problems import PROBLEM_CONTENT_TYPE, TYPE_PREFIX
from tests.support.tcp_faults import PATIENCE_SECONDS, READ_BYTES, asking_to_close

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.http import Answer

    type Address = tuple[str, int]

SENT_AT_ONCE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset
SLOW_SECONDS: Final = 1.5  # within every client's time: two seconds for AWS, more for bank and receiver
_TARGET: Final = re.compile(rb"(?im)^x-amz-target: *[\w.]*?(\w+)\.(\w+)\r?$")
_SERVICES: Final = {
    "DynamoDB_20120810": "dynamodb",
    "AmazonSQS": "sqs",
    "secretsmanager": "secretsmanager",
    "TrentService": "kms",
}


class Fault(StrEnum):
    """What happens to a request."""

    REFUSED = "refused"  # nobody listens
    RESET_BEFORE = "reset before"  # the request never arrives
    RESET_AFTER = "reset after"  # it is executed, and the connection reset
    NO_ANSWER = "no answer"  # it is executed, and its sender waits for as long as it likes
    SLOW = "slow"
    THROTTLED = "throttled"  # not executed
    ERROR_500 = "500"  # executed, and answered so
    TRUNCATED = "truncated"  # executed, and half of the answer's body arrives


@dataclass(frozen=True, slots=True)
class Seen:
    """A request: the door it came through, what it asks for (``PutItem``, ``POST /charges``), and its text."""

    door: str
    service: str
    action: str
    text: str


def seen_of(door: str, request: bytes) -> Seen:
    """Return what a request asks for."""
    head, _, body = request.partition(b"\r\n\r\n")
    text = body.decode("utf-8", "replace")
    found = _TARGET.search(head)
    if found:
        service = _SERVICES.get(found[1].decode(), found[1].decode())
        return Seen(door, service, found[2].decode(), text)
    method, path, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
    return Seen(door, door, f"{method} {path}", text)


def passed_on(target: Address, request: bytes) -> bytes:
    """Return the server's whole answer. Raises ``OSError``."""
    with socket.create_connection(target, timeout=PATIENCE_SECONDS) as server:
        server.sendall(asking_to_close(request))
        return b"".join(iter(lambda: server.recv(READ_BYTES), b""))


def throttled(seen: Seen) -> bytes:
    """Return the service's own answer to too many requests."""
    if seen.service == "dynamodb":
        code = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    elif seen.service == "sqs":
        code = "com.amazonaws.sqs#RequestThrottled"
    elif seen.service in _SERVICES.values():
        code = "ThrottlingException"
    else:
        return _wire(429, "application/json", {"error": {"code": "throttled"}}, ["Retry-After: 1"])
    return _wire(400, "application/x-amz-json-1.1", {"__type": code, "message": "Rate exceeded"})


def failed(seen: Seen) -> bytes:
    """Return the service's own answer to its own failure."""
    if seen.service in _SERVICES.values():
        document: Mapping[str, object] = {"__type": "InternalServerError", "message": "Internal server error"}
        return _wire(500, "application/x-amz-json-1.1", document)
    return _wire(500, "application/json", {"error": {"code": "internal"}})


def _wire(status: int, content_type: str, document: Mapping[str, object], more: list[str] | None = None) -> bytes:
    body = json.dumps(document).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *(more or [])]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


def come(client: socket.socket, fault: Fault | None, seen: Seen, answer: bytes) -> None:
    """Let come of the answer what the fault leaves."""
    match fault:
        case Fault.RESET_AFTER:
            reset(client)
        case Fault.NO_ANSWER:
            client.recv(1)  # its sender's end of the connection
            reset(client)
        case Fault.ERROR_500:
            client.sendall(failed(seen))
        case Fault.TRUNCATED:
            head, _, body = answer.partition(b"\r\n\r\n")
            client.sendall(head + b"\r\n\r\n" + body[: len(body) // 2])
        case Fault.SLOW:
            time.sleep(SLOW_SECONDS)
            client.sendall(answer)
        case _:
            client.sendall(answer)


def reset(client: socket.socket) -> None:
    """End a connection as a process does that is killed."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, SENT_AT_ONCE)
    client.close()


def slug_of(answer: Answer) -> str:
    """Return a problem's type after a blank, "" for no problem."""
    if answer.header("content-type") != PROBLEM_CONTENT_TYPE:
        return ""
    return " " + str(answer.json()["type"]).removeprefix(TYPE_PREFIX)
