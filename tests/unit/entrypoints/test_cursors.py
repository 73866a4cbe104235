"""A cursor goes on in the list it was given for: its route, merchant, endpoint and filters. Elsewhere it is refused.

AIP-158 asks for this: a page token that comes with other arguments than those of the call that gave it is an
INVALID_ARGUMENT, and the token alone must give nobody access. https://google.aip.dev/158
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.ids import content_id
from payonce.domain.payment import Change
from payonce.domain.webhooks import DeliveryStatus
from payonce.entrypoints.http import ReadRoute
from payonce.entrypoints.routes import ROUTES
from payonce.outbox import SETTLING_MS
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.breaks import store_break
from tests.support.disputes import store_dispute
from tests.support.events import PAYMENT, call
from tests.support.setups import saved_method, store_method, store_setup, waiting_setup
from tests.support.webhook_api import new_endpoint, store_delivery, store_event

if TYPE_CHECKING:
    from payonce.wiring.application import Application

MERCHANTS = {"mer_1": ("first", "second"), "mer_2": ("third",)}
CURSORS = {
    "list_payments": "cursor",
    "list_events": "after",
    "list_webhook_deliveries": "cursor",
    "list_breaks": "cursor",
    "list_disputes": "cursor",
    "list_setups": "cursor",
    "list_payment_methods": "cursor",
}
FILTERS: dict[str, list[dict[str, str]]] = {
    "list_payments": [{}, {"customer": "customer-1"}],
    "list_events": [{}, {"type": "payment.captured"}, {"type": "payment.declined"}],
    "list_webhook_deliveries": [{}, {"status": "delivered"}, {"status": "failed"}],
    "list_breaks": [
        {},
        {"status": "open"},
        {"class": "duplicate_capture"},
        {"class": "status_mismatch"},
        {"status": "open", "class": "duplicate_capture"},
    ],
    "list_disputes": [{}, {"status": "lost"}],
    "list_setups": [{"customer": "customer-1"}, {"customer": "customer-2"}],
    "list_payment_methods": [{"customer": "customer-1"}, {"customer": "customer-2"}],
}


@dataclass(frozen=True)
class List:
    """One list as a client asks for it."""

    operation: str
    merchant_id: str
    filters: tuple[tuple[str, str], ...]
    endpoint_id: str = ""

    def page(self, application: Application, cursor: str | None = None) -> dict[str, Any]:
        """Return the answer to a page of one item."""
        going_on = {} if cursor is None else {CURSORS[self.operation]: cursor}
        return call(
            application,
            self.operation,
            None,
            path={"endpoint_id": self.endpoint_id} if self.endpoint_id else None,
            query={"limit": "1", **dict(self.filters), **going_on},
            merchant_id=self.merchant_id,
        )

    def cursor(self, application: Application) -> str:
        """Return the cursor of the first page, which there must be."""
        page = json.loads(self.page(application)["body"])
        cursor = page["next_after" if self.operation == "list_events" else "next_cursor"]
        assert isinstance(cursor, str), self
        return cursor


@pytest.fixture
def lists(application: Application) -> list[List]:
    """Every list of two merchants, one of them with two endpoints, with every filter: each has more than one item."""
    clock, database = application.clock, application.database
    found = []
    for merchant_id, endpoint_names in MERCHANTS.items():
        for key in ("payment-1", "payment-2"):
            body = {**PAYMENT, "customer": "customer-1"}
            call(application, "create_payment", body, key=key.ljust(16, "-"), merchant_id=merchant_id)
        for number in range(2):
            payment_id = f"pay_{zlib.crc32(merchant_id.encode()) * 1000 + 700 + number:026d}"
            store_dispute(database, merchant_id, payment_id=payment_id)
        for number in range(4):
            one = f"{zlib.crc32(merchant_id.encode()) * 1000 + 800 + number:026d}"
            customer = f"customer-{1 + number % 2}"
            store_setup(database, waiting_setup(merchant_id, f"setup_{one}", customer=customer))
            store_method(database, saved_method(merchant_id, f"method_{one}", customer=customer))
        endpoints = [new_endpoint(application, name, merchant_id=merchant_id)["id"] for name in endpoint_names]
        for number in range(4):
            declined = number % 2 == 0
            store_break(
                database,
                merchant_id,
                content_id("brk", merchant_id, str(number)),
                clock.now_ms(),
                f"pay_{zlib.crc32(merchant_id.encode()) * 1000 + 500 + number:026d}",  # of this merchant alone
                break_class=BreakClass.STATUS_MISMATCH if declined else BreakClass.DUPLICATE_CAPTURE,
            )
            change = Change.DECLINED if declined else Change.CHARGED
            event = store_event(database, number, created_at_ms=clock.now_ms(), change=change, merchant_id=merchant_id)
            status = DeliveryStatus.FAILED if declined else DeliveryStatus.DELIVERED
            for endpoint_id in endpoints:
                store_delivery(database, event, endpoint_id, status, now_ms=clock.now_ms())
        for operation, filters in FILTERS.items():
            for owner in endpoints if operation == "list_webhook_deliveries" else [""]:
                found += [List(operation, merchant_id, tuple(given.items()), owner) for given in filters]
    clock.ms += SETTLING_MS + 10  # type: ignore[attr-defined]
    return found


def test_every_route_with_a_cursor_is_tried_here() -> None:
    """Fails for a new list that nobody added to this page's table."""
    taken = {
        name: [field for field in ("cursor", "after") if route.query_model and field in route.query_model.model_fields]
        for name, route in ROUTES.items()
        if isinstance(route, ReadRoute)
    }
    assert {name: fields[0] for name, fields in taken.items() if fields} == CURSORS


def test_a_cursor_goes_on_in_its_own_list_alone(application: Application, lists: list[List]) -> None:
    """Every cursor at every list. Fails (200, and an empty page or one that leaves out items without a word) when a
    cursor is a bare position, or its merchant, its route, its endpoint or one of its filters is not bound to it.
    """
    cursors = {given: given.cursor(application) for given in lists}
    # 2 merchants' 2 + 3 + 5 + 2 + 2 + 2 lists of payments, events, breaks, disputes, set-ups and saved methods, and 3
    # of deliveries for each of 3 endpoints.
    assert len(lists) == 2 * 16 + 3 * 3
    for asked in lists:
        for given, cursor in cursors.items():
            answer = asked.page(application, cursor)
            if given == asked:
                assert answer["statusCode"] == 200, asked
                assert json.loads(answer["body"])["data"], asked
            else:
                document = json.loads(answer["body"])
                assert (answer["statusCode"], document["type"]) == (400, "urn:payonce:problem:invalid-request"), asked
                assert "Start again" in document["detail"], (given, asked)


def test_a_changed_cursor_is_refused(application: Application, lists: list[List]) -> None:
    """One character more, less, or another. Fails when half of a cursor is taken for a position, or a 500 comes."""
    for asked in lists:
        cursor = asked.cursor(application)
        for changed in (cursor[:-1], cursor + "A", "A" + cursor[1:], cursor[:10] + "~" + cursor[11:], "☃", "e30"):
            assert asked.page(application, changed)["statusCode"] == 400, (asked, changed)


def test_a_list_without_pages_takes_no_cursor(application: Application, lists: list[List]) -> None:
    """Webhook endpoints are a bounded number. Fails when a cursor is taken and not looked at."""
    answer = call(application, "list_webhook_endpoints", None, query={"cursor": lists[0].cursor(application)})
    assert answer["statusCode"] == 400
