"""API Gateway proxy events for tests."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from payonce.domain.principals import HOLDER_MARK
from payonce.entrypoints.http import serve
from payonce.entrypoints.routes import ROUTES
from payonce.merchants.api_keys import SCOPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.wiring.application import Application

KEY = "0123456789abcdef"
PAYMENT = {"amount_minor": 1050, "currency": "EUR", "payment_method": "pm_visa"}
ALL_SCOPES = " ".join(SCOPES)


class Context:
    """What a function gets beside its event. An event that is tried again comes with the same one."""

    def __init__(self, remaining_ms: int = 25_000) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        """A fresh function's time."""
        return self._remaining_ms


def event(
    body: Any = None,
    *,
    key: str | None = KEY,
    headers: Mapping[str, str] | None = None,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    merchant_id: str = "mer_1",
    scopes: str = ALL_SCOPES,
    gateway: str = "bank",
    key_id: str = "key_1",
) -> dict[str, Any]:
    """Return a REST API proxy event; ``body`` is a document or the raw text, and ``key_id`` may be "key_1/ann"."""
    key_id, _, holder = key_id.partition(HOLDER_MARK)
    spelled = {**({"X-Idempotency-Key": key} if key else {}), **(headers or {})}
    return {
        "headers": spelled,
        "multiValueHeaders": {name: [value] for name, value in spelled.items()},
        "pathParameters": dict(path or {}) or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in (query or {}).items()} or None,
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "requestId": "request-1",
            "authorizer": {
                "merchant_id": merchant_id,
                "scopes": scopes,
                "gateway": gateway,
                "principalId": key_id,
                **({"holder": holder} if holder else {}),
            },
        },
    }


def call(application: Application, operation: str, body: Any = PAYMENT, **options: Any) -> dict[str, Any]:
    """Serve one event and return the proxy response."""
    return serve(ROUTES[operation], application, event(body, **options), Context())
