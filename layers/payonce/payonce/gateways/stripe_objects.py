"""What a Stripe object says about an instruction. Pure functions, for answers to submissions and for lookups.

A payment intent's states, and what they mean for its payment:

::

    requires_payment_method ─ requires_confirmation ─ processing ─ requires_capture ─ succeeded
     (declined, if tried)      (awaits the payer)      (pending)    (authorized)       (captured)
                                requires_action         canceled: from any state but succeeded, for ever
                                 (awaits the payer)

An intent that awaits the payer can still be completed: by the payer who was asked, in a bank's app or with a voucher,
or by anyone with its client secret. So payonce calls it declined only once it is canceled. ``requires_payment_method``
after a failed attempt needs another payment method, which only a request with the secret key or the client secret can
supply. The merchant gets the client secret with what the payer has to do; until then nobody but payonce can confirm.

What the payer has to do is said for a payer who is there, and where ``stripe_actions`` knows how. Without it (an absent
payer; a ``requires_confirmation``, which nobody but payonce may confirm) the intent is withdrawn.

The code of a decline tells the caller what became of the intent. ``canceled``: it was canceled before anybody refused
it (by payonce, at the dashboard, or by Stripe after too many confirmations). ``payment_expired``: the payer did not pay
in time. Any other: the issuer, the bank or Stripe refused, at once or days later; it may have been canceled since.
docs.stripe.com/payments/paymentintents/lifecycle, docs.stripe.com/api/payment_intents/cancel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import (
    CANCELED,
    AwaitsPayer,
    CaptureMethod,
    Declined,
    MethodSaved,
    NotFound,
    OperationKind,
    Payer,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.declines import (
    ALREADY_CAPTURED,
    AMOUNT_NOT_SUPPORTED,
    AUTHORIZATION_RELEASED,
    REFUND_FAILED,
    declined,
    overtaken,
)
from payonce.gateways.stripe_actions import next_action_of
from payonce.gateways.stripe_errors import decline_of
from payonce.gateways.stripe_money import stripe_amount
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction, LookupOutcome

REFERENCE_KEY = "payonce_reference"
CAPTURE_REFERENCE_KEY = "payonce_capture_reference"  # a capture is no object of its own: it marks the payment intent
REQUIRES_ACTION = "requires_action"
PAYMENT_KEY = "payonce_payment_id"
MERCHANT_KEY = "payonce_merchant_id"

type StripeDocument = Mapping[str, Any]


def metadata_of(instruction: Instruction) -> dict[str, str]:
    """Return the metadata by which a lookup finds the operation."""
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
    """Return what ``document`` (for a refund the refund, otherwise the payment intent) says about ``instruction``.

    ``NotFound``: nothing has been executed so far.
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
        case OperationKind.SETUP | OperationKind.REVOCATION:
            # They are read in ``stripe_setups``: their objects are no payment intents.
            return Unknown("a payment intent says nothing about it")


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
        case ("requires_action" | "requires_confirmation") as status if id_of(intent):
            can_act = status == REQUIRES_ACTION and instruction.payer is Payer.PRESENT
            return AwaitsPayer(str(intent["id"]), status, action=next_action_of(intent) if can_act else None)
        case "canceled":
            error = intent.get("last_payment_error")
            return decline_of(error) if isinstance(error, dict) else declined(CANCELED)
        case "succeeded":
            return Unknown("another amount was captured")
        case status:
            return pending(intent, f"the payment intent is {status}")


def _read_capture(instruction: Instruction, intent: StripeDocument) -> LookupOutcome:
    match intent.get("status"):
        case "succeeded" if metadata_value(intent, CAPTURE_REFERENCE_KEY) == instruction.gateway_reference:
            agrees = _agrees(instruction, intent, amount_of="amount_received", reference_key=CAPTURE_REFERENCE_KEY)
            return _succeeded(intent) if agrees else Unknown("another amount was captured")
        case "succeeded":
            # Stripe captures once, and marks the intent in the same step: another capture was faster than this one.
            return overtaken(ALREADY_CAPTURED)
        case "canceled":
            return overtaken(AUTHORIZATION_RELEASED)
        case "requires_capture":
            capturable = intent.get("amount_capturable")
            too_large = isinstance(capturable, int) and capturable < stripe_amount(instruction.money)
            return declined(AMOUNT_NOT_SUPPORTED) if too_large else NotFound()
        case status:
            return pending(intent, f"the payment intent is {status}")


def _read_void(instruction: Instruction, intent: StripeDocument) -> LookupOutcome:
    if intent.get("id") != instruction.gateway_charge_id:
        return Unknown("the payment intent is another one")
    match intent.get("status"):
        case "canceled":
            # Whoever voided it, or even if the authorization expired: the void's purpose is achieved, for good.
            return _succeeded(intent)
        case "succeeded":
            return overtaken(ALREADY_CAPTURED)
        case "requires_capture" | "requires_action" | "requires_confirmation" | "requires_payment_method":
            return NotFound()  # each of them can still be canceled
        case status:
            return pending(intent, f"the payment intent is {status}")


def _read_refund(instruction: Instruction, refund: StripeDocument) -> LookupOutcome:
    if not _agrees(instruction, refund, amount_of="amount", reference_key=REFERENCE_KEY):
        return Unknown("the refund is for another operation")
    match refund.get("status"):
        case "succeeded":
            charge_id, refund_id = instruction.gateway_charge_id, id_of(refund)
            if charge_id is None or refund_id is None:
                return Unknown("the refund has no id")
            return Succeeded(charge_id, refund_id)
        case "failed" | "canceled":
            return declined(REFUND_FAILED)
        case status:
            return pending(refund, f"the refund is {status}")


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
    intent_id = id_of(intent)
    if intent_id is None:
        return Unknown("the payment intent has no id")
    charge_id, token = id_of(intent.get("latest_charge")) or intent_id, id_of(intent.get("payment_method"))
    if intent.get("setup_future_usage") == "off_session" and id_of(intent.get("customer")) and token is not None:
        # It is the customer's from now on: https://docs.stripe.com/payments/save-during-payment.
        return MethodSaved(intent_id, charge_id, token)
    return Succeeded(intent_id, charge_id)


def pending(document: StripeDocument, reason: str) -> Pending | Unknown:
    """Return that Stripe holds it undecided, as far as we can tell."""
    object_id = id_of(document)
    return Unknown(reason) if object_id is None else Pending(object_id, reason)


def id_of(value: Any) -> str | None:
    """Return the id of an object, which Stripe gives as an id or, expanded, as the object."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None


def choose(outcomes: list[LookupOutcome]) -> LookupOutcome:
    """Return the outcome of several objects with the same reference, given in the order of their creation.

    Money that moved outranks a doubt, and a doubt outranks a refusal, because its object may still move money. An
    object that awaits the payer ranks below other doubts, because withdrawing it settles that object alone.
    """
    ranks = (Succeeded, Unknown, Pending, AwaitsPayer, Declined)
    decided = [outcome for outcome in outcomes if not isinstance(outcome, NotFound)]
    return min(decided, key=lambda outcome: _rank(ranks, outcome), default=NotFound())


def _rank(ranks: tuple[type, ...], outcome: LookupOutcome) -> int:
    # By exact type first, because what awaits the payer is a Pending too.
    kind = Succeeded if isinstance(outcome, Succeeded) else type(outcome)
    return ranks.index(kind if kind in ranks else Declined)
