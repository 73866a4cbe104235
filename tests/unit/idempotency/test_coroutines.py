"""The engine's thread and the event loop: what is left of a call whose caller has gone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from typing import Any

import pytest

from payonce.domain.errors import StoreUnavailable
from payonce.idempotency import coroutines
from payonce.idempotency.coroutines import _OnLoop
from payonce.idempotency.handoff import in_thread
from payonce.idempotency.in_process import CutOff
from payonce.idempotency.records import RecordStatus
from payonce.ports import Deadline
from tests.support.shop import LEASE_MS, TIMEOUT_SECONDS, Shop

PATIENCE_SECONDS = 10.0  # for a thread on a busy machine


def test_who_stops_waiting_for_the_engine_does_not_cancel_it() -> None:
    """Fails when its Future can be cancelled: the thread goes on, and its outcome would be refused as it comes."""
    let = threading.Event()
    outcome = in_thread(lambda: let.wait(PATIENCE_SECONDS))
    assert not outcome.cancel()
    let.set()
    assert outcome.result(PATIENCE_SECONDS) is True


@pytest.mark.parametrize("store", ["answers", "is away"])
def test_a_cancelled_call_reports_no_lost_error(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's last word, "in doubt", has no reader any more. Fails when asyncio reports an exception that nobody
    retrieved for each call that is cancelled, or an error in a callback: people would look for it.
    """
    monkeypatch.setattr(coroutines, "MAX_WAIT_FOR_ENGINE_SECONDS", 0.05 if store == "is away" else PATIENCE_SECONDS)
    shop, begun, let, parked = Shop(), asyncio.Event(), threading.Event(), threading.Event()
    park, reported = shop.store.park, list[dict[str, Any]]()

    def slow(*arguments: Any, **options: Any) -> Any:
        if store == "is away":
            let.wait(PATIENCE_SECONDS)
        try:
            return park(*arguments, **options)
        finally:
            parked.set()

    shop.store.park = slow  # type: ignore[method-assign]

    @shop.operation(scope="shop_name")
    async def pay(shop_name: str, order: str) -> None:
        begun.set()
        await asyncio.sleep(PATIENCE_SECONDS)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
        task = asyncio.ensure_future(pay("s", "order-1"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        let.set()
        await asyncio.to_thread(no_thread_of_the_engine)
        await asyncio.sleep(0)
        gc.collect()  # which is when asyncio reports what nobody has retrieved
        await asyncio.sleep(0)

    asyncio.run(main())
    assert parked.is_set()
    assert reported == []


def test_a_caller_that_leaves_waits_for_a_second_at_most() -> None:
    """As docs/in-process.md says. Fails when a cancellation lasts longer."""
    shop, begun = Shop(), asyncio.Event()

    @shop.operation(scope="shop_name")
    async def pay(shop_name: str, order: str) -> None:
        begun.set()
        await asyncio.sleep(PATIENCE_SECONDS)

    async def main() -> None:
        task = asyncio.ensure_future(pay("s", "order-1"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert 0.5 <= coroutines.MAX_WAIT_FOR_ENGINE_SECONDS <= 1


def test_each_cancellation_without_a_message_reaches_the_coroutine() -> None:
    """Who cancels twice means it. Fails when the second time is taken for one of anyio's repetitions of the first."""
    shop, reached = Shop(), list[str]()

    @shop.operation(scope="shop_name")
    async def pay(shop_name: str, order: str) -> None:
        for name in ("first", "second"):
            reached.append(f"before the {name}")
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3 * PATIENCE_SECONDS)
        reached.append("the end")

    async def main() -> None:
        task = asyncio.ensure_future(pay("s", "order-1"))
        for count in (1, 2):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(reached) < count:
                    await asyncio.sleep(0.005)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE_SECONDS)

    asyncio.run(main())
    assert reached == ["before the first", "before the second", "the end"]


def slow_claims(shop: Shop) -> tuple[threading.Event, threading.Event]:
    """Hold up the shop's claims. Return the event that says that one has begun, and the one that lets it go on."""
    claiming, go_on = threading.Event(), threading.Event()
    claim = shop.store.claim

    def slow(*arguments: Any) -> Any:
        claiming.set()
        go_on.wait(PATIENCE_SECONDS)
        return claim(*arguments)

    shop.store.claim = slow  # type: ignore[method-assign, assignment]
    return claiming, go_on


def wait_for_the_claim(shop: Shop) -> None:
    """Block until the record is there, and a moment longer, in which the engine hands the coroutine to the loop."""
    until_s = time.monotonic() + PATIENCE_SECONDS
    while shop.record() is None:
        assert time.monotonic() < until_s
        time.sleep(0.005)
    time.sleep(0.1)


async def is_set(event: threading.Event) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not event.is_set():
            await asyncio.sleep(0.005)


def test_a_caller_who_is_cancelled_while_the_engine_claims_leaves_the_key_free() -> None:
    """The cancellation is in the loop's queue before the coroutine is. Fails when the engine takes the one that never
    began for one that is in doubt, or begins it.
    """
    shop = Shop()
    claiming, go_on = slow_claims(shop)

    @shop.operation(scope="shop_name")
    async def pay(shop_name: str, order: str) -> None:
        shop.shipped.append(order)

    async def main() -> None:
        task = asyncio.ensure_future(pay("s", "order-1"))
        await is_set(claiming)
        task.cancel()
        go_on.set()
        wait_for_the_claim(shop)  # it blocks the loop
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    no_thread_of_the_engine()
    assert (shop.shipped, shop.record()) == ([], None)


def test_a_coroutine_that_takes_too_long_on_a_loop_that_runs_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has taken over. Fails when its result is thrown away, and the key in doubt, while it is at work."""
    monkeypatch.setattr(coroutines, "LOOP_CHECK_SECONDS", 0.02)
    shop = Shop()

    @shop.operation(scope="shop_name")
    async def pay(shop_name: str, order: str) -> str:
        shop.clock.ms += LEASE_MS
        await asyncio.sleep(0.2)
        return "paid"

    assert asyncio.run(pay("s", "order-1")) == "paid"
    record = shop.record()
    assert record is not None
    assert record.status is RecordStatus.COMPLETED


def test_a_loop_that_stops_before_the_coroutine_began_frees_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when what never began is in doubt, or begins when the loop is run again, beside another owner."""
    monkeypatch.setattr(coroutines, "LOOP_CHECK_SECONDS", 0.02)
    shop = Shop()
    claiming, go_on = slow_claims(shop)

    @shop.operation(scope="shop_name")
    async def pay(shop_name: str, order: str) -> None:
        shop.shipped.append(order)

    loop = asyncio.new_event_loop()
    task = loop.create_task(pay("s", "order-1"))
    loop.run_until_complete(is_set(claiming))
    go_on.set()
    wait_for_the_claim(shop)
    shop.clock.ms += TIMEOUT_SECONDS * 1000
    no_thread_of_the_engine()
    assert shop.record() is None
    with pytest.raises(StoreUnavailable):
        loop.run_until_complete(task)
    loop.close()
    assert shop.shipped == []


def test_a_loop_that_is_closed_under_a_coroutine_that_was_late_keeps_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the closed loop is asked to cancel the coroutine: its error would count as the function's own, which
    counts the time to the next question from now.
    """
    monkeypatch.setattr(coroutines, "LOOP_CHECK_SECONDS", 0.2)
    shop, begun = Shop(), threading.Event()
    claimed_at_ms = shop.clock.ms

    @shop.operation(scope="shop_name")
    async def pay(shop_name: str, order: str) -> None:
        begun.set()
        await asyncio.sleep(PATIENCE_SECONDS)

    loop = asyncio.new_event_loop()
    task = loop.create_task(pay("s", "order-1"))
    loop.run_until_complete(is_set(begun))
    left = asyncio.all_tasks(loop)
    loop.close()
    shop.clock.ms += TIMEOUT_SECONDS * 1000 + 1000
    no_thread_of_the_engine()
    record = shop.record()
    assert record is not None
    assert record.lease_expires_at_ms == record.submit_horizon_ms == claimed_at_ms + LEASE_MS - 1
    for one in {task, *left}:  # nobody will await them any more
        one._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_loop_that_goes_on_while_it_is_given_up_makes_no_error_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is run again between two lines of the engine's thread: the coroutine is said to have begun, and has no task
    yet. Fails when that ends in another error than "cut off", which keeps the lease.
    """
    assert 0.5 <= coroutines.LOOP_CHECK_SECONDS <= 1  # else its thread outlives a loop by longer
    monkeypatch.setattr(coroutines, "LOOP_CHECK_SECONDS", 0.0)
    loop = asyncio.new_event_loop()
    coroutine = _OnLoop(lambda: None, loop, Shop().clock)
    coroutine._deadline = Deadline(0)
    coroutine._left.set_running_or_notify_cancel()
    with pytest.raises(CutOff):
        coroutine._wait()
    loop.close()


def no_thread_of_the_engine() -> None:
    for thread in threading.enumerate():
        if thread.name == "payonce":
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
