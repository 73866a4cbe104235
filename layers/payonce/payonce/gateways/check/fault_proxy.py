"""The way from the adapter to the vendor's server, which can break in every way in which HTTP breaks.

::

    adapter ──▶ proxy ──▶ server        BEFORE: the request never reaches the server
            ◀──       ◀──               AFTER: the server has answered, and the adapter does not get that answer
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOST = "127.0.0.1"
UPSTREAM_TIMEOUT_SECONDS = 30
HELD_SECONDS = 8  # how long a silent or dripping answer goes on: far beyond the deadline of those checks
DRIP_SECONDS = 0.05
SLOW_SECONDS = 0.3
HUGE_BYTES = 64 * 1024 * 1024
READS = frozenset({"GET", "HEAD"})
_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "date", "server"})
ELSEWHERE = "/elsewhere-of-the-redirect"


class Fault(StrEnum):
    """What happens to a request."""

    DROP_BEFORE = "the connection closes before the request arrives"
    SILENT_BEFORE = "the request does not arrive and nothing is answered"
    DROP_AFTER = "the connection closes after the request was executed"
    RESET_AFTER = "the connection is reset after the request was executed"
    SILENT_AFTER = "the request is executed and nothing is answered"
    TRUNCATED_AFTER = "half of the answer's body arrives"
    DRIP_AFTER = "the answer arrives a byte at a time, for longer than the deadline"
    GARBAGE_AFTER = "the answer's body is not JSON"
    EMPTY_OBJECT_AFTER = "the answer's body is {}"
    LIST_AFTER = "the answer's body is a list"
    HTML_AFTER = "the answer is 200 with a page of HTML"
    HUGE_AFTER = "the answer's body has 64 MiB"
    OTHERS_ANSWER_AFTER = "the answer is the one to another request"
    SLOW_AFTER = "the answer comes a moment later"
    STATUS_500_AFTER = "500 after the request was executed"
    STATUS_502_AFTER = "502 of an intermediary after the request was executed"
    STATUS_504_AFTER = "504 of an intermediary after the request was executed"
    REDIRECT_BEFORE = "302 to another address"
    STATUS_401_BEFORE = "401"
    STATUS_429_BEFORE = "429 with Retry-After"
    STATUS_500_BEFORE = "500 before the request is executed"
    STATUS_503_BEFORE = "503"

    @property
    def slug(self) -> str:
        """Return its name as checks are named after it."""
        return self.name.lower()

    @property
    def forwards(self) -> bool:
        """Return whether the server gets the request."""
        return self.name.endswith("_AFTER")


_STATUSES = {
    Fault.STATUS_500_AFTER: 500,
    Fault.STATUS_502_AFTER: 502,
    Fault.STATUS_504_AFTER: 504,
    Fault.REDIRECT_BEFORE: 302,
    Fault.STATUS_401_BEFORE: 401,
    Fault.STATUS_429_BEFORE: 429,
    Fault.STATUS_500_BEFORE: 500,
    Fault.STATUS_503_BEFORE: 503,
}
_BODIES = {Fault.GARBAGE_AFTER: b"<<no JSON>>", Fault.EMPTY_OBJECT_AFTER: b"{}", Fault.LIST_AFTER: b"[1]"}


@dataclass(frozen=True, slots=True)
class Relayed:
    """An answer of the server."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass
