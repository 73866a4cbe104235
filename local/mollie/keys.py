"""Idempotency keys of the fake Mollie: https://docs.mollie.com/reference/api-idempotency.

The OpenAPI document has the header for every operation, so that deletions have it too; a GET needs none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

KEY_SECONDS = 3_600
_UUID4 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

type Reply = tuple[int, Any]


@dataclass
class Keys:
    """The answers that are kept. ``now`` is the time in epoch seconds."""

    now: Callable[[], float]
    lock: threading.RLock
    _kept: dict[str, tuple[float, str, Reply | None]] = field(default_factory=dict)

    def answer(self, key: str, asked: str, execute: Callable[[], Reply]) -> tuple[int, Any, bool]:
        """Answer under a key: "a cached version of the initial response", 400 for another request, 409 meanwhile.

        The last value says whether the answer is a cached one.
        """
        if not key:
            return (*execute(), False)
        if not _UUID4.fullmatch(key):
            return 400, problem(400, "The idempotency key is not a UUID v4"), False
        with self.lock:
            until, before, reply = self._kept.get(key, (0.0, "", None))
            if until > self.now():
                if before != asked:
                    return 400, problem(400, "The idempotency key was used for another request"), False
                if reply is None:
                    detail = "The previous request with the same key is still being executed."
                    return 409, problem(409, detail), False
                return (*reply, True)
            self.keep(key, asked, None)
        reply = execute()
        with self.lock:
            self.keep(key, asked, reply)
        return (*reply, False)

    def keep(self, key: str, asked: str, reply: Reply | None) -> None:
        """Keep an answer, or that there is none yet."""
        if key:
            self._kept[key] = (self.now() + KEY_SECONDS, asked, reply)


def problem(status: int, detail: str, name: str | None = None) -> dict[str, Any]:
    """Return the error object."""
    links = {"documentation": {"href": "https://docs.mollie.com/overview/handling-errors", "type": "text/html"}}
    found = {"status": status, "title": HTTPStatus(status).phrase, "detail": detail, "_links": links}
    return found | ({"field": name} if name else {})
