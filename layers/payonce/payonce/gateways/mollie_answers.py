"""What Mollie's objects and errors say: https://docs.mollie.com/reference/get-payment, get-capture, get-refund.

The statuses: https://docs.mollie.com/docs/handling-payment-status. Errors: https://docs.mollie.com/overview/handling-errors.
"""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import (
    CANCELED,
    PAYMENT_EXPIRED,
    ActionType,
    AwaitsPayer,
    CaptureMethod,
    CredentialsRefused,
    Declined,
    MethodSaved,
    NeverSent,
    NextAction,
    OperationKind,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.declines import (
    ALREADY_CAPTURED,
    AUTHENTICATION_REQUIRED,
    CAPTURE_FAILED,
    CURRENCY_NOT_SUPPORTED,
    DECLINED,
    MANDATE_REVOKED,
    REFUND_FAILED,
    REJECTED,
    declined,
    overtaken,
)
from payonce.gateways.json_answers import document_of
from payonce.gateways.mollie_money import minor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.exchange import Answered
    from payonce.domain.gateway import Instruction

DECLINE_CODES: Mapping[object, str] = MappingProxyType(
    {
        "authentication_abandoned": "authentication_failed",
        "authentication_failed": "authentication_failed",
        "authentication_required": AUTHENTICATION_REQUIRED,
        "authentication_unavailable_acs": "try_again_later",
        "card_expired": "expired_card",
        "insufficient_funds": "insufficient_funds",
        "invalid_card_holder_name": "invalid_card_details",
        "invalid_card_number": "invalid_card_details",
        "invalid_card_type": "card_not_supported",
        "invalid_cvv": "invalid_card_details",
        "AM04": "insufficient_funds",  # of a failed SEPA debit, in the words of the European Payments Council
    }
)
DUPLICATE_REFUND = "A duplicate refund has been detected"
NO_MANDATE = "No suitable mandates found for customer"
PAID = frozenset({OperationKind.PAYMENT, OperationKind.SETUP})  # what is a payment at Mollie
_RESOURCES = {
    OperationKind.PAYMENT: "payment",
    OperationKind.SETUP: "payment",
    OperationKind.CAPTURE: "capture",
    OperationKind.REFUND: "refund",
}

type Outcome = Succeeded | Declined | Pending | Unknown


def is_error(answer: Answered) -> bool:
    """Return whether it is Mollie's own error object, and not the page of a proxy: its status is the answer's."""
    document = document_of(answer.body)
    return document.get("status") == answer.status and isinstance(document.get("title"), str)


def reference_of(row: Mapping[str, Any]) -> str | None:
    """Return the reference that we have stored with the object."""
    metadata = row.get("metadata")
    found = metadata.get("reference") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else None


def is_for(row: object, instruction: Instruction) -> bool:
    """Return whether an object is this operation: kind, reference, amount, currency, and whose it is.

    What it saves must be this customer's, since it is charged later as such.
    """
    if not isinstance(row, dict) or row.get("resource") != _RESOURCES.get(instruction.kind):
        return False
    if instruction.kind in PAID:
        keeps = instruction.kind is OperationKind.SETUP or instruction.saves_method
        whose = not keeps or row.get("customerId") == instruction.customer
    else:
        whose = row.get("paymentId") == instruction.gateway_charge_id
    ours = reference_of(row) == instruction.gateway_reference
    money = instruction.money
    return whose and ours and minor_of(row.get("amount"), money.currency) == money.amount_minor


def outcome_of(row: Mapping[str, Any], instruction: Instruction) -> Outcome:
    """Return what a payment, capture or refund says."""
    identity, status = row.get("id"), row.get("status")
    if not is_for(row, instruction) or not isinstance(identity, str):
        return Unknown("the answer is for another operation", repeatable=True)
    if instruction.kind in PAID:
        return _payment(row, identity, instruction)
    charge_id = instruction.gateway_charge_id or ""
    if instruction.kind is OperationKind.CAPTURE:
        outcomes: dict[object, Outcome] = {
            "succeeded": Succeeded(charge_id, identity),
            "pending": Pending(identity, "pending"),
            "failed": declined(CAPTURE_FAILED),
        }
    else:
        outcomes = {
            "refunded": Succeeded(charge_id, identity),
            "failed": declined(REFUND_FAILED),
            "canceled": declined(CANCELED),
            # "queued": the balance does not suffice yet; "pending": it is sent within hours; both can be canceled.
            **{word: Pending(identity, word) for word in ("queued", "pending", "processing")},
        }
    return outcomes.get(status, Unknown(f"the status is {status}", repeatable=True))


def _payment(row: Mapping[str, Any], identity: str, instruction: Instruction) -> Outcome:
    held = isinstance(row.get("authorizedAt"), str)
    match row.get("status"):
        case "paid":
            return _paid(row, identity)
        case "authorized" if instruction.capture_method is CaptureMethod.MANUAL:
            return Succeeded(identity, identity)
        case "authorized":
            return Pending(identity, "authorized, and captured by Mollie later")
        case "canceled" | "expired" if held:
            # A released or expired authorization was one: the payment has succeeded, and its charge says the rest.
            return Succeeded(identity, identity)
        case "canceled":
            return declined(CANCELED)
        case "expired":
            return declined(PAYMENT_EXPIRED)
        case "failed":
            return declined(_code(row))
        case "pending":
            return Pending(identity, "pending")
        case "open":
            return AwaitsPayer(identity, "open", _action(row))
        case status:
            return Unknown(f"the status is {status}", repeatable=True)


def _paid(row: Mapping[str, Any], identity: str) -> Succeeded:
    mandate = row.get("mandateId")
    if row.get("sequenceType") == "first" and isinstance(mandate, str):
        return MethodSaved(identity, identity, mandate, mandate)
    return Succeeded(identity, identity)


def _code(row: Mapping[str, Any]) -> str:
    details, reason = row.get("details"), row.get("statusReason")
    words = [details.get(name) for name in ("failureReason", "bankReasonCode")] if isinstance(details, dict) else []
    words += [reason.get("code")] if isinstance(reason, dict) else []
    return next((DECLINE_CODES[word] for word in words if isinstance(word, str) and word in DECLINE_CODES), DECLINED)


def _action(row: Mapping[str, Any]) -> NextAction | None:
    links = row.get("_links")
    checkout = links.get("checkout") if isinstance(links, dict) else None
    url = checkout.get("href") if isinstance(checkout, dict) else None
    if not isinstance(url, str):
        return None
    return NextAction(type=ActionType.REDIRECT, url=url, expires_at_ms=milliseconds_of(row.get("expiresAt")))


def milliseconds_of(text: object) -> int | None:
    """Return a moment in ISO 8601 with its offset as epoch milliseconds; ``None`` for anything else."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
        return int(moment.timestamp() * 1000) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def refused(answer: Answered, instruction: Instruction) -> Declined | NeverSent | Unknown:
    """Return what an answer says that is no success. Only Mollie's own error objects decide anything."""
    status = answer.status
    if not is_error(answer):
        return Unknown(f"HTTP {status}")
    document = document_of(answer.body)
    if status in {401, 403, 429}:  # "your request wasn't executed due to" failed authentication, or rate limiting
        retry_after = answer.headers.get("retry-after", "")
        kind = NeverSent if status == 429 else CredentialsRefused
        return kind(f"HTTP {status}", int(retry_after) if retry_after.isdecimal() else None)
    if status == 409 and document.get("detail") == DUPLICATE_REFUND and instruction.kind is OperationKind.REFUND:
        return declined(REJECTED)  # our own request would have been answered by its key: it is another refund
    if status == 409:
        return Unknown("the first request with this key is still being executed", repeatable=True)
    if status == 422:
        return _invalid(document, instruction)
    if status == 404 and instruction.kind not in PAID:
        return declined(REJECTED)
    # 400 is also what a key with another request is answered. "Will return a cached version of the initial response"
    # excepts no failure, so that 5xx may be kept under the key; of 503 it is not said that nothing was executed.
    return Unknown(f"HTTP {status}")


def _invalid(document: Mapping[str, Any], instruction: Instruction) -> Declined:
    """Return a refusal for content. Of a charge, it is for its state: our own request is answered by its key."""
    field = document.get("field")
    if field == "amount.currency":
        return declined(CURRENCY_NOT_SUPPORTED)
    if str(document.get("detail")).startswith(NO_MANDATE):
        return declined(MANDATE_REVOKED)
    if instruction.kind in PAID or instruction.kind is OperationKind.REVOCATION:
        return declined(REJECTED)
    return overtaken(ALREADY_CAPTURED if instruction.kind is OperationKind.VOID else REJECTED)
