"""A merchant's receiver of webhooks on loopback."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(ThreadingHTTPServer):
    """Answers webhooks: with the next of ``script``, then with 204. ``answered`` counts."""

    request_queue_size = 512  # a burst of deliveries is no failure of the receiver's

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiving)
        self.script: list[int] = []
        self.answered: list[int] = []

    @property
    def url(self) -> str:
        """The address of an endpoint here, as long as one on the internet is."""
        return f"http://127.0.0.1:{self.server_address[1]}/webhooks/payments/payonce"


class _Receiving(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.script.pop(0) if self.server.script else 204
        self.server.answered.append(status)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass
