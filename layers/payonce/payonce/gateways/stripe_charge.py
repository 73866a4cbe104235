"""Reads a payment intent's state at Stripe: captured, refunded, canceled, whoever did it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import ChargeOutcome, ChargeState, Unknown
from payonce.gateways.stripe_money import amount_from_stripe
from payonce.gateways.stripe_objects import REFERENCE_KEY, metadata_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    import stripe

    from payonce.gateways.stripe_objects import StripeDocument

PAGE_SIZE = 100  # Stripe's maximum; nobody refunds one payment in more parts
# A pending refund will be paid: not counting it as refunded would refund twice.
_REFUNDED = frozenset({"succeeded", "pending", "requires_action"})


def refunded_amount(intent: StripeDocument, refunds: Iterable[StripeDocument]) -> int:
    """Return how much of the captured amount ``refunds`` have returned or will return, in Stripe's units.

    Stripe lists the release of an uncaptured remainder (a partial capture or a cancellation) as a refund, although no
    money was taken. No mark identifies it, only its amount. A manual refund of exactly that amount may be taken for it:
    then more seems to be left than is, and Stripe refuses to refund it.
    """
    given_back = [row for row in refunds if row.get("status") in _REFUNDED]
    total = sum(int(row["amount"]) for row in given_back)
    freed = int(intent["amount"]) - int(intent.get("amount_received") or 0)
    is_listed = any(row["amount"] == freed and metadata_value(row, REFERENCE_KEY) is None for row in given_back)
    return total - freed if is_listed else total


def read_charge(client: stripe.StripeClient, intent_id: str) -> ChargeOutcome:
    """Return the state of a payment intent. Raises the SDK's errors."""
    intent = client.v1.payment_intents.retrieve(intent_id).to_dict()
    currency = str(intent.get("currency", "")).upper()
    status = intent.get("status")
    if intent.get("id") != intent_id or status not in {"succeeded", "requires_capture", "canceled"}:
        return Unknown(f"the payment intent is {status}")
    refunds = client.v1.refunds.list({"payment_intent": intent_id, "limit": PAGE_SIZE}).to_dict()
    if refunds["has_more"]:
        return Unknown(f"more than {PAGE_SIZE} refunds")
    refunded = refunded_amount(intent, refunds["data"])
    captured_minor = amount_from_stripe(int(intent["amount_received"]) if status == "succeeded" else 0, currency)
    refunded_minor = amount_from_stripe(refunded, currency)
    if captured_minor is None or refunded_minor is None:
        return Unknown(f"amounts in {currency} can't be read")
    return ChargeState(
        captured_minor=captured_minor,
        refunded_minor=refunded_minor,
        voided=status == "canceled",
        currency=currency,
        gateway_reference=metadata_value(intent, REFERENCE_KEY),
    )
