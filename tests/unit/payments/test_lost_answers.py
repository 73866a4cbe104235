"""Every "nothing was executed" is true, and no answer that was lost is drafted over.

Found with a fault proxy between the functions and DynamoDB: attempt 1 applied and its answer lost, then throttled.
https://github.com/aws/aws-sdk-java/issues/2667 is the same question to the SDK's maintainers.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyPersistenceLayerError

from payonce.domain.errors import (
    GatewayUnavailable,
    KeyInProgress,
    NotStarted,
    OutcomeUnknown,
    PayonceError,
    StoreUnavailable,
)
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.domain.money import Money
from payonce.domain.problems import problem_of
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS, from_item
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.stored_payments import keep_head
from payonce.ports import Insert, Table
from tests.support.faulty_database import FaultyDatabase
from tests.support.world import CAPABILITIES, HONOURING, MERCHANT, ScriptedGateway, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome
    from payonce.idempotency.records import IdempotencyRecord, KeyedResponse
    from payonce.ports import Deadline

PAST_THE_LEASE_MS = 31_000
FOREVER = ["refused"] * 200


class Shop:
    """A world on a faulty database, with a client that believes what it is told."""

    def __init__(self, behaviour: str = "honouring") -> None:
        self.database = FaultyDatabase()
        self.world = World(database=self.database)
        self.world.gateway = ScriptedGateway(self.world.clock, capabilities=CAPABILITIES[behaviour])

    def call(self, operation: Callable[[], KeyedResponse]) -> KeyedResponse | PayonceError:
        try:
            return operation()
        except PayonceError as error:
            return error
        finally:
            self.database.script, self.database.reads = [], []

    def time_passes(self) -> None:
        """What was on its way lands, leases end, and recovery runs: nobody asks again."""
        self.database.land()
        for _ in range(3):
            self.world.clock.ms += PAST_THE_LEASE_MS
            self.world.recover()
        assert self.world.errors == []

    def charges(self) -> int:
        return len(self.world.gateway.succeeded(OperationKind.PAYMENT))


FAULTS = ["ok", "refused", "lost", "applied", "late"]


@pytest.mark.parametrize("gateway", ["ok", "never"])
@pytest.mark.parametrize("reads", [[], ["refused"], FOREVER])
@pytest.mark.parametrize("script", list(itertools.product(FAULTS, FAULTS)))
def test_what_was_called_not_executed_never_is(script: tuple[str, ...], reads: list[str], gateway: str) -> None:
    """Every order of three faults. Fails when a claim that may have been stored, or land later, is called 503: recovery
    charges with nobody asking again, and a client that went to another provider pays twice.
    """
    for third in FAULTS:
        shop = Shop()
        shop.world.gateway.script = [gateway]
        shop.database.script, shop.database.reads = [*script, third], list(reads)
        answer = shop.call(shop.world.create)
        final = None
        if isinstance(answer, PayonceError):
            nothing = isinstance(answer, NotStarted)
            assert nothing or isinstance(answer, OutcomeUnknown), answer
            assert problem_of(answer).status == (503 if nothing else 504)
        else:
            nothing = False
            assert answer.response.status in {201, 202}
            final = answer.response if answer.response.status == 201 else None
        shop.time_passes()
        assert not (nothing and shop.charges()), third
        assert final is None or shop.charges() == 1
        shop.world.gateway.script = []
        retried = shop.world.create().response
        assert (retried.status, shop.charges()) == (201, 1)
        assert final is None or retried == final


@pytest.mark.parametrize("fault", ["lost", "applied", "late"])
def test_a_claim_is_put_again_until_its_deadline(fault: str) -> None:
    """Fails when one lost answer costs the client an unknown outcome, or when it is told that nothing happened."""
    shop = Shop()
    shop.database.script = [fault] * 4
    shop.database.reads = ["refused"] * 3
    answer = shop.call(shop.world.create)
    assert not isinstance(answer, PayonceError)
    assert answer.response.status == 201
    assert shop.database.land() == (4 if fault == "late" else 0)
    shop.time_passes()
    assert shop.charges() == 1


def test_a_release_after_a_claim_that_may_land_again_proves_nothing() -> None:
    """The first put is still on its way when the second is acknowledged, used and released.

    ::

        put 1 ───────────(delayed)──────────────────────▶ stored: recovery executes it
        put 2 ─▶ stored ─ never sent ─ released ─ 503?
    """
    shop = Shop()
    shop.database.script = ["late"]
    shop.world.gateway.script = ["never"]
    assert isinstance(shop.call(shop.world.create), OutcomeUnknown)
    shop.time_passes()
    assert shop.charges() == 1


def test_a_put_on_its_way_is_not_forgotten_over_another_owner() -> None:
    """A copy of the request has the key for a moment and gives it back; then ours is claimed, and given back too.

    ::

        ours   put 1 ──────────────(delayed)─────────────────────────────────▶ stored: recovery executes it
               put 2 ─ taken ─ waits ─▶ put 3 ─▶ stored ─ never sent ─ released ─ 503?
        copy   stored ──────── released
    """
    shop = Shop()
    store = DatabaseIdempotencyStore(shop.database)
    copies: list[IdempotencyRecord] = []

    def copy_claims(number: int) -> None:
        if number == 2:
            put = shop.database.on_their_way[0][0]
            assert isinstance(put, Insert)
            copies.append(store.claim(replace(from_item(put.item), claim_id="pay_of_the_copy")))

    def copy_gives_back(seconds: float) -> None:
        shop.world.clock.sleep(seconds)
        store.release(copies.pop())

    shop.database.before_write, shop.world.engine._waiting._sleep = copy_claims, copy_gives_back
    shop.database.script = ["late"]
    shop.world.gateway.script = ["never"]
    answer = shop.call(lambda: shop.world.create(wait_seconds=5))
    assert (copies, shop.world.gateway.script) == ([], [])
    assert isinstance(answer, OutcomeUnknown)
    shop.time_passes()
    assert shop.charges() == 1


@pytest.mark.parametrize("fault", ["refused", "lost", "applied"])
def test_a_release_is_tried_again_until_it_is_certain(fault: str) -> None:
    """Fails when the first refusal leaves the claim to recovery, or a lost answer makes a claim of nobody."""
    shop = Shop()
    shop.database.script = ["ok", fault]
    shop.world.gateway.script = ["never"]
    assert isinstance(shop.call(shop.world.create), GatewayUnavailable)
    shop.time_passes()
    assert shop.charges() == 0


def test_a_claim_that_could_not_be_given_back_may_be_executed() -> None:
    """Fails when the client is told 503 while recovery has an open claim to carry on."""
    shop = Shop()
    shop.database.script = ["ok", *FOREVER]
    shop.world.gateway.script = ["never"]
    answer = shop.call(shop.world.create)
    assert isinstance(answer, OutcomeUnknown)
    assert "same key" in answer.detail
    assert "another" in answer.detail
    shop.time_passes()
    assert shop.charges() == 1


OPERATIONS = {
    "decline": ("automatic", None),
    "charge": ("automatic", None),
    "void": ("manual", OperationKind.VOID),
    "capture": ("manual", OperationKind.CAPTURE),
    "refund": ("automatic", OperationKind.REFUND),
}


@pytest.mark.parametrize(
    "script", [["applied"], ["applied", "refused"], ["lost", "applied"], ["refused", "late"], ["late"]]
)
@pytest.mark.parametrize("unreadable", [0, 1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_nothing_is_drafted_over_ones_own_commit(name: str, unreadable: int, script: list[str]) -> None:
    """Fails (TransitionError, a 500) when the draft is made anew before the record is read."""
    capture, kind = OPERATIONS[name]
    shop = Shop()
    world = shop.world
    operation = lambda: world.create("key-1", capture=CaptureMethod(capture))  # noqa: E731
    if kind is not None:
        identity = json.loads(operation().response.body)["id"]
        keep_head(shop.database, MERCHANT, identity)
        amount = None if kind is OperationKind.VOID else 400
        operation = lambda: world.follow_up(kind, identity, "key-2", amount)  # noqa: E731
    world.gateway.script = ["decline"] if name == "decline" else []
    shop.database.script = ["ok", *script]

    def committing(number: int) -> None:
        shop.database.land()  # what is late lands a moment later
        if number == first + 1:
            shop.database.reads = ["refused"] * unreadable

    first = shop.database.writes + 1
    shop.database.before_write = committing
    answer = shop.call(operation)
    assert not isinstance(answer, PayonceError), answer
    assert answer.response.status == (402 if name == "decline" else 201)
    replayed = operation()
    assert (replayed.response, replayed.replayed) == (answer.response, True)
    assert len(world.gateway.submissions) == (1 if kind is None else 2)


def in_doubt() -> Shop:
    """A charge that is booked at the gateway, its answer lost, and its lease over."""
    shop = Shop()
    shop.world.gateway.script, shop.world.gateway.lookup_fails = ["booked_lost"], True
    assert shop.world.create().response.status == 202
    shop.world.gateway.lookup_fails = False
    shop.world.clock.ms += PAST_THE_LEASE_MS
    return shop


@pytest.mark.parametrize("reads", [[], ["refused"]])
@pytest.mark.parametrize("fault", ["applied", "lost", "late", "refused"])
def test_a_takeover_knows_itself(fault: str, reads: list[str]) -> None:
    """Fails when a takeover whose answer was lost is taken for another's: its client waits for nobody."""
    shop = in_doubt()
    shop.database.script, shop.database.reads = ["ok", fault], list(reads)  # the first is the claim, which is refused
    shop.database.before_write = lambda _number: shop.database.land() and None
    answer = shop.call(shop.world.create)
    assert not isinstance(answer, PayonceError), answer
    assert (answer.response.status, shop.charges()) == (201, 1)


