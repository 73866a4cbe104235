"""Exchanges with one server from fibers, over connections that are kept open for the next one.

::

    take a kept connection ─ still quiet? ─┐
    resolve ─ connect ─ TLS ───────────────┴┊─ send ─ wait ─ read ─▶ Answered ─ framed, and nothing behind it? ─▶ keep
    └── failure: NotSent ───────────────────┊──── failure: Lost

The server may close a kept connection while a request is on its way. That can't be told from a request that was
executed, so it is ``Lost``, never sent again. What keeps it rare: a connection is used only within ``idle_seconds`` and
the time that the server names (``Keep-Alive: timeout``), both shorter than the server's patience, and only if it is
still open and silent at that moment.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from payonce import fibers
from payonce.domain.exchange import Answered, Exchange, Lost, NotSent, Oversized
from payonce.network.connect import MAX_CONNECT_SECONDS
from payonce.network.fiber_socket import FiberSocket
from payonce.network.http_answer import MalformedAnswer, read_body, read_head
from payonce.network.timed_socket import Budget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.network.http_answer import Head
    from payonce.ports import Clock, Deadline

DEFAULT_PORTS = {"http": 80, "https": 443}
# The server's patience begins with its answer, ours when we have read it; and a request takes time to arrive.
PATIENCE_MARGIN_SECONDS = 1
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"[!-~]+")
_PATIENCE = re.compile(r"(?:^|[,\s])timeout=([0-9]{1,6})(?:$|[,\s])", re.IGNORECASE)
# The server has tied this connection to a user (NTLM, Negotiate), or is about to: nobody else may have it.
_PERSONAL = frozenset({401, 407})


class _Connection:
    """A connection and what has been received on it."""

    def __init__(self, sock: FiberSocket) -> None:
        self.sock = sock
        self.budget: Budget
        self._received = b""

    def readline(self, size: int) -> bytes:
        """Return a line with its end, what there is of it at the end of the answer, or its first ``size`` bytes."""
        while (end := self._received.find(b"\n") + 1) == 0 and len(self._received) < size and self._more():
            pass
        return self._take(min(end or size, size))

    def read1(self, size: int) -> bytes:
        """Return up to ``size`` bytes, as soon as there is one; b"" at the end."""
        if not self._received:
            self._more()
        return self._take(size)

    def is_at_rest(self) -> bool:
        """Whether nothing was received beyond the answer."""
        return not self._received

    def _more(self) -> bool:
        received = self.sock.receive(self.budget)
        self._received += received
        return bool(received)

    def _take(self, size: int) -> bytes:
        taken, self._received = self._received[:size], self._received[size:]
        return taken


class KeptExchange:
    """``UpstreamTransport`` for the fibers of one event loop, to one upstream. See the module.

    ``idle_seconds``: for how long a connection without a request is kept; with 0 each request has its own.
    """

    def __init__(self, clock: Clock, *, idle_seconds: float, ca_file: str | None = None) -> None:
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._ca_file = ca_file
        self._kept: list[tuple[float, _Connection]] = []  # with the end of their time, the newest last
        self._sweep: asyncio.TimerHandle | None = None

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
        """See the port. ``unframed`` accepts answers that end with the connection, cut short or not."""
        target = urlsplit(url)
        request = _rendered(method, target, lines, body)
        budget = Budget(self._clock, deadline)
        try:
            budget.seconds()
            connection = self._take() or _Connection(self._connected(target, budget))
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: the host can't be encoded
            return NotSent(f"no connection: {type(error).__name__}")
        connection.budget = budget
        kept = False
        try:
            outcome, kept = self._converse(connection, method, request, max_answer_bytes, unframed=unframed)
            return outcome
        except MalformedAnswer as error:
            return Lost(f"no usable answer: {error}")
        except OSError as error:
            return Lost(f"no complete answer: {type(error).__name__}")
        finally:
            if not kept:
                connection.sock.close()

    def close(self) -> None:
        """Close the kept connections."""
        kept, self._kept = self._kept, []
        for _, connection in kept:
            connection.sock.close()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _converse(
        self, connection: _Connection, method: str, request: bytes, max_bytes: int, *, unframed: bool
    ) -> tuple[Exchange | Oversized, bool]:
        """Return the outcome, and whether the connection was kept."""
        is_sent = False
        # The other side may refuse and close before it has read everything; its answer can then still be read.
        with suppress(ConnectionError):
            connection.sock.send(request, connection.budget)
            is_sent = True
        head = read_head(connection, method)
        if head.length is None and not head.chunked and not unframed:
            return Lost("the answer does not say how long it is"), False
        answer = read_body(connection, head, max_bytes)
        if answer is None:
            return Oversized(head.status, head.lines), False
        kept = is_sent and connection.is_at_rest() and self._keep(connection, head)
        return Answered(head.status, {name.lower(): value for name, value in head.lines}, answer, head.lines), kept

    def _keep(self, connection: _Connection, head: Head) -> bool:
        seconds = min(self._idle_seconds, _patience_seconds(head) - PATIENCE_MARGIN_SECONDS)
        # What a server sends by mistake behind an answer without a body would be the next request's answer.
        has_end = head.chunked or bool(head.length)
        if not head.persistent or not has_end or seconds <= 0 or head.status in _PERSONAL:
            return False
        loop = asyncio.get_running_loop()
        self._kept.append((loop.time() + seconds, connection))
        if self._sweep is None:
            self._sweep = loop.call_later(self._idle_seconds, self._drop_old)
        return True

    def _take(self) -> _Connection | None:
        now = asyncio.get_running_loop().time()
        while self._kept:
            until, connection = self._kept.pop()
            if until > now and connection.sock.is_quiet():
                return connection
            connection.sock.close()
        return None

    def _drop_old(self) -> None:
        loop = asyncio.get_running_loop()
        old = [connection for until, connection in self._kept if until <= loop.time()]
        self._kept = [(until, connection) for until, connection in self._kept if until > loop.time()]
        for connection in old:
            connection.sock.close()
        self._sweep = loop.call_later(self._idle_seconds, self._drop_old) if self._kept else None

    def _connected(self, target: SplitResult, budget: Budget) -> FiberSocket:
        host, port = target.hostname or "", target.port or DEFAULT_PORTS[target.scheme]
        found = fibers.in_own_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), budget.seconds())
        failure = OSError("the name has no address")
        for family, *_, address in found:
            sock = FiberSocket.of(family)
            try:
                sock.connect(address, budget.at_most(MAX_CONNECT_SECONDS))
            except OSError as error:
                sock.close()
                failure = error
                continue
            try:
                if target.scheme == "https":
                    sock.start_tls(self._tls, host, budget)
            except BaseException:
                sock.close()
                raise
            return sock
        raise failure

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file)


def _patience_seconds(head: Head) -> float:
    """Return for how long the server says that it keeps the connection (RFC 2068, 19.7.1.1), or infinity."""
    for name, value in head.lines:
        if name.lower() == "keep-alive":
            found = _PATIENCE.search(value)
            return int(found[1]) if found else float("inf")
    return float("inf")


def _rendered(method: str, target: SplitResult, lines: Sequence[tuple[str, str]], body: bytes | None) -> bytes:
    """Return the request as it is sent. Raises ``ValueError`` for what would be another request than it says."""
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    if not _NAME.fullmatch(method) or not _TARGET.fullmatch(path):
        raise ValueError("the method or the target is not one")
    framing = [] if body is None else [("Content-Length", str(len(body)))]
    head = [f"{method} {path} HTTP/1.1"]
    for name, value in (*lines, *framing):
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError("a header line is not one")
        head.append(f"{name}: {value}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (body or b"")
