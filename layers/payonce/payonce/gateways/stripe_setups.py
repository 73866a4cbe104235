"""Set-ups and saved methods at Stripe: setup intents, and payment methods that are attached to a customer.

::

    set-up       one request creates and confirms a setup intent: https://docs.stripe.com/api/setup_intents/create
    saved        the intent has succeeded, and its payment method is the customer's
    revocation   the payment method is detached, and "can no longer be used for a payment or re-attached":
                 https://docs.stripe.com/api/payment_methods/detach
    revoked?     the payment method is no customer's any more, or the payer's bank has ended its mandate:
                 https://docs.stripe.com/api/mandates/object#mandate_object-status

A debit's mandate is accepted in Stripe.js, and comes with the confirmation token that is the payment method here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import (
    CANCELED,
    AwaitsPayer,
    Declined,
    LookupOutcome,
    MethodSaved,
    NotFound,
    OperationKind,
    Payer,
    Succeeded,
    Unknown,
)
from payonce.extras import needs
from payonce.gateways.declines import CURRENCY_NOT_SUPPORTED, DECLINED, declined
from payonce.gateways.stripe_actions import next_action_of
from payonce.gateways.stripe_errors import decline_of, outcome_of_error
from payonce.gateways.stripe_methods import check_method, setup_method_params
from payonce.gateways.stripe_objects import REFERENCE_KEY, REQUIRES_ACTION, id_of, metadata_of, metadata_value, pending
from payonce.observability import get_logger

with needs("stripe"):
    import stripe

if TYPE_CHECKING:
    from payonce.domain.gateway import Instruction, SubmitOutcome
    from payonce.gateways.stripe_objects import StripeDocument

SAVING = frozenset({OperationKind.SETUP, OperationKind.REVOCATION})
ACTIVE_MANDATES = frozenset({"active", "pending"})


def save(client: stripe.StripeClient, instruction: Instruction, *, gateway: str) -> SubmitOutcome:
    """Make a set-up, or revoke what one has saved. Never raises: what the SDK raises for an answer is an outcome."""
    if (problem := check_method(instruction)) is not None:
        return Declined(CURRENCY_NOT_SUPPORTED, problem)
    try:
        if instruction.kind is OperationKind.REVOCATION:
            return revoke(client, instruction)
        outcome = read_setup(instruction, make_setup(client, instruction))
    except Exception as error:
        reference = instruction.gateway_reference
        return outcome_of_error(error, gateway=gateway, reference=reference, kind=instruction.kind)
    return declined(DECLINED) if isinstance(outcome, NotFound) else outcome


def make_setup(client: stripe.StripeClient, instruction: Instruction) -> StripeDocument:
    """Create and confirm a setup intent in one request, so that no unconfirmed one remains. Raises the SDK's errors."""
    params: Any = {
        "confirm": True,
        "customer": instruction.customer,
        "usage": "off_session",
        "metadata": metadata_of(instruction),
        **setup_method_params(instruction),
    }
    made = client.v1.setup_intents.create(params, {"idempotency_key": instruction.gateway_reference})
    return made.to_dict()


def read_setup(instruction: Instruction, intent: StripeDocument) -> LookupOutcome:
    """Return what a setup intent says about ``instruction``. ``NotFound``: it has saved nothing so far."""
    named = (metadata_value(intent, REFERENCE_KEY), id_of(intent.get("customer")))
    if named != (instruction.gateway_reference, instruction.customer):
        get_logger().error("gateway answered for another operation", extra={"reference": instruction.gateway_reference})
        return Unknown("the setup intent is for another operation")
    error, intent_id = intent.get("last_setup_error"), id_of(intent)
    match intent.get("status"):
        case "succeeded":
            token = id_of(intent.get("payment_method"))
            if intent_id is None or token is None:
                return Unknown("the setup intent names no payment method")
            attempt_id = id_of(intent.get("latest_attempt")) or intent_id
            return MethodSaved(intent_id, attempt_id, token, id_of(intent.get("mandate")))
        case "requires_payment_method":
            return decline_of(error) if isinstance(error, dict) else NotFound()
        case ("requires_action" | "requires_confirmation") as status if intent_id is not None:
            can_act = status == REQUIRES_ACTION and instruction.payer is Payer.PRESENT
            return AwaitsPayer(intent_id, status, action=next_action_of(intent) if can_act else None)
        case "canceled":
            return decline_of(error) if isinstance(error, dict) else declined(CANCELED)
        case status:
            return pending(intent, f"the setup intent is {status}")


def find_held_setup(client: stripe.StripeClient, instruction: Instruction, intent_id: str) -> LookupOutcome:
    """Read the setup intent that Stripe held. One whose payer has failed awaits the payer, to be canceled.

    It was confirmed, and whoever has its client secret could still set another method up.
    """
    intent = client.v1.setup_intents.retrieve(intent_id).to_dict()
    outcome = read_setup(instruction, intent)
    if intent.get("status") != "requires_payment_method" or isinstance(outcome, Unknown):
        return outcome
    return AwaitsPayer(intent_id, outcome.code if isinstance(outcome, Declined) else DECLINED)


def revoke(client: stripe.StripeClient, instruction: Instruction) -> Succeeded | Unknown:
    """Detach the payment method. Raises the SDK's errors, but not for one that is detached already."""
    token = instruction.payment_method
    try:
        method = client.v1.payment_methods.detach(token, {}, {"idempotency_key": instruction.gateway_reference})
    except stripe.InvalidRequestError:
        found = find_revocation(client, instruction)
        return found if isinstance(found, Succeeded) else Unknown("the payment method could not be detached")
    detached = method.id == token and method.customer is None
    return _revoked(instruction) if detached else Unknown("the payment method is still a customer's", repeatable=True)


def find_revocation(client: stripe.StripeClient, instruction: Instruction) -> LookupOutcome:
    """Return whether the payment method can be charged no more, whoever has caused that. Raises the SDK's errors."""
    method = client.v1.payment_methods.retrieve(instruction.payment_method).to_dict()
    if method.get("id") != instruction.payment_method:
        return Unknown("the answer is for another payment method")
    customer = id_of(method.get("customer"))
    if customer is None:
        return _revoked(instruction)
    if customer != instruction.customer:
        return Unknown("the payment method is another customer's")
    if instruction.gateway_charge_id is None:
        return NotFound()
    mandate = client.v1.mandates.retrieve(instruction.gateway_charge_id).to_dict()
    return NotFound() if mandate.get("status") in ACTIVE_MANDATES else _revoked(instruction)


def _revoked(instruction: Instruction) -> Succeeded:
    return Succeeded(instruction.gateway_charge_id or instruction.payment_method, instruction.payment_method)
