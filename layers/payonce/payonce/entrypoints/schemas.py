"""The response schemas of the API, for openapi.json. The models describe the requests."""

from __future__ import annotations

from typing import Any

from payonce.domain.delivery import NoAnswerReason
from payonce.domain.endpoint import DisabledReason, EndpointStatus, KeyKind
from payonce.domain.payment import OperationStatus, PaymentStatus
from payonce.domain.webhooks import DeliveryStatus
from payonce.idempotency.inspect import KeyState
from payonce.webhooks.replay_items import ReplayOnly, ReplayStatus

SCHEMAS = "#/components/schemas/"
INTEGER: dict[str, Any] = {"type": "integer"}
TEXT: dict[str, Any] = {"type": "string"}
NULLABLE_TEXT: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
SENT: dict[str, Any] = {"type": "integer", "description": "Under how many references it was sent; one can count."}
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
    "attempts": SENT,
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
    "attempts": SENT,
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
    "documentation": {
        **TEXT,
        "description": "The type's section of docs/problems.md, where the operator names a page.",
    },
}
NULLABLE_INTEGER: dict[str, Any] = {"anyOf": [INTEGER, {"type": "null"}]}
KEY_FIELDS: dict[str, dict[str, Any]] = {
    "id": TEXT,
    "kind": {"enum": [kind.value for kind in KeyKind]},
    "public_key": NULLABLE_TEXT,
    "created_at_ms": INTEGER,
    "expires_at_ms": NULLABLE_INTEGER,
}
ENDPOINT_FIELDS: dict[str, dict[str, Any]] = {
    "id": TEXT,
    "object": {"const": "webhook_endpoint"},
    "url": TEXT,
    "description": TEXT,
    "event_types": {"type": "array", "items": TEXT},
    "status": {"enum": [status.value for status in EndpointStatus]},
    "disabled_reason": {"enum": [*(reason.value for reason in DisabledReason), None]},
    "disabled_at_ms": NULLABLE_INTEGER,
    "keys": {"type": "array", "items": {"$ref": SCHEMAS + "WebhookKey"}},
    "created_at_ms": INTEGER,
    "updated_at_ms": INTEGER,
    "version": INTEGER,
}
SHOWN_ONCE: dict[str, dict[str, Any]] = {
    "secret": {"type": "string", "description": "whsec_...: what v1 signatures are verified with. Keep it now."},
    "public_key": {"type": "string", "description": "whpk_...: what v1a signatures are verified with."},
}
HEALTH_FIELDS: dict[str, dict[str, Any]] = {
    "consecutive_failures": INTEGER,
    "failing_since_ms": NULLABLE_INTEGER,
    "breaker_open_until_ms": NULLABLE_INTEGER,
}
ATTEMPT_FIELDS: dict[str, dict[str, Any]] = {
    "number": INTEGER,
    "at_ms": INTEGER,
    "latency_ms": INTEGER,
    "status": NULLABLE_INTEGER,
    "response_excerpt": NULLABLE_TEXT,
    "error": {"enum": [*(reason.value for reason in NoAnswerReason), None]},
    "detail": NULLABLE_TEXT,
}
DELIVERY_FIELDS: dict[str, dict[str, Any]] = {
    "id": TEXT,
    "object": {"const": "webhook_delivery"},
    "endpoint_id": TEXT,
    "event_id": TEXT,
    "event_type": TEXT,
    "event_created_at_ms": INTEGER,
    "status": {"enum": [status.value for status in DeliveryStatus]},
    "attempt_count": INTEGER,
    "next_attempt_at_ms": NULLABLE_INTEGER,
    "created_at_ms": INTEGER,
    "updated_at_ms": INTEGER,
}
ATTEMPTS: dict[str, Any] = {"type": "array", "items": {"$ref": SCHEMAS + "WebhookAttempt"}}
REPLAY_FIELDS: dict[str, dict[str, Any]] = {
    "id": TEXT,
    "object": {"const": "webhook_replay"},
    "endpoint_id": TEXT,
    "only": {"enum": [only.value for only in ReplayOnly]},
    "from_ms": INTEGER,
    "until_ms": INTEGER,
    "status": {"enum": [status.value for status in ReplayStatus]},
    "seen_count": INTEGER,
    "queued_count": INTEGER,
    "created_at_ms": INTEGER,
    "updated_at_ms": INTEGER,
}
RECORD_FIELDS: dict[str, dict[str, Any]] = {
    "object": {"const": "idempotency_record"},
    "operation": TEXT,
    "state": {"enum": [state.value for state in KeyState]},
    "claim_id": TEXT,
    "fence": INTEGER,
    "attempts": INTEGER,
    "fingerprint": TEXT,
    "lease_expires_at_ms": NULLABLE_INTEGER,
    "resource": NULLABLE_TEXT,
    "response_status": NULLABLE_INTEGER,
    "created_at_ms": NULLABLE_INTEGER,
    "expires_at_ms": NULLABLE_INTEGER,
    "purge_at_ms": NULLABLE_INTEGER,
}
EVENT_FIELDS: dict[str, dict[str, Any]] = {
    "id": TEXT,
    "type": TEXT,
    "api_version": TEXT,
    "created_at_ms": INTEGER,
    "sequence": INTEGER,
    "data": {},
}


