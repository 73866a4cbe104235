"""The four operations against a scripted gateway: outcomes, reservations, events, journal."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import (
    AmountExceedsAvailable,
    CredentialsUnavailable,
    GatewayUnavailable,
    NotFound,
    PaymentStateConflict,
)
from payonce.domain.gateway import MONEY_OPERATIONS, CaptureMethod, Declined, OperationKind, Pending, Succeeded
from payonce.domain.money import Money
from payonce.domain.payment import TransitionError
from payonce.idempotency.claim_recovery import RUN_INTERVAL_MS
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.keys import record_id
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS
from payonce.idempotency.records import IdempotencyRecord, RecordStatus
from payonce.idempotency.window import IdempotencySettings
from payonce.payments.cancel_waiting import follow_up_work
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.payment_work import Doubted
from payonce.payments.planning import plan_follow_up
from payonce.ports import Table
from tests.support.told import MINUTE_MS, balances, body, history, payment_id
from tests.support.world import CAPABILITIES, MERCHANT, VISIBLE_AFTER_MS, World

if TYPE_CHECKING:
    from payonce.ports import Gateway


def test_a_captured_payment() -> None:
    world = World()
    answer = world.create()
    assert (answer.response.status, body(answer)["status"], answer.replayed) == (201, "captured", False)
    assert history(world, payment_id(answer)) == ["payment.captured"]
    assert balances(world) == {"gateway_receivable:bank": 1000, "merchant_payable": -1000}


def test_a_fresh_payment_reads_no_payment(monkeypatch: pytest.MonkeyPatch) -> None:
    """There can be none yet. Fails when each new payment costs a read unit or two."""
    world, read = World(), list[Table]()
    for name in ("get", "query"):
        found = getattr(world.database, name)

        def noting(table: Table, *given: Any, found: Any = found, **named: Any) -> Any:
            read.append(table)
            return found(table, *given, **named)

        monkeypatch.setattr(world.database, name, noting)
    assert world.create().response.status == 201
    assert Table.PAYMENTS not in read


def test_a_second_draft_of_a_payment_goes_on_from_what_is_stored_by_then() -> None:
    """Fails when it begins anew: its writes would be refused as often as they are tried."""
    world = World()
    new = NewPayment(money=Money(1000, "EUR"), payment_method="pm_1", capture_method=CaptureMethod.AUTOMATIC)
    plan = plan_payment(new, merchant_id=MERCHANT, route=lambda _id: "bank", services=world.services)
    work = CreatePayment(plan, lambda _at: world.gateway, world.services)
    for result in (Doubted(), Pending("ch_1", "processing"), Succeeded("ch_1", "op_1")):
        world.database.write(work.draft(result).writes)
    assert history(world, plan.payment_id) == ["payment.in_doubt", "payment.processing", "payment.captured"]


def test_a_payment_that_has_ended_is_not_drafted_over() -> None:
    """Fails when a draft takes a stored payment for one in doubt: what was told as declined would become captured."""
    world = World()
    new = NewPayment(money=Money(1000, "EUR"), payment_method="pm_1", capture_method=CaptureMethod.AUTOMATIC)
    plan = plan_payment(new, merchant_id=MERCHANT, route=lambda _id: "bank", services=world.services)
    work = CreatePayment(plan, lambda _at: world.gateway, world.services)
    for result in (Doubted(), Declined("declined", "No.")):
        world.database.write(work.draft(result).writes)
    with pytest.raises(TransitionError):
        work.draft(Succeeded("ch_1", "op_1"))


def test_a_copy_that_waited_for_anothers_claim_begins_with_its_own() -> None:
    """Fails when its claim is dated from before the wait: routing takes the difference for the gateway's latency."""
    world, naps = World(), itertools.count()
    identity = record_id(MERCHANT, "create_payment", "key")
    now_ms = world.clock.now_ms()
    held = world.store.claim(
        IdempotencyRecord(
            record_id=identity,
            status=RecordStatus.IN_PROGRESS,
            claim_id="pay_other",
            fence=1,
            fingerprint="f",
            created_at_ms=now_ms,
            expires_at_ms=now_ms + MINUTE_MS,
            lease_expires_at_ms=now_ms + MINUTE_MS,
            resource="/payments/pay_other",
            plan={"kind": "payment"},
        )
    )

    def sleep(seconds: float) -> None:
        world.clock.sleep(seconds)
        if next(naps) == 9:
            world.store.release(held)

    world.engine = IdempotencyEngine(store=world.store, settings=IdempotencySettings(), clock=world.clock, sleep=sleep)
    assert world.create(wait_seconds=15).response.status == 201
    item = world.database.get(Table.IDEMPOTENCY, {"id": identity})
    assert item is not None
    assert world.clock.now_ms() - now_ms > 2_000
    assert item["ended_at_ms"] == item["created_at_ms"]


