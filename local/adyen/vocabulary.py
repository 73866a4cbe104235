"""Adyen's words: refusals and their test triggers, payment methods and their first answers, currencies, errors.

Sources are named in README.md; what no public page says is marked there as guessed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"
_REFERENCE_LENGTH = 16
# Adyen's table differs from ISO 4217 in these (https://docs.adyen.com/development-resources/currency-codes).
_DIFFERING_EXPONENTS = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}


class Refused(Exception):
    """The request is refused with an error answer (schema ``ServiceError``) instead of a result."""

    def __init__(self, status: int, code: str, message: str, kind: str = "validation") -> None:
        super().__init__(message)
        self.status = status
        self.body = {"status": status, "errorCode": code, "message": message, "errorType": kind}


@dataclass(frozen=True, slots=True)
class Decision:
    """What the issuer or the bank decides: a final result code, and why if it is not an authorisation."""

    result_code: str = "Authorised"
    refusal_reason: str = ""
    refusal_code: str = ""
    raw_reason: str = "AUTHORISED"

    @property
    def authorised(self) -> bool:
        """Return whether money may be captured."""
        return self.result_code == "Authorised"


AUTHORISED = Decision()
NOT_AUTHENTICATED = Decision("Refused", "3D Not Authenticated", "11", "")
SHOPPER_CANCELLED = Decision("Cancelled", "Shopper Cancelled", "16", "")
AUTHENTICATION_REQUIRED = Decision("Refused", "Authentication required", "38", "")
# https://docs.adyen.com/development-resources/testing/result-codes: the holder's name that triggers each.
DECISIONS: Mapping[str, Decision] = MappingProxyType(
    {
        name: Decision(result, reason, code, reason.upper())
        for name, result, reason, code in (
            ("UNKNOWN", "Error", "Unknown", "0"),
            ("DECLINED", "Refused", "Refused", "2"),
            ("REFERRAL", "Refused", "Referral", "3"),
            ("ERROR", "Error", "Acquirer Error", "4"),
            ("BLOCK_CARD", "Refused", "Blocked Card", "5"),
            ("CARD_EXPIRED", "Refused", "Expired Card", "6"),
            ("INVALID_AMOUNT", "Refused", "Invalid Amount", "7"),
            ("INVALID_CARD_NUMBER", "Refused", "Invalid Card Number", "8"),
            ("ISSUER_UNAVAILABLE", "Refused", "Issuer Unavailable", "9"),
            ("NOT_SUPPORTED", "Refused", "Not supported", "10"),
            ("NOT_3D_AUTHENTICATED", "Refused", "3D Not Authenticated", "11"),
            ("NOT_ENOUGH_BALANCE", "Refused", "Not enough balance", "12"),
            ("ACQUIRER_FRAUD", "Refused", "Acquirer Fraud", "14"),
            ("CANCELLED", "Refused", "Cancelled", "15"),
            ("SHOPPER_CANCELLED", "Refused", "Shopper Cancelled", "16"),
            ("INVALID_PIN", "Refused", "Invalid Pin", "17"),
        )
    }
)
# A payer whose card always asks for authentication; a name of this fake, see README.md.
ASKS_FOR_AUTHENTICATION = "AUTHENTICATE"
# The same, and its issuer asks for the payer again at each later charge, though the set-up was authenticated.
ALWAYS_ASKS = "AUTHENTICATE_ALWAYS"
# `LATER : <HOLDER>` can be stored, and decides as <HOLDER> once the stored card is charged without its payer.
LATER = "LATER"
ANSWERED_LATER = "PENDING"  # of Adyen's table: the payment is Received, and decided later
CAPTURE_FAILS, REFUND_FAILS = "capture failed", "refund failed"  # of Adyen's page on failed modifications


@dataclass(frozen=True, slots=True)
class Method:
    """A payment method: what ``/payments`` answers first, and the name that notifications give it.

    ``least_minor`` is the smallest amount that it takes, and ``stored_as`` the method that a token of it charges: none
    where it can't be stored.
    """

    result_code: str
    action: str = ""
    notified_as: str = ""
    refundable: bool = True
    least_minor: int = 1
    stored_as: str = ""


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "scheme": Method("Authorised", notified_as="visa", least_minor=0, stored_as="scheme"),
        # https://docs.adyen.com/payment-methods/ideal/ios-drop-in#recurring-payments: from 0.01, by SEPA Direct Debit.
        "ideal": Method("RedirectShopper", "redirect", "ideal", stored_as="sepadirectdebit"),
        "sepadirectdebit": Method(
            "Received", notified_as="sepadirectdebit", least_minor=0, stored_as="sepadirectdebit"
        ),
        "bankTransfer_IBAN": Method("Received", "bankTransfer", "bankTransfer_IBAN"),
        "multibanco": Method("PresentToShopper", "voucher", "multibanco"),
        "mbway": Method("Pending", "await", "mbway"),
    }
)


def decision_of(holder_name: str) -> Decision:
    """Return what the issuer decides for a holder's name; any ordinary name is authorised.

    ``DECLINED : 06 : ERROR`` also sets the raw refusal reason, as Adyen's test platform does.
    """
    name, _, raw = holder_name.partition(":")
    decision = DECISIONS.get(name.strip())
    if decision is None:
        return AUTHORISED
    if raw:
        return Decision(decision.result_code, decision.refusal_reason, decision.refusal_code, raw.strip())
    return decision


def later_holder(holder_name: str, *, authenticated: bool) -> str:
    """Return the name that decides when a stored card is charged without its payer.

    A payer who has authenticated when the card was stored is not asked again, as the page on tokens says.
    """
    if authenticated and holder_name == ASKS_FOR_AUTHENTICATION:
        return ""
    name, _, later = holder_name.partition(":")
    return later.strip() if name.strip() == LATER else holder_name


def asks_payer(holder_name: str) -> bool:
    """Return whether the card of this holder is authorised with its payer's authentication alone."""
    return holder_name in {ASKS_FOR_AUTHENTICATION, ALWAYS_ASKS}


def new_reference() -> str:
    """Return a new PSP reference: 16 characters, unique everywhere."""
    return "".join(secrets.choice(_REFERENCE_ALPHABET) for _ in range(_REFERENCE_LENGTH))


def new_token() -> str:
    """Return an unguessable token, such as that of a redirect."""
    return secrets.token_urlsafe(24)


def major_units(amount_minor: int, currency: str) -> str:
    """Return the amount as Adyen understands it, ``"10.00"``. Raises ``KeyError`` for an unknown currency."""
    exponent = _DIFFERING_EXPONENTS.get(currency, MINOR_UNIT_EXPONENTS[currency])
    if exponent == 0:
        return str(amount_minor)
    whole, rest = divmod(amount_minor, 10**exponent)
    return f"{whole}.{rest:0{exponent}d}"


def amount_of(body: dict[str, Any]) -> tuple[int, str]:
    """Return value and currency of ``amount``. Raises ``Refused`` as Adyen does for one that is missing or invalid."""
    amount = body.get("amount")
    if not isinstance(amount, dict):
        raise Refused(422, "100", "No amount specified")
    value, currency = amount.get("value"), amount.get("currency")
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Refused(422, "137", "Invalid amount specified")
    if currency not in MINOR_UNIT_EXPONENTS:
        raise Refused(422, "138", "Unsupported currency specified")
    return value, str(currency)
