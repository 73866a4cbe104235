"""What the sandbox bank's answers mean for an instruction. Pure, except that what can't be is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import (
    CANCELED,
    PAYMENT_EXPIRED,
    CredentialsRefused,
    Declined,
    MethodSaved,
    NeverSent,
    OperationKind,
    Overtaken,
    Pending,
    SubmitOutcome,
    Succeeded,
    Unknown,
)
from payonce.gateways.json_answers import document_of, object_of
from payonce.gateways.sandbox_bank_objects import held_by_bank
from payonce.gateways.sandbox_bank_setups import outcome_of_revocation, outcome_of_setup
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.exchange import Answered
    from payonce.domain.gateway import Instruction

DECLINE_CODES = frozenset(
    {
        CANCELED,
        "declined",
        "insufficient_funds",
        "expired_card",
        "fraud_suspected",
        "authentication_required",
        "authentication_failed",
        "mandate_revoked",
        PAYMENT_EXPIRED,
    }
)
DECIDED_AGAINST = frozenset({"declined", "canceled", "expired", "returned"})
HELD = frozenset({"requires_action", "processing"})
KEPT_HEADER = "idempotency-kept"


def judge(answer: Answered, instruction: Instruction, gateway: str) -> SubmitOutcome:
    """Map an answer to an outcome. The bank promises that its 429 and 503 come before booking, no other 5xx."""
    document = document_of(answer.body)
    if answer.status == 201:
        if instruction.kind is OperationKind.REVOCATION:
            return outcome_of_revocation(document, instruction)
        return outcome_of(document, instruction, gateway)
    if answer.status == 402:
        return _declined(object_of(document.get("error")))
    if answer.status in {429, 503}:
        retry_after = answer.headers.get("retry-after", "")
        return NeverSent(f"HTTP {answer.status}", int(retry_after) if retry_after.isdecimal() else None)
    if answer.status == 401:
        get_logger().error("the gateway refuses our credentials", extra={"gateway": gateway})
        return CredentialsRefused("the gateway refuses our credentials")
    if 400 <= answer.status < 500:
        if answer.status == 422:
            # Our own key with another body: a defect on one side. Only a lookup can tell what was executed.
            get_logger().error("the gateway knows our key with another request", extra={"gateway": gateway})
            return Unknown("HTTP 422")
        # Final also for a resubmission, which is made only if nothing was executed or the key is remembered.
        kind = Overtaken if object_of(document.get("error")).get("code") == "not_possible" else Declined
        return kind("rejected_by_gateway", "The gateway rejected the operation; nothing was executed.")
    # The bank stores what it booked under the key, and marks any other answer that it stores.
    kept = answer.headers.get(KEPT_HEADER, "") == "true"
    return Unknown(f"HTTP {answer.status}", repeatable=not kept)


def outcome_of(row: Any, instruction: Instruction, gateway: str) -> Succeeded | Declined | Pending | Unknown:
    """Return what a row of the bank's says about the instruction. ``gateway`` is for the log."""
    row = object_of(row)
    if instruction.kind is OperationKind.SETUP:
        return outcome_of_setup(row, instruction) or _refused(row)
    expected = (
        instruction.gateway_reference,
        instruction.kind.value,
        instruction.money.amount_minor,
        instruction.money.currency,
    )
    if (row.get("reference"), row.get("kind"), row.get("amount_minor"), row.get("currency")) != expected:
        get_logger().error(
            "gateway answered for another operation",
            extra={"gateway": gateway, "reference": instruction.gateway_reference},
        )
        return Unknown("the answer is for another operation")
    if row.get("status") in DECIDED_AGAINST:
        return _refused(row)
    charge_id, operation_id = row.get("charge_id"), row.get("operation_id")
    if row.get("status") in HELD and isinstance(charge_id, str):
        return held_by_bank(charge_id, row)
    if row.get("status") != "succeeded" or not isinstance(charge_id, str) or not isinstance(operation_id, str):
        return Unknown("the answer is not usable", repeatable=True)
    token = row.get("saved_method")
    if instruction.kind is OperationKind.PAYMENT and isinstance(token, str) and instruction.payment_method != token:
        mandate_id = object_of(row.get("mandate")).get("mandate_id")
        return MethodSaved(charge_id, operation_id, token, mandate_id if isinstance(mandate_id, str) else None)
    return Succeeded(charge_id, operation_id)


def _refused(row: Mapping[str, Any]) -> Declined:
    return _declined({"code": PAYMENT_EXPIRED if row["status"] == "expired" else row.get("code") or row["status"]})


def _declined(error: Mapping[str, Any]) -> Declined:
    code = error.get("code")
    return Declined(code if code in DECLINE_CODES else "declined", "The payment was declined.")
