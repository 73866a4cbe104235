"""What recovery may conclude from a resubmission, and whom it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import WriteConflict
from payonce.domain.gateway import OperationKind
from payonce.idempotency.claim_recovery import CARRIED_ON_BY
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import RecordStatus
from payonce.idempotency.window import LEASE_MARGIN_MS
from payonce.payments.payment_work import COMMIT_RESERVE_MS
from payonce.payments.recovery_run import Recovery
from payonce.ports import Adjust, Deadline, Table
from payonce.recovery.messages import AskMessage
from tests.support.world import CAPABILITIES, LATE_VISIBLE_MS, MERCHANT, ManualClock, ScriptedGateway, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.gateway import Instruction, SubmitOutcome
    from payonce.ports import Write

MINUTE_MS = 60_000


def test_a_resubmission_that_was_never_sent_says_nothing_of_the_first_one() -> None:
    """Fails (two bookings) when it releases the claim: the retry would pay under a new reference."""
    world = World()
    world.gateway.capabilities = CAPABILITIES["honouring"]
    world.gateway.script = ["booked_lost", "never"]
    world.gateway.lookup_fails = True
    assert world.create().response.status == 202
    world.clock.ms += MINUTE_MS
    world.recover()
    assert world.gateway.script == []
    world.gateway.lookup_fails = False
    assert world.create().response.status == 202
    world.clock.ms += MINUTE_MS
    world.recover()
    assert world.create().response.status == 201
    assert len(world.gateway.bookings) == 1


def test_a_resubmission_moves_the_horizon() -> None:
    """Fails (two bookings) when "not found" is taken as final for a resubmission that may still show up late.

    ::

        lost ── 40 s ── final "not found": sent again, booked, no answer ── 11 s ── "not found" is not final yet
    """
    world = World()
    world.gateway.capabilities = CAPABILITIES["late"]
    world.gateway.visible_after_ms = LATE_VISIBLE_MS
    world.gateway.script = ["lost", "booked_lost"]
    world.create()
    world.clock.ms += 40_000
    world.recover()
    assert world.gateway.script == []
    asked = len(world.gateway.inquiries)
    world.clock.ms += 11_000  # past the pause before the next inquiry, and before the booking shows
    world.recover()
    assert len(world.gateway.inquiries) == asked + 1
    for _ in range(3):
        world.clock.ms += 11_000
        world.recover()
    assert world.create().response.status == 201
    assert len(world.gateway.bookings) == 1


def test_a_doubt_is_asked_about_at_the_moment_at_which_a_not_found_becomes_final() -> None:
    """Fails when every inquiry backs off alike: the payer would wait for minutes after the answer could be known."""
    world = World()
    world.gateway.capabilities = CAPABILITIES["late"]
    world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    world.create()
    record = world.store.get(record_id(MERCHANT, "create_payment", "key"))
    assert record is not None
    final_at_ms = record.submit_horizon_ms + 30_000
    world.clock.ms = final_at_ms - 15_000
    world.gateway.lookup_fails = False
    for _ in range(2):
        world.clock.ms += 1_000
        world.recover()
        record = world.store.get(record_id(MERCHANT, "create_payment", "key"))
        assert record is not None
        world.clock.ms = record.lease_expires_at_ms
    assert (record.fence, record.lease_expires_at_ms) == (3, final_at_ms)
    world.clock.ms += 1
    world.recover()
    assert world.create().response.status == 201


def test_recovery_knows_that_a_doubt_was_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when it begins as if there were no payment: the transaction is refused, which is paid for like a write."""
    world, refused = World(), list[WriteConflict]()
    write = world.database.write

    def noting(writes: Sequence[Write]) -> None:
        try:
            write(writes)
        except WriteConflict as conflict:
            refused.append(conflict)
            raise

    world.gateway.script = ["lost"]
    world.create()
    monkeypatch.setattr(world.database, "write", noting)
    world.clock.ms += MINUTE_MS
    world.recover()
    assert refused == []
    assert world.create().response.status == 201


