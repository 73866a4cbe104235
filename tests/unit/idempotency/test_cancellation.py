"""A function that is cut off, and what it had started: "not found" counts only once nothing of it can still act."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import LeaseLost, OutcomeUnknown, PayonceError, ReleaseRefused, StoreUnavailable
from payonce.idempotency import coroutines
from payonce.idempotency.attempt import Attempt, NotKnown, Verdict, WasExecuted, WasNotExecuted
from payonce.idempotency.conclude import Concluder
from payonce.idempotency.operation import current_attempt, run_again
from payonce.idempotency.records import Claim, Draft, IdempotencyRecord, InDoubt, RecordStatus, StoredResponse
from payonce.idempotency.release import ReleaseDesk, ReleaseOrder
from payonce.idempotency.window import LEASE_MARGIN_MS, IdempotencySettings
from payonce.ports import Deadline
from tests.support.shop import LEASE_MS, TIMEOUT_SECONDS, Shop
from tests.support.world import ManualClock, RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 10.0  # for a thread on a busy machine


@dataclass
class Bank:
    """A bank that charges when it is let to, a while after it was asked."""

    shop: Shop = field(default_factory=Shop)
    clock: RealClock = field(default_factory=RealClock)
    charges: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    let: threading.Event = field(default_factory=threading.Event)
    charged: threading.Event = field(default_factory=threading.Event)
    inquiries: list[Attempt] = field(default_factory=list)

    def post(self, order: str) -> dict[str, str]:
        self.asked.set()
        self.let.wait(PATIENCE_SECONDS)
        self.charges.append(order)
        self.charged.set()
        return {"charge": order}

    def resolve(self, attempt: Attempt) -> Verdict:
        self.inquiries.append(attempt)
        return WasExecuted({"charge": attempt.key}) if attempt.key in self.charges else WasNotExecuted()

    def guard(self, **options: Any) -> Any:
        return self.shop.operation(
            **{"scope": "shop_name", "clock": self.clock, "sleep": time.sleep, "resolve": self.resolve, **options}
        )

    def record(self) -> IdempotencyRecord:
        record = self.shop.record()
        assert record is not None
        return record


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


async def in_a_thread(bank: Bank, order: str) -> dict[str, str]:
    return await asyncio.to_thread(bank.post, order)


async def in_an_executor(bank: Bank, order: str) -> dict[str, str]:
    return await asyncio.get_running_loop().run_in_executor(None, bank.post, order)


async def in_a_shielded_task(bank: Bank, order: str) -> dict[str, str]:
    return await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(bank.post, order)))


async def in_a_task_of_the_background(bank: Bank, order: str) -> dict[str, str]:
    background = asyncio.ensure_future(asyncio.to_thread(bank.post, order))
    await asyncio.wait([background])
    return await background


async def in_an_abandoned_thread(bank: Bank, order: str) -> dict[str, str]:
    return await anyio.to_thread.run_sync(bank.post, order, abandon_on_cancel=True)


KINDS = [in_a_thread, in_an_executor, in_a_shielded_task, in_a_task_of_the_background, in_an_abandoned_thread]


async def by_a_timeout(bank: Bank, call: Any) -> None:
    async def when_asked(timeout: asyncio.Timeout) -> None:
        await until(bank.asked.is_set)
        timeout.reschedule(0)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as timeout, asyncio.TaskGroup() as group:
            group.create_task(when_asked(timeout))
            await call


async def by_cancelling_the_task(bank: Bank, call: Any) -> None:
    task = asyncio.ensure_future(call)
    await until(bank.asked.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_a_scope_of_anyio(bank: Bank, call: Any) -> None:
    async def when_asked(scope: anyio.CancelScope) -> None:
        await until(bank.asked.is_set)
        scope.cancel()

    with anyio.CancelScope() as scope:
        watching = asyncio.ensure_future(when_asked(scope))
        await call
    assert scope.cancelled_caught
    await watching


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cancel", [by_a_timeout, by_cancelling_the_task, by_a_scope_of_anyio])
def test_a_cancelled_coroutine_keeps_its_lease_while_its_work_goes_on(kind: Any, cancel: Any) -> None:
    """The bank charges after the caller has given up, which no cancellation stops.

    ::

        caller   pay ─▶ cancelled        retry: in doubt     retry after the lease: found, no second charge
        thread        └─ post ─────────────────────▶ charged

    asyncio cancels the waiting and not the thread (https://github.com/python/cpython/issues/107505), and so does anyio,
    whose scopes cancel again and again (https://anyio.readthedocs.io/en/stable/cancellation.html). Fails when the doubt
    is asked about before the lease ends, or when resolve is not told until when the earlier owner can have sent.
    """
    bank = Bank()

    @bank.guard()
    async def pay(shop_name: str, order: str) -> dict[str, str]:
        return await kind(bank, order)  # type: ignore[no-any-return]

    async def main() -> None:
        began_ms = bank.clock.now_ms()
        await cancel(bank, pay("s", "order-1"))
        await until(lambda: bank.record().status is RecordStatus.IN_DOUBT)
        record = bank.record()
        assert record.lease_expires_at_ms == record.submit_horizon_ms
        assert record.submit_horizon_ms >= began_ms + TIMEOUT_SECONDS * 1000 + LEASE_MARGIN_MS
        bank.clock.offset_ms += 6_000
        with pytest.raises(OutcomeUnknown):
            await pay("s", "order-1")
        assert bank.inquiries == []
        bank.let.set()
        await until(bank.charged.is_set)
        bank.clock.offset_ms += LEASE_MS
        assert await pay("s", "order-1") == {"charge": "order-1"}
        (inquiry,) = bank.inquiries
        assert (inquiry.submit_horizon_ms, inquiry.owners) == (record.submit_horizon_ms, 2)

    asyncio.run(main())
    assert bank.charges == ["order-1"]


def test_a_thread_that_outlives_its_callers_wait() -> None:
    """The function itself gives up waiting, by an ordinary exception. Fails when "not found" counts five seconds later:
    an HTTP client's timeout, too, ends the wait for an answer and not what the other side is at.

    ::

        A   post ─▶ TimeoutError          charged
        B                     asks: not found │ asks after A's lease: found
    """
    bank, clock = Bank(), ManualClock()
    pool = ThreadPoolExecutor(1)

    @bank.guard(clock=clock, sleep=clock.sleep)
    def pay(shop_name: str, order: str) -> dict[str, str]:
        return pool.submit(bank.post, order).result(0.05)

    with pytest.raises(TimeoutError):
        pay("s", "order-1")
    clock.ms += 5_001
    with pytest.raises(OutcomeUnknown):
        pay("s", "order-1")
    record = bank.record()
    assert len(bank.inquiries) == 1
    assert record.lease_expires_at_ms == record.submit_horizon_ms == clock.ms - 5_001 + LEASE_MS - 1
    bank.let.set()
    pool.shutdown()
    clock.ms += LEASE_MS
    assert pay("s", "order-1") == {"charge": "order-1"}
    assert bank.charges == ["order-1"]


def test_what_is_found_counts_at_once() -> None:
    """Fails when the horizon holds up what is certain: the charge is there, five seconds after the answer was lost."""
    shop = Shop(fails=TimeoutError("the answer was lost"))
    ship = shop.ship()
    with pytest.raises(TimeoutError):
        ship("s", "order-1")
    shop.clock.ms += 5_001
    shop.verdicts = [WasExecuted({"shipment": 1})]
    assert ship("s", "order-1") == {"shipment": 1}
    assert shop.asked[0].submit_horizon_ms > shop.clock.ms


def test_not_found_counts_by_the_time_of_the_question() -> None:
    """The answer to a slow inquiry is of the moment at which it was asked. Fails when the clock is read after it."""
    shop = Shop(fails=ValueError("?"))
    slow: list[Attempt] = []

    def resolve(attempt: Attempt) -> Verdict:
        slow.append(attempt)
        if len(slow) == 1:
            shop.clock.ms = attempt.submit_horizon_ms + 1
        return WasNotExecuted()

    ship = shop.ship(resolve=resolve, timeout_seconds=600)
    with pytest.raises(ValueError, match=r"\?"):
        ship("s", "order-1")
    shop.clock.ms += 5_001
    shop.fails = None
    with pytest.raises(OutcomeUnknown):
        ship("s", "order-1")
    assert len(shop.shipped) == 1
    assert ship("s", "order-1") == {"shipment": 2, "boxes": 1}


def test_a_program_may_wait_longer_than_the_horizon() -> None:
    """Fails when ``resolve`` can't do what the payments do: count from the last moment of an earlier owner."""
    shop = Shop()
    lag_ms = 60_000

    def resolve(attempt: Attempt) -> Verdict:
        settles_ms = attempt.submit_horizon_ms + lag_ms
        if shop.clock.ms < settles_ms:
            return NotKnown((settles_ms - shop.clock.ms) / 1000)
        return WasNotExecuted()

    ship = shop.ship(resolve=resolve)
    shop.crash(lambda: ship("s", "order-1"))
    with pytest.raises(OutcomeUnknown):
        ship("s", "order-1")
    shop.clock.ms += lag_ms
    assert ship("s", "order-1")["shipment"] == 2


def test_a_doubt_is_not_released_by_an_operator_before_its_horizon() -> None:
    """Fails when the claim of a function whose thread goes on can be given back like one whose owner is gone."""
    shop = Shop(fails=TimeoutError("the answer was lost"))
    ship = shop.ship()
    with pytest.raises(TimeoutError):
        ship("s", "order-1")
    record = shop.record()
    assert record is not None
    desk = ReleaseDesk(
        store=shop.store,
        clock=shop.clock,
        undo=lambda _record: (),
        may_have_happened=lambda _record: True,
        settles_after_seconds=lambda _record: 0.0,
    )
    order = ReleaseOrder(
        record_id=record.record_id,
        claim_id=record.claim_id,
        fence=record.fence,
        operator="ann",
        reason="the customer waits",
        finding="nothing there",
    )
    with pytest.raises(ReleaseRefused, match="may be at work until"):
        desk.release(order)
    shop.clock.ms += LEASE_MS
    desk.release(order)
    assert shop.record() is None


# ---------------------------------------------------------------- suspended
def test_a_process_that_is_suspended_before_it_begins_does_not_begin() -> None:
    """A is frozen after its claim; when it goes on, B has executed.

    ::

        A   claim f=1 ─▶ (frozen) . . . . . . . . . . . . . . .▶ its time is over: replays B's result
        B                          lease over: f=2 ─▶ executes

    https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html. Fails when A executes on waking up.
    """
    shop = Shop(verdicts=[WasNotExecuted()])
    ship = shop.ship()
    claim, frozen = shop.store.claim, threading.Event()

    def slow(*arguments: Any) -> Any:
        claimed = claim(*arguments)
        if not frozen.is_set():
            frozen.set()
            shop.clock.ms += LEASE_MS
            assert ship("s", "order-1") == {"shipment": 1, "boxes": 1}
        return claimed

    shop.store.claim = slow  # type: ignore[method-assign]
    assert ship("s", "order-1") == {"shipment": 1, "boxes": 1}
    assert len(shop.shipped) == 1


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_coroutine_whose_loop_is_busy_until_its_time_is_over_does_not_begin(taken_over: bool) -> None:
    """Something blocks the loop after the claim, as asyncio's debug mode reports of slow callbacks
    (https://docs.python.org/3/library/asyncio-dev.html#running-blocking-code).

    ::

        A's thread   claim f=1 ─▶ asks the loop to begin
        A's loop                  (blocked) . . . . . . . . . . . . . . .▶ its time is over: B's result, or none
        B                                      lease over: f=2 ─▶ executes

    Fails when the coroutine begins: a second charge, or one that another owner may make at any moment.
    """
    bank = Bank(shop=Shop(verdicts=[WasNotExecuted()]))

    @bank.shop.operation(scope="shop_name")
    async def pay(shop_name: str, order: str) -> str:
        bank.charges.append(order)
        return order

    async def main() -> None:
        late = asyncio.ensure_future(pay("s", "order-1"))
        await asyncio.sleep(0)
        while bank.shop.record() is None:  # on the loop: what the engine hands to it waits in its queue
            time.sleep(0.005)
        time.sleep(0.1)
        bank.shop.clock.ms += LEASE_MS
        if not taken_over:
            with pytest.raises(StoreUnavailable, match="Nothing was executed"):
                await late
            return
        with ThreadPoolExecutor() as pool:
            assert pool.submit(lambda: asyncio.run(pay("s", "order-1"))).result() == "order-1"
        assert await late == "order-1"

    asyncio.run(main())
    assert bank.charges == ["order-1"] * taken_over
    assert (bank.shop.record() is not None) is taken_over


def test_a_process_that_wakes_up_too_late_gives_its_claim_back() -> None:
    """Nobody has taken it over. Fails when the key is left in doubt though nothing has begun, or the function begins
    after its deadline, when another owner may begin any moment.
    """
    shop = Shop()
    ship = shop.ship()
    claim = shop.store.claim

    def slow(*arguments: Any) -> Any:
        claimed = claim(*arguments)
        shop.clock.ms += TIMEOUT_SECONDS * 1000
        return claimed

    shop.store.claim = slow  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable, match="Nothing was executed"):
        ship("s", "order-1")
    assert (shop.shipped, shop.record()) == ([], None)
    shop.store.claim = claim  # type: ignore[method-assign]
    assert ship("s", "order-1") == {"shipment": 1, "boxes": 1}


def test_an_inquiry_that_takes_all_the_time_leaves_none_to_execute() -> None:
    """Fails when a new owner begins after its own deadline, or gives a claim back under whose reference was sent."""
    shop = Shop()

    def resolve(attempt: Attempt) -> Verdict:
        shop.asked.append(attempt)
        if len(shop.asked) == 1:
            shop.clock.ms += TIMEOUT_SECONDS * 1000
        return WasNotExecuted()

    ship = shop.ship(resolve=resolve)
    shop.crash(lambda: ship("s", "order-1"))
    with pytest.raises(StoreUnavailable, match="Nothing was executed"):
        ship("s", "order-1")
    assert len(shop.shipped) == 1
    assert ship("s", "order-1")["shipment"] == 2
    assert len(set(shop.shipped)) == 1


def test_a_process_that_is_suspended_at_work_finds_the_newer_outcome() -> None:
    """Fails when what a late owner brings is told as the outcome, or stored over it."""
    shop = Shop()

    @shop.operation(scope="shop_name")
    def ship(shop_name: str, order: str) -> int:
        shop.shipped.append(order)
        if len(shop.shipped) == 1:
            shop.clock.ms += LEASE_MS
            shop.verdicts = [NotKnown(3600)]
            with pytest.raises(OutcomeUnknown):
                ship(shop_name, order)
        return 1

    with pytest.raises((OutcomeUnknown, LeaseLost)):
        ship("s", "order-1")
    assert shop.shipped == ["order-1"]


# ---------------------------------------------------------------- coroutines
def test_a_coroutine_that_finishes_all_the_same_is_completed() -> None:
    """It answers a cancellation by ending what it is at. Fails when its result is lost, or the cancellation is."""
    bank = Bank()
    bank.let.set()

    @bank.guard()
    async def pay(shop_name: str, order: str) -> dict[str, str]:
        try:
            await asyncio.sleep(PATIENCE_SECONDS)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        return bank.post(order)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pay("s", "order-1")
        assert await pay("s", "order-1") == {"charge": "order-1"}

    asyncio.run(main())
    assert (bank.charges, bank.inquiries) == (["order-1"], [])


def test_a_second_cancellation_reaches_the_coroutines_clean_up() -> None:
    """Fails when only the first one is passed on: a clean-up that hangs could not be ended."""
    bank = Bank()
    cleaning: list[str] = []

    @bank.guard()
    async def pay(shop_name: str, order: str) -> None:
        bank.asked.set()
        try:
            await asyncio.sleep(PATIENCE_SECONDS)
        finally:
            cleaning.append("begun")
            await asyncio.sleep(PATIENCE_SECONDS)
            cleaning.append("ended")

    async def main() -> None:
        task = asyncio.ensure_future(pay("s", "order-1"))
        await until(bank.asked.is_set)
        task.cancel()
        await until(lambda: cleaning)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cleaning == ["begun"]
        assert bank.record().lease_expires_at_ms == bank.record().submit_horizon_ms

    asyncio.run(main())


def test_a_clean_up_in_a_shielded_scope_of_anyio_is_not_disturbed() -> None:
    """A scope of anyio cancels its task again and again until it has left, and spares shielded scopes
    (https://anyio.readthedocs.io/en/stable/cancellation.html). Fails when every repetition is passed on as another
    cancellation, or the caller leaves while the coroutine is still at its clean-up.
    """
    bank = Bank()
    cleaning: list[str] = []

    @bank.guard()
    async def pay(shop_name: str, order: str) -> None:
        bank.asked.set()
        try:
            await anyio.sleep(PATIENCE_SECONDS)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.05)
                cleaning.append("ended")

    async def main() -> None:
        await by_a_scope_of_anyio(bank, pay("s", "order-1"))
        assert cleaning == ["ended"]

    asyncio.run(main())


