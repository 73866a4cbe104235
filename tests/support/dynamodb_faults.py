"""A proxy before DynamoDB that plays a script of faults: at the n-th request of an operation, and at those after it.

The bodies of errors are those of AWS: the code behind a ``#`` in ``__type``, a message, ``CancellationReasons`` where a
transaction is cancelled, ``x-amzn-RequestId`` and a true ``x-amz-crc32`` (which botocore compares, and asks again).
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from __future__ import annotations

import itertools
import json
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zlib import crc32

from tests.support.tcp_faults import HOST, PATIENCE_SECONDS, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL = "com.amazonaws.dynamodb.v20120810"
SENT_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset
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


@dataclass
class DynamoFaults:
    """A running proxy. ``seen`` holds the actions (PutItem, ...) since it was armed."""

    target: tuple[str, int]
    overtake: Callable[[], None] = lambda: None
    script: Script | HotPartition | None = None
    seen: list[str] = field(default_factory=list)
    landed: int = 0
    _listener: socket.socket | None = None
    _port: int = 0
    _clients: set[socket.socket] = field(default_factory=set)
    _late: list[tuple[int, bytes]] = field(default_factory=list)  # (requests to wait for, request)
    _busy: int = 0
    _changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://{HOST}:{self._port}"

    def arm(self, script: Script | HotPartition | None) -> None:
        """Count from now on, and play the script (none: only count)."""
        with self._changed:
            self.script, self.seen, self.landed = script, [], 0

    def disarm(self) -> list[str]:
        """Let all pass again, wait until no request is under way; return the actions that were seen."""
        with self._changed:
            self.script = None
            if self._listener is None:
                self.plug()
            assert self._changed.wait_for(lambda: not self._busy, PATIENCE_SECONDS)
            return list(self.seen)

    def land(self) -> None:
        """Execute what is held back, in its order."""
        with self._changed:
            late, self._late = self._late, []
        for _, request in late:
            self._land(request)

    def plug(self) -> None:
        """Listen, on the same port as ever."""
        self._listener = socket.create_server((HOST, self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def unplug(self) -> None:
        """Listen no more, and end every connection: a new one is refused."""
        with self._changed:
            listener, self._listener = self._listener, None
            clients = list(self._clients)
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for client in clients:
            with suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, SENT_AT_ONCE)
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._changed:
                    self._clients.add(client)
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        upstream = HTTPConnection(*self.target, timeout=PATIENCE_SECONDS)
        with client, suppress(OSError):
            while (request := read_request(client)) and self._one(client, upstream, request):
                pass
        upstream.close()
        with self._changed:
            self._clients.discard(client)

    def _one(self, client: socket.socket, upstream: HTTPConnection, request: bytes) -> bool:
        """Play one request's fate; return whether its connection can be used further."""
        with self._changed:
            self._busy += 1
            self.seen.append(action_of(request))
            fate = self.script.fate(len(self.seen), request) if self.script else Fate()
        try:
            if fate.overtaken == "before":
                self.overtake()
            answer = self._reach(fate, upstream, request)
            if fate.overtaken == "after":
                self.overtake()
            if fate.comes is Comes.ERROR:
                answer = error_answer(fate, request, f"REQUEST{next(self._numbers)}")
            return self._come(fate, client, answer)
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _reach(self, fate: Fate, upstream: HTTPConnection, request: bytes) -> Wire | None:
        if fate.reaches is Reaches.NEVER:
            return None
        if fate.reaches is Reaches.LATE:
            with self._changed:
                self._late.append((fate.lands_after, request))
            return None
        answer = _forward(upstream, request)
        with self._changed:
            due = [late for wait, late in self._late if wait <= 1]
            self._late = [(wait - 1, late) for wait, late in self._late if wait > 1]
        for late in due:
            self._land(late)
        return answer

    def _land(self, request: bytes) -> None:
        connection = HTTPConnection(*self.target, timeout=PATIENCE_SECONDS)
        try:
            self.landed += _forward(connection, request).status == 200
        finally:
            connection.close()

    def _come(self, fate: Fate, client: socket.socket, answer: Wire | None) -> bool:
        if fate.comes is Comes.UNPLUGGED:
            self.unplug()
        if fate.comes is Comes.SILENCE:
            client.recv(1)  # its sender's end of the connection
        if fate.comes in {Comes.RESET, Comes.SILENCE, Comes.UNPLUGGED} or answer is None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, SENT_AT_ONCE)
            return False
        body = answer.body
        if fate.comes is Comes.WRONG_CHECKSUM:
            answer = _with_checksum(answer, crc32(body) ^ 1)
        half = body[: len(body) // 2]
        if fate.comes is Comes.GARBLED:
            answer = _with_checksum(answer, crc32(body))
            client.sendall(answer.head(len(half)) + half)
            return True
        client.sendall(answer.head(len(body)) + (half if fate.comes is Comes.CUT else body))
        return fate.comes is not Comes.CUT


def action_of(request: bytes) -> str:
    """Return what a request asks for, in lower case: putitem, query, ..."""
    head = request.partition(b"\r\n\r\n")[0].decode("latin-1").lower()
    [target] = [line for line in head.split("\r\n") if line.startswith("x-amz-target:")]
    return target.rsplit(".", 1)[1]


def _forward(upstream: HTTPConnection, request: bytes) -> Wire:
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line.decode("latin-1").partition(": ") for line in head.split(b"\r\n")[1:]]
    dropped = {"connection", "content-length", "host"}
    headers = {name: value for name, _, value in lines if name.lower() not in dropped}
    upstream.request("POST", "/", body, headers)
    response = upstream.getresponse()
    dropped |= {"transfer-encoding"}
    kept = tuple((name, value) for name, value in response.getheaders() if name.lower() not in dropped)
    return Wire(response.status, kept, response.read())


def _with_checksum(answer: Wire, checksum: int) -> Wire:
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
    return _with_checksum(Wire(fate.status, headers, body), crc32(body))


@contextmanager
def dynamodb_faults(target_url: str) -> Iterator[DynamoFaults]:
    """Run a proxy before the DynamoDB at ``target_url``."""
    target = urlsplit(target_url)
    proxy = DynamoFaults((target.hostname or HOST, target.port or 80))
    proxy.plug()
    try:
        yield proxy
    finally:
        proxy.unplug()
