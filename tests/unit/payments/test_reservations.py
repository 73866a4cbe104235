"""What a claim of a follow-up or of a correction requires, one attribute at a time.

The claim and its reservation are one transaction, so what is not required there is checked nowhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import CorrectionStateConflict, PaymentStateConflict
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.payments.corrective import APPROVED, CorrectivePlan, correction_key, corrective_work
from payonce.payments.items import payment_key
from payonce.ports import Adjust, Insert, Table
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.ports import Key


def authorized(world: World) -> str:
    location = world.create("first", capture=CaptureMethod.MANUAL).response.headers["location"]
    return location.split("/")[-1]


def changed(world: World, key: Key, **attributes: Any) -> None:
    world.database.write([Adjust(table=Table.PAYMENTS, key=key, set=attributes)])


@pytest.mark.parametrize("state", ["after a capture of a part", "with a capture of a part in flight"])
def test_a_void_is_of_the_whole_or_not_at_all(state: str) -> None:
    """Fails when a void requires less than that all of the payment is there still.

    The gateway would free the hold under a captured part; the books would say "voided" of money that was taken.
    """
    world = World()
    identity = authorized(world)
    if state == "with a capture of a part in flight":
        world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    world.follow_up(OperationKind.CAPTURE, identity, "capture", 400)
    for amount_minor in (None, 600, 400, 1000):
        with pytest.raises(PaymentStateConflict):
            world.follow_up(OperationKind.VOID, identity, f"void-{amount_minor}", amount_minor)
    assert world.gateway.succeeded(OperationKind.VOID) == []


@pytest.mark.parametrize("amount_minor", [1, 999])
def test_a_void_of_a_part_is_refused(amount_minor: int) -> None:
    """Fails when what is left, or what the payment is of, is not compared with the void's own amount."""
    world = World()
    identity = authorized(world)
    with pytest.raises(PaymentStateConflict):
        world.follow_up(OperationKind.VOID, identity, "void", amount_minor)
    assert world.gateway.succeeded(OperationKind.VOID) == []


@pytest.mark.parametrize(
    "different",
    [{"status": "captured"}, {"capturable_minor": 1001}, {"amount_minor": 1001}],
    ids=lambda each: str(each),
)
def test_each_thing_that_a_void_requires_is_required_by_itself(different: dict[str, Any]) -> None:
    """Fails when that one condition is taken out."""
    world = World()
    identity = authorized(world)
    changed(world, payment_key(MERCHANT, identity), **different)
    with pytest.raises(PaymentStateConflict):
        world.follow_up(OperationKind.VOID, identity, "void", 1000)
    assert world.gateway.succeeded(OperationKind.VOID) == []


@pytest.mark.parametrize(
    "different",
    [{"correction_status": "awaiting_approval"}, {"proposal_version": 3}, {"proposal_version": 1}],
    ids=lambda each: str(each),
)
@pytest.mark.parametrize("known", [True, False])
def test_a_correction_claims_the_proposal_that_was_approved_and_no_other(
    different: dict[str, Any], *, known: bool
) -> None:
    """Fails when the claim does not compare the version, or the status.

    ::

        driver     reads version 2, approved ─────────────────────────▶ claim: requires version 2, refused
        persons                              reject, 3 proposed ─ approved
    """
    world = World()
    identity = world.create("first").response.headers["location"].split("/")[-1]
    key = correction_key(MERCHANT, identity, "brk_1")
    stored = {"correction_status": APPROVED, "proposal_version": 2, "revision": 1}
    world.database.write([Insert(Table.PAYMENTS, {**key, **stored})])
    plan = CorrectivePlan(
        kind=OperationKind.REFUND,
        break_id="brk_1",
        merchant_id=MERCHANT,
        payment_id=identity,
        gateway="bank",
        gateway_charge_id="ch_0",
        amount_minor=1000,
        currency="EUR",
        known=known,
        proposal_version=2,
        created_at_ms=world.clock.now_ms(),
    )
    changed(world, key, **different)
    work = corrective_work(plan, lambda _name: world.gateway, world.services)
    with pytest.raises(CorrectionStateConflict):
        world.engine.execute(world.request("brk_1", "correct_break"), work)
    assert world.gateway.succeeded(OperationKind.REFUND) == []
    changed(world, key, **stored)
    work = corrective_work(replace(plan), lambda _name: world.gateway, world.services)
    assert world.engine.execute(world.request("brk_1", "correct_break"), work).response.status == 201
