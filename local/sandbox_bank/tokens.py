"""The payment tokens that decide what becomes of a payment (README.md lists them)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from local.sandbox_bank.movements import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

METHOD_TYPES = ("card", "wallet", "bank_debit", "bank_transfer", "pay_later", "voucher")
CAPTURED_LATER = frozenset({"card", "wallet", "pay_later"})
PREFIX = "tok_"


class Flow(StrEnum):
    """The way in which a payment is decided."""

    AT_ONCE = "at_once"
    REDIRECT = "redirect"
    DISPLAY = "display"
    DEBIT = "debit"


@dataclass(frozen=True, slots=True)
class Token:
    """What a token does. ``code`` is the decline code with which its payment ends.

    ``rounds`` is how often the payer is asked. With ``confirmed`` the answer takes effect with the merchant's
    confirmation alone, with ``late`` some time after it was given. ``unpaid`` waits in vain for the payer's money, and
    ``reversed`` takes it back later.
    """

    method_types: tuple[str, ...]
    flow: Flow
    code: str | None = None
    rounds: int = 1
    confirmed: bool = False
    late: bool = False
    unpaid: bool = False
    reversed: bool = False

    @property
    def needs_payer(self) -> bool:
        """Return whether the payer must be present."""
        return self.flow in {Flow.REDIRECT, Flow.DISPLAY}


_CARDS = ("card", "wallet")
TOKENS = {
    "tok_ok": Token(_CARDS, Flow.AT_ONCE),
    "tok_declined": Token(_CARDS, Flow.AT_ONCE, code="declined"),
    "tok_insufficient_funds": Token(_CARDS, Flow.AT_ONCE, code="insufficient_funds"),
    "tok_3ds": Token(_CARDS, Flow.REDIRECT),
    "tok_3ds_confirm": Token(_CARDS, Flow.REDIRECT, confirmed=True),
    "tok_3ds_twice": Token(_CARDS, Flow.REDIRECT, rounds=2),
    "tok_3ds_late": Token(_CARDS, Flow.REDIRECT, late=True),
    "tok_3ds_declined": Token(_CARDS, Flow.REDIRECT, code="insufficient_funds"),
    "tok_pay_later": Token(("pay_later",), Flow.REDIRECT),
    "tok_debit": Token(("bank_debit",), Flow.DEBIT),
    "tok_debit_fails": Token(("bank_debit",), Flow.DEBIT, code="insufficient_funds"),
    "tok_debit_reversed": Token(("bank_debit",), Flow.DEBIT, reversed=True),
    "tok_voucher": Token(("voucher",), Flow.DISPLAY),
    "tok_voucher_unpaid": Token(("voucher",), Flow.DISPLAY, unpaid=True),
    "tok_transfer": Token(("bank_transfer",), Flow.DISPLAY),
    "tok_transfer_unpaid": Token(("bank_transfer",), Flow.DISPLAY, unpaid=True),
}
# All other tokens succeed at once, whatever their method is.
ORDINARY = Token(METHOD_TYPES, Flow.AT_ONCE)


def token_of(payment_method: str) -> Token:
    """Return what a token does. Raises ``Refused`` (``unknown_token``) for an unknown ``tok_``."""
    if not payment_method.startswith(PREFIX):
        return ORDINARY
    if payment_method not in TOKENS:
        raise Refused(400, "unknown_token", f"unknown token; known are {', '.join(TOKENS)}")
    return TOKENS[payment_method]


def token_of_payment(payment: Mapping[str, Any]) -> Token:
    """Return what the token of a booked payment or set-up does; that of a saved method is what was saved."""
    return token_of(payment["token"] or payment["payment_method"])


def checked_method_type(token: Token, method_type: str | None, capture: str) -> str:
    """Return the payment's method type.

    Raises ``ValueError`` for an unknown one, and ``Refused`` for one that the token is not of (``wrong_method_type``)
    or that can't be captured later (``capture_not_possible``).
    """
    chosen = method_type or token.method_types[0]
    if chosen not in METHOD_TYPES:
        raise ValueError(f"unknown method_type; known are {', '.join(METHOD_TYPES)}")
    if chosen not in token.method_types:
        raise Refused(400, "wrong_method_type", f"the token is of {' or '.join(token.method_types)}, not of {chosen}")
    if token is not ORDINARY and chosen not in CAPTURED_LATER and capture != "automatic":
        raise Refused(400, "capture_not_possible", f"{chosen} is captured automatically")
    return chosen
