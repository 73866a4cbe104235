"""Set-ups as Adyen's documents have them: payments of nothing, what stores a token, and how it becomes known.

https://docs.adyen.com/online-payments/tokenization/create-tokens
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import Adyen
import pytest
from Adyen.util import is_valid_hmac_notification

from local.adyen.running import API_KEY, MERCHANT_ACCOUNT
from tests.contract.adyen.conftest import HMAC_KEY, Shop, at_the_bank, items_of, library, result_of
from tests.contract.adyen.test_stored_methods import SET_UP, SHOPPER, delete, listed, refusal_of, set_up, token_of

if TYPE_CHECKING:
    from local.receiver import ReceiverServer

DAY_SECONDS = 86_400
UNSCHEDULED = "UnscheduledCardOnFile"
ASKS = {"type": "scheme", "holderName": "AUTHENTICATE"}


def charge(shop: Shop, token: str, reference: str = "order-1", **members: Any) -> dict[str, Any]:
    """Charge a stored card while its payer is absent."""
    method = {"type": "scheme", "storedPaymentMethodId": token}
    off_session = {
        "shopperReference": SHOPPER,
        "recurringProcessingModel": UNSCHEDULED,
        "shopperInteraction": "ContAuth",
    }
    return shop.pay(reference, paymentMethod=method, **{**off_session, **members})


def refused_code(shop: Shop, reference: str = "set-1", **members: Any) -> str:
    with pytest.raises((Adyen.AdyenAPIUnprocessableEntity, Adyen.AdyenAPICommunicationError)) as refused:
        shop.pay(reference, **members)
    return str(refused.value.error_code)


def events(receiver: ReceiverServer) -> list[str]:
    """Return the codes of all that has arrived, of either webhook, in the order of its arrival."""
    bodies = [json.loads(one.body) for one in receiver.received]
    return [
        body["notificationItems"][0]["NotificationRequestItem"]["eventCode"]
        if "notificationItems" in body
        else body["type"]
        for body in bodies
    ]


def subscribe(shop: Shop, receiver: ReceiverServer, **values: Any) -> None:
    """Subscribe both webhooks, RECURRING_CONTRACT among the events of the standard one."""
    shop.handle.configure(recurring_contract=True)
    shop.handle.subscribe(f"{receiver.url}/adyen", token_url=f"{receiver.url}/tokens", hmac_key=HMAC_KEY, **values)


@pytest.mark.parametrize("method", ["ideal", "multibanco", "mbway", "bankTransfer_IBAN"])
def test_a_payment_of_nothing_is_for_cards_and_debits(shop: Shop, method: str) -> None:
    """Fails when a method takes nothing that needs at least one cent, as Adyen's page on iDEAL says.

    https://docs.adyen.com/payment-methods/ideal/ios-drop-in and, of a debit,
    https://help.adyen.com/knowledge/payment-methods/sepa-direct-debit/is-zero-value-authorization-supported-by-sepa-direct-debit
    """
    assert refused_code(shop, value=0, paymentMethod={"type": method}, **SET_UP) == "137"
    assert shop.handle.books() == []
    account = {"type": "sepadirectdebit", "ownerName": "Ada Lovelace"}
    assert shop.pay("set-2", 0, **SET_UP, paymentMethod=account)["resultCode"] == "Received"
    shop.handle.advance(3 * DAY_SECONDS)
    assert [row["type"] for row in listed(shop)] == ["sepadirectdebit"]


def test_an_ideal_payment_of_a_cent_stores_a_debit(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when iDEAL's token is one of iDEAL, is in the answer, or is there before the payment is settled.

    https://docs.adyen.com/payment-methods/ideal/ios-drop-in: RECURRING_CONTRACT comes when the payment is settled, its
    originalReference is the payment's and its pspReference the token.
    """
    subscribe(shop, receiver)
    waiting = shop.pay("set-1", 1, **SET_UP, paymentMethod={"type": "ideal"})
    answer = shop.details(result_of(at_the_bank(waiting["action"]["url"], "approved")))
    assert answer["resultCode"] == "Authorised"
    [authorised] = shop.handle.notifications(event_code="AUTHORISATION")
    told = {**answer["additionalData"], **authorised["item"].get("additionalData", {})}
    assert not [name for name in told if name.startswith("tokenization")]
    assert listed(shop) == []
    shop.handle.advance(3 * DAY_SECONDS)
    [stored] = listed(shop)
    assert stored["type"] == "sepadirectdebit"
    [contract] = [item for item in items_of(receiver) if item["eventCode"] == "RECURRING_CONTRACT"]
    assert (contract["pspReference"], contract["originalReference"]) == (stored["id"], answer["pspReference"])
    assert (contract["merchantReference"], contract["paymentMethod"]) == ("set-1", "ideal")
    assert charge(shop, stored["id"])["resultCode"] == "Received"