def test_a_declined_payment_is_final_and_replayed() -> None:
    world = World()
    world.gateway.script = ["decline"]
    first, again = world.create(), world.create()
    assert (first.response.status, body(first)["code"]) == (402, "declined")
    assert again.response == first.response
    assert again.replayed
    assert balances(world) == {}
    assert history(world, payment_id(first)) == ["payment.declined"]


def test_never_sent_stores_nothing_and_the_retry_pays() -> None:
    world = World()
    world.gateway.script = ["never"]
    with pytest.raises(GatewayUnavailable):
        world.create()
    assert body(world.create())["status"] == "captured"


@pytest.mark.parametrize("behaviour", list(CAPABILITIES))
@pytest.mark.parametrize("word", ["lost", "booked_lost"])
def test_an_unknown_outcome_is_resolved_by_asking(behaviour: str, word: str) -> None:
    """Fails (two bookings) when recovery resubmits to a gateway that shows bookings late, or without asking."""
    world = World()
    world.gateway.capabilities = CAPABILITIES[behaviour]
    world.gateway.visible_after_ms = VISIBLE_AFTER_MS[behaviour]
    world.gateway.script = [word]
    first = world.create()
    found_at_once = word == "booked_lost" and not VISIBLE_AFTER_MS[behaviour]
    assert (first.response.status, body(first)["status"]) == ((201, "captured") if found_at_once else (202, "in_doubt"))
    for _ in range(10):
        world.clock.ms += 10_000
        world.recover()
    final = world.create()
    assert (final.response.status, body(final)["status"]) == (201, "captured")
    assert len(world.gateway.bookings) == 1
    assert world.create().response == final.response
    expected = ["payment.captured"] if found_at_once else ["payment.in_doubt", "payment.captured"]
    assert history(world, payment_id(final)) == expected
    assert balances(world) == {"gateway_receivable:bank": 1000, "merchant_payable": -1000}
    assert world.errors == []


def test_a_doubt_that_lasts_makes_one_event_and_no_second_submission() -> None:
    """Fails when every inquiry that finds nothing new is recorded as a change."""
    world = World()
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    first = world.create()
    for _ in range(20):
        world.clock.ms += 16 * MINUTE_MS
        world.recover()
    assert history(world, payment_id(first)) == ["payment.in_doubt"]
    assert len(world.gateway.submissions) == 1
    world.gateway.lookup_fails = False
    world.clock.ms += 16 * MINUTE_MS
    world.recover()
    assert body(world.create())["status"] == "captured"


def test_what_was_never_executed_is_not_sent_hours_later() -> None:
    world = World()
    world.gateway.script = ["lost"]
    world.gateway.lookup_fails = True
    world.create()
    world.clock.ms += 120 * MINUTE_MS
    world.gateway.lookup_fails = False
    world.recover()
    final = world.create()
    assert final.response.status == 402
    assert body(final)["payment"]["status"] == "failed"
    assert world.gateway.bookings == []


def test_authorize_capture_in_parts_refund_in_parts() -> None:
    world = World()
    created = world.create(capture=CaptureMethod.MANUAL)
    identity = payment_id(created)
    assert balances(world) == {"authorization_hold": 1000, "authorization_commitment": -1000}
    first = world.follow_up(OperationKind.CAPTURE, identity, "capture-1", 400)
    assert (first.response.status, body(first)["payment"]["status"]) == (201, "partially_captured")
    rest = world.follow_up(OperationKind.CAPTURE, identity, "capture-2")
    assert body(rest)["amount_minor"] == 600
    assert body(rest)["payment"]["status"] == "captured"
    assert balances(world) == {"gateway_receivable:bank": 1000, "merchant_payable": -1000}
    assert world.follow_up(OperationKind.CAPTURE, identity, "capture-2").response == rest.response
    part = world.follow_up(OperationKind.REFUND, identity, "refund-1", 999)
    assert body(part)["payment"]["status"] == "partially_refunded"
    assert body(world.follow_up(OperationKind.REFUND, identity, "refund-2"))["payment"]["status"] == "refunded"
    assert balances(world) == {}
    assert history(world, identity) == [
        "payment.authorized",
        "capture.succeeded_in_part",
        "capture.succeeded",
        "refund.succeeded_in_part",
        "refund.succeeded",
    ]


