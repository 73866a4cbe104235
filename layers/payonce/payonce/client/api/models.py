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
    status: Literal["in_doubt", "processing", "succeeded", "returned", "declined", "failed"]
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


class PaymentChange(TypedDict):
    """What the API calls PaymentChange."""

    sequence: int
    event_id: str
    type: str
    created_at_ms: int
    data: Payment | Operation | Dispute
    journal_entry: JournalEntry | None


class JournalEntry(TypedDict):
    """What the API calls JournalEntry."""

    id: str
    postings: list[Posting]


class Posting(TypedDict):
    """What the API calls Posting."""

    account: str
    amount_minor: int


class Balance(TypedDict):
    """What the API calls Balance."""

    currency: str
    account: str
    balance_minor: int


class Setup(TypedDict):
    """What the API calls Setup."""

    id: str
    object: Literal["setup"]
    status: Literal[
        "in_doubt", "requires_action", "processing", "succeeded", "declined", "failed", "canceled", "expired"
    ]
    customer: str
    payment_method: str
    payment_method_type: Literal["card", "wallet", "bank_debit", "bank_transfer", "pay_later", "voucher"]
    currency: str
    saved_payment_method: str | None
    reference: str | None
    metadata: dict[str, str]
    gateway: str
    attempts: int
    decline_code: str | None
    next_action: NextAction | None
    created_at_ms: int
    updated_at_ms: int
    version: int


class Mandate(TypedDict):
    """What the API calls Mandate."""

    id: str
    status: Literal["active", "revoked"]


class PaymentMethod(TypedDict):
    """What the API calls PaymentMethod."""

    id: str
    object: Literal["payment_method"]
    status: Literal["active", "revoking", "revoked"]
    customer: str
    type: Literal["card", "wallet", "bank_debit", "bank_transfer", "pay_later", "voucher"]
    gateway: str
    mandate: Mandate | None
    made_by: str
    created_at_ms: int
    updated_at_ms: int
    version: int


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
    disabled_reason: Literal["merchant", "gone", "failing"] | None
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
    disabled_reason: Literal["merchant", "gone", "failing"] | None
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
    disabled_reason: Literal["merchant", "gone", "failing"] | None
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
    error: (
        Literal[
            "address_refused",
            "name_not_resolved",
            "connection_failed",
            "tls_failed",
            "timed_out",
            "connection_lost",
            "answer_malformed",
            "url_refused",
            "signing_failed",
        ]
        | None
    )
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
    held_by: Literal["kill_switch", "policy_unreadable"] | None


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


class PaymentList(TypedDict):
    """What the API calls PaymentList."""

    object: Literal["list"]
    data: list[Payment]
    next_cursor: NotRequired[str | None]


class PaymentChangeList(TypedDict):
    """What the API calls PaymentChangeList."""

    object: Literal["list"]
    data: list[PaymentChange]
    next_cursor: NotRequired[str | None]


class BalanceList(TypedDict):
    """What the API calls BalanceList."""

    object: Literal["list"]
    data: list[Balance]
    next_cursor: NotRequired[str | None]


class DisputeList(TypedDict):
    """What the API calls DisputeList."""

    object: Literal["list"]
    data: list[Dispute]
    next_cursor: NotRequired[str | None]


class SetupList(TypedDict):
    """What the API calls SetupList."""

    object: Literal["list"]
    data: list[Setup]
    next_cursor: NotRequired[str | None]


class PaymentMethodList(TypedDict):
    """What the API calls PaymentMethodList."""

    object: Literal["list"]
    data: list[PaymentMethod]
    next_cursor: NotRequired[str | None]


class WebhookEndpointList(TypedDict):
    """What the API calls WebhookEndpointList."""

    object: Literal["list"]
    data: list[WebhookEndpoint]
    next_cursor: NotRequired[str | None]


class WebhookDeliverySummaryList(TypedDict):
    """What the API calls WebhookDeliverySummaryList."""

    object: Literal["list"]
    data: list[WebhookDeliverySummary]
    next_cursor: NotRequired[str | None]


