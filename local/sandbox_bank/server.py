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

from local.sandbox_bank.back_office import BackOffice
from local.sandbox_bank.behaviour import Behaviours, Scenario
from local.sandbox_bank.books import KINDS, Books
from local.sandbox_bank.movements import Refused, Terms

if TYPE_CHECKING:
    from pathlib import Path

KEPT_HEADER = "Idempotency-Kept"  # marks a stored failure, which every retry with the key gets again
HUGE_BODY_BYTES = 64 * 1024 * 1024
_CREATE = re.compile(r"/banks/([a-z0-9_-]+)/charges")
_FOLLOW_UP = re.compile(r"/banks/([a-z0-9_-]+)/charges/(ch_[0-9a-f]+)/(captures|voids|refunds)")
_CHARGE = re.compile(r"/banks/([a-z0-9_-]+)/charges/([A-Za-z0-9_-]+)")
_FIND = re.compile(r"/banks/([a-z0-9_-]+)/operations")
_ADMIN = re.compile(r"/banks/([a-z0-9_-]+)/(settings|scenario|fault)")
_FILE = re.compile(r"/banks/([a-z0-9_-]+)/(report|statement)")
_SETTLE = re.compile(r"/banks/([a-z0-9_-]+)/settlements")


class Bank(ThreadingHTTPServer):
    """The server: books, behaviours and one thread per connection."""

    daemon_threads = True
    request_queue_size = 512  # a burst of connections must not be refused by the listen backlog

    def __init__(self, host: str, port: int, books: Path | str) -> None:
        super().__init__((host, port), Handler)
        self.books = Books(books)
        self.behaviours = Behaviours()
        self.back_office = BackOffice(self.books, self.behaviours)

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
        """Look up operations by reference, show the books, or give a report or a statement."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if match := _FIND.fullmatch(url.path):
            scenario = self.server.behaviours.next_scenario(match[1], "find", "")
            if scenario.mode in {"unavailable", "timeout_before_booking"}:
                if scenario.mode.startswith("timeout"):
                    time.sleep(scenario.delay_ms / 1000)
                return self._send(503, {"error": {"code": "unavailable"}})
            return self._send(200, {"operations": self.server.books.find(match[1], query.get("reference", ""))})
        if match := _CHARGE.fullmatch(url.path):
            return self._charge(match[1], match[2])
        if match := _FILE.fullmatch(url.path):
            try:
                content_type, file = self.server.back_office.file(match[1], match[2], query)
            except Refused as refused:
                return self._send(refused.status, refused.body)
            except ValueError as error:
                return self._bad_request(error)
            return self._send_bytes(200, file, {"Content-Type": content_type})
        if url.path == "/books":
            rows = self.server.books.all(query)
            return self._send(200, {"count": len(rows), "operations": rows})
        return self._send(404, {"error": {"code": "no_such_path"}})

    def _charge(self, bank: str, charge_id: str) -> None:
        if self.server.behaviours.next_scenario(bank, "find", "").mode == "unavailable":
            return self._send(503, {"error": {"code": "unavailable"}})
        charge = self.server.books.charge(bank, charge_id)
        if charge is None:
            return self._send(404, {"error": {"code": "no_such_charge"}})
        return self._send(200, charge)

    def do_PUT(self) -> None:
        """Change settings, set a scenario, or commit a fault."""
        body = self._body()
        match = _ADMIN.fullmatch(self.path)
        if match is None:
            return self._send(404, {"error": {"code": "no_such_path"}})
        answer: dict[str, Any] = {"ok": True}
        try:
            if match[2] == "settings":
                self.server.behaviours.configure(match[1], body)
            elif match[2] == "scenario":
                self.server.behaviours.set_scenario(match[1], body)
            else:
                answer = self.server.back_office.commit_fault(match[1], body)
        except Refused as refused:
            return self._send(refused.status, refused.body)
        except (TypeError, ValueError) as error:
            return self._bad_request(error)
        return self._send(200, answer)

    def do_DELETE(self) -> None:
        """Clear a scenario."""
        match = _ADMIN.fullmatch(self.path)
        if match is None or match[2] != "scenario":
            return self._send(404, {"error": {"code": "no_such_path"}})
        self.server.behaviours.clear_scenario(match[1])
        return self._send(200, {"ok": True})

    def do_POST(self) -> None:
        """Execute an operation according to the scenario, or settle."""
        body = self._body()
        if match := _SETTLE.fullmatch(self.path):
            return self._settle(match[1], body)
        if not self.headers.get("Authorization", "").startswith("Bearer "):
            return self._send(401, {"error": {"code": "unauthenticated"}})
        if match := _CREATE.fullmatch(self.path):
            operation = {**body, "kind": "payment"}
        elif match := _FOLLOW_UP.fullmatch(self.path):
            operation = {**body, "kind": KINDS[match[3]], "charge_id": match[2]}
        else:
            return self._send(404, {"error": {"code": "no_such_path"}})
        bank, kind = match[1], operation["kind"]
        scenario = self.server.behaviours.next_scenario(bank, kind, str(body.get("payment_method", "")))
        return self._execute(bank, operation, scenario)

    def _settle(self, bank: str, body: dict[str, Any]) -> None:
        try:
            return self._send(201, self.server.back_office.settle(bank, body))
        except Refused as refused:
            return self._send(refused.status, refused.body)
        except ValueError as error:
            return self._bad_request(error)

    def _execute(self, bank: str, operation: dict[str, Any], scenario: Scenario) -> None:
        settings = self.server.behaviours.settings(bank)
        time.sleep(settings.latency_ms / 1000)
        if self._misbehaved_before(scenario):
            return None
        operation = {**operation, "visible_after_ms": settings.visible_after_ms}
        if scenario.mode == "decline":
            operation["decline_code"] = scenario.code
        elif scenario.mode == "error_kept":
            operation["fails"] = True
        request = {name: value for name, value in operation.items() if name not in {"decline_code", "fails"}}
        try:
            key = self.headers.get("Idempotency-Key", "")
            status, answer = self.server.books.execute_once(
                bank, key, settings.key_retention_seconds, request, operation, Terms.of(settings)
            )
        except Refused as refused:
            return self._send(refused.status, refused.body)
        except KeyError as missing:
            return self._send(400, {"error": {"code": "bad_request", "message": f"missing {missing}"}})
        if status >= 500:
            kept = {KEPT_HEADER: "true"} if settings.key_retention_seconds else None
            return self._send(status, answer, kept)
        return self._answer(status, answer, scenario)

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

    def _body(self) -> dict[str, Any]:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body: dict[str, Any] = json.loads(raw or b"{}")
        return body

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
