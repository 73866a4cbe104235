"""Calls a middleware without a server: an ASGI connection in code, and contracts with records in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.middlewares.contract import Contract
from payonce.stores.memory import MemoryDatabase
from tests.support.http import Answer
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = "7f9c24e8-3b12-4fef-91e0"
TIMEOUT_SECONDS = 5
LEASE_MS = 60_000  # later than any lease of these contracts, with its wait and its margin


def contract(**changes: Any) -> Contract:
    """Return a contract over a new memory."""
    parts = {"store": DatabaseIdempotencyStore(MemoryDatabase()), "timeout_seconds": TIMEOUT_SECONDS}
    return Contract(**{**parts, "clock": RealClock(), **changes})


@dataclass
class Connection:
    """One HTTP connection to an ASGI application. ``pieces`` are the body's; a request ends with the last of them."""

    method: str = "POST"
    path: str = "/orders"
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Iterable[bytes] = (b"{}",)
    query: str = ""
    extensions: dict[str, Any] = field(default_factory=dict)
    is_cut: bool = False  # the client goes away after the last piece, which does not end the request
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[Any] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    scope: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        headers = {"idempotency-key": KEY, "x-user": "ann", **{n.lower(): v for n, v in self.headers.items()}}
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query.encode(),
            "root_path": "",
            "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
            "client": ("192.0.2.7", 1),
            "server": ("shop", 80),
            "extensions": self.extensions,
            "state": {},
        }
        self._left = list(self.pieces)

    async def receive(self) -> dict[str, Any]:
        """See ASGI."""
        if self._left:
            piece = self._left.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self._left) or self.is_cut}
        if not self.is_cut:
            await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """See ASGI. Raises ``OSError`` once the client is gone, as servers of specification 2.4 do."""
        if self.gone.is_set():
            raise OSError("the client is gone")
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.answered.set()

    async def ask(self, app: Any) -> Answer:
        """Have ``app`` serve the connection, to its end, and return what it has sent."""
        await app(self.scope, self.receive, self.send)
        return self.answer()

    def answer(self) -> Answer:
        """Return what was sent."""
        [start] = [message for message in self.sent if message["type"] == "http.response.start"]
        lines = tuple((name.decode(), value.decode()) for name, value in start["headers"])
        body = b"".join(m.get("body", b"") for m in self.sent if m["type"] == "http.response.body")
        return Answer(start["status"], lines, body)


def user_of(scope: Any) -> str | None:
    """Return whose request it is."""
    return next((value.decode() for name, value in scope["headers"] if name == b"x-user"), None)


def slug(answer: Answer) -> str:
    """Return the problem type of an answer, which is a problem."""
    assert answer.header("content-type") == "application/problem+json", answer
    return str(answer.json()["type"]).removeprefix("urn:payonce:problem:")
