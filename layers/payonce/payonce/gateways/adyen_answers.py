"""Reads what Adyen answers: to a payment and its details a result code, to a modification that it was received.

::

    Authorised                                                  Succeeded; MethodSaved where it names a token
    Refused, Error, Cancelled                                   Declined, by refusalReasonCode
    RedirectShopper, IdentifyShopper, ChallengeShopper,
      PresentToShopper, and any other with an action to show    AwaitsPayer
    Received, Pending, and a code of next year                  Pending: a notification tells the end
    PartiallyAuthorised, AuthenticationFinished, …NotRequired   Unknown: payonce asks for none of them
    status received, of a capture, cancel or refund             Pending: a notification tells the end

Every answer has to name our reference, and where it names an amount, ours. A payment that is not finished may have no
PSP reference yet; it is then known by our reference. https://docs.adyen.com/online-payments/payment-result-codes,
https://docs.adyen.com/development-resources/refusal-reasons.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import (
    CANCELED,
    AwaitsPayer,
    Declined,
    OperationKind,
    Payer,
    Pending,
    Unknown,
)
from payonce.gateways.adyen_actions import AWAIT, next_action_of
from payonce.gateways.adyen_money import adyen_amount
from payonce.gateways.adyen_tokens import executed, is_for_another_shopper
from payonce.gateways.declines import (
    AMOUNT_NOT_SUPPORTED,
    AUTHENTICATION_REQUIRED,
    CAPTURE_FAILED,
    CURRENCY_NOT_SUPPORTED,
    DECLINED,
    REFUND_FAILED,
    REJECTED,
    VOID_FAILED,
    declined,
)
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction, Succeeded

# Adyen's refusalReasonCode → payonce's closed list. All others become "declined". This includes, on purpose, 5 (blocked
# card), 14 (acquirer fraud), 20 (fraud) and 31 (issuer suspected fraud): they tell a thief which card to try next.
_PAYONCE_CODES: Mapping[str, str] = MappingProxyType(
    {
        "4": "try_again_later",  # acquirer error
        "6": "expired_card",
        "7": AMOUNT_NOT_SUPPORTED,
        "8": "invalid_card_details",
        "9": "try_again_later",  # issuer unavailable
        "10": "card_not_supported",
        "11": AUTHENTICATION_REQUIRED,
        "12": "insufficient_funds",
        "15": CANCELED,
        "16": CANCELED,
        "17": "invalid_card_details",  # invalid PIN
        "18": "invalid_card_details",  # PIN tries exceeded
        "19": "invalid_card_details",  # PIN validation not possible
        "24": "invalid_card_details",  # CVC declined
        "28": "limit_exceeded",  # withdrawal amount exceeded
        "29": "limit_exceeded",  # withdrawal count exceeded
        "32": "invalid_card_details",  # AVS declined
        "38": AUTHENTICATION_REQUIRED,
        "42": AUTHENTICATION_REQUIRED,  # 3DS authentication error
    }
)
DECLINE_CODES = frozenset(_PAYONCE_CODES.values()) | {
    CAPTURE_FAILED,
    CURRENCY_NOT_SUPPORTED,
    DECLINED,
    REFUND_FAILED,
    REJECTED,
    VOID_FAILED,
}
_REFUSED = frozenset({"Refused", "Error", "Cancelled"})
_WAITS = frozenset({"RedirectShopper", "IdentifyShopper", "ChallengeShopper", "PresentToShopper"})
_NEVER_ASKED_FOR = frozenset({"PartiallyAuthorised", "AuthenticationFinished", "AuthenticationNotRequired"})

type AnswerOutcome = Succeeded | Declined | Pending | Unknown


def read_answer(instruction: Instruction, document: Mapping[str, Any]) -> AnswerOutcome:
    """Return what the answer of the executing call says. The same request with the same key is answered the same."""
    if instruction.kind in {OperationKind.PAYMENT, OperationKind.SETUP}:
        return read_result(instruction, document)
    psp_reference = _text(document.get("pspReference"))
    if document.get("status") != "received" or psp_reference is None:
        return Unknown("the answer is not usable", repeatable=True)
    named = {"reference": instruction.gateway_reference, "paymentPspReference": instruction.gateway_charge_id}
    if any(document.get(name, expected) != expected for name, expected in named.items()):
        return _for_another(instruction)
    if instruction.kind is not OperationKind.VOID and not _is_amount(instruction, document.get("amount")):
        return _for_another(instruction)
    return Pending(psp_reference, "received")


def read_result(instruction: Instruction, document: Mapping[str, Any]) -> AnswerOutcome:
    """Return what the answer to a payment, or to its details, says."""
    result, psp_reference = document.get("resultCode"), _text(document.get("pspReference"))
    if not isinstance(result, str):
        return Unknown("the answer is not usable", repeatable=True)
    if document.get("merchantReference", instruction.gateway_reference) != instruction.gateway_reference:
        return _for_another(instruction)
    if result == "Authorised":
        if psp_reference is None:
            return Unknown("the answer has no PSP reference", repeatable=True)
        if not _is_amount(instruction, document.get("amount")) or is_for_another_shopper(instruction, document):
            return _for_another(instruction)
        return executed(instruction, psp_reference, document)
    if result in _REFUSED:
        return decline_of(document.get("refusalReasonCode"), cancelled=result == "Cancelled")
    if result in _NEVER_ASKED_FOR:
        get_logger().error(
            "gateway answered what nobody asked for",
            extra={"reference": instruction.gateway_reference, "result": result},
        )
        return Unknown(f"the result is {result}")
    return _held(instruction, result, psp_reference, document.get("action"))


def decline_of(refusal_code: Any, *, cancelled: bool = False) -> Declined:
    """Return the decline for Adyen's ``refusalReasonCode``."""
    if cancelled:
        return declined(CANCELED)
    return declined(_PAYONCE_CODES.get(str(refusal_code), DECLINED))


def names_the_payment(instruction: Instruction, document: Mapping[str, Any]) -> bool:
    """Return whether an answer to details, which are of whatever payment, is about this one."""
    if "merchantReference" in document:
        return bool(document["merchantReference"] == instruction.gateway_reference)
    named = document.get("pspReference")
    return named is None or named == instruction.gateway_charge_id


def _held(instruction: Instruction, result: str, psp_reference: str | None, action: Any) -> Pending:
    object_id = psp_reference or instruction.gateway_reference
    awaited = isinstance(action, dict) and action.get("type") != AWAIT
    if result not in _WAITS and not awaited:
        return Pending(object_id, result[:40])
    shown = next_action_of(action) if instruction.payer is Payer.PRESENT else None
    return AwaitsPayer(object_id, result[:40], action=shown)


def _is_amount(instruction: Instruction, amount: Any) -> bool:
    return amount is None or amount == adyen_amount(instruction.money)


def _for_another(instruction: Instruction) -> Unknown:
    get_logger().error("gateway answered for another operation", extra={"reference": instruction.gateway_reference})
    return Unknown("the answer is for another operation")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
