"""The work of a correction by itself: what the charge shows right before the submission, and what each end writes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import GatewayUnavailable
from payonce.domain.gateway import ChargeState, Declined, DisputeStatus, NotFound, OperationKind, Succeeded, Unknown
from payonce.idempotency.records import Claim, Completed, Draft, IdempotencyRecord, RecordStatus, Released
from payonce.payments.corrective import GiveBackSurplus
from payonce.payments.corrective_plan import CorrectivePlan, case_key, correction_key
from payonce.payments.corrective_refund import CorrectiveRefund
from payonce.payments.journal import correction_writes
from payonce.payments.payment_work import Doubted
from payonce.payments.rules import NeverExecuted
from payonce.ports import Adjust
from tests.support.corrections import deadline
from tests.support.disputes import dispute
from tests.support.told import payment_id
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.domain.gateway import ChargeOutcome
    from payonce.payments.payment_work import Result
    from payonce.ports import Write

S = DisputeStatus
REFUND, VOID = OperationKind.REFUND, OperationKind.VOID
CHARGE = ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="EUR")
DONE, NO = Succeeded("ch_surplus", "op_1"), Declined("expired_card", "The card has expired.")


def plan_of(world: World, **changes: Any) -> CorrectivePlan:
    """Return the plan of a correction of a new payment."""
    return replace(
        CorrectivePlan(
            kind=REFUND,
            break_id="brk_1",
            merchant_id=MERCHANT,
            payment_id=payment_id(world.create("of the payment")),
            gateway="bank",
            gateway_charge_id="ch_surplus",
            amount_minor=400,
            currency="EUR",
            known=False,
            proposal_version=1,
            created_at_ms=world.clock.ms,
            recognised_minor=1000,
            charge_reference="pay_1-1",
        ),
        **changes,
    )


def claim_of(world: World) -> Claim:
    record = IdempotencyRecord(
        record_id="r",
        status=RecordStatus.IN_PROGRESS,
        claim_id="cor_1",
        fence=1,
        fingerprint="f",
        created_at_ms=world.clock.ms,
        expires_at_ms=world.clock.ms + 1,
        lease_expires_at_ms=world.clock.ms + 1,
    )
    return Claim(record, deadline(world))


def written(draft: Draft, plan: CorrectivePlan) -> dict[str, Write]:
    """Return the draft's writes of the correction and of its case, by which of them they change."""
    keys = {
        "correction": correction_key(plan.merchant_id, plan.payment_id, plan.break_id),
        "case": case_key(plan.break_id),
    }
    return {
        name: write
        for name, key in keys.items()
        for write in draft.writes
        if isinstance(write, Adjust) and write.key == key
    }


def outcome_of(draft: Draft, plan: CorrectivePlan) -> object:
    mark = written(draft, plan)["correction"]
    assert isinstance(mark, Adjust)
    return mark.set["outcome"]


SENT = "sent"
type Row = tuple[dict[str, Any], int, str]


def check(kind: OperationKind, *rows: Row) -> None:
    """Check of a charge with these changes, and this amount to give back, what becomes of the correction."""
    for changes, amount_minor, outcome in rows:
        world = World()
        plan = plan_of(world, amount_minor=amount_minor, kind=kind)
        shown = replace(CHARGE, **changes)
        world.gateway.read_charge = lambda *_, shown=shown: shown  # type: ignore[method-assign]
        sent_before = len(world.gateway.submissions)
        work = GiveBackSurplus(plan, lambda _at, world=world: world.gateway, world.services)
        conclusion = work.start(claim_of(world))
        assert isinstance(conclusion, Completed)
        draft = conclusion.draft()
        assert isinstance(draft, Draft)
        assert len(world.gateway.submissions) - sent_before == (1 if outcome == SENT else 0)
        assert outcome_of(draft, plan) == ("executed" if outcome == SENT else outcome)
        assert ("case" in written(draft, plan)) == (outcome == SENT)
        assert draft.response.status == (201 if outcome in {SENT, "already_given_back"} else 402)


def test_a_refund_is_sent_only_where_all_of_it_is_left() -> None:
    """Fails when more is given back than the merchant has, or a part counts as the whole."""
    check(
        REFUND,
        ({}, 1000, SENT),
        ({"refunded_minor": 600}, 400, SENT),
        ({"refunded_minor": 601}, 400, "partly_given_back"),
        ({"refunded_minor": 999}, 400, "partly_given_back"),
        ({"refunded_minor": 1000}, 400, "already_given_back"),
        ({"captured_minor": 1, "refunded_minor": 1}, 1, "already_given_back"),
    )


def test_a_void_is_sent_only_where_it_was_not_made() -> None:
    """Fails when a charge of which nothing was captured counts as given back, or is voided twice."""
    check(
        VOID, ({"captured_minor": 0}, 1000, SENT), ({"captured_minor": 0, "voided": True}, 1000, "already_given_back")
    )


