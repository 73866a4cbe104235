"""What can go wrong around a set-up and a deletion at the fake of Adyen, each with its truth in the books."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import Adyen
import pytest
import requests

from tests.contract.adyen.conftest import Shop, library
from tests.contract.adyen.test_set_ups import events, subscribe
from tests.contract.adyen.test_stored_methods import delete, listed, set_up, token_of

if TYPE_CHECKING:
    from local.receiver import ReceiverServer


def test_a_key_makes_one_set_up(shop: Shop) -> None:
    """Fails when a set-up whose answer is lost is made a second time: documented of all POSTs, and so of this one."""
    with (
        shop.handle.misbehaving("drop_after_booking", times=1, kinds=["setup"]),
        pytest.raises(requests.ConnectionError),
    ):
        set_up(shop, key="key-1")
    first, again = set_up(shop, key="key-1"), set_up(shop, key="key-1")
    assert first == again
    assert len(shop.handle.books(kind="setup", status="succeeded")) == 1
    assert len(listed(shop)) == 1


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        ("drop_before_booking", 1),
        ("drop_after_booking", 0),
        ("timeout_after_booking", 0),
        ("error_after_booking", 0),
        ("error_kept", 1),
        ("throttle", 1),
        ("unavailable", 1),
    ],
)
def test_a_deletion_whose_answer_is_lost(shop: Shop, mode: str, left: int) -> None:
    """Fails when the list tells another truth than the mode's name, or the second deletion is no 422.

    The specification gives `DELETE` no idempotency key: what became of it is seen in the list.
    """
    token = token_of(set_up(shop))
    hurried = Shop(shop.handle, library(shop.handle.api_url, timeout_seconds=1))
    with shop.handle.misbehaving(mode, times=1, delay_ms=1_500):
        with pytest.raises((requests.RequestException, Adyen.AdyenAPICommunicationError, Adyen.AdyenError)):
            delete(hurried, token)
        assert len(listed(shop)) == left
    if left:
        delete(shop, token)
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
        delete(shop, token)


def test_a_list_is_broken_by_its_own_name_alone(shop: Shop) -> None:
    """Fails when a question uses up the fault that was meant for the request after it."""
    set_up(shop)
    with shop.handle.misbehaving("unavailable", times=1):
        assert len(listed(shop)) == 1
    with shop.handle.misbehaving("unavailable", kinds=["stored_methods"]), pytest.raises(Adyen.AdyenError):
        listed(shop)


def test_events_may_come_before_the_answer(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when nothing has arrived by the time of the answer."""
    subscribe(shop, receiver)
    with shop.handle.misbehaving("events_before_answer", times=2):
        answer = set_up(shop)
        assert events(receiver) == ["recurring.token.created", "RECURRING_CONTRACT", "AUTHORISATION"]
        receiver.delay_seconds = 0.5
        began = time.monotonic()
        delete(shop, token_of(answer))
        assert time.monotonic() - began >= receiver.delay_seconds  # the answer waits for whoever is told
        assert events(receiver)[-1] == "recurring.token.disabled"


def test_events_may_come_twice_and_in_any_order(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when duplicates, a reversed order or a lost event can't be had of tokens."""
    subscribe(shop, receiver, held=True, order="reversed", duplicates=1, lose=["RECURRING_CONTRACT"])
    set_up(shop)
    shop.handle.advance()
    assert events(receiver) == []
    shop.handle.subscribe(f"{receiver.url}/adyen", held=False)
    shop.handle.advance()
    assert events(receiver) == ["AUTHORISATION"] * 2 + ["recurring.token.created"] * 2
