"""The OpenAPI document, generated from the routes and their models. CI compares it with the committed openapi.json."""

from __future__ import annotations

import re
from typing import Any

from payonce import __version__
from payonce.domain.problems import PROBLEM_CONTENT_TYPE
from payonce.entrypoints.event_catalogue import webhooks
from payonce.entrypoints.gateway_events import MAX_NOTICE_BYTES, GatewayRoute
from payonce.entrypoints.gateway_events import ROUTES as GATEWAY_EVENTS
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route
from payonce.entrypoints.json_body import EXEMPTIBLE_LIST
from payonce.entrypoints.paths import PATTERNS
from payonce.entrypoints.routes import ROUTES
from payonce.entrypoints.view_schemas import INTEGER, SCHEMAS, TEXT, view_schemas
from payonce.extras import needs
from payonce.idempotency.json_response import JSON_CONTENT_TYPE
from payonce.idempotency.keys import MAX_KEY_CHARACTERS, MIN_KEY_CHARACTERS

with needs("functions"):
    from pydantic import TypeAdapter
    from pydantic.json_schema import models_json_schema

PROBLEM_STATUSES = {
    "400": "The request or its idempotency key is not valid; nothing was stored",
    "401": "The API key is missing or not known",
    "403": "The API key lacks the scope",
    "404": "No such resource",
    "429": "Throttled before anything happened",
    "500": "Unforeseen; a retry with the same key is safe",
    "503": "This request did nothing, and nothing will be done because of it; retry with the same key",
    "504": "Not answered in time, or not known: it may have been executed. Retry with the same key and no other",
}
# API Gateway also answers these itself, before any function runs. Unless configured, its body is {"message": ...}.
MADE_BY_API_GATEWAY = frozenset({"401", "403", "404", "429", "500", "504"})
KEYED_STATUSES = {
    "402": "Declined; final and replayed",
    "409": "Still in progress, expired, or not possible in the resource's state",
    "413": "The body is too large",
    "422": "The idempotency key belongs to a different request",
}

# For routes that admission control may refuse.
ADMISSION_STATUS = {
    "429": "More payments are asked for than the gateways can take now, or more requests than the API takes; nothing "
    "was stored. Retry with the same key after `Retry-After`. A key whose payment has begun is never answered like this"
}


