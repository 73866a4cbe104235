"""One HTTP exchange that is over by its deadline, whatever the other side does, and knows whether a byte went out.

::

    resolve ─ connect ─ TLS ─┊─ send request ─ wait ─ read ─▶ Answered
    └── failure: NotSent ────┊──── failure: Lost ────┘
                             ┊ from here a byte may have gone out

The line is drawn by the place in this code and never by an exception's class: a TLS connection that breaks while the
answer is awaited raises the same ``ssl.SSLError`` as a failed handshake, and the charge may have been booked.
"""

from __future__ import annotations

import socket
import ssl
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, urlsplit

from payonce.gateways.exchange import Answered, Exchange, Lost, NotSent
from payonce.network.connect import ask_in_time, connect_to_any, start_tls
from payonce.network.timed_socket import Budget, TimedSocket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock, Deadline

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
        budget = Budget(self._clock, deadline)
        try:
            sock = self._connect(target, budget)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a host that can't be encoded
            return NotSent(f"no connection: {type(error).__name__}")
        with sock:
            try:
                return self._converse(TimedSocket(sock, budget), method, target, headers, body)
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

    def _converse(
        self, sock: TimedSocket, method: str, target: SplitResult, headers: Mapping[str, str], body: bytes | None
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
