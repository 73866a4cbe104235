"""Writes events/<function>/<case>.json: realistic events for ``sam local invoke`` and for tests/functional."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).resolve().parents[1] / "events"
PAYMENT_ID = "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
KEY = "7f9c24e8-3b12-4fef-91e0-5c1f0c2b7a55"
PAYMENT = {"amount_minor": 1050, "currency": "EUR", "payment_method": "pm_sandbox_visa", "reference": "order-4711"}
SCOPES = "payments:read payments:write refunds:write balances:read"


def proxy(
    method: str,
    resource: str,
    *,
    body: Any = None,
    key: str | None = KEY,
    query: dict[str, str] | None = None,
    scopes: str = SCOPES,
) -> dict[str, Any]:
    """Return a REST API proxy event as API Gateway sends it."""
    path = resource.replace("{payment_id}", PAYMENT_ID)
    headers = {
        "Accept": "application/json",
        "Authorization": "Bearer po_" + "x" * 43,
        "Content-Type": "application/json",
        "Host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
        "User-Agent": "shop/1.0",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **({"X-Idempotency-Key": key} if key and method == "POST" else {}),
    }
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "pathParameters": {"payment_id": PAYMENT_ID} if "{payment_id}" in resource else None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "authorizer": {
                "merchant_id": "mer_01K8X3Q5ZC4T9V7W2M6N8P0R1S",
                "scopes": scopes,
                "gateway": "",
                "principalId": "key_01K8X3Q5ZC4T9V7W2M6N8P0R1S",
                "integrationLatency": 12,
            },
            "httpMethod": method,
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "shop/1.0"},
            "path": "/sandbox" + path,
            "protocol": "HTTP/1.1",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "requestTimeEpoch": 1795526278524,
            "resourceId": "r3s0rc",
            "resourcePath": resource,
            "stage": "sandbox",
        },
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


def authorizer(token: str) -> dict[str, Any]:
    """Return a TOKEN authorizer event."""
    arn = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/sandbox/POST/payments"
    return {"type": "TOKEN", "authorizationToken": token, "methodArn": arn}


CASES: dict[str, dict[str, dict[str, Any]]] = {
    "authorize": {
        "unknown_key": authorizer("Bearer po_" + "x" * 43),
        "no_bearer": authorizer("Basic Zm9vOmJhcg=="),
    },
    "create_payment": {
        # A key each: on one table the second with the same key would be refused as another request under a used key.
        "captured": proxy("POST", "/payments", body=PAYMENT),
        "authorized": proxy("POST", "/payments", body={**PAYMENT, "capture": "manual"}, key=f"{KEY}-authorized"),
        "declined": proxy(
            "POST", "/payments", body={**PAYMENT, "payment_method": "pm_sandbox_declined"}, key=f"{KEY}-declined"
        ),
        "no_key": proxy("POST", "/payments", body=PAYMENT, key=None),
        "short_key": proxy("POST", "/payments", body=PAYMENT, key="short"),
        "float_amount": proxy("POST", "/payments", body={**PAYMENT, "amount_minor": 10.5}),
        "card_number": proxy("POST", "/payments", body={**PAYMENT, "reference": "4111 1111 1111 1111"}),
        "malformed": proxy("POST", "/payments", body='{"amount_minor": '),
        "no_scope": proxy("POST", "/payments", body=PAYMENT, scopes="payments:read"),
    },
    "capture_payment": {
        "part": proxy("POST", "/payments/{payment_id}/captures", body={"amount_minor": 400}),
        "rest": proxy("POST", "/payments/{payment_id}/captures"),
        "no_key": proxy("POST", "/payments/{payment_id}/captures", key=None),
    },
    "cancel_payment": {
        "whole": proxy("POST", "/payments/{payment_id}/cancellations", body={}),
        "no_key": proxy("POST", "/payments/{payment_id}/cancellations", key=None),
    },
    "refund_payment": {
        "part": proxy("POST", "/payments/{payment_id}/refunds", body={"amount_minor": 50}),
        "rest": proxy("POST", "/payments/{payment_id}/refunds"),
        "no_key": proxy("POST", "/payments/{payment_id}/refunds", key=None),
    },
    "get_payment": {"by_id": proxy("GET", "/payments/{payment_id}")},
    "get_payment_history": {"by_id": proxy("GET", "/payments/{payment_id}/history")},
    "list_payments": {
        "first_page": proxy("GET", "/payments", query={"limit": "10"}),
        "bad_cursor": proxy("GET", "/payments", query={"cursor": "nonsense"}),
    },
    "get_balances": {"all": proxy("GET", "/balances")},
    "recover_payments": {
        "scheduled": {
            "version": "0",
            "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "123456789012",
            "time": "2026-11-24T12:44:00Z",
            "region": "eu-central-1",
            "resources": ["arn:aws:events:eu-central-1:123456789012:rule/payonce-recover"],
            "detail": {},
        }
    },
}


def main() -> None:
    """Write every case."""
    for function, cases in CASES.items():
        folder = EVENTS / function
        folder.mkdir(parents=True, exist_ok=True)
        for case, event in cases.items():
            (folder / f"{case}.json").write_text(json.dumps(event, indent=2) + "\n")


if __name__ == "__main__":
    main()
