"""Converts between ISO 4217's minor units, in which payonce counts, and the units of Stripe's API.

They differ, and a wrong factor charges a hundred times too much or too little. From Stripe's page on currencies:

- ISK and UGX no longer have a minor unit, but Stripe still expects two decimals, which must be 00: 5 krónur are the
  amount 500.
- MGA has two decimals in ISO 4217, but Stripe expects whole ariary.
- For currencies with three decimals, the last digit must be 0.
- HUF and TWD are special for payouts only; charges have two decimals, as in ISO 4217.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS

if TYPE_CHECKING:
    from payonce.domain.money import Money

# Stripe's list of zero-decimal currencies without UGX, which the page's special cases override.
_ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
_TWO_DECIMAL_AGAINST_ISO = frozenset({"ISK", "UGX"})
THREE_DECIMAL_STEP = 10  # thousandths: the last digit must be 0


def _stripe_exponent(currency: str) -> int | None:
    """Return Stripe's number of decimals, or ``None`` when its page does not say: a guess could charge wrongly."""
    if currency in _ZERO_DECIMAL:
        return 0
    if currency in _THREE_DECIMAL:
        return 3
    if currency in _TWO_DECIMAL_AGAINST_ISO or MINOR_UNIT_EXPONENTS[currency] == 2:
        return 2
    return None


def check_money(money: Money) -> str | None:
    """Return why Stripe can't charge exactly this amount, as a sentence for the caller, or ``None`` if it can."""
    exponent = _stripe_exponent(money.currency)
    if exponent is None:
        return f"Amounts in {money.currency} are not supported by Stripe."
    surplus_decimals = MINOR_UNIT_EXPONENTS[money.currency] - exponent
    if surplus_decimals > 0 and money.amount_minor % 10**surplus_decimals:
        return f"Stripe takes whole {money.currency} only: the amount must be a multiple of {10**surplus_decimals}."
    if exponent == 3 and money.amount_minor % THREE_DECIMAL_STEP:
        return f"Stripe takes {money.currency} only in multiples of {THREE_DECIMAL_STEP} minor units."
    return None


def stripe_amount(money: Money) -> int:
    """Return the amount in Stripe's units. Raises ``ValueError`` when ``check_money`` objects."""
    problem = check_money(money)
    exponent = _stripe_exponent(money.currency)
    if problem is not None or exponent is None:
        raise ValueError(problem)
    # Scale through a common, finer unit, so that one expression serves both directions; the division is exact.
    scaled = money.amount_minor * _power_of_ten(exponent)
    return scaled // _power_of_ten(MINOR_UNIT_EXPONENTS[money.currency])


def amount_from_stripe(amount: int, currency: str) -> int | None:
    """Return Stripe's amount in ISO 4217 minor units, or ``None`` when Stripe's unit is unknown."""
    exponent = _stripe_exponent(currency) if currency in MINOR_UNIT_EXPONENTS else None
    if exponent is None:
        return None
    return amount * _power_of_ten(MINOR_UNIT_EXPONENTS[currency]) // _power_of_ten(exponent)


def _power_of_ten(exponent: int) -> int:
    return int(10**exponent)
