"""A template: a server that behaves as Toypay's, with its books. It runs in this process, in a thread.

Toypay's API, as a vendor would document it:

- ``POST /payments {reference, amount_minor, currency, method, token, capture, payer, return_url}``: 201 with the
  payment in ``authorized``, ``paid``, ``open`` (the payer visits ``checkout_url``) or ``processing``; 402; 400.
- ``POST /payments/{id}/captures``, ``/refunds``, ``/voids {reference, amount_minor}``: 201; 409 ``wrong_state``.
- ``POST /payments/{id}/cancel``: 201 for an open payment, again and again; 409 ``wrong_state``.
- ``GET /payments?reference=`` lists the payments of a reference as soon as they are answered. ``GET /payments/{id}``.
- A payment lists its ``operations``, oldest first: ``{id, kind, reference, amount_minor, status}``. A refund that came
  back is ``returned`` instead of ``done``, and no part of ``refunded_minor``.
- A key (``Idempotency-Key``) is remembered for 24 hours; 422 ``key_reused``. What is answered with
  ``Toypay-Kept: true`` is remembered although it is an error.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

LATE_SECONDS = 0.6
DEBIT_SECONDS = 2 * 86_400

type Row = dict[str, Any]
type Reply = tuple[int, Row]


@dataclass
class ToypayBooks:
    """The books and the behaviour. ``keys_seconds`` 0 ignores keys; ``fault`` is the next POST's, and then gone."""

    keys_seconds: int = 86_400
    several_captures: bool = True
    keeps_the_rest: bool = False  # a void after a capture is answered, and nothing is released
    fault: str = ""
    payments: dict[str, Row] = field(default_factory=dict)
    ahead_seconds: float = 0
    _answers: dict[str, tuple[float, str, Reply]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def post(self, path: str, text: str, key: str) -> Reply:
        """Answer a POST."""
        with self._lock:
            fault, self.fault = self.fault, ""
        if fault == "late":
            threading.Timer(LATE_SECONDS, self._execute, (path, text, key)).start()
            return 0, {}
        if fault == "throttled":
            return 429, {"error": "too_many_requests"}
        with self._lock:
            kept = self._answers.get(key)
            if kept and kept[0] > self._now():
                return kept[2] if kept[1] == path + text else (422, {"error": "key_reused"})
        if fault == "kept":
            self._answers[key] = (self._now() + self.keys_seconds, path + text, (500, {"kept": True}))
            return self._answers[key][2]
        return self._execute(path, text, key)

    def get(self, path: str, query: str) -> Reply:
        """Answer a GET."""
        with self._lock:
            self._settle()
            parts = [unquote(part) for part in path.split("/")[1:]]
            if parts == ["payments"]:
                wanted = parse_qs(query).get("reference", [""])[0]
                return 200, {"payments": [row for row in self.payments.values() if row["reference"] == wanted]}
            found = self.payments.get(parts[1]) if len(parts) == 2 and parts[0] == "payments" else None
            return (200, found) if found else (404, {"error": "no_such_payment"})

    def pay(self, identity: str, *, approve: bool) -> None:
        """Do what the payer does on the page of ``checkout_url``."""
        with self._lock:
            row = self.payments[identity]
            if row["status"] != "open":
                return
            if approve:
                self._executed(row)
            else:
                row["status"] = "declined"

    def give_back(self, identity: str) -> None:
        """Do what the payer's bank does when it can't pay a refund out."""
        with self._lock:
            for row in self.payments.values():
                for one in row["operations"]:
                    if (one["id"], one["kind"], one["status"]) == (identity, "refund", "done"):
                        one["status"] = "returned"
                        row["refunded_minor"] -= one["amount_minor"]

    def _now(self) -> float:
        return time.time() + self.ahead_seconds

    def _execute(self, path: str, text: str, key: str) -> Reply:
        with self._lock:
            kept = self._answers.get(key)
            if kept and kept[0] > self._now():
                return kept[2]
            reply = self._do(path, json.loads(text))
            if key and self.keys_seconds:
                self._answers[key] = (self._now() + self.keys_seconds, path + text, reply)
            # As it is now: the row itself goes on.
            return reply[0], json.loads(json.dumps(reply[1]))

    def _do(self, path: str, asked: Row) -> Reply:
        self._settle()
        parts = [unquote(part) for part in path.split("/")[1:]]
        if parts == ["payments"]:
            return self._create(asked)
        row = self.payments.get(parts[1])
        if row is None or len(parts) != 3:
            return 404, {"error": "no_such_payment"}
        return self._cancel(row) if parts[2] == "cancel" else self._operate(row, parts[2].removesuffix("s"), asked)

    def _create(self, asked: Row) -> Reply:
        token, method = asked["token"], asked["method"]
        if method not in {"card", "bank_debit"}:
            return 400, {"error": "method_not_supported"}
        if token == "declined" or (token == "needs_payer" and asked["payer"] == "absent"):  # noqa: S105
            return 402, {"error": "insufficient_funds" if token == "declined" else "authentication_required"}  # noqa: S105
        row: Row = {name: asked[name] for name in ("reference", "amount_minor", "currency", "capture", "token")}
        row |= {"id": f"tp_{next(self._numbers)}", "kind": "payment", "captured_minor": 0, "refunded_minor": 0}
        row |= {"operations": [], "status": "processing", "due": self._now() + DEBIT_SECONDS}
        self.payments[row["id"]] = row
        if token == "needs_payer":  # noqa: S105
            row |= {"status": "open", "checkout_url": f"https://pay.toypay.example/{row['id']}"}
        elif method == "card":
            self._executed(row)
        return 201, row

    def _operate(self, row: Row, kind: str, asked: Row) -> Reply:
        amount = asked["amount_minor"]
        captures = sum(one["kind"] == "capture" for one in row["operations"])
        left = {
            "capture": row["amount_minor"] - row["captured_minor"] if row["status"] == "authorized" else 0,
            "void": row["amount_minor"] - row["captured_minor"] if row["status"] == "authorized" else 0,
            "refund": row["captured_minor"] - row["refunded_minor"],
        }[kind]
        if amount > left or (kind == "capture" and captures and not self.several_captures):
            return 409, {"error": "wrong_state"}
        if kind == "void" and not captures:
            row["status"] = "voided"
        elif kind == "void":
            row["status"] = "authorized" if self.keeps_the_rest else "paid"
        else:
            row[f"{kind}d_minor" if kind == "capture" else "refunded_minor"] += amount
        operation: Row = {"id": f"op_{next(self._numbers)}", "payment_id": row["id"], "kind": kind, "status": "done"}
        operation |= {"reference": asked["reference"], "amount_minor": amount, "currency": row["currency"]}
        row["operations"].append(operation)
        return 201, operation

    @staticmethod
    def _cancel(row: Row) -> Reply:
        if row["status"] not in {"open", "canceled"}:
            return 409, {"error": "wrong_state"}
        row["status"] = "canceled"
        return 201, row

    @staticmethod
    def _executed(row: Row) -> None:
        paid = row["capture"] == "automatic"
        row["status"] = "paid" if paid else "authorized"
        row["captured_minor"] = row["amount_minor"] if paid else 0

    def _settle(self) -> None:
        for row in self.payments.values():
            if row["status"] == "processing" and row["due"] <= self._now():
                if row["token"] == "debit_fails":  # noqa: S105
                    row["status"] = "declined"
                else:
                    self._executed(row)


@contextmanager
def running_toypay(books: ToypayBooks) -> Iterator[str]:
    """Serve ``books`` on loopback and yield the base address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            self.reply(*books.post(self.path, text, self.headers.get("idempotency-key", "")))

        def do_GET(self) -> None:
            target = urlsplit(self.path)
            self.reply(*books.get(target.path, target.query))

        def reply(self, status: int, document: Row) -> None:
            if not status:
                return  # nothing is answered, and the connection ends
            body = json.dumps(document).encode()
            self.send_response(status)
            if document.get("kept"):
                self.send_header("toypay-kept", "true")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
