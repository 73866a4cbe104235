"""What clients send: the proxy event of each request of an operation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.domain.setup import method_id_of
from simulation.held import GENUINE
from simulation.setup_plan import SETUP_KINDS

if TYPE_CHECKING:
    from simulation.drawing import Attempt, Operation

SCOPES = "payments:read payments:write refunds:write"


def event_of(operation: Operation, attempt: Attempt, payment_id: str | None) -> dict[str, Any]:
    """Return the event of a request about this payment or set-up, ``None`` for what is to be created."""
    body: dict[str, Any] | None
    altered = 1 if attempt.altered else 0
    if operation.kind == "create":
        body = {
            "amount_minor": operation.amount_minor + altered,
            "currency": operation.currency,
            "payment_method": f"pm_{operation.name}",
            "capture": "manual" if operation.manual else "automatic",
        }
        if operation.hold is not None:
            body |= {"return_url": "https://shop.example/back"}
    elif operation.kind == "stranger":
        body = None
    elif operation.kind == "setup":
        body = {"customer": f"customer-of-{operation.merchant}", "payment_method": f"pm_{operation.name}"}
        body |= {"currency": operation.currency, "return_url": "https://shop.example/back"}
        body |= {"reference": "another"} if attempt.altered else {}
    elif operation.kind == "charge":
        body = {"amount_minor": operation.amount_minor + altered, "currency": operation.currency}
        body |= {"payment_method": method_id_of(str(payment_id)), "off_session": True}
    elif operation.kind in {"confirm", "setup_confirm"}:
        body = {"payment_result": "forged" if attempt.altered else GENUINE}
    else:
        body = (
            {}
            if operation.kind in {"cancel", "setup_cancel", "revoke"}
            else {"amount_minor": operation.amount_minor + altered}
        )
    headers = {"X-Idempotency-Key": operation.key, "Prefer": f"wait={attempt.wait_seconds}"}
    return {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "pathParameters": _path(operation, payment_id),
        "multiValueQueryStringParameters": None,
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "requestId": "request-1",
            "authorizer": {
                "merchant_id": operation.merchant,
                "scopes": SCOPES,
                "gateway": attempt.gateway,
                "principalId": "key_1",
            },
        },
    }


def _path(operation: Operation, identity: str | None) -> dict[str, str] | None:
    if identity is None or operation.kind == "charge":
        return None
    if operation.kind == "revoke":
        return {"payment_method_id": method_id_of(identity)}
    return {"setup_id" if operation.kind in SETUP_KINDS else "payment_id": identity}