def test_a_void_frees_the_hold_and_excludes_captures() -> None:
    world = World()
    identity = payment_id(world.create(capture=CaptureMethod.MANUAL))
    assert body(world.follow_up(OperationKind.VOID, identity, "void"))["payment"]["status"] == "voided"
    assert balances(world) == {}
    with pytest.raises(PaymentStateConflict):
        world.follow_up(OperationKind.CAPTURE, identity, "capture", 1)


@pytest.mark.parametrize("word", ["never", "decline"])
@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS - {OperationKind.PAYMENT}))
def test_a_reservation_is_given_back(kind: OperationKind, word: str) -> None:
    """Fails when a release or a decline keeps the amount: the money could never be captured or refunded."""
    world = World()
    manual = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    identity = payment_id(world.create(capture=manual))
    world.gateway.script = [word]
    if word == "never":
        with pytest.raises(GatewayUnavailable):
            world.follow_up(kind, identity, "key-1")
    else:
        assert world.follow_up(kind, identity, "key-1").response.status == 402
    assert world.follow_up(kind, identity, "key-2").response.status == 201


def test_a_follow_up_that_is_answered_reads_its_payment_no_more() -> None:
    """Fails when its commit costs a read that its preparation has made."""
    world, read = World(), list[Table]()
    identity = payment_id(world.create())
    submit, get = world.gateway.submit, world.database.get

    def noting(table: Table, key: Any) -> Any:
        read.append(table)
        return get(table, key)

    def answered(*given: Any) -> Any:
        outcome = submit(*given)
        world.database.get = noting  # type: ignore[method-assign]
        return outcome

    world.gateway.submit = answered  # type: ignore[method-assign]
    assert world.follow_up(OperationKind.REFUND, identity, "key").response.status == 201
    assert Table.PAYMENTS not in read


@pytest.mark.parametrize("word", ["decline", "lost"])
@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS - {OperationKind.PAYMENT}))
def test_the_refusal_of_a_follow_up_shows_the_operation(kind: OperationKind, word: str) -> None:
    """Fails when a 402 does not say which operation has ended, and how its payment is left."""
    world = World()
    manual = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    identity = payment_id(world.create("first", capture=manual))
    world.gateway.script, world.gateway.lookup_fails = [word], word == "lost"
    world.follow_up(kind, identity, "key")
    world.clock.ms += 120 * MINUTE_MS  # too late to send it again
    world.gateway.lookup_fails = False
    world.recover()
    ended = world.follow_up(kind, identity, "key")
    assert ended.response.status == 402
    operation = body(ended)["operation"]
    assert operation["status"] == ("declined" if word == "decline" else "failed")
    assert (operation["payment_id"], operation["payment"]["id"], operation["amount_minor"]) == (
        identity,
        identity,
        1000,
    )


@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS - {OperationKind.PAYMENT}))
def test_a_gateway_that_is_not_there_has_executed_nothing(kind: OperationKind) -> None:
    """Fails when the claim stays, or keeps the amount: nothing was sent, so the same key may be used at once."""
    world = World()
    manual = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    identity = payment_id(world.create(capture=manual))

    def gone(_address: object) -> Gateway:
        raise CredentialsUnavailable("its credentials can't be opened")

    plan = plan_follow_up(kind, merchant_id=MERCHANT, payment_id=identity, amount_minor=None, services=world.services)
    with pytest.raises(CredentialsUnavailable):
        world.engine.execute(world.request("key", kind.value), follow_up_work(plan, gone, world.services))
    assert world.store.get(record_id(MERCHANT, kind.value, "key")) is None
    assert world.follow_up(kind, identity, "key").response.status == 201


@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS - {OperationKind.PAYMENT}))
def test_a_follow_up_in_doubt_keeps_its_reservation_and_is_resolved(kind: OperationKind) -> None:
    world = World()
    manual = CaptureMethod.AUTOMATIC if kind is OperationKind.REFUND else CaptureMethod.MANUAL
    identity = payment_id(world.create(capture=manual))
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    doubtful = world.follow_up(kind, identity, "key-1")
    assert (doubtful.response.status, body(doubtful)["status"]) == (202, "in_doubt")
    with pytest.raises((PaymentStateConflict, AmountExceedsAvailable)):
        world.follow_up(kind, identity, "key-2", 1000)
    world.gateway.lookup_fails = False
    world.clock.ms += MINUTE_MS
    world.recover()
    final = world.follow_up(kind, identity, "key-1")
    assert (final.response.status, final.replayed) == (201, True)
    assert len(world.gateway.succeeded(kind)) == 1
    assert body(final)["id"] == body(doubtful)["id"]


def test_more_than_is_left_is_refused_with_what_is_left() -> None:
    world = World()
    identity = payment_id(world.create())
    with pytest.raises(AmountExceedsAvailable) as refused:
        world.follow_up(OperationKind.REFUND, identity, "key", 1001)
    assert refused.value.extensions["available_minor"] == 1000
    with pytest.raises(NotFound):
        world.follow_up(OperationKind.REFUND, "pay_unknown", "key-2", 1)


def test_where_the_first_capture_frees_the_remainder() -> None:
    world = World()
    from dataclasses import replace

    world.gateway.capabilities = replace(world.gateway.capabilities, multiple_captures=False)
    identity = payment_id(world.create(capture=CaptureMethod.MANUAL))
    captured = body(world.follow_up(OperationKind.CAPTURE, identity, "capture", 400))["payment"]
    assert (captured["status"], captured["capturable_minor"], captured["refundable_minor"]) == ("captured", 0, 400)
    assert balances(world) == {"gateway_receivable:bank": 400, "merchant_payable": -400}


def test_in_doubt_never_goes_to_another_gateway() -> None:
    """Fails when a takeover takes the retry's gateway: the route may have changed meanwhile."""
    world = World()
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    world.create()
    world.gateway.lookup_fails = False
    names: list[str] = []
    original = world.gateway

    def named(name: str) -> Any:
        names.append(name)
        return original

    world.clock.ms += MINUTE_MS
    new = NewPayment(money=Money(1000, "EUR"), payment_method="pm_visa", capture_method=CaptureMethod.AUTOMATIC)
    plan = plan_payment(new, merchant_id=MERCHANT, route=lambda _id: "another", services=world.services)
    answer = world.engine.execute(world.request("key", "create_payment"), CreatePayment(plan, named, world.services))
    assert names == ["bank"]
    assert body(answer)["gateway"] == "bank"
    assert len(original.bookings) == 1


def test_no_shard_is_always_the_last_that_recovery_looks_at() -> None:
    """Fails when every run starts with the same shard: claims there could keep the others waiting for ever."""
    world = World()
    looked_at: list[int] = []
    world.store.open_claims = lambda shard, **_: looked_at.append(shard) or []  # type: ignore[method-assign, func-returns-value]
    for _ in range(OPEN_LEASE_SHARDS):
        world.recover()
        world.clock.ms += RUN_INTERVAL_MS
    assert set(looked_at[::OPEN_LEASE_SHARDS]) == set(looked_at) == set(range(OPEN_LEASE_SHARDS))


def test_a_claim_released_under_its_owner_does_not_charge_again() -> None:
    """An operator's ``--force`` while the bank works. Fails (two charges) when the owner claims anew and starts over.

    ::

        owner     claim ─ submit ─────── booked ─ commit: lost ─ claim anew ─ in doubt ─▶ recovery asks: found
        operator            └ release
    """
    world = World()
    real = world.gateway.submit

    def released_meanwhile(instruction: Any, deadline: Any) -> Any:
        outcome = real(instruction, deadline)
        for shard in range(OPEN_LEASE_SHARDS):
            for open_id in world.store.open_claims(shard, lease_expired_at_ms=2**53, limit=9):
                record = world.store.get(open_id)
                assert record is not None
                world.store.release(record)
        return outcome

    world.gateway.submit = released_meanwhile  # type: ignore[method-assign]
    assert world.create().response.status == 202
    assert len(world.gateway.succeeded()) == 1
    world.gateway.submit = real  # type: ignore[method-assign]
    world.clock.ms += 120_000
    world.recover()
    assert world.create().response.status == 201
    assert len(world.gateway.succeeded()) == 1
