"""The fake Mollie's routes and listings, over its books."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.mollie.books import refuse
from local.mollie.customers import shown as customer_shown
from local.mollie.links import API
from local.mollie.mandates import shown as mandate_shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.mollie.books import MollieBooks, Row
    from local.mollie.keys import Reply

NOWHERE = "The resource does not exist"


@dataclass
class Routes:
    """Which request does what. Every method may raise ``RefusedError``."""

    books: MollieBooks

    def do(self, method: str, parts: list[str], query: dict[str, str], text: str) -> Reply:
        """Execute a request. Return its status and document."""
        match method, parts:
            case _, ["customers", *rest]:
                return self._customers(method, rest, query, text)
            case "POST", ["payments"]:
                return self._pay(_json(text))
            case "GET", ["payments"]:
                return self._payments("payments", list(self.books.payments.values()), query)
            case _, ["payments", identity, *rest]:
                row = self.books.payments.get(identity)
                if row is None:
                    raise refuse(404, f"No payment exists with token {identity}.")
                return self._read(row, parts, query) if method == "GET" else self._write(row, method, rest, text)
        raise refuse(404, NOWHERE)

    def _pay(self, asked: Row) -> Reply:
        return 201, self.books.shown(self.books.create_payment(asked))

    def _payments(self, path: str, rows: list[Row], query: dict[str, str]) -> Reply:
        return 200, self._page(path, list(reversed(rows)), query, "payments")

    def _customers(self, method: str, parts: list[str], query: dict[str, str], text: str) -> Reply:
        customers = self.books.customers
        match method, parts:
            case "POST", []:
                return 201, customer_shown(customers.create(_json(text)))
            case "GET", []:
                return 200, self._page("customers", list(reversed(customers.rows.values())), query, "customers")
            case "GET", [identity]:
                return 200, customer_shown(customers.get(identity))
            case "PATCH", [identity]:
                return 200, customer_shown(customers.update(identity, _json(text)))
            case "DELETE", [identity]:
                customers.delete(identity)
                self.books.mandates.revoke_all(identity)
                return 204, {}
            case _, [identity, name, *rest]:
                customers.need(identity)
                return self._of_customer(method, identity, [name, *rest], query, text)
        raise refuse(404, NOWHERE)

    def _of_customer(self, method: str, customer: str, parts: list[str], query: dict[str, str], text: str) -> Reply:
        mandates, path = self.books.mandates, "/".join(["customers", customer, *parts])
        match method, parts:
            case "POST", ["payments"]:
                return self._pay({**_json(text), "customerId": customer})
            case "GET", ["payments"]:
                theirs = [row for row in self.books.payments.values() if row.get("customerId") == customer]
                return self._payments(path, theirs, query)
            case "POST", ["mandates"]:
                return 201, mandate_shown(mandates.create(customer, _json(text)))
            case "GET", ["mandates"]:
                return 200, self._page(path, mandates.of_customer(customer), query, "mandates")
            case "GET", ["mandates", identity]:
                return 200, mandate_shown(mandates.get(customer, identity))
            case "DELETE", ["mandates", identity]:
                mandates.revoke(customer, identity)
                return 204, {}
        raise refuse(404, NOWHERE)

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
        raise refuse(404, NOWHERE)

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
        raise refuse(404, NOWHERE)

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
        shows: dict[str, Callable[[Row], Row]] = {
            "chargebacks": dict,
            "mandates": mandate_shown,
            "customers": customer_shown,
        }
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
