"""Set-ups and saved payment methods through the API: who is asked, who never is, and what is refused before a claim."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.gateway import MONEY_OPERATIONS
from payonce.payments.setups.load import load_method
from tests.support.events import call
from tests.support.setups import saved_method, store_method
from tests.support.world import FORGETFUL, ScriptedGateway
from tests.unit.entrypoints.test_failover import NAMES, Shop

SETUP = {"customer": "customer-7", "currency": "EUR", "payment_method": "pm_visa"}
PAYMENT = {"amount_minor": 1000, "currency": "EUR", "off_session": True}
METHOD_ID = "method_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
WITHOUT = replace(FORGETFUL, operations=MONEY_OPERATIONS)


def document(answer: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(answer["body"])
    return read


def without_setups(shop: Shop, *names: str) -> None:
    for name in names:
        shop.banks[name].capabilities = WITHOUT


def pay_with_saved(shop: Shop, key: str = "a-key-of-its-own-1", **more: Any) -> dict[str, Any]:
    body = {**PAYMENT, "payment_method": METHOD_ID, **more}
    return call(shop.application, "create_payment", body, key=key, merchant_id="mer_1")


def test_a_saved_method_is_charged_at_its_own_gateway_whatever_routing_prefers() -> None:
    """Fails (a token at a gateway that does not know it) when the weights choose."""
    shop = Shop((1, 0.0, 0.0))
    store_method(shop.database, saved_method("mer_1", METHOD_ID, gateway="bank_c"))
    answer = pay_with_saved(shop)
    assert answer["statusCode"] == 201
    assert shop.sent() == ["bank_c"]
    sent = shop.banks["bank_c"].submissions[0]
    assert (sent.payment_method, sent.customer) == ("tok_1", "customer-7")
    told = document(answer)
    assert (told["payment_method"], told["customer"], told["gateway"]) == (METHOD_ID, "customer-7", "bank_c")


def test_a_saved_method_never_goes_to_another_gateway() -> None:
    """Fails (the next gateway is asked, and knows no such token) when a saved method fails over as others do."""
    shop = Shop((0.4, 0.3, 0.3))
    store_method(shop.database, saved_method("mer_1", METHOD_ID, gateway="bank_b"))
    shop.banks["bank_b"].script = ["never", "ok"]
    refused = pay_with_saved(shop)
    assert refused["statusCode"] == 503
    assert shop.sent() == ["bank_b"]
    assert pay_with_saved(shop)["statusCode"] == 201
    assert shop.sent() == ["bank_b", "bank_b"]


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"customer": "customer-8"}, "/customer"),
        ({"payment_method_type": "bank_debit"}, "/payment_method_type"),
        ({"payment_method": METHOD_ID[:-1] + "T"}, "/payment_method"),
    ],
)
def test_what_does_not_fit_the_saved_method_is_refused(more: dict[str, str], pointer: str) -> None:
    shop = Shop()
    store_method(shop.database, saved_method("mer_1", METHOD_ID, gateway="bank_a"))
    answer = pay_with_saved(shop, **more)
    assert answer["statusCode"] == 400
    assert pointer + ":" in document(answer)["detail"]
    assert shop.sent() == []


def test_a_revoked_method_is_refused_and_its_earlier_payments_are_replayed() -> None:
    shop = Shop()
    store_method(shop.database, saved_method("mer_1", METHOD_ID, gateway="bank_a"))
    paid = pay_with_saved(shop)
    path = {"payment_method_id": METHOD_ID}
    assert call(shop.application, "revoke_payment_method", None, path=path, merchant_id="mer_1")["statusCode"] == 201
    sent = len(shop.sent())
    refused = pay_with_saved(shop, key="a-key-of-its-own-2")
    assert (refused["statusCode"], document(refused)["payment_method_status"]) == (409, "revoked")
    assert document(refused)["type"] == "urn:payonce:problem:setup-state"
    replayed = pay_with_saved(shop)
    assert (replayed["body"], replayed["headers"]["Idempotency-Replayed"]) == (paid["body"], "true")
    assert len(shop.sent()) == sent


def test_a_set_up_goes_to_a_gateway_that_can_do_it() -> None:
    shop = Shop((0.5, 0.3, 0.2))
    without_setups(shop, "bank_a", "bank_b")
    for number in range(6):  # one in five would go to the third gateway by chance
        key = f"key-of-a-set-up-{number}"
        answer = call(shop.application, "create_setup", SETUP, key=key, merchant_id="mer_1", gateway="")
        assert (answer["statusCode"], document(answer)["gateway"]) == (201, "bank_c")
    method = load_method(shop.database, "mer_1", document(answer)["saved_payment_method"])
    assert (method.gateway, method.customer) == ("bank_c", "customer-7")


@pytest.mark.parametrize("own_gateway", ["", "bank_a"])
def test_a_set_up_that_no_gateway_can_do_is_refused_before_anything_is_stored(own_gateway: str) -> None:
    """Fails (a claim, and a gateway that is asked for what it has never heard of) without the check."""
    shop = Shop((0.5, 0.3, 0.2), own_gateway=own_gateway)
    without_setups(shop, *(NAMES if not own_gateway else [own_gateway]))
    answer = call(shop.application, "create_setup", SETUP, merchant_id="mer_1", gateway=own_gateway)
    assert (answer["statusCode"], document(answer).get("type")) == (400, "urn:payonce:problem:not-supported")
    assert shop.sent() == []
    assert all(not items for items in shop.database._tables.values())


def test_a_set_up_that_has_begun_is_replayed_after_its_gateway_can_do_it_no_more() -> None:
    shop = Shop()
    first = call(shop.application, "create_setup", SETUP, merchant_id="mer_1", gateway="")
    without_setups(shop, *NAMES)
    again = call(shop.application, "create_setup", SETUP, merchant_id="mer_1", gateway="")
    assert (again["statusCode"], again["body"]) == (201, first["body"])


def test_a_revocation_that_the_gateway_can_not_do_changes_nothing() -> None:
    shop = Shop()
    store_method(shop.database, saved_method("mer_1", METHOD_ID, gateway="bank_a"))
    without_setups(shop, "bank_a")
    path = {"payment_method_id": METHOD_ID}
    answer = call(shop.application, "revoke_payment_method", None, path=path, merchant_id="mer_1")
    assert (answer["statusCode"], document(answer).get("type")) == (400, "urn:payonce:problem:not-supported")
    assert pay_with_saved(shop)["statusCode"] == 201


def test_a_bank_of_these_tests_can_do_both() -> None:
    """The set-ups that these tests refuse are refused for their gateway's word alone."""
    assert ScriptedGateway(Shop().clock).capabilities.operations > WITHOUT.operations