def build_openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document as data, in a stable order."""
    models = [(route.body_model, "validation") for route in ROUTES.values() if isinstance(route, KeyedRoute)]
    _, definitions = models_json_schema(list(dict.fromkeys(models)), ref_template=SCHEMAS + "{model}")  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES.values():
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for gateway_route in GATEWAY_EVENTS:
        paths[gateway_route.path] = {gateway_route.method.lower(): _gateway_events(gateway_route)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "payonce",
            "version": __version__,
            "description": "Payments that can't be charged twice. Every unsafe route takes an idempotency key.",
        },
        "paths": paths,
        "webhooks": webhooks(),
        "security": [{"apiKey": []}],
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
            "schemas": {**definitions.get("$defs", {}), **view_schemas()},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": f"Needs the scope `{route.scope}`.",
        "parameters": [_path_parameter(name) for name in re.findall(r"{(\w+)}", route.path)],
    }
    problems = dict(PROBLEM_STATUSES)
    if isinstance(route, KeyedRoute):
        problems |= KEYED_STATUSES
        operation["parameters"] += [_key_parameter(), _wait_parameter(), _not_card_numbers_parameter()]
        if route.admit is not None:
            problems |= ADMISSION_STATUS
            operation["parameters"].append(_priority_parameter())
        model = {"$ref": SCHEMAS + route.body_model.__name__}
        required = any(field.is_required() for field in route.body_model.model_fields.values())
        operation["requestBody"] = {"required": required, "content": {JSON_CONTENT_TYPE: {"schema": model}}}
    elif isinstance(route, ReadRoute):
        operation["parameters"] += _query_parameters(route)
    operation["responses"] = {
        **_successes(route),
        **{
            status: {"description": text, "content": _problem_content(status)}
            for status, text in sorted(problems.items())
        },
    }
    if isinstance(route, KeyedRoute) and route.admit is not None:
        # API Gateway's own 429 lacks the header.
        operation["responses"]["429"]["headers"] = {"Retry-After": {"schema": INTEGER, "required": False}}
    return operation


def _gateway_events(route: GatewayRoute) -> dict[str, Any]:
    """Return an operation that gateways call, at an address of its own and without an API key."""
    problems = {
        "400": "The event is not signed by the gateway, is too old, too large or malformed; nothing was stored",
        "403": "Refused by the firewall",
        "404": "No gateway of this name sends events here",
        "429": "Throttled; the gateway sends it again",
        "500": "Unforeseen; the gateway sends it again",
        "503": "It can't be verified or stored now; the gateway sends it again",
        "504": "It may not have been stored; the gateway sends it again",
    }
    answered = {"content": {JSON_CONTENT_TYPE: {"schema": {"type": "object"}}}}
    return {
        "operationId": route.operation,
        "summary": route.summary,
        "description": "Not for merchants. A payment gateway posts its events here, at the stack's output "
        "`GatewayEventsUrl`, and proves itself by its signature over the body, such as `Stripe-Signature`. "
        f"At most {MAX_NOTICE_BYTES} bytes are taken. See docs/gateway-events.md.",
        "security": [],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": TEXT}
            for name in ("gateway", "merchant_id")
            if f"{{{name}}}" in route.path
        ],
        "requestBody": {"required": True, "content": {JSON_CONTENT_TYPE: {"schema": {"type": "object"}}}},
        "responses": {
            "200": {"description": "Kept and queued, now or before", **answered},
            **{status: {"description": text, "content": _problem_content(status)} for status, text in problems.items()},
        },
    }


def _successes(route: Route) -> dict[str, Any]:
    keyed = isinstance(route, KeyedRoute)
    texts = {
        200: "Executed, now or by an earlier request with this key" if keyed else "Found",
        201: "Executed, now or by an earlier request with this key",
        202: "The outcome is not known yet: it is in doubt and will be resolved"
        if 201 in route.answers
        else "Accepted, now or by an earlier request with this key; it is carried out soon",
    }
    return {str(status): _response(texts[status], schema, keyed=keyed) for status, schema in route.answers.items()}


def _problem_content(status: str) -> dict[str, Any]:
    content = {PROBLEM_CONTENT_TYPE: {"schema": {"$ref": SCHEMAS + "Problem"}}}
    if status in MADE_BY_API_GATEWAY:
        content[JSON_CONTENT_TYPE] = {"schema": {"$ref": SCHEMAS + "GatewayMessage"}}
    return content


def _response(description: str, schema: str, *, keyed: bool = False) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": description,
        "content": {JSON_CONTENT_TYPE: {"schema": {"$ref": SCHEMAS + schema}}},
    }
    if keyed:
        response["headers"] = {
            "Idempotency-Replayed": {"schema": {"enum": ["true", "false"]}, "required": True},
            "Idempotency-Expires": {"schema": {"type": "string", "format": "date-time"}, "required": True},
            "Location": {"schema": TEXT, "required": True},
        }
    return response


def _key_parameter() -> dict[str, Any]:
    return {
        "name": "X-Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "The same on every retry of one operation, and new for a new operation.",
        "schema": {
            "type": "string",
            "minLength": MIN_KEY_CHARACTERS,
            "maxLength": MAX_KEY_CHARACTERS,
            "pattern": "^[!-~]+$",
        },
    }


def _wait_parameter() -> dict[str, Any]:
    return {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "`wait=N`: how many seconds a copy of a request in flight waits for its answer, at most 20.",
        # Other preferences may accompany it and are ignored (RFC 7240).
        "schema": {"type": "string"},
    }


def _not_card_numbers_parameter() -> dict[str, Any]:
    return {
        "name": "Payonce-Not-Card-Numbers",
        "in": "header",
        "required": False,
        "description": "Members of the body that hold references of your own which only look like card numbers: "
        "`reference`, `description`, `metadata.<name>`, separated by commas. All others are searched.",
        "schema": {"type": "string", "pattern": EXEMPTIBLE_LIST},
    }


def _priority_parameter() -> dict[str, Any]:
    return {
        "name": "Priority",
        "in": "header",
        "required": False,
        "description": "`u=0` to `u=7` (RFC 9218), 3 by default. Above 3 the payment can wait: when there is not "
        "enough for all, it is refused first. What can't be read is ignored.",
        "schema": {"type": "string"},
    }


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{PATTERNS[name]}$"},
    }


def _query_parameters(route: ReadRoute) -> list[dict[str, Any]]:
    schema = TypeAdapter(route.query_model).json_schema() if route.query_model else {}
    parameters = []
    for name, field in schema.get("properties", {}).items():
        # A query parameter is omitted, never null.
        plain = next((part for part in field.get("anyOf", []) if part.get("type") != "null"), field)
        parameters.append({"name": name, "in": "query", "required": False, "schema": plain})
    return parameters
