"""The API's own handlers behind HTTP on loopback, in memory: for clients in other languages, and generated ones.

``python -m tests.support.api_in_memory`` prints a line of JSON with ``url``, ``api_key`` and ``merchant_id``, and
serves until its standard input ends. What stands between a client and the API is part of it:

- ``POST /_faults`` with a list of words, one for each of the next requests to a route: ``ok``, ``lose-request``,
  ``lose-answer``, ``cut-answer``, ``hold-answer`` (for the seconds after a colon), ``status:503`` (a page of a
  proxy, not payonce's), ``throttle`` (payonce's own 429, with ``Retry-After: 1``).
- ``POST /_gateway`` with a list of words: how the gateway's next submissions go (``tests.support.world``).
- ``POST /_lookups`` with whether the gateway answers inquiries; ``POST /_recover`` with ``null`` lets recovery run,
  two minutes later.
- ``GET /_executions``: how often the gateway has executed something, by payment method.
- ``GET /_requests``: the method, path and key of each request to a route.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import Counter, deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from payonce.domain.errors import NotFound, PayonceError, Throttled
from payonce.entrypoints.api_responses import problem
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
from tests.support.recovery import recover
from tests.support.world import RealClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.entrypoints.http import Route

HOST = "127.0.0.1"
RECOVERY_MS = 120_000  # what is in doubt is due by then
SETTINGS = {
    "PAYONCE_GATEWAYS": '[{"name":"bank","kind":"sandbox_bank","url":"http://127.0.0.1:9"}]',
    "PAYONCE_DEFAULT_GATEWAY": "bank",
    "PAYONCE_ENVIRONMENT": "local",
}
PATHS = [(route, re.compile("".join(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route.path)))) for route in ROUTES.values()]


@dataclass
class Api:
    """What runs: the application, its gateway, and what is to befall the next requests."""

    application: Application
    clock: RealClock
    gateway: ScriptedGateway
    merchant_id: str = ""
    api_key: str = ""
    faults: deque[str] = field(default_factory=deque)
    requests: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, target: str, headers: dict[str, str], body: str | None) -> dict[str, Any]:
        """Return the proxy response, as API Gateway with the authorizer and the functions would."""
        parts = urlsplit(target)
        try:
            principal = self.application.merchants.authenticate(headers.get("authorization", ""))
            route, names = _matched(method, parts.path)
        except PayonceError as error:
            return problem(error)
        made = event(
            body,
            key=None,
            headers=headers,
            path=names,
            query=dict(parse_qsl(parts.query)),
            merchant_id=principal.merchant_id,
            scopes=" ".join(principal.scopes),
            gateway="bank",
        )
        return serve(route, self.application, made, Context())

    def control(self, path: str, words: Any) -> Any:
        """Do what the tests ask for; return what they are told."""
        match path:
            case "/_faults":
                self.faults = deque(words)
            case "/_gateway":
                self.gateway.script.extend(words)
            case "/_lookups":
                self.gateway.lookup_fails = not words
            case "/_recover":
                self.clock.offset_ms += RECOVERY_MS
                recover(self.application)
            case "/_executions":
                return Counter(booking.instruction.payment_method for booking in self.gateway.bookings)
            case "/_requests":
                return self.requests
        return None


def _matched(method: str, path: str) -> tuple[Route, dict[str, str]]:
    for route, pattern in PATHS:
        found = pattern.fullmatch(path)
        if found and route.method == method:
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
    raise NotFound("There is no such route.")


def in_memory(gateway: Any = None, clock: RealClock | None = None) -> Api:
    """Return an API with a merchant. Without a gateway of the test's, it is a scripted one."""
    clock = clock or RealClock()
    gateway = gateway or ScriptedGateway(clock)
    application = Application(
        load_settings(SETTINGS),
        clock=clock,
        database=MemoryDatabase(),
        gateways={"bank": gateway},
        cipher=MemoryCipher(clock, bytes),
        delivery_queue=MemoryQueue(),
        workflows=MemoryWorkflows(),
        files=MemoryFiles(),
    )
    merchant_id = application.merchants.create_merchant("Shop", gateway="bank")
    api_key = application.merchants.create_api_key(merchant_id)[1]
    return Api(application, clock, gateway, merchant_id, api_key)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length).decode() if length else None
        if self.path.startswith("/_"):
            self._send(200, {}, json.dumps(self.api.control(self.path, json.loads(body or "null"))).encode())
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.api.lock:
            fault, _, rest = (self.api.faults.popleft() if self.api.faults else "ok").partition(":")
            noted = {"method": self.command, "path": self.path, "key": headers.get("x-idempotency-key"), "fault": fault}
            self.api.requests.append(noted)
        if fault == "lose-request":
            self.close_connection = True
            return
        if fault == "status":
            self._send(int(rest), {"Content-Type": "text/html"}, b"<html>not payonce</html>")
            return
        answer = (
            problem(Throttled("Too many.", retry_after_seconds=1), keyed=True)
            if fault == "throttle"
            else self.api.answer(self.command, self.path, headers, body)
        )
        if fault == "hold-answer":
            time.sleep(float(rest))
        if fault == "lose-answer":
            self.close_connection = True
            return
        self._send(answer["statusCode"], answer["headers"], answer["body"].encode(), cut=fault == "cut-answer")

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # the client has gone away
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection |= cut

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # connections beyond it would wait for a second each


@contextmanager
def serving(api: Api) -> Iterator[str]:
    """Serve the API on a free port; yield its base URL."""
    server = _Server((HOST, 0), type("Handler", (_Handler,), {"api": api}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve until standard input ends."""
    api = in_memory()
    with serving(api) as url:
        told = {"url": url, "api_key": api.api_key, "merchant_id": api.merchant_id}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
