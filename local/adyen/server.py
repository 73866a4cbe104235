"""The fake's HTTP server: the API, the payer's page, the admin routes, and the faults of a scenario.

429 and 503 are answered before anything is booked; a 500 may come after.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from local.adyen.admin import Admin
from local.adyen.behaviour import LIST
from local.adyen.books import Books
from local.adyen.checkout import ApiRequest, Checkout, company_of, kind_of, path_of
from local.adyen.delivery import Delivery
from local.adyen.desk import Desk
from local.adyen.details import payer_answers
from local.adyen.idempotency import KEPT_STATUSES, Transient
from local.adyen.office import Office
from local.adyen.pages import ANSWERS, bank_page, way_back
from local.adyen.vocabulary import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from local.sandbox_bank.behaviour import Scenario

HUGE_BODY_BYTES = 64 * 1024 * 1024
NO_CONTENT = 204
KEY_STORE_UNAVAILABLE = (503, "703", "required resource temporarily unavailable")


class AdyenServer(ThreadingHTTPServer):
    """The server: one fake, one thread per connection."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, host: str, port: int, books: Path | str) -> None:
        opened = Books(books)
        self.office = Office(opened, Delivery(opened))  # before the port, as a port that is taken closes all
        super().__init__((host, port), Handler)
        self.checkout = Checkout(opened, self.office.behaviours, self.office.clock)
        self.admin = Admin(self.office)
        self.base_url = f"http://{host}:{self.server_address[1]}"
        self.office.start()

    def server_close(self) -> None:
        """Close the socket and the office."""
        super().server_close()
        self.office.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: clients that hang up are expected here."""


class Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    server: AdyenServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        """Show the payer's page or the admin's lists, or list stored payment methods."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path.startswith("/admin/"):
            return self._send(*self.server.admin.answer("GET", url.path, query, {}))
        if url.path.startswith("/checkoutshopper/"):
            return self._page(url.path, query.get("MD", ""))
        return self._stored("GET")

    def do_PUT(self) -> None:
        """Change settings, the scenario or the subscription."""
        self._admin("PUT")

    def do_DELETE(self) -> None:
        """Clear the scenario, or delete a stored payment method."""
        self._admin("DELETE") if self.path.startswith("/admin/") else self._stored("DELETE")

    def do_POST(self) -> None:
        """Execute an API request according to the scenario, or an action of the back office."""
        if self.path.startswith("/admin/"):
            return self._admin("POST")
        raw = self._raw_body()
        try:
            company, path = company_of(self.headers.get("X-API-Key")), path_of(urlsplit(self.path).path)
            body = _parsed(raw)
            kind = kind_of(path, body)
        except Refused as refused:
            return self._send(refused.status, refused.body)
        request = ApiRequest(company, path, body, self.headers.get("Idempotency-Key", ""), self.server.base_url)
        return self._execute(request, kind)

    def _execute(self, request: ApiRequest, kind: str) -> None:
        stored = request.body.get("paymentMethod")
        stored_id = str(stored.get("storedPaymentMethodId", "")) if isinstance(stored, dict) else ""
        scenario = self.server.office.behaviours.next_scenario(kind, stored_id)
        time.sleep(self.server.office.behaviours.settings().latency_ms / 1000)
        if self._misbehaved_before(scenario):
            return None
        pause_seconds = scenario.delay_ms / 1000 if scenario.mode in {"slow", "book_late"} else 0
        try:
            status, body = self.server.checkout.execute(request, scenario, lambda: time.sleep(pause_seconds))
        except Transient as transient:
            return self._send(transient.status, transient.body, {"transient-error": "true"})
        except Refused as refused:
            return self._send(refused.status, refused.body)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # A member of another type than the specification's: nothing is booked, as its transaction is rolled back.
            return self._send(400, Refused(400, "702", f"Unexpected input: {error}").body)
        if scenario.mode == "events_before_answer":
            self.server.office.catch_up()
        self._answer(status, body, scenario, request.key)
        return self.server.office.wake()

    def _misbehaved_before(self, scenario: Scenario) -> bool:
        """Misbehave as the scenario does before booking; return whether the request is finished with that."""
        match scenario.mode:
            case "throttle":
                body = Refused(429, "000", "Too many requests", "security").body
                self._send(429, body, {"Retry-After": str(scenario.retry_after_seconds)})
            case "unavailable":
                self._send(503, Refused(503, "000", "Service unavailable", "internal").body)
            case "key_store_unavailable":
                refused = Refused(*KEY_STORE_UNAVAILABLE, "internal")
                self._send(503, refused.body, {"transient-error": "true"})
            case "timeout_before_booking":
                time.sleep(scenario.delay_ms / 1000)
                self._reset()
            case "drop_before_booking":
                self._reset()
            case _:
                return False
        return True

    def _answer(self, status: int, body: Any, scenario: Scenario, key: str) -> None:
        headers = {"idempotency-key": key} if key and status in KEPT_STATUSES else {}
        if reference := body.get("pspReference"):
            headers["pspReference"] = reference
        match scenario.mode:
            case "timeout_after_booking":
                time.sleep(scenario.delay_ms / 1000)
                self._reset()
            case "drop_after_booking":
                self._reset()
            case "error_after_booking":
                self._send(500, Refused(500, "000", "Internal error", "internal").body)
            case _ if status == NO_CONTENT:
                self._send_bytes(status, b"")
            case "garbage_body":
                self._send_bytes(status, b'{"pspReference": ', headers)
            case "huge_body":
                self._send_bytes(status, b" " * HUGE_BODY_BYTES, headers)
            case "wrong_reference":
                wrong = {"merchantReference": "somebody-else", "reference": "somebody-else"}
                self._send(status, {**body, **wrong}, headers)
            case "drip":
                self._send_bytes(status, json.dumps(body).encode(), headers, drip=True)
            case _:
                self._send(status, body, headers)

    def _page(self, path: str, token: str) -> None:
        said = path.rpartition("/")[2]
        office = self.server.office
        with office.books.transaction() as ledger:
            payment = ledger.one("payments", token=token)
            if payment is not None and said in ANSWERS:
                desk = Desk(ledger, office.behaviours.settings(), office.clock.now_ms())
                payment = payer_answers(desk, token, said)
        if payment is None:
            return self._send(404, {"error": "no such payment"})
        if said not in ANSWERS:
            return self._send_bytes(200, bank_page(payment, path), {"Content-Type": "text/html; charset=utf-8"})
        self._send_bytes(302, b"", {"Location": way_back(payment)})
        return office.wake()

    def _stored(self, method: str) -> None:
        url = urlsplit(self.path)
        office = self.server.office
        scenario = office.behaviours.next_scenario(LIST if method == "GET" else "revocation", "")
        if self._misbehaved_before(scenario):
            return None
        if scenario.mode in {"slow", "book_late"}:
            time.sleep(scenario.delay_ms / 1000)
        if scenario.mode == "error_kept":
            return self._send(500, Refused(500, "000", "Internal error", "internal").body)
        try:
            company, path = company_of(self.headers.get("X-API-Key")), path_of(url.path)
            status, body = self.server.checkout.stored_methods(company, method, path, dict(parse_qsl(url.query)))
        except Refused as refused:
            return self._send(refused.status, refused.body)
        if scenario.mode == "events_before_answer":
            office.catch_up()
        self._answer(status, body, scenario, "")
        return office.wake()

    def _admin(self, method: str) -> None:
        try:
            body = _parsed(self._raw_body() or b"{}")
        except Refused as refused:
            return self._send(refused.status, refused.body)
        return self._send(*self.server.admin.answer(method, urlsplit(self.path).path, {}, body))

    def _raw_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._send_bytes(status, json.dumps(body).encode(), headers)

    def _send_bytes(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, drip: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not drip:
            self.wfile.write(body)
            return
        for position in range(len(body)):
            self.wfile.write(body[position : position + 1])
            time.sleep(1)

    def _reset(self) -> None:
        # With a linger of zero the connection is reset rather than closed in order.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


def _parsed(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a request. Raises ``Refused`` (400) as Adyen does for what is none."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refused(400, "702", "Unexpected input") from None
    if not isinstance(body, dict):
        raise Refused(400, "702", "Unexpected input: an object is expected")
    return body