def test_a_cancellation_does_not_wait_for_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease protects the key meanwhile. Fails when the caller's own timeout lasts as long as the outage."""
    monkeypatch.setattr(coroutines, "MAX_WAIT_FOR_ENGINE_SECONDS", 0.05)
    bank = Bank()
    park, let = bank.shop.store.park, threading.Event()

    def slow(*arguments: Any, **options: Any) -> Any:
        let.wait(PATIENCE_SECONDS)
        return park(*arguments, **options)

    bank.shop.store.park = slow  # type: ignore[method-assign]

    @bank.guard()
    async def pay(shop_name: str, order: str) -> None:
        bank.asked.set()
        await asyncio.sleep(PATIENCE_SECONDS)

    async def main() -> None:
        task = asyncio.ensure_future(pay("s", "order-1"))
        await until(bank.asked.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_SECONDS / 2)
        assert bank.record().status is RecordStatus.IN_PROGRESS
        assert bank.record().lease_expires_at_ms > bank.clock.now_ms() + LEASE_MARGIN_MS
        let.set()
        await until(lambda: bank.record().status is RecordStatus.IN_DOUBT)

    asyncio.run(main())


def test_a_coroutine_cancelled_between_its_claim_and_its_first_step_never_begins() -> None:
    """The loop is busy while the engine claims, so that the cancellation and the beginning meet in its queue.

    ``run_coroutine_threadsafe`` would run the first step of a cancelled coroutine
    (https://github.com/python/cpython/issues/105836). Fails when the effect happens, or the key stays blocked.
    """
    bank = Bank()
    claim, claiming, go_on = bank.shop.store.claim, threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        claiming.set()
        go_on.wait(PATIENCE_SECONDS)
        return claim(*arguments)

    bank.shop.store.claim = slow  # type: ignore[method-assign]

    @bank.guard()
    async def pay(shop_name: str, order: str) -> None:
        bank.charges.append(order)

    async def main() -> None:
        task = asyncio.ensure_future(pay("s", "order-1"))
        await until(claiming.is_set)
        go_on.set()
        await_claimed(bank)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def await_claimed(bank: Bank) -> None:
        # Blocking, on the loop: what the engine hands to it stays in its queue.
        while bank.shop.record() is None:
            time.sleep(0.005)
        time.sleep(0.1)

    asyncio.run(main())
    assert (bank.charges, bank.shop.record()) == ([], None)


