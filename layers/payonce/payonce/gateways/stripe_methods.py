"""Which of Stripe's payment methods a payment may be made with, and how its payer can be asked.

::

    card                                 card; Apple Pay and Google Pay are cards as well
    bank_debit                           the scheme of the currency: SEPA, ACH, Bacs, BECS in Australia and New Zealand
    voucher                              the voucher of the currency: Multibanco, Boleto, OXXO, Konbini
    wallet, pay_later, bank_transfer     what the token names, of what the account has enabled in Stripe's dashboard

Where the kind and the currency name one method of Stripe's, no other is allowed: a card payment never becomes a debit
that takes days. Elsewhere several are possible, and a list of them would be refused if one of them is not enabled.

A payer who comes back to a ``return_url`` can be redirected. Without one, only Stripe's own SDK can ask the payer, and
methods that redirect are not allowed, since Stripe refuses them without a ``return_url``:
https://docs.stripe.com/api/payment_intents/create, https://docs.stripe.com/upgrades/manage-payment-methods.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import Payer, PaymentMethodType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe.params import PaymentIntentCreateParams

    from payonce.domain.gateway import Instruction

# A confirmation token carries what the payer entered in Stripe.js: the payment method, the mandate that was accepted,
# with the payer's address and browser as Stripe requires them, and the shipping address.
CONFIRMATION_TOKEN_PREFIX = "ctoken_"  # noqa: S105 - the start of a token, not a token

# The methods that fit the currency. Debits in CAD are left out: Stripe wants the mandate's terms in every request.
_DEBITS: Mapping[str, str] = MappingProxyType(
    {
        "EUR": "sepa_debit",
        "USD": "us_bank_account",
        "GBP": "bacs_debit",
        "AUD": "au_becs_debit",
        "NZD": "nz_bank_account",
    }
)
_VOUCHERS: Mapping[str, str] = MappingProxyType({"EUR": "multibanco", "BRL": "boleto", "MXN": "oxxo", "JPY": "konbini"})
_BY_CURRENCY = MappingProxyType({PaymentMethodType.BANK_DEBIT: _DEBITS, PaymentMethodType.VOUCHER: _VOUCHERS})


def check_method(instruction: Instruction) -> str | None:
    """Return why Stripe has no such method in this currency, as a sentence for the caller, or ``None`` if it has."""
    methods, currency = _BY_CURRENCY.get(instruction.payment_method_type), instruction.money.currency
    if methods is None or currency in methods:
        return None
    return f"Stripe has no {instruction.payment_method_type} in {currency} that payonce can use."


def method_params(instruction: Instruction) -> PaymentIntentCreateParams:
    """Return the part of the request about the payment method and the payer.

    An absent payer is declared as such, which Stripe tells the issuer, and a payment that needs the payer fails with
    ``authentication_required`` instead of waiting. Stripe documents both parameters for requests that confirm, as ours
    do: https://docs.stripe.com/api/payment_intents/create#create_payment_intent-off_session for a payer who can't
    authenticate, and #create_payment_intent-error_on_requires_action for whatever else would wait.
    Raises ``KeyError`` where ``check_method`` objects.
    """
    return_url = instruction.return_url if instruction.payer is Payer.PRESENT else None
    params = _method(instruction, may_redirect=return_url is not None)
    if instruction.payment_method.startswith(CONFIRMATION_TOKEN_PREFIX):
        params["confirmation_token"] = instruction.payment_method
    else:
        params["payment_method"] = instruction.payment_method
    _tell_of_the_customer(params, instruction)
    if instruction.payer is Payer.ABSENT:
        params["off_session"] = True
        params["error_on_requires_action"] = True
        return params
    # Confirmation tokens ask for the SDK by themselves, unless the request says otherwise.
    params["use_stripe_sdk"] = return_url is None
    if return_url is not None:
        params["return_url"] = return_url
    return params


def setup_method_params(instruction: Instruction) -> dict[str, Any]:
    """Return the part of a set-up's request about the payment method and the payer, who is present.

    https://docs.stripe.com/api/setup_intents/create. Raises ``KeyError`` where ``check_method`` objects.
    """
    return_url = instruction.return_url
    params: dict[str, Any] = {**_method(instruction, may_redirect=return_url is not None)}
    carries_mandate = instruction.payment_method.startswith(CONFIRMATION_TOKEN_PREFIX)
    params["confirmation_token" if carries_mandate else "payment_method"] = instruction.payment_method
    params["use_stripe_sdk"] = return_url is None
    if return_url is not None:
        params["return_url"] = return_url
    return params


def _tell_of_the_customer(params: PaymentIntentCreateParams, instruction: Instruction) -> None:
    """Add whose method it is, whether it is kept, and what the payer reads.

    A card's descriptor is the account's own prefix and this suffix; other methods take a whole one:
    https://docs.stripe.com/get-started/account/statement-descriptors. What keeps a method for absent payers:
    https://docs.stripe.com/payments/save-during-payment.
    """
    if instruction.customer is not None:
        params["customer"] = instruction.customer
    if instruction.saves_method:
        params["setup_future_usage"] = "off_session"
    if instruction.description is not None:
        params["description"] = instruction.description
    if instruction.statement_descriptor is not None:
        if instruction.payment_method_type in {PaymentMethodType.CARD, PaymentMethodType.WALLET}:
            params["statement_descriptor_suffix"] = instruction.statement_descriptor
        else:
            params["statement_descriptor"] = instruction.statement_descriptor


def _method(instruction: Instruction, *, may_redirect: bool) -> PaymentIntentCreateParams:
    method_type = instruction.payment_method_type
    if method_type is PaymentMethodType.CARD:
        return {"payment_method_types": ["card"]}  # type: ignore[typeddict-item]
    if method_type in _BY_CURRENCY:
        return {"payment_method_types": [_BY_CURRENCY[method_type][instruction.money.currency]]}  # type: ignore[typeddict-item]
    # Which wallets, transfers and pay-later methods there are is set in Stripe's dashboard.
    redirects = "always" if may_redirect else "never"
    return {"automatic_payment_methods": {"enabled": True, "allow_redirects": redirects}}  # type: ignore[typeddict-item]
