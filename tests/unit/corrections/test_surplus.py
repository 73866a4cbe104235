"""Only a surplus is given back, and all of it: what changes while an approval waits is seen before the money moves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.corrections.policy import Policy
from payonce.corrections.record import CorrectionStatus
from payonce.domain.gateway import OperationKind
from payonce.domain.money import Money
from tests.support.corrections import corrections_in, deadline, duplicate_capture, identity_of
from tests.support.world import World

if TYPE_CHECKING:
    from payonce.reconciliation.model import Break

CHECKER = "key_checker"
_S = CorrectionStatus


@pytest.fixture
def world() -> World:
    return World()


def give_back_by_hand(world: World, found: Break, amount_minor: int) -> None:
    """Refund a part of the surplus at the gateway, as somebody in its dashboard would."""
    world.gateway.submit(
        replace(
            world.gateway.submissions[0],
            kind=OperationKind.REFUND,
            gateway_reference="dashboard",
            gateway_charge_id=found.surplus_gateway_payment_id,
            money=Money(amount_minor, "EUR"),
        ),
        deadline(world),
    )


def test_a_surplus_of_which_only_a_part_was_given_back_meanwhile_is_not_corrected(world: World) -> None:
    """Fails when any refund made by hand counts as the whole: the payer would be left without the rest, unseen."""
    found = duplicate_capture(world)
    corrections, identity = corrections_in(world, Policy()), identity_of(found)
    corrections.advance(found, deadline(world))
    give_back_by_hand(world, found, 1)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    after = corrections.execute(identity, deadline(world)).correction
    assert (after.status, after.outcome) == (_S.FAILED, "partly_given_back")
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1