class OperationEvent(TypedDict):
    """An event with such `data`."""

    id: str
    type: Literal[
        "capture.declined",
        "capture.failed",
        "capture.in_doubt",
        "capture.processing",
        "capture.succeeded",
        "capture.succeeded_in_part",
        "refund.declined",
        "refund.failed",
        "refund.in_doubt",
        "refund.processing",
        "refund.returned",
        "refund.returned_in_part",
        "refund.succeeded",
        "refund.succeeded_in_part",
        "void.declined",
        "void.failed",
        "void.in_doubt",
        "void.processing",
        "void.succeeded",
        "void.succeeded_in_part",
    ]
    api_version: str
    created_at_ms: int
    sequence: int
    data: Operation


class DisputeEvent(TypedDict):
    """An event with such `data`."""

    id: str
    type: Literal["dispute.evidence_due", "dispute.lost", "dispute.opened", "dispute.under_review", "dispute.won"]
    api_version: str
    created_at_ms: int
    sequence: int
    data: Dispute


class PaymentEvent(TypedDict):
    """An event with such `data`."""

    id: str
    type: Literal[
        "payment.authorized",
        "payment.captured",
        "payment.captured_at_gateway",
        "payment.captured_at_gateway_in_part",
        "payment.declined",
        "payment.expired",
        "payment.failed",
        "payment.in_doubt",
        "payment.processing",
        "payment.refund_returned",
        "payment.refund_returned_in_part",
        "payment.refunded_at_gateway",
        "payment.refunded_at_gateway_in_part",
        "payment.requires_action",
        "payment.reversed",
        "payment.reversed_in_part",
        "payment.voided_at_gateway",
    ]
    api_version: str
    created_at_ms: int
    sequence: int
    data: Payment


class PaymentMethodEvent(TypedDict):
    """An event with such `data`."""

    id: str
    type: Literal["payment_method.revoked", "payment_method.revoked_at_gateway", "payment_method.saved"]
    api_version: str
    created_at_ms: int
    sequence: int
    data: PaymentMethod


class SetupEvent(TypedDict):
    """An event with such `data`."""

    id: str
    type: Literal[
        "setup.canceled",
        "setup.declined",
        "setup.expired",
        "setup.failed",
        "setup.in_doubt",
        "setup.processing",
        "setup.requires_action",
        "setup.succeeded",
    ]
    api_version: str
    created_at_ms: int
    sequence: int
    data: Setup


class WebhookEndpointEvent(TypedDict):
    """An event with such `data`."""

    id: str
    type: Literal[
        "webhook_endpoint.created",
        "webhook_endpoint.deleted",
        "webhook_endpoint.disabled",
        "webhook_endpoint.enabled",
        "webhook_endpoint.key_rotated",
        "webhook_endpoint.test",
        "webhook_endpoint.updated",
    ]
    api_version: str
    created_at_ms: int
    sequence: int
    data: WebhookEndpoint


class CustomEvent(TypedDict):
    """An event that the operator's own systems send through payonce; its `data` is theirs."""

    id: str
    type: str
    api_version: str
    created_at_ms: int
    sequence: int
    data: dict[str, Any]


type Event = (
    OperationEvent | DisputeEvent | PaymentEvent | PaymentMethodEvent | SetupEvent | WebhookEndpointEvent | CustomEvent
)


class FieldError(TypedDict):
    """What the API calls FieldError."""

    pointer: str
    detail: str


class AmountExceedsAvailableProblem(TypedDict):
    """The amount exceeds what is left. What to do: docs/problems.md#amount-exceeds-available"""

    type: Literal["urn:payonce:problem:amount-exceeds-available"]
    title: Literal["The amount exceeds what is left"]
    status: Literal[409]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
    resource: NotRequired[str]
    available_minor: int


