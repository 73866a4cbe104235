"""Stored payment methods at Adyen as payonce names them: ``stored:`` and the ``storedPaymentMethodId``.

A token is made by an authorised payment, or by an authorisation of nothing, with ``storePaymentMethod`` and a
``shopperReference``: https://docs.adyen.com/online-payments/tokenization/create-tokens. The answer names it in
``additionalData``; the notification does too, but does not sign it there, so that it is never read from it.
``RECURRING_CONTRACT`` has it as its own reference, which is signed.

::

    card          the given ``storedPaymentMethodId``, verified and agreed to for later; Adyen may name another
    wallet        PayPal alone: every other wallet needs data of the payer's device, which payonce does not carry
    bank debit    SEPA alone: "technically possible", and nothing is sent to the bank:
                  https://help.adyen.com/en_SG/knowledge/payment-methods/sepa-direct-debit/
                  is-zero-value-authorization-supported-by-sepa-direct-debit
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import MethodSaved, OperationKind, PaymentMethodType, Succeeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction

STORED_PREFIX = "stored:"  # of ids that begin with a digit, which no payment_method of payonce's may
STORED_TYPES = frozenset({PaymentMethodType.CARD, PaymentMethodType.BANK_DEBIT})
PAYPAL = "paypal"
# Which methods have an authorisation of nothing: https://www.adyen.help/hc/en-us/articles/360017228220.
SETUP_METHODS = f"({PaymentMethodType.CARD}|{PaymentMethodType.BANK_DEBIT}):.+|{PaymentMethodType.WALLET}:{PAYPAL}"
_STORED_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)  # "maxLength": 64, of StoredPaymentMethodDetails
_NAMED, _NAMED_BEFORE = "tokenization.storedPaymentMethodId", "recurring.recurringDetailReference"
_SHOPPERS = ("tokenization.shopperReference", "recurring.shopperReference")


def stored_id_of(instruction: Instruction) -> str | None:
    """Return the ``storedPaymentMethodId`` that an instruction names; ``None`` for a method without one."""
    method, kind = instruction.payment_method, instruction.payment_method_type
    if kind in STORED_TYPES or (kind is PaymentMethodType.WALLET and method.startswith(STORED_PREFIX)):
        return method.removeprefix(STORED_PREFIX)
    return None


def token_of(stored_id: object) -> str | None:
    """Return the token of a ``storedPaymentMethodId``; ``None`` for what is none."""
    return STORED_PREFIX + stored_id if isinstance(stored_id, str) and _STORED_ID.fullmatch(stored_id) else None


def keeps(instruction: Instruction) -> bool:
    """Return whether the payer agrees to be charged later."""
    return instruction.kind is OperationKind.SETUP or instruction.saves_method


def is_for_another_shopper(instruction: Instruction, document: Mapping[str, Any]) -> bool:
    """Return whether an answer names another shopper's token: it must never be charged for this customer."""
    more = document.get("additionalData")
    named = [more.get(name) for name in _SHOPPERS] if isinstance(more, dict) else []
    return keeps(instruction) and any(each not in (None, instruction.customer) for each in named)


def executed(instruction: Instruction, psp_reference: str, document: Mapping[str, Any]) -> Succeeded:
    """Return the success of an authorised payment or set-up, with the token that it saves.

    A plain ``Succeeded`` of a set-up names no token yet: see ``adyen_setups.with_token``.
    """
    plain = Succeeded(psp_reference, psp_reference)
    stored_id = stored_id_of(instruction)
    later = stored_id is not None or instruction.payment_method == PAYPAL  # what payonce can charge later
    if not keeps(instruction) or not later or instruction.customer is None:
        return plain
    more = document.get("additionalData")
    named = token_of(more.get(_NAMED) or more.get(_NAMED_BEFORE)) if isinstance(more, dict) else None
    if named is None and instruction.kind is OperationKind.PAYMENT:
        named = token_of(stored_id)  # it was stored before, and nothing else was charged
    return plain if named is None else MethodSaved(psp_reference, psp_reference, named)
