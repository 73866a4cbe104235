"""Converts between ISO 4217's minor units, in which payonce counts, and the units of Adyen's API.

They are the same but for the four currencies below: a wrong factor charges a hundred times too much or too little.
https://docs.adyen.com/development-resources/currency-codes.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.money import Money

_ADYEN_EXPONENTS: Mapping[str, int] = MappingProxyType({"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2})


def check_money(money: Money) -> str | None:
    """Return why Adyen can't move exactly this amount, as a sentence for the caller, or ``None`` if it can."""
    surplus = MINOR_UNIT_EXPONENTS[money.currency] - _exponent(money.currency)
    if surplus > 0 and money.amount_minor % 10**surplus:
        return f"Adyen takes whole {money.currency} only: the amount must be a multiple of {10**surplus}."
    return None


def adyen_amount(money: Money) -> dict[str, object]:
    """Return Adyen's ``Amount``. Raises ``ValueError`` when ``check_money`` objects."""
    problem = check_money(money)
    if problem is not None:
        raise ValueError(problem)
    value = money.amount_minor * int(10 ** _exponent(money.currency))
    return {"currency": money.currency, "value": value // int(10 ** MINOR_UNIT_EXPONENTS[money.currency])}


def amount_from_adyen(value: int, currency: str) -> int | None:
    """Return Adyen's value in ISO 4217 minor units, or ``None`` where that is no whole number or no currency."""
    if currency not in MINOR_UNIT_EXPONENTS:
        return None
    scaled, rest = divmod(value * int(10 ** MINOR_UNIT_EXPONENTS[currency]), int(10 ** _exponent(currency)))
    return None if rest else scaled


def _exponent(currency: str) -> int:
    return _ADYEN_EXPONENTS.get(currency, MINOR_UNIT_EXPONENTS[currency])
