"""The API's documents. Made from openapi.json by tools/client_calls.py.

They are dicts: a later API's further members stay in them.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Payment(TypedDict):
    """What the API calls Payment."""

    id: str
    object: Literal["payment"]
    status: Literal[
        "in_doubt",
        "requires_action",
        "processing",
        "authorized",
        "partially_captured",
        "captured",
        "partially_refunded",
        "refunded",
        "voided",
        "declined",
        "failed",
        "expired",
        "reversed",
    ]
    amount_minor: int
    currency: str
    captured_minor: int
    refunded_minor: int
    capturable_minor: int
    refundable_minor: int
    capture: Literal["automatic", "manual"]
    payment_method: str
    payment_method_type: Literal["card", "wallet", "bank_debit", "bank_transfer", "pay_later", "voucher"]
    reference: str | None
    customer: str | None
    description: str | None
    metadata: dict[str, str]
    gateway: str
    passed_over: list[str]
    attempts: int
    decline_code: str | None
    next_action: NextAction | None
    reversed_minor: int
    disputed_minor: int
    created_at_ms: int
    updated_at_ms: int
    version: int


class NextAction(TypedDict):
    """What the API calls NextAction."""

    type: Literal["redirect", "display", "gateway_sdk", "confirm"]
    url: NotRequired[str]
    client_secret: NotRequired[str]
    expires_at_ms: int


class Operation(TypedDict):
    """What the API calls Operation."""

    id: str
    object: Literal["capture", "cancellation", "refund"]
    status: Literal["in_doubt", "processing", "succeeded", "declined", "failed"]
    payment_id: str
    amount_minor: int
    currency: str
    attempts: int
    decline_code: str | None
    created_at_ms: int
    payment: Payment


class Dispute(TypedDict):
    """What the API calls Dispute."""

    id: str
    object: Literal["dispute"]
    status: Literal["opened", "evidence_due", "under_review", "won", "lost"]
    payment_id: str
    amount_minor: int
    withdrawn_minor: int
    fee_minor: int
    currency: str
    reason: str
    evidence_due_at_ms: int | None
    gateway: str
    gateway_dispute_id: str
    opened_at_ms: int
    updated_at_ms: int
    payment: Payment


class WebhookKey(TypedDict):
    """What the API calls WebhookKey."""

    id: str
    kind: Literal["v1", "v1a"]
    public_key: str | None
    created_at_ms: int
    expires_at_ms: int | None


class WebhookEndpoint(TypedDict):
    """What the API calls WebhookEndpoint."""

    id: str
    object: Literal["webhook_endpoint"]
    url: str
    description: str
    event_types: list[str]
    status: Literal["enabled", "disabled"]
    disabled_reason: Literal["merchant", "gone", "failing", None]
    disabled_at_ms: int | None
    keys: list[WebhookKey]
    created_at_ms: int
    updated_at_ms: int
    version: int


class WebhookEndpointHealth(TypedDict):
    """What the API calls WebhookEndpointHealth."""

    id: str
    object: Literal["webhook_endpoint"]
    url: str
    description: str
    event_types: list[str]
    status: Literal["enabled", "disabled"]
    disabled_reason: Literal["merchant", "gone", "failing", None]
    disabled_at_ms: int | None
    keys: list[WebhookKey]
    created_at_ms: int
    updated_at_ms: int
    version: int
    health: WebhookHealth


class WebhookHealth(TypedDict):
    """What the API calls WebhookHealth."""

    consecutive_failures: int
    failing_since_ms: int | None
    breaker_open_until_ms: int | None


class NewWebhookEndpoint(TypedDict):
    """What the API calls NewWebhookEndpoint."""

    id: str
    object: Literal["webhook_endpoint"]
    url: str
    description: str
    event_types: list[str]
    status: Literal["enabled", "disabled"]
    disabled_reason: Literal["merchant", "gone", "failing", None]
    disabled_at_ms: int | None
    keys: list[WebhookKey]
    created_at_ms: int
    updated_at_ms: int
    version: int
    secret: NotRequired[str]
    public_key: NotRequired[str]


class DeletedWebhookEndpoint(TypedDict):
    """What the API calls DeletedWebhookEndpoint."""

    id: str
    object: Literal["webhook_endpoint"]
    deleted: Literal[True]


class TestEvent(TypedDict):
    """What the API calls TestEvent."""

    object: Literal["test_event"]
    event_id: str
    endpoint_id: str


class WebhookAttempt(TypedDict):
    """What the API calls WebhookAttempt."""

    number: int
    at_ms: int
    latency_ms: int
    status: int | None
    response_excerpt: str | None
    error: Literal[
        "address_refused",
        "name_not_resolved",
        "connection_failed",
        "tls_failed",
        "timed_out",
        "connection_lost",
        "answer_malformed",
        "url_refused",
        "signing_failed",
        None,
    ]
    detail: str | None


class WebhookDelivery(TypedDict):
    """What the API calls WebhookDelivery."""

    id: str
    object: Literal["webhook_delivery"]
    endpoint_id: str
    event_id: str
    event_type: str
    event_created_at_ms: int
    status: Literal["pending", "delivered", "failed", "held", "canceled"]
    attempt_count: int
    next_attempt_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int
    attempts: list[WebhookAttempt]


class WebhookDeliverySummary(TypedDict):
    """What the API calls WebhookDeliverySummary."""

    id: str
    object: Literal["webhook_delivery"]
    endpoint_id: str
    event_id: str
    event_type: str
    event_created_at_ms: int
    status: Literal["pending", "delivered", "failed", "held", "canceled"]
    attempt_count: int
    next_attempt_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int


class WebhookReplay(TypedDict):
    """What the API calls WebhookReplay."""

    id: str
    object: Literal["webhook_replay"]
    endpoint_id: str
    only: Literal["undelivered", "all", "held"]
    from_ms: int
    until_ms: int
    status: Literal["running", "completed", "canceled"]
    seen_count: int
    queued_count: int
    created_at_ms: int
    updated_at_ms: int


class Event(TypedDict):
    """What the API calls Event."""

    id: str
    type: str
    api_version: str
    created_at_ms: int
    sequence: int
    data: Any


class EventList(TypedDict):
    """What the API calls EventList."""

    object: Literal["list"]
    data: list[Event]
    next_after: str | None
    has_more: bool


class IdempotencyRecord(TypedDict):
    """What the API calls IdempotencyRecord."""

    object: Literal["idempotency_record"]
    operation: str
    state: Literal["in_progress", "in_doubt", "completed", "expired", "released"]
    claim_id: str
    fence: int
    attempts: int
    fingerprint: str
    lease_expires_at_ms: int | None
    resource: str | None
    response_status: int | None
    created_at_ms: int | None
    expires_at_ms: int | None
    purge_at_ms: int | None


class IdempotencyRecordList(TypedDict):
    """What the API calls IdempotencyRecordList."""

    object: Literal["list"]
    data: list[IdempotencyRecord]


class Problem(TypedDict):
    """What the API calls Problem."""

    type: str
    title: str
    status: int
    detail: str
    retryable: bool
    documentation: NotRequired[str]


class GatewayMessage(TypedDict):
    message: "NotRequired[str | None]"
    Message: "NotRequired[str | None]"


class List(TypedDict):
    """What the API calls List."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    next_cursor: NotRequired[str | None]