def test_a_coroutine_may_raise_a_cancellation_of_its_own() -> None:
    """It awaits something that was cancelled. Fails when its caller gets another exception than without the guard, or
    the doubt is asked about before the lease ends.
    """
    bank = Bank()

    @bank.guard()
    async def pay(shop_name: str, order: str) -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await pay("s", "order-1")

    asyncio.run(main())
    assert bank.record().status is RecordStatus.IN_DOUBT
    assert bank.record().lease_expires_at_ms == bank.record().submit_horizon_ms > bank.clock.now_ms() + LEASE_MARGIN_MS


def payonce_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "payonce"]


def wait_for_no_thread() -> None:
    until_s = time.monotonic() + PATIENCE_SECONDS
    while payonce_threads():
        assert time.monotonic() < until_s, "the engine waits for ever"
        time.sleep(0.01)


@pytest.mark.parametrize("end", ["closed", "stopped"])
def test_a_loop_that_ends_under_a_coroutine_is_not_waited_for(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program leaves its loop with the coroutine in it. Nothing tells a thread that waits for that loop's results
    (https://github.com/zigpy/bellows/issues/745). Fails when it waits for ever, or releases what may have happened.
    """
    monkeypatch.setattr(coroutines, "LOOP_CHECK_SECONDS", 0.02)
    bank = Bank()

    @bank.guard(timeout_seconds=600)
    async def pay(shop_name: str, order: str) -> None:
        bank.asked.set()
        await asyncio.sleep(PATIENCE_SECONDS)

    loop = asyncio.new_event_loop()
    task = loop.create_task(pay("s", "order-1"))
    loop.run_until_complete(until(bank.asked.is_set))
    if end == "closed":
        left = asyncio.all_tasks(loop)
        loop.close()
    else:
        time.sleep(0.1)
        assert payonce_threads()  # it may be run again while there is time
        bank.clock.offset_ms += 600_000
        left = asyncio.all_tasks(loop)
    wait_for_no_thread()
    record = bank.record()
    assert record.status is RecordStatus.IN_DOUBT
    assert record.submit_horizon_ms == record.lease_expires_at_ms
    if end == "stopped":
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()
    for one in left:  # nobody will await them any more
        one._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_coroutine_whose_loop_is_run_again_too_late_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program stops its loop for longer than the lease, as notebooks do between their cells.

    ::

        A   claim f=1 ─▶ begins ─▶ (loop stopped) . . . . . . . . . . . . ▶ run again: cut off
        B                                       lease over: f=2 ─▶ executes

    Fails when A is carried on: a second charge.
    """
    monkeypatch.setattr(coroutines, "LOOP_CHECK_SECONDS", 0.02)
    bank = Bank(shop=Shop(verdicts=[WasNotExecuted()]))

    @bank.shop.operation(scope="shop_name")
    async def pay(shop_name: str, order: str) -> str:
        bank.asked.set()
        await asyncio.sleep(0.01)
        bank.charges.append(order)
        return order

    loop = asyncio.new_event_loop()
    task = loop.create_task(pay("s", "order-1"))
    while not bank.asked.is_set():  # one turn of the loop at a time, so that it stops before the charge
        loop.run_until_complete(asyncio.sleep(0))
    bank.shop.clock.ms += LEASE_MS
    wait_for_no_thread()
    bank.shop.clock.ms += LEASE_MS
    assert asyncio.run(pay("s", "order-1")) == "order-1"
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    assert bank.charges == ["order-1"]


def test_a_loop_that_is_closed_before_the_coroutine_began_frees_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the key is blocked although nothing has begun, be it only until the next look at the loop."""
    monkeypatch.setattr(coroutines, "LOOP_CHECK_SECONDS", 2 * PATIENCE_SECONDS)
    bank = Bank()
    claim, claiming, go_on = bank.shop.store.claim, threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        claiming.set()
        go_on.wait(PATIENCE_SECONDS)
        return claim(*arguments)

    bank.shop.store.claim = slow  # type: ignore[method-assign]

    @bank.guard()
    async def pay(shop_name: str, order: str) -> None:
        bank.charges.append(order)

    loop = asyncio.new_event_loop()
    task = loop.create_task(pay("s", "order-1"))
    loop.run_until_complete(until(claiming.is_set))
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    go_on.set()
    wait_for_no_thread()
    assert (bank.charges, bank.shop.record()) == ([], None)


# ---------------------------------------------------------------- the horizon
@pytest.mark.parametrize(
    ("goes_on_ms", "stored_ms", "expected_ms"),
    [
        (0, 0, LEASE_MARGIN_MS),  # the next owner's clock may be ahead
        (50, 0, 50),  # the lease's end, which has the margin
        (50, 90, 90),
        (0, LEASE_MARGIN_MS + 1, LEASE_MARGIN_MS + 1),
    ],
)
def test_the_horizon_never_moves_back(goes_on_ms: int, stored_ms: int, expected_ms: int) -> None:
    """A late owner with little time takes over from one that had much. Fails when its end hides the other one's."""
    shop = Shop()
    now_ms = shop.clock.ms
    record = IdempotencyRecord(
        record_id="s#ship#k",
        status=RecordStatus.IN_PROGRESS,
        claim_id="c1",
        fence=2,
        fingerprint="f",
        created_at_ms=now_ms,
        expires_at_ms=now_ms,
        lease_expires_at_ms=now_ms + 10,
        submit_horizon_ms=now_ms + stored_ms if stored_ms else 0,
    )
    shop.store.claim(record)
    doubt = InDoubt(
        lambda: Draft(StoredResponse(202, {}, b""), ()),
        now_ms,
        submitted=True,
        goes_on_until_ms=now_ms + goes_on_ms if goes_on_ms else 0,
    )
    concluder = Concluder(store=shop.store, settings=IdempotencySettings(), clock=shop.clock, sleep=shop.clock.sleep)
    concluder.write(Claim(record, Deadline(now_ms + 10)), doubt)
    stored = shop.store.get("s#ship#k")
    assert stored is not None
    assert stored.submit_horizon_ms == now_ms + expected_ms


# ---------------------------------------------------------------- blocks
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, GeneratorExit, SystemExit, asyncio.CancelledError])
def test_a_block_left_by_an_interrupt_keeps_its_lease(interrupt: type[BaseException]) -> None:
    """Fails when another owner may take over before the deadline, or isn't told until when the first may have sent."""
    shop = Shop()
    operation = shop.operation()
    with pytest.raises(interrupt), operation.attempt(scope="s", key="order-1") as attempt:
        shop.shipped.append(attempt.reference)
        raise interrupt
    record = shop.record()
    assert record is not None
    lease_ms = record.lease_expires_at_ms
    shop.clock.ms = lease_ms
    with pytest.raises(PayonceError), operation.attempt(scope="s", key="order-1"):
        raise AssertionError("the block runs")
    shop.clock.ms += 1
    shop.verdicts = [WasExecuted(1)]
    with operation.attempt(scope="s", key="order-1") as attempt:
        assert attempt.result == 1
    assert [asked.submit_horizon_ms for asked in shop.asked] == [lease_ms]


