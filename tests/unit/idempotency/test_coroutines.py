"""The engine's thread and the event loop: what is left of a call whose caller has gone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from typing import Any

import pytest

from payonce.idempotency import coroutines
from payonce.idempotency.handoff import in_thread
from tests.support.shop import Shop

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


def test_each_cancellation_without_a_message_reaches_the_coroutine() -> None:
    """Who cancels twice means it. Fails when the second time is taken for a repetition, which anyio makes of the first."""
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


def no_thread_of_the_engine() -> None:
    for thread in threading.enumerate():
        if thread.name == "payonce":
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
