"""What one of Stripe's objects says about an instruction. Pure; used for the answer to a submission and for a lookup.

A payment intent's states, and what they mean for its payment:

::

    requires_payment_method ─ requires_confirmation ─ processing ─ requires_capture ─ succeeded
     (declined, if tried)      (awaits the payer)      (pending)    (authorized)       (captured)
                                requires_action         canceled: from any state but succeeded, for ever
                                 (awaits the payer)

An intent that waits can still be completed: by a payer who was asked before anything was lost, in an app of the bank or
with a voucher, or by whoever has its client secret. payonce hands that to nobody, but a promise that depends on it is
none: 402 is said only of what is canceled. ``requires_payment_method`` after a failed try waits for nobody: it needs
another payment method, which only a new request with the secret key or the client secret brings.
docs.stripe.com/payments/paymentintents/lifecycle, docs.stripe.com/api/payment_intents/cancel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import (
    AwaitsPayer,
    CaptureMethod,
    Declined,
    NotFound,
    OperationKind,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.stripe_errors import (
    ALREADY_CAPTURED,
    AMOUNT_NOT_SUPPORTED,
    AUTHORIZATION_RELEASED,
    CANCELED,
    REFUND_FAILED,
    decline_of,
    declined,
    overtaken,
)
from payonce.gateways.stripe_money import stripe_amount
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction, LookupOutcome

REFERENCE_KEY = "payonce_reference"
CAPTURE_REFERENCE_KEY = "payonce_capture_reference"  # a capture has no object of its own: it marks the payment intent
REQUIRES_ACTION = "requires_action"
PAYMENT_KEY = "payonce_payment_id"
MERCHANT_KEY = "payonce_merchant_id"

type StripeDocument = Mapping[str, Any]


def metadata_of(instruction: Instruction) -> dict[str, str]:
    """Return the metadata by which the operation is found again."""
    key = CAPTURE_REFERENCE_KEY if instruction.kind is OperationKind.CAPTURE else REFERENCE_KEY
    metadata = {key: instruction.gateway_reference}
    if instruction.kind is not OperationKind.CAPTURE:
        metadata |= {PAYMENT_KEY: instruction.payment_id, MERCHANT_KEY: instruction.merchant_id}
    return metadata


def metadata_value(document: StripeDocument, key: str) -> str | None:
    """Return one value of an object's metadata."""
    metadata = document.get("metadata")
    value = metadata.get(key) if isinstance(metadata, dict) else None
    return value if isinstance(value, str) else None


def read_object(instruction: Instruction, document: StripeDocument) -> LookupOutcome:
    """Return what ``document`` (a refund for a refund, else a payment intent) says about ``instruction``.

    ``NotFound``: nothing was executed until now.
    """
    match instruction.kind:
        case OperationKind.PAYMENT:
            return _read_payment(instruction, document)
        case OperationKind.CAPTURE:
            return _read_capture(instruction, document)
        case OperationKind.VOID:
            return _read_void(instruction, document)
        case OperationKind.REFUND:
            return _read_refund(instruction, document)


def _read_payment(instruction: Instruction, intent: StripeDocument) -> LookupOutcome:
    if not _agrees(instruction, intent, amount_of="amount", reference_key=REFERENCE_KEY):
        return Unknown("the payment intent is for another operation")
    match intent.get("status"):
        case "succeeded" if instruction.capture_method is CaptureMethod.MANUAL:
            return _succeeded(intent)
        case "succeeded" if _agrees(instruction, intent, amount_of="amount_received", reference_key=REFERENCE_KEY):
            return _succeeded(intent)
        case "requires_capture" if instruction.capture_method is CaptureMethod.MANUAL:
            return _succeeded(intent)
        case "requires_payment_method":
            error = intent.get("last_payment_error")
            return decline_of(error) if isinstance(error, dict) else NotFound()
        case ("requires_action" | "requires_confirmation") as status if _id_of(intent):
            return AwaitsPayer(str(intent["id"]), status)
        case "canceled":
            return declined(CANCELED)
        case "succeeded":
            return Unknown("another amount was captured")
        case status:
            return _pending(intent, f"the payment intent is {status}")


