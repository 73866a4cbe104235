"""The steps of a correction: what is decided, by whom, and that nothing is given back twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.corrections.correction_lists import corrections_with_status
from payonce.corrections.policy import Policy
from payonce.corrections.record import CorrectionStatus
from payonce.domain.errors import (
    AmountExceedsAvailable,
    CorrectionStateConflict,
    GatewayUnavailable,
    KeyExpired,
    KeyInProgress,
    LeaseLost,
    OutcomeUnknown,
    SelfApprovalRefused,
)
from payonce.domain.gateway import CaptureMethod, Instruction, OperationKind
from payonce.domain.ledger import JournalEntry, Movement, MovementKind, recognition, reversed_postings
from payonce.idempotency.fingerprint import canonical_json, fingerprint
from payonce.idempotency.keys import record_id
from payonce.payments.corrective_plan import OPERATION, corrective_reference
from payonce.payments.journal import entries_of
from payonce.ports import Table
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.match_store import MatchStore
from payonce.reconciliation.cases.recording import record_run
from payonce.reconciliation.manual import Match, RowRef
from payonce.reconciliation.taxonomy import BreakClass
from payonce.stores.memory_workflows import MemoryWorkflows
from tests.support.corrections import (
    AUTOMATIC,
    check_corrected,
    corrections_in,
    deadline,
    double_charge,
    duplicate_capture,
    identity_of,
)
from tests.support.world import MERCHANT, REMEMBERING, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.corrections.record import Correction
    from payonce.corrections.workflow import Corrections, Identity
    from payonce.ports import Write
    from payonce.reconciliation.model import Break

MAKER, CHECKER = "key_maker/ann", "key_checker/ben"
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


@pytest.mark.parametrize("make", [duplicate_capture, double_charge])
def test_a_failure_that_the_gateway_keeps_ends_the_attempt(world: World, make: Callable[[World], Break]) -> None:
    """Fails when its refund is sent anew under a second reference, for which no run looks in the gateway's report."""
    found = make(world)
    world.gateway.capabilities, world.gateway.script = REMEMBERING, ["remembered"]
    corrections = corrections_in(world)
    asked = len(world.gateway.submissions)
    corrections.advance(found, deadline(world))
    for _ in range(5):
        world.clock.ms += 61_000
        world.recover()
    ended = corrections.advance(found, deadline(world)).correction
    assert (ended.status, ended.outcome) == (_S.FAILED, "not_executed")
    assert [sent.gateway_reference for sent in world.gateway.submissions[asked:]] == [
        corrective_reference(found.break_id)
    ]


@pytest.mark.parametrize("word", ["ok", "lost"])
def test_what_is_sent_and_booked_of_a_surplus_names_its_own_charge(world: World, word: str) -> None:
    """By its request, and by recovery. Fails when a member is another charge's: a run would find it for ever."""
    found = duplicate_capture(world)
    own = world.gateway.submissions[0]
    begun_at_ms, sent_before = world.clock.now_ms(), len(world.gateway.submissions)
    world.gateway.script = [word]
    corrections = corrections_in(world)
    corrections.advance(found, deadline(world))
    claim_id = record_id(MERCHANT, OPERATION, f"{found.break_id}-1")
    if word == "lost":
        open_claim = world.store.get(claim_id)
        assert open_claim is not None
        assert (open_claim.lane, open_claim.resource) == ("bank", f"/payments/{found.payment_id}")
        assert open_claim.claim_id.startswith("cor_")
    world.clock.ms += 61_000 if word == "lost" else 0
    world.recover()
    assert corrections.advance(found, deadline(world)).correction.status is _S.CORRECTED
    instruction = Instruction(
        kind=OperationKind.REFUND,
        gateway_reference=corrective_reference(found.break_id),
        merchant_id=MERCHANT,
        payment_id=found.payment_id or "",
        money=own.money,
        capture_method=own.capture_method,
        payment_method=own.payment_method,
        gateway_charge_id=found.surplus_gateway_payment_id,
        first_submitted_at_ms=begun_at_ms,
    )
    sent = world.gateway.submissions[sent_before:]
    assert sent == [instruction] * (1 if word == "ok" else 2)
    came = JournalEntry(
        merchant_id=MERCHANT,
        payment_id=found.payment_id or "",
        version=1,
        currency="EUR",
        description="correction.recognised",
        booked_at_ms=world.clock.now_ms(),
        postings=recognition("bank", 1000),
        break_id=found.break_id,
        movement=Movement(
            kind=MovementKind.CHARGE,
            gateway="bank",
            gateway_reference=own.gateway_reference,
            gateway_payment_id=found.surplus_gateway_payment_id,
            payer=None,
            idempotency_record_id=claim_id,
        ),
    )
    assert came.movement is not None
    went = replace(
        came,
        version=2,
        description="correction.reversed",
        postings=reversed_postings(recognition("bank", 1000)),
        movement=replace(
            came.movement, kind=MovementKind.REFUND, gateway_reference=corrective_reference(found.break_id)
        ),
    )
    entries = entries_of(world.database, MERCHANT, found.payment_id or "")
    assert [entry for entry in entries if entry.break_id] == [came, went]


