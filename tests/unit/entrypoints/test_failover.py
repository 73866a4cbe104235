"""A payment of which a gateway certainly took nothing goes to the next one within the request; a doubt never does.

Juspay's router retries only what is technical and certain (https://docs.juspay.io/, "smart retries"); a doubt that is
sent elsewhere is how shops charge twice: https://github.com/woocommerce/woocommerce-gateway-stripe/issues/1943.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import MisconfiguredError
from payonce.entrypoints.http import serve
from payonce.entrypoints.payment_routes import ROUTES
from payonce.ports import Table
from payonce.stores.memory import MemoryDatabase
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.events import Context
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BODY = {"amount_minor": 1000, "currency": "EUR", "payment_method": "pm_visa"}
NAMES = ("bank_a", "bank_b", "bank_c")


class Shop:
    """Three banks behind the router, each as scripted."""

    def __init__(
        self,
        weights: Sequence[float] = (1, 0.0, 0.0),
        own_gateway: str = "",
        method_types: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self.clock = ManualClock()
        kinds: list[dict[str, Any]] = [
            {"name": name, "kind": "sandbox_bank", "url": "http://127.0.0.1:1"}
            | ({"payment_method_types": method_types[name]} if name in method_types else {})
            for name in NAMES
        ]
        settings = load_settings(
            {
                "PAYONCE_GATEWAYS": json.dumps(kinds),
                "PAYONCE_ROUTING": json.dumps({"weights": dict(zip(NAMES, weights, strict=True))}),
                "PAYONCE_ROUTING_MODE": "off",
            }
        )
        self.banks = {name: ScriptedGateway(self.clock, name=name) for name in NAMES}
        self.database = MemoryDatabase()
        self.application = Application(
            settings,
            clock=self.clock,
            database=self.database,
            gateways=self.banks,  # type: ignore[arg-type]
        )
        self.own_gateway = own_gateway

    def pay(
        self, key: str = "a-key-of-its-own-1", milliseconds: int = 25_000, method_type: str = "card"
    ) -> dict[str, Any]:
        event = {
            "httpMethod": "POST",
            "pathParameters": None,
            "multiValueHeaders": {"X-Idempotency-Key": [key], "Content-Type": ["application/json"]},
            "body": json.dumps(BODY | {"payment_method_type": method_type}),
            "requestContext": {
                "authorizer": {"merchant_id": "mer_1", "scopes": "payments:write", "gateway": self.own_gateway},
                "requestId": "r",
            },
        }
        return serve(ROUTES["create_payment"], self.application, event, Context(milliseconds))

    def sent(self) -> list[str]:
        return [name for name in NAMES for _ in self.banks[name].submissions]


def test_what_was_never_sent_goes_to_the_next_gateway_and_is_charged_once() -> None:
    shop = Shop((0.5, 0.3, 0.2))
    for bank in shop.banks.values():
        bank.script = ["never"]
    first = next(iter(shop.banks))
    refused = [name for name in NAMES if name != "bank_b"]
    shop.banks["bank_b"].script = []
    answer = shop.pay()
    payment = json.loads(answer["body"])
    assert answer["statusCode"] == 201, first
    assert payment["gateway"] == "bank_b"
    assert set(payment["passed_over"]) <= set(refused)
    assert len(shop.banks["bank_b"].succeeded()) == 1
    again = shop.pay()
    assert (again["body"], again["headers"]["Idempotency-Replayed"]) == (answer["body"], "true")
    references = {row.gateway_reference for bank in shop.banks.values() for row in bank.submissions}
    assert len(references) == len(shop.sent())  # each gateway is sent a reference of its own


@pytest.mark.parametrize("word", ["lost", "booked_lost", "decline"])
def test_a_doubt_and_a_decline_stay_where_they_are(word: str) -> None:
    """Fails (two gateways charged) when a lost answer counts as never sent."""
    shop = Shop((0.4, 0.3, 0.3))
    for bank in shop.banks.values():
        bank.script = [word]
        bank.lookup_fails = True
    shop.pay()
    assert len(shop.sent()) == 1


def test_a_merchant_of_one_gateway_stays_there() -> None:
    """Its tokens are that gateway's."""
    shop = Shop((0.4, 0.3, 0.3), own_gateway="bank_c")
    shop.banks["bank_c"].script = ["never"]
    assert (shop.pay()["statusCode"], shop.sent()) == (503, ["bank_c"])