def _read_capture(instruction: Instruction, intent: StripeDocument) -> LookupOutcome:
    match intent.get("status"):
        case "succeeded" if metadata_value(intent, CAPTURE_REFERENCE_KEY) == instruction.gateway_reference:
            agrees = _agrees(instruction, intent, amount_of="amount_received", reference_key=CAPTURE_REFERENCE_KEY)
            return _succeeded(intent) if agrees else Unknown("another amount was captured")
        case "succeeded":
            # Stripe captures once, and marks the intent in the same step: it was another capture, and this one is late.
            return overtaken(ALREADY_CAPTURED)
        case "canceled":
            return overtaken(AUTHORIZATION_RELEASED)
        case "requires_capture":
            capturable = intent.get("amount_capturable")
            too_large = isinstance(capturable, int) and capturable < stripe_amount(instruction.money)
            return declined(AMOUNT_NOT_SUPPORTED) if too_large else NotFound()
        case status:
            return _pending(intent, f"the payment intent is {status}")


def _read_void(instruction: Instruction, intent: StripeDocument) -> LookupOutcome:
    if intent.get("id") != instruction.gateway_charge_id:
        return Unknown("the payment intent is another one")
    match intent.get("status"):
        case "canceled":
            # Whoever did it, or if the authorization just expired: what the void is for has happened, and for ever.
            return _succeeded(intent)
        case "succeeded":
            return overtaken(ALREADY_CAPTURED)
        case "requires_capture":
            return NotFound()
        case status:
            return _pending(intent, f"the payment intent is {status}")


def _read_refund(instruction: Instruction, refund: StripeDocument) -> LookupOutcome:
    if not _agrees(instruction, refund, amount_of="amount", reference_key=REFERENCE_KEY):
        return Unknown("the refund is for another operation")
    match refund.get("status"):
        case "succeeded":
            charge_id, refund_id = instruction.gateway_charge_id, _id_of(refund)
            if charge_id is None or refund_id is None:
                return Unknown("the refund has no id")
            return Succeeded(charge_id, refund_id)
        case "failed" | "canceled":
            return declined(REFUND_FAILED)
        case status:
            return _pending(refund, f"the refund is {status}")


def _agrees(instruction: Instruction, document: StripeDocument, *, amount_of: str, reference_key: str) -> bool:
    expected = (instruction.gateway_reference, stripe_amount(instruction.money), instruction.money.currency.lower())
    found = (metadata_value(document, reference_key), document.get(amount_of), document.get("currency"))
    if found == expected:
        return True
    get_logger().error(
        "gateway answered for another operation",
        extra={"reference": instruction.gateway_reference, "expected": expected[1:], "found": found[1:]},
    )
    return False


def _succeeded(intent: StripeDocument) -> Succeeded | Unknown:
    intent_id = _id_of(intent)
    if intent_id is None:
        return Unknown("the payment intent has no id")
    return Succeeded(intent_id, _id_of(intent.get("latest_charge")) or intent_id)


def _pending(document: StripeDocument, reason: str) -> Pending | Unknown:
    """Return that Stripe holds it and has not decided it, as far as we can tell."""
    object_id = _id_of(document)
    return Unknown(reason) if object_id is None else Pending(object_id, reason)


def _id_of(value: Any) -> str | None:
    """Return the id of an object, which Stripe gives as the id or, expanded, as the object."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None


def choose(outcomes: list[LookupOutcome]) -> LookupOutcome:
    """Return the one outcome of several objects that carry the same reference, in the order of their creation.

    Money that moved comes before any doubt, a doubt before a refusal: the later object of the two may still move money.
    What waits for the payer comes after the other doubts, because withdrawing it answers for itself alone.
    """
    ranks = (Succeeded, Unknown, Pending, AwaitsPayer, Declined)
    decided = [outcome for outcome in outcomes if not isinstance(outcome, NotFound)]
    return min(decided, key=lambda outcome: _rank(ranks, outcome), default=NotFound())


def _rank(ranks: tuple[type, ...], outcome: LookupOutcome) -> int:
    # By the exact type first: what waits for the payer is pending too.
    return ranks.index(type(outcome) if type(outcome) in ranks else Declined)
