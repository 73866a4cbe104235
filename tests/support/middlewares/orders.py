"""The order service that every framework's application serves. It executes whatever it is asked to, and counts it.

Its paths and answers are those of ``tests.support.upstreams.counter``. With a file, executions are appended to it, so
that several processes, and processes that are killed, count together.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from tests.support.upstreams.counter import ALL_OCTETS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Reply(NamedTuple):
    """What the service answers."""

    status: int
    lines: tuple[tuple[str, str], ...]
    body: bytes


JSON = ("Content-Type", "application/json")


class Orders:
    """The service. ``log`` is where executions are appended, ``None`` for memory."""

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._executed: Counter[str] = Counter()

    def executions(self) -> dict[str, int]:
        """Return how often each reference was executed."""
        if self._log is None:
            return dict(self._executed)
        return dict(Counter(self._log.read_text().split())) if self._log.exists() else {}

    def read(self, path: str) -> Reply:
        """Answer a GET."""
        if path == "/executions":
            return Reply(200, (JSON,), json.dumps(self.executions()).encode())
        return Reply(200, (("ETag", '"v1"'),), f"GET {path}".encode())

    def execute(self, path: str, query: str, body: bytes) -> Reply:
        """Execute the order in the body, and answer as the path says."""
        wished, number, order = self._executed_now(query, body)
        time.sleep(wished / 1000)
        return self._reply(path, query, number, order)

    async def execute_async(self, path: str, query: str, body: bytes) -> Reply:
        """See ``execute``, with the wait on the loop."""
        wished, number, order = self._executed_now(query, body)
        await asyncio.sleep(wished / 1000)
        return self._reply(path, query, number, order)

    def _executed_now(self, query: str, body: bytes) -> tuple[int, int, bytes]:
        reference = str(json.loads(body)["reference"]) if body[:1] in {b"{", b" "} else body.decode("latin-1")
        with self._lock:
            self._executed[reference] += 1
            number = sum(self._executed.values())
            if self._log is not None:
                with self._log.open("a") as out:
                    out.write(reference + "\n")
        order = json.dumps({"reference": reference, "number": number, "process": os.getpid()}).encode()
        return int(_asked(query).get("delay_ms", "0")), number, order

    def _reply(self, path: str, query: str, number: int, order: bytes) -> Reply:
        octets = int(_asked(query).get("bytes", "4"))
        answers: dict[str, Reply] = {
            "/binary": Reply(200, (("Content-Type", "application/octet-stream"),), ALL_OCTETS),
            "/empty": Reply(204, (("X-Number", str(number)),), b""),
            "/nothing": Reply(200, (("X-Number", str(number)),), b""),
            "/refuse": Reply(400, (JSON,), b'{"error":"no"}'),
            "/broken": Reply(500, (("Content-Type", "text/plain"),), b"oops"),
            "/busy": Reply(429, (("Retry-After", "3"),), b"later"),
            "/large": Reply(201, (("Location", "/orders/1"),), number.to_bytes(4, "big") * (octets // 4)),
        }
        if path == "/raise":
            raise RuntimeError("the application has failed")
        plain = (
            JSON,
            ("Location", f"/orders/{number}"),
            ("Set-Cookie", f"first={number}; Path=/"),
            ("X-Number", str(number)),
            ("Set-Cookie", "second=b; Path=/"),
        )
        return answers.get(path, Reply(201, plain, order))


def _asked(query: str) -> Mapping[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
