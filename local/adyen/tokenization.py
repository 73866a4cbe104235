"""When an authorised payment's method becomes a token, and by what the merchant learns of it.

A card's token is named in the answer, usually, and told by webhooks: "we recommend the asynchronous flow as the token
creation takes a bit longer", https://github.com/adyen-examples/adyen-node-online-payments/issues/127. iDEAL's token is
one of SEPA Direct Debit, told when the payment is settled: https://docs.adyen.com/payment-methods/ideal/ios-drop-in
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local.adyen.notifications import notify
from local.adyen.stored import store
from local.adyen.vocabulary import METHODS

if TYPE_CHECKING:
    from local.adyen.books import Row
    from local.adyen.desk import Desk

NOT_STORED = "Recurring is not enabled"


def tokenize(desk: Desk, payment: Row) -> dict[str, str]:
    """Store the payment's method if that was asked for. Return the ``additionalData`` of the answer and its event."""
    if not payment["store_it"]:
        return {}
    payment["store_it"] = 0
    settings, by_card = desk.settings, payment["method"] == "scheme"
    created_at_ms = desk.now_ms + (settings.token_delay_ms if by_card else 0)
    if payment["method"] != METHODS[payment["method"]].stored_as:
        created_at_ms = desk.now_ms + settings.bank_delay_ms  # it is settled by then
    if settings.tokens_fail:
        _tell_contract(desk, payment, "", created_at_ms)
        return {}
    payment["stored_method_id"], operation = store(desk, _row(payment), payment["psp_reference"], created_at_ms)
    _tell_contract(desk, payment, payment["stored_method_id"], created_at_ms)
    if not settings.token_in_answer or not by_card:
        return {}
    payment["stored_by"] = operation
    return named_in_answer(payment)


def named_in_answer(payment: Row) -> dict[str, str]:
    """Return the ``additionalData`` that names the stored payment method."""
    return {
        "tokenization.shopperReference": payment["shopper_reference"],
        "tokenization.storedPaymentMethodId": payment["stored_method_id"],
        "tokenization.store.operationType": payment["stored_by"],
    }


def _row(payment: Row) -> Row:
    request = json.loads(payment["request"])
    same = ("company", "merchant_account", "shopper_reference", "holder_name", "card")
    return {
        **{name: payment[name] for name in same},
        "method": METHODS[payment["method"]].stored_as,
        "models": request.get("recurringProcessingModel", "CardOnFile"),
        "first_psp_reference": payment["psp_reference"],
        "authenticated": int(payment["payer_said"] == "approved"),
    }


def _tell_contract(desk: Desk, payment: Row, token: str, at_ms: int) -> None:
    """Queue ``RECURRING_CONTRACT`` where the account has it enabled; without a token it says that there is none."""
    if not desk.settings.recurring_contract:
        return
    shopper = payment["shopper_reference"]
    additional = {"recurring.shopperReference": shopper, "shopperReference": shopper}
    if token:
        additional["recurring.recurringDetailReference"] = token
    told = {"psp_reference": token or payment["psp_reference"], "original": payment["psp_reference"]}
    reason = "" if token else NOT_STORED
    notify(
        desk.ledger,
        payment,
        "RECURRING_CONTRACT",
        at_ms,
        **told,
        additional=additional,
        success=bool(token),
        reason=reason,
    )
