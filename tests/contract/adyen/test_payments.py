"""What ``/payments`` and ``/payments/details`` answer, by result code.

https://docs.adyen.com/online-payments/build-your-integration/payment-result-codes
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.request import build_opener

import Adyen
import pytest

from tests.contract.adyen.conftest import DAY_SECONDS, RETURN_URL, NoRedirects, Shop, at_the_bank, result_of

if TYPE_CHECKING:
    from pathlib import Path

ALWAYS_ASK = {"attemptAuthentication": "always"}
NATIVE = {**ALWAYS_ASK, "threeDSRequestData": {"nativeThreeDS": "preferred"}}


# Of https://docs.adyen.com/development-resources/testing/result-codes
@pytest.mark.parametrize(
    ("holder", "result_code", "reason", "code"),
    [
        ("DECLINED", "Refused", "Refused", "2"),
        ("ERROR", "Error", "Acquirer Error", "4"),
        ("CARD_EXPIRED", "Refused", "Expired Card", "6"),
        ("ISSUER_UNAVAILABLE", "Refused", "Issuer Unavailable", "9"),
        ("NOT_ENOUGH_BALANCE", "Refused", "Not enough balance", "12"),
        ("ACQUIRER_FRAUD", "Refused", "Acquirer Fraud", "14"),
    ],
)
def test_the_holders_name_decides(shop: Shop, holder: str, result_code: str, reason: str, code: str) -> None:
    """Fails when a refusal is an error of HTTP, or is notified as a success."""
    answer = shop.pay("order-1", holder=holder)
    assert (answer["resultCode"], answer["refusalReason"], answer["refusalReasonCode"]) == (result_code, reason, code)
    assert shop.told() == [("AUTHORISATION", "false", reason)]
    assert shop.handle.charges() == []


def test_the_raw_reason_can_be_chosen(shop: Shop) -> None:
    """Fails when ``DECLINED : 06 : ERROR`` is no refusal with the acquirer's own words."""
    answer = shop.pay("order-1", holder="DECLINED : 06 : ERROR")
    assert (answer["resultCode"], answer["additionalData"]["refusalReasonRaw"]) == ("Refused", "06 : ERROR")


def test_a_payment_of_a_stored_method_without_its_payer(shop: Shop) -> None:
    """Fails when the id is another shopper's too, or what the request said of recurring payments is not kept."""
    token = {"shopperReference": "shopper-1", "recurringProcessingModel": "UnscheduledCardOnFile"}
    first = shop.pay("order-1", storePaymentMethod=True, **token)
    stored_id = first["additionalData"]["tokenization.storedPaymentMethodId"]
    method = {"type": "scheme", "storedPaymentMethodId": stored_id}
    mandate = {"amount": "1000", "frequency": "monthly", "endsAt": "2030-01-01"}
    said = {"shopperInteraction": "ContAuth", "shopperStatement": "Shop", "metadata": {"a": "b"}, "mandate": mandate}
    second = shop.pay("order-2", paymentMethod=method, **token, **said)
    assert second["resultCode"] == "Authorised"
    kept = json.loads(shop.payment("order-2")["request"])
    assert {name: kept[name] for name in (*said, *token)} == {**said, **token}
    listed = shop.client.checkout.recurring_api.get_tokens_for_stored_payment_details(
        query_parameters={"shopperReference": "shopper-1", "merchantAccount": "ShopECOM"}
    )
    assert [one["id"] for one in listed.message["storedPaymentMethods"]] == [stored_id]
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as missing:
        shop.pay("order-3", paymentMethod=method, **{**token, "shopperReference": "shopper-2"})
    assert missing.value.error_code == "800"


@pytest.mark.parametrize("holder", ["NOT_ENOUGH_BALANCE", "AUTHENTICATE"])
def test_predefined_stored_methods(shop: Shop, holder: str) -> None:
    """Fails when a suite that knows tokens alone can't have a card refused, or asked for authentication."""
    method = {"type": "scheme", "storedPaymentMethodId": f"STORED_{holder}"}
    stored = {"shopperReference": "shopper-1", "recurringProcessingModel": "CardOnFile"}
    answer = shop.pay("order-1", paymentMethod=method, shopperInteraction="ContAuth", **stored)
    expected = {"NOT_ENOUGH_BALANCE": "12", "AUTHENTICATE": "38"}[holder]
    assert (answer["resultCode"], answer["refusalReasonCode"]) == ("Refused", expected)