class FaultProxy:
    """A running proxy. ``seen`` has the method and path of every request, ``sent_bytes`` those of the last answer."""

    url: str
    _server: str
    seen: list[tuple[str, str]] = field(default_factory=list)
    sent_bytes: int = 0
    _fault: Fault | None = None
    _reads_too: bool = False
    _other: Relayed | None = None
    _released: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def broken(self, fault: Fault, *, reads_too: bool = False) -> Iterator[None]:
        """Break every request that changes something within the context, and with ``reads_too`` all others as well."""
        self._released = threading.Event()
        self._fault, self._reads_too = fault, reads_too
        try:
            yield
        finally:
            self._fault = None
            self._released.set()

    def carry(self, handler: BaseHTTPRequestHandler) -> None:
        """Carry one request and its answer, as far as the fault lets them."""
        length = int(handler.headers.get("content-length") or 0)
        body = handler.rfile.read(length) if length else None
        self.seen.append((handler.command, handler.path))
        fault = self._fault if self._reads_too or handler.command not in READS else None
        if fault is not None and not fault.forwards:
            self._fail(handler, fault, Relayed(500, (), b""))
            return
        answer = self._ask(handler, body)
        if fault is not None:
            self._fail(handler, fault, answer)
            return
        if handler.command not in READS and answer.status < 300:
            self._other = answer
        self._write(handler, answer)

    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes | None) -> Relayed:
        connection = HTTPConnection(self._server, timeout=UPSTREAM_TIMEOUT_SECONDS)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP_BY_HOP}
        connection.request(handler.command, handler.path, body, headers)
        try:
            response = connection.getresponse()
            return Relayed(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def _fail(self, handler: BaseHTTPRequestHandler, fault: Fault, answer: Relayed) -> None:
        instead = self._instead(fault, answer)
        if instead is not None:
            self._write(handler, instead)
        elif fault is Fault.TRUNCATED_AFTER:
            self._write(handler, answer, upto=max(1, len(answer.body) // 2))
        elif fault is Fault.SLOW_AFTER:
            self._released.wait(SLOW_SECONDS)
            self._write(handler, answer)
        elif fault is Fault.DRIP_AFTER:
            self._drip(handler, answer)
        elif fault in {Fault.SILENT_BEFORE, Fault.SILENT_AFTER}:
            self._released.wait(HELD_SECONDS)
        elif fault is Fault.RESET_AFTER:
            # SO_LINGER with a time of zero: closing sends a reset.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()

    def _instead(self, fault: Fault, answer: Relayed) -> Relayed | None:
        """Return the complete answer that a fault gives instead of the server's, or ``None`` for the other faults."""
        if fault in _STATUSES:
            return Relayed(_STATUSES[fault], self._headers_of(fault), b"{}")
        if fault in _BODIES:
            return Relayed(answer.status, _JSON, _BODIES[fault])
        if fault is Fault.HTML_AFTER:
            return Relayed(200, (("content-type", "text/html"),), b"<html>Welcome</html>")
        if fault is Fault.HUGE_AFTER:
            return Relayed(answer.status, _JSON, b" " * HUGE_BYTES)
        return self._other if fault is Fault.OTHERS_ANSWER_AFTER else None

    def _headers_of(self, fault: Fault) -> Sequence[tuple[str, str]]:
        if fault is Fault.REDIRECT_BEFORE:
            return (*_JSON, ("location", self.url + ELSEWHERE))
        return (*_JSON, ("retry-after", "2")) if fault is Fault.STATUS_429_BEFORE else _JSON

    def _write(self, handler: BaseHTTPRequestHandler, answer: Relayed, *, upto: int | None = None) -> None:
        self._head(handler, answer)
        self.sent_bytes = 0
        for start in range(0, len(answer.body if upto is None else answer.body[:upto]), 65_536):
            chunk = answer.body[start : min(start + 65_536, len(answer.body) if upto is None else upto)]
            handler.wfile.write(chunk)
            self.sent_bytes += len(chunk)

    def _drip(self, handler: BaseHTTPRequestHandler, answer: Relayed) -> None:
        give_up = time.monotonic() + HELD_SECONDS
        padded = Relayed(answer.status, answer.headers, answer.body + b" " * 10_000)
        self._head(handler, padded)
        for byte in padded.body:
            if self._released.wait(DRIP_SECONDS) or time.monotonic() > give_up:
                return
            handler.wfile.write(bytes([byte]))

    @staticmethod
    def _head(handler: BaseHTTPRequestHandler, answer: Relayed) -> None:
        handler.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP:
                handler.send_header(name, value)
        handler.send_header("content-length", str(len(answer.body)))
        handler.send_header("connection", "close")
        handler.end_headers()


_JSON = (("content-type", "application/json"),)


@contextmanager
def running_fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """Run a proxy before ``upstream`` and yield it: its ``url`` has the path of ``upstream``."""
    target = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            self.raw_requestline = self.rfile.readline(65_537)
            if self.raw_requestline and self.parse_request():
                with suppress(OSError):
                    proxy.carry(self)
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            del request, client_address  # a client that goes away in the middle is what the faults are about

    server = Server((HOST, 0), Handler)
    proxy = FaultProxy(f"http://{HOST}:{server.server_address[1]}{target.path}", target.netloc)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
