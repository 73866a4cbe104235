"""Payments and operations as responses and events show them. Their bytes are rendered once, here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PaymentStateConflict
from payonce.domain.problems import DECLINED, NOT_EXECUTED, PROBLEM_CONTENT_TYPE, PROBLEMS, problem_document
from payonce.idempotency.records import StoredResponse

if TYPE_CHECKING:
    from payonce.domain.payment import OperationStatus, Payment
    from payonce.payments.operations import FollowUpPlan

OPERATION_OBJECTS = {"capture": "capture", "void": "cancellation", "refund": "refund"}


def payment_path(payment_id: str) -> str:
    """Return the path of a payment, to which problem documents link too."""
    return f"/payments/{payment_id}"


def payment_view(payment: Payment) -> dict[str, Any]:
    """Return a payment as merchants see it, ready for JSON."""
    return {
        "id": payment.payment_id,
        "object": "payment",
        "status": payment.status.value,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "captured_minor": payment.captured_minor,
        "refunded_minor": payment.refunded_minor,
        "capturable_minor": payment.capturable_minor,
        "refundable_minor": payment.refundable_minor,
        "capture": payment.capture_method.value,
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


def operation_view(plan: FollowUpPlan, payment: Payment, status: OperationStatus, code: str | None) -> dict[str, Any]:
    """Return a capture, cancellation or refund as merchants see it, with the payment after it."""
    return {
        "id": plan.operation_id,
        "object": OPERATION_OBJECTS[plan.kind.value],
        "status": status.value,
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