def test_a_block_in_a_coroutine_that_is_cancelled() -> None:
    """Fails when the cancellation is swallowed, or the claim of a block whose thread goes on can be taken over."""
    bank = Bank()
    operation = bank.guard()

    async def pay() -> None:
        with operation.attempt(scope="s", key="order-1"):
            await asyncio.to_thread(bank.post, "order-1")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pay()
        assert bank.record().lease_expires_at_ms > bank.clock.now_ms() + LEASE_MARGIN_MS
        bank.let.set()
        await until(bank.charged.is_set)

    asyncio.run(main())
    bank.clock.offset_ms += LEASE_MS
    with operation.attempt(scope="s", key="order-1") as attempt:
        assert attempt.result == {"charge": "order-1"}
    assert bank.charges == ["order-1"]


def test_a_block_in_a_generator_that_is_closed() -> None:
    """Fails when leaving it from another context raises, or releases."""
    shop = Shop()

    def steps() -> Iterator[int]:
        with shop.operation().attempt(scope="s", key="order-1"):
            yield 1

    generator = steps()
    assert next(generator) == 1
    generator.close()
    record = shop.record()
    assert record is not None
    assert record.status is RecordStatus.IN_PROGRESS
    with pytest.raises(LookupError):
        current_attempt()


# ---------------------------------------------------------------- what is no result, and no verdict
def returned(what: str) -> Any:
    async def later() -> int:
        return 1

    def items() -> Iterator[int]:
        yield 1

    if what == "coroutine":
        coroutine = later()
        coroutine.close()
        return coroutine
    return {"generator": items(), "iterator": map(str, [1]), "future": ThreadPoolExecutor(1).submit(int)}[what]


