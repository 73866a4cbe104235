"""A small order service that counts what it executes. ``python -m tests.support.upstreams.counter``.

It has never heard of payonce: it executes every POST it gets, also a repeated one. counter.mjs is the same in Node.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ALL_OCTETS = bytes(range(256))
EXECUTED: Counter[str] = Counter()
BY_KEY: dict[str, bytes] = {}
SEEN: list[dict[str, object]] = []
LOCK = threading.Lock()
HELD: defaultdict[str, threading.Event] = defaultdict(threading.Event)
HOLD_SECONDS = 60


class Handler(BaseHTTPRequestHandler):
    """Executes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Execute the order in the body, and answer as the path says."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reference = str(json.loads(body)["reference"]) if body[:1] == b"{" else body.decode("latin-1")
        with LOCK:
            SEEN.append({"path": self.path, "headers": list(map(list, self.headers.items()))})
            if url.path == "/busy":
                return self._answer(503, b"later", [("Retry-After", "3"), ("X-Reason", "busy")])
            if url.path == "/once-broken" and EXECUTED[reference] >= 1:
                return self._answer(200, b"fine")
            if url.path == "/honoured" and (known := BY_KEY.get(self.headers.get("Idempotency-Key", ""))):
                return self._answer(201, known, [("Content-Type", "application/json")])
            EXECUTED[reference] += 1
            number = sum(EXECUTED.values())
            order = json.dumps({"reference": reference, "number": number}).encode()
            BY_KEY[self.headers.get("Idempotency-Key", "")] = order
        time.sleep(int(query.get("delay_ms", "0")) / 1000)
        if "hold" in query:  # until GET /release/<the same name>
            HELD[query["hold"]].wait(HOLD_SECONDS)
        return self._as_asked(url.path, query, number, order)

    do_PUT = do_PATCH = do_DELETE = do_POST

    def _as_asked(self, path: str, query: dict[str, str], number: int, order: bytes) -> None:
        if path in {"/drop", "/drop-late"}:
            self.close_connection = True
            return
        if path == "/cut":
            self.send_response(201)
            self.send_header("Content-Length", str(len(order) + 10))
            self.end_headers()
            self.wfile.write(order)
            self.close_connection = True
            return
        answers: dict[str, tuple[int, bytes, list[tuple[str, str]]]] = {
            "/binary": (200, ALL_OCTETS, [("Content-Type", "application/octet-stream")]),
            "/empty": (204, b"", [("X-Number", str(number))]),
            "/nothing": (200, b"", [("X-Number", str(number))]),
            "/refuse": (400, b'{"error":"no"}', [("Content-Type", "application/json")]),
            "/broken": (500, b"oops", []),
            "/once-broken": (500, b"oops", []),
            "/large": (
                201,
                number.to_bytes(4, "big") * (int(query.get("bytes", "4")) // 4),
                [("Location", "/orders/1")],
            ),
        }
        plain = [
            ("Content-Type", "application/json"),
            ("Location", f"/orders/{number}"),
            ("Set-Cookie", f"first={number}; Path=/"),
            ("X-Number", str(number)),
            ("Set-Cookie", "second=b; Path=/"),
            ("Connection", "X-Hop"),
            ("X-Hop", "for this connection alone"),
            ("Keep-Alive", "timeout=5"),
        ]
        self._answer(*answers.get(path, (201, order, plain)))

    def do_GET(self) -> None:
        """Tell what was executed."""
        path = urlsplit(self.path).path
        with LOCK:
            if path == "/executions":
                return self._answer(200, json.dumps(EXECUTED).encode())
            if path == "/seen":
                return self._answer(200, json.dumps(SEEN).encode())
            if path.startswith("/release/"):
                HELD[path.removeprefix("/release/")].set()
                return self._answer(200, b"")
            if path.startswith("/by-key/"):
                order = BY_KEY.get(path.removeprefix("/by-key/"))
                return self._answer(200 if order else 404, order or b"{}", [("Content-Type", "application/json")])
            SEEN.append({"path": self.path, "headers": list(map(list, self.headers.items()))})
        return self._answer(200, f"{self.command} {self.path}".encode(), [("ETag", '"v1"')])

    do_HEAD = do_OPTIONS = do_GET

    def _answer(self, status: int, body: bytes, lines: list[tuple[str, str]] | None = None) -> None:
        self.send_response(status)
        for name, value in lines or []:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Takes bursts of connections."""

    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - how its starter learns the port
    server.serve_forever()
