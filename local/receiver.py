"""A merchant's webhook receiver for the demo and the tests: it stores requests and answers with configured statuses.

``python -m local.receiver --port 4800``. Every POST is stored under its path; ``GET /_received?path=/shop`` lists them,
and ``POST /_answers`` with ``{"path": "/shop", "statuses": [500, 429]}`` sets the next answers (then 200 again).

It also shows the pages of docs/, to which the problem documents of the local cloud link: ``GET /_docs/problems``.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

from local import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_KEPT = 10_000  # over all paths, so that a receiver left running does not grow without bound
ADMIN_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Received:
    """One request as received. Header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class ReceiverServer(ThreadingHTTPServer):
    """The server. ``statuses`` holds the next answers per path; every answer is delayed by ``delay_seconds``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.received: list[Received] = []
        self.statuses: dict[str, list[int]] = {}
        self.delay_seconds = 0.0

    @property
    def url(self) -> str:
        """Return the base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_status(self, path: str) -> int:
        """Return the status of the next answer for ``path``."""
        statuses = self.statuses.get(path, [])
        return statuses.pop(0) if statuses else 200


class _Handler(BaseHTTPRequestHandler):
    server: ReceiverServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.path == "/_answers":
            asked = json.loads(body)
            self.server.statuses[asked["path"]] = list(asked["statuses"])
            self._answer(200, b"{}")
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(self.path, headers, body))
        del self.server.received[:-MAX_KEPT]
        time.sleep(self.server.delay_seconds)
        self._answer(self.server.next_status(self.path), b"")

    def do_GET(self) -> None:
        if self.path.startswith(pages.PREFIX):
            shown_page = pages.page(urlsplit(self.path).path)
            self._answer(404 if shown_page is None else 200, shown_page or b"", "text/html; charset=utf-8")
            return
        query = parse_qs(urlsplit(self.path).query)
        wanted = query.get("path", [None])[0]
        shown = [
            {"path": one.path, "headers": one.headers, "body": base64.b64encode(one.body).decode()}
            for one in self.server.received
            if wanted in (None, one.path)
        ]
        self._answer(200, json.dumps(shown).encode())

    def _answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        try:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            return  # the sender has closed the connection

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@dataclass(frozen=True, slots=True)
class ReceiverHandle:
    """The admin client of a receiver in another process."""

    url: str

    def received(self, path: str | None = None) -> list[Received]:
        """Return the requests received so far, to ``path`` or to all paths."""
        query = f"?path={path}" if path else ""
        entries: list[dict[str, Any]] = self._ask(f"/_received{query}", None)
        return [Received(one["path"], one["headers"], base64.b64decode(one["body"])) for one in entries]

    def answer(self, path: str, *statuses: int) -> None:
        """Set the next answers of ``path``; afterwards 200 again."""
        self._ask("/_answers", {"path": path, "statuses": list(statuses)})

    def _ask(self, target: str, body: Any) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + target, data=data), timeout=ADMIN_TIMEOUT_SECONDS) as answer:
            return json.load(answer)


@contextmanager
def running_receiver() -> Iterator[ReceiverServer]:
    """Run a receiver in this process, on a free port."""
    server = ReceiverServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> int:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="receiver", description="A webhook receiver on loopback.")
    parser.add_argument("--port", type=int, required=True)
    ReceiverServer(parser.parse_args().port).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
