"""Runs the engine in a thread, and the guarded coroutine on its caller's event loop.

::

    loop      guarded call ── awaits ──▶ coroutine ─────────▶ ends ── awaits ──▶ result
    engine    claim / replay / resolve ─▶ (waits for the loop) ─▶ complete, release or park
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

from payonce.idempotency.handoff import in_thread
from payonce.idempotency.in_process import CutOff, GivenUp
from payonce.idempotency.nested import ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from payonce.idempotency.handoff import Execute
    from payonce.ports import Clock, Deadline

LOOP_CHECK_SECONDS = 1.0  # interval at which the engine's thread checks that the event loop it waits for still runs
# A cancellation waits until the outcome is recorded: milliseconds, unless the store is down. Correctness does not need
# this wait, because the lease holds and the engine's thread keeps trying.
MAX_WAIT_FOR_ENGINE_SECONDS = 1.0


async def execute_async(execute: Execute, function: Callable[[], Any], *, clock: Clock) -> Any:
    """Return ``execute(run)``, where ``run`` runs the coroutine of ``function`` on this event loop.

    A cancellation reaches the coroutine. If the coroutine had not begun, the key becomes free; otherwise the claim
    keeps its lease, because threads and shielded tasks that the coroutine awaits are not cancelled with it.
    """
    coroutine = _OnLoop(function, asyncio.get_running_loop(), clock)
    engine = asyncio.wrap_future(in_thread(lambda: execute(coroutine.run)))
    # Mark the exception as retrieved: when the caller no longer waits, asyncio must not log it as lost.
    engine.add_done_callback(lambda done: done.exception())
    try:
        await asyncio.wait([engine])
    except asyncio.CancelledError as cancellation:
        await coroutine.cancelled(cancellation)
        await asyncio.wait([engine], timeout=MAX_WAIT_FOR_ENGINE_SECONDS)
        raise
    try:
        return engine.result()
    except (CutOff, GivenUp):
        # Raise the coroutine's own cancellation, as if it had been awaited here. GivenUp is for the engine alone: in
        # another guarded function, it would claim that that function has not begun.
        raise asyncio.CancelledError from None


class _OnLoop:
    """A coroutine that the engine's thread starts on the caller's event loop and waits for.

    ``_left`` is pending until the coroutine begins on the loop. Once cancelled, the coroutine never begins.
    """

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._function = function
        self._loop = loop
        self._clock = clock
        self._left: Future[Any] = Future()
        self._deadline: Deadline  # set when the key is claimed
        self._task: asyncio.Task[Any] | None = None
        self._began = False

    def run(self) -> Any:
        """Return the coroutine's result. Called in the engine's thread. Raises ``GivenUp`` or ``CutOff``."""
        self._deadline = ATTEMPTS.get()[-1].deadline
        try:
            self._loop.call_soon_threadsafe(self._begin)
        except RuntimeError:  # the loop is closed
            self._left.cancel()
        while not self._left.done():
            self._wait()
        if self._left.cancelled():
            raise GivenUp("The caller went away before anything was executed.")
        return self._left.result()

    async def cancelled(self, cancellation: asyncio.CancelledError) -> None:
        """Cancel the coroutine and wait until it has ended, however long it cleans up. Called on the loop.

        Further cancellations reach the coroutine too, as if the caller awaited it. One with the same message as the
        last is a repetition and is not passed on: anyio repeats cancellations, and spares a clean-up in a shielded
        scope, but only the coroutine's own task knows of that scope.
        """
        passed_on: tuple[Any, ...] | None = None
        while not self._left.cancel() and self._task is not None and not self._task.done():
            if not cancellation.args or cancellation.args != passed_on:
                passed_on = cancellation.args
                self._task.cancel(*passed_on)
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError as another:
                cancellation = another

    def _begin(self) -> None:
        if not self._left.set_running_or_notify_cancel():
            return
        self._task = self._loop.create_task(self._body())
        self._task.add_done_callback(self._ended)

    async def _body(self) -> Any:
        # engine's thread   claim ─▶ asks the loop to begin
        # loop                       (busy with something else) . . . . . . . . . .▶ would begin only now: too late
        # another owner                                          takes over, executes
        if self._deadline.remaining_seconds(self._clock) == 0:
            raise GivenUp("The time was over before the event loop came to begin it.")
        self._began = True
        coroutine: Coroutine[Any, Any, Any] = self._function()
        return await coroutine

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            ended = "The function was cancelled; what it started may go on."
            self._left.set_exception(CutOff(ended) if self._began else GivenUp("It was cancelled before it began."))
        elif (error := task.exception()) is not None:
            self._left.set_exception(error)
        else:
            self._left.set_result(task.result())

    def _wait(self) -> None:
        """Wait for a while. Raises ``CutOff`` when the loop has ended under a coroutine, which will not continue."""
        try:
            self._left.exception(LOOP_CHECK_SECONDS)
        except TimeoutError:
            stopped = not self._loop.is_running() and self._deadline.remaining_seconds(self._clock) == 0
            # A loop that has only stopped may be run again: what has not begun by now must not begin then.
            if (self._loop.is_closed() or stopped) and not self._left.cancel():
                if self._task is not None and not self._loop.is_closed():
                    # If the loop is run again, it must not continue the coroutine: another owner may have executed.
                    self._loop.call_soon_threadsafe(self._task.cancel)
                raise CutOff("The event loop ended before the function did; what it started may go on.") from None
        except CancelledError:
            pass  # which the caller sees by itself
