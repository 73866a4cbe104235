"""A closed loop of clients over kept connections: each sends its next request when it has its answer.

It runs in a process of its own, so that the figures of the proxies are theirs: ``python -m benchmarks.proxy_load URL
REQUESTS CLIENTS [KEY]``. Without ``KEY`` each request has its own. Fails unless every answer is 201.
"""

from __future__ import annotations

import asyncio
import re
import sys
from urllib.parse import urlsplit
from uuid import uuid4

from tests.support.proxy import TENANT

BODY = b'{"reference":"bench"}'
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Load:
    """What is left to be sent by all clients."""

    def __init__(self, requests: int, clients: int, key: str) -> None:
        self._left = requests
        self._clients = clients
        self._key = key
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next(self) -> bytes | None:
        """Return the next request, or ``None`` for a client that is not needed any longer."""
        if self._left <= 0:
            self._clients -= 1
            if not self._clients:
                self.done.set_result(None)
            return None
        self._left -= 1
        return (
            f"POST /orders HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{TENANT}: shop\r\n"
            f"Idempotency-Key: {self._key or uuid4()}\r\nContent-Length: {len(BODY)}\r\n\r\n"
        ).encode() + BODY

    def fail(self, why: str) -> None:
        """End with an error."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Go on once the answer is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 201"):
            self._load.fail(repr(head[:200]))
            return
        length = _LENGTH.search(head)
        if length is None or len(body) >= int(length[1]):
            self._received = b""
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail, unless all is sent."""
        self._load.fail(f"a connection was lost: {exc!r}")

    def _send(self) -> None:
        request = self._load.next()
        if request is not None:
            self._transport.write(request)


async def main(url: str, requests: int, clients: int, key: str = "") -> None:
    """Send everything."""
    target, load = urlsplit(url), Load(requests, clients, key)
    for _ in range(clients):
        await asyncio.get_running_loop().create_connection(lambda: Client(load), target.hostname, target.port)
    await load.done


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