@pytest.mark.parametrize("fault", ["refused", "lost"])
def test_a_key_that_has_charged_is_never_called_not_executed(fault: str) -> None:
    """Fails when the takeover's own failure is the client's answer: "nothing was executed" of what was charged."""
    shop = in_doubt()
    shop.database.script = ["ok", *[fault] * 200]
    assert isinstance(shop.call(shop.world.create), OutcomeUnknown)
    assert shop.charges() == 1


def test_a_takeover_whose_payment_can_not_be_read_is_not_called_not_executed() -> None:
    """The work raises what it met after the claim. Fails when that is passed on as 503 while the refund is made."""
    shop = Shop()
    identity = json.loads(shop.world.create("key-1").response.body)["id"]
    shop.world.gateway.script, shop.world.gateway.lookup_fails = ["booked_lost"], True
    refund = lambda: shop.world.follow_up(OperationKind.REFUND, identity, "key-2", 400)  # noqa: E731
    assert refund().response.status == 202
    shop.world.clock.ms += PAST_THE_LEASE_MS
    shop.database.reads = FOREVER
    assert isinstance(shop.call(refund), OutcomeUnknown)


def test_who_waits_for_another_owner_is_not_told_that_nothing_happens() -> None:
    """Fails when a look at the other's claim, or the claim after it, fails as if nobody were at work."""
    shop = Shop()
    world = shop.world
    answers: list[PayonceError | KeyedResponse] = []

    class Busy(ScriptedGateway):
        def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
            for reads, script in ((FOREVER, []), ([], ["ok", *FOREVER])):
                shop.database.reads, shop.database.script = list(reads), list(script)
                answers.append(shop.call(lambda: world.create(wait_seconds=2)))
            return super().submit(instruction, deadline)

    world.gateway = Busy(world.clock, capabilities=HONOURING)
    assert world.create().response.status == 201
    assert [type(answer) for answer in answers] == [KeyInProgress, KeyInProgress]


