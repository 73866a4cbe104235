"""A gateway's API key is sent encrypted, or stays on this machine: the same of every adapter that takes an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import MisconfiguredError
from payonce.gateways.adyen_gateway import adyen_from_options
from payonce.gateways.mollie_gateway import mollie_from_options
from payonce.gateways.stripe_gateway import stripe_from_options
from payonce.notices.told import KeptNoticeBook
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

CLOCK = ManualClock()


def stripe(url: str) -> Any:
    return stripe_from_options("g", {"url": url}, {"stripe_api_key": "sk_live"}, CLOCK)


def mollie(url: str) -> Any:
    return mollie_from_options("g", {"url": url}, {"g_api_key": "live_x"}, CLOCK)


def adyen(url: str) -> Any:
    book = KeptNoticeBook(MemoryDatabase())
    options = {"url": url, "merchant_account": "Shop"}
    return adyen_from_options("g", options, {"adyen_api_key": "x"}, book, CLOCK)


ADAPTERS = [stripe, adyen, mollie]


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("url", ["http://gateway.example/v2", "ftp://gateway.example", "http://127.0.0.1.example:80"])
def test_a_key_is_not_sent_in_the_clear(adapter: Callable[[str], Any], url: str) -> None:
    """Fails (the key for whoever listens) when an adapter takes any address that it is given."""
    with pytest.raises(MisconfiguredError, match="https"):
        adapter(url)


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("url", ["https://gateway.example/v2", "http://127.0.0.1:4900", "http://localhost:4900"])
def test_an_encrypted_address_and_this_machine_are_taken(adapter: Callable[[str], Any], url: str) -> None:
    assert adapter(url).name == "g"