@pytest.mark.parametrize(
    ("said", "result_code", "event"),
    [
        ("approved", "Authorised", ("AUTHORISATION", "true", "044925:1111:03/2030")),
        ("refused", "Refused", ("AUTHORISATION", "false", "3D Not Authenticated")),
        ("cancelled", "Cancelled", ("AUTHORISATION", "false", "Shopper Cancelled")),
    ],
)
def test_3d_secure_by_redirect(shop: Shop, said: str, result_code: str, event: Any) -> None:
    """Fails when a card is charged before its details are submitted, or the details count twice."""
    first = shop.pay("order-1", authenticationData=ALWAYS_ASK)
    assert first["resultCode"] == "RedirectShopper"
    assert (first["action"]["type"], first["action"]["method"]) == ("redirect", "GET")
    address = at_the_bank(first["action"]["url"], said)
    assert address.startswith(RETURN_URL + "&redirectResult=")
    assert shop.told() == [] == shop.handle.charges()
    final = shop.details(result_of(address), key="details-1")
    assert (final["resultCode"], final["pspReference"]) == (result_code, first["pspReference"])
    assert shop.told() == [event]
    # https://github.com/odoo/odoo/pull/238688: only the key gives the answer again.
    assert shop.details(result_of(address), key="details-1") == final
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as refused:
        shop.details(result_of(address))
    assert (refused.value.status_code, refused.value.error_code) == (422, "704")
    assert len(shop.told()) == 1


def test_details_that_nobody_brought_back_are_refused(shop: Shop) -> None:
    """Fails when a result is taken before the payer answered, so that it can be guessed from the redirect."""
    url = shop.pay("order-1", authenticationData=ALWAYS_ASK)["action"]["url"]
    token = url.split("MD=")[1]
    for result in ("X6XtfGC3!" + token, token, "nonsense"):
        with pytest.raises(Adyen.AdyenAPIUnprocessableEntity):
            shop.details(result)
    assert shop.payment("order-1")["state"] == "waiting"


@pytest.mark.parametrize(("status", "result_code"), [("Y", "Authorised"), ("N", "Refused")])
def test_native_3d_secure(shop: Shop, status: str, result_code: str) -> None:
    """Fails when the fingerprint is not followed by the challenge, or the challenge's result is not the payment's."""
    shop.handle.configure(native_first="fingerprint")
    first = shop.pay("order-1", authenticationData=NATIVE)
    assert (first["resultCode"], first["action"]["subtype"]) == ("IdentifyShopper", "fingerprint")
    assert "pspReference" not in first
    token = first["action"]["authorisationToken"]
    second = shop.details(_encoded(threeDSCompInd="Y", authorisationToken=token), name="threeDSResult")
    assert (second["resultCode"], second["action"]["subtype"]) == ("ChallengeShopper", "challenge")
    final = shop.details(_encoded(transStatus=status, authorisationToken=token), name="threeDSResult")
    assert final["resultCode"] == result_code
    assert len(shop.handle.charges()) == (status == "Y")


def _encoded(**members: str) -> str:
    return base64.b64encode(json.dumps(members).encode()).decode()


@pytest.mark.parametrize("method", ["scheme", "ideal"])
def test_the_payers_first_answer_stays(shop: Shop, method: str) -> None:
    """Fails when a payer who goes back and follows another link changes what was decided."""
    ask = {"authenticationData": ALWAYS_ASK, "paymentMethod": {"type": method}}
    url = shop.pay("order-1", **ask)["action"]["url"]
    result = result_of(at_the_bank(url, "refused"))
    page, query = url.split("?")
    with build_opener(NoRedirects()).open(f"{page}/approved?{query}", timeout=10) as answer:
        assert result_of(answer.headers["Location"]) == result
    assert shop.details(result)["resultCode"] == "Refused"
    assert shop.handle.charges() == []


def test_details_that_come_after_the_offer_was_closed_do_not_pay(shop: Shop) -> None:
    """Fails when the details of a closed offer charge the card."""
    url = shop.pay("order-1", authenticationData=ALWAYS_ASK)["action"]["url"]
    result = result_of(at_the_bank(url, "approved"))
    shop.handle.advance(13 * 3_600)
    assert shop.details(result)["resultCode"] == "Cancelled"
    assert (shop.told(), shop.handle.charges()) == ([("OFFER_CLOSED", "true", "")], [])


def test_a_cancel_does_not_reach_a_payment_that_waits_for_its_payer(shop: Shop) -> None:
    """A cancel cancels an authorisation. Fails when it ends a payment that has none, or the payer can't go on."""
    first = shop.pay("order-1", authenticationData=ALWAYS_ASK)
    shop.modify("cancel", first["pspReference"])
    assert shop.told() == [("CANCELLATION", "false", "Transaction not authorised")]
    result = result_of(at_the_bank(first["action"]["url"], "approved"))
    assert shop.details(result)["resultCode"] == "Authorised"


def test_no_card_is_written_into_the_books(shop: Shop, tmp_path: Path) -> None:
    """Fails when a request is kept as it came, under its key or with its payment."""
    method = {"type": "scheme", "number": "not-a-number-but-as-secret", "cvc": "cvc-as-secret", "holderName": "Ada"}
    shop.pay("order-1", key="key-1", paymentMethod=method)
    shop.handle.advance()
    written = b"".join(path.read_bytes() for path in tmp_path.glob("adyen.sqlite*"))
    assert b"order-1" in written
    assert b"as-secret" not in written