class BreakWhy(TypedDict):
    """What the API calls BreakWhy."""

    reason: str | None
    text: str


class BreakLinks(TypedDict):
    """What the API calls BreakLinks."""

    self: str
    history: str
    correction: str
    payment: str


class BreakEvidence(TypedDict):
    """What the API calls BreakEvidence."""

    source: Literal["ledger", "gateway"]
    row_key: str
    fields: dict[str, str | int | None]


BreakSummary = TypedDict(
    "BreakSummary",
    {
        "id": "str",
        "object": "Literal['break']",
        "class": "str",
        "family": "Literal['presence', 'idempotency', 'value', 'dispute', 'bank', 'ambiguous']",
        "severity": "Literal['critical', 'high', 'medium', 'low']",
        "meaning": "str",
        "status": "Literal['open', 'closed', 'dismissed']",
        "amount_minor": "int",
        "corrected_minor": "int",
        "open_minor": "int",
        "currency": "str",
        "gateway": "str | None",
        "payment_id": "str",
        "subject": "list[str]",
        "why": "BreakWhy | None",
        "assignee": "str | None",
        "occurred_at_ms": "int",
        "opened_at_ms": "int",
        "due_at_ms": "int",
        "overdue": "bool",
        "updated_at_ms": "int",
        "version": "int",
        "links": "BreakLinks",
    },
)


