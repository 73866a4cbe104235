"""Mollie's amounts: a currency and a decimal text with exactly the currency's decimal places, as "10.00" or "1000".

The currencies and their decimal places: https://docs.mollie.com/payments/multicurrency. They are those of ISO 4217, by
which payonce counts minor units, for every currency in ``CURRENCIES``; another one is refused before it is sent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS

if TYPE_CHECKING:
    from payonce.domain.money import Money

# fmt: off
CURRENCIES = frozenset(
    {
        "AED", "AUD", "BGN", "BRL", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "ISK", "JPY", "MXN",
        "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "RUB", "SEK", "SGD", "THB", "TWD", "USD", "ZAR",
    }
)
# fmt: on
_VALUE = re.compile(r"(\d{1,13})(?:\.(\d{1,4}))?", re.ASCII)


def amount_of(money: Money) -> dict[str, str]:
    """Return Mollie's amount object."""
    places = MINOR_UNIT_EXPONENTS[money.currency]
    digits = str(money.amount_minor).rjust(places + 1, "0")
    value = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return {"currency": money.currency, "value": value}


def minor_of(amount: object, currency: str) -> int | None:
    """Return the minor units of an amount object in ``currency``, ``None`` for anything else.

    A value with another number of decimal places is not read: a hundredfold error is worse than a doubt.
    """
    if not isinstance(amount, dict) or amount.get("currency") != currency or not isinstance(amount.get("value"), str):
        return None
    found = _VALUE.fullmatch(amount["value"])
    if found is None or len(found[2] or "") != MINOR_UNIT_EXPONENTS[currency]:
        return None
    return int(found[1] + (found[2] or ""))