def result_schemas() -> dict[str, Any]:
    """Return the schemas by name, in a stable order."""
    return {
        "Payment": closed_object(PAYMENT_FIELDS),
        "Operation": closed_object(OPERATION_FIELDS),
        "WebhookKey": closed_object(KEY_FIELDS),
        "WebhookEndpoint": closed_object(ENDPOINT_FIELDS),
        "WebhookEndpointHealth": closed_object({**ENDPOINT_FIELDS, "health": {"$ref": SCHEMAS + "WebhookHealth"}}),
        "WebhookHealth": closed_object(HEALTH_FIELDS),
        # One of the two, depending on the kind of the key.
        "NewWebhookEndpoint": closed_object(ENDPOINT_FIELDS, SHOWN_ONCE),
        "DeletedWebhookEndpoint": closed_object(
            {"id": TEXT, "object": {"const": "webhook_endpoint"}, "deleted": {"const": True}}
        ),
        "TestEvent": closed_object({"object": {"const": "test_event"}, "event_id": TEXT, "endpoint_id": TEXT}),
        "WebhookAttempt": closed_object(ATTEMPT_FIELDS),
        "WebhookDelivery": closed_object({**DELIVERY_FIELDS, "attempts": ATTEMPTS}),
        "WebhookDeliverySummary": closed_object(DELIVERY_FIELDS),
        "WebhookReplay": closed_object(REPLAY_FIELDS),
        # Later versions may add members to what is delivered.
        "Event": {**closed_object(EVENT_FIELDS), "additionalProperties": True},
        "EventList": closed_object(
            {
                "object": {"const": "list"},
                "data": {"type": "array", "items": {"$ref": SCHEMAS + "Event"}},
                "next_after": NULLABLE_TEXT,
                "has_more": {"type": "boolean"},
            }
        ),
        "IdempotencyRecord": closed_object(RECORD_FIELDS),
        "IdempotencyRecordList": closed_object(
            {
                "object": {"const": "list"},
                "data": {"type": "array", "items": {"$ref": SCHEMAS + "IdempotencyRecord"}},
            }
        ),
        "Problem": {
            **closed_object(PROBLEM_FIELDS),
            "required": [name for name in PROBLEM_FIELDS if name != "documentation"],
            "additionalProperties": True,
        },
        "GatewayMessage": {
            "type": "object",
            # API Gateway capitalizes the name in an authorizer's denial.
            "properties": {"message": NULLABLE_TEXT, "Message": NULLABLE_TEXT},
            "anyOf": [{"required": ["message"]}, {"required": ["Message"]}],
        },
        "List": _list(),
    }


def closed_object(
    fields: dict[str, dict[str, Any]], optional: dict[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the schema of an object with exactly these members."""
    return {
        "type": "object",
        "properties": {**fields, **(optional or {})},
        "required": list(fields),
        "additionalProperties": False,
    }


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
