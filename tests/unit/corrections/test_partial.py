"""A correction of a part of a surplus: the rest stays correctable, and what is booked is never a finding of its own.

Peers keep the charged amount and what of it was refunded apart, and take further refunds until nothing is left: Stripe's
``amount`` and ``amount_refunded`` (https://docs.stripe.com/api/charges/object, https://docs.stripe.com/refunds).
"""

from __future__ import annotations

import pytest

from payonce.corrections.following import break_of
from payonce.corrections.policy import Policy
from payonce.corrections.record import CorrectionStatus
from payonce.domain.gateway import OperationKind
from payonce.domain.ledger import RECONCILIATION_SUSPENSE
from payonce.payments.reads import get_balances
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.corrections import corrections_in, deadline, identity_of
from tests.support.world import MERCHANT
from tests.unit.corrections.test_closure import report_of_the_bank
from tests.unit.reconciliation.test_runs import Desk

CHECKER, MAKER = "key_checker", "key_maker"
CHARGED_MINOR = 2011
_S = CorrectionStatus


def charged_twice(desk: Desk) -> None:
    desk.world.create("a-key", amount_minor=CHARGED_MINOR)
    desk.world.gateway.submit(desk.world.gateway.submissions[-1], deadline(desk.world))
    report_of_the_bank(desk)
    desk.run(hours=1)


def balances(desk: Desk) -> dict[str, int]:
    rows = get_balances(desk.world.services, MERCHANT)["data"]
    return {str(row["account"]): int(row["balance_minor"]) for row in rows}


def at_the_bank(desk: Desk) -> int:
    return sum(
        (-1 if booking.instruction.kind is OperationKind.REFUND else 1) * booking.instruction.money.amount_minor
        for booking in desk.world.gateway.succeeded()
    )


@pytest.mark.parametrize("part_minor", [1, 700, 1005, 1006, 1311, 2010])
def test_a_partial_correction_makes_no_finding_of_its_own(part_minor: int) -> None:
    """Fails when only the part is booked as the charge: the gateway's report has all of it, so the entry matches
    nothing, and its reversal is proposed.
    """
    desk = Desk()
    charged_twice(desk)
    (case,) = desk.opened()
    assert case.break_class is BreakClass.DUPLICATE_CAPTURE
    corrections, identity = corrections_in(desk.world, Policy()), identity_of(break_of(case))
    corrections.advance(break_of(case), deadline(desk.world))
    proposed = corrections.propose(identity, amount_minor=part_minor, actor=MAKER)
    corrections.approve(identity, proposal_version=proposed.proposal_version, actor=CHECKER)
    assert corrections.execute(identity, deadline(desk.world)).correction.status is _S.CORRECTED
    for _ in range(3):
        desk.world.clock.ms += 1_000
        report_of_the_bank(desk)
        report = desk.run(hours=48)
        assert report.counts.opened == 0
        assert [each.break_id for each in desk.opened()] == [case.break_id]
    assert balances(desk)["gateway_receivable:bank"] == at_the_bank(desk)
    assert balances(desk)[RECONCILIATION_SUSPENSE] == part_minor - CHARGED_MINOR
