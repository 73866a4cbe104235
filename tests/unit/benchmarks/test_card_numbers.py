"""The two rates of docs/card-numbers.md, on a sample of the benchmark's sets."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.cards.numbers import BRANDS, Brand, any_number
from benchmarks.cards.references import REFERENCES
from benchmarks.cards.writings import masked, writings
from payonce.domain.card_numbers import looks_like_card_number

CHECKED_AS_CARDS_ARE = {"GTIN-14", "SSCC-18"}  # the same check digit and lengths: docs/card-numbers.md says how many


@pytest.mark.parametrize("way", writings())
def test_card_numbers_are_found_however_they_are_written(way: str) -> None:
    """Fails when a way of writing hides the number. One in a hundred is missed: the old cards of 13 digits."""
    random = Random(way)
    found = [looks_like_card_number(writings()[way](any_number(random), random)) for _ in range(100)]
    assert sum(found) >= 95


@pytest.mark.parametrize("brand", BRANDS, ids=lambda brand: brand.name)
def test_card_numbers_of_every_brand_are_found(brand: Brand) -> None:
    """Fails when a brand's range or length is missing. One in ten numbers of 13 digits is an EAN-13, too."""
    random = Random(brand.name)
    assert sum(looks_like_card_number(brand.number(random)) for _ in range(100)) >= 90


def test_ordinary_references_are_taken() -> None:
    """Fails when more than one in a thousand references is refused, or one in a hundred of one kind."""
    random = Random(16)
    refused = {
        kind: sum(looks_like_card_number(make(random)) for _ in range(200))
        for kind, (_, make) in REFERENCES.items()
        if kind not in CHECKED_AS_CARDS_ARE
    }
    assert {kind: count for kind, count in refused.items() if count > 2} == {}
    assert sum(refused.values()) <= 200 * len(refused) / 1000


@pytest.mark.parametrize("way", masked())
def test_masked_numbers_are_taken(way: str) -> None:
    random = Random(way)
    assert not any(looks_like_card_number(masked()[way](any_number(random), random)) for _ in range(100))