def test_a_stale_owner_gives_out_the_newer_owners_bytes() -> None:
    """Fails (TransitionError, a 500) when a draft from what the newer owner has stored is taken for a defect.

    ::

        stale client    take over f=2 ─ found ─ (frozen) . . . . . . . . . draft: "charged" of what is charged
        recovery                                    take over f=3 ─ completed
    """
    shop = in_doubt()
    world = shop.world
    find = world.gateway.find
    newer: list[KeyedResponse] = []

    def frozen(instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        outcome = find(instruction, deadline)
        if not newer:
            world.gateway.find = find  # type: ignore[method-assign]
            world.clock.ms += PAST_THE_LEASE_MS
            assert world.recover().concluded == 1
            newer.append(world.create())
        return outcome

    world.gateway.find = frozen  # type: ignore[method-assign]
    answer = shop.call(world.create)
    assert not isinstance(answer, PayonceError), answer
    assert (answer.response, answer.replayed) == (newer[0].response, True)
    assert answer.response.status == 201


def test_a_stale_recovery_has_not_failed() -> None:
    """The same in recovery's process: the newer owner's outcome, and nothing to report."""
    shop = in_doubt()
    world = shop.world
    find = world.gateway.find

    def frozen(instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        outcome = find(instruction, deadline)
        world.gateway.find = find  # type: ignore[method-assign]
        world.clock.ms += 20_000_000
        assert world.recover().concluded == 1
        return outcome

    world.gateway.find = frozen  # type: ignore[method-assign]
    report = world.recover()
    assert (report.failed, world.errors) == (0, [])
    assert world.create().response.status == 201


def test_a_defect_of_a_draft_is_still_one() -> None:
    """Fails when every error of a draft is taken for a stale owner's: a defect would be waited for and never seen."""
    shop = Shop()
    work_failed = RuntimeError("a defect")

    def broken(*_: object) -> None:
        raise work_failed

    plan = plan_payment(
        NewPayment(money=Money(1000, "EUR"), payment_method="pm", capture_method=CaptureMethod.AUTOMATIC),
        merchant_id=MERCHANT,
        route=lambda _id: "bank",
        services=shop.world.services,
    )
    work = CreatePayment(plan, lambda _name: shop.world.gateway, shop.world.services)
    work.draft = broken  # type: ignore[assignment,method-assign]
    with pytest.raises(IdempotencyPersistenceLayerError) as wrapped:
        shop.world.engine.execute(shop.world.request("key", "create_payment"), work)
    assert wrapped.value.__cause__ is work_failed


CLAIMS = 7 * OPEN_LEASE_SHARDS  # some in each shard


def test_a_throttled_shard_does_not_end_the_run() -> None:
    """Fails when the first error of a query ends it: the claims of the later shards would wait for luck."""
    shop = Shop()
    world = shop.world
    for number in range(CLAIMS):
        world.gateway.script, world.gateway.lookup_fails = ["booked_lost"], True
        world.create(f"key-{number}")
    world.gateway.lookup_fails = False
    stored = world.database._tables[Table.IDEMPOTENCY].values()  # type: ignore[attr-defined]
    shards = {item["open_shard"] for item in stored}
    assert len(shards) == OPEN_LEASE_SHARDS
    world.clock.ms += PAST_THE_LEASE_MS
    shop.database.reads = ["refused"]
    first = world.recover()
    assert first.failed == 1
    assert [type(error) for error in world.errors] == [StoreUnavailable]
    assert 0 < first.concluded < CLAIMS
    assert world.recover().concluded == CLAIMS - first.concluded