def test_what_a_dispute_holds_is_not_given_back_beside_it() -> None:
    """Fails when the payer gets it twice, or a dispute holds up what is left beside it."""
    check(
        REFUND,
        ({"disputes": (dispute(S.EVIDENCE_DUE, 600),)}, 400, SENT),
        ({"disputes": (dispute(S.EVIDENCE_DUE, 100),)}, 400, SENT),
        ({"disputes": (dispute(S.EVIDENCE_DUE, 601),)}, 400, "disputed"),
        ({"disputes": (dispute(S.LOST, 601),)}, 400, "partly_given_back"),
        ({"disputes": (dispute(S.LOST, 1000),)}, 400, "already_given_back"),
    )


@pytest.mark.parametrize("shown", [Unknown("no answer"), NotFound()])
def test_a_charge_that_can_not_be_read_again_is_not_refunded(shown: ChargeOutcome) -> None:
    """Fails, or breaks, when it is sent although nobody knows what is left of the charge."""
    world = World()
    work = GiveBackSurplus(plan_of(world), lambda _at: world.gateway, world.services)
    world.gateway.read_charge = lambda *_: shown  # type: ignore[method-assign]
    sent_before = len(world.gateway.submissions)
    conclusion = work.start(claim_of(world))
    assert isinstance(conclusion, Released)
    assert isinstance(conclusion.error, GatewayUnavailable)
    assert len(world.gateway.submissions) == sent_before


@pytest.mark.parametrize("kind", [VOID, REFUND])
def test_only_what_was_given_back_is_booked(kind: OperationKind) -> None:
    """Fails when a refusal adds to the case or the books, a void does to the books, or a doubt ends the correction."""
    world = World()
    plan = plan_of(world, kind=kind)
    work = GiveBackSurplus(plan, lambda _at: world.gateway, world.services)
    assert work.draft(Doubted()).writes == ()
    for refusal in (NO, NeverExecuted()):
        assert work.draft(refusal).writes == [plan.mark_write(refusal, world.clock.ms)]
    booked = correction_writes(*work._entries(world.clock.ms)) if kind is REFUND else []
    ended = [plan.mark_write(DONE, world.clock.ms), plan.case_write(world.clock.ms)]
    assert work.draft(DONE).writes == [*ended, *booked]


@pytest.mark.parametrize("result", [DONE, NO, NeverExecuted(), Doubted()], ids=lambda result: type(result).__name__)
def test_a_known_payments_refund_ends_its_correction_too(result: Result) -> None:
    """Fails when a refusal adds to the case, or a doubt ends the correction."""
    world = World()
    plan = plan_of(world, known=True)
    draft = CorrectiveRefund(plan, lambda _at: world.gateway, world.services).draft(result)
    expected: dict[str, Write] = {}
    if not isinstance(result, Doubted):
        expected["correction"] = plan.mark_write(result, world.clock.ms)
    if isinstance(result, Succeeded):
        expected["case"] = plan.case_write(world.clock.ms)
    assert written(draft, plan) == expected


def test_the_answer_says_what_was_corrected_and_why_not() -> None:
    """Fails when a doubt, or a refusal, is answered like a success."""
    world = World()
    plan = plan_of(world)
    refusal = {"code": "expired_card", "message": "The card has expired."}
    results: tuple[tuple[Result, int, dict[str, str]], ...] = (
        (DONE, 201, {}),
        (Doubted(), 202, {}),
        (NO, 402, refusal),
        (NeverExecuted(), 402, {}),
    )
    for result, status, more in results:
        response = GiveBackSurplus(plan, lambda _at: world.gateway, world.services).draft(result).response
        assert response.status == status
        assert json.loads(response.body) == {"break_id": "brk_1", "kind": "refund", "amount_minor": 400, **more}
        assert response.headers["location"] == f"/payments/{plan.payment_id}"


def test_no_answer_is_longer_than_the_longest_that_was_allowed_for() -> None:
    """Fails when a refund is sent whose answer could not be stored."""
    world = World()
    work = GiveBackSurplus(plan_of(world), lambda _at: world.gateway, world.services)
    for result in (DONE, Doubted(), NeverExecuted(), Declined("c" * 256, "m" * 256)):
        assert len(work.draft(result).response.body) <= len(work.largest_response().body)


@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.parametrize("work", [GiveBackSurplus, CorrectiveRefund])
def test_each_attempt_is_sent_under_its_own_reference_and_waits_in_its_gateways_lane(
    work: type[GiveBackSurplus | CorrectiveRefund], attempt: int
) -> None:
    """Fails when a second attempt repeats the first one's reference: the gateway answers as it did then."""
    world = World()
    plan = plan_of(world, attempt=attempt, known=work is CorrectiveRefund)
    made = work(plan, lambda _at: world.gateway, world.services)
    claim = made.plan()
    assert (claim.lane, claim.claim_id[:4], claim.data) == ("bank", "cor_", plan.to_data())
    assert made.prepare()[1].gateway_reference == plan.gateway_reference
