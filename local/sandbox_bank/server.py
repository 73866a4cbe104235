"""The bank's HTTP server. It answers 429 and 503 before anything is booked; a 500 may come after."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from local.sandbox_bank import admin_routes, lookup_routes, page_routes
from local.sandbox_bank.books import KINDS
from local.sandbox_bank.movements import Refused
from local.sandbox_bank.services import Asked, Reply, Services, is_authenticated, json_object

if TYPE_CHECKING:
    from pathlib import Path

    from local.sandbox_bank.behaviour import Scenario

KEPT_HEADER = "Idempotency-Kept"  # marks a stored failure, which every retry with the key gets again
HUGE_BODY_BYTES = 64 * 1024 * 1024
ROUTES = (*lookup_routes.ROUTES, *admin_routes.ROUTES, *page_routes.ROUTES)
_CREATE = re.compile(r"/banks/([a-z0-9_-]+)/(charges|setups)")
_FOLLOW_UP = re.compile(rf"/banks/([a-z0-9_-]+)/charges/(ch_[0-9a-f]+)/({'|'.join(KINDS)})")
_OF_SETUP = re.compile(r"/banks/([a-z0-9_-]+)/setups/(su_[0-9a-f]+)/(cancellations|confirmations)")
_REVOKE = re.compile(r"/banks/([a-z0-9_-]+)/saved_methods/(sm_[0-9a-f]+)/revocations")
# These are no part of what the merchant asked for, so that a retry may differ in them.
_NOT_ASKED = frozenset({"decline_code", "fails", "base_url"})


class Bank(ThreadingHTTPServer):
    """The server: the parts of the bank, and one thread per connection."""

    daemon_threads = True
    request_queue_size = 512  # a burst of connections must not be refused by the listen backlog

    def __init__(self, host: str, port: int, books: Path | str) -> None:
        super().__init__((host, port), Handler)
        self.services = Services.open(books)

    def server_close(self) -> None:
        """Stop listening and sending, and close the books."""
        super().server_close()
        self.services.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: clients that hang up are expected here."""


class Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    server: Bank
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Look something up, show the payer's page, or give a report or a statement."""
        self._serve("GET")

    def do_PUT(self) -> None:
        """Change how the bank behaves, or commit a fault."""
        self._serve("PUT")

    def do_DELETE(self) -> None:
        """End what a PUT began."""
        self._serve("DELETE")

    def do_POST(self) -> None:
        """Execute an operation according to the scenario, take the payer's answer, or act in the back office."""
        self._serve("POST")

    def _serve(self, method: str) -> None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for known, pattern, serve in ROUTES:
            if known == method and (match := pattern.fullmatch(url.path)):
                asked = Asked(match.groups(), dict(parse_qsl(url.query)), self.headers, raw)
                return self._reply(serve, asked)
        if method == "POST":
            return self._merchant(url.path, raw)
        return self._send(404, {"error": {"code": "no_such_path"}})

    def _reply(self, serve: Any, asked: Asked) -> None:
        try:
            reply: Reply = serve(self.server.services, asked)
        except Refused as refused:
            return self._send(refused.status, refused.body)
        except (TypeError, ValueError) as error:
            return self._bad_request(error)
        return self._send_bytes(reply.status, reply.body, reply.headers)

    def _merchant(self, path: str, raw: bytes) -> None:
        patterns = (_CREATE, _FOLLOW_UP, _OF_SETUP, _REVOKE)
        match = next((found for pattern in patterns if (found := pattern.fullmatch(path))), None)
        if not is_authenticated(self.server.services, "" if match is None else match[1], self.headers):
            return self._send(401, {"error": {"code": "unauthenticated"}})
        if match is None:
            return self._send(404, {"error": {"code": "no_such_path"}})
        try:
            body = json_object(raw)
        except ValueError as error:
            return self._bad_request(error)
        if match.re is _CREATE:
            operation = {**body, "kind": {"charges": "payment", "setups": "setup"}[match[2]]}
        elif match.re is _REVOKE:
            operation = {**body, "kind": "revocation", "saved_method": match[2]}
        else:
            operation = {**body, "kind": KINDS[match[3]], "charge_id": match[2]}
        scenario = self.server.services.behaviours.next_scenario(
            match[1], operation["kind"], str(body.get("payment_method", ""))
        )
        return self._execute(match[1], operation, scenario)

    def _execute(self, bank: str, operation: dict[str, Any], scenario: Scenario) -> None:
        settings = self.server.services.behaviours.settings(bank)
        time.sleep(settings.latency_ms / 1000)
        if self._misbehaved_before(scenario):
            return None
        operation = {**operation, "visible_after_ms": settings.visible_after_ms, "base_url": self._base_url()}
        if scenario.mode == "decline":
            operation["decline_code"] = scenario.code
        elif scenario.mode == "error_kept":
            operation["fails"] = True
        request = {name: value for name, value in operation.items() if name not in _NOT_ASKED}
        try:
            key = self.headers.get("Idempotency-Key", "")
            status, answer = self.server.services.books.execute_once(bank, key, request, operation)
        except Refused as refused:
            return self._send(refused.status, refused.body)
        except KeyError as missing:
            return self._send(400, {"error": {"code": "bad_request", "message": f"missing {missing}"}})
        except ValueError as error:
            return self._bad_request(error)
        if status >= 500:
            kept = {KEPT_HEADER: "true"} if settings.key_retention_seconds else None
            return self._send(status, answer, kept)
        return self._answer(status, answer, scenario)

    def _base_url(self) -> str:
        """Return the address under which the caller reaches the bank, for links to it."""
        host, port = self.server.server_address[:2]
        return f"http://{self.headers.get('Host') or f'{host!s}:{port}'}"

    def _misbehaved_before(self, scenario: Scenario) -> bool:
        """Misbehave as the scenario does before booking; return whether the request is finished with that."""
        delay_seconds = scenario.delay_ms / 1000
        match scenario.mode:
            case "throttle":
                self._send(429, {"error": {"code": "throttled"}}, {"Retry-After": str(scenario.retry_after_seconds)})
            case "unavailable":
                self._send(503, {"error": {"code": "unavailable"}})
            case "timeout_before_booking":
                time.sleep(delay_seconds)
                self._reset()
            case "drop_before_booking":
                self._reset()
            case "slow" | "book_late":
                time.sleep(delay_seconds)
                return False
            case _:
                return False
        return True

    def _answer(self, status: int, answer: dict[str, Any], scenario: Scenario) -> None:
        match scenario.mode:
            case "timeout_after_booking":
                time.sleep(scenario.delay_ms / 1000)
                self._reset()
            case "drop_after_booking":
                self._reset()
            case "error_after_booking":
                self._send(500, {"error": {"code": "internal"}})
            case "garbage_body":
                self._send_bytes(status, b'{"operation_id": ')
            case "huge_body":
                self._send_bytes(status, b" " * HUGE_BODY_BYTES)
            case "wrong_reference":
                self._send(status, {**answer, "reference": "somebody-else"})
            case "drip":
                self._drip(json.dumps(answer).encode())
            case _:
                self._send(status, answer)

    def _bad_request(self, error: Exception) -> None:
        self._send(400, {"error": {"code": "bad_request", "message": str(error)}})

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body).encode(), headers)

    def _send_bytes(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, body: bytes) -> None:
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for position in range(len(body)):
            self.wfile.write(body[position : position + 1])
            time.sleep(1)

    def _reset(self) -> None:
        # With a linger of zero the connection is reset rather than closed in order.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
