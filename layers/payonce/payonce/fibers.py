"""Runs blocking code on an event loop without threads: what would block switches to the loop, and is switched back to.

::

    event loop     ─┬─ other work ──────┬─▶
                    │ start             │ the future is done
    fiber (stack)   └─▶ work ─ wait ┄┄┄┄└─▶ goes on behind wait

A fiber is a greenlet. The protocol of a keyed request is written once, as blocking code; a thread of Lambda, the
simulation's scheduler and the sidecar's event loop run the same lines. A fiber that waits must hold no lock: another
one of the same thread would wait for it for ever.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from payonce.extras import needs

with needs("sidecar"):
    from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor


def start[T](work: Callable[[], T]) -> asyncio.Future[T]:
    """Run ``work`` in a fiber until it waits, and return the future of its result. Cancelling that does not end it."""
    done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def body() -> None:
        try:
            result = work()
        except BaseException as error:  # handed to the task that waits
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(result)

    greenlet(body).switch()
    return done


def wait[T](future: asyncio.Future[T]) -> T:
    """Return the future's result or raise its error, letting the loop run meanwhile. Only for code in a fiber.

    Raises ``RuntimeError`` outside of one, where it would block the loop for ever.
    """
    if not future.done():
        fiber = getcurrent()
        loop = fiber.parent
        if loop is None:
            raise RuntimeError("only a fiber can wait")
        future.add_done_callback(lambda _: fiber.switch())
        loop.switch()
    return future.result()


class Reply[T]:
    """A value or an error that one fiber waits for: it goes on within ``put`` and ``fail``, not a turn later."""

    __slots__ = ("_error", "_fiber", "_is_there", "_value")

    def __init__(self) -> None:
        self._fiber: greenlet | None = None
        self._is_there = False
        self._value: T | None = None
        self._error: BaseException | None = None

    def put(self, value: T) -> None:
        """Give the value."""
        self._value = value
        self._arrive()

    def fail(self, error: BaseException) -> None:
        """Give the error, unless there is a value or an error already."""
        if not self._is_there:
            self._error = error
            self._arrive()

    def wait(self) -> T:
        """Return the value or raise the error, letting the loop run meanwhile."""
        if not self._is_there:
            fiber = getcurrent()
            if fiber.parent is None:
                raise RuntimeError("only a fiber can wait")
            self._fiber = fiber
            fiber.parent.switch()
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    def _arrive(self) -> None:
        self._is_there = True
        fiber, self._fiber = self._fiber, None
        if fiber is not None:
            fiber.switch()


class Signal:
    """Wakes the one fiber that waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fiber: greenlet | None = None
        self._is_late = False

    def set(self) -> bool:
        """Wake the fiber that waits; return whether there was one."""
        fiber, self._fiber = self._fiber, None
        if fiber is None:
            return False
        fiber.switch()
        return True

    def wait(self, seconds: float) -> None:
        """Return once the signal is set. Raises ``TimeoutError`` after ``seconds``."""
        fiber = getcurrent()
        if fiber.parent is None:
            raise RuntimeError("only a fiber can wait")
        self._fiber, self._is_late = fiber, False
        timer = self._loop.call_later(seconds, self._expire)
        fiber.parent.switch()
        timer.cancel()
        if self._is_late:
            raise TimeoutError("no answer in time")

    def _expire(self) -> None:
        self._is_late = True
        self.set()


def sleep(seconds: float) -> None:
    """Pause the fiber."""
    loop = asyncio.get_running_loop()
    pause = loop.create_future()
    loop.call_later(seconds, pause.set_result, None)
    wait(pause)


def in_thread[T](executor: Executor, work: Callable[[], T]) -> T:
    """Return the result of ``work``, run by ``executor``: for what blocks and can't wait in a fiber."""
    return wait(asyncio.get_running_loop().run_in_executor(executor, work))


def in_own_thread[T](work: Callable[[], T], seconds: float) -> T:
    """Return the result of ``work``, or raise ``TimeoutError`` after ``seconds`` and abandon it.

    For the system's resolver, which has no timeout of its own: a thread of a pool would stay occupied.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(cast("T", result))
        else:
            done.set_exception(error)

    def ask() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as failure:  # handed to the fiber that waits
            error = failure
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=ask, daemon=True).start()
    timer = loop.call_later(seconds, settle, None, TimeoutError("no answer in time"))
    try:
        return wait(done)
    finally:
        timer.cancel()


class _InThreads:
    def __init__(self, port: object, executor: Executor) -> None:
        self._port = port
        self._executor = executor

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*arguments: Any, **named: Any) -> Any:
            return in_thread(self._executor, lambda: method(*arguments, **named))

        return call


def calls_in_threads[T](port: T, executor: Executor) -> T:
    """Return ``port`` for fibers: each call of a method is made by a thread of ``executor``."""
    return cast("T", _InThreads(port, executor))
