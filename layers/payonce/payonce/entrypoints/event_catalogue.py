"""Every event with its payload: the ``webhooks`` of openapi.json, and the table of docs/events.md."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.endpoint import CUSTOM_PREFIX, EVENT_TYPES, EndpointChange
from payonce.domain.events import EventView
from payonce.domain.payment import Change
from payonce.domain.setup import MethodChange, SetupChange
from payonce.entrypoints.view_schemas import SCHEMAS, object_schema
from payonce.idempotency.json_response import JSON_CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

WEBHOOKS_TAG = "Events sent to you"
_C, _E, _S, _M = Change, EndpointChange, SetupChange, MethodChange
TEXTS: Mapping[str, str] = MappingProxyType(
    {
        _C.DOUBTED: "The gateway did not say what became of the payment; payonce asks it.",
        _C.ACTION_REQUIRED: "The payer has to act: see `next_action`.",
        _C.PROCESSED: "The gateway has accepted the payment and decides later.",
        _C.EXPIRED: "The payer did not act in time, and can't pay any more.",
        _C.AUTHORIZED: "The amount is held, to be captured.",
        _C.CHARGED: "The payment is captured.",
        _C.DECLINED: "The gateway or the issuer refused: see `decline_code`.",
        _C.FAILED: "The payment was in doubt. The gateway certainly did not execute it, and it is not sent again.",
        _C.CAPTURE_PART: "A part was captured, and more can be.",
        _C.CAPTURE_REST: "A capture succeeded; nothing more is left to capture.",
        _C.CAPTURE_DOUBTED: "It is not known whether a capture was executed; payonce asks.",
        _C.CAPTURE_PROCESSED: "The gateway has received a capture and decides later.",
        _C.CAPTURE_DECLINED: "A capture was refused. Its amount is free again.",
        _C.CAPTURE_FAILED: "A capture in doubt was certainly not executed. Its amount is free again.",
        _C.VOID_REST: "What was not captured was released; no more can be captured.",
        _C.VOID: "The payment was canceled.",
        _C.VOID_DOUBTED: "It is not known whether a cancellation was executed; payonce asks.",
        _C.VOID_PROCESSED: "The gateway has received a cancellation and decides later.",
        _C.VOID_DECLINED: "A cancellation was refused.",
        _C.VOID_FAILED: "A cancellation in doubt was certainly not executed.",
        _C.REFUND_PART: "A part was refunded.",
        _C.REFUND_ALL: "A refund succeeded; all that was captured is refunded.",
        _C.REFUND_DOUBTED: "It is not known whether a refund was executed; payonce asks.",
        _C.REFUND_PROCESSED: "The gateway has received a refund and decides later.",
        _C.REFUND_DECLINED: "A refund was refused. Its amount can be refunded again.",
        _C.REFUND_FAILED: "A refund in doubt was certainly not executed. Its amount can be refunded again.",
        _C.CAPTURED_ELSEWHERE_PART: "Somebody captured a part at the gateway, and not through this API.",
        _C.CAPTURED_ELSEWHERE: "Somebody captured the payment at the gateway, and not through this API.",
        _C.VOIDED_ELSEWHERE: "The payment was canceled at the gateway, or its authorization ended there.",
        _C.REFUNDED_ELSEWHERE_PART: "Somebody refunded a part at the gateway, and not through this API.",
        _C.REFUNDED_ELSEWHERE: "Somebody refunded all of it at the gateway, and not through this API.",
        _C.REVERSED_PART: "The payer's bank took a part of a captured payment back.",
        _C.REVERSED: "The payer's bank took a captured payment back, such as a debit that failed late.",
        _C.RETURNED_PART: "A refund that had succeeded came back. Its amount can be refunded again; others stay.",
        _C.RETURNED: "A refund that had succeeded came back. Nothing of the payment is refunded any more.",
        _C.RETURNED_ELSEWHERE_PART: "A refund made at the gateway came back. Its amount can be refunded again.",
        _C.RETURNED_ELSEWHERE: "A refund made at the gateway came back. Nothing is refunded any more.",
        _C.DISPUTE_OPENED: "The payer disputes the payment.",
        _C.DISPUTE_EVIDENCE_DUE: "Evidence about a dispute is asked for.",
        _C.DISPUTE_UNDER_REVIEW: "A dispute is being decided.",
        _C.DISPUTE_WON: "A dispute was decided for you; what was withdrawn comes back.",
        _C.DISPUTE_LOST: "A dispute was decided against you; what was withdrawn is lost.",
        _S.DOUBTED: "The gateway did not say what became of the setup; payonce asks it.",
        _S.ACTION_REQUIRED: "The payer has to agree: see `next_action`.",
        _S.PROCESSED: "The gateway has accepted the setup and decides later.",
        _S.SUCCEEDED: "The payment method is saved: see `saved_payment_method`.",
        _S.DECLINED: "The gateway or the issuer refused: see `decline_code`.",
        _S.FAILED: "The setup was in doubt. The gateway certainly did not make it, and it is not sent again.",
        _S.CANCELED: "The setup was canceled, by you or at the gateway. Nothing was saved.",
        _S.EXPIRED: "The payer did not act in time. Nothing was saved.",
        _M.SAVED: "A payment method can be charged from now on, with the payer absent.",
        _M.REVOKED: "A payment method is charged no more: you have revoked it.",
        _M.REVOKED_ELSEWHERE: "A payment method is charged no more: it was revoked at the gateway.",
        _E.CREATED: "An endpoint was made.",
        _E.UPDATED: "An endpoint was changed.",
        _E.ENABLED: "An endpoint was enabled.",
        _E.DISABLED: "An endpoint was disabled, by you or because it failed for too long.",
        _E.KEY_ROTATED: "An endpoint has a new signing key.",
        _E.TESTED: "You asked for a test; it goes to that endpoint alone.",
        _E.DELETED: "An endpoint was deleted.",
    }
)
# By what a type begins with: the schema of the event's ``data``.
PAYLOADS: Mapping[str, str] = MappingProxyType(
    {
        "payment": "Payment",
        "setup": "Setup",
        "payment_method": "PaymentMethod",
        "capture": "Operation",
        "void": "Operation",
        "refund": "Operation",
        "dispute": "Dispute",
        "webhook_endpoint": "WebhookEndpoint",
    }
)


def payload_of(event_type: str) -> str:
    """Return the name of the schema of an event's ``data``."""
    return PAYLOADS[event_type.partition(".")[0]]


