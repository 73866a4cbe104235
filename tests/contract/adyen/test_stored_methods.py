"""Stored methods: set up by a payment of nothing, listed, deleted, and what notifications tell of it.

https://docs.adyen.com/online-payments/tokenization/create-tokens,
https://docs.adyen.com/online-payments/tokenization/managing-tokens and
https://github.com/Adyen/adyen-openapi/blob/main/json/TokenizationNotification-v1.json
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import Adyen
import pytest
from Adyen.util import is_valid_hmac_payload

from local.adyen.books import Books
from local.adyen.running import MERCHANT_ACCOUNT
from tests.contract.adyen.conftest import HMAC_KEY, Shop, at_the_bank, result_of

if TYPE_CHECKING:
    from pathlib import Path

    from local.receiver import ReceiverServer

SHOPPER = "shopper-1"
SET_UP = {
    "shopperReference": SHOPPER,
    "storePaymentMethod": True,
    "recurringProcessingModel": "UnscheduledCardOnFile",
    "shopperInteraction": "Ecommerce",
}


def set_up(shop: Shop, reference: str = "set-1", **members: Any) -> dict[str, Any]:
    return shop.pay(reference, 0, **SET_UP, **members)


def token_of(answer: dict[str, Any]) -> str:
    return str(answer["additionalData"]["tokenization.storedPaymentMethodId"])


def listed(shop: Shop, shopper: str = SHOPPER) -> list[dict[str, Any]]:
    query = {"shopperReference": shopper, "merchantAccount": MERCHANT_ACCOUNT}
    answer = shop.client.checkout.recurring_api.get_tokens_for_stored_payment_details(query_parameters=query)
    found: list[dict[str, Any]] = answer.message["storedPaymentMethods"]
    return found


def delete(shop: Shop, token: str, **query: str) -> None:
    named = {"shopperReference": SHOPPER, "merchantAccount": MERCHANT_ACCOUNT, **query}
    shop.client.checkout.recurring_api.delete_token_for_stored_payment_details(token, query_parameters=named)


def refusal_of(shop: Shop, token: str, shopper: str = SHOPPER) -> str:
    """Charge a token that can't be charged, and return the code of the refusal."""
    charge = {"shopperReference": shopper, "recurringProcessingModel": "Subscription", "shopperInteraction": "ContAuth"}
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as refused:
        shop.pay("order-of-nobody", paymentMethod={"storedPaymentMethodId": token}, **charge)
    assert shop.handle.charges(reference="order-of-nobody") == []
    return str(refused.value.error_code)


def test_a_payment_of_nothing_stores_the_card(shop: Shop) -> None:
    """Fails when a zero-value authorisation is refused, captures something, or stores what can't be charged."""
    shop.handle.configure(notify_automatic_capture=True)
    answer = set_up(shop)
    assert (answer["resultCode"], answer["amount"]["value"]) == ("Authorised", 0)
    assert answer["additionalData"]["tokenization.store.operationType"] == "created"
    [stored] = listed(shop)
    assert (stored["id"], stored["type"], stored["shopperReference"]) == (token_of(answer), "scheme", SHOPPER)
    assert stored["firstPspReference"] == answer["pspReference"]
    assert shop.payment("set-1")["captured_minor"] == 0
    assert [event for event, _, _ in shop.told()] == ["AUTHORISATION"]
    method = {"type": "scheme", "storedPaymentMethodId": stored["id"]}
    off_session = {"shopperReference": SHOPPER, "recurringProcessingModel": "UnscheduledCardOnFile"}
    charged = shop.pay("order-1", paymentMethod=method, shopperInteraction="ContAuth", **off_session)
    assert charged["resultCode"] == "Authorised"
    assert "tokenization.storedPaymentMethodId" not in charged["additionalData"]


def test_a_refused_card_is_not_stored(shop: Shop) -> None:
    """Fails when a method is stored that the issuer refused."""
    assert set_up(shop, paymentMethod={"type": "scheme", "holderName": "DECLINED"})["resultCode"] == "Refused"
    assert listed(shop) == []
    assert shop.handle.token_notifications() == []


def test_a_card_that_asks_its_payer_is_stored_after_the_details(shop: Shop) -> None:
    """Fails when 3D Secure of a set-up is skipped, or the token comes with another answer than the last."""
    waiting = set_up(shop, paymentMethod={"type": "scheme", "holderName": "AUTHENTICATE"})
    assert waiting["resultCode"] == "RedirectShopper"
    result = result_of(at_the_bank(waiting["action"]["url"], "approved"))
    assert listed(shop) == []
    assert token_of(shop.details(result)) == listed(shop)[0]["id"]


