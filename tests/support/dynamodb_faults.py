"""A proxy before DynamoDB that plays a script of faults: at the n-th request of an operation, and at those after it."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zlib import crc32

from tests.support.dynamodb_fates import Comes, Fate, Reaches, Wire, action_of, error_answer, with_checksum
from tests.support.tcp_faults import HOST, PATIENCE_SECONDS, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.dynamodb_fates import HotPartition, Script

SENT_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


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
            answer = with_checksum(answer, crc32(body) ^ 1)
        half = body[: len(body) // 2]
        if fate.comes is Comes.GARBLED:
            answer = with_checksum(answer, crc32(body))
            client.sendall(answer.head(len(half)) + half)
            return True
        client.sendall(answer.head(len(body)) + (half if fate.comes is Comes.CUT else body))
        return fate.comes is not Comes.CUT


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
