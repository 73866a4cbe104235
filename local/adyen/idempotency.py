"""Idempotency keys as Adyen documents them: https://docs.adyen.com/development-resources/api-idempotency.

A key belongs to the company account, whatever the path. It is valid for at least 7 days after its first submission. A
duplicate of a request that is still being processed gets 422 or 409 with the code 704, marked as transient.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.adyen.books import digest
from local.adyen.vocabulary import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.adyen.desk import Desk

MAX_KEY_CHARACTERS = 64
IN_PROGRESS = ("704", "request already processed or in progress")
# The specification lists the header `Idempotency-Key` for these answers alone, so only they are kept under a key.
KEPT_STATUSES = frozenset({200, 201, 422})


class Transient(Refused):
    """A refusal without side effects, marked by ``transient-error: true``: retry later with the same key."""


@dataclass(slots=True)
class Keys:
    """The keys whose requests are being processed. Thread-safe."""

    _under_way: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def processing(self, company: str, key: str, in_progress_status: int) -> Iterator[None]:
        """Hold the key for one request. Raises ``Transient`` while another request holds it."""
        if len(key) > MAX_KEY_CHARACTERS:
            raise Refused(400, "702", "The idempotency key is longer than 64 characters")
        if not key:
            yield
            return
        with self._lock:
            if (company, key) in self._under_way:
                raise Transient(in_progress_status, *IN_PROGRESS)
            self._under_way.add((company, key))
        try:
            yield
        finally:
            with self._lock:
                self._under_way.discard((company, key))


def kept_answer(desk: Desk, company: str, key: str, path: str, body: dict[str, Any]) -> tuple[int, Any] | None:
    """Return the first answer to ``key``, or ``None`` if there is none. Raises ``Refused`` for another request.

    No page says what another body under a known key gets; the setting ``other_body`` chooses.
    """
    row = desk.ledger.one("keys", company=company, idempotency_key=key) if key else None
    if row is None or row["kept_until_ms"] <= desk.now_ms:
        return None
    if desk.settings.other_body == "refuse" and row["request"] != digest([path, body]):
        raise Refused(422, *IN_PROGRESS)
    return row["status"], json.loads(row["body"])


def keep(desk: Desk, company: str, key: str, path: str, body: dict[str, Any], answer: tuple[int, Any]) -> None:
    """Keep the answer under the key from now on."""
    status, document = answer
    desk.ledger.delete("keys", company=company, idempotency_key=key)
    until_ms = desk.now_ms + desk.settings.key_retention_seconds * 1000
    row = {"company": company, "idempotency_key": key, "request": digest([path, body]), "kept_until_ms": until_ms}
    desk.ledger.insert("keys", {**row, "status": status, "body": json.dumps(document)})
