"""The proxy function and the sidecar for tests: their configurations, and how each is called."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from payonce.entrypoints.proxy import serve
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.proxy.config_load import parse
from payonce.stores.memory import MemoryDatabase
from payonce.wiring.proxy import make_service
from tests.support.conformance import SLOW_MS, Subject
from tests.support.events import Context
from tests.support.http import Answer, call
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.proxy.config import ProxyConfig
    from payonce.proxy.service import ProxyService

TENANT = "X-Tenant"
COUNTER_PATHS = {
    "create": "/orders",
    "slow": f"/orders?delay_ms={SLOW_MS}",
    "binary": "/binary",
    "empty": "/empty",
    "nothing": "/nothing",
    "refuse": "/refuse",
    "read": "/orders/1",
    "repeated": "/orders",
    "tenant_header": TENANT,
}


def route(**changes: Any) -> dict[str, Any]:
    """Return a route that takes everything, with ``changes``."""
    return {
        "name": "orders",
        "path": "/{rest+}",
        "methods": ["POST", "PUT", "PATCH", "DELETE"],
        "upstream": "counter",
        "scope": {"header": TENANT},
        "timeout_seconds": 5,
        **changes,
    }


def configuration(
    upstream_url: str, *, route_changes: Mapping[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """Return a configuration with one route to ``upstream_url``."""
    return {"upstreams": {"counter": {"url": upstream_url}}, "routes": [route(**(route_changes or {}))], **changes}


def parsed(config: dict[str, Any]) -> ProxyConfig:
    """Return the configuration, checked."""
    return parse(json.dumps(config), {}, source="test.json")


def service_of(config: dict[str, Any], store: IdempotencyStore | None = None) -> ProxyService:
    """Return a service in this process."""
    return make_service(parsed(config), store or DatabaseIdempotencyStore(MemoryDatabase()))


def function_event(
    method: str, path: str, body: bytes | None, headers: Mapping[str, str], claims: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the REST API event of a request to the proxy function."""
    parts = urlsplit(path)
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    return {
        "httpMethod": method,
        "path": f"/proxy{parts.path}",
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "multiValueQueryStringParameters": query or None,
        "body": None if body is None else base64.b64encode(body).decode(),
        "isBase64Encoded": body is not None,
        "requestContext": {
            "requestId": "request-1",
            "identity": {"sourceIp": "192.0.2.7"},
            "authorizer": dict(claims if claims is not None else {"merchant_id": "mer_1", "scopes": "proxy:use"}),
        },
    }


def function_answer(response: Mapping[str, Any]) -> Answer:
    """Return what a client gets of the function's response."""
    lines = tuple(
        (name.lower(), value)
        for headers in (response.get("multiValueHeaders") or {n: [v] for n, v in response["headers"].items()},)
        for name, values in headers.items()
        for value in values
    )
    lines += tuple(("set-cookie", cookie) for cookie in response.get("cookies", ()))  # payload format 2.0
    text = response["body"]
    return Answer(
        response["statusCode"], lines, base64.b64decode(text) if response["isBase64Encoded"] else text.encode()
    )


def function_call(service: ProxyService) -> Callable[..., Answer]:
    """Return a call of the proxy function's handler."""
    clock = RealClock()

    def calling(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        return function_answer(serve(service, clock, function_event(method, path, body, headers), Context()))

    return calling


def counter_subject(name: str, upstream_url: str, calling: Callable[..., Answer]) -> Subject:
    """Return the subject of a proxy in front of the order service."""

    def executions(reference: str) -> int:
        counts: dict[str, int] = call(upstream_url, "GET", "/executions").json()
        return counts.get(reference, 0)

    return Subject(
        name=name,
        call=calling,
        body=lambda reference: json.dumps({"reference": reference}).encode(),
        executions=executions,
        paths=COUNTER_PATHS,
        headers={TENANT: "shop"},
        repeated_header="set-cookie",
    )
