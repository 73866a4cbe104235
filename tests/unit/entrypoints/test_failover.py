"""A payment of which a gateway certainly took nothing goes to the next one within the request; a doubt never does.

Juspay's router retries only what is technical and certain (https://docs.juspay.io/, "smart retries"); a doubt that is
sent elsewhere is how shops charge twice: https://github.com/woocommerce/woocommerce-gateway-stripe/issues/1943.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.entrypoints.http import serve
from payonce.entrypoints.payment_routes import ROUTES
from payonce.ports import Table
from payonce.stores.memory import MemoryDatabase
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.events import Context
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Sequence

BODY = {"amount_minor": 1000, "currency": "EUR", "payment_method": "pm_visa"}
NAMES = ("bank_a", "bank_b", "bank_c")


class Shop:
    """Three banks behind the router, each as scripted."""

    def __init__(self, weights: Sequence[float] = (1, 0.0, 0.0), own_gateway: str = "") -> None:
        self.clock = ManualClock()
        kinds = [{"name": name, "kind": "sandbox_bank", "url": "http://127.0.0.1:1"} for name in NAMES]
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

    def pay(self, key: str = "a-key-of-its-own-1", milliseconds: int = 25_000) -> dict[str, Any]:
        event = {
            "httpMethod": "POST",
            "pathParameters": None,
            "multiValueHeaders": {"X-Idempotency-Key": [key], "Content-Type": ["application/json"]},
            "body": json.dumps(BODY),
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