class BodyTooLargeProblem(TypedDict):
    """The body is too large. What to do: docs/problems.md#body-too-large"""

    type: Literal["urn:payonce:problem:body-too-large"]
    title: Literal["The body is too large"]
    status: Literal[413]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class CardNumberRefusedProblem(TypedDict):
    """Card numbers are refused. What to do: docs/problems.md#card-number-refused"""

    type: Literal["urn:payonce:problem:card-number-refused"]
    title: Literal["Card numbers are refused"]
    status: Literal[400]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class CorrectionStateProblem(TypedDict):
    """The correction can't be decided like this. What to do: docs/problems.md#correction-state"""

    type: Literal["urn:payonce:problem:correction-state"]
    title: Literal["The correction can't be decided like this"]
    status: Literal[409]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class DeclinedProblem(TypedDict):
    """The payment was declined. What to do: docs/problems.md#declined"""

    type: Literal["urn:payonce:problem:declined"]
    title: Literal["The payment was declined"]
    status: Literal[402]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
    payment: NotRequired[Payment]
    operation: NotRequired[Operation]
    code: str


class DeliveryStateProblem(TypedDict):
    """The delivery's state does not allow this. What to do: docs/problems.md#delivery-state"""

    type: Literal["urn:payonce:problem:delivery-state"]
    title: Literal["The delivery's state does not allow this"]
    status: Literal[409]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
    resource: NotRequired[str]
    delivery_status: Literal["pending", "delivered", "failed", "held", "canceled"]


class EndpointLimitProblem(TypedDict):
    """There are too many webhook endpoints. What to do: docs/problems.md#endpoint-limit"""

    type: Literal["urn:payonce:problem:endpoint-limit"]
    title: Literal["There are too many webhook endpoints"]
    status: Literal[409]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class EndpointStateProblem(TypedDict):
    """The endpoint's state does not allow this. What to do: docs/problems.md#endpoint-state"""

    type: Literal["urn:payonce:problem:endpoint-state"]
    title: Literal["The endpoint's state does not allow this"]
    status: Literal[409]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
    resource: NotRequired[str]


class ForbiddenProblem(TypedDict):
    """The API key may not do this. What to do: docs/problems.md#forbidden"""

    type: Literal["urn:payonce:problem:forbidden"]
    title: Literal["The API key may not do this"]
    status: Literal[403]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class GatewayEventRefusedProblem(TypedDict):
    """The gateway's event was not accepted. What to do: docs/problems.md#gateway-event-refused"""

    type: Literal["urn:payonce:problem:gateway-event-refused"]
    title: Literal["The gateway's event was not accepted"]
    status: Literal[400]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class GatewayUnavailableProblem(TypedDict):
    """No gateway is available. What to do: docs/problems.md#gateway-unavailable"""

    type: Literal["urn:payonce:problem:gateway-unavailable"]
    title: Literal["No gateway is available"]
    status: Literal[503]
    detail: str
    retryable: Literal[True]
    documentation: NotRequired[str]


class InternalProblem(TypedDict):
    """Something went wrong on our side. What to do: docs/problems.md#internal"""

    type: Literal["urn:payonce:problem:internal"]
    title: Literal["Something went wrong on our side"]
    status: Literal[500]
    detail: str
    retryable: Literal[True]
    documentation: NotRequired[str]
    request_id: NotRequired[str]


class InvalidRequestProblem(TypedDict):
    """The request is not valid. What to do: docs/problems.md#invalid-request"""

    type: Literal["urn:payonce:problem:invalid-request"]
    title: Literal["The request is not valid"]
    status: Literal[400]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
    errors: NotRequired[list[FieldError]]


class KeyExpiredProblem(TypedDict):
    """The idempotency key has expired. What to do: docs/problems.md#key-expired"""

    type: Literal["urn:payonce:problem:key-expired"]
    title: Literal["The idempotency key has expired"]
    status: Literal[409]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
    resource: NotRequired[str]


class KeyInProgressProblem(TypedDict):
    """The request is still in progress. What to do: docs/problems.md#key-in-progress"""

    type: Literal["urn:payonce:problem:key-in-progress"]
    title: Literal["The request is still in progress"]
    status: Literal[409]
    detail: str
    retryable: Literal[True]
    documentation: NotRequired[str]