def test_a_contract_is_told_as_the_specification_says(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when the event lacks what Webhooks-v1 requires of it, or is unsigned.

    https://github.com/Adyen/adyen-openapi/blob/main/json/Webhooks-v1.json, RecurringContractNotificationRequestItem
    """
    subscribe(shop, receiver)
    answer = set_up(shop)
    shop.handle.advance()
    assert events(receiver) == ["recurring.token.created", "RECURRING_CONTRACT", "AUTHORISATION"]
    [contract] = [item for item in items_of(receiver) if item["eventCode"] == "RECURRING_CONTRACT"]
    token = token_of(answer)
    assert contract["pspReference"] == token
    assert contract["originalPsp"] == contract["originalReference"] == answer["pspReference"]
    assert contract["amount"] == {"currency": "EUR", "value": 0}
    additional = contract["additionalData"]
    assert additional["recurring.shopperReference"] == additional["shopperReference"] == SHOPPER
    assert additional["recurring.recurringDetailReference"] == token
    [message] = [json.loads(one.body) for one in receiver.received if b"RECURRING_CONTRACT" in one.body]
    assert is_valid_hmac_notification(message, HMAC_KEY)


def test_contracts_of_one_card_are_two_events(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when who takes an event for known by its code and its ``pspReference`` would not miss the second.

    That reference is the token, which a card that was stored already keeps: the events differ by the payment alone.
    """
    subscribe(shop, receiver)
    shop.handle.configure(token_in_answer=False)
    payments = [set_up(shop, reference)["pspReference"] for reference in ("set-1", "set-2")]
    shop.handle.advance()
    contracts = [item for item in items_of(receiver) if item["eventCode"] == "RECURRING_CONTRACT"]
    assert len({item["pspReference"] for item in contracts}) == 1
    assert [item["originalReference"] for item in contracts] == payments
    assert [item["merchantReference"] for item in contracts] == ["set-1", "set-2"]


def test_an_account_has_to_enable_contracts(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when an event comes that is none of the default ones."""
    set_up(shop)
    shop.handle.advance()
    assert events(receiver) == ["AUTHORISATION"]


def test_a_token_may_not_be_in_the_answer(shop: Shop) -> None:
    """Fails when a client can rely on what Adyen's own people say it can't.

    https://github.com/adyen-examples/adyen-node-online-payments/issues/127
    """
    shop.handle.configure(token_in_answer=False)
    answer = set_up(shop)
    assert not [name for name in answer["additionalData"] if name.startswith("tokenization")]
    [stored] = listed(shop)
    assert stored["firstPspReference"] == answer["pspReference"]
    [told] = shop.handle.notifications(event_code="AUTHORISATION")
    assert "additionalData" not in told["item"]


def test_a_token_may_come_later_than_its_authorisation(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when a token can be charged, is listed or told before it is there.

    https://www.adyen.help/hc/en-us/articles/360014369800-Why-do-I-receive-a-800-Contract-not-found-error-
    """
    subscribe(shop, receiver)
    shop.handle.configure(token_delay_ms=60_000)
    token = token_of(set_up(shop))
    shop.handle.advance(30)
    assert (listed(shop), events(receiver), refusal_of(shop, token)) == ([], ["AUTHORISATION"], "800")
    shop.handle.advance(31)
    assert [row["id"] for row in listed(shop)] == [token]
    assert charge(shop, token)["resultCode"] == "Authorised"
    assert sorted(events(receiver)[1:3]) == ["RECURRING_CONTRACT", "recurring.token.created"]


def test_an_authorisation_may_store_nothing(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when a contract that could not be made is told as one, or is listed.

    https://github.com/Adyen/adyen-magento2/pull/1957 handles such an event.
    """
    subscribe(shop, receiver)
    shop.handle.configure(tokens_fail=True)
    assert set_up(shop)["resultCode"] == "Authorised"
    shop.handle.advance()
    assert listed(shop) == []
    [contract] = [item for item in items_of(receiver) if item["eventCode"] == "RECURRING_CONTRACT"]
    assert (contract["success"], bool(contract["reason"])) == ("false", True)
    assert "recurring.token.created" not in events(receiver)


@pytest.mark.parametrize("model", [None, "Recurring"])
def test_a_token_needs_a_processing_model(shop: Shop, model: str | None) -> None:
    """Fails when a token is made or used without it, which CheckoutService-v72 calls required."""
    said = {**SET_UP, "recurringProcessingModel": model}
    assert refused_code(shop, value=0, **{name: value for name, value in said.items() if value}) == "000"
    token = token_of(set_up(shop))
    off_session = {"shopperReference": SHOPPER, "shopperInteraction": "ContAuth"}
    said = {**off_session, **({"recurringProcessingModel": model} if model else {})}
    assert refused_code(shop, paymentMethod={"storedPaymentMethodId": token}, **said) == "000"
    if model is None:
        shop.handle.configure(needs_processing_model=False)
        assert shop.pay("order-1", paymentMethod={"storedPaymentMethodId": token}, **off_session)


def test_a_payer_who_authenticated_once_is_not_asked_again(shop: Shop) -> None:
    """Fails when a card that was stored with 3D Secure is refused without its payer, or no issuer asks again.

    https://docs.adyen.com/online-payments/tokenization/create-and-use-tokens: "SCA is required for the initial payment"
    """
    for number, (holder, code) in enumerate((("AUTHENTICATE", None), ("AUTHENTICATE_ALWAYS", "38"))):
        waiting = set_up(shop, f"set-{number}", holder=holder)
        token = token_of(shop.details(result_of(at_the_bank(waiting["action"]["url"], "approved"))))
        answer = charge(shop, token, f"order-{number}")
        assert answer.get("refusalReasonCode") == code, answer
        present = charge(shop, token, f"present-{number}", shopperInteraction="Ecommerce")
        assert present["resultCode"] == "RedirectShopper"


@pytest.mark.parametrize("said", ["refused", "cancelled", ""])
def test_a_payer_who_does_not_agree_stores_nothing(shop: Shop, said: str) -> None:
    """Fails when a refused, cancelled or abandoned authentication makes a token."""
    waiting = set_up(shop, paymentMethod=ASKS)
    if said:
        expected = {"refused": "Refused", "cancelled": "Cancelled"}[said]
        assert shop.details(result_of(at_the_bank(waiting["action"]["url"], said)))["resultCode"] == expected
    shop.handle.advance(DAY_SECONDS)
    assert listed(shop) == []
    assert [row["status"] for row in shop.handle.books(kind="setup")] == ["failed"]
    assert shop.told()[-1][0] == ("AUTHORISATION" if said else "OFFER_CLOSED")


def test_native_authentication_of_a_set_up(shop: Shop) -> None:
    """Fails when the token comes before the challenge's result."""
    native = {"attemptAuthentication": "always", "threeDSRequestData": {"nativeThreeDS": "preferred"}}
    asked = set_up(shop, authenticationData=native)
    assert asked["resultCode"] == "ChallengeShopper"
    result = {"authorisationToken": asked["action"]["authorisationToken"], "transStatus": "Y"}
    assert listed(shop) == []
    answer = shop.details(base64.b64encode(json.dumps(result).encode()).decode(), name="threeDSResult")
    assert token_of(answer) == listed(shop)[0]["id"]


def test_a_card_may_be_refused_later(shop: Shop) -> None:
    """Fails when what can be stored can always be charged."""
    token = token_of(set_up(shop, holder="LATER : NOT_ENOUGH_BALANCE"))
    assert charge(shop, token)["refusalReasonCode"] == "12"


def test_cards_of_one_name_are_told_apart_by_their_details(shop: Shop) -> None:
    """Fails when two cards of a shopper are one token, or one card is two."""
    first, again, other = (
        token_of(set_up(shop, f"set-{n}", paymentMethod={"type": "scheme", "encryptedCardNumber": blob}))
        for n, blob in enumerate(("adyenjs_a", "adyenjs_a", "adyenjs_b"))
    )
    assert first == again != other
    assert b"adyenjs_a" not in json.dumps(shop.handle.payments()).encode()


def test_a_token_is_its_shoppers_on_its_merchant_account(shop: Shop) -> None:
    """Fails when another shopper or another account can list, charge or delete it, or the answer is not Adyen's.

    https://docs.adyen.com/online-payments/classic-integrations/classic-api-integration/tokenization: the contract is
    identified by the shopper and the merchant account. 800 and 803:
    https://github.com/Adyen/adyen-salesforce-commerce-cloud/issues/375 and
    https://github.com/Adyen/adyen-magento2/issues/1287
    """
    token = token_of(set_up(shop))
    assert refusal_of(shop, token, "shopper-2") == "800"
    shop.pay("set-2", 0, **{**SET_UP, "shopperReference": "shopper-2"}, holder="Grace Hopper")
    assert refusal_of(shop, token, "shopper-2") == "803"
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as refused:
        delete(shop, token, merchantAccount="ShopPOS")
    assert refused.value.error_code == "800"
    with pytest.raises(Adyen.AdyenAPIInvalidPermission):
        shop.client.checkout.recurring_api.get_tokens_for_stored_payment_details(
            query_parameters={"shopperReference": SHOPPER, "merchantAccount": "OtherECOM"}
        )
    assert [row["id"] for row in listed(shop)] == [token]


def test_nothing_of_a_set_up_can_be_captured_or_cancelled(shop: Shop) -> None:
    """Fails when a payment of nothing holds something: https://github.com/Adyen/adyen-magento/pull/773."""
    answer = set_up(shop)
    for kind, value in (("capture", 1), ("cancel", None)):
        shop.modify(kind, answer["pspReference"], value)
    assert [told for told in shop.told() if told[0] != "AUTHORISATION"] == [
        ("CAPTURE", "false", "Insufficient balance on payment"),
        ("CANCELLATION", "false", "Insufficient balance on payment"),
    ]
    assert charge(shop, token_of(answer))["resultCode"] == "Authorised"


def test_a_card_is_stored_without_a_payment(shop: Shop, receiver: ReceiverServer) -> None:
    """Fails when the answer is not the specification's, the key makes two, or the token can't be charged.

    https://docs.adyen.com/api-explorer/Checkout/71/post/storedPaymentMethods: nobody authorises it, so that a card that
    is refused later is stored all the same.
    """
    subscribe(shop, receiver)
    card = {"type": "scheme", "encryptedCardNumber": "adyenjs_a", "holderName": "DECLINED"}
    body = {"merchantAccount": MERCHANT_ACCOUNT, "shopperReference": SHOPPER, "recurringProcessingModel": UNSCHEDULED}
    api = shop.client.checkout.recurring_api
    stored, again = (
        api.stored_payment_methods({**body, "paymentMethod": card}, idempotency_key="key-1").message for _ in range(2)
    )
    assert stored == again
    assert (stored["lastFour"], stored["shopperReference"], stored["type"]) == ("1111", SHOPPER, "scheme")
    assert [row["id"] for row in listed(shop)] == [stored["id"]]
    assert charge(shop, stored["id"])["resultCode"] == "Refused"
    shop.handle.advance()
    assert "recurring.token.created" in events(receiver)
    for missing in ("shopperReference", "recurringProcessingModel", "paymentMethod"):
        less = {name: value for name, value in {**body, "paymentMethod": card}.items() if name != missing}
        with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
            api.stored_payment_methods(less)


def test_a_set_up_with_an_api_key_of_another_company(shop: Shop) -> None:
    """Fails when a token is seen from another company account."""
    token = token_of(set_up(shop))
    other = Shop(shop.handle, library(shop.handle.api_url, api_key=API_KEY.replace("Shop", "Other")))
    with pytest.raises(Adyen.AdyenAPIInvalidPermission):
        delete(other, token)
    assert (
        refused_code(
            other,
            paymentMethod={"storedPaymentMethodId": token},
            shopperReference=SHOPPER,
            recurringProcessingModel=UNSCHEDULED,
            merchantAccount="OtherECOM",
        )
        == "800"
    )
