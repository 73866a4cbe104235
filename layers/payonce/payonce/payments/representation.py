"""Payments and operations as responses and events show them. Their bytes are rendered once, here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from payonce.domain.errors import PaymentStateConflict
from payonce.domain.gateway import CaptureMethod
from payonce.domain.payment import OperationStatus, PaymentStatus
from payonce.domain.problems import DECLINED, NOT_EXECUTED, PROBLEM_CONTENT_TYPE, PROBLEMS, problem_document
from payonce.idempotency.records import StoredResponse

if TYPE_CHECKING:
    from payonce.domain.payment import Payment
    from payonce.payments.operations import FollowUpPlan

OperationObject = Literal["capture", "cancellation", "refund"]
OPERATION_OBJECTS: dict[str, OperationObject] = {"capture": "capture", "void": "cancellation", "refund": "refund"}
Attempts = Annotated[int, "Under how many references it was sent; one can count."]


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
    reference: str | None
    metadata: dict[str, str]
    gateway: str
    attempts: Attempts
    decline_code: str | None
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
        "refundable_minor": payment.refundable_minor,
        "capture": payment.capture_method,
        "payment_method": payment.payment_method,
        "reference": payment.reference,
        "metadata": dict(payment.metadata),
        "gateway": payment.gateway,
        "attempts": payment.attempts,
        "decline_code": payment.decline_code,
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
