"""The sidecar's side of a client's connection: uvicorn's, with an end to waiting and to their number.

uvicorn knows one timeout, between two requests, and the first byte of the next one ends it: a head that never becomes
whole stays for ever, and an answer that nobody reads too (https://github.com/Kludex/uvicorn/issues/157). An ASGI
application can't help, as it is called once a head is whole. The body's deadline is the application's.

::

    connected ─ head_timeout ─▶ head whole ─ body_timeout ─▶ worked on ─▶ answered ─ ANSWER_SECONDS ─▶ taken
        ▲                                                                    │
        └─────────────── next request's first byte ◀─ IDLE_SECONDS ──────────┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from payonce.proxy.config_process import Server

IDLE_SECONDS = 15  # a kept connection without a request; behind it is a client in the same pod
ANSWER_SECONDS = 30  # to take an answer of some megabytes from a process on the same machine
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Connection(H11Protocol):
    """One connection. Made for a server by ``connection_class``."""

    head_timeout_seconds: ClassVar[float]
    max_connections: ClassVar[int]
    waiting: ClassVar[dict[Connection, None]]  # those without a whole head, the one that waits longest first

    _head_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None
    _has_begun = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, and make room for it: a client that means it has sent its head by the next one."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            oldest = next(iter(self.waiting), self)
            self.waiting.pop(oldest, None)
            oldest.transport.abort()
            if oldest is self:
                return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read; the head's time begins with its first byte and is not prolonged by any other."""
        if self._is_idle:
            self._has_begun = True
            if self._head_timer is None:
                self._await_head()
        super().data_received(data)
        if not self._is_idle:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the answer to be taken."""
        super().on_response_complete()
        self._has_begun = False
        if self._answer_timer is None:
            self._answer_timer = self.loop.call_later(ANSWER_SECONDS, self._answer_late)
        if self._is_idle:
            self.waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        if self._answer_timer is not None:
            self._answer_timer.cancel()
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being served: the next one's head is waited for."""
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
    """Return the class of a server's connections, with its limits."""
    limits = {
        "head_timeout_seconds": server.head_timeout_seconds,
        "max_connections": server.max_connections,
        "waiting": {},
    }
    return type("ServerConnection", (Connection,), limits)