Break = TypedDict(
    "Break",
    {
        "id": "str",
        "object": "Literal['break']",
        "class": "str",
        "family": "Literal['presence', 'idempotency', 'value', 'dispute', 'bank', 'ambiguous']",
        "severity": "Literal['critical', 'high', 'medium', 'low']",
        "meaning": "str",
        "status": "Literal['open', 'closed', 'dismissed']",
        "amount_minor": "int",
        "corrected_minor": "int",
        "open_minor": "int",
        "currency": "str",
        "gateway": "str | None",
        "payment_id": "str",
        "subject": "list[str]",
        "why": "BreakWhy | None",
        "assignee": "str | None",
        "occurred_at_ms": "int",
        "opened_at_ms": "int",
        "due_at_ms": "int",
        "overdue": "bool",
        "updated_at_ms": "int",
        "version": "int",
        "links": "BreakLinks",
        "evidence": "list[BreakEvidence]",
        "correction": "Correction | None",
    },
)


class CorrectionNext(TypedDict):
    """What the API calls CorrectionNext."""

    step: Literal["check", "approval", "execution", "resolution", "proof", "run", "resume", "person"]
    text: str
    held_by: Literal["kill_switch", "policy_unreadable", None]


CorrectionLinks = TypedDict(
    "CorrectionLinks",
    {
        "self": "str",
        "break": "str",
    },
)


class Correction(TypedDict):
    """What the API calls Correction."""

    object: Literal["correction"]
    break_id: str
    payment_id: str
    status: Literal[
        "open", "checked", "awaiting_approval", "approved", "corrected", "rejected", "expired", "failed", "manual"
    ]
    action: Literal["give_back_surplus", "refund_payment", "reverse_posting", "manual"]
    kind: str | None
    amount_minor: int
    ceiling_minor: int
    corrected_minor: int
    rest_minor: int
    currency: str
    attempt: int
    proposal_version: int
    proposed_by: str
    decided_by: str | None
    expires_at_ms: int | None
    outcome: str | None
    next: CorrectionNext
    created_at_ms: int
    updated_at_ms: int
    links: CorrectionLinks


class BreakComment(TypedDict):
    """What the API calls BreakComment."""

    object: Literal["comment"]
    id: str
    text: str
    by: str
    at_ms: int


class BreakChange(TypedDict):
    """What the API calls BreakChange."""

    object: Literal["change"]
    change: Literal[
        "found", "correcting", "proved", "reopened", "assigned", "dismissed", "matched", "unmatched", "refused"
    ]
    status: Literal["open", "closed", "dismissed"]
    by: str
    note: str | None
    at_ms: int


class CorrectionStep(TypedDict):
    """What the API calls CorrectionStep."""

    object: Literal["correction_step"]
    status: Literal[
        "open", "checked", "awaiting_approval", "approved", "corrected", "rejected", "expired", "failed", "manual"
    ]
    attempt: int
    proposal_version: int
    amount_minor: int
    by: str
    outcome: str | None
    at_ms: int


class CorrectionAttempt(TypedDict):
    """What the API calls CorrectionAttempt."""

    object: Literal["correction_attempt"]
    command: Literal["propose", "approve", "reject", "resume"]
    refused: bool
    by: str
    text: str
    at_ms: int


class BreakList(TypedDict):
    """What the API calls BreakList."""

    object: Literal["list"]
    data: list[BreakSummary]
    next_cursor: str | None


class BreakHistory(TypedDict):
    """What the API calls BreakHistory."""

    object: Literal["list"]
    data: list[BreakChange | CorrectionStep | CorrectionAttempt | BreakComment]


class TakenBack(TypedDict):
    """What the API calls TakenBack."""

    by: str
    reason: str | None
    at_ms: int


class Match(TypedDict):
    """What the API calls Match."""

    object: Literal["match"]
    id: str
    break_ids: list[str]
    accept_difference: bool
    by: str
    reason: str | None
    at_ms: int
    taken_back: TakenBack | None


class MatchList(TypedDict):
    """What the API calls MatchList."""

    object: Literal["list"]
    data: list[Match]
