"""The OpenAPI document, generated from the routes and their models. CI compares it with the committed openapi.json.

A route needs nothing by hand: its schemas, problem types, tag, scope and parameters follow from its declaration.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce import __version__
from payonce.domain.errors import GatewayUnavailable, NoticeRefused
from payonce.domain.problems import PROBLEMS
from payonce.entrypoints.event_catalogue import WEBHOOKS_TAG, event_schemas, webhooks
from payonce.entrypoints.gateway_events import MAX_NOTICE_BYTES, GatewayRoute
from payonce.entrypoints.gateway_events import ROUTES as GATEWAY_EVENTS
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route
from payonce.entrypoints.model_schemas import model_schemas, query_parameters
from payonce.entrypoints.openapi_parameters import (
    ADMISSION_PARAMETERS,
    EXPIRES,
    HEADERS,
    KEY_PARAMETERS,
    LOCATION,
    PAYMENT_STATUS,
    REPLAYED,
    RETRY_AFTER,
    header,
    parameter,
    path_parameter,
)
from payonce.entrypoints.problem_schemas import (
    EVERYWHERE,
    asks_a_gateway,
    named_in,
    problem_responses,
    problem_schemas,
    problems_of,
)
from payonce.entrypoints.routes import ROUTES
from payonce.entrypoints.view_schemas import SCHEMAS, view_schemas
from payonce.idempotency.json_response import JSON_CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# By operation, then by "path", "request" or a status, then by a name: what was really sent and answered. Problems are
# below PROBLEM_EXAMPLES, by slug.
type Examples = Mapping[str, Mapping[str, Mapping[str, Any]]]

MAX_NAMES = 2  # of problem types in the name of a shared response
PROBLEM_EXAMPLES = "problems"
DESCRIPTION = (
    "Payments that can't be charged twice. Every unsafe route takes an idempotency key: send the same key on every "
    "retry of one operation. Refusals are problem documents (RFC 9457), whose `retryable` says whether to retry."
)
SERVERS = (
    {
        "url": "https://{api}.execute-api.{region}.amazonaws.com/{stage}",
        "description": "Your stack: its output `ApiUrl`",
        "variables": {
            "api": {"default": "a1b2c3d4e5", "description": "The stack's output `ApiId`"},
            "region": {"default": "eu-central-1"},
            "stage": {"default": "sandbox", "description": "The parameter `Environment`"},
        },
    },
    {
        "url": "http://127.0.0.1:{port}/_aws/execute-api/{api}/local",
        "description": "The local cloud: `make up` prints the address",
        "variables": {"port": {"default": "4566"}, "api": {"default": "a1b2c3d4e5"}},
    },
)
# By the first part of the path. A tag that is not here describes itself by its path.
TAGS: Mapping[str, str] = MappingProxyType(
    {
        "payments": "Payments, and what is done to them: docs/payments.md",
        "balances": "What the ledger holds, by currency and account",
        "disputes": "Chargebacks and inquiries: docs/disputes.md",
        "webhook_endpoints": "Where events are sent, and what became of them: docs/webhooks.md",
        "events": "What happened, in order: docs/events.md",
        "breaks": "What reconciliation found, and what is done about it: docs/reconciliation-cases.md",
        "idempotency-keys": "What became of a key",
        "gateway_events": "What payment gateways send. Not for merchants: docs/gateway-events.md",
    }
)
_GATEWAY_EVENT_TEXTS = {
    400: "The event is not signed by the gateway, is too old or malformed; nothing was stored",
    403: "Refused by the firewall",
    404: "No gateway of this name sends events here",
    413: f"The event has more than {MAX_NOTICE_BYTES} bytes",
    429: "Throttled; the gateway sends it again",
    500: "Unforeseen; the gateway sends it again",
    502: "It may not have been stored; the gateway sends it again",
    503: "It can't be verified or stored now; the gateway sends it again",
    504: "It may not have been stored; the gateway sends it again",
}


def build_openapi(examples: Examples = MappingProxyType({})) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document as data, in a stable order."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES.values():
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, examples.get(route.operation, {}))
    for gateway_route in GATEWAY_EVENTS:
        paths[gateway_route.path] = {gateway_route.method.lower(): _gateway_events(gateway_route)}
    responses = _shared_responses(paths)
    sent = webhooks()
    schemas = {
        **model_schemas(ROUTES.values()),
        **view_schemas(answer for route in ROUTES.values() for answer in route.answers.values()),
        **event_schemas(),
    }
    schemas |= problem_schemas(named_in(json.dumps([paths, responses])), examples.get(PROBLEM_EXAMPLES, {}))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "payonce",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [*SERVERS],
        "tags": _tags(paths),
        "paths": paths,
        "webhooks": sent,
        "security": [{"apiKey": []}],
        "components": {
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`Authorization: Bearer <API key>`. A route names the scope that the key needs.",
                }
            },
            "parameters": {**KEY_PARAMETERS, **ADMISSION_PARAMETERS},
            "headers": {**HEADERS},
            "responses": responses,
            "schemas": schemas,
        },
    }


def _operation(route: Route, examples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    path_values = examples.get("path", {})
    parameters = [path_parameter(name, path_values.get(name)) for name in re.findall(r"{(\w+)}", route.path)]
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": f"Needs the scope `{route.scope}`.",
        "tags": [_tag(route.path)],
        # OpenAPI 3.1 names the roles that a scheme needs here, for schemes other than OAuth's too.
        "security": [{"apiKey": [route.scope]}],
        "parameters": parameters,
    }
    if isinstance(route, KeyedRoute):
        parameters += map(parameter, KEY_PARAMETERS)
        if route.admit is not None:
            parameters += map(parameter, ADMISSION_PARAMETERS)
        model = {"$ref": SCHEMAS + route.body_model.__name__}
        required = any(field.is_required() for field in route.body_model.model_fields.values())
        content = {"schema": model, **_named(examples.get("request", {}))}
        operation["requestBody"] = {"required": required, "content": {JSON_CONTENT_TYPE: content}}
    elif isinstance(route, ReadRoute):
        parameters += query_parameters(route)
    operation["responses"] = {**_successes(route), **problem_responses(problems_of(route))}
    for status, response in operation["responses"].items():
        for content in response["content"].values():
            content |= _named(examples.get(status, {}))
    return operation


def _named(examples: Mapping[str, Any]) -> dict[str, Any]:
    return {"examples": {name: {"value": value} for name, value in examples.items()}} if examples else {}


def _successes(route: Route) -> dict[str, Any]:
    keyed = isinstance(route, KeyedRoute)
    texts = {
        200: "Executed, now or by an earlier request with this key" if keyed else "Found",
        201: "Executed, now or by an earlier request with this key",
        202: "The outcome is not known yet: it is in doubt and will be resolved"
        if asks_a_gateway(route)
        else "Accepted, now or by an earlier request with this key; it is carried out soon",
    }
    found: dict[str, Any] = {}
    for status, schema in route.answers.items():
        response: dict[str, Any] = {"description": texts[status]}
        found[str(status)] = response
        if isinstance(route, KeyedRoute):
            names = [REPLAYED, EXPIRES, LOCATION, *([RETRY_AFTER] if status == 202 else [])]
            names += [PAYMENT_STATUS] if route.now is not None else []
            response["headers"] = {name: header(name) for name in names}
        response["content"] = {JSON_CONTENT_TYPE: {"schema": {"$ref": SCHEMAS + schema}}}
    return found


def _gateway_events(route: GatewayRoute) -> dict[str, Any]:
    """Return an operation that gateways call, at an address of its own and without an API key."""
    kinds = [kind for kind in EVERYWHERE if kind.status in _GATEWAY_EVENT_TEXTS and kind.status != 400]
    kinds += [PROBLEMS[NoticeRefused], PROBLEMS[GatewayUnavailable]]
    anything = {"schema": {"type": "object", "additionalProperties": True}}
    return {
        "operationId": route.operation,
        "summary": route.summary,
        "description": "Not for merchants. A payment gateway posts its events here, at the stack's output "
        "`GatewayEventsUrl`, and proves itself by its signature over the body, such as `Stripe-Signature`. "
        f"At most {MAX_NOTICE_BYTES} bytes are taken. See docs/gateway-events.md.",
        "tags": [_tag(route.path)],
        "security": [],
        "parameters": [path_parameter(name) for name in re.findall(r"{(\w+)}", route.path)],
        "requestBody": {"required": True, "content": {JSON_CONTENT_TYPE: anything}},
        "responses": {
            "200": {"description": "Kept and queued, now or before", "content": {JSON_CONTENT_TYPE: anything}},
            **problem_responses(kinds, _GATEWAY_EVENT_TEXTS),
        },
    }


def _shared_responses(paths: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Move the problem responses that several operations have into components, and return them by name."""
    tables = [operation["responses"] for methods in paths.values() for operation in methods.values()]
    count = Counter(json.dumps(response) for table in tables for response in table.values())
    shared: dict[str, Any] = {}
    for table in tables:
        for status, response in table.items():
            names = sorted(named_in(json.dumps(response)))
            if status < "400" or count[json.dumps(response)] == 1 or len(names) > MAX_NAMES:
                continue
            name = "Or".join(name.removesuffix("Problem") for name in names) + status
            if shared.setdefault(name, response) == response:
                table[status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(shared.items()))


def _tag(path: str) -> str:
    return path.split("/")[1]


def _tags(paths: Iterable[str]) -> list[dict[str, str]]:
    used = dict.fromkeys(map(_tag, paths))
    described = [{"name": name, "description": TAGS.get(name, f"Routes below `/{name}`")} for name in used]
    return [*described, {"name": WEBHOOKS_TAG, "description": "Webhooks, as docs/webhooks.md says"}]
