"""Standard webhooks: signature, order, duplicates, retries.

https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures and
https://docs.adyen.com/development-resources/webhooks/troubleshoot
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest
from Adyen.util import is_valid_hmac_notification

from local.adyen.notifications import signature
from tests.contract.adyen.conftest import DAY_SECONDS, HMAC_KEY, Shop, items_of

if TYPE_CHECKING:
    from local.receiver import ReceiverServer

# Facts of the library's own tests: https://github.com/Adyen/adyen-python-api-library/blob/16.0.0/test/UtilTest.py and
# its test/mocks/util. PSP reference, merchant account, merchant reference, value, key, signature.
SLASHES_KEY = "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174"
VECTORS = [
    (
        "7914073381342284",
        "TestMerchant",
        "TestPayment-1407325143704",
        1130,
        HMAC_KEY,
        "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=",
    ),
    (
        "T7FD4VM4D3RZNN82",
        "AntoniStroinski",
        "\\\\slashes are fun",
        1000,
        SLASHES_KEY,
        "nIgT81gaB5oJpn2jPXupDq68iRo2wUlBsuYjtYfwKqo=",
    ),
    (
        "M8NB66SBZSGLNK82",
        "AntoniStroinski",
        ":slashes are fun",
        1000,
        SLASHES_KEY,
        "2EQYm7YJpKO4EtHSPu55SQTyWf8dkW5u2nD1tJFpViA=",
    ),
    (
        "X3GWNS6KJ8NKGK82",
        "AntoniStroinski",
        "//slashes are fun",
        1000,
        SLASHES_KEY,
        "9Z0xdpG9Xi3zcmXv14t/BvMBut77O/Xq9D4CQXSDUi4=",
    ),
    (
        "ZVWN7D3WSMK2WN82",
        "AntoniStroinski",
        "\\:/\\/slashes are fun",
        1000,
        SLASHES_KEY,
        "CZErGCNQaSsxbaQfZaJlakqo7KPP+mIa8a+wx3yNs9A=",
    ),
]


@pytest.mark.parametrize(("psp_reference", "account", "reference", "value", "key", "expected"), VECTORS)
def test_the_signature_is_that_of_adyens_vectors(
    psp_reference: str, account: str, reference: str, value: int, key: str, expected: str
) -> None:
    """Fails when a field is left out, escaped or in another order."""
    item = {
        "pspReference": psp_reference,
        "merchantAccountCode": account,
        "merchantReference": reference,
        "amount": {"currency": "EUR", "value": value},
        "eventCode": "AUTHORISATION",
        "success": "true",
    }
    assert signature(item, key) == expected
    assert is_valid_hmac_notification({**item, "additionalData": {"hmacSignature": expected}}, key)


def eventually(receiver: ReceiverServer, count: int) -> list[dict[str, Any]]:
    """Return the items once so many have arrived, which they do by themselves."""
    deadline = time.monotonic() + 10
    while len(items_of(receiver)) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return items_of(receiver)


def test_each_event_comes_in_a_signed_message_of_its_own(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when the official library does not find the signature valid, or finds it valid after a change."""
    shop.handle.subscribe(f"{receiver.url}/adyen", username="adyen", password="secret")
    paid = shop.pay("order:1\\x", additionalData={"manualCapture": "true"})["pspReference"]
    shop.modify("capture", paid, 400, reference="capture-1")
    assert [item["eventCode"] for item in eventually(receiver, 2)] == ["AUTHORISATION", "CAPTURE"]
    for one in receiver.received:
        message = json.loads(one.body)
        assert (message["live"], len(message["notificationItems"])) == ("false", 1)
        assert is_valid_hmac_notification(message, HMAC_KEY)
        item = message["notificationItems"][0]["NotificationRequestItem"]
        assert isinstance(item["success"], str)
        item["amount"]["value"] += 1
        assert not is_valid_hmac_notification(message, HMAC_KEY)
        assert base64.b64decode(one.headers["authorization"].removeprefix("Basic ")) == b"adyen:secret"