@pytest.mark.parametrize("what", ["coroutine", "generator", "iterator", "future"])
def test_a_function_that_returns_work_which_is_not_done_is_in_doubt(what: str) -> None:
    """A plain function that hands out what another one will do. Fails when the key is completed before anything has
    happened, or free while it goes on.
    """
    shop = Shop()

    @shop.operation(scope="shop_name")
    def ship(shop_name: str, order: str) -> int:
        return returned(what)  # type: ignore[no-any-return]

    with pytest.raises(TypeError, match="not done yet"):
        ship("s", "order-1")
    record = shop.record()
    assert record is not None
    assert record.status is RecordStatus.IN_DOUBT
    assert record.lease_expires_at_ms == record.submit_horizon_ms == shop.clock.ms + LEASE_MS - 1


def test_a_resolve_that_returns_no_verdict_leaves_the_doubt() -> None:
    """Fails when it breaks the engine, or counts as "not executed"."""
    shop = Shop()
    ship = shop.ship(resolve=lambda _attempt: None)
    shop.crash(lambda: ship("s", "order-1"))
    with pytest.raises(TypeError, match="no verdict"):
        ship("s", "order-1")
    record = shop.record()
    assert record is not None
    assert (record.status, len(shop.shipped)) == (RecordStatus.IN_DOUBT, 1)


