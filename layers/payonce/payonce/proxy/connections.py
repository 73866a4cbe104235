"""The sidecar's client connections: uvicorn's, with limits on waiting and on their number.

uvicorn has only the timeout between two requests, which ends with the next one's first byte. An incomplete head or an
unread answer keeps its connection for ever (https://github.com/Kludex/uvicorn/issues/157). An ASGI application can't
help, as it is called once the head is complete. The body's deadline is the application's.

::

    connected ─ head_timeout ─▶ head complete ─ body_timeout ─▶ in work ─▶ answered ─ ANSWER_SECONDS ─▶ read
        ▲                                                                    │
        └─────────────── next request's first byte ◀─ IDLE_SECONDS ──────────┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from payonce.extras import needs

with needs("sidecar"):
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from payonce.proxy.config_process import Server

IDLE_SECONDS = 15  # for a kept connection without a request; the client is in the same pod
ANSWER_SECONDS = 30  # for a client on the same machine to read some megabytes
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Connection(H11Protocol):
    """One client connection. ``connection_class`` makes the class for a server."""

    head_timeout_seconds: ClassVar[float]
    max_connections: ClassVar[int]
    waiting: ClassVar[dict[Connection, None]]  # those without a complete head, the longest waiting first

    _head_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None
    _has_begun = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, dropping the one that has waited longest for its head if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            oldest = next(iter(self.waiting), self)
            self.waiting.pop(oldest, None)
            oldest.transport.abort()
            if oldest is self:
                return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read. The head's timeout starts with its first byte, and no later byte extends it."""
        if self._is_idle:
            self._has_begun = True
            if self._head_timer is None:
                self._await_head()
        super().data_received(data)
        if not self._is_idle:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the client to read the answer."""
        super().on_response_complete()
        self._has_begun = False
        if self._answer_timer is None:
            self._answer_timer = self.loop.call_later(ANSWER_SECONDS, self._answer_late)
        if self._is_idle:
            self.waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection and its timers."""
        self._stop_waiting()
        if self._answer_timer is not None:
            self._answer_timer.cancel()
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being served, so that the connection waits for the next head."""
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self.waiting.setdefault(self)
        self._head_timer = self.loop.call_later(self.head_timeout_seconds, self._head_late)

    def _stop_waiting(self) -> None:
        self.waiting.pop(self, None)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._stop_waiting()
        if self._has_begun and self.conn.our_state is h11.IDLE and not self.transport.is_closing():
            self.transport.write(_TOO_LATE)
        self.transport.close()

    def _answer_late(self) -> None:
        self._answer_timer = None
        if self.transport.get_write_buffer_size():  # type: ignore[attr-defined, unused-ignore]
            self.transport.abort()


def connection_class(server: Server) -> type[Connection]:
    """Return the class for a server's connections, with the server's limits."""
    limits = {
        "head_timeout_seconds": server.head_timeout_seconds,
        "max_connections": server.max_connections,
        "waiting": {},
    }
    return type("ServerConnection", (Connection,), limits)
