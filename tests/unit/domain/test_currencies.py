"""The currency table is ISO 4217's."""

from __future__ import annotations

from iso4217 import Currency

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS


def test_the_table_is_that_of_the_iso4217_package() -> None:
    """Fails when a currency is added, withdrawn, or gets another minor unit."""
    published = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}
    assert dict(MINOR_UNIT_EXPONENTS) == published
