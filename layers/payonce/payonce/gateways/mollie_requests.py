"""What Mollie is sent: https://docs.mollie.com/reference/create-payment, create-capture, create-refund.

How the payer pays is ``payment_method``, in one of three forms:

==================  ==================================================================================================
a method's name     ``creditcard``, ``ideal``, …: the payer goes to Mollie's page of this method
``tkn_…``           a card token of Mollie Components
``mdt_…``           a mandate of ``customer``: charged at once, by card or direct debit
==================  ==================================================================================================
"""

from __future__ import annotations

import hashlib
import re
import uuid
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import CaptureMethod, Declined, OperationKind, Payer, PaymentMethodType
from payonce.gateways.declines import AUTHENTICATION_REQUIRED, CURRENCY_NOT_SUPPORTED, REJECTED, declined
from payonce.gateways.mollie_money import CURRENCIES, amount_of
from payonce.gateways.mollie_setups import MANDATE_METHODS, SETUP_METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction

MAX_DESCRIPTION_CHARACTERS = 255
CARD_TOKEN, MANDATE = "tkn_", "mdt_"
# klarna, billie, billink, in3, riverty and voucher need order lines, and alma an address, which payonce does not have:
# there is no "pay_later" (gateways.method_types). A bacs or SEPA debit is made by a mandate.
METHODS: Mapping[PaymentMethodType, frozenset[str]] = MappingProxyType(
    {
        PaymentMethodType.CARD: frozenset({"creditcard", "bancontact"}),
        PaymentMethodType.WALLET: frozenset(
            {"paypal", "applepay", "satispay", "twint", "vipps", "mobilepay", "swish", "mbway", "bizum", "bancomatpay"}
        ),
        PaymentMethodType.BANK_DEBIT: frozenset(),
        PaymentMethodType.BANK_TRANSFER: frozenset(
            {"banktransfer", "ideal", "eps", "kbc", "belfius", "przelewy24", "trustly", "paybybank", "mybank", "blik"}
        ),
        PaymentMethodType.VOUCHER: frozenset({"multibanco", "paysafecard"}),
    }
)


def refusal(instruction: Instruction) -> Declined | None:
    """Return why this payment can't be asked of Mollie at all, so that nothing is sent; ``None`` where it can."""
    method, kind = instruction.payment_method, instruction.payment_method_type
    by_mandate, is_setup = method.startswith(MANDATE), instruction.kind is OperationKind.SETUP
    if instruction.money.currency not in CURRENCIES:
        return declined(CURRENCY_NOT_SUPPORTED)
    if instruction.payer is Payer.ABSENT and not by_mandate:
        return declined(AUTHENTICATION_REQUIRED)  # every other way leads the payer to a page
    if is_setup:
        known = re.fullmatch(SETUP_METHODS, f"{kind}:{method}") is not None
    elif by_mandate:
        known = kind in MANDATE_METHODS
    else:
        known = method in METHODS.get(kind, ()) or (method.startswith(CARD_TOKEN) and kind is PaymentMethodType.CARD)
    # "If sequenceType is set to recurring, this field is required", and a first payment is what makes a mandate.
    lacks_customer = (by_mandate or is_setup or instruction.saves_method) and not instruction.customer
    return declined(REJECTED) if lacks_customer or not known else None


def payment_body(instruction: Instruction) -> dict[str, Any]:
    """Return the body of a new payment, or of a set-up, which is one of nothing. ``refusal`` has let it pass."""
    method = instruction.payment_method
    text = instruction.description or instruction.statement_descriptor or instruction.gateway_reference
    body: dict[str, Any] = {
        "amount": amount_of(instruction.money),
        "description": text[:MAX_DESCRIPTION_CHARACTERS],  # "shown on their card or bank statement when possible"
        "metadata": _metadata(instruction),
    }
    if instruction.capture_method is CaptureMethod.MANUAL:
        body["captureMode"] = "manual"
    if instruction.customer:
        body["customerId"] = instruction.customer
    if instruction.return_url:
        body["redirectUrl"] = instruction.return_url
    if method.startswith(MANDATE):
        body |= {"method": MANDATE_METHODS[instruction.payment_method_type], "mandateId": method}
        # A debit has no page on which a present payer could do anything.
        alone = instruction.payer is Payer.ABSENT or instruction.payment_method_type is PaymentMethodType.BANK_DEBIT
        return body | ({"sequenceType": "recurring"} if alone else {})
    body |= {"method": "creditcard", "cardToken": method} if method.startswith(CARD_TOKEN) else {"method": method}
    first = instruction.saves_method or instruction.kind is OperationKind.SETUP
    return body | ({"sequenceType": "first"} if first else {})


def key_of(instruction: Instruction) -> str:
    """Return the idempotency key, a function of the reference alone.

    "This key should be a UUID v4 string" (the parameter ``idempotency-key`` of Mollie's OpenAPI document): 122 bits of
    the reference's SHA-256 in that form.
    """
    digest = hashlib.sha256(instruction.gateway_reference.encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def follow_up_body(instruction: Instruction) -> dict[str, Any]:
    """Return the body of a capture or a refund. A release has no amount: it frees all that is left."""
    if instruction.kind is OperationKind.VOID:
        return {}
    return {
        "amount": amount_of(instruction.money),
        "description": (instruction.description or instruction.gateway_reference)[:MAX_DESCRIPTION_CHARACTERS],
        "metadata": _metadata(instruction),
    }


def _metadata(instruction: Instruction) -> dict[str, str]:
    """Return what finds the operation again: "whenever you fetch the entity, we will also include the metadata"."""
    return {
        "reference": instruction.gateway_reference,
        "payment_id": instruction.payment_id,
        "merchant_id": instruction.merchant_id,
    }
