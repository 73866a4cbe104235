"""Blocking code on an event loop: what waits lets others run, and nothing ends it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from payonce import fibers


def test_fibers_wait_beside_each_other_in_one_thread() -> None:
    """Fails when one that waits blocks the loop, or each has a thread."""
    threads, order = set(), []

    def work(number: int, gate: asyncio.Future[None]) -> int:
        fibers.wait(gate)
        order.append(number)
        threads.add(threading.get_ident())
        return number

    async def scenario() -> list[int]:
        gates = [asyncio.get_running_loop().create_future() for _ in range(3)]
        working = [fibers.start(partial(work, number, gate)) for number, gate in enumerate(gates)]
        for gate in reversed(gates):
            gate.set_result(None)
            await asyncio.sleep(0)
        return await asyncio.gather(*working)

    assert asyncio.run(scenario()) == [0, 1, 2]
    assert order == [2, 1, 0]
    assert threads == {threading.get_ident()}


def test_an_error_is_the_callers() -> None:
    def fail() -> None:
        fibers.sleep(0)
        raise ValueError("mine")

    async def scenario() -> None:
        await fibers.start(fail)

    with pytest.raises(ValueError, match="mine"):
        asyncio.run(scenario())


def test_what_has_begun_goes_on_when_nobody_waits_any_longer() -> None:
    """The upstream may be executing: its answer must be recorded. Fails when a cancelled client ends the work."""
    ended: list[Any] = []

    def work() -> None:
        fibers.sleep(0.01)
        ended.append(1)

    async def client() -> None:
        await fibers.start(work)

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: ended.append(context))
        task = asyncio.create_task(client())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert ended == []
        await asyncio.sleep(0.1)

    asyncio.run(scenario())
    assert ended == [1]


def test_a_signal_that_does_not_come_is_late() -> None:
    async def scenario() -> None:
        signal = fibers.Signal(asyncio.get_running_loop())
        with pytest.raises(TimeoutError):
            await fibers.start(lambda: signal.wait(0.01))
        asyncio.get_running_loop().call_later(0.01, signal.set)
        await fibers.start(lambda: signal.wait(60))
        assert signal.set() is False

    asyncio.run(scenario())


@pytest.mark.parametrize("what", ["future", "reply", "signal"])
def test_only_a_fiber_can_wait(what: str) -> None:
    """Fails when code outside of a fiber would stop the loop for ever."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        waits = {
            "future": lambda: fibers.wait(loop.create_future()),
            "reply": lambda: fibers.Reply[int]().wait(),
            "signal": lambda: fibers.Signal(loop).wait(1),
        }
        with pytest.raises(RuntimeError):
            waits[what]()

    asyncio.run(scenario())


def test_what_blocks_is_called_in_threads() -> None:
    """Fails when a port's blocking call stops the loop, and with it the one that it waits for."""
    is_open = threading.Event()

    class Port:
        def ask(self, number: int, *, more: int) -> int:
            assert is_open.wait(60)
            return number + more

    async def scenario() -> int:
        with ThreadPoolExecutor(1) as threads:
            port = fibers.calls_in_threads(Port(), threads)
            asking = fibers.start(lambda: port.ask(1, more=2))
            is_open.set()
            return await asking

    assert asyncio.run(scenario()) == 3


def test_a_call_that_hangs_is_given_up() -> None:
    """Fails when a resolver without a timeout holds its fiber."""
    is_over = threading.Event()

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await fibers.start(lambda: fibers.in_own_thread(lambda: is_over.wait(60), 0.01))
        with pytest.raises(ValueError, match="wrong"):
            await fibers.start(lambda: fibers.in_own_thread(lambda: int("wrong"), 60))

    asyncio.run(scenario())
    is_over.set()
