"""Real concurrency on DynamoDB Local: one key and many threads; owners that wake up too late."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from payonce.domain.errors import KeyInProgress, LeaseLost
from payonce.domain.gateway import OperationKind, Succeeded
from payonce.idempotency.keys import record_id as record_id_of
from payonce.idempotency.records import KeyedResponse
from payonce.payments.create import CreatePayment
from payonce.payments.operations import PaymentPlan
from tests.support.aws import create_tables, dump, dynamo_database, dynamodb_client
from tests.support.world import MERCHANT, RealClock, ScriptedGateway, World

ROUNDS = 50
THREADS = 32


class RealWorldClock(RealClock):
    """A real clock whose pauses are real."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
        threading.Event().wait(seconds)


def make_world(endpoint_url: str, prefix: str) -> tuple[World, object, dict]:  # type: ignore[type-arg]
    client = dynamodb_client(endpoint_url)
    names = create_tables(client, prefix)
    return World(clock=RealWorldClock(), database=dynamo_database(client, names)), client, names  # type: ignore[arg-type]


def test_many_threads_with_one_key_charge_once(dynamodb_local: str) -> None:
    """The gateway ignores keys. Fails (several bookings) when the claim's condition is dropped."""
    world, _, _ = make_world(dynamodb_local, "burst-")

    def go(_: int) -> KeyedResponse | KeyInProgress:
        try:
            return world.create("one-key", wait_seconds=5)
        except KeyInProgress as busy:
            return busy

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(go, range(THREADS)))
    answered = [result for result in results if isinstance(result, KeyedResponse)]
    assert len(world.gateway.bookings) == 1
    assert len({answer.response.body for answer in answered}) == 1
    assert sum(not answer.replayed for answer in answered) == 1
    assert len(answered) + sum(isinstance(result, KeyInProgress) for result in results) == THREADS


def test_concurrent_refunds_never_exceed_the_capture(dynamodb_local: str) -> None:
    """Different keys, one payment. Fails when the reservation is not part of the claim."""
    world, _, _ = make_world(dynamodb_local, "refunds-")
    payment_id = world.create("payment").response.headers["location"].split("/")[-1]

    def refund(number: int) -> bool:
        try:
            return world.follow_up(OperationKind.REFUND, payment_id, f"refund-{number}", 300).response.status == 201
        except Exception:
            return False

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(refund, range(8)))
    assert sum(done) == 3
    assert sum(b.instruction.money.amount_minor for b in world.gateway.succeeded(OperationKind.REFUND)) == 900


def test_a_stale_owner_that_wakes_up_changes_nothing(dynamodb_local: str) -> None:
    """Owner A is frozen while it waits for the gateway; its lease ends; B takes over and completes; A wakes up.

    ::

        A  claim ─ submit ─ (frozen) . . . . . . . . . . wake ─ commit: refused, answers with B's bytes
        B                    lease over ─ take over ─ ask ─ commit

    Fails (tables differ) when complete() does not require the fence.
    """
    world, client, names = make_world(dynamodb_local, "stale-")
    woken, sent = threading.Event(), threading.Event()
    book = ScriptedGateway.submit

    class Freezing(ScriptedGateway):
        def submit(self, instruction, deadline):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            outcome = book(self, instruction, deadline)
            sent.set()
            woken.wait(120)
            return outcome

    world.gateway = Freezing(world.clock)
    with ThreadPoolExecutor(1) as pool:
        frozen = pool.submit(world.create, "key", wait_seconds=3)
        assert sent.wait(120)
        world.clock.offset_ms += 60_000  # type: ignore[attr-defined]
        report = world.recover()
        assert (report.concluded, world.errors) == (1, [])
        before = dump(client, names)  # type: ignore[arg-type]
        woken.set()
        answer = frozen.result()
    assert dump(client, names) == before  # type: ignore[arg-type]
    assert answer.replayed
    assert len(world.gateway.bookings) == 1


@pytest.mark.parametrize("stale_write", ["complete", "release"])
def test_takeovers_race_and_one_wins(dynamodb_local: str, stale_write: str) -> None:
    """Fails (two winners of one fence) when take_over() does not require the fence it observed."""
    world, client, names = make_world(dynamodb_local, f"race-{stale_write}-")
    for number in range(ROUNDS // 2):
        world.gateway.script = ["lost"]
        world.gateway.lookup_fails = True
        world.create(f"key-{number}")
        record_id = record_id_of(MERCHANT, "create_payment", f"key-{number}")
        observed = world.store.get(record_id)
        assert observed is not None
        barrier = threading.Barrier(4)

        def take(_: int, observed=observed, barrier=barrier) -> object:  # type: ignore[no-untyped-def]  # noqa: ANN001
            barrier.wait()
            try:
                return world.store.take_over(observed, lease_expires_at_ms=world.clock.now_ms() + 60_000)
            except LeaseLost:
                return None

        with ThreadPoolExecutor(4) as pool:
            winners = [winner for winner in pool.map(take, range(4)) if winner is not None]
        assert len(winners) == 1
        before = dump(client, names)  # type: ignore[arg-type]
        with pytest.raises(LeaseLost):
            if stale_write == "release":
                world.store.release(observed)
            else:
                plan = PaymentPlan.from_data(observed.plan)
                draft = CreatePayment(plan, lambda _name: world.gateway, world.services).draft(Succeeded("ch", "op"))
                world.store.complete(observed, draft.response, purge_at_seconds=1, ended_at_ms=1, writes=draft.writes)
        assert dump(client, names) == before  # type: ignore[arg-type]
