"""The fake Mollie's HTTP: who asks, faults, and the answers on the wire. It runs in this process, in a thread."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from local.mollie.books import MollieBooks, RefusedError
from local.mollie.keys import Keys, problem
from local.mollie.routes import Routes
from local.mollie.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.mollie.keys import Reply

PREFIX = "/v2"
LATE_SECONDS = 0.6
NO_CONTENT = 204
NO_ANSWER: Reply = (0, {})
WRITES = frozenset({"POST", "PATCH", "DELETE"})
INTERNAL = "An internal server error occurred"
# Of the next request that changes something: whether it is executed, and what is answered instead of its own answer.
THROTTLED, UNAVAILABLE, UNSENT = "throttled", "unavailable", "unsent"  # nothing is executed
KEPT = "kept"  # nothing is executed, and the key keeps the 500
LATE, LOST, ERROR_AFTER = "late", "lost", "error_after"  # executed, a moment later or at once
TOLD_FIRST = "told_first"  # executed, and the webhooks are called before it is answered
FAULTS = frozenset({THROTTLED, UNAVAILABLE, UNSENT, KEPT, LATE, LOST, ERROR_AFTER, TOLD_FIRST})


@dataclass
class MollieApi:
    """The fake. ``fault`` is one of ``FAULTS`` for the next request that changes something, and then gone."""

    books: MollieBooks = field(default_factory=MollieBooks)
    api_key: str = "test_fake"
    fault: str = ""
    webhooks: Webhooks = field(default_factory=Webhooks)

    def __post_init__(self) -> None:
        self._keys = Keys(self.books.now, self.books.lock)
        self._routes = Routes(self.books)

    def answer(self, method: str, target: str, text: str, authorization: str, key: str) -> tuple[int, Any, bool]:
        """Answer a request: the status (0 for no answer), the document, and whether it is a cached answer."""
        if authorization != f"Bearer {self.api_key}":
            return 401, problem(401, "Missing authentication, or failed to authenticate"), False
        if method not in WRITES:
            return (*self._judged(method, target, text), False)
        fault, self.fault = self.fault, ""
        instead = self._instead(fault, method, target, text, key)
        if instead is not None:
            return (*instead, False)
        answer = self._keyed(method, target, text, key)
        if fault == TOLD_FIRST:
            self.deliver()
        return answer

    def _instead(self, fault: str, method: str, target: str, text: str, key: str) -> Reply | None:
        """Return what is answered instead, having done with the request what the fault says."""
        match fault:
            case "throttled":
                return 429, problem(429, "You have exceeded the rate limit. Please slow down your requests.")
            case "unavailable":
                return 503, problem(503, "The service is temporarily unavailable")
            case "unsent":
                return NO_ANSWER
            case "kept":
                reply = 500, problem(500, INTERNAL)
                with self.books.lock:
                    self._keys.keep(key, _asked(method, target, text), reply)
                return reply
            case "late":
                threading.Timer(LATE_SECONDS, self._keyed, (method, target, text, key)).start()
                return NO_ANSWER
            case "lost":
                self._keyed(method, target, text, key)
                return NO_ANSWER
            case "error_after":
                self._keyed(method, target, text, key)
                return 500, problem(500, INTERNAL)
        return None

    def deliver(self) -> int:
        """Let happen what is due, call the webhooks of what has changed, and return how many calls were made."""
        with self.books.lock:
            self.books.settle()
            self.webhooks.note(list(self.books.payments.values()))
        return self.webhooks.deliver()

    def _keyed(self, method: str, target: str, text: str, key: str) -> tuple[int, Any, bool]:
        return self._keys.answer(key, _asked(method, target, text), lambda: self._judged(method, target, text))

    def _judged(self, method: str, target: str, text: str) -> Reply:
        split = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        parts = [unquote(part) for part in split.path.removeprefix(PREFIX).split("/")[1:]]
        try:
            with self.books.lock:
                self.books.settle()
                status, document = self._routes.do(method, parts, query, text)
                # As it is now: the row itself goes on.
                return status, json.loads(json.dumps(document))
        except RefusedError as error:
            status, detail, name = error.args
            return status, problem(status, detail, name)


def _asked(method: str, target: str, text: str) -> str:
    return f"{method} {target} {text}"


@contextmanager
def running_mollie(api: MollieApi) -> Iterator[str]:
    """Serve ``api`` on loopback and yield the base address, which ends in ``/v2``."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            text = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            given = (self.headers.get(name, "") for name in ("authorization", "idempotency-key"))
            status, document, replayed = api.answer(self.command, self.path, text, *given)
            if not status:
                return  # nothing is answered, and the connection ends
            body = b"" if status == NO_CONTENT else json.dumps(document).encode()
            self.send_response(status)
            if replayed:
                self.send_header("idempotent-replayed", "true")
            self.send_header("content-type", "application/hal+json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{PREFIX}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
