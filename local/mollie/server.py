"""The fake Mollie's HTTP: routes, keys, listings and errors. It runs in this process, in a thread."""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from local.mollie.books import KEY_SECONDS, MollieBooks, RefusedError, refuse
from local.mollie.mandates import API
from local.mollie.mandates import shown as mandate_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.mollie.books import Row

PREFIX = "/v2"
LATE_SECONDS = 0.6
NO_CONTENT = 204
_UUID4 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

type Reply = tuple[int, Any]


@dataclass
class MollieApi:
    """The routes over the books. ``fault`` ("throttled", "kept", "late") is the next POST's, and then gone."""

    books: MollieBooks = field(default_factory=MollieBooks)
    api_key: str = "test_fake"
    fault: str = ""
    _kept: dict[str, tuple[float, str, Reply | None]] = field(default_factory=dict)

    def answer(self, method: str, target: str, text: str, authorization: str, key: str) -> tuple[int, Any, bool]:
        """Answer a request: the status, the document, and whether it is a cached answer."""
        if authorization != f"Bearer {self.api_key}":
            return 401, _error(401, "Missing authentication, or failed to authenticate", None), False
        if method != "POST":
            return (*self._judged(method, target, text), False)
        fault, self.fault = self.fault, ""
        if fault == "throttled":
            return 429, _error(429, "You have exceeded the rate limit. Please slow down your requests.", None), False
        if fault == "late":
            threading.Timer(LATE_SECONDS, self._keyed, (target, text, key)).start()
            return 0, {}, False
        if fault == "kept":
            reply = 500, _error(500, "An internal server error occurred", None)
            self._kept[key] = (self.books.now() + KEY_SECONDS, target + text, reply)
            return (*reply, False)
        return self._keyed(target, text, key)

    def _keyed(self, target: str, text: str, key: str) -> tuple[int, Any, bool]:
        """Answer a POST under its key: "a cached version of the initial response", 400 for another request, 409."""
        if key and not _UUID4.fullmatch(key):
            return 400, _error(400, "The idempotency key is not a UUID v4", None), False
        with self.books.lock:
            until, asked, reply = self._kept.get(key, (0.0, "", None))
            if key and until > self.books.now():
                if asked != target + text:
                    return 400, _error(400, "The idempotency key was used for another request", None), False
                if reply is None:
                    return (
                        409,
                        _error(409, "The previous request with the same key is still being executed.", None),
                        False,
                    )
                return (*reply, True)
            self._kept[key] = (self.books.now() + KEY_SECONDS, target + text, None)
        reply = self._judged("POST", target, text)
        with self.books.lock:
            self._kept[key] = (self.books.now() + KEY_SECONDS, target + text, reply)
        return (*reply, False)

    def _judged(self, method: str, target: str, text: str) -> Reply:
        split = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        parts = [unquote(part) for part in split.path.removeprefix(PREFIX).split("/")[1:]]
        try:
            with self.books.lock:
                self.books.settle()
                status, document = self._do(method, parts, query, text)
                # As it is now: the row itself goes on.
                return status, json.loads(json.dumps(document))
        except RefusedError as error:
            status, detail, name = error.args
            return status, _error(status, detail, name)

    def _do(self, method: str, parts: list[str], query: dict[str, str], text: str) -> Reply:
        if method == "GET" and parts[0] == "customers" and parts[2:] == ["payments"]:
            theirs = [row for row in self.books.payments.values() if row.get("customerId") == parts[1]]
            return 200, self._page("/".join(parts), list(reversed(theirs)), query, "payments")
        if parts[0] == "customers" and parts[2:3] == ["mandates"]:
            return self._mandate(method, parts, query, text)
        if parts[0] != "payments":
            raise refuse(404, "The resource does not exist")
        if len(parts) == 1 and method == "POST":
            return 201, self.books.shown(self.books.create_payment(_json(text)))
        if len(parts) == 1:
            return 200, self._page("payments", list(reversed(self.books.payments.values())), query, "payments")
        row = self.books.payments.get(parts[1])
        if row is None:
            raise refuse(404, f"No payment exists with token {parts[1]}.")
        return self._read(row, parts, query) if method == "GET" else self._write(row, method, parts[2:], text)

    def _mandate(self, method: str, parts: list[str], query: dict[str, str], text: str) -> Reply:
        mandates, customer = self.books.mandates, parts[1]
        match method, parts[3:]:
            case "POST", []:
                return 201, mandate_shown(mandates.create(customer, _json(text)))
            case "GET", []:
                return 200, self._page("/".join(parts), mandates.of_customer(customer), query, "mandates")
            case "GET", [identity]:
                return 200, mandate_shown(mandates.get(customer, identity))
            case "DELETE", [identity]:
                mandates.revoke(customer, identity)
                return 204, {}
        raise refuse(404, "The resource does not exist")

    def _write(self, row: Row, method: str, rest: list[str], text: str) -> Reply:
        books = self.books
        match method, rest:
            case "DELETE", []:
                return 200, books.shown(books.cancel(row))
            case "POST", ["captures"]:
                return 201, books.shown(books.capture(row, _json(text)))
            case "POST", ["refunds"]:
                return 201, books.shown(books.refund(row, _json(text)))
            case "POST", ["release-authorization"]:
                books.release(row)
                return 202, {}
        raise refuse(404, "The resource does not exist")

    def _read(self, row: Row, parts: list[str], query: dict[str, str]) -> Reply:
        match parts[2:]:
            case []:
                return 200, self.books.shown(row, query.get("embed", ""))
            case [("captures" | "refunds" | "chargebacks") as name]:
                return 200, self._page("/".join(parts), row[name], query, name)
            case [("captures" | "refunds") as name, identity]:
                found = next((one for one in row[name] if one["id"] == identity), None)
                if found is None or (name == "refunds" and found["status"] == "canceled"):
                    raise refuse(404, f"No entity exists with token {identity}.")
                return 200, self.books.shown(found)
        raise refuse(404, "The resource does not exist")

    def _page(self, path: str, rows: list[Row], query: dict[str, str], name: str) -> Row:
        """Return a page, newest first, from the item ``from`` and onwards."""
        limit = int(query.get("limit") or 50)
        if not 1 <= limit <= 250:
            raise refuse(400, "The limit is invalid", "limit")
        listed = [one for one in rows if one.get("status") != "canceled" or name != "refunds"]
        start = 0
        if "from" in query:
            start = next((n for n, one in enumerate(listed) if one["id"] == query["from"]), -1)
            if start < 0:
                raise refuse(400, "Invalid cursor value", "from")
        page, rest = listed[start : start + limit], listed[start + limit :]
        following = {"href": f"{API}/{path}?from={rest[0]['id']}&limit={limit}"} if rest else None
        shows: dict[str, Callable[[Row], Row]] = {"chargebacks": dict, "mandates": mandate_shown}
        shown = [shows.get(name, self.books.shown)(one) for one in page]
        return {"count": len(page), "_embedded": {name: shown}, "_links": {"next": following, "previous": None}}


def _json(text: str) -> Row:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise refuse(400, "The request body is not valid JSON")
    return found


def _error(status: int, detail: str, name: str | None) -> Row:
    links = {"documentation": {"href": "https://docs.mollie.com/overview/handling-errors", "type": "text/html"}}
    found = {"status": status, "title": HTTPStatus(status).phrase, "detail": detail, "_links": links}
    return found | ({"field": name} if name else {})


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

        do_GET = do_POST = do_DELETE = answer

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
