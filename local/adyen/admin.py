"""The fake's own routes under ``/admin``, for tests and the demo: books, settings, scenarios, time, disputes."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from local.adyen.back_office import act, dispute
from local.adyen.clock import iso8601
from local.adyen.desk import Desk
from local.adyen.notifications import TOKENS
from local.adyen.vocabulary import Refused, major_units

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.adyen.office import Office

type Answer = tuple[int, Any]
_TABLES = {"/admin/books": "operations", "/admin/payments": "payments", "/admin/disputes": "disputes"}


@dataclass(frozen=True, slots=True)
class Admin:
    """Answers the admin routes. What is invalid is answered with 400 and the reason."""

    office: Office

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        """Return status and body of one request."""
        try:
            if method == "GET":
                return self._read(path, query)
            handler = self._changes().get((method, path))
            if handler is None:
                return 404, {"error": "no such path"}
            return 200, handler(body)
        except Refused as refused:
            return refused.status, refused.body
        except (TypeError, ValueError, sqlite3.OperationalError) as error:
            return 400, {"error": str(error)}

    def _read(self, path: str, query: dict[str, str]) -> Answer:
        books = self.office.books
        if path in _TABLES:
            rows = books.rows(_TABLES[path], query)
            if path == "/admin/payments":
                # The amount as Adyen's table of currencies understands it, to see one that was sent in other units.
                rows = [{**row, "amount": major_units(row["amount_minor"], row["currency"])} for row in rows]
            return 200, {"count": len(rows), "rows": rows}
        if path in {"/admin/notifications", "/admin/token_notifications"}:
            of_tokens = path.endswith("token_notifications")
            rows = [
                row for row in books.rows("notifications", query) if row["event_code"].startswith(TOKENS) is of_tokens
            ]
            rows = [{**row, "item": json.loads(row["item"])} for row in rows]
            return 200, {"count": len(rows), "rows": rows}
        if path == "/admin/clock":
            return 200, {"now_ms": self.office.clock.now_ms(), "now": iso8601(self.office.clock.now_ms())}
        if path == "/admin/settings":
            return 200, asdict(self.office.behaviours.settings())
        return 404, {"error": "no such path"}

    def _changes(self) -> dict[tuple[str, str], Callable[[dict[str, Any]], Any]]:
        behaviours, delivery = self.office.behaviours, self.office.delivery
        return {
            ("PUT", "/admin/settings"): _done(behaviours.configure),
            ("PUT", "/admin/scenario"): _done(behaviours.set_scenario),
            ("DELETE", "/admin/scenario"): _done(lambda _body: behaviours.clear_scenario()),
            ("PUT", "/admin/subscription"): _done(delivery.configure),
            ("POST", "/admin/clock"): self._advance,
            ("POST", "/admin/notifications"): self._send_again,
            ("POST", "/admin/disputes"): lambda body: self._in_books(dispute, body),
            ("POST", "/admin/actions"): lambda body: self._in_books(act, body),
        }

    def _advance(self, body: dict[str, Any]) -> dict[str, Any]:
        """Add ``seconds`` to the time, then do and send all that is due by then; without seconds, what is due now."""
        self.office.clock.advance(int(float(body.get("seconds", 0)) * 1000))
        tasks, attempts = self.office.catch_up()
        return {"now_ms": self.office.clock.now_ms(), "tasks": tasks, "attempts": attempts}

    def _send_again(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send a notification once more, as *Retry* in the Customer Area does: ``{"id": 3}``."""
        with self.office.books.transaction() as ledger:
            if ledger.one("notifications", id=body.get("id")) is None:
                raise ValueError("no such notification")
            now_ms = self.office.clock.now_ms()
            ledger.update("notifications", {"id": body["id"]}, state="queued", due_at_ms=now_ms)
        return {"attempts": self.office.catch_up()[1]}

    def _in_books(self, change: Callable[[Desk, dict[str, Any]], Any], body: dict[str, Any]) -> Any:
        with self.office.books.transaction() as ledger:
            desk = Desk(ledger, self.office.behaviours.settings(), self.office.clock.now_ms())
            changed = change(desk, body)
        self.office.catch_up()
        return changed


def _done(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def handler(body: dict[str, Any]) -> dict[str, Any]:
        change(body)
        return {"ok": True}

    return handler
