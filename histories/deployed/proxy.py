"""A proxy between deployed functions and their services: it passes everything on, but for one strike.

Each *door* is a port of its own before one server, so that it is known who calls: the functions on the local cloud get
a door of their own each (``PAYONCE_ENDPOINT_URL``), the bank and the receiver of webhooks have one each. A request is
carried on a connection of its own, with its Host header, so that its signature holds.

::

    function ── door "create" ──┐
    function ── door "relay" ───┼── the local cloud          function ── door "bank" ── the bank
    function ── door "dispatch" ┘                            function ── door "receiver" ── the receiver
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tests.support.tcp_faults import HOST, PATIENCE_SECONDS, READ_BYTES, asking_to_close, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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


@dataclass(slots=True)
class Strike:
    """A fault for the first request that ``hits``, after ``passes`` of them, and for those of the ``lasts_seconds``.

    ``REFUSED`` can't wait for its request: the ``door`` is shut when a request was answered that ``precedes`` it, or at
    once without one, for ``lasts_seconds``, or until ``open_again`` is set. ``count`` is how many requests met the
    fault, or shut the door.
    """

    fault: Fault
    hits: Callable[[Seen], bool]
    lasts_seconds: float = 0.0
    passes: int = 0
    door: str = ""  # to shut
    precedes: Callable[[Seen], bool] | None = None
    open_again: threading.Event = field(default_factory=threading.Event)
    count: int = 0
    ends: float = 0.0  # of time.monotonic(), 0 before the first


@dataclass(slots=True)
class Door:
    """A port before a server."""

    name: str
    target: Address
    port: int = 0
    listener: socket.socket | None = None


@dataclass(slots=True)
class FaultProxy:
    """The running doors, and the strikes that are armed. ``watch`` is told each request. Thread-safe."""

    watch: Callable[[Seen], None] = lambda _seen: None
    doors: dict[str, Door] = field(default_factory=dict)
    strikes: list[Strike] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def url(self, door: str) -> str:
        """Return where clients find a door."""
        return f"http://{HOST}:{self.doors[door].port}"

    def open(self, name: str, target: Address) -> None:
        """Open a further door."""
        self.doors[name] = Door(name, target)
        self._unlock(self.doors[name])

    def arm(self, strike: Strike) -> None:
        """Let the next request that it hits meet this strike."""
        with self._lock:
            self.strikes.append(strike)
        if strike.fault is Fault.REFUSED and strike.precedes is None:
            self._shut(strike)

    def disarm(self, strike: Strike) -> None:
        """Let everything pass that this strike would hit."""
        with self._lock:
            self.strikes.remove(strike)

    def close(self) -> None:
        """Close every door."""
        for door in self.doors.values():
            self._lock_door(door)

    def _shut(self, strike: Strike) -> None:
        """Shut the strike's door for its time."""
        with self._lock:
            door = self.doors[strike.door]
            strike.count += 1
            self._lock_door(door)

        def unlock() -> None:
            strike.open_again.wait(strike.lasts_seconds)
            with self._lock:
                self._unlock(door)

        threading.Thread(target=unlock, daemon=True).start()

    def _unlock(self, door: Door) -> None:
        if door.listener is None:
            door.listener = socket.create_server((HOST, door.port))
            door.port = door.listener.getsockname()[1]
            threading.Thread(target=self._accept, args=[door, door.listener], daemon=True).start()

    def _lock_door(self, door: Door) -> None:
        listener, door.listener = door.listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, door: Door, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.settimeout(PATIENCE_SECONDS)
                threading.Thread(target=self._serve, args=[door, client], daemon=True).start()

    def _serve(self, door: Door, client: socket.socket) -> None:
        with client, suppress(OSError):
            request = read_request(client)
            if not request:
                return
            seen = seen_of(door.name, request)
            fault = self._fault_of(seen)
            if fault is Fault.RESET_BEFORE:
                return _reset(client)
            answer = throttled(seen) if fault is Fault.THROTTLED else passed_on(door.target, request)
            self._shut_after(seen)
            _come(client, fault, seen, answer)

    def _fault_of(self, seen: Seen) -> Fault | None:
        """Return the fault of the first armed strike that hits."""
        with self._lock:
            self.watch(seen)
            for strike in self.strikes:
                if strike.fault is not Fault.REFUSED and strike.hits(seen) and _is_due(strike):
                    strike.count += 1
                    return strike.fault
        return None

    def _shut_after(self, seen: Seen) -> None:
        with self._lock:
            due = [each for each in self.strikes if each.precedes and not each.count and each.precedes(seen)]
        for strike in due:
            self._shut(strike)


def _is_due(strike: Strike) -> bool:
    """Return whether a request that a strike hits meets its fault, and count it if it may pass."""
    if strike.passes:
        strike.passes -= 1
        return False
    now = time.monotonic()
    if not strike.count:
        strike.ends = now + strike.lasts_seconds
    return not strike.count or now < strike.ends


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


def _come(client: socket.socket, fault: Fault | None, seen: Seen, answer: bytes) -> None:
    """Let come of the answer what the fault leaves."""
    match fault:
        case Fault.RESET_AFTER:
            _reset(client)
        case Fault.NO_ANSWER:
            client.recv(1)  # its sender's end of the connection
            _reset(client)
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


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, SENT_AT_ONCE)
    client.close()


@contextmanager
def fault_proxy() -> Iterator[FaultProxy]:
    """Yield a proxy without doors, and close those that it got."""
    proxy = FaultProxy()
    try:
        yield proxy
    finally:
        proxy.close()
