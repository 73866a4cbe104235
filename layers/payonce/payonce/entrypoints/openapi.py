"""The OpenAPI document, generated from the routes and their models. CI compares it with the committed openapi.json."""

from __future__ import annotations

import re
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from payonce.domain.events import API_VERSION
from payonce.domain.payment import OperationStatus, PaymentStatus
from payonce.domain.problems import PROBLEM_CONTENT_TYPE
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route
from payonce.entrypoints.routes import ROUTES
from payonce.idempotency.keys import MAX_KEY_CHARACTERS, MIN_KEY_CHARACTERS
from payonce.idempotency.responses import JSON_CONTENT_TYPE

SCHEMAS = "#/components/schemas/"
INTEGER: dict[str, Any] = {"type": "integer"}
TEXT: dict[str, Any] = {"type": "string"}
NULLABLE_TEXT: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
PAYMENT_FIELDS: dict[str, dict[str, Any]] = {
    "id": TEXT,
    "object": {"const": "payment"},
    "status": {"enum": [status.value for status in PaymentStatus]},
    "amount_minor": INTEGER,
    "currency": TEXT,
    "captured_minor": INTEGER,
    "refunded_minor": INTEGER,
    "capturable_minor": INTEGER,
    "refundable_minor": INTEGER,
    "capture": {"enum": ["automatic", "manual"]},
    "payment_method": TEXT,
    "reference": NULLABLE_TEXT,
    "metadata": {"type": "object", "additionalProperties": TEXT},
    "gateway": TEXT,
    "decline_code": NULLABLE_TEXT,
    "created_at_ms": INTEGER,
    "updated_at_ms": INTEGER,
    "version": INTEGER,
}
OPERATION_FIELDS: dict[str, dict[str, Any]] = {
    "id": TEXT,
    "object": {"enum": ["capture", "cancellation", "refund"]},
    "status": {"enum": [status.value for status in OperationStatus]},
    "payment_id": TEXT,
    "amount_minor": INTEGER,
    "currency": TEXT,
    "decline_code": NULLABLE_TEXT,
    "created_at_ms": INTEGER,
    "payment": {"$ref": SCHEMAS + "Payment"},
}
PROBLEM_FIELDS: dict[str, dict[str, Any]] = {
    "type": TEXT,
    "title": TEXT,
    "status": INTEGER,
    "detail": TEXT,
    "retryable": {"type": "boolean", "description": "Whether to retry the same request with the same key."},
    "documentation": TEXT,
}
PROBLEM_STATUSES = {
    "400": "The request or its idempotency key is not valid; nothing was stored",
    "401": "The API key is missing or not known",
    "403": "The API key lacks the scope",
    "404": "No such payment",
    "429": "Throttled before anything happened",
    "500": "Unforeseen; a retry with the same key is safe",
    "503": "Nothing was executed, or the outcome is not recorded yet; retry with the same key",
    "504": "Not answered in time; retry with the same key",
}
# API Gateway answers these itself too, before any function runs; where it is not told how, it says {"message": ...}.
MADE_BY_API_GATEWAY = frozenset({"401", "403", "404", "429", "500", "504"})
KEYED_STATUSES = {
    "402": "Declined; final and replayed",
    "409": "Still in progress, expired, or not possible in the payment's state",
    "413": "The body is too large",
    "422": "The idempotency key belongs to a different request",
}


def build_openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document as data, in a stable order."""
    models = [(route.body_model, "validation") for route in ROUTES.values() if isinstance(route, KeyedRoute)]
    _, definitions = models_json_schema(list(dict.fromkeys(models)), ref_template=SCHEMAS + "{model}")  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES.values():
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "payonce",
            "version": API_VERSION,
            "description": "Payments that can't be charged twice. Every unsafe route takes an idempotency key.",
        },
        "paths": paths,
        "security": [{"apiKey": []}],
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                **definitions.get("$defs", {}),
                "Payment": _object(PAYMENT_FIELDS),
                "Operation": _object(OPERATION_FIELDS),
                "Problem": {**_object(PROBLEM_FIELDS), "additionalProperties": True},
                "GatewayMessage": {
                    "type": "object",
                    "properties": {"message": NULLABLE_TEXT},
                    "required": ["message"],
                },
                "List": _list(),
            },
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
        operation["parameters"] += [_key_parameter(), _wait_parameter()]
        model = {"$ref": SCHEMAS + route.body_model.__name__}
        required = any(field.is_required() for field in route.body_model.model_fields.values())
        operation["requestBody"] = {"required": required, "content": {JSON_CONTENT_TYPE: {"schema": model}}}
        result = "Payment" if route.operation == "create_payment" else "Operation"
        responses = {
            "201": _response("Executed, now or by an earlier request with this key", result, keyed=True),
            "202": _response("The outcome is not known yet: it is in doubt and will be resolved", result, keyed=True),
        }
    else:
        if isinstance(route, ReadRoute) and route.query_model is not None:
            operation["parameters"] += _query_parameters(route)
        responses = {"200": _response("Found", "Payment" if route.operation == "get_payment" else "List")}
    operation["responses"] = {
        **responses,
        **{
            status: {"description": text, "content": _problem_content(status)}
            for status, text in sorted(problems.items())
        },
    }
    return operation


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
        # Other preferences may stand beside it and are ignored (RFC 7240).
        "schema": {"type": "string"},
    }


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^pay_[0-9A-HJKMNP-TV-Z]{26}$"},
    }


def _query_parameters(route: ReadRoute) -> list[dict[str, Any]]:
    model = route.query_model
    if model is None:  # pragma: no cover - the caller has looked
        return []
    schema = TypeAdapter(model).json_schema()
    parameters = []
    for name, field in schema["properties"].items():
        # A query parameter is left out, never null.
        plain = next((part for part in field.get("anyOf", []) if part.get("type") != "null"), field)
        parameters.append({"name": name, "in": "query", "required": False, "schema": plain})
    return parameters


def _object(fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _list() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"type": "object"}},
            "next_cursor": NULLABLE_TEXT,
        },
        "required": ["object", "data"],
    }
