"""ISO 4217's minor units and Stripe's are not the same; a wrong factor is a wrong charge."""

from __future__ import annotations

import pytest

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.gateway import Declined, OperationKind
from payonce.domain.money import Money
from payonce.gateways.stripe_money import check_money, stripe_amount
from tests.unit.gateways.stripe_world import SOON, answer, gateway_on, instruction, intent


@pytest.mark.parametrize(
    ("money", "expected"),
    [
        (Money(1000, "EUR"), 1000),
        (Money(500, "JPY"), 500),
        (Money(5, "ISK"), 500),
        (Money(5, "UGX"), 500),
        (Money(500, "MGA"), 5),
        (Money(1045, "HUF"), 1045),
        (Money(80_045, "TWD"), 80_045),
        (Money(5_120, "KWD"), 5_120),
        (Money(999_999_999_999, "UGX"), 99_999_999_999_900),
    ],
)
def test_an_amount_is_sent_in_stripes_units(money: Money, expected: int) -> None:
    """Fails when ISO's minor units are sent as they are: 5 krónur would be charged as 0.05, 5 ariary as 500."""
    assert check_money(money) is None
    assert stripe_amount(money) == expected


@pytest.mark.parametrize(
    "money", [Money(5_124, "KWD"), Money(501, "MGA"), Money(1, "CLF"), Money(1, "UYI"), Money(1_000, "LYD")]
)
def test_an_amount_that_stripe_can_not_take_exactly_is_refused_before_anything_is_sent(money: Money) -> None:
    """Fails when such an amount is rounded, guessed or sent."""
    gateway, paper = gateway_on(answer(intent()))
    for kind in (OperationKind.PAYMENT, OperationKind.CAPTURE, OperationKind.REFUND):
        outcome = gateway.submit(instruction(kind, money=money), SOON)
        assert isinstance(outcome, Declined)
        assert outcome.code == "amount_not_supported"
        assert outcome.message == check_money(money)
    assert paper.asked == []
    with pytest.raises(ValueError, match="Stripe"):
        stripe_amount(money)


@pytest.mark.parametrize("currency", sorted(MINOR_UNIT_EXPONENTS))
def test_every_currency_is_either_converted_exactly_or_refused(currency: str) -> None:
    """Fails when a currency that is added to payonce has no rule."""
    one_thousand_units = Money(1000 * 10 ** MINOR_UNIT_EXPONENTS[currency], currency)
    if check_money(one_thousand_units) is None:
        assert stripe_amount(one_thousand_units) in {1000, 100_000, 1_000_000}