def test_a_gateway_that_gets_nothing_is_no_way_out() -> None:
    """An operator's weight of nothing means nothing. Fails when the last resort of the router is taken."""
    shop = Shop((1.0, 0.0, 0.0))
    shop.banks["bank_a"].script = ["never"]
    assert (shop.pay()["statusCode"], shop.sent()) == (503, ["bank_a"])


def test_when_all_take_nothing_nothing_is_stored_and_the_key_is_free() -> None:
    shop = Shop((0.4, 0.3, 0.3))
    for bank in shop.banks.values():
        bank.script = ["never"]
    assert shop.pay()["statusCode"] == 503
    assert sorted(shop.sent()) == sorted(NAMES)
    assert not shop.database._tables[Table.IDEMPOTENCY]
    assert shop.pay()["statusCode"] == 201


def test_without_time_for_another_gateway_none_is_asked() -> None:
    """Fails (a lease that ends before the answer) when the next gateway gets what is left."""
    shop = Shop((0.4, 0.3, 0.3))
    for bank in shop.banks.values():
        bank.script = ["never"]
    assert shop.pay(milliseconds=11_000)["statusCode"] == 503
    assert len(shop.sent()) == 1


def test_the_second_claim_is_another_claim() -> None:
    """A delete of the first claim that arrives late names its claim id. Fails (the second claim is gone, and a copy
    charges again) when both claims have one identity.
    """
    shop = Shop((0.5, 0.5, 0.0))
    shop.banks["bank_a"].script = shop.banks["bank_b"].script = ["never"]
    claims: list[tuple[str, int]] = []
    write = shop.database.write

    def watched(writes: Any) -> None:
        claims.extend(
            (one.item["claim_id"], one.item["fence"])
            for one in writes
            if hasattr(one, "item") and "claim_id" in one.item
        )
        write(writes)

    shop.database.write = watched  # type: ignore[method-assign]
    shop.pay()
    assert len(claims) == len(set(claims)) == 2


def test_a_method_type_goes_to_the_gateways_that_take_it_alone() -> None:
    """Fails (a voucher sent to a bank of cards) when a gateway's types are not looked at by the router."""
    shop = Shop((0.5, 0.3, 0.2), method_types={"bank_a": ["card"], "bank_b": ["card", "wallet"]})
    for number in range(20):
        assert shop.pay(f"a-voucher-of-its-own-{number}", method_type="voucher")["statusCode"] == 201
    assert set(shop.sent()) == {"bank_c"}


@pytest.mark.parametrize("own_gateway", ["", "bank_a"])
def test_a_method_type_that_no_gateway_takes_is_refused_before_anything_is_stored(own_gateway: str) -> None:
    """Fails (503, or a claim) when the refusal is left to the gateway's adapter."""
    shop = Shop((1.0, 0.0, 0.0), own_gateway, {name: ["card"] for name in NAMES})
    answer = shop.pay(method_type="voucher")
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["type"]) == (400, "urn:payonce:problem:invalid-request")
    assert problem["errors"][0]["pointer"] == "/payment_method_type"
    assert not shop.sent()
    assert not shop.database._tables[Table.IDEMPOTENCY]
    assert shop.pay()["statusCode"] == 201  # the key is free


def test_a_key_that_began_is_answered_after_its_method_type_was_taken_away() -> None:
    """Fails (400 for a payment that was made) when the refusal comes before the replay."""
    shop = Shop()
    first = shop.pay(method_type="voucher")
    assert first["statusCode"] == 201
    fewer = Shop(method_types={name: ["card"] for name in NAMES})
    fewer.application = Application(
        fewer.application.settings, clock=shop.clock, database=shop.database, gateways=shop.banks
    )
    again = fewer.pay(method_type="voucher")
    assert (again["body"], again["headers"]["Idempotency-Replayed"]) == (first["body"], "true")
    assert fewer.pay("a-key-of-its-own-2", method_type="voucher")["statusCode"] == 400


@pytest.mark.parametrize("listed", [[], ["cards"], "card", ["pay_later"]])
def test_types_that_a_gateway_can_not_do_are_named_at_start_up(listed: object) -> None:
    entry = {"name": "nl", "kind": "mollie", "payment_method_types": listed}
    with pytest.raises(MisconfiguredError, match="payment_method_types of nl must be a list of some of bank_debit"):
        load_settings({"PAYONCE_GATEWAYS": json.dumps([entry])})
