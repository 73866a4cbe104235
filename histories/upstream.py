"""What stands behind the fronts: it executes every order or webhook that it gets, and keeps no keys.

``python -m histories.upstream PORT FILE``. POST /orders executes; GET /orders/by-key/KEY tells the order of a
downstream key; GET /executions tells all, for the count after the run. It takes its time before and after, so that what
stands in front is killed in between. What it has executed is in FILE before it answers, and survives its own end.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

ATTEMPT_HEADER = "X-Attempt"
MOST_DELAY_SECONDS = 0.06  # before and after the execution


class Orders:
    """The executions in order. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._random = Random(1)
        self._by_key: dict[str, bytes] = {}
        self._executions: list[dict[str, Any]] = []
        self._file = path.open("a+", encoding="utf-8")
        self._file.seek(0)
        for line in self._file:
            execution = json.loads(line)
            self._remember(execution.pop("downstream_key"), execution)

    def pause(self) -> None:
        """Take as long as a service does."""
        with self._lock:
            seconds = self._random.uniform(0, MOST_DELAY_SECONDS)
        time.sleep(seconds)

    def execute(self, order: dict[str, str], downstream_key: str, attempt: int) -> bytes:
        """Execute, and return the answer, which is another one each time."""
        with self._lock:
            execution = {"key": order["key"], "body": order["body"], "attempt": attempt}
            self._file.write(json.dumps({**execution, "downstream_key": downstream_key}) + "\n")
            self._file.flush()
            return self._remember(downstream_key, execution)

    def _remember(self, downstream_key: str, execution: dict[str, Any]) -> bytes:
        self._executions.append({**execution, "downstream_key": downstream_key})
        answer = {"order": len(self._executions), "key": execution["key"], "body": execution["body"]}
        self._by_key[downstream_key] = json.dumps(answer).encode()
        return self._by_key[downstream_key]

    def find(self, downstream_key: str) -> bytes | None:
        """Return the last order of a downstream key."""
        with self._lock:
            return self._by_key.get(downstream_key)

    def all(self) -> bytes:
        """Return every execution as JSON."""
        with self._lock:
            return json.dumps(self._executions).encode()


class Handler(BaseHTTPRequestHandler):
    """Serves one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Execute the order in the body."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        order = body.get("data", body)  # a webhook's event has it there
        self.server.orders.pause()
        key = self.headers.get("Idempotency-Key", self.headers.get("webhook-id", ""))
        answer = self.server.orders.execute(order, key, int(self.headers.get(ATTEMPT_HEADER, "-1")))
        self.server.orders.pause()
        self._answer(201, answer)

    def do_GET(self) -> None:
        """Tell what was executed."""
        if self.path == "/executions":
            return self._answer(200, self.server.orders.all())
        found = self.server.orders.find(self.path.rpartition("/")[2])
        return self._answer(404 if found is None else 200, found or b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # who asked was killed
            self.close_connection = True


class Server(ThreadingHTTPServer):
    """One thread for each connection."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, path: Path) -> None:
        self.orders = Orders(path)
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that were killed."""


if __name__ == "__main__":
    Server(int(sys.argv[1]), Path(sys.argv[2])).serve_forever()
