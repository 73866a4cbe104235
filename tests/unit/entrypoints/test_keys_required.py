"""No unsafe route does anything without an idempotency key: each function is driven, and the books are read."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import MisconfiguredError
from payonce.entrypoints.http import UNSAFE_METHODS, ReadRoute, Route, serve
from payonce.entrypoints.routes import ROUTES
from payonce.ports import Insert, Table
from tests.functional.conftest import load_handler
from tests.support.events import PAYMENT, Context, call, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.wiring.application import Application

    type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

UNSAFE = [route for route in ROUTES.values() if route.method in UNSAFE_METHODS]


def refuse_without_a_key(handler: Handler, route: Route, application: Application) -> None:
    """Call the handler with all but a key; it answers 400 and nothing happens anywhere."""
    payment_id = json.loads(call(application, "create_payment", key="first-payment-of-all")["body"])["id"]
    before = copy.deepcopy(application.database._tables)  # type: ignore[attr-defined]
    submissions = list(application.gateway("bank").submissions)  # type: ignore[attr-defined]
    path = dict.fromkeys(re.findall(r"{(\w+)}", route.path), payment_id)
    for spelled in ({}, {"X-Idempotency-Key": ""}, {"Idempotency-Key": '""'}):
        for body in ({}, PAYMENT):
            answer = handler(event(body, key=None, headers=spelled, path=path), Context())
            problem = json.loads(answer["body"])
            assert answer["statusCode"] == 400
            assert problem["type"].rsplit(":", 1)[-1] in {"key-missing", "key-malformed"}
    assert application.database._tables == before  # type: ignore[attr-defined]
    assert application.gateway("bank").submissions == submissions  # type: ignore[attr-defined]


def test_there_are_unsafe_routes() -> None:
    """Keeps the test below from passing because it has nothing to drive."""
    assert {route.operation for route in UNSAFE} >= {"create_payment", "refund_payment", "delete_webhook_endpoint"}


@pytest.mark.parametrize("route", UNSAFE, ids=lambda route: route.operation)
def test_an_unsafe_route_does_nothing_without_a_key(
    route: Route, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails for a function whose handler goes round the guard, whatever its source looks like."""
    handler = load_handler(route.operation, application, monkeypatch)  # type: ignore[arg-type]
    refuse_without_a_key(handler, route, application)


def planted(application: Application, _request: Any, _query: Any) -> dict[str, Any]:
    application.database.write([Insert(Table.MERCHANTS, {"pk": "PLANTED", "sk": "PLANTED"})])
    return {}


def test_a_route_without_the_guard_is_found(application: Application) -> None:
    """A route that changes something and was smuggled in as a read. Fails when the check above would let it pass."""
    route = ReadRoute(
        method="GET",
        path="/payments/{payment_id}/planted",
        operation="planted",
        scope="payments:write",
        summary="Planted.",
        answers={200: "Payment"},
        read=planted,
    )
    object.__setattr__(route, "method", "POST")
    with pytest.raises(AssertionError):
        refuse_without_a_key(lambda sent, context: serve(route, application, sent, context), route, application)
    assert application.database.get(Table.MERCHANTS, {"pk": "PLANTED", "sk": "PLANTED"}) is not None


def test_an_unsafe_method_can_not_be_declared_as_a_read() -> None:
    """Fails when a route that changes something can be written without the idempotency engine."""
    with pytest.raises(MisconfiguredError):
        ReadRoute(
            method="POST",
            path="/payments/{payment_id}/planted",
            operation="planted",
            scope="payments:write",
            summary="Planted.",
            answers={200: "Payment"},
            read=planted,
        )
