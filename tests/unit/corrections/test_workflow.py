"""The steps of a correction: what is decided, by whom, and that nothing is given back twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.corrections.policy import Policy
from payonce.corrections.record import CorrectionStatus
from payonce.domain.errors import CorrectionStateConflict, SelfApprovalRefused
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.corrections import (
    AUTOMATIC,
    check_corrected,
    corrections_in,
    deadline,
    double_charge,
    duplicate_capture,
    identity_of,
)
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.corrections.workflow import Corrections, Identity
    from payonce.reconciliation.model import Break

MAKER, CHECKER = "key_maker", "key_checker"
_S = CorrectionStatus


@pytest.fixture
def world() -> World:
    return World()


def waiting(world: World) -> tuple[Corrections, Identity, Break]:
    """Return a correction that waits for its approval."""
    found = duplicate_capture(world)
    corrections = corrections_in(world, Policy())
    assert corrections.advance(found, deadline(world)).correction.status is _S.AWAITING_APPROVAL
    return corrections, identity_of(found), found


@pytest.mark.parametrize("make", [duplicate_capture, double_charge])
def test_what_the_policy_lets_pass_is_given_back_once(world: World, make: Callable[[World], Break]) -> None:
    """Each driver starts from the beginning, as a new process does."""
    found = make(world)
    for _ in range(3):
        assert corrections_in(world).advance(found, deadline(world)).correction.status is _S.CORRECTED
    check_corrected(world, found)


def test_after_the_keys_window_it_is_still_once(world: World) -> None:
    """The correction's own record outlives the idempotency record, whose guard is 30 days."""
    found = duplicate_capture(world)
    corrections_in(world).advance(found, deadline(world))
    world.clock.ms += 40 * 24 * 3_600_000
    assert corrections_in(world).advance(found, deadline(world)).correction.status is _S.CORRECTED
    check_corrected(world, found)


def test_a_surplus_that_is_only_authorized_is_voided_and_books_nothing(world: World) -> None:
    found = duplicate_capture(world, CaptureMethod.MANUAL)
    assert corrections_in(world).advance(found, deadline(world)).correction.status is _S.CORRECTED
    assert len(world.gateway.succeeded(OperationKind.VOID)) == 1
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_the_charge_of_the_payment_itself_is_no_surplus(world: World) -> None:
    """Fails when the engine's word is taken: the sale's only charge would be given back."""
    found = duplicate_capture(world)
    own = world.gateway.bookings[0].outcome.gateway_charge_id  # type: ignore[union-attr]
    step = corrections_in(world).advance(replace(found, surplus_gateway_payment_id=own), deadline(world))
    assert step.correction.status is _S.MANUAL
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_what_somebody_gave_back_already_is_corrected_without_an_effect(world: World) -> None:
    """Fails when the gateway is not read again before deciding."""
    found = duplicate_capture(world)
    by_hand(world, found)
    assert corrections_in(world).advance(found, deadline(world)).correction.outcome == "already_given_back"
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1


def test_what_somebody_gave_back_while_approval_waited_is_not_given_back_again(world: World) -> None:
    """Fails when the effect does not read the charge again."""
    corrections, identity, found = waiting(world)
    by_hand(world, found)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    assert corrections.execute(identity, deadline(world)).correction.outcome == "already_given_back"
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1


def test_a_gateway_that_can_not_be_asked_is_asked_later(world: World) -> None:
    """Fails when "unknown" counts as "not refunded"."""
    found = duplicate_capture(world)
    world.gateway.lookup_fails = True
    step = corrections_in(world).advance(found, deadline(world))
    assert (step.retry_later, step.correction.status) == (True, _S.OPEN)
    world.gateway.lookup_fails = False
    assert corrections_in(world).advance(found, deadline(world)).correction.status is _S.CORRECTED


def test_a_class_without_an_action_is_for_a_person(world: World) -> None:
    found = replace(duplicate_capture(world), break_class=BreakClass.MISSING_IN_LEDGER)
    assert corrections_in(world).advance(found, deadline(world)).correction.status is _S.MANUAL
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_nobody_approves_what_they_proposed(world: World) -> None:
    """Fails without the comparison of approver and proposer."""
    corrections, identity, _ = waiting(world)
    proposed = corrections.propose(identity, amount_minor=900, actor=MAKER)
    for decide in (corrections.approve, corrections.reject):
        with pytest.raises(SelfApprovalRefused):
            decide(identity, proposal_version=proposed.proposal_version, actor=MAKER)
    assert world.gateway.succeeded(OperationKind.REFUND) == []
    assert corrections.approve(identity, proposal_version=2, actor=CHECKER).status is _S.APPROVED


def test_a_repeated_approval_is_a_no_op(world: World) -> None:
    """Fails when an approval is an event and not a state: the second one would be refused, or executed again."""
    corrections, identity, found = waiting(world)
    first = corrections.approve(identity, proposal_version=1, actor=CHECKER)
    assert corrections.approve(identity, proposal_version=1, actor=CHECKER) == first
    corrections.execute(identity, deadline(world))
    again = corrections.approve(identity, proposal_version=1, actor=CHECKER)
    assert again.status is _S.CORRECTED
    corrections.execute(identity, deadline(world))
    check_corrected(world, found)


def test_an_approval_is_of_the_proposal_that_was_seen(world: World) -> None:
    """Fails when the version is not compared: 1000 would be approved by who has seen 900."""
    corrections, identity, _ = waiting(world)
    corrections.propose(identity, amount_minor=900, actor=MAKER)
    with pytest.raises(CorrectionStateConflict):
        corrections.approve(identity, proposal_version=1, actor=CHECKER)


def test_a_rejected_or_late_correction_is_not_executed(world: World) -> None:
    corrections, identity, _ = waiting(world)
    world.clock.ms += (Policy().approval_seconds + 1) * 1000
    with pytest.raises(CorrectionStateConflict):
        corrections.approve(identity, proposal_version=1, actor=CHECKER)
    assert corrections.execute(identity, deadline(world)).correction.status is _S.EXPIRED
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_the_kill_switch_stops_what_is_approved_too(world: World) -> None:
    """Fails when the switch is only looked at where it is decided."""
    corrections, identity, _ = waiting(world)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    step = corrections_in(world, replace(AUTOMATIC, enabled=False)).execute(identity, deadline(world))
    assert step.retry_later
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_an_answer_that_is_lost_is_resolved_by_recovery(world: World) -> None:
    """Fails when recovery does not know the claims of corrections."""
    found = duplicate_capture(world)
    world.gateway.script = ["booked_lost"]
    world.gateway.visible_after_ms = 10_000
    assert corrections_in(world).advance(found, deadline(world)).retry_later
    world.clock.ms += 120_000
    assert world.recover().concluded == 1
    assert corrections_in(world).advance(found, deadline(world)).correction.status is _S.CORRECTED
    check_corrected(world, found)


def test_a_declined_refund_fails_and_stays_failed(world: World) -> None:
    found = duplicate_capture(world)
    world.gateway.script = ["decline"]
    for _ in range(2):
        assert corrections_in(world).advance(found, deadline(world)).correction.status is _S.FAILED
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def by_hand(world: World, found: Break) -> None:
    """Refund the surplus at the gateway, as somebody in its dashboard would."""
    charge = world.gateway.submissions[0]
    world.gateway.submit(
        replace(
            charge,
            kind=OperationKind.REFUND,
            gateway_reference="dashboard",
            gateway_charge_id=found.surplus_gateway_payment_id,
        ),
        deadline(world),
    )
