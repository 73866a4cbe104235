"""A movement that was booked twice: found, reversed by an entry of ours alone, and proved gone by a later run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.corrections.following import break_of
from payonce.corrections.policy import Policy
from payonce.corrections.record import CorrectionStatus
from payonce.domain.errors import SelfApprovalRefused
from payonce.domain.gateway import OperationKind
from payonce.domain.ledger import JournalEntry, Movement, MovementKind, charge, reversed_postings
from payonce.payments.journal import correction_writes, entries_of
from payonce.payments.payment_reads import get_balances
from payonce.reconciliation.cases.recording import RunCounts
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.corrections import corrections_in, deadline, identity_of
from tests.support.world import MERCHANT
from tests.unit.corrections.test_workflow import close
from tests.unit.reconciliation.test_runs import Desk

if TYPE_CHECKING:
    from payonce.corrections.workflow import Corrections
    from payonce.reconciliation.cases.case import Case

_S = CorrectionStatus
MAKER, CHECKER = "key_maker/ann", "key_checker/ben"


def entries(desk: Desk, payment_id: str) -> list[JournalEntry]:
    return list(entries_of(desk.database, MERCHANT, payment_id))


def booked_twice(desk: Desk) -> Case:
    """Pay once and book it twice, as a migration might; return the case that a run opens of it."""
    reference = desk.pay("a-key")
    payment_id = reference.rpartition("-")[0]
    (first,) = [entry for entry in entries(desk, payment_id) if entry.movement is not None]
    assert first.movement is not None
    again = JournalEntry(
        merchant_id=MERCHANT,
        payment_id=payment_id,
        version=99,
        currency="EUR",
        description="imported",
        break_id="brk_imported",
        booked_at_ms=desk.world.clock.now_ms() + 1,
        postings=charge("bank", 1000),
        movement=Movement(
            kind=MovementKind.CHARGE,
            gateway="bank",
            gateway_reference=reference,
            gateway_payment_id=first.movement.gateway_payment_id,
            payer="pm_visa",
        ),
    )
    desk.database.write(correction_writes(again))
    desk.report(("charge", reference, 10))
    assert desk.run(hours=1).counts == RunCounts(opened=1)
    (case,) = desk.opened()
    assert (case.break_class, case.subject[2]) == (BreakClass.DUPLICATE_POSTING, again.entry_id)
    assert desk.workflows.started == [(case.break_id, 1)]
    return case


def payable(desk: Desk) -> int:
    rows = get_balances(desk.world.services, MERCHANT)["data"]
    assert sum(row["balance_minor"] for row in rows) == 0
    return {str(row["account"]): int(row["balance_minor"]) for row in rows}["merchant_payable"]


def waiting(desk: Desk) -> tuple[Case, Corrections]:
    case = booked_twice(desk)
    corrections = corrections_in(desk.world, Policy())
    step = corrections.advance(break_of(case), deadline(desk.world))
    assert (step.correction.status, step.correction.kind) == (_S.AWAITING_APPROVAL, "reversal")
    return case, corrections


def test_what_was_booked_twice_is_reversed_once_and_proved_gone() -> None:
    """Fails when the reversal names no entry (a later run finds it still), sums to anything, or is booked twice."""
    desk = Desk()
    case, corrections = waiting(desk)
    identity = identity_of(break_of(case))
    assert payable(desk) == -2000
    corrections.propose(identity, amount_minor=1000, actor=MAKER)
    with pytest.raises(SelfApprovalRefused):
        corrections.approve(identity, proposal_version=2, actor=MAKER)
    corrections.approve(identity, proposal_version=2, actor=CHECKER)
    submitted = len(desk.world.gateway.submissions)
    desk.world.clock.ms += 1_000
    for _ in range(3):
        ended = corrections.execute(identity, deadline(desk.world)).correction
        assert (ended.status, ended.outcome, ended.updated_at_ms) == (_S.CORRECTED, "executed", desk.world.clock.ms)
    assert len(desk.world.gateway.submissions) == submitted
    assert desk.world.gateway.succeeded(OperationKind.REFUND) == []
    reversing = [entry for entry in entries(desk, case.payment_id or "") if entry.break_id == case.break_id]
    assert [entry.movement and entry.movement.reverses_entry_id for entry in reversing] == [case.subject[2]]
    assert sum(posting.amount_minor for posting in reversing[0].postings) == 0
    assert payable(desk) == -1000

    assert desk.run(hours=1).counts == RunCounts(closed=1)


def test_an_entry_that_was_reversed_meanwhile_is_not_reversed_again() -> None:
    """Fails when the journal is not read again under the approval."""
    desk = Desk()
    case, corrections = waiting(desk)
    identity = identity_of(break_of(case))
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    other = replace(break_of(case), subject=("bank", "another", case.subject[2]))
    (duplicate,) = [entry for entry in entries(desk, case.payment_id or "") if entry.entry_id == case.subject[2]]
    assert duplicate.movement is not None
    desk.database.write(
        correction_writes(
            JournalEntry(
                merchant_id=MERCHANT,
                payment_id=case.payment_id or "",
                version=1,
                currency="EUR",
                description="by hand",
                booked_at_ms=desk.world.clock.now_ms(),
                postings=reversed_postings(charge("bank", 1000)),
                break_id=other.break_id,
                movement=replace(duplicate.movement, reverses_entry_id=case.subject[2]),
            )
        )
    )
    after = corrections.execute(identity, deadline(desk.world)).correction
    assert (after.status, after.outcome) == (_S.FAILED, "nothing_left")
    assert payable(desk) == -1000


def test_an_entry_whose_break_is_over_is_not_reversed() -> None:
    """Fails when an approval outlives the finding that it is of: the only entry left would be reversed."""
    desk = Desk()
    case, corrections = waiting(desk)
    identity = identity_of(break_of(case))
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    close(desk.world, break_of(case))
    desk.world.clock.ms += 1_000
    after = corrections.execute(identity, deadline(desk.world)).correction
    assert (after.status, after.outcome) == (_S.REJECTED, "break_closed")
    assert after.updated_at_ms == desk.world.clock.ms
    assert payable(desk) == -2000


def test_a_break_of_an_entry_that_is_not_there_is_for_a_person() -> None:
    desk = Desk()
    case = booked_twice(desk)
    stranger = replace(break_of(case), subject=("bank", case.subject[1], "je_of_nobody"))
    step = corrections_in(desk.world, Policy()).advance(stranger, deadline(desk.world))
    assert (step.correction.status, step.correction.outcome) == (_S.MANUAL, "entry_not_found")
