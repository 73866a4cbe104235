"""Delivery of notifications: order, duplicates, retries and what a receiver has to answer."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.adyen.notifications import TOKENS, envelope, payload_signature

if TYPE_CHECKING:
    from local.adyen.books import Books, Row

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_MINUTE_MS = 60_000
# https://docs.adyen.com/development-resources/webhooks/troubleshoot: three attempts, then a queue for up to 30 days.
RETRY_AFTER_MS = (9_000, 9_000, 9_000, *(minutes * _MINUTE_MS for minutes in (2, 5, 10, 15, 30, 60, 120, 240, 480)))
GIVE_UP_AFTER_MS = 30 * 24 * 60 * _MINUTE_MS
MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Subscription:
    """The webhook's settings in the Customer Area, and faults of its delivery.

    Without a ``url`` nothing is sent. ``accept`` says what accepts a message: any 2xx ``status``, or a ``body`` with
    ``[accepted]``, as before 2024. ``held`` keeps messages back until it is false; ``order`` ``reversed`` sends the
    newest first; each message is sent ``1 + duplicates`` times; ``lose`` names event codes that are never sent.
    The events of stored methods are another webhook's: they go to ``token_url``, and nowhere without one.
    """

    url: str = ""
    token_url: str = ""
    hmac_key: str = ""
    username: str = ""
    password: str = ""
    accept: str = "status"
    timeout_seconds: float = 10
    held: bool = False
    order: str = "as_they_happen"
    duplicates: int = 0
    lose: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(url and urlsplit(url).hostname not in _LOOPBACK for url in (self.url, self.token_url)):
            raise ValueError("the fake sends to this machine only")
        bytes.fromhex(self.hmac_key)


@dataclass(slots=True)
class Delivery:
    """Sends the notifications that are due. Thread-safe; one message is under way at a time."""

    books: Books
    subscription: Subscription = field(default_factory=Subscription)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def configure(self, values: dict[str, Any]) -> None:
        """Change the subscription. Raises ``ValueError`` or ``TypeError`` for what is unknown or leaves the machine."""
        given: dict[str, Any] = {name: tuple(value) if name == "lose" else value for name, value in values.items()}
        self.subscription = replace(self.subscription, **given)

    def deliver_due(self, now_ms: int) -> int:
        """Send what is due at ``now_ms``, and again what fails, as often as its times are past; return the attempts."""
        attempts = 0
        with self._lock:
            while (row := self._next(now_ms)) is not None:
                self._attempt(row)
                attempts += 1
        return attempts

    def _next(self, now_ms: int) -> Row | None:
        subscription = self.subscription
        if not subscription.url or subscription.held:
            return None
        with self.books.transaction() as ledger:
            if subscription.order == "reversed":
                rows = [row for row in ledger.select("notifications", state="queued") if row["due_at_ms"] <= now_ms]
                return rows[-1] if rows else None
            return ledger.next_due("notifications", "due_at_ms", now_ms, state="queued")

    def _attempt(self, row: Row) -> None:
        subscription, attempts = self.subscription, row["attempts"] + 1
        if row["event_code"] in subscription.lose:
            return self._note(row, attempts, "lost", row["due_at_ms"], "")
        of_token = row["event_code"].startswith(TOKENS)
        if of_token and not subscription.token_url:
            return self._note(row, attempts, "unsubscribed", row["due_at_ms"], "")
        body = row["item"].encode() if of_token else envelope(json.loads(row["item"]), subscription.hmac_key)
        answers = [post(subscription, body, of_token=of_token) for _ in range(1 + subscription.duplicates)]
        if any(accepted(subscription, answer) for answer in answers):
            return self._note(row, attempts, "delivered", row["due_at_ms"], answers[-1][0])
        retry_at_ms = row["due_at_ms"] + RETRY_AFTER_MS[min(attempts, len(RETRY_AFTER_MS)) - 1]
        over = retry_at_ms > row["created_at_ms"] + GIVE_UP_AFTER_MS
        return self._note(row, attempts, "given_up" if over else "queued", retry_at_ms, answers[-1][0])

    def _note(self, row: Row, attempts: int, state: str, due_at_ms: int, answer: str) -> None:
        with self.books.transaction() as ledger:
            values = {"attempts": attempts, "state": state, "due_at_ms": due_at_ms, "last_answer": answer}
            ledger.update("notifications", {"id": row["id"]}, **values)


def post(subscription: Subscription, body: bytes, *, of_token: bool) -> tuple[str, bytes]:
    """Send one message; return the status, or the name of the failure, and the answer's body."""
    url = urlsplit(subscription.token_url if of_token else subscription.url)
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Adyen HttpClient 1.0"}
    if of_token and subscription.hmac_key:
        headers["HmacSignature"] = payload_signature(body, subscription.hmac_key)
    if subscription.username:
        pair = f"{subscription.username}:{subscription.password}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    connection = http.client.HTTPConnection(
        url.hostname or "127.0.0.1", url.port or 80, timeout=subscription.timeout_seconds
    )
    try:
        connection.request("POST", url.path + (f"?{url.query}" if url.query else ""), body, headers)
        answer = connection.getresponse()
        return str(answer.status), answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__, b""
    finally:
        connection.close()


def accepted(subscription: Subscription, answer: tuple[str, bytes]) -> bool:
    """Return whether the receiver accepted the message."""
    status, body = answer
    return status.startswith("2") and (subscription.accept == "status" or b"[accepted]" in body)