def event_schemas() -> dict[str, Any]:
    """Return the schemas of events by name: one for each payload, one for events of your own, and ``Event`` for all.

    ``type`` tells them apart. Later versions may add members, so that all are open.
    """
    types: dict[str, list[str]] = {}
    for event_type in EVENT_TYPES:
        types.setdefault(_name(event_type), []).append(event_type)
    known = {
        name: _event(
            {"type": "string", "enum": found}, {"$ref": SCHEMAS + payload_of(found[0])}, "An event with such `data`."
        )
        for name, found in types.items()
    }
    custom = _event(
        {"type": "string", "pattern": f"^{re.escape(CUSTOM_PREFIX)}"},
        {"type": "object", "additionalProperties": True},
        "An event that the operator's own systems send through payonce; its `data` is theirs.",
    )
    known["CustomEvent"] = custom
    return {**known, "Event": {"anyOf": [{"$ref": SCHEMAS + name} for name in known]}}


def _name(event_type: str) -> str:
    return payload_of(event_type) + "Event"


def _event(event_type: dict[str, Any], data: dict[str, Any], description: str) -> dict[str, Any]:
    schema = object_schema(EventView)
    schema["properties"] |= {"type": event_type, "data": data}
    return {**schema, "description": description, "additionalProperties": True}


def webhooks() -> dict[str, Any]:
    """Return the ``webhooks`` of the OpenAPI document: https://spec.openapis.org/oas/v3.1.0#oas-webhooks."""
    return {event_type: {"post": _webhook(event_type)} for event_type in EVENT_TYPES}


def _webhook(event_type: str) -> dict[str, Any]:
    only = {"type": "object", "properties": {"type": {"type": "string", "const": event_type}}, "required": ["type"]}
    return {
        "operationId": "on_" + event_type.replace(".", "_"),
        "summary": TEXTS[event_type],
        "tags": [WEBHOOKS_TAG],
        "requestBody": {
            "required": True,
            "content": {JSON_CONTENT_TYPE: {"schema": {"allOf": [{"$ref": SCHEMAS + _name(event_type)}, only]}}},
        },
        "responses": {
            "2XX": {"description": "Accepted. Anything else is sent again."},
            "410": {"description": "Nobody is here any more: the endpoint is disabled."},
        },
        "security": [],
    }


def page() -> str:
    """Return docs/events.md."""
    rows = [f"| `{event_type}` | {payload_of(event_type)} | {TEXTS[event_type]} |" for event_type in EVENT_TYPES]
    return "\n".join(
        [
            "# All events",
            "",
            "Generated by `make openapi`. How an event looks and is delivered: [webhooks.md](webhooks.md). The schema",
            "of each `data`: `webhooks` in [openapi.json](../openapi.json). What happens to a payment is told under",
            "`payment.*` and, of its operations, under `capture.*`, `void.*`, `refund.*` and `dispute.*`: subscribe to",
            "all of them, or to `*`.",
            "",
            "| `type` | `data` | |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )
