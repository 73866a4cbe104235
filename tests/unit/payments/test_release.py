"""An operator's release: what it refuses, what it gives back, and that the key may then be used again."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import (
    GatewayUnavailable,
    LeaseLost,
    MisconfiguredError,
    NotFound,
    ReleaseRefused,
    WriteConflict,
)
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.domain.payment import PaymentStatus
from payonce.domain.setup import MethodStatus
from payonce.idempotency.audit_items import DatabaseAuditTrail
from payonce.idempotency.claim_recovery import CARRIED_ON_BY
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import RecordStatus
from payonce.idempotency.release import MAX_ATTEMPTS, ReleaseOrder
from payonce.idempotency.window import LEASE_MARGIN_MS
from payonce.payments.planning import load_payment
from payonce.payments.recovery_run import release_desk, work_for
from payonce.payments.setups.load import load_method
from payonce.ports import Adjust, Table
from payonce.stores.memory import MemoryDatabase
from payonce.webhooks.commit_work import ManagementWork
from tests.support.setups import events_of
from tests.support.stored import events_in
from tests.support.world import HONOURING, LATE, LATE_VISIBLE_MS, MERCHANT, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.payment import Payment
    from payonce.idempotency.audit import ReleasedBy
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.ports import Gateway, Write

LEASE_MS = 31_000
MANAGEMENT = (
    "payonce.webhooks.manage",
    "payonce.webhooks.redeliver",
    "payonce.reconciliation.cases.case_work",
    "payonce.reconciliation.cases.match_work",
    "payonce.corrections.correction_requests",
)
FINDING = "no charge under this reference"


def stored(world: World, operation: str = "create_payment", key: str = "key") -> IdempotencyRecord:
    record = world.store.get(record_id(MERCHANT, operation, key))
    assert record is not None
    return record


def release(
    world: World,
    record: IdempotencyRecord,
    gateway_named: Callable[[str], Gateway] | None = None,
    **changes: Any,
) -> ReleasedBy:
    order = ReleaseOrder(
        record_id=record.record_id,
        claim_id=record.claim_id,
        fence=record.fence,
        operator="ada",
        reason="ticket 7",
        finding=FINDING,
    )
    desk = release_desk(world.store, gateway_named or (lambda _name: world.gateway), world.services)
    return desk.release(replace(order, **changes))


def payment_of(world: World, record: IdempotencyRecord) -> Payment:
    return load_payment(world.services, MERCHANT, record.resource.split("/")[-1])


def crashed(world: World, act: Any) -> None:
    """Run ``act`` up to its commit, and let its lease end."""

    class Crash(BaseException):
        pass

    complete = world.store.complete
    world.store.complete = lambda *_a, **_k: (_ for _ in ()).throw(Crash())  # type: ignore[method-assign]
    with pytest.raises(Crash):
        act()
    world.store.complete = complete  # type: ignore[method-assign]
    world.clock.ms += LEASE_MS


def in_doubt(world: World) -> IdempotencyRecord:
    world.gateway.script = ["lost"]
    world.create()
    record = stored(world)
    assert record.status is RecordStatus.IN_DOUBT
    world.clock.ms += LEASE_MARGIN_MS  # on no machine's clock can its owner still send
    return record


def test_a_payment_in_doubt_ends_as_never_executed_and_its_key_is_free() -> None:
    """Fails when the claim is deleted alone: the payment would stay in doubt for ever, with nobody to resolve it."""
    world = World()
    record = in_doubt(world)
    by = release(world, record)
    assert (by.operator, by.reason, by.finding, by.forced) == ("ada", "ticket 7", FINDING, False)
    assert world.store.get(record.record_id) is None
    payment = payment_of(world, record)
    assert (payment.status, payment.decline_code) == (PaymentStatus.FAILED, "not_executed")
    events = [event["event_type"] for event in events_in(world.database._tables[Table.OUTBOX].values())]  # type: ignore[attr-defined]
    assert events == ["payment.in_doubt", "payment.failed"]
    again = world.create()
    assert again.response.status == 201
    assert again.response.headers["location"] != record.resource
    assert len(world.gateway.bookings) == 1


def test_a_release_is_in_the_trail_with_who_and_why() -> None:
    """Fails when the entry is not in the transaction of the release."""
    world = World()
    record = in_doubt(world)
    release(world, record, reason="  ticket\n 7  ")
    (entry,) = DatabaseAuditTrail(world.database, 1).history(record.record_id)
    assert (entry.transition, entry.principal, entry.reason, entry.finding) == (
        "released",
        "operator:ada",
        "ticket 7",
        FINDING,
    )


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.VOID])
@pytest.mark.parametrize("doubted", [True, False])
def test_a_follow_up_gives_back_what_it_reserved(kind: OperationKind, doubted: bool) -> None:
    """In doubt, or open as its owner died. Fails when the reservation stays, or is given back twice."""
    world = World()
    capture = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    location = world.create("first", capture=capture).response.headers["location"]
    payment_id = location.split("/")[-1]
    before = load_payment(world.services, MERCHANT, payment_id)
    amount = None if kind is OperationKind.VOID else 300
    if doubted:
        world.gateway.script = ["lost"]
        world.follow_up(kind, payment_id, "key", amount)
        world.clock.ms += LEASE_MARGIN_MS
    else:
        world.gateway.script = ["lost"]
        crashed_park(world, lambda: world.follow_up(kind, payment_id, "key", amount))
    reserved = load_payment(world.services, MERCHANT, payment_id)
    assert (reserved.capturable_minor, reserved.refundable_minor) != (before.capturable_minor, before.refundable_minor)
    record = stored(world, kind.value)
    release(world, record)
    after = load_payment(world.services, MERCHANT, payment_id)
    assert (after.capturable_minor, after.refundable_minor) == (before.capturable_minor, before.refundable_minor)
    assert world.store.get(record.record_id) is None
    world.gateway.script = []
    assert world.follow_up(kind, payment_id, "key", amount).response.status == 201


def crashed_park(world: World, act: Any) -> None:
    """Run ``act`` up to where it would say that it is in doubt, and let its lease end."""

    class Crash(BaseException):
        pass

    park = world.store.park
    world.store.park = lambda *_a, **_k: (_ for _ in ()).throw(Crash())  # type: ignore[method-assign]
    with pytest.raises(Crash):
        act()
    world.store.park = park  # type: ignore[method-assign]
    world.clock.ms += LEASE_MS


def test_what_may_have_charged_is_released_only_after_a_look_at_the_gateway() -> None:
    """In doubt; open and taken over; open with its first owner dead. Fails for each that needs no finding."""
    doubt, dead = World(), World()
    in_doubt(doubt)
    crashed(dead, dead.create)
    dead_record = stored(dead)
    assert (dead_record.status, dead_record.submit_horizon_ms) == (RecordStatus.IN_PROGRESS, 0)
    for world in (doubt, dead):
        with pytest.raises(ReleaseRefused, match="may have charged"):
            release(world, stored(world), finding="")
        assert world.store.get(record_id(MERCHANT, "create_payment", "key")) is not None
    taken = dead.store.take_over(dead_record, lease_expires_at_ms=dead.clock.ms - 1)
    with pytest.raises(ReleaseRefused, match="may have charged"):
        release(dead, taken, finding="")
    release(dead, taken)


def test_what_nobody_heard_of_leaves_no_trace_but_in_the_trail() -> None:
    """The owner died before it could say that it was in doubt. Fails when a release makes a failed payment, or an
    event, out of one that no merchant has seen.
    """
    world = World()
    crashed(world, world.create)
    record = stored(world)
    release(world, record)
    tables = world.database._tables  # type: ignore[attr-defined]
    assert (tables[Table.PAYMENTS], tables[Table.OUTBOX], tables[Table.IDEMPOTENCY]) == ({}, {}, {})
    assert len([item for item in tables[Table.AUDIT].values() if "transition" in item]) == 1


def test_a_running_lease_is_released_by_force_alone() -> None:
    """Fails when the lease is not looked at."""
    world = World()
    seen: list[str] = []
    submit = world.gateway.submit

    def during(*arguments: Any) -> Any:
        with pytest.raises(ReleaseRefused, match="may be at work until"):
            release(world, stored(world))
        seen.append("refused")
        return submit(*arguments)

    world.gateway.submit = during  # type: ignore[method-assign]
    world.create()
    world.gateway.submit = submit  # type: ignore[method-assign]
    assert seen == ["refused"]

    crashed(world, lambda: world.create("other"))
    record = stored(world, key="other")
    world.clock.ms = record.lease_expires_at_ms  # its last millisecond
    with pytest.raises(ReleaseRefused, match="may be at work until"):
        release(world, record)
    assert release(world, record, force=True).forced


def late_world(visible_after_ms: int = LATE_VISIBLE_MS) -> World:
    world = World()
    world.gateway.capabilities, world.gateway.visible_after_ms = LATE, visible_after_ms
    return world


@pytest.mark.parametrize("doubted", [True, False])
def test_nothing_is_released_before_a_not_found_is_final(doubted: bool) -> None:
    """Fails when an operator's look counts earlier than recovery's: the gateway has it, and the retry charges again.

    ::

        owner      sends ──▶ no answer
        gateway    executes it, and shows it after 20 s
        operator          looks: nothing there ──▶ release ──▶ the same key: a second charge
    """
    world = late_world()
    if doubted:
        world.gateway.script = ["booked_lost"]
        world.create()
        world.clock.ms = stored(world).submit_horizon_ms + 1
    else:
        crashed(world, world.create)
    record = stored(world)
    with pytest.raises(ReleaseRefused, match="final from"):
        release(world, record)
    settles_ms = int((LATE.lookup_authoritative_after_seconds or 0) * 1000)
    sent_by_ms = record.submit_horizon_ms if doubted else record.lease_expires_at_ms
    world.clock.ms = sent_by_ms + settles_ms - 1
    with pytest.raises(ReleaseRefused, match="final from"):
        release(world, record)
    world.clock.ms += 1
    release(world, record)


def test_what_an_owner_sends_while_its_claim_is_released_by_force_is_not_final_at_once() -> None:
    """The owner claims its key again. Fails (two bookings) when the new claim does not know that something was sent.

    ::

        owner      sends ───────▶ no answer ─ no claim any more ─▶ claims again: in doubt
        operator         force
        gateway    executes it, and shows it after 20 s
        recovery                                                    5 s: not found, which is not final yet
    """
    world = late_world()
    world.gateway.script = ["booked_lost"]
    submit = world.gateway.submit

    def released_meanwhile(*arguments: Any) -> Any:
        outcome = submit(*arguments)
        release(world, stored(world), force=True)
        return outcome

    world.gateway.submit = released_meanwhile  # type: ignore[method-assign]
    assert world.create().response.status == 202
    world.gateway.submit = submit  # type: ignore[method-assign]
    assert stored(world).fence == 1
    for _ in range(8):
        world.clock.ms += 6_000
        world.recover()
    assert world.create().response.status == 201
    assert len(world.gateway.bookings) == 1
    assert world.errors == []


def test_where_no_not_found_is_final_or_the_gateway_is_unknown_only_force_releases() -> None:
    """Fails when what a gateway never says for certain is taken from whoever looked at its dashboard."""
    worlds = World(), World(), World()
    for world, gateway_named in zip(worlds, (_gone, lambda _name: worlds[1].gateway, _unknown), strict=True):
        record = in_doubt(world)
        world.gateway.capabilities = HONOURING
        with pytest.raises(ReleaseRefused, match="Ask its support"):
            release(world, record, gateway_named)
        release(world, record, gateway_named, force=True)


@pytest.mark.parametrize("kind", [OperationKind.VOID, OperationKind.REFUND])
def test_what_takes_no_capture_is_released_although_its_gateway_is_gone(kind: OperationKind) -> None:
    """Fails when the release asks the gateway how it captures: nobody could ever end the doubt."""
    world = World()
    capture = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    payment_id = world.create("first", capture=capture).response.headers["location"].split("/")[-1]
    before = load_payment(world.services, MERCHANT, payment_id)
    world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    world.follow_up(kind, payment_id, "key")
    world.clock.ms += LEASE_MARGIN_MS
    release(world, stored(world, kind.value), _gone, force=True)
    after = load_payment(world.services, MERCHANT, payment_id)
    assert (after.capturable_minor, after.refundable_minor) == (before.capturable_minor, before.refundable_minor)


def _unknown(name: str) -> Gateway:
    raise MisconfiguredError(f"{name} is not known")


def _gone(name: str) -> Gateway:
    raise GatewayUnavailable(f"{name} is not configured")


def test_a_completed_record_is_never_released() -> None:
    """Fails for the desk or for the store when either would: the retry would be a second charge."""
    world = World()
    world.create()
    record = stored(world)
    for force in (False, True):
        with pytest.raises(ReleaseRefused, match="second charge"):
            release(world, record, force=force)
    with pytest.raises(LeaseLost):
        world.store.release(record)
    stale = replace(record, status=RecordStatus.IN_PROGRESS)
    with pytest.raises(LeaseLost):
        world.store.release(stale)
    assert world.create().replayed


def test_a_newer_owner_is_not_hit() -> None:
    """Fails when the release is not conditional on claim and fence as they were shown, in the desk and in the store."""
    world = World()
    shown = in_doubt(world)
    world.clock.ms += LEASE_MS
    taken = world.store.take_over(shown, lease_expires_at_ms=world.clock.ms - 1)
    with pytest.raises(LeaseLost, match="fence 2"):
        release(world, shown)
    with pytest.raises(LeaseLost):
        world.store.release(shown)
    with pytest.raises(LeaseLost):
        release(world, taken, claim_id="pay_other")
    assert world.store.get(taken.record_id) == taken


def test_who_takes_over_between_the_look_and_the_write_wins() -> None:
    """Fails when the deletion does not repeat the condition."""
    world = World()
    record = in_doubt(world)
    get = world.store.get

    def racing(one: str) -> IdempotencyRecord | None:
        seen = get(one)
        world.store.get = get  # type: ignore[method-assign]
        world.store.take_over(record, lease_expires_at_ms=world.clock.ms)
        return seen

    world.store.get = racing  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        release(world, record)
    assert stored(world).fence == 2
    assert payment_of(world, record).status is PaymentStatus.IN_DOUBT
    stored_items = world.database._tables[Table.AUDIT].values()  # type: ignore[attr-defined]
    assert not [item for item in stored_items if "transition" in item]


def test_a_payment_that_changes_meanwhile_is_read_anew() -> None:
    """Another refund commits between the draft and the write. Fails when the conflict ends the release."""

    class Racing(MemoryDatabase):
        conflicts = 0

        def write(self, writes: Sequence[Write]) -> None:
            touched = [w for w in writes if isinstance(w, Adjust) and w.table is Table.PAYMENTS and w.set]
            if self.conflicts and touched and any(w.table is Table.AUDIT for w in writes):
                self.conflicts -= 1
                super().write([Adjust(table=Table.PAYMENTS, key=touched[0].key, add={"version": 1})])
            super().write(writes)

    database = Racing()
    world = World(database=database)
    payment_id = world.create("first").response.headers["location"].split("/")[-1]
    world.gateway.script = ["lost"]
    world.follow_up(OperationKind.REFUND, payment_id, "key", 300)
    world.clock.ms += LEASE_MARGIN_MS
    record = stored(world, "refund")
    database.conflicts = MAX_ATTEMPTS
    with pytest.raises(ReleaseRefused, match="keeps changing"):
        release(world, record)
    assert world.store.get(record.record_id) == record
    database.conflicts = 1
    release(world, record)
    assert load_payment(world.services, MERCHANT, payment_id).refundable_minor == 1000


@pytest.mark.parametrize(
    "changes", [{"reason": " \n "}, {"operator": ""}, {"reason": "x" * 1001}, {"operator": "x" * 101}]
)
def test_a_release_without_who_and_why_is_refused(changes: dict[str, str]) -> None:
    world = World()
    record = in_doubt(world)
    with pytest.raises(ReleaseRefused, match="needs a"):
        release(world, record, **changes)
    assert stored(world) == record


def test_what_is_not_there() -> None:
    world = World()
    record = in_doubt(world)
    release(world, record)
    with pytest.raises(NotFound):
        release(world, record)


def test_a_claim_of_another_program_is_neither_recovered_nor_released() -> None:
    """A claim whose kind is not known may have an effect that is not known. Fails when recovery gives it back, as it
    does with claims whose whole work is in their commit, or takes it over.
    """
    world = World()
    record = in_doubt(world)
    key = {"id": record.record_id}
    world.database.write([Adjust(table=Table.IDEMPOTENCY, key=key, set={"plan": {"kind": "in_process"}})])
    foreign = stored(world)
    world.clock.ms += LEASE_MS
    report = world.recover()
    assert (report.failed, report.concluded) == (1, 0)
    assert stored(world) == foreign
    with pytest.raises(MisconfiguredError, match="unknown to this API"):
        release(world, foreign)


def test_a_claim_whose_work_is_all_in_its_commit_needs_no_look_at_a_gateway() -> None:
    """Fails when webhooks' claims are treated like payments."""
    world = World()
    record = in_doubt(world)
    key = {"id": record.record_id}
    world.database.write([Adjust(table=Table.IDEMPOTENCY, key=key, set={"plan": {"kind": "webhook_endpoint.create"}})])
    release(world, stored(world), finding="")
    assert world.store.get(record.record_id) is None