def test_a_card_that_is_stored_keeps_its_token(shop: Shop) -> None:
    """Fails when setting the same card up again makes a second token."""
    first, second = set_up(shop), set_up(shop, "set-2")
    assert token_of(second) == token_of(first)
    assert second["additionalData"]["tokenization.store.operationType"] == "alreadyExisting"
    other = shop.pay("set-3", 0, **{**SET_UP, "shopperReference": "shopper-2"})
    assert token_of(other) != token_of(first)
    told = [row["event_code"] for row in shop.handle.token_notifications()]
    assert told == ["recurring.token.created", "recurring.token.alreadyExisting", "recurring.token.created"]


def test_a_debit_is_stored_when_its_bank_has_decided(shop: Shop) -> None:
    """Fails when a mandate is there before the debit that makes it succeeded."""
    account = {"type": "sepadirectdebit", "ownerName": "Ada Lovelace"}
    assert shop.pay("order-1", **SET_UP, paymentMethod=account)["resultCode"] == "Received"
    assert listed(shop) == []
    shop.handle.advance(3 * 86_400)
    [stored] = listed(shop)
    assert (stored["type"], stored["ownerName"]) == ("sepadirectdebit", "Ada Lovelace")
    assert "brand" not in stored


def test_a_deleted_token_charges_nothing(shop: Shop) -> None:
    """Fails when a deleted method can be charged, is listed, or another shopper or merchant could delete it."""
    token, other = token_of(set_up(shop)), token_of(set_up(shop, "set-2", holder="Grace Hopper"))
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
        delete(shop, token, shopperReference="shopper-2")
    with pytest.raises(Adyen.AdyenAPIInvalidPermission):
        delete(shop, token, merchantAccount="OtherECOM")
    delete(shop, token)
    assert [row["id"] for row in listed(shop)] == [other]
    assert refusal_of(shop, token) == "803"
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
        delete(shop, token)
    delete(shop, other)
    assert refusal_of(shop, other) == "800"  # this shopper has nothing stored any more


@pytest.mark.parametrize("shopper", ["ab", "a" * 257])
def test_a_shopper_reference_has_a_length(shop: Shop, shopper: str) -> None:
    """Fails when a reference is taken that Adyen's specification forbids."""
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
        shop.pay("set-1", 0, **{**SET_UP, "shopperReference": shopper})


def test_tokens_are_told_by_a_webhook_of_their_own(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when the events come in items, unsigned, to the standard webhook, or not of the Customer Area."""
    shop.handle.subscribe(f"{receiver.url}/adyen", token_url=f"{receiver.url}/tokens", hmac_key=HMAC_KEY)
    answer = set_up(shop)
    shop.handle.act("disable_token", id=token_of(answer))
    shop.handle.advance()
    told = [one for one in receiver.received if one.path == "/tokens"]
    assert all(is_valid_hmac_payload(one.headers["hmacsignature"], HMAC_KEY, one.body) for one in told)
    created, disabled = [json.loads(one.body) for one in told]
    data = {
        "merchantAccount": MERCHANT_ACCOUNT,
        "storedPaymentMethodId": token_of(answer),
        "type": "visa",
        "shopperReference": SHOPPER,
    }
    assert created["data"] == {**data, "operation": "created"}
    assert (created["type"], created["eventId"]) == ("recurring.token.created", answer["pspReference"])
    assert disabled["data"] == data
    assert disabled["type"] == "recurring.token.disabled"
    assert len([one for one in receiver.received if one.path == "/adyen"]) == 1


def test_without_an_address_of_their_own_tokens_are_not_told(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when the standard webhook gets what it never does, or waits behind what nobody subscribed."""
    set_up(shop)
    shop.handle.advance()
    assert [row["state"] for row in shop.handle.token_notifications()] == ["unsubscribed"]
    assert [one.path for one in receiver.received] == ["/adyen"]


def test_an_older_file_is_opened(tmp_path: Path) -> None:
    """Fails when books that were written before stored methods knew their first payment can't store another."""
    file = tmp_path / "adyen.sqlite"
    Books(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("ALTER TABLE stored_methods DROP COLUMN first_psp_reference")
    connection.close()
    books = Books(file)
    assert books.rows("stored_methods", {"first_psp_reference": ""}) == []
    books.close()
