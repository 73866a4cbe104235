"""One HTTP exchange that is over by its deadline, whatever the other side does, and knows whether a byte went out.

::

    resolve ─ connect ─ TLS ─┊─ send request ─ wait ─ read ─▶ Answered
    └── failure: NotSent ────┊──── failure: Lost ────┘
                             ┊ from here a byte may have gone out

The line is drawn by the place in this code and never by an exception's class: a TLS connection that breaks while the
answer is awaited raises the same ``ssl.SSLError`` as a failed handshake, and the charge may have been booked.
"""

from __future__ import annotations

import io
import queue
import socket
import ssl
import threading
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, urlsplit

from payonce.gateways.exchange import Answered, Exchange, Lost, NotSent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock, Deadline

MAX_CONNECT_SECONDS = 2.0  # for each address; a connection takes milliseconds, and the next address deserves its chance
READ_CHUNK_BYTES = 64 * 1024
DEFAULT_PORTS = {"http": 80, "https": 443}


class DeadlineExchange:
    """Sends requests, each over a connection of its own. Never raises for what the network does.

    A connection kept from an earlier request may have been closed by the other side just now; a request written into it
    fails in a way that can't be told from one that was executed. A handshake is cheaper than a payment in doubt.
    """

    def __init__(self, clock: Clock, *, max_answer_bytes: int, ca_file: str | None = None) -> None:
        self._clock = clock
        self._max_answer_bytes = max_answer_bytes
        self._ca_file = ca_file

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Exchange:
        """Return the outcome of one request, at the latest at ``deadline``. Redirects are not followed."""
        target = urlsplit(url)
        budget = _Budget(self._clock, deadline)
        try:
            sock = self._connect(target, budget)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a host that can't be encoded
            return NotSent(f"no connection: {type(error).__name__}")
        with sock:
            try:
                return self._converse(_TimedSocket(sock, budget), method, target, headers, body)
            except (OSError, HTTPException) as error:
                return Lost(f"no complete answer: {type(error).__name__}")

    def _connect(self, target: SplitResult, budget: _Budget) -> socket.socket:
        host = target.hostname or ""
        sock = _connect_to_any(_resolve(host, target.port or DEFAULT_PORTS[target.scheme], budget), budget)
        if target.scheme == "http":
            return sock
        try:
            sock.settimeout(budget.seconds())  # bounds the whole handshake, not each of its messages
            return self._tls.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file)

    def _converse(
        self, sock: _TimedSocket, method: str, target: SplitResult, headers: Mapping[str, str], body: bytes | None
    ) -> Exchange:
        connection = HTTPConnection(target.hostname or "", target.port or DEFAULT_PORTS[target.scheme])
        connection.sock = cast("socket.socket", sock)
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        wire_headers = {**headers, "Accept-Encoding": "identity", "Connection": "close", "Host": target.netloc}
        connection.request(method, path, body=body, headers=wire_headers)
        response = connection.getresponse()
        if response.length is None and not response.chunked:
            # It ends where the connection ends, be it in the middle; also when it breaks within the headers.
            return Lost("the answer does not say how long it is")
        answer = b""
        while chunk := response.read(READ_CHUNK_BYTES):
            answer += chunk
            if len(answer) > self._max_answer_bytes:
                return Lost(f"the answer is over {self._max_answer_bytes} bytes")
        if response.length:
            return Lost("the answer was cut short")
        return Answered(response.status, {name.lower(): value for name, value in response.getheaders()}, answer)


@dataclass(frozen=True, slots=True)
class _Budget:
    """The time that is left for the exchange."""

    clock: Clock
    deadline: Deadline

    def seconds(self) -> float:
        """Return what is left. Raises ``TimeoutError`` when that is nothing: a socket takes 0 for "do not block"."""
        remaining_seconds = self.deadline.remaining_seconds(self.clock)
        if remaining_seconds <= 0:
            raise TimeoutError("the deadline is over")
        return remaining_seconds


class _TimedSocket:
    """What ``http.client`` needs of a socket. Each call gets the time that is left, so that dripping does not help."""

    def __init__(self, sock: socket.socket, budget: _Budget) -> None:
        self._sock = sock
        self._budget = budget

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        self._sock.settimeout(self._budget.seconds())
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader of what is received."""
        return io.BufferedReader(_TimedReader(self._sock, self._budget))

    def close(self) -> None:
        """Do nothing: the exchange closes the socket, after the answer has been read."""


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, budget: _Budget) -> None:
        self._sock = sock
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._sock.settimeout(self._budget.seconds())
        return self._sock.recv_into(buffer)


type _Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str | int, ...]]


def _resolve(host: str, port: int, budget: _Budget) -> list[_Address]:
    """Return the host's addresses. The system's resolver knows no deadline, so it is waited for from outside."""
    answers: queue.SimpleQueue[list[_Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(cast("list[_Address]", socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, ValueError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=budget.seconds())
    except queue.Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _connect_to_any(addresses: list[_Address], budget: _Budget) -> socket.socket:
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(MAX_CONNECT_SECONDS, budget.seconds()))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure
