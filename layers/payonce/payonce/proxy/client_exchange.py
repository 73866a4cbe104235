"""One request and its answer on a client connection, as an ASGI application sees them.

https://asgi.readthedocs.io/en/latest/specs/www.html; an answer's body comes in one message.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from payonce.observability import get_logger
from payonce.proxy.http_request import body_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import MutableMapping

    from payonce.proxy.http_request import Head

    type Message = MutableMapping[str, Any]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = (b"connection", b"close")
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ClientLine(Protocol):
    """The connection of an exchange, and the application behind it."""

    app: Any
    loop: asyncio.AbstractEventLoop
    client: tuple[str, int] | None

    @property
    def is_closing(self) -> bool:
        """Whether the present answer is the last."""
        ...

    def keep_reading(self) -> None:
        """Take more of what the client sends."""
        ...

    def write(self, octets: bytes) -> None:
        """Send something before the answer."""
        ...

    def answer(self, octets: bytes, *, persistent: bool) -> None:
        """Send the answer, whole."""
        ...


class ClientExchange:
    """A request that is being received, worked on and answered.

    ``is_whole``: its body is complete. ``is_answered``: its answer was handed over, or there will be none.
    """

    def __init__(self, connection: ClientLine, head: Head) -> None:
        self._connection = connection
        self._head = head
        self._body = body_of(head)
        self._received = b""
        self._news: asyncio.Future[None] | None = None
        self._start: Message | None = None
        self._is_gone = False
        self._waits_for_continue = head.expects_continue
        self.is_whole = not head.chunked and not head.length
        self.is_answered = False

    @property
    def unread_bytes(self) -> int:
        """How much was received that the application has not taken."""
        return len(self._received)

    def take(self, data: bytes) -> bytes:
        """Take the body's next part out of ``data`` and return what is behind it. Raises ``BadRequest``."""
        if self.is_whole:
            return data
        part, rest, self.is_whole = self._body.take(data)
        if not self.is_answered:
            self._received = self._received + part if self._received else part
        self._tell()
        return rest

    def disconnect(self) -> None:
        """The client is gone, or will not be listened to any longer."""
        self._is_gone = True
        self._tell()

    async def run(self) -> None:
        """Let the application answer. An application that does not is a fault: 500, and the connection ends."""
        try:
            await self._connection.app(self._scope(), self._receive, self._send)
        except Exception:
            get_logger().exception("unforeseen error")
        finally:
            if not self.is_answered and not self._is_gone:
                self.is_answered = True
                self._connection.answer(_FAILED, persistent=False)

    def _scope(self) -> Message:
        head = self._head
        path, _, query = head.target.partition(b"?")
        text = path.decode("latin-1")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method.decode("latin-1"),
            "scheme": "http",
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": head.lines,
            "client": self._connection.client,
            "server": None,
        }

    async def _receive(self) -> Message:
        if self._waits_for_continue and not self._is_gone:
            self._waits_for_continue = False
            self._connection.write(_CONTINUE)
        while not (self._received or self.is_whole or self._is_gone or self.is_answered):
            self._connection.keep_reading()
            self._news = self._connection.loop.create_future()
            await self._news
        if self._is_gone or self.is_answered:
            return {"type": "http.disconnect"}
        part, self._received = self._received, b""
        self._connection.keep_reading()
        return {"type": "http.request", "body": part, "more_body": not self.is_whole}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start is None or self.is_answered:
            raise RuntimeError(f"{message['type']} does not follow")
        self.is_answered = True
        self._received = b""
        if self._is_gone:
            return
        status, lines = self._start["status"], self._start["headers"]
        persistent = self._head.persistent and not self._connection.is_closing and _CLOSE not in lines
        if not persistent and _CLOSE not in lines:
            lines = [*lines, _CLOSE]
        head = b"".join([b"%b: %b\r\n" % line for line in lines])
        start = b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, _PHRASES.get(status, b""), head)
        self._connection.answer(start + message["body"], persistent=persistent)

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