def test_ideal_is_paid_whether_its_details_are_submitted_or_not(shop: Shop) -> None:
    """Fails when the notification of a payer who never came back is missing, or the details pay a second time."""
    first = shop.pay("order-1", paymentMethod={"type": "ideal"})
    assert "pspReference" not in first  # given in the answer to the details, says the specification
    address = at_the_bank(first["action"]["url"], "approved")
    assert shop.told() == [("AUTHORISATION", "true", "")]
    assert shop.details(result_of(address))["resultCode"] == "Authorised"
    assert len(shop.told()) == 1


def test_an_offer_is_closed_after_twelve_hours(shop: Shop) -> None:
    """Fails when a payer who comes late can still pay, or the notification is missing."""
    first = shop.pay("order-1", authenticationData=ALWAYS_ASK)
    shop.handle.advance(12 * 3_600 - 60)
    assert shop.told() == []
    shop.handle.advance(120)
    assert shop.told() == [("OFFER_CLOSED", "true", "")]
    assert shop.payment("order-1")["state"] == "closed"
    with pytest.raises(AssertionError):
        at_the_bank(first["action"]["url"], "approved")  # the page has no link any more
    assert shop.handle.charges() == []


@pytest.mark.parametrize(("owner", "success"), [("A. Klaassen", "true"), ("NOT_ENOUGH_BALANCE", "false")])
def test_a_bank_debit_is_received_and_decided_two_days_later(shop: Shop, owner: str, success: str) -> None:
    """Fails when a debit is final at once."""
    method = {"type": "sepadirectdebit", "ownerName": owner, "iban": "NL00TEST0000000000"}
    assert shop.pay("order-1", paymentMethod=method)["resultCode"] == "Received"
    shop.handle.advance(2 * DAY_SECONDS - 60)
    assert shop.told() == []
    shop.handle.advance(120)
    assert [(event, told) for event, told, _ in shop.told()] == [("AUTHORISATION", success)]
    assert len(shop.handle.charges()) == (success == "true")


@pytest.mark.parametrize(
    ("method", "result_code", "action"),
    [
        ("multibanco", "PresentToShopper", "voucher"),
        ("bankTransfer_IBAN", "Received", "bankTransfer"),
        ("mbway", "Pending", "await"),
    ],
)
@pytest.mark.parametrize("paid", [True, False])
def test_methods_that_wait_for_their_payer(shop: Shop, method: str, result_code: str, action: str, paid: bool) -> None:
    """Fails when the payer's payment, or that it never came, is not told."""
    answer = shop.pay("order-1", paymentMethod={"type": method})
    assert (answer["resultCode"], answer["action"]["type"]) == (result_code, action)
    if paid:
        shop.handle.act("pay", reference="order-1")
    shop.handle.advance(4 * DAY_SECONDS)
    assert shop.told() == [("AUTHORISATION", "true", "") if paid else ("OFFER_CLOSED", "true", "")]
    assert len(shop.handle.charges()) == paid


def test_a_card_that_is_decided_later(shop: Shop) -> None:
    """Fails when the holder PENDING of Adyen's table is not Received."""
    assert shop.pay("order-1", holder="PENDING")["resultCode"] == "Received"
    assert shop.told() == []
    shop.handle.act("fail", reference="order-1", holder_name="CARD_EXPIRED")
    assert shop.told() == [("AUTHORISATION", "false", "Expired Card")]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"amount": {"value": -1, "currency": "EUR"}}, 422, "137"),
        ({"amount": {"value": 1, "currency": "XXY"}}, 422, "138"),
        ({"amount": None}, 422, "100"),
        ({"reference": ""}, 422, "130"),
        ({"returnUrl": ""}, 422, "14_030"),
        ({"metadata": {str(number): "" for number in range(21)}}, 422, "177"),
        ({"paymentMethod": {"type": "unheard-of"}}, 500, "905"),
        ({"metadata": ["a"]}, 400, "702"),
    ],
)
def test_an_invalid_request_books_nothing(shop: Shop, change: dict[str, Any], status: int, code: str) -> None:
    """Fails when something is booked before the request is checked, or the error's form is not Adyen's."""
    with pytest.raises(Adyen.AdyenError) as refused:
        shop.client.checkout.payments_api.payments({**shop.body("order-1"), **change})
    assert (refused.value.status_code, refused.value.error_code) == (status, code)
    assert set(refused.value.message) >= {"status", "errorCode", "message", "errorType"}
    assert shop.handle.books() == []


# https://docs.adyen.com/development-resources/currency-codes: these four differ from ISO 4217.
@pytest.mark.parametrize(
    ("currency", "amount"),
    [
        ("EUR", "10.00"),
        ("JPY", "1000"),
        ("KWD", "1.000"),
        ("ISK", "10.00"),
        ("CLP", "10.00"),
        ("IDR", "1000"),
        ("CVE", "1000"),
    ],
)
def test_the_books_understand_minor_units_as_adyen_does(shop: Shop, currency: str, amount: str) -> None:
    """Fails when an amount in ISO's minor units would pass for what Adyen charges."""
    shop.client.checkout.payments_api.payments(
        {**shop.body("order-1"), "amount": {"value": 1_000, "currency": currency}}
    )
    assert shop.payment("order-1")["amount"] == amount
