"""Sends the bank's events: signed by Standard Webhooks, one at a time per bank, again until they are accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.sandbox_bank.desk import SECOND_MS, machine_ms
from local.sandbox_bank.event_faults import ONCE, release_held
from local.sandbox_bank.events import signing_key

if TYPE_CHECKING:
    from local.sandbox_bank.books import Books
    from local.sandbox_bank.desk import Desk

LONGEST_PAUSE_MS = 3_600_000
STALE_SECONDS = 3_600
ANSWER_BYTES = 65_536  # more of an answer is not read


def signature(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the ``v1`` signature of Standard Webhooks (https://www.standardwebhooks.com/) over the exact bytes."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(signing_key(secret), signed, hashlib.sha256).digest()).decode()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery that is due now."""

    row: dict[str, Any]
    url: str
    secret: str
    timeout_seconds: float

    def send(self) -> dict[str, Any]:
        """POST the event once. Return the ``status`` of the answer, or the ``error`` if there was none."""
        forged, stale = self.row["fault"] == "forged", self.row["fault"] == "stale"
        secret = "whsec_" + base64.b64encode(os.urandom(24)).decode() if forged else self.secret
        timestamp = machine_ms() // SECOND_MS - (STALE_SECONDS if stale else 0)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "payonce-sandbox-bank",
            "webhook-id": self.row["webhook_id"],
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secret, self.row["webhook_id"], timestamp, self.row["body"]),
        }
        url = urlsplit(self.url)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=self.timeout_seconds)
        try:
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("POST", target, self.row["body"], headers)
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            return {"error": type(error).__name__}
        finally:
            connection.close()
        return {"status": answer.status}


class Senders:
    """One thread for each bank that sends events. It also lets happen what is due at the bank meanwhile."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closing = False

    def start(self, bank: str) -> None:
        """Start the bank's thread unless it runs."""
        with self._lock:
            if bank not in self._threads and not self._closing:
                self._books.wakers[bank] = threading.Event()
                self._threads[bank] = threading.Thread(target=self._run, args=(bank,), daemon=True)
                self._threads[bank].start()

    def close(self) -> None:
        """Stop all threads, each after the attempt that it is making."""
        with self._lock:
            self._closing = True
        for bank, thread in self._threads.items():
            self._books.wakers[bank].set()
            thread.join()

    def _run(self, bank: str) -> None:
        waker = self._books.wakers[bank]
        while not self._closing:
            waker.clear()
            with self._books.desk(bank, wake=False) as desk:
                attempt, pause_ms = _next(desk)
            if attempt is None:
                waker.wait(None if pause_ms is None else pause_ms / SECOND_MS)
                continue
            outcome = attempt.send()
            with self._books.desk(bank, wake=False) as desk:
                _note(desk, attempt.row["delivery_id"], outcome)


def _next(desk: Desk) -> tuple[Attempt | None, int | None]:
    """Return the delivery that is due, or the time in milliseconds until something will be (``None``: nothing)."""
    endpoint = desk.connection.execute("SELECT * FROM event_endpoints WHERE bank=?", (desk.bank,)).fetchone()
    row = desk.connection.execute(
        "SELECT * FROM deliveries WHERE bank=? AND state='pending' ORDER BY due_at_ms, delivery_id LIMIT 1",
        (desk.bank,),
    ).fetchone()
    if endpoint["url"] is None:
        row = None
    if row is not None and row["due_at_ms"] <= desk.at_ms:
        timeout_seconds = desk.settings.event_timeout_ms / SECOND_MS
        return Attempt(dict(row), endpoint["url"], endpoint["secret"], timeout_seconds), None
    step = desk.connection.execute("SELECT MIN(at_ms) AS at_ms FROM due WHERE bank=?", (desk.bank,)).fetchone()
    times = [time for time in (row and row["due_at_ms"], step["at_ms"]) if time is not None]
    return None, min(times) - desk.at_ms if times else None


def _note(desk: Desk, delivery_id: int, outcome: dict[str, Any]) -> None:
    """Note an attempt. What was not accepted is sent again after a pause that doubles, unless it is sent once."""
    row = desk.connection.execute("SELECT * FROM deliveries WHERE delivery_id=?", (delivery_id,)).fetchone()
    attempts = [*json.loads(row["attempts"]), {"at_ms": desk.at_ms, **outcome}]
    state, due_at_ms = "pending", row["due_at_ms"]
    if 200 <= outcome.get("status", 0) < 300:
        state = "delivered"
        release_held(desk, row["number"])
    elif row["fault"] in ONCE:
        state = "given_up"
    else:
        pause_ms = min(LONGEST_PAUSE_MS, desk.settings.event_retry_ms * 2 ** min(len(attempts) - 1, 30))
        due_at_ms = desk.at_ms + pause_ms
    desk.connection.execute(
        "UPDATE deliveries SET state=?, due_at_ms=?, attempts=? WHERE delivery_id=?",
        (state, due_at_ms, json.dumps(attempts), delivery_id),
    )
