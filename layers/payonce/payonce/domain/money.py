"""Money: integer minor units and an ISO 4217 currency. payonce uses no floats for money."""

from __future__ import annotations

from dataclasses import dataclass

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS

MIN_AMOUNT_MINOR = 1  # a charge of zero is not a payment
MAX_AMOUNT_MINOR = 999_999_999_999  # 12 digits: the size of the amount field of ISO 8583, which card gateways carry


@dataclass(frozen=True, slots=True)
class Money:
    """A positive amount in minor units of an ISO 4217 currency.

    Raises ``ValueError`` when ``amount_minor`` is not an ``int`` from 1 to 999,999,999,999 or the currency is unknown.
    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int:
            raise ValueError("amount_minor must be an integer number of minor units")
        if not MIN_AMOUNT_MINOR <= self.amount_minor <= MAX_AMOUNT_MINOR:
            raise ValueError(f"amount_minor must be from {MIN_AMOUNT_MINOR} to {MAX_AMOUNT_MINOR}")
        if self.currency not in MINOR_UNIT_EXPONENTS:
            raise ValueError(f"{self.currency!r} is not an ISO 4217 currency code in use")


@dataclass(frozen=True, slots=True)
class Zero(Money):
    """No money, in a currency: what a payment method is set up with. ``amount_minor`` is 0.

    Raises ``ValueError`` when it is not, or when the currency is unknown.
    """

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int or self.amount_minor != 0:
            raise ValueError("amount_minor must be 0")
        if self.currency not in MINOR_UNIT_EXPONENTS:
            raise ValueError(f"{self.currency!r} is not an ISO 4217 currency code in use")