def test_the_library_verifies_one_item_alone_and_raises_for_what_is_not_signed(
    shop: Shop, receiver: ReceiverServer
) -> None:
    """Traps of the library: it does not look at a second item, and returns ``None`` or raises without a signature.

    Fails when a newer library does better, so that a handler need not guard itself.
    """
    shop.pay("order-1")
    eventually(receiver, 1)
    message = json.loads(receiver.received[0].body)
    forged = json.loads(json.dumps(message["notificationItems"][0]))
    forged["NotificationRequestItem"]["success"] = "false"
    both = {**message, "notificationItems": [message["notificationItems"][0], forged]}
    assert is_valid_hmac_notification(both, HMAC_KEY)
    item = message["notificationItems"][0]["NotificationRequestItem"]
    unsigned = {name: value for name, value in item.items() if name != "additionalData"}
    assert is_valid_hmac_notification(unsigned, HMAC_KEY) is None
    with pytest.raises(KeyError):
        is_valid_hmac_notification({**unsigned, "additionalData": {}}, HMAC_KEY)
    with pytest.raises(TypeError):
        is_valid_hmac_notification({**unsigned, "additionalData": {"hmacSignature": "ä"}}, HMAC_KEY)


def test_a_message_that_is_not_accepted_comes_again_at_adyens_times(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when a retry comes early, or a message is given up before 30 days or tried after them."""
    receiver.statuses["/adyen"] = [500] * 200
    shop.pay("order-1")
    eventually(receiver, 1)
    shop.handle.advance()
    attempts = [shop.handle.notifications()[0]["attempts"]]
    for seconds in (9, 9, 9, 120, 300):
        shop.handle.advance(seconds - 2)
        assert shop.handle.notifications()[0]["attempts"] == attempts[-1]
        shop.handle.advance(2)
        attempts.append(shop.handle.notifications()[0]["attempts"])
    assert attempts == [1, 2, 3, 4, 5, 6]
    shop.handle.advance(31 * DAY_SECONDS)
    [given_up] = shop.handle.notifications()
    assert (given_up["state"], given_up["attempts"]) == ("given_up", len(receiver.received))
    assert 90 < given_up["attempts"] < 110  # every eight hours, after the first quarter of a day
    receiver.statuses["/adyen"] = []
    shop.handle.send_again(given_up["id"])
    assert shop.handle.notifications()[0]["state"] == "delivered"


def test_a_receiver_that_comes_back_gets_all(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when a message is lost by a receiver that is down for a day."""
    receiver.statuses["/adyen"] = [503] * 60
    for number in range(3):
        shop.pay(f"order-{number}")
    shop.handle.advance(DAY_SECONDS)
    assert {row["state"] for row in shop.handle.notifications()} == {"queued"}
    receiver.statuses["/adyen"] = []
    receiver.received.clear()
    shop.handle.advance(DAY_SECONDS)
    assert sorted(item["merchantReference"] for item in items_of(receiver)) == ["order-0", "order-1", "order-2"]


def test_duplicates_and_another_order(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when a suite can't have an event twice, or a capture's before its authorisation's."""
    shop.handle.subscribe(f"{receiver.url}/adyen", held=True, order="reversed", duplicates=1)
    paid = shop.pay("order-1", additionalData={"manualCapture": "true"})["pspReference"]
    shop.modify("capture", paid, 1_000)
    shop.handle.advance()
    assert items_of(receiver) == []
    shop.handle.subscribe(f"{receiver.url}/adyen", held=False)
    shop.handle.advance()
    assert [item["eventCode"] for item in items_of(receiver)] == ["CAPTURE"] * 2 + ["AUTHORISATION"] * 2
    first, second = receiver.received[:2]
    assert first.body == second.body


def test_lost_events_and_the_old_acceptance(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when a suite can't lose an event, or the body ``[accepted]`` can't be demanded as before 2024."""
    shop.handle.subscribe(f"{receiver.url}/adyen", lose=["AUTHORISATION"], accept="body")
    paid = shop.pay("order-1")["pspReference"]
    shop.modify("refund", paid, 100)
    shop.handle.advance()
    states = {row["event_code"]: row["state"] for row in shop.handle.notifications()}
    assert states == {"AUTHORISATION": "lost", "REFUND": "queued"}  # this receiver answers 200 with an empty body
    assert {item["eventCode"] for item in items_of(receiver)} == {"REFUND"}


def test_nothing_leaves_this_machine(shop: Shop) -> None:
    """Fails when the fake can be made to send to another host."""
    with pytest.raises(HTTPError) as refused:
        shop.handle.subscribe("http://example.com/adyen")
    assert refused.value.code == 400
    refused.value.close()
