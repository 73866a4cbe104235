"""A bank to try the example services with: ``python docs/examples/bank.py 4790``.

It is slow, and it knows no idempotency keys: whoever asks it twice is charged twice. ``GET /charges/{reference}`` tells
the charge of a reference, and ``GET /charges`` all of them.
"""

import json
import random
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHARGES: list[dict[str, Any]] = []


class Bank(BaseHTTPRequestHandler):
    """Charges, and what has been charged."""

    def handle(self) -> None:
        """Serve a caller, who may be killed in the middle of its request or of its answer."""
        with suppress(ConnectionError, json.JSONDecodeError):
            super().handle()

    def do_POST(self) -> None:
        """Charge, after a while, and answer after another one: a caller may die before, between and after them."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(random.uniform(0.01, 0.1))  # noqa: S311
        charge = {"charge": f"ch_{random.getrandbits(64):x}", **asked}
        CHARGES.append(charge)
        time.sleep(random.uniform(0.01, 0.1))  # noqa: S311
        self._answer(201, charge)

    def do_GET(self) -> None:
        """Tell the charge of one reference, or every charge."""
        reference = self.path.removeprefix("/charges").removeprefix("/")
        found = [charge for charge in list(CHARGES) if not reference or charge["reference"] == reference]
        if not reference:
            self._answer(200, found)
        elif found:
            self._answer(200, found[0])
        else:
            self._answer(404, {"error": "no such charge"})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Bank).serve_forever()
