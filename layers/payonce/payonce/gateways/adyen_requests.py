"""The single request that executes an instruction, with our reference as its idempotency key.

::

    POST /payments                     reference, amount, method, returnUrl, shopperInteraction
      captured at once                   captureDelayHours 0, so that the account's default does not matter
      captured later                     additionalData.manualCapture
      the payer is there                 Ecommerce, with CardOnFile: the issuer may ask for authentication
      the payer is absent                ContAuth, with UnscheduledCardOnFile: the issuer declines instead of asking
      saved for later                    UnscheduledCardOnFile; a set-up is a payment of 0 with storePaymentMethod
    POST /payments/{id}/captures, /cancels, /refunds

The body depends on the instruction and the gateway's configuration alone, so that a repetition is the same request.

The ``payment_method`` of a card or debit is a ``storedPaymentMethodId`` of the shopper whose reference is ``customer``;
``stored:`` may stand before it. Any other is the type of a method that needs no details, such as ``ideal``.
https://docs.adyen.com/online-payments/capture, https://docs.adyen.com/online-payments/tokenization.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from payonce.domain.gateway import CaptureMethod, OperationKind, Payer, PaymentMethodType
from payonce.gateways.adyen_money import adyen_amount, check_money
from payonce.gateways.adyen_tokens import PAYPAL, SETUP_METHODS, STORED_TYPES, keeps, stored_id_of
from payonce.gateways.declines import AMOUNT_NOT_SUPPORTED, CURRENCY_NOT_SUPPORTED, REJECTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction
    from payonce.gateways.adyen_http import Apis

CARD = "scheme"
# Adyen's type of a debit, by its currency.
DEBITS: Mapping[str, str] = MappingProxyType({"EUR": "sepadirectdebit", "USD": "ach", "GBP": "directdebit_GB"})
_NOT_ON_STATEMENTS = re.compile(r"[^A-Za-z0-9 .,'_?+*/-]")  # of the specification's shopperStatement
# Adyen requires a returnUrl of every payment. Nobody can be sent to this one: RFC 2606, 2.
NOWHERE = "https://return.invalid/"
PAYMENT_KEY, MERCHANT_KEY = "payonce_payment_id", "payonce_merchant_id"  # metadata's names have at most 20 characters


@dataclass(frozen=True, slots=True)
class Account:
    """The merchant account that payments are made with. ``return_url`` is for payments that name none, "" if absent."""

    merchant_account: str
    return_url: str = ""


def refusal_before(instruction: Instruction, account: Account) -> tuple[str, str] | None:
    """Return why nothing may be sent, as a code and a sentence, or ``None``."""
    if instruction.kind is not OperationKind.VOID and (problem := check_money(instruction.money)) is not None:
        return AMOUNT_NOT_SUPPORTED, problem
    if instruction.kind not in {OperationKind.PAYMENT, OperationKind.SETUP}:
        return None
    kind, currency = instruction.payment_method_type, instruction.money.currency
    method = f"{kind}:{instruction.payment_method}"
    if instruction.kind is OperationKind.SETUP and re.fullmatch(SETUP_METHODS, method) is None:
        return REJECTED, "This gateway has no authorisation of nothing for such a payment method."
    debits = {"EUR"} if instruction.kind is OperationKind.SETUP else DEBITS
    if kind is PaymentMethodType.BANK_DEBIT and currency not in debits:
        return CURRENCY_NOT_SUPPORTED, f"Debits in {currency} are not supported by this gateway."
    if kind in STORED_TYPES and instruction.customer is None:
        return REJECTED, "At this gateway the payment_method of a card or debit is a customer's: customer is missing."
    if not _return_url(instruction, account):
        return REJECTED, "This gateway needs a return_url for a payer who is present."
    return None


def execute(apis: Apis, instruction: Instruction, account: Account) -> object:
    """Send the instruction once."""
    key, charge_id = instruction.gateway_reference, quote(instruction.gateway_charge_id or "", safe="")
    body: dict[str, Any] = {"merchantAccount": account.merchant_account, "reference": key}
    if instruction.kind is not OperationKind.VOID:
        body["amount"] = adyen_amount(instruction.money)
    modifications = apis.modifications
    match instruction.kind:
        case OperationKind.PAYMENT | OperationKind.SETUP:
            return apis.payments.payments({**body, **_payment(instruction, account)}, idempotency_key=key)
        case OperationKind.CAPTURE:
            return modifications.capture_authorised_payment(body, charge_id, idempotency_key=key)
        case OperationKind.VOID:
            return modifications.cancel_authorised_payment_by_psp_reference(body, charge_id, idempotency_key=key)
        case OperationKind.REFUND:
            return modifications.refund_captured_payment(body, charge_id, idempotency_key=key)
        case OperationKind.REVOCATION:
            raise ValueError("a revocation is no payment: see adyen_setups")


def submit_details(apis: Apis, details: Mapping[str, str], key: str) -> object:
    """Hand in what the payer came back with."""
    return apis.payments.payments_details({"details": dict(details)}, idempotency_key=key)


def _payment(instruction: Instruction, account: Account) -> dict[str, Any]:
    body: dict[str, Any] = {
        "returnUrl": _return_url(instruction, account),
        "channel": "Web",
        "metadata": {PAYMENT_KEY: instruction.payment_id, MERCHANT_KEY: instruction.merchant_id},
        **_method(instruction),
    }
    if instruction.statement_descriptor is not None:
        body["shopperStatement"] = _NOT_ON_STATEMENTS.sub(" ", instruction.statement_descriptor)
    if instruction.kind is OperationKind.SETUP:
        return body  # there is nothing to capture
    if instruction.capture_method is CaptureMethod.MANUAL:
        body["additionalData"] = {"manualCapture": "true"}
    else:
        body["captureDelayHours"] = 0
    return body


def _method(instruction: Instruction) -> dict[str, Any]:
    """Return the members about the method and who pays by it.

    https://docs.adyen.com/api-explorer/Checkout/72/post/payments, ``recurringProcessingModel``: required where details
    are stored, or stored ones are used.
    """
    absent, stored_id = instruction.payer is Payer.ABSENT, stored_id_of(instruction)
    body: dict[str, Any] = {"shopperInteraction": "ContAuth" if absent else "Ecommerce"}
    kept = keeps(instruction) and instruction.customer is not None
    if instruction.customer is not None:
        body["shopperReference"] = instruction.customer
    if stored_id is None:
        body["paymentMethod"] = {"type": instruction.payment_method}
    else:
        body["paymentMethod"] = {"type": _stored_type(instruction), "storedPaymentMethodId": stored_id}
    if stored_id is not None or kept:
        body["recurringProcessingModel"] = "UnscheduledCardOnFile" if absent or kept else "CardOnFile"
    if kept and (stored_id is None or instruction.kind is OperationKind.SETUP):
        body["storePaymentMethod"] = True
    return body


def _stored_type(instruction: Instruction) -> str:
    match instruction.payment_method_type:
        case PaymentMethodType.BANK_DEBIT:
            return DEBITS[instruction.money.currency]
        case PaymentMethodType.WALLET:
            return PAYPAL
    return CARD


def _return_url(instruction: Instruction, account: Account) -> str:
    named = instruction.return_url or account.return_url
    return named or (NOWHERE if instruction.payer is Payer.ABSENT else "")