def test_a_promise_speaks_for_its_own_owner_alone() -> None:
    """The downstream is idempotent by the reference; A's request is done and its answer lost, B is refused.

    ::

        A   f=1 sends ref-1 ─▶ done, answer lost
        B   f=2 sends ref-1 ─▶ refused: "nothing happened"       released: C would send ref-2, and it is done again
        C   f=3 sends ref-1 ─▶ the first answer

    Fails when B's promise gives the claim back, and the reference with it.
    """
    shop = Shop()
    done: dict[str, int] = {}

    @shop.operation(scope="shop_name", resolve=run_again, releases_on=(ConnectionRefusedError,))
    def ship(shop_name: str, order: str) -> int:
        shop.shipped.append(order)
        if len(shop.shipped) == 2:
            raise ConnectionRefusedError
        number = done.setdefault(current_attempt().reference, len(shop.shipped))
        if len(shop.shipped) == 1:
            raise TimeoutError
        return number

    with pytest.raises(TimeoutError):
        ship("s", "order-1")
    shop.clock.ms += LEASE_MS
    with pytest.raises(ConnectionRefusedError):
        ship("s", "order-1")
    assert ship("s", "order-1") == 1  # at once: nothing is on its way
    assert len(done) == 1


# ---------------------------------------------------------------- whatever is left behind
ENDS: dict[str, BaseException | None] = {
    "returns": None,
    "raises": TimeoutError(),
    "is cut off": coroutines.CutOff("cancelled"),
    "is interrupted": KeyboardInterrupt(),
}
STEP = st.tuples(st.sampled_from(sorted(ENDS)), st.floats(0, 1), st.booleans(), st.integers(0, 30_000))


