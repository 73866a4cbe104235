"""After a capture of a part, a void releases the rest, and only the rest.

Mollie releases "the full remaining authorized amount" (https://docs.mollie.com/reference/release-authorization), and
Vipps asks shops to do so at once (https://developer.vippsmobilepay.com/docs/APIs/epayment-api/api-guide/operations/cancel/).
Stripe and Adyen release it by themselves with the first capture: there nothing is left to void.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.errors import AmountExceedsAvailable, PaymentStateConflict
from payonce.domain.gateway import CaptureMethod, OperationKind
from tests.support.told import MINUTE_MS, balances, body, history, payment_id
from tests.support.world import World

CAPTURED_MINOR = 400


def part_captured(world: World, amount_minor: int = CAPTURED_MINOR) -> str:
    identity = payment_id(world.create(capture=CaptureMethod.MANUAL))
    world.follow_up(OperationKind.CAPTURE, identity, "part", amount_minor)
    return identity


def test_the_rest_is_released_and_what_is_captured_stays() -> None:
    """Fails when a void takes the whole amount for what it covers: the hold's account would go below zero."""
    world = World()
    identity = part_captured(world)
    voided = body(world.follow_up(OperationKind.VOID, identity, "void"))
    assert (voided["amount_minor"], voided["payment"]["status"]) == (600, "captured")
    assert {name: voided["payment"][name] for name in ("captured_minor", "capturable_minor", "refundable_minor")} == {
        "captured_minor": CAPTURED_MINOR,
        "capturable_minor": 0,
        "refundable_minor": CAPTURED_MINOR,
    }
    assert balances(world) == {"gateway_receivable:bank": 400, "merchant_payable": -400}
    with pytest.raises(PaymentStateConflict):
        world.follow_up(OperationKind.CAPTURE, identity, "capture", 1)
    assert body(world.follow_up(OperationKind.REFUND, identity, "refund"))["payment"]["status"] == "refunded"
    assert balances(world) == {}
    assert history(world, identity) == [
        "payment.authorized",
        "capture.succeeded_in_part",
        "void.succeeded_in_part",
        "refund.succeeded",
    ]


def test_the_key_replays_after_nothing_is_left() -> None:
    world = World()
    identity = part_captured(world)
    first = world.follow_up(OperationKind.VOID, identity, "void")
    again = world.follow_up(OperationKind.VOID, identity, "void")
    assert (again.response, again.replayed) == (first.response, True)
    with pytest.raises(PaymentStateConflict):
        world.follow_up(OperationKind.VOID, identity, "another")


def test_a_refund_before_it_keeps_the_status() -> None:
    world = World()
    identity = part_captured(world)
    world.follow_up(OperationKind.REFUND, identity, "refund", 100)
    assert body(world.follow_up(OperationKind.VOID, identity, "void"))["payment"]["status"] == "partially_refunded"
    assert balances(world) == {"gateway_receivable:bank": 300, "merchant_payable": -300}


def test_a_capture_in_flight_excludes_it_and_the_other_way_round() -> None:
    """Fails (a capture and a release of the same money) when the void asks for no exact remainder."""
    world = World()
    identity = part_captured(world)
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    assert world.follow_up(OperationKind.CAPTURE, identity, "second", 300).response.status == 202
    with pytest.raises(PaymentStateConflict):
        world.follow_up(OperationKind.VOID, identity, "void")
    world.gateway.lookup_fails = False
    world.clock.ms += MINUTE_MS
    world.recover()
    world.gateway.script, world.gateway.lookup_fails = ["booked_lost"], True
    assert world.follow_up(OperationKind.VOID, identity, "void-2").response.status == 202
    with pytest.raises((PaymentStateConflict, AmountExceedsAvailable)):
        world.follow_up(OperationKind.CAPTURE, identity, "third", 300)
    world.gateway.lookup_fails = False
    world.clock.ms += MINUTE_MS
    world.recover()
    assert history(world, identity)[-1] == "void.succeeded_in_part"
    assert balances(world) == {"gateway_receivable:bank": 700, "merchant_payable": -700}


@pytest.mark.parametrize("word", ["decline", "never"])
def test_a_void_that_was_not_executed_gives_the_rest_back(word: str) -> None:
    world = World()
    identity = part_captured(world)
    world.gateway.script = [word]
    if word == "decline":
        assert world.follow_up(OperationKind.VOID, identity, "void").response.status == 402
    else:
        with pytest.raises(Exception, match="refused"):
            world.follow_up(OperationKind.VOID, identity, "void")
    assert world.follow_up(OperationKind.CAPTURE, identity, "rest", 600).response.status == 201


def test_where_a_capture_releases_the_rest_itself_nothing_is_left_to_void() -> None:
    world = World()
    world.gateway.capabilities = replace(world.gateway.capabilities, multiple_captures=False)
    identity = part_captured(world)
    with pytest.raises(PaymentStateConflict):
        world.follow_up(OperationKind.VOID, identity, "void")