def test_a_claim_that_another_recovery_carries_on_is_released_after_a_look_and_reserves_nothing() -> None:
    """Fails when a request to an upstream is taken for a payment, or for one that certainly had no effect."""
    world = World()
    record = in_doubt(world)
    key = {"id": record.record_id}
    world.database.write(
        [Adjust(table=Table.IDEMPOTENCY, key=key, set={"plan": {"kind": "request", CARRIED_ON_BY: "proxy"}})]
    )
    with pytest.raises(ReleaseRefused, match="may have charged"):
        release(world, stored(world), _never_asked, finding="")
    world.clock.ms = record.submit_horizon_ms  # no upstream says from when on its "not found" is final
    release(world, stored(world), _never_asked)
    assert world.store.get(record.record_id) is None
    assert payment_of(world, record).status is PaymentStatus.IN_DOUBT  # it was none of this claim's


def _never_asked(address: str) -> Gateway:
    raise AssertionError(f"{address} was asked for")


def _kinds(work: type[ManagementWork]) -> set[str]:
    found = {vars(work)["kind"]} if "kind" in vars(work) else set()
    return found.union(*map(_kinds, work.__subclasses__()))


def test_every_work_that_is_all_in_its_commit_is_known_as_such() -> None:
    """Fails when recovery takes such a claim for another program's, and leaves it open for ever."""
    for module in MANAGEMENT:
        importlib.import_module(module)
    world = World()
    record = in_doubt(world)
    kinds = _kinds(ManagementWork)
    assert {kind.partition(".")[0] for kind in kinds} == {
        "webhook_endpoint",
        "webhook_delivery",
        "webhook_replay",
        "break",
    }
    for kind in kinds:
        assert work_for(replace(record, plan={"kind": kind}), lambda _at: world.gateway, world.services) is None
    world.database.write(
        [Adjust(table=Table.IDEMPOTENCY, key={"id": record.record_id}, set={"plan": {"kind": max(kinds)}})]
    )
    world.clock.ms += LEASE_MS
    assert world.recover().concluded == 1
    assert world.store.get(record.record_id) is None


def test_a_conflict_of_the_business_is_no_lost_lease() -> None:
    """The store tells the two apart. Fails when the audit entry shifts the conflict's index."""
    world = World()
    record = in_doubt(world)
    refused = Adjust(table=Table.PAYMENTS, key={"pk": "none", "sk": "none"}, set={"x": 1})
    with pytest.raises(WriteConflict) as conflict:
        world.store.release(record, [refused], by=_by())
    assert conflict.value.index == 0
    assert stored(world) == record


def _by() -> ReleasedBy:
    from payonce.idempotency.audit import ReleasedBy as By

    return By(operator="a", reason="r", at_ms=1)


def test_a_set_up_in_doubt_that_is_released_has_failed_and_its_key_is_free() -> None:
    """Fails (a doubt that is shown for ever) when a set-up's doubt is given back without a word."""
    world = World()
    world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    doubted = json.loads(world.set_up().response.body)
    assert doubted["status"] == "in_doubt"
    world.clock.ms += 60 * LEASE_MS
    release(world, stored(world, "create_setup", "key-setup"))
    assert events_of(world.database, doubted["id"]) == ["setup.in_doubt", "setup.failed"]
    world.gateway.lookup_fails = False
    again = json.loads(world.set_up().response.body)
    assert (again["status"], again["id"] != doubted["id"]) == ("succeeded", True)


def test_a_revocation_in_doubt_that_is_released_leaves_the_method_active() -> None:
    """Fails (a method that nobody can charge or revoke) when the release does not take back what the claim did."""
    world = World()
    method_id = json.loads(world.set_up().response.body)["saved_payment_method"]
    world.gateway.script, world.gateway.lookup_fails = ["lost"], True
    world.revoke(method_id)
    world.clock.ms += 60 * LEASE_MS
    release(world, stored(world, "revoke_payment_method", "key-revoke"))
    assert load_method(world.database, MERCHANT, method_id).status is MethodStatus.ACTIVE