@given(steps=st.lists(STEP, min_size=1, max_size=8))
def test_whatever_an_execution_leaves_behind_the_effect_happens_once(steps: list[tuple[str, float, bool, int]]) -> None:
    """Each execution starts an effect that lands any time before its lease ends, and ends in any way; ``resolve`` says
    truthfully what is there when it is asked. Fails when a look that came too early is believed.
    """
    shop, lands_at_ms = Shop(), list[int]()
    plan: list[tuple[str, float]] = []

    def resolve(attempt: Attempt) -> Verdict:
        if any(at_ms <= shop.clock.ms for at_ms in lands_at_ms):
            return WasExecuted(1)
        return WasNotExecuted()

    @shop.operation(scope="shop_name", resolve=resolve)
    def ship(shop_name: str, order: str) -> int:
        end, share = plan.pop()
        lease_ms = current_attempt().deadline.at_ms + LEASE_MARGIN_MS - shop.clock.ms
        lands_at_ms.append(shop.clock.ms + (0 if end == "returns" else int(share * lease_ms)))
        error = ENDS[end]
        if error is not None:
            raise error
        return 1

    for end, share, finds, passes_ms in steps:
        plan[:] = [(end, share)]
        with contextlib.suppress(PayonceError, TimeoutError, KeyboardInterrupt):
            assert ship("s", "order-1") == 1
        shop.clock.ms += passes_ms if finds else min(passes_ms, 6_000)
    assert len(lands_at_ms) == 1
    shop.clock.ms += LEASE_MS
    assert ship("s", "order-1") == 1
    assert len(lands_at_ms) == 1