def test_another_release_knows_the_claim_of_the_same_correction(world: World) -> None:
    """Fails when the request's fingerprint changes: the claim would be refused as another request's, for good."""
    found = duplicate_capture(world)
    world.gateway.script = ["lost"]
    corrections_in(world).advance(found, deadline(world))
    open_claim = world.store.get(record_id(MERCHANT, OPERATION, f"{found.break_id}-1"))
    assert open_claim is not None
    said = {"amount_minor": 1000, "kind": "refund", "charge": found.surplus_gateway_payment_id}
    assert open_claim.fingerprint == fingerprint("POST", "correct_break", {}, canonical_json(said))


def test_what_is_not_certain_leaves_the_correction_approved() -> None:
    """Fails when a driver breaks at it, or ends a correction that may have been executed."""
    for error in (
        GatewayUnavailable("nobody answers"),
        KeyInProgress("another driver has it", retry_after_seconds=1),
        KeyExpired("weeks ago", resource="/payments/pay_1"),
        LeaseLost("another driver has it"),
        OutcomeUnknown("no answer"),
    ):
        world = World()
        corrections, identity, _ = waiting(world)
        corrections.approve(identity, proposal_version=1, actor=CHECKER)

        def raising(*_: object, error: Exception = error) -> None:
            raise error

        world.engine.execute = raising  # type: ignore[method-assign, assignment]
        assert corrections.execute(identity, deadline(world)).correction.status is _S.APPROVED


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


def test_a_charge_that_can_never_be_read_is_for_a_person(world: World) -> None:
    """Fails when it is asked about again and again: nobody would ever give the surplus back."""
    found = duplicate_capture(world)
    world.gateway.capabilities = replace(world.gateway.capabilities, reads_charges=False)
    step = corrections_in(world).advance(found, deadline(world))
    assert (step.correction.status, step.correction.outcome) == (_S.MANUAL, "charge_not_readable")
    assert world.gateway.succeeded(OperationKind.REFUND) == []


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
    off = corrections_in(world, replace(AUTOMATIC, enabled=False))
    for _ in range(2):
        step = off.execute(identity, deadline(world))
        assert (step.retry_later, step.correction.held_since_ms) == (True, world.clock.ms)
    assert off.outlook(step.correction).held_by == "kill_switch"
    assert world.gateway.succeeded(OperationKind.REFUND) == []
    after = corrections.execute(identity, deadline(world)).correction
    assert (after.status, after.held_since_ms) == (_S.CORRECTED, 0)
    assert [each["status"] for each in after.log] == ["checked", "awaiting_approval", "approved"]


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


def test_a_decision_wakes_the_workflow_after_it_is_stored_and_again_when_repeated(world: World) -> None:
    """Fails when the token is sent before the decision is stored, or a lost one is never sent again."""
    found = duplicate_capture(world)
    notifier = Lossy(world, found)
    corrections = corrections_in(world, Policy(), notifier)
    corrections.advance(found, deadline(world))
    identity = identity_of(found)
    corrections.wait(identity, "token-1")
    notifier.fails = True
    with pytest.raises(OutcomeUnknown):
        corrections.approve(identity, proposal_version=1, actor=CHECKER)
    assert corrections.load(identity).status is _S.APPROVED
    notifier.fails = False
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    assert notifier.woken == ["token-1"]
    assert notifier.seen == [_S.APPROVED, _S.APPROVED]