def test_a_clock_that_is_ahead_settles_no_doubt_early() -> None:
    """Fails (two bookings) when the horizon is the time on the first owner's machine alone.

    ::

        sent, no answer ──────────── 26 s ──────────── 29 s: shows up ── 30 s: "not found" is final
                                      └ on the second machine 30.9 s are over
    """
    world = World()
    true_time = world.gateway.clock = ManualClock()
    world.gateway.capabilities = CAPABILITIES["late"]
    world.gateway.visible_after_ms = 29_000
    world.gateway.script = ["booked_lost"]
    assert world.create().response.status == 202
    true_time.ms += 26_000
    world.clock.ms = true_time.ms + LEASE_MARGIN_MS - 100
    world.recover()
    assert len(world.gateway.bookings) == 1
    for _ in range(2):
        true_time.ms += 10_000
        world.clock.ms += 10_000
        world.recover()
    assert world.create().response.status == 201
    assert len(world.gateway.bookings) == 1


def test_the_end_of_a_lease_is_kept_free_for_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a submission may last until the deadline: nothing would be left to record its outcome."""
    monkeypatch.setattr("tests.support.world.REQUEST_MS", 2 * COMMIT_RESERVE_MS)
    world = World()
    submit = world.gateway.submit
    left_ms: list[int] = []

    class Measuring(ScriptedGateway):
        def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
            left_ms.append(world.clock.ms + 2 * COMMIT_RESERVE_MS - deadline.at_ms)
            return submit(instruction, deadline)

    world.gateway = Measuring(world.clock)
    world.create()
    assert left_ms == [COMMIT_RESERVE_MS]


def test_recovery_leaves_a_live_owner_alone() -> None:
    """The index of open leases lags behind the records. Fails when recover() trusts the index: it would take the claim
    from an owner that is still at work.
    """
    world = World()
    submit = world.gateway.submit
    recovered: list[bool] = []

    class Busy(ScriptedGateway):
        def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
            open_id = record_id(MERCHANT, "create_payment", "key")
            recovered.append(world.engine.recover(open_id, lambda _: pytest.fail("taken over"), deadline))
            return submit(instruction, deadline)

    world.gateway = Busy(world.clock)
    assert world.create().response.status == 201
    assert recovered == [False]


def test_a_doubt_that_outlasts_the_window_is_still_a_doubt() -> None:
    """Fails when the window also ends for what is in doubt: the client would be told that it was executed."""
    world = World()
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    first = world.create()
    world.clock.ms += 25 * 60 * MINUTE_MS
    world.recover()
    assert world.create().response == first.response
    assert first.response.status == 202
    assert len(world.gateway.submissions) == 1


def refund_in_doubt(world: World) -> str:
    """Leave a refund in doubt, whose claim does not name its gateway; return the claim's id."""
    location = world.create("first").response.headers["location"]
    world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    world.follow_up(OperationKind.REFUND, location.split("/")[-1], "key")
    world.gateway.lookup_fails = False
    return record_id(MERCHANT, "refund", "key")


def recovery_of(world: World, asked: list[object]) -> Recovery:
    """Return the world's recovery; ``asked`` gets each address whose gateway it wants."""

    def named(address: object) -> ScriptedGateway:
        asked.append(address)
        return world.gateway

    return Recovery(engine=world.engine, services=world.services, gateway_named=named)


