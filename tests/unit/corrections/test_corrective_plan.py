"""The plan of a correction: its names, what is left of a charge, and what its writes require and change."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import ChargeState, Declined, DisputeStatus, OperationKind, Succeeded
from payonce.idempotency.keys import record_id
from payonce.payments.corrective_plan import (
    CorrectivePlan,
    address_beside,
    case_key,
    correction_key,
    corrective_reference,
    is_undecided,
    left_minor,
    operation_id_of,
)
from payonce.payments.rules import NeverExecuted
from payonce.ports import Adjust, Table
from tests.support.corrections import corrections_in, deadline, double_charge
from tests.support.disputes import dispute
from tests.support.payments import stored_payment
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.payments.payment_work import Result

S = DisputeStatus
CHARGE = ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="EUR")
PLAN = CorrectivePlan(
    kind=OperationKind.REFUND,
    break_id="brk_1",
    merchant_id="mer_1",
    payment_id="pay_1",
    gateway="bank",
    gateway_charge_id="ch_2",
    amount_minor=400,
    currency="EUR",
    known=False,
    proposal_version=3,
    created_at_ms=7,
    attempt=2,
)


def test_a_claim_of_another_release_is_found_by_its_key() -> None:
    """Fails when a release names the operation anew: what an earlier one has claimed would be claimed once more."""
    world = World()
    found = double_charge(world)
    corrections_in(world).advance(found, deadline(world))
    assert world.store.get(record_id(MERCHANT, "correct_break", f"{found.break_id}-1")) is not None


def test_an_attempts_names_are_the_same_in_every_release() -> None:
    """Fails when a release names it anew: a correction that an earlier release has sent would be sent again."""
    assert operation_id_of("brk_1") == "cor_c22c47fd2932b48f8a557119c4106d7d1630219a"
    assert PLAN.identity == operation_id_of("brk_1", 2) == "cor_fc978424aecc422002d23a5adcf5d854ef00a9e5"
    assert PLAN.gateway_reference == corrective_reference("brk_1", 2) == f"{PLAN.identity}-1"
    assert corrective_reference("brk_1") == f"{operation_id_of('brk_1')}-1"
    assert correction_key("mer_1", "pay_1", "brk_1") == {"pk": "mer_1#pay_1", "sk": "CORRECTION#brk_1"}
    assert case_key("brk_1") == {"pk": "BREAK#brk_1", "sk": "CASE"}


@pytest.mark.parametrize("changes", [{}, {"recognised_minor": 1000, "charge_reference": "pay_1-1"}, {"spent": True}])
def test_a_plan_comes_back_from_its_claim(changes: dict[str, Any]) -> None:
    """Fails when a member is lost, or when a claim's plan is not known as a correction's."""
    plan = replace(PLAN, **changes)
    data = json.loads(json.dumps(plan.to_data()))
    assert CorrectivePlan.from_data(data) == plan
    assert (data["correction"], data["gateway_references"]) == (True, [plan.gateway_reference])


def test_an_attempt_that_names_no_charge_to_book_books_none() -> None:
    """Fails when the charge is recognised twice, by a part of an attempt that comes after the first."""
    named = {name: value for name, value in PLAN.to_data().items() if not name.startswith(("recognised", "charge_ref"))}
    assert CorrectivePlan.from_data(named) == PLAN
    assert CorrectivePlan.from_data(named).to_data()["recognised_minor"] == 0


@pytest.mark.parametrize(
    ("gateway", "account", "address"),
    [
        ("bank", "", "bank"),
        ("bank", "acct_1", "bank#mer_1#acct_1"),
        ("another", "acct_1", "another"),  # no report names the account: the platform's, or nobody knows it
    ],
)
def test_a_surplus_charge_is_looked_for_beside_its_payment(gateway: str, account: str, address: str) -> None:
    """Fails when another account is asked, which answers "not found"."""
    payment = replace(stored_payment("mer_1", "pay_1", captured=True), account=account)
    assert address_beside(payment, gateway) == address


@pytest.mark.parametrize(
    ("changes", "left", "undecided"),
    [
        ({}, 1000, False),
        ({"voided": True, "captured_minor": 0}, 0, False),
        ({"refunded_minor": 300}, 700, False),
        ({"refunded_minor": 300, "reversed_minor": 200}, 500, False),
        ({"disputes": (dispute(S.EVIDENCE_DUE, 600),)}, 400, True),
        ({"disputes": (dispute(S.UNDER_REVIEW, 600), dispute(S.LOST, 100))}, 300, True),
        ({"disputes": (dispute(S.LOST, 600),)}, 400, False),
        ({"disputes": (dispute(S.EVIDENCE_DUE, 0), dispute(S.WON, 0))}, 1000, False),  # an inquiry holds no money
        ({"disputes": (dispute(S.EVIDENCE_DUE, 600, currency="USD"),)}, 1000, True),
        ({"refunded_minor": 800, "disputes": (dispute(S.LOST, 600),)}, -400, False),
    ],
)
def test_what_is_left_of_a_charge(changes: dict[str, Any], left: int, undecided: bool) -> None:
    """Fails when the payer would be given back what they have, or amounts of two currencies are added up."""
    state = replace(CHARGE, **changes)
    assert (left_minor(state), is_undecided(state)) == (left, undecided)


def test_a_claim_requires_the_proposal_that_was_approved_and_changes_its_revision() -> None:
    """Fails when another proposal is executed, or who read the correction before the claim may still end it."""
    assert PLAN.claim_write() == Adjust(
        table=Table.PAYMENTS,
        key=correction_key("mer_1", "pay_1", "brk_1"),
        require={"correction_status": "approved", "proposal_version": 3, "attempt": 2},
        add={"revision": 1},
        set={"claimed_at_ms": 7, "claimed_attempt": 2},
    )


@pytest.mark.parametrize(
    ("result", "status", "outcome"),
    [
        (Succeeded("ch_2", "op_1"), "corrected", "executed"),
        (Declined("expired_card", "No."), "failed", "expired_card"),
        (NeverExecuted(), "failed", "not_executed"),
    ],
)
def test_a_correction_ends_as_its_gateway_says(result: Result, status: str, outcome: str) -> None:
    """Fails when it ends although it is not approved any more, or is told as something else."""
    assert PLAN.mark_write(result, 9) == Adjust(
        table=Table.PAYMENTS,
        key=correction_key("mer_1", "pay_1", "brk_1"),
        require={"correction_status": "approved"},
        set={"correction_status": status, "outcome": outcome, "updated_at_ms": 9},
    )


def test_what_was_given_back_is_added_to_its_case_as_a_change_of_it() -> None:
    """Fails when a run that read the case before can still close it."""
    assert PLAN.case_write(9) == Adjust(
        table=Table.RECONCILIATION,
        key=case_key("brk_1"),
        add={"corrected_minor": 400, "version": 1},
        set={"updated_at_ms": 9},
    )
