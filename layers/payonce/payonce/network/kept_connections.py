"""Connections to one AWS endpoint that are kept open between requests.

::

    connect ─ TLS ─┊─ send ─ wait ─ read ─▶ Answer
    └─ NotSent ────┊── Lost ──┘
                   ┊ from here the service may have executed the request

The place in this code draws that line, as in ``gateways.deadline_exchange``.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time
import weakref
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from payonce.network.http_answer import MalformedAnswer, read_body, read_head

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

# DynamoDB's largest answer, a BatchGetItem's, has 16 MB of items, which base64 and JSON's escapes lengthen.
MAX_ANSWER_BYTES = 100 * 1024 * 1024
# A connection that was idle for longer is not used again. The service may have closed it while the function's
# environment was frozen, and a write that is sent into a closed connection is in doubt; a new one takes milliseconds.
MAX_IDLE_SECONDS = 20
DEFAULT_PORTS = {"http": 80, "https": 443}


class NotSent(Exception):
    """No byte of the request was sent. ``timed_out`` tells whether the time for connecting was over."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.timed_out = isinstance(reason, TimeoutError)


class Lost(Exception):
    """The request may have arrived, but no whole answer has. ``timed_out`` tells whether the time was over."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.timed_out = isinstance(reason, TimeoutError)


class Answer:
    """Status, headers by lower-case name, and body of a whole answer."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Connections:
    """Sends requests to the endpoint ``url``, each over a connection of its own while it lasts. Thread-safe.

    ``read_seconds`` bounds each wait for bytes, ``most_idle`` the connections that are kept. ``wall`` returns epoch
    seconds: unlike a monotonic clock it goes on while an environment is frozen.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_seconds: float,
        read_seconds: float,
        most_idle: int,
        ca_file: str | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"not an address of a service: {url}")
        self._secure = parts.scheme == "https"
        self._address = (parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])
        self.host = parts.netloc.rpartition("@")[2]
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._ca_file = ca_file
        self._wall = wall
        # The one used last is taken first, so that a burst's further connections become idle and are closed.
        self._idle: deque[tuple[float, socket.socket, io.BufferedReader]] = deque(maxlen=most_idle)
        self._lock = threading.Lock()
        self._owner = os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    def post(self, headers: dict[str, str], body: bytes) -> Answer:
        """Return the answer to a POST to the root path. Raises ``NotSent`` and ``Lost``."""
        sock, reader = self._take()
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        try:
            sock.sendall(f"POST / HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body)
            answered = read_head(reader, "POST")
            content = read_body(reader, answered, MAX_ANSWER_BYTES)
            if content is None or (answered.length is None and not answered.chunked):
                raise MalformedAnswer("the answer is too long, or does not say how long it is")
        except (OSError, MalformedAnswer) as error:
            _close(sock, reader)
            raise Lost(error) from error
        except BaseException:
            _close(sock, reader)
            raise
        fields = {name.lower(): value for name, value in answered.lines}
        if fields.get("connection", "").lower() == "close":
            _close(sock, reader)
        else:
            self._keep(sock, reader)
        return Answer(answered.status, fields, content)

    def close(self) -> None:
        """Close the connections that are kept. The next request opens one."""
        with self._lock:
            idle = deque(self._idle)
            self._idle.clear()
        _close_all(idle)

    def _take(self) -> tuple[socket.socket, io.BufferedReader]:
        if self._owner != os.getpid():  # a forked process must not write into its parent's connections
            _close_all(self._idle)
            self._owner = os.getpid()
        while True:
            with self._lock:
                if not self._idle:
                    break
                since, sock, reader = self._idle.pop()
            if 0 <= self._wall() - since <= MAX_IDLE_SECONDS and not self._has_something(sock, reader):
                return sock, reader
            _close(sock, reader)
        try:
            return self._connect()
        except OSError as error:
            raise NotSent(error) from error

    def _has_something(self, sock: socket.socket, reader: io.BufferedReader) -> bool:
        """Return whether the idle connection is closed, or holds bytes that nobody asked for.

        They would pass for the beginning of the next request's answer, also those that are buffered already.
        """
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLPRI)
        if poll.poll(0):
            return True
        sock.settimeout(0)
        try:
            return bool(reader.peek(1))
        except ssl.SSLWantReadError:
            return False
        finally:
            sock.settimeout(self._read_seconds)

    def _connect(self) -> tuple[socket.socket, io.BufferedReader]:
        sock = socket.create_connection(self._address, self._connect_seconds)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._secure:
                sock = self._tls.wrap_socket(sock, server_hostname=self._address[0])
            sock.settimeout(self._read_seconds)
            return sock, sock.makefile("rb")
        except BaseException:
            sock.close()
            raise

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def _keep(self, sock: socket.socket, reader: io.BufferedReader) -> None:
        with self._lock:
            surplus = self._idle.popleft() if len(self._idle) == self._idle.maxlen else None
            self._idle.append((self._wall(), sock, reader))
        if surplus is not None:
            _close(*surplus[1:])


def _close_all(idle: deque[tuple[float, socket.socket, io.BufferedReader]]) -> None:
    while idle:
        _close(*idle.pop()[1:])


def _close(sock: socket.socket, reader: io.BufferedReader) -> None:
    reader.close()
    sock.close()
