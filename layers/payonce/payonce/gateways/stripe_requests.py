"""The single request that executes an instruction, with our reference as its idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.gateways.stripe_methods import method_params
from payonce.gateways.stripe_money import stripe_amount
from payonce.gateways.stripe_objects import metadata_of

if TYPE_CHECKING:
    import stripe
    from stripe.params import PaymentIntentCreateParams

    from payonce.domain.gateway import Instruction
    from payonce.gateways.stripe_objects import StripeDocument


def execute(client: stripe.StripeClient, instruction: Instruction) -> StripeDocument:
    """Send the instruction once, and return the object that Stripe answers with. Raises the SDK's errors."""
    charge_id = instruction.gateway_charge_id or ""
    intents = client.v1.payment_intents
    answer: stripe.StripeObject
    match instruction.kind:
        case OperationKind.PAYMENT:
            answer = intents.create(_payment_params(instruction), {"idempotency_key": instruction.gateway_reference})
        case OperationKind.CAPTURE:
            answer = intents.capture(
                charge_id,
                {"amount_to_capture": stripe_amount(instruction.money), "metadata": metadata_of(instruction)},
                {"idempotency_key": instruction.gateway_reference},
            )
        case OperationKind.VOID:
            # Stripe accepts no metadata here, and none is needed: a canceled payment intent stays canceled.
            answer = intents.cancel(charge_id, {}, {"idempotency_key": instruction.gateway_reference})
        case OperationKind.REFUND:
            answer = client.v1.refunds.create(
                {
                    "payment_intent": charge_id,
                    "amount": stripe_amount(instruction.money),
                    "metadata": metadata_of(instruction),
                },
                {"idempotency_key": instruction.gateway_reference},
            )
    return answer.to_dict()


def _payment_params(instruction: Instruction) -> PaymentIntentCreateParams:
    """Return the parameters to create and confirm in one call, so that no unconfirmed intent can remain."""
    manual = instruction.capture_method is CaptureMethod.MANUAL
    return {
        "amount": stripe_amount(instruction.money),
        "currency": instruction.money.currency.lower(),
        "capture_method": "manual" if manual else "automatic",
        "confirm": True,
        "metadata": metadata_of(instruction),
        **method_params(instruction),
    }
