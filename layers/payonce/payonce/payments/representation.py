"""Payments and operations as responses and events show them. Their bytes are rendered once, here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict, cast

from payonce.domain.errors import PaymentStateConflict
from payonce.domain.gateway import ActionType, CaptureMethod, Declined, DisputeStatus, PaymentMethodType
from payonce.domain.payment import OperationStatus, PaymentStatus
from payonce.domain.problems import DECLINED, NOT_EXECUTED, PROBLEM_CONTENT_TYPE, PROBLEMS, problem_document
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import StoredResponse
from payonce.payments.rules import NeverExecuted

if TYPE_CHECKING:
    from payonce.domain.dispute import Dispute
    from payonce.domain.payment import Payment
    from payonce.payments.operations import FollowUpPlan
    from payonce.payments.payment_work import Result

OperationObject = Literal["capture", "cancellation", "refund"]
DISPUTE_OBJECT: Literal["dispute"] = "dispute"
OPERATION_OBJECTS: dict[str, OperationObject] = {"capture": "capture", "void": "cancellation", "refund": "refund"}
Attempts = Annotated[int, "Under how many references it was sent; one can count."]


class NextActionView(TypedDict):
    """What has to be done next. ``url`` or ``client_secret`` is there, by ``type``."""

    type: ActionType
    url: NotRequired[str]
    client_secret: NotRequired[str]
    expires_at_ms: int


class PaymentView(TypedDict):
    """A payment as merchants see it."""

    id: str
    object: Literal["payment"]
    status: PaymentStatus
    amount_minor: int
    currency: str
    captured_minor: int
    refunded_minor: int
    capturable_minor: int
    refundable_minor: int
    capture: CaptureMethod
    payment_method: str
    payment_method_type: PaymentMethodType
    reference: str | None
    customer: str | None
    description: str | None
    metadata: dict[str, str]
    gateway: str
    passed_over: Annotated[list[str], "The gateways that were asked before and took nothing."]
    attempts: Attempts
    decline_code: str | None
    next_action: NextActionView | None
    reversed_minor: int
    disputed_minor: int
    created_at_ms: int
    updated_at_ms: int
    version: int


class OperationView(TypedDict):
    """A capture, cancellation or refund as merchants see it."""

    id: str
    object: OperationObject
    status: OperationStatus
    payment_id: str
    amount_minor: int
    currency: str
    attempts: Attempts
    decline_code: str | None
    created_at_ms: int
    payment: PaymentView


class DisputeView(TypedDict):
    """A dispute as merchants see it. Times are epoch milliseconds, amounts minor units of ``currency``."""

    id: str
    object: Literal["dispute"]
    status: DisputeStatus
    payment_id: str
    amount_minor: int
    withdrawn_minor: Annotated[int, "What the gateway has taken of the payment for it, and not given back."]
    fee_minor: Annotated[int, "What the gateway charges for it. It is on the gateway's invoice, not in the balances."]
    currency: str
    reason: Annotated[str, "The gateway's own word."]
    evidence_due_at_ms: Annotated[int | None, "Until when the gateway takes evidence; null when it asks for none."]
    gateway: str
    gateway_dispute_id: str
    opened_at_ms: Annotated[int, "When payonce learned of it."]
    updated_at_ms: int
    payment: PaymentView


def payment_path(payment_id: str) -> str:
    """Return the path of a payment, to which problem documents link too."""
    return f"/payments/{payment_id}"


def payment_view(payment: Payment) -> PaymentView:
    """Return a payment as merchants see it, ready for JSON."""
    return {
        "id": payment.payment_id,
        "object": "payment",
        "status": payment.status,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "captured_minor": payment.captured_minor,
        "refunded_minor": payment.refunded_minor,
        "capturable_minor": payment.capturable_minor,
        "refundable_minor": max(0, payment.refundable_minor),
        "capture": payment.capture_method,
        "payment_method": payment.payment_method,
        "payment_method_type": payment.payment_method_type,
        "reference": payment.reference,
        "customer": payment.customer,
        "description": payment.description,
        "metadata": dict(payment.metadata),
        "gateway": payment.gateway,
        "passed_over": list(payment.passed_over),
        "attempts": payment.attempts,
        "decline_code": payment.decline_code,
        "next_action": cast("NextActionView | None", payment.next_action),
        "reversed_minor": payment.reversed_minor,
        "disputed_minor": payment.disputed_minor,
        "created_at_ms": payment.created_at_ms,
        "updated_at_ms": payment.updated_at_ms,
        "version": payment.version,
    }


def operation_view(plan: FollowUpPlan, payment: Payment, status: OperationStatus, code: str | None) -> OperationView:
    """Return a capture, cancellation or refund as merchants see it, with the payment after it."""
    return {
        "id": plan.operation_id,
        "object": OPERATION_OBJECTS[plan.kind.value],
        "status": status,
        "payment_id": plan.payment_id,
        "amount_minor": plan.amount_minor,
        "currency": payment.currency,
        "attempts": plan.submission,
        "decline_code": code,
        "created_at_ms": plan.created_at_ms,
        "payment": payment_view(payment),
    }


def dispute_view(dispute: Dispute, payment: Payment) -> DisputeView:
    """Return a dispute as merchants see it, with its payment."""
    state = dispute.state
    return {
        "id": dispute.dispute_id,
        "object": DISPUTE_OBJECT,
        "status": state.status,
        "payment_id": dispute.payment_id,
        "amount_minor": state.amount_minor,
        "withdrawn_minor": state.withdrawn_minor,
        "fee_minor": state.fee_minor,
        "currency": state.currency,
        "reason": state.reason,
        "evidence_due_at_ms": state.evidence_due_at_ms,
        "gateway": payment.gateway,
        "gateway_dispute_id": state.gateway_dispute_id,
        "opened_at_ms": dispute.opened_at_ms,
        "updated_at_ms": dispute.updated_at_ms,
        "payment": payment_view(payment),
    }


def payment_response(payment: Payment, result: Result) -> StoredResponse:
    """Return the answer to a payment after ``result``: 201, 202 while it is in doubt, 402 when it was refused."""
    location = payment_path(payment.payment_id)
    if isinstance(result, Declined):
        return declined_response(result.message, location=location, code=result.code, payment=payment_view(payment))
    if isinstance(result, NeverExecuted):
        return not_executed_response(location=location, payment=payment_view(payment))
    status = 202 if payment.status is PaymentStatus.IN_DOUBT else 201
    return json_response(status, payment_view(payment), location=location)


def declined_response(detail: str, *, location: str, **members: Any) -> StoredResponse:
    """Return the 402 of a declined operation. It is final, and is replayed like a success."""
    headers = {"content-type": PROBLEM_CONTENT_TYPE, "location": location}
    return StoredResponse(402, headers, problem_document(DECLINED, detail, **members))


def overtaken_response(payment: Payment, detail: str, *, location: str, **members: Any) -> StoredResponse:
    """Return the 409 of an operation whose charge was changed outside payonce. It is final, and is replayed."""
    headers = {"content-type": PROBLEM_CONTENT_TYPE, "location": location}
    document = problem_document(
        PROBLEMS[PaymentStateConflict], detail, payment_status=payment.status.value, resource=location, **members
    )
    return StoredResponse(409, headers, document)


def not_executed_response(*, location: str, **members: Any) -> StoredResponse:
    """Return the 402 of an operation that was never executed, as recovery found, and never will be."""
    detail = (
        "The gateway did not execute the operation, and it is not sent again. Nobody was charged or refunded. Use a "
        "new key for a new attempt."
    )
    headers = {"content-type": PROBLEM_CONTENT_TYPE, "location": location}
    return StoredResponse(402, headers, problem_document(NOT_EXECUTED, detail, **members))
