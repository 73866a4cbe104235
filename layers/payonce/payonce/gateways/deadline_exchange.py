"""One HTTP exchange that ends by its deadline, whatever the other side does, and that knows whether a byte was sent.

::

    resolve ─ connect ─ TLS ─┊─ send request ─ wait ─ read ─▶ Answered
    └── failure: NotSent ────┊──── failure: Lost ────┘
                             ┊ from here a byte may have been sent

The place in this code draws that line, never an exception's class: a TLS connection that breaks while waiting for the
answer raises the same ``ssl.SSLError`` as a failed handshake, and the charge may have been booked.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import SplitResult, urlsplit

from payonce.domain.exchange import Answered, Exchange, Lost, NotSent, Oversized
from payonce.network.connect import ask_in_time, connect_to_any, start_tls
from payonce.network.http_answer import MalformedAnswer, read_body, read_head
from payonce.network.timed_socket import Budget, TimedSocket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.ports import Clock, Deadline

DEFAULT_PORTS = {"http": 80, "https": 443}

type Lines = tuple[tuple[str, str], ...]


class HttpExchange(Protocol):
    """Sends one request; see ``DeadlineExchange``."""

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Exchange:
        """Return the outcome of one request, by ``deadline`` at the latest."""
        ...


class DeadlineExchange:
    """Sends requests, each over its own connection. Never raises for what the network does.

    The other side may have just closed a kept connection. A request written into it fails in a way that can't be told
    from one that was executed. A handshake costs less than a payment in doubt.
    """

    def __init__(self, clock: Clock, *, max_answer_bytes: int, ca_file: str | None = None) -> None:
        self._clock = clock
        self._max_answer_bytes = max_answer_bytes
        self._ca_file = ca_file

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Exchange:
        """Return the outcome of one request, by ``deadline`` at the latest. Does not follow redirects."""
        wire = [*headers.items(), ("Accept-Encoding", "identity"), ("Host", urlsplit(url).netloc)]
        outcome = self.forward(
            method, url, lines=wire, body=body, deadline=deadline, max_answer_bytes=self._max_answer_bytes
        )
        if isinstance(outcome, Oversized):
            return Lost(f"the answer is over {self._max_answer_bytes} bytes")
        return outcome

    def forward(
        self,
        method: str,
        url: str,
        *,
        lines: Sequence[tuple[str, str]],
        body: bytes | None,
        deadline: Deadline,
        max_answer_bytes: int,
        unframed: bool = False,
    ) -> Exchange | Oversized:
        """Return the outcome of one request with exactly these header lines and those that frame the body.

        ``unframed`` accepts answers that end with the connection; a truncated one then passes as complete. Raises
        ``ValueError`` for an invalid target or header line, before anything is sent.
        """
        target = urlsplit(url)
        request = _prepared(method, target, lines, body)
        budget = Budget(self._clock, deadline)
        try:
            sock = self._connect(target, budget)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: the host can't be encoded
            return NotSent(f"no connection: {type(error).__name__}")
        with sock:
            try:
                timed = TimedSocket(sock, budget)
                return _converse(request, timed, method, body, max_answer_bytes, unframed=unframed)
            except MalformedAnswer as error:
                return Lost(f"no usable answer: {error}")
            except (OSError, HTTPException) as error:
                return Lost(f"no complete answer: {type(error).__name__}")

    def _connect(self, target: SplitResult, budget: Budget) -> socket.socket:
        host, port = target.hostname or "", target.port or DEFAULT_PORTS[target.scheme]
        found = ask_in_time(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), budget)
        sock = connect_to_any(((family, address) for family, *_, address in found), budget)
        return sock if target.scheme == "http" else start_tls(sock, self._tls, host, budget)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file)


def _prepared(method: str, target: SplitResult, lines: Sequence[tuple[str, str]], body: bytes | None) -> HTTPConnection:
    """Return a connection that holds the request's head but is not yet connected: this reveals invalid requests."""
    connection = HTTPConnection(target.hostname or "", target.port or DEFAULT_PORTS[target.scheme])
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    except HTTPException as error:
        raise ValueError(str(error)) from None
    framing = [] if body is None else [("Content-Length", str(len(body)))]
    for name, value in (*lines, *framing, ("Connection", "close")):
        connection.putheader(name, value)
    return connection


def _converse(
    connection: HTTPConnection, sock: TimedSocket, method: str, body: bytes | None, max_bytes: int, *, unframed: bool
) -> Exchange | Oversized:
    connection.sock = cast("socket.socket", sock)
    # The other side may refuse and close before it has read everything; its answer can then still be read.
    with suppress(ConnectionError):
        connection.endheaders(body)
    reader = sock.makefile("rb")
    head = read_head(reader, method)
    if head.length is None and not head.chunked and not unframed:
        return Lost("the answer does not say how long it is")
    answer = read_body(reader, head, max_bytes)
    if answer is None:
        return Oversized(head.status, head.lines)
    return Answered(head.status, {name.lower(): value for name, value in head.lines}, answer, head.lines)
