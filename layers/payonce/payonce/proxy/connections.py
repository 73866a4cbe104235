"""The sidecar's client connections: HTTP/1 in, an ASGI application behind, and limits on waiting and on their number.

uvicorn runs the process; its own connections know no deadline for a head or an answer
(https://github.com/Kludex/uvicorn/issues/157), and take more CPU than all that the sidecar does with a request. The
body's deadline is the application's.

::

    connected ─ head_timeout ─▶ head complete ─ body_timeout ─▶ in work ─▶ answered ─ ANSWER_SECONDS ─▶ read
        ▲                                                                    │
        └─────────────── next request's first byte ◀─ IDLE_SECONDS ──────────┘
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from payonce.proxy.client_exchange import ClientExchange
from payonce.proxy.http_request import HEAD_END, BadRequest, split_head

if TYPE_CHECKING:
    import uvicorn
    from uvicorn.server import ServerState

    from payonce.proxy.config_process import Server

IDLE_SECONDS = 15  # for a kept connection without a request; the client is in the same pod
ANSWER_SECONDS = 30  # for a client on the same machine to read some megabytes
MAX_UNREAD_BYTES = 64 * 1024  # received and not yet taken: more is left with the system
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_REFUSED = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b"
)


class Connection(asyncio.Protocol):
    """One client connection. ``connection_class`` makes the class for a server; uvicorn makes and ends connections."""

    head_timeout_seconds: ClassVar[float]
    max_connections: ClassVar[int]
    waiting: ClassVar[dict[Connection, None]]  # those without a complete head, the longest waiting first

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        del app_state
        self.app = config.loaded_app
        self.loop = _loop or asyncio.get_event_loop()
        self.transport: asyncio.Transport
        self.client: tuple[str, int] | None = None
        self._server_state = server_state
        self._unread = b""
        self._searched_bytes = 0  # of the unread, which hold no head's end
        self._exchange: ClientExchange | None = None
        self._is_advancing = self._is_paused = self._is_closing = self._has_begun = False
        self._idle_since = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, dropping the one that has waited longest for its head if there are too many."""
        self.transport = transport
        self.client = transport.get_extra_info("peername")
        connections: set[Any] = self._server_state.connections
        connections.add(self)
        if len(connections) > self.max_connections:
            oldest = next(iter(self.waiting), self)
            self.waiting.pop(oldest, None)
            oldest.transport.abort()
            if oldest is self:
                return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read. The head's timeout starts with its first byte, and no later byte extends it."""
        self._unread = self._unread + data if self._unread else data
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection and its timers."""
        del exc
        connections: set[Any] = self._server_state.connections
        connections.discard(self)
        self._stop_waiting()
        for timer in (self._answer_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        if self._exchange is not None:
            self._exchange.disconnect()

    def shutdown(self) -> None:
        """Close the connection, after the answer to the request that is being worked on. uvicorn calls this."""
        self._is_closing = True
        if self._exchange is None or self._exchange.is_answered:
            self.transport.close()

    def keep_reading(self) -> None:
        """Take more of what the client sends."""
        if self._is_paused and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    def write(self, octets: bytes) -> None:
        """Send something before the answer."""
        if not self.transport.is_closing():
            self.transport.write(octets)

    def answer(self, octets: bytes, *, persistent: bool) -> None:
        """Send the answer of the present exchange, whole. ``persistent``: the connection may go on behind it."""
        if self.transport.is_closing():
            return
        self.transport.write(octets)
        self._server_state.total_requests += 1
        if not persistent or self._is_closing:
            self.transport.close()
        if self._answer_timer is None and self.transport.get_write_buffer_size():
            self._answer_timer = self.loop.call_later(ANSWER_SECONDS, self._answer_late)
        self._advance()

    @property
    def is_closing(self) -> bool:
        """Whether the present answer is the last."""
        return self._is_closing

    def _advance(self) -> None:
        """Go on as far as what was received allows. Called within itself by an application that answers at once."""
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while not self.transport.is_closing() and self._step():
                pass
        except BadRequest as error:
            self._refuse(str(error).encode())
        finally:
            self._is_advancing = False

    def _step(self) -> bool:
        """Make one step; return whether another may be possible."""
        exchange = self._exchange
        if exchange is None:
            return self._begin()
        if not exchange.is_whole:
            if self._unread:
                self._unread = exchange.take(self._unread)
            if not exchange.is_whole:
                self._pause_if(exchange.unread_bytes > MAX_UNREAD_BYTES)
                if exchange.is_answered and self._head_timer is None:
                    self._await_head()  # nobody needs the rest of this body
                return False
        if not exchange.is_answered:
            self._pause_if(len(self._unread) > MAX_UNREAD_BYTES)
            return False
        self._exchange, self._has_begun = None, False
        self._stop_waiting()
        self._idle()
        self.keep_reading()
        return True

    def _begin(self) -> bool:
        if not self._unread:
            return False
        self._has_begun = True
        found = split_head(self._unread, self._searched_bytes)
        if found is None:
            self._searched_bytes = max(len(self._unread) - len(HEAD_END), 0)
            if self._head_timer is None:
                self._await_head()
            return False
        self._stop_waiting()
        self._searched_bytes = 0
        head, self._unread = found
        self._exchange = ClientExchange(self, head)
        if self._unread:
            self._unread = self._exchange.take(self._unread)
        # Run at once as far as it gets: most requests are whole by now.
        task = asyncio.Task(self._exchange.run(), loop=self.loop, eager_start=True)
        if not task.done():
            self._server_state.tasks.add(task)
            task.add_done_callback(self._server_state.tasks.discard)
        return True

    def _refuse(self, why: bytes) -> None:
        if self._exchange is None or not self._exchange.is_answered:
            self.transport.write(_REFUSED % (len(why), why))
        if self._exchange is not None:
            self._exchange.disconnect()
        self.transport.close()

    def _pause_if(self, full: bool) -> None:
        if full and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def _idle(self) -> None:
        self.waiting[self] = None
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(IDLE_SECONDS, self._idle_late)

    def _idle_late(self) -> None:
        self._idle_timer = None
        if self._exchange is not None or self._has_begun:
            return  # the end of that request begins the time anew
        left_seconds = self._idle_since + IDLE_SECONDS - self.loop.time()
        if left_seconds > 0:
            self._idle_timer = self.loop.call_later(left_seconds, self._idle_late)
        else:
            self.transport.close()

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
        if self._has_begun and self._exchange is None and not self.transport.is_closing():
            self.transport.write(_TOO_LATE)
        self.transport.close()

    def _answer_late(self) -> None:
        self._answer_timer = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()


def connection_class(server: Server) -> type[Connection]:
    """Return the class for a server's connections, with the server's limits."""
    limits = {
        "head_timeout_seconds": server.head_timeout_seconds,
        "max_connections": server.max_connections,
        "waiting": {},
    }
    return type("ServerConnection", (Connection,), limits)