def test_a_workflow_that_comes_to_wait_for_what_is_decided_is_woken(world: World) -> None:
    """The approval comes between look and wait. Fails when its token is only stored: it would wait for an hour."""
    found = duplicate_capture(world)
    notifier = MemoryWorkflows()
    corrections = corrections_in(world, Policy(), notifier)
    corrections.advance(found, deadline(world))
    identity = identity_of(found)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    assert notifier.woken == []
    corrections.wait(identity, "token-1")
    assert notifier.woken == ["token-1"]


def test_a_workflow_that_waits_anew_makes_nothing_younger_and_stops_no_approval(world: World) -> None:
    """Fails when a new token makes a second event of the wait, or an approval beside it a conflict to the approver."""
    corrections, identity, _ = waiting(world)
    before = corrections.load(identity)
    world.clock.ms += 3_600_000
    corrections.wait(identity, "token-2")
    after = corrections.load(identity)
    assert (after.updated_at_ms, after.log, after.expires_at_ms) == (
        before.updated_at_ms,
        before.log,
        before.expires_at_ms,
    )
    beside = Beside(corrections, identity, world)
    assert beside.approve().status is _S.APPROVED


def test_what_nobody_decided_in_time_expires_and_is_begun_anew_once(world: World) -> None:
    """Fails when an approval of the first attempt counts for the second one, or the same attempt begins it twice."""
    corrections, identity, found = waiting(world)
    assert corrections.reconsider(identity).retry_later
    world.clock.ms += (Policy().approval_seconds + 1) * 1000
    assert corrections.reconsider(identity).correction.status is _S.EXPIRED
    assert corrections.start(found).status is _S.EXPIRED
    for _ in range(2):
        assert corrections.start(found, attempt=2).attempt == 2
    corrections.reread(identity, deadline(world))
    assert corrections.decide(identity).correction.status is _S.AWAITING_APPROVAL
    with pytest.raises(CorrectionStateConflict):
        corrections.approve(identity, proposal_version=1, actor=CHECKER)
    corrections.approve(identity, proposal_version=2, actor=CHECKER)
    done = corrections.execute(identity, deadline(world)).correction
    assert [entry["status"] for entry in done.log if entry["attempt"] == 1] == [
        "checked",
        "awaiting_approval",
        "expired",
    ]
    check_corrected(world, found)


def test_a_break_that_a_run_has_closed_is_not_corrected(world: World) -> None:
    """Fails when the claim does not require the case to be open."""
    corrections, identity, found = waiting(world)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    close(world, found)
    after = corrections.execute(identity, deadline(world)).correction
    assert (after.status, after.outcome) == (_S.REJECTED, "break_closed")
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_a_break_that_a_person_has_matched_is_not_corrected(world: World) -> None:
    """Fails when money goes back for a break of which a person has said meanwhile that it is none, and by whom."""
    corrections, identity, found = waiting(world)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    case = CaseStore(world.database).get(found.break_id)
    rows = (RowRef("ledger", "je_1"), RowRef("gateway", "bank|t1"))
    match = Match(match_id="mat_1", rows=rows, reason="one order", by="operator:anna", at_ms=1)
    world.database.write(MatchStore(world.database).writes_of(match, [case], merchant_id=None))
    after = corrections.execute(identity, deadline(world)).correction
    assert (after.status, after.outcome) == (_S.REJECTED, "break_matched")
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_a_break_that_is_closed_between_look_and_claim_is_not_corrected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the case is looked at before the claim alone, and not in its transaction."""
    corrections, identity, found = waiting(world)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    write = world.database.write

    def closing(writes: Sequence[Write]) -> None:
        if any(each.table is Table.IDEMPOTENCY for each in writes):
            monkeypatch.undo()
            close(world, found)
        write(writes)

    monkeypatch.setattr(world.database, "write", closing)
    assert corrections.execute(identity, deadline(world)).retry_later
    after = corrections.execute(identity, deadline(world)).correction
    assert (after.status, after.outcome) == (_S.REJECTED, "break_closed")
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_a_break_that_is_reopened_between_look_and_claim_is_not_corrected_unseen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the claim of a case that was over only requires it to be open: the case would not change with it, so
    that a run which read it before could close it while the money is on the way.
    """
    corrections, identity, found = waiting(world)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    close(world, found)
    write = world.database.write

    def reopening(writes: Sequence[Write]) -> None:
        if any(each.table is Table.IDEMPOTENCY for each in writes):
            monkeypatch.undo()
            world.clock.ms += 1_000
            record_run(
                CaseStore(world.database), "run_3", [found], as_of_ms=world.clock.now_ms(), covers=lambda _case: True
            )
        write(writes)

    monkeypatch.setattr(world.database, "write", reopening)
    after = corrections.execute(identity, deadline(world)).correction
    assert CaseStore(world.database).get(found.break_id).status is CaseStatus.OPEN
    assert (after.status, after.outcome) == (_S.REJECTED, "break_closed")
    assert world.gateway.succeeded(OperationKind.REFUND) == []


