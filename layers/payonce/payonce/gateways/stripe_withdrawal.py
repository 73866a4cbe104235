"""Cancels a payment intent that waits for its payer, so that it can never be charged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import CANCELED, Declined, NotAllowed, OperationKind, Pending, Succeeded
from payonce.extras import needs
from payonce.gateways.declines import AUTHENTICATION_REQUIRED, declined, not_withdrawn
from payonce.gateways.stripe_errors import DECLINE_CODES, not_asked
from payonce.gateways.stripe_objects import REQUIRES_ACTION, read_object
from payonce.gateways.stripe_setups import read_setup
from payonce.observability import get_logger

with needs("stripe"):
    import stripe

if TYPE_CHECKING:
    from payonce.domain.gateway import AwaitsPayer, Instruction, WithdrawOutcome


def withdraw(
    client: stripe.StripeClient, instruction: Instruction, waiting: AwaitsPayer, *, gateway: str
) -> WithdrawOutcome:
    """Return what has become of the payment or setup intent; ``waiting`` itself without an answer. Never raises.

    Only a canceled intent is declined: any other could be completed by whoever has its client secret. Sends no
    idempotency key: a failure stored under it would keep the intent open for a day, and canceling is idempotent anyway.
    https://docs.stripe.com/api/payment_intents/cancel, https://docs.stripe.com/api/setup_intents/cancel.
    """
    is_setup = instruction.kind is OperationKind.SETUP
    intents: stripe.PaymentIntentService | stripe.SetupIntentService
    intents = client.v1.setup_intents if is_setup else client.v1.payment_intents
    try:
        try:
            intent = intents.cancel(waiting.gateway_object_id).to_dict()
        except stripe.InvalidRequestError:
            # Its state no longer allows canceling: perhaps the payer was faster.
            intent = intents.retrieve(waiting.gateway_object_id).to_dict()
        outcome = (read_setup if is_setup else read_object)(instruction, intent)
    except Exception as error:
        get_logger().warning(
            "a payment that waits for the payer could not be canceled",
            extra={
                "gateway": gateway,
                "reference": instruction.gateway_reference,
                "error": type(error).__name__,
            },
        )
        return not_withdrawn(waiting) if isinstance(not_asked(error), NotAllowed) else waiting
    if isinstance(outcome, Declined):
        return declined(_code(waiting, outcome)) if intent.get("status") == "canceled" else waiting
    # One that awaits the payer still is as it was, whatever it says about itself.
    return outcome if isinstance(outcome, Succeeded) or type(outcome) is Pending else waiting


def _code(waiting: AwaitsPayer, canceled: Declined) -> str:
    """Return why the payment is over: the payer failed, could not be asked, or did nothing wrong."""
    if canceled.code != CANCELED:
        return canceled.code
    if waiting.reason in DECLINE_CODES:
        return waiting.reason  # as the lookup found, before it was canceled
    could_not_be_asked = waiting.reason == REQUIRES_ACTION and waiting.action is None
    return AUTHENTICATION_REQUIRED if could_not_be_asked else CANCELED
