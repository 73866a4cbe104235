"""The demo's shop: a till that retries until it has an answer."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    import urllib3

REQUEST_TIMEOUT_SECONDS = 60
PATIENCE_SECONDS = 900  # a real till retries for ever, but a demo has to give up at some time


@dataclass(frozen=True)
class Shop:
    """A merchant's till: sends requests, and retries with the same key until it has an answer."""

    url: str
    api_key: str
    pool: urllib3.PoolManager

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> urllib3.BaseHTTPResponse:
        """Return the answer to one request, retried with the same key on a lost answer, 429 and 5xx.

        Raises ``TimeoutError`` after ``PATIENCE_SECONDS``.
        """
        give_up, pause_seconds = time.monotonic() + PATIENCE_SECONDS, 0.1
        while time.monotonic() < give_up:
            with suppress(HTTPError):  # the answer was lost: retry with the same key
                answer = self.once(method, path, body, key)
                if answer.status not in {429, 500, 502, 503, 504}:
                    return answer
            time.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, 1.0)
        raise TimeoutError(f"{method} {path} was not answered within {PATIENCE_SECONDS} seconds.")

    def once(self, method: str, path: str, body: Any = None, key: str | None = None) -> urllib3.BaseHTTPResponse:
        """Return the answer to one request, without retries."""
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        if key:
            headers["X-Idempotency-Key"] = key
        raw = None if body is None else json.dumps(body).encode()
        return self.pool.request(method, self.url + path, body=raw, headers=headers, timeout=REQUEST_TIMEOUT_SECONDS)