def test_a_claim_of_a_silent_gateway_is_left_alone_and_no_other_one() -> None:
    """Whether the claim names its gateway or not. Fails when it is taken over, or when all claims wait with it."""
    for names_it in (True, False):
        world, asked = World(), list[object]()
        if names_it:
            world.gateway.script, world.gateway.lookup_fails = ["lost"], True
            world.create()
            world.gateway.lookup_fails = False
        open_id = record_id(MERCHANT, "create_payment", "key") if names_it else refund_in_doubt(world)
        world.clock.ms += MINUTE_MS
        before = world.store.get(open_id)
        assert before is not None
        assert before.lane == ("bank" if names_it else "")
        recovery, deadline = recovery_of(world, asked), Deadline(world.clock.ms + 25_000)
        silent = AskMessage(lane="", claims=(), silent=frozenset({"bank"}))
        assert recovery.recover(open_id, deadline, silent) is False
        assert world.store.get(open_id) == before
        assert len(asked) == (0 if names_it else 1)  # only a claim that does not say it costs a look
        asked.clear()
        others = AskMessage(lane="", claims=(), silent=frozenset({"another"}))
        assert recovery.recover(open_id, deadline, others) is True
        assert len(asked) == (1 if names_it else 2)


def test_where_nobody_is_silent_no_claim_is_looked_into_before_its_takeover() -> None:
    """Fails when each claim that does not name its gateway costs two reads."""
    world, asked = World(), list[object]()
    open_id = refund_in_doubt(world)
    world.clock.ms += MINUTE_MS
    assert recovery_of(world, asked).recover(open_id, Deadline(world.clock.ms + 25_000)) is True
    assert len(asked) == 1


def test_a_claim_that_is_all_in_its_commit_waits_for_no_gateway() -> None:
    """Fails, or breaks, when it is asked for its gateway because one is silent."""
    world = World()
    open_id = refund_in_doubt(world)
    plan = {"kind": "webhook_endpoint.create"}
    world.database.write([Adjust(table=Table.IDEMPOTENCY, key={"id": open_id}, set={"plan": plan})])
    world.clock.ms += MINUTE_MS
    silent = AskMessage(lane="", claims=(), silent=frozenset({"bank"}))
    assert recovery_of(world, []).recover(open_id, Deadline(world.clock.ms + 25_000), silent) is True
    assert world.store.get(open_id) is None


def test_a_claim_that_another_recovery_carries_on_is_left_to_it() -> None:
    """Fails when it is taken over, or counts as one that this recovery still has to conclude."""
    world, asked = World(), list[object]()
    open_id = refund_in_doubt(world)
    plan = {"kind": "request", CARRIED_ON_BY: "proxy"}
    world.database.write([Adjust(table=Table.IDEMPOTENCY, key={"id": open_id}, set={"plan": plan})])
    world.clock.ms += MINUTE_MS
    before, deadline = world.store.get(open_id), Deadline(world.clock.ms + 25_000)
    recovery = recovery_of(world, asked)
    assert recovery.recover(open_id, deadline) is None
    assert (world.store.get(open_id), asked) == (before, [])
    assert recovery.recover("a claim that is gone by now", deadline) is False


def test_news_of_a_doubt_are_asked_about_before_its_turn() -> None:
    """Fails when what an event tells has to wait for the pause."""
    world = World()
    open_id = refund_in_doubt(world)
    recovery, deadline = recovery_of(world, []), Deadline(world.clock.ms + 25_000)
    world.clock.ms = deadline.at_ms - 24_000
    assert recovery.recover(open_id, deadline) is False
    world.gateway.elsewhere(OperationKind.REFUND, 1)
    world.gateway.bookings[-1].instruction = world.gateway.submissions[-1]  # it was executed
    assert recovery.recover(open_id, deadline, early=True) is True


def test_news_of_a_claim_at_work_leave_it_to_its_owner() -> None:
    """Fails when an event takes a claim over whose owner may still send: two owners, two refunds."""
    world, asked = World(), list[object]()
    open_id = refund_in_doubt(world)
    running = {"status": RecordStatus.IN_PROGRESS.value, "lease_expires_at_ms": world.clock.ms + 10_000}
    world.database.write([Adjust(table=Table.IDEMPOTENCY, key={"id": open_id}, set=running)])
    before = world.store.get(open_id)
    assert recovery_of(world, asked).recover(open_id, Deadline(world.clock.ms + 25_000), early=True) is False
    assert (world.store.get(open_id), asked) == (before, [])
