"""The API's own handlers behind real HTTP on loopback, as API Gateway calls them; everything they need is in memory."""

from __future__ import annotations

import os
import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from payonce.entrypoints.http import serve
from payonce.entrypoints.routes import ROUTES
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_files import MemoryFiles
from payonce.stores.memory_queue import MemoryQueue
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.events import Context, event
from tests.support.world import RealClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.entrypoints.http import Route

HOST = "127.0.0.1"
API_KEY = "po_test_0123456789abcdef"


@dataclass
class ApiServer:
    """A running API. ``requests`` has method, path and idempotency key of each request, in order."""

    url: str
    application: Application
    bank: ScriptedGateway
    requests: list[tuple[str, str, str]] = field(default_factory=list)

    def charges(self) -> list[str]:
        """Return the payment method of each execution at the bank."""
        return [booking.instruction.payment_method or "" for booking in self.bank.bookings]


@contextmanager
def running_api() -> Iterator[ApiServer]:
    """Run the API with a bank that ignores idempotency keys."""
    clock = RealClock()
    bank = ScriptedGateway(clock)
    application = Application(
        load_settings({}),
        clock=clock,
        database=MemoryDatabase(),
        gateways={"bank": bank},
        cipher=MemoryCipher(clock, os.urandom),
        delivery_queue=MemoryQueue(),
        workflows=MemoryWorkflows(),
        files=MemoryFiles(),
    )
    _ = application.store, application.engine  # made before threads ask for them
    server = _Server((HOST, 0), _Handler)
    api = server.api = ApiServer(f"http://{HOST}:{server.server_address[1]}", application, bank)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    api: ApiServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address  # clients go away in the middle: that is what faults are about


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            return  # half of a request never reaches a function
        target = urlsplit(self.path)
        key = self.headers.get("X-Idempotency-Key", "")
        self.server.api.requests.append((self.command, target.path, key))
        found = _route(self.command, target.path)
        if found is None:
            self._answer(403, {"Content-Type": "application/json"}, b'{"message":"Missing Authentication Token"}')
            return
        if self.headers.get("Authorization") != f"Bearer {API_KEY}":
            self._answer(401, {"Content-Type": "application/json"}, b'{"message":"Unauthorized"}')
            return
        route, path = found
        query = {name: values[-1] for name, values in parse_qs(target.query).items()}
        asked = event(body.decode() if body else None, key=None, headers=dict(self.headers), path=path, query=query)
        answer = serve(route, self.server.api.application, asked, Context())
        self._answer(answer["statusCode"], answer["headers"], answer["body"].encode())

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        with suppress(OSError):
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


def _route(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    for route in ROUTES.values():
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
        match = re.fullmatch(pattern, path)
        if route.method == method and match:
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None