def test_a_correction_that_another_driver_sends_meanwhile_is_not_ended_by_what_this_one_saw(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a refusal ends whatever correction is there by then: the refund on its way would be in no books.

    Another refund was in flight and leaves too little. It is declined, so the next driver's claim passes.
    """
    corrections, identity, found = waiting(world)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)

    def refused(*_: object) -> None:
        monkeypatch.undo()
        world.gateway.script = ["booked_lost"]
        world.gateway.visible_after_ms = 10_000
        assert corrections_in(world, Policy()).execute(identity, deadline(world)).retry_later
        raise AmountExceedsAvailable("Too little is left.")

    monkeypatch.setattr(world.engine, "execute", refused)
    step = corrections.execute(identity, deadline(world))
    assert (step.correction.status, step.retry_later) == (_S.APPROVED, True)
    world.clock.ms += 120_000
    assert world.recover().concluded == 1
    assert corrections.load(identity).status is _S.CORRECTED
    check_corrected(world, found)


def test_a_refund_that_was_sent_before_its_break_was_closed_is_booked(world: World) -> None:
    """Fails when a closed case ends a correction whose claim is there: its refund would be in nobody's books."""
    corrections, identity, found = waiting(world)
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    world.gateway.script = ["booked_lost"]
    world.gateway.visible_after_ms = 10_000
    assert corrections.execute(identity, deadline(world)).retry_later
    close(world, found)
    world.clock.ms += 120_000
    assert corrections.execute(identity, deadline(world)).correction.status is _S.CORRECTED
    check_corrected(world, found)


def test_lists_say_what_the_records_say(world: World) -> None:
    """Fails when the index is fed by another attribute than the one that decides."""
    corrections, identity, found = waiting(world)

    def listed(status: CorrectionStatus) -> list[str]:
        return [each.break_id for each in corrections_with_status(world.database, status)]

    assert listed(_S.AWAITING_APPROVAL) == [found.break_id]
    corrections.approve(identity, proposal_version=1, actor=CHECKER)
    assert (listed(_S.AWAITING_APPROVAL), listed(_S.APPROVED)) == ([], [found.break_id])
    corrections.execute(identity, deadline(world))
    assert (listed(_S.APPROVED), listed(_S.CORRECTED)) == ([], [found.break_id])


class Lossy(MemoryWorkflows):
    """Notes where the correction stands when it is told of a decision, and loses what it is told."""

    def __init__(self, world: World, found: Break) -> None:
        super().__init__()
        self._world, self._found = world, found
        self.fails = False
        self.seen: list[CorrectionStatus] = []

    def decided(self, task_token: str) -> None:
        """See ``ApprovalNotifier``."""
        stored = corrections_in(self._world).load(identity_of(self._found))
        self.seen.append(stored.status)
        if self.fails:
            raise OutcomeUnknown("lost")
        super().decided(task_token)


class Beside:
    """An approver between whose look and change the workflow stores a new token."""

    def __init__(self, corrections: Corrections, identity: Identity, world: World) -> None:
        self._corrections, self._identity, self._world = corrections, identity, world
        self._looks = 0

    def approve(self) -> Correction:
        """Approve, with the workflow in between once."""
        approver = corrections_in(self._world, Policy())
        look = approver.load

        def between(identity: Identity) -> Correction:
            seen = look(identity)
            self._looks += 1
            if self._looks == 1:
                self._corrections.wait(identity, "token-3")
            return seen

        approver.load = between  # type: ignore[method-assign]
        return approver.approve(self._identity, proposal_version=1, actor=CHECKER)


def close(world: World, found: Break) -> None:
    """A later run finds it no more."""
    world.clock.ms += 1_000
    counts = record_run(
        CaseStore(world.database),
        "run_2",
        [],
        as_of_ms=world.clock.now_ms(),
        covers=lambda case: case.break_id == found.break_id,
    )
    assert counts.closed == 1


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
