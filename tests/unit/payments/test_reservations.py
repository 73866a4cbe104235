"""What a claim of a follow-up or of a correction requires, one attribute at a time.

The claim and its reservation are one transaction, so what is not required there is checked nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import CorrectionStateConflict, PaymentStateConflict, WriteConflict
from payonce.domain.gateway import CaptureMethod, ChargeState, OperationKind, Succeeded
from payonce.idempotency.records import Claim, IdempotencyRecord, InDoubt, RecordStatus
from payonce.payments.corrective import corrective_work
from payonce.payments.corrective_plan import APPROVED, CorrectivePlan, case_key, correction_key, left_minor
from payonce.payments.payment_items import payment_key
from payonce.payments.stored_payments import keep_head
from payonce.ports import Adjust, Deadline, Insert, Table
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.ports import Key


def authorized(world: World) -> str:
    location = world.create("first", capture=CaptureMethod.MANUAL).response.headers["location"]
    identity = location.split("/")[-1]
    keep_head(world.database, MERCHANT, identity)
    return identity


def changed(world: World, key: Key, **attributes: Any) -> None:
    world.database.write([Adjust(table=Table.PAYMENTS, key=key, set=attributes)])


@pytest.mark.parametrize("state", ["after a capture of a part", "with a capture of a part in flight"])
def test_a_void_is_of_all_that_is_not_captured_or_not_at_all(state: str) -> None:
    """Fails when a void requires less than that all of the payment, or of what was not captured, is there still.

    The gateway would free the hold under a captured part; the books would say "voided" of money that was taken.
    """
    world = World()
    identity = authorized(world)
    if state == "with a capture of a part in flight":
        world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    world.follow_up(OperationKind.CAPTURE, identity, "capture", 400)
    in_flight = state == "with a capture of a part in flight"
    for amount_minor in (*([None] if in_flight else []), 600, 400, 1000):
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
    [{"correction_status": "awaiting_approval"}, {"proposal_version": 3}, {"proposal_version": 1}, {"attempt": 2}],
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
    world, plan, key = approved(known=known)
    changed(world, key, **different)
    work = corrective_work(plan, lambda _name: world.gateway, world.services)
    with pytest.raises(CorrectionStateConflict):
        world.engine.execute(world.request("brk_1", "correct_break"), work)
    assert world.gateway.succeeded(OperationKind.REFUND) == []
    changed(world, key, **STORED)
    work = corrective_work(plan, lambda _name: world.gateway, world.services)
    assert world.engine.execute(world.request("brk_1", "correct_break"), work).response.status == 201


@pytest.mark.parametrize("status", ["corrected", "rejected", "awaiting_approval"])
def test_a_correction_ends_only_once(status: str) -> None:
    """Fails when the end is written whatever stands there: what a person decided meanwhile would be overwritten."""
    world, plan, key = approved(known=False)
    changed(world, key, correction_status=status)
    with pytest.raises(WriteConflict):
        world.database.write([plan.mark_write(Succeeded("ch_0", "re_1"), world.clock.now_ms())])


def test_what_was_sent_is_not_taken_for_what_somebody_else_gave_back() -> None:
    """The claim was released under its owner, which begins again with the same work.

    Fails when the charge is read again: what is gone from it is the owner's own refund, and it would be marked "already
    given back", booked by nobody.
    """
    world, plan, _ = approved(known=False)
    world.gateway.script, world.gateway.visible_after_ms = ["booked_lost"], 60_000
    work = corrective_work(plan, lambda _name: world.gateway, world.services)
    record = IdempotencyRecord(
        record_id="r",
        status=RecordStatus.IN_PROGRESS,
        claim_id="c",
        fence=1,
        fingerprint="f",
        created_at_ms=0,
        expires_at_ms=0,
        lease_expires_at_ms=0,
    )
    claim = Claim(record, Deadline(world.clock.now_ms() + 25_000))
    assert isinstance(work.start(claim), InDoubt)
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1
    assert isinstance(work.start(claim), InDoubt)
    assert len(world.gateway.submissions) == 2  # the payment, and the refund once


@pytest.mark.parametrize(
    ("state", "left"),
    [
        (ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="EUR"), 1000),
        (ChargeState(captured_minor=1000, refunded_minor=999, voided=False, currency="EUR"), 1),
        (ChargeState(captured_minor=1000, refunded_minor=0, voided=True, currency="EUR"), 0),
    ],
)
def test_of_a_voided_charge_nothing_is_left(state: ChargeState, left: int) -> None:
    """Fails when a void does not count as given back."""
    assert left_minor(state) == left


STORED = {"correction_status": APPROVED, "proposal_version": 2, "revision": 1, "attempt": 1}


def approved(*, known: bool) -> tuple[World, CorrectivePlan, Key]:
    """Return a world with a payment, the plan of its approved correction, and where that is stored."""
    world = World()
    identity = world.create("first").response.headers["location"].split("/")[-1]
    key = correction_key(MERCHANT, identity, "brk_1")
    world.database.write([Insert(Table.PAYMENTS, {**key, **STORED})])
    world.database.write([Insert(Table.RECONCILIATION, {**case_key("brk_1"), "version": 1})])
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
    return world, plan, key
