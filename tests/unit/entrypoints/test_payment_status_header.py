"""A replay is the first answer byte for byte; where that was no end, a header says where the payment stands now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.entrypoints.http import serve
from payonce.entrypoints.payment_routes import ROUTES
from tests.support.events import Context
from tests.support.holding import HoldingGateway

if TYPE_CHECKING:
    from payonce.wiring.application import Application


def call(application: Application, operation: str, body: dict[str, Any], key: str, **path: str) -> dict[str, Any]:
    route = ROUTES[operation]
    event = {
        "httpMethod": route.method,
        "pathParameters": path,
        "multiValueHeaders": {"X-Idempotency-Key": [key], "Content-Type": ["application/json"]},
        "body": json.dumps(body),
        "requestContext": {
            "authorizer": {"merchant_id": "mer_1", "scopes": "payments:write", "gateway": "bank"},
            "requestId": "r",
        },
    }
    return serve(route, application, event, Context())


@pytest.mark.parametrize("end", ["pay", "decline"])
def test_a_replay_says_where_the_payment_stands_and_keeps_its_bytes(end: str, application: Application) -> None:
    application._gateways["bank"] = HoldingGateway(application.clock)
    body = {"amount_minor": 1000, "currency": "EUR", "payment_method": "pm_3ds_confirm"}
    first = call(application, "create_payment", body, "a-key-of-its-own-1")
    assert "Payment-Status" not in first["headers"]
    again = call(application, "create_payment", body, "a-key-of-its-own-1")
    assert (again["headers"]["Payment-Status"], again["body"]) == ("requires_action", first["body"])
    payment_id = json.loads(first["body"])["id"]
    result = {"payment_result": "ok" if end == "pay" else "no"}
    call(application, "confirm_payment", result, "a-key-of-its-own-2", payment_id=payment_id)
    again = call(application, "create_payment", body, "a-key-of-its-own-1")
    assert again["headers"]["Payment-Status"] == ("captured" if end == "pay" else "declined")
    assert (again["statusCode"], again["body"]) == (201, first["body"])


def test_a_final_answer_needs_no_second_look(application: Application) -> None:
    application._gateways["bank"] = HoldingGateway(application.clock)
    body = {"amount_minor": 1000, "currency": "EUR", "payment_method": "pm_visa"}
    for _ in range(2):
        answer = call(application, "create_payment", body, "a-key-of-its-own-1")
        assert "Payment-Status" not in answer["headers"]


@pytest.mark.parametrize("faster", [False, True])
def test_a_payment_whose_cancellation_is_answered_is_shown_as_it_is(faster: bool, application: Application) -> None:
    """Fails (``requires_action``, for hours) when the settlement looks only at its own time."""
    gateway = application._gateways["bank"] = HoldingGateway(application.clock)
    body = {"amount_minor": 1000, "currency": "EUR", "payment_method": "pm_3ds"}
    first = call(application, "create_payment", body, "a-key-of-its-own-1")
    payment_id = json.loads(first["body"])["id"]
    application.clock.ms += 1_000  # type: ignore[attr-defined]
    if faster:
        gateway.pay()
    canceled = call(application, "cancel_payment", {}, "a-key-of-its-own-2", payment_id=payment_id)
    assert canceled["statusCode"] == (402 if faster else 201)
    again = call(application, "create_payment", body, "a-key-of-its-own-1")
    assert again["headers"]["Payment-Status"] == ("captured" if faster else "voided")
