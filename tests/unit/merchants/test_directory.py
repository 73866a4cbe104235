"""Merchants and API keys are listed a page at a time, as the authorizer has them."""

from __future__ import annotations

import itertools
import os

import pytest

from payonce.domain.errors import BodyMalformed, NotFound, Unauthenticated
from payonce.domain.ids import UlidSource
from payonce.merchants.api_keys import Merchants
from payonce.merchants.directory import ApiKeyView, Listed, MerchantView, list_keys, list_merchants
from payonce.stores.memory import MemoryDatabase
from tests.support.world import RealClock


def made() -> tuple[MemoryDatabase, Merchants]:
    database = MemoryDatabase()
    clock, counter = RealClock(), itertools.count()
    ids = UlidSource(clock.now_ms, lambda size: next(counter).to_bytes(size, "big"))
    merchants = Merchants(database=database, clock=clock, ids=ids, random_bytes=os.urandom)
    return database, merchants


def test_every_merchant_is_listed_once() -> None:
    """Fails when a merchant is made without its entry, or a page leaves one out."""
    database, merchants = made()
    ids = [merchants.create_merchant(f"Shop {number}", gateway="bank") for number in range(7)]
    seen: list[MerchantView] = []
    page: Listed[MerchantView] = list_merchants(database, limit=3)
    while True:
        assert len(page.data) <= 3
        seen += page.data
        if page.next_after is None:
            break
        page = list_merchants(database, limit=3, after=page.next_after)
    assert [(each.merchant_id, each.name) for each in seen] == [(one, f"Shop {at}") for at, one in enumerate(ids)]


def test_keys_are_listed_as_the_authorizer_has_them_and_revoked_by_id() -> None:
    """Fails when a list shows a key in force that is revoked, or another merchant's key is revoked by its id."""
    database, merchants = made()
    shop, other = merchants.create_merchant("Shop"), merchants.create_merchant("Other")
    held = [merchants.create_api_key(shop, ["payments:read"], holder="ann") for _ in range(3)]
    foreign, _ = merchants.create_api_key(other)
    with pytest.raises(NotFound, match="has no key"):
        merchants.revoke_key_of(shop, foreign)
    merchants.revoke_key_of(shop, held[1][0])
    first = list_keys(database, shop, limit=2)
    rest = list_keys(database, shop, limit=2, after=first.next_after)
    listed: list[ApiKeyView] = first.data + rest.data
    assert [(each.key_id, each.enabled) for each in listed] == [
        (held[0][0], True),
        (held[1][0], False),
        (held[2][0], True),
    ]
    assert [each.revoked_at_ms is None for each in listed] == [True, False, True]
    assert merchants.authenticate(f"Bearer {held[0][1]}").merchant_id == shop
    with pytest.raises(Unauthenticated):
        merchants.authenticate(f"Bearer {held[1][1]}")


def test_a_page_is_bounded() -> None:
    database, merchants = made()
    shop = merchants.create_merchant("Shop")
    for limit in (0, 101):
        with pytest.raises(BodyMalformed):
            list_merchants(database, limit=limit)
        with pytest.raises(BodyMalformed):
            list_keys(database, shop, limit=limit)
    with pytest.raises(NotFound):
        list_keys(database, "mer_nobody", limit=1)
