"""One bounded HTTP exchange with a gateway, and the line between "certainly never sent" and "unknown".

::

    resolve ─ connect ─ TLS ─┊─ send request ─ wait ─ read ─▶ Answered
    └── failure: NotSent ────┊──── failure: Lost ────┘
                             ┊ from here a byte may have gone out

"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    SSLError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock, Deadline

MAX_ANSWER_BYTES = 256 * 1024  # a gateway's answer is some KB; anything near this is not an answer
MAX_CONNECT_SECONDS = 2.0  # a connection takes milliseconds; waiting longer only eats the request's budget
READ_CHUNK_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not one byte of the request went out."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The request may have arrived; there is no usable answer."""

    reason: str


type Exchange = Answered | NotSent | Lost


class HttpExchange:
    """Sends requests to one gateway. Never raises for what the network does.

    Every exchange opens its own connection: on a reused one that the gateway has just closed, a request fails in a way
    that can't be told from one that was executed, and a payment would be in doubt for the sake of a handshake.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Exchange:
        """Return the outcome of one request, at the latest at ``deadline`` (the whole exchange, body included)."""
        remaining_seconds = deadline.remaining_seconds(self._clock)
        if remaining_seconds <= 0:
            return NotSent("no time left")
        timeout = urllib3.Timeout(connect=min(MAX_CONNECT_SECONDS, remaining_seconds), read=remaining_seconds)
        with urllib3.PoolManager(num_pools=1, maxsize=1, retries=False) as pool:
            try:
                response = pool.request(
                    method,
                    url,
                    headers={**headers, "accept-encoding": "identity", "connection": "close"},
                    body=body,
                    timeout=timeout,
                    redirect=False,
                    preload_content=False,
                )
                return self._read(response, deadline)
            except (NewConnectionError, ConnectTimeoutError, SSLError) as error:
                return NotSent(type(error).__name__)
            except MaxRetryError as error:
                reason = error.reason
                if isinstance(reason, NewConnectionError | ConnectTimeoutError | SSLError):
                    return NotSent(type(reason).__name__)
                return Lost(type(reason).__name__)
            except (HTTPError, OSError) as error:
                return Lost(type(error).__name__)

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: Deadline) -> Exchange:
        body = b""
        while True:
            remaining_seconds = deadline.remaining_seconds(self._clock)
            if remaining_seconds <= 0:
                response.close()
                return Lost("the answer was not complete by the deadline")
            _set_read_timeout(response, remaining_seconds)
            chunk = response.read1(READ_CHUNK_BYTES)
            if not chunk:
                break
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                response.close()
                return Lost(f"the answer is over {MAX_ANSWER_BYTES} bytes")
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answered(response.status, headers, body)


def _set_read_timeout(response: urllib3.BaseHTTPResponse, seconds: float) -> None:
    # A read timeout starts anew with each read, so a dripping answer would never meet it: shorten it every time.
    connection = getattr(response, "_connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        sock.settimeout(seconds)
