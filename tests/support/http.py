"""One HTTP request, and its answer as it came: header lines in their order, repeated ones too."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """What came back. ``lines`` have lower-case names."""

    status: int
    lines: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return the one value of a header, empty without it."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        """Return every value of a header, in order."""
        return [value for found, value in self.lines if found == name.lower()]

    def json(self) -> Any:
        """Return the JSON in the body."""
        return json.loads(self.body)

    def same(self) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
        """Return what a replay repeats: everything but what says that it is one, and the server's own framing."""
        own = {"idempotency-replayed", "date", "connection", "retry-after"}
        return self.status, self.body, tuple(line for line in self.lines if line[0] not in own)


def until(look: Callable[[], bool], *, patience_seconds: float = 60.0) -> None:
    """Wait for what a busy machine brings about late."""
    give_up = time.monotonic() + patience_seconds
    while not look():
        assert time.monotonic() < give_up, "what was waited for did not happen"
        time.sleep(0.02)


def call(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    *,
    timeout_seconds: float = PATIENCE_SECONDS,
) -> Answer:
    """Send one request on a connection of its own. Raises ``OSError`` or ``HTTPException``."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_seconds)
    lines = headers.items() if hasattr(headers, "items") else headers
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in lines:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        found = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, found, response.read())
    finally:
        connection.close()