class KeyMalformedProblem(TypedDict):
    """The idempotency key is malformed. What to do: docs/problems.md#key-malformed"""

    type: Literal["urn:payonce:problem:key-malformed"]
    title: Literal["The idempotency key is malformed"]
    status: Literal[400]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class KeyMissingProblem(TypedDict):
    """An idempotency key is required. What to do: docs/problems.md#key-missing"""

    type: Literal["urn:payonce:problem:key-missing"]
    title: Literal["An idempotency key is required"]
    status: Literal[400]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class KeyReusedProblem(TypedDict):
    """The idempotency key belongs to a different request. What to do: docs/problems.md#key-reused"""

    type: Literal["urn:payonce:problem:key-reused"]
    title: Literal["The idempotency key belongs to a different request"]
    status: Literal[422]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
    resource: NotRequired[str]


class MatchConflictProblem(TypedDict):
    """The rows can't be matched like this. What to do: docs/problems.md#match-conflict"""

    type: Literal["urn:payonce:problem:match-conflict"]
    title: Literal["The rows can't be matched like this"]
    status: Literal[409]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class NotExecutedProblem(TypedDict):
    """The gateway did not execute the operation. What to do: docs/problems.md#not-executed"""

    type: Literal["urn:payonce:problem:not-executed"]
    title: Literal["The gateway did not execute the operation"]
    status: Literal[402]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
    payment: NotRequired[Payment]
    operation: NotRequired[Operation]


class NotFoundProblem(TypedDict):
    """There is no such resource. What to do: docs/problems.md#not-found"""

    type: Literal["urn:payonce:problem:not-found"]
    title: Literal["There is no such resource"]
    status: Literal[404]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class NotSupportedProblem(TypedDict):
    """No gateway of yours can do this. What to do: docs/problems.md#not-supported"""

    type: Literal["urn:payonce:problem:not-supported"]
    title: Literal["No gateway of yours can do this"]
    status: Literal[400]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class OutcomeUnknownProblem(TypedDict):
    """It may have been executed, or may be yet. What to do: docs/problems.md#outcome-unknown"""

    type: Literal["urn:payonce:problem:outcome-unknown"]
    title: Literal["It may have been executed, or may be yet"]
    status: Literal[502, 504]
    detail: str
    retryable: Literal[True]
    documentation: NotRequired[str]


class PaymentStateProblem(TypedDict):
    """The payment's state does not allow this. What to do: docs/problems.md#payment-state"""

    type: Literal["urn:payonce:problem:payment-state"]
    title: Literal["The payment's state does not allow this"]
    status: Literal[409]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
    resource: NotRequired[str]
    payment_status: Literal[
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
    operation: NotRequired[Operation]


class ResponseNotStorableProblem(TypedDict):
    """The response could not be stored. What to do: docs/problems.md#response-not-storable"""

    type: Literal["urn:payonce:problem:response-not-storable"]
    title: Literal["The response could not be stored"]
    status: Literal[400]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class SelfApprovalProblem(TypedDict):
    """A second person has to decide. What to do: docs/problems.md#self-approval"""

    type: Literal["urn:payonce:problem:self-approval"]
    title: Literal["A second person has to decide"]
    status: Literal[403]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class SetupStateProblem(TypedDict):
    """The state of the setup or payment method does not allow this. What to do: docs/problems.md#setup-state"""

    type: Literal["urn:payonce:problem:setup-state"]
    title: Literal["The state of the setup or payment method does not allow this"]
    status: Literal[409]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]


class StoreUnavailableProblem(TypedDict):
    """Storage is not available. What to do: docs/problems.md#store-unavailable"""

    type: Literal["urn:payonce:problem:store-unavailable"]
    title: Literal["Storage is not available"]
    status: Literal[503]
    detail: str
    retryable: Literal[True]
    documentation: NotRequired[str]


class ThrottledProblem(TypedDict):
    """Too many requests. What to do: docs/problems.md#throttled"""

    type: Literal["urn:payonce:problem:throttled"]
    title: Literal["Too many requests"]
    status: Literal[429]
    detail: str
    retryable: Literal[True]
    documentation: NotRequired[str]


class UnauthenticatedProblem(TypedDict):
    """The API key is missing or not known. What to do: docs/problems.md#unauthenticated"""

    type: Literal["urn:payonce:problem:unauthenticated"]
    title: Literal["The API key is missing or not known"]
    status: Literal[401]
    detail: str
    retryable: Literal[False]
    documentation: NotRequired[str]
