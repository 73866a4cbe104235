"""Bodies: what is refused, and what a merchant may vouch for."""

from __future__ import annotations

import json

import pytest

from payonce.domain.errors import BodyMalformed, CardNumberRefused
from payonce.entrypoints.json_body import NOT_CARD_NUMBERS_HEADER, members_without_card_numbers, parse_json_object

PAN = "4242424242424242"


@pytest.mark.parametrize(
    "value",
    [
        {"reference": PAN},
        {"metadata": {"order": f"2 {PAN}"}},
        {"metadata": {PAN: "x"}},
        {"items": [{"deep": PAN}]},
        {"amount_minor": int(PAN)},
    ],
)
def test_a_card_number_is_refused_wherever_it_stands(value: dict[str, object]) -> None:
    """Fails when names, numbers or nested members are not searched. The refusal does not repeat it."""
    with pytest.raises(CardNumberRefused) as refused:
        parse_json_object(json.dumps(value).encode())
    assert PAN not in refused.value.detail


def test_a_merchant_vouches_for_one_member() -> None:
    """Fails when the header is not heard, or opens more than the members that it names."""
    vouched = members_without_card_numbers({NOT_CARD_NUMBERS_HEADER: ["reference, metadata.order"]})
    body = {"reference": PAN, "metadata": {"order": PAN}}
    assert parse_json_object(json.dumps(body).encode(), not_card_numbers=vouched) == body
    for other in ({"metadata": {"other": PAN}}, {"metadata": {"order": {"deeper": PAN}}}, {"payment_method": PAN}):
        with pytest.raises(CardNumberRefused):
            parse_json_object(json.dumps(other).encode(), not_card_numbers=vouched)


@pytest.mark.parametrize("named", ["payment_method", "metadata", "*", "reference;q=1", "metadata.", "amount_minor"])
def test_other_members_are_always_searched(named: str) -> None:
    """Fails when a member that is not the merchant's own can be exempted, or a misspelt one is silently ignored."""
    with pytest.raises(BodyMalformed, match="Payonce-Not-Card-Numbers"):
        members_without_card_numbers({NOT_CARD_NUMBERS_HEADER: [named]})


def test_without_the_header_everything_is_searched() -> None:
    assert members_without_card_numbers({}) == frozenset()
