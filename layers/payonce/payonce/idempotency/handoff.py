"""The engine in a thread, while the guarded code runs where it belongs: in a caller's block, or on its event loop.

::

    caller    with attempt ── waits ──▶ block ────────────▶ leaves ── waits ──▶ result
    engine    claim / replay / resolve ─▶ (waits for the block) ─▶ complete, release or park

A thread for each, and not a pool: nested operations would wait for each other's places in it.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from payonce.domain.errors import NotExecuted
from payonce.idempotency.in_process import CURRENT, Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    type Execute = Callable[[Callable[[], Any]], Any]


class _GivenUp(NotExecuted):
    """The caller was cancelled before the function began."""


def in_thread[T](function: Callable[[], T]) -> Future[T]:
    """Run ``function`` in a thread of its own, in a copy of this context; return its outcome to come."""
    outcome: Future[T] = Future()
    context = contextvars.copy_context()

    def target() -> None:
        try:
            outcome.set_result(context.run(function))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=target, name="payonce", daemon=True).start()
    return outcome


async def execute_async(execute: Execute, function: Callable[[], Any]) -> Any:
    """Return ``execute(run)``, where ``run`` runs the coroutine of ``function`` on this event loop.

    A cancellation reaches the coroutine, and leaves the outcome in doubt, or the key free when it had not begun.
    """
    loop = asyncio.get_running_loop()
    lock = threading.Lock()
    cancelled = False
    inner: Future[Any] | None = None

    async def body() -> Any:
        coroutine: Coroutine[Any, Any, Any] = function()
        return await coroutine

    def run() -> Any:
        nonlocal inner
        with lock:
            if cancelled:
                raise _GivenUp("The caller was cancelled before anything was executed.")
            inner = asyncio.run_coroutine_threadsafe(body(), loop)
        return inner.result()

    engine = asyncio.wrap_future(in_thread(lambda: execute(run)))
    try:
        return await asyncio.shield(engine)
    except asyncio.CancelledError:
        with lock:
            cancelled = True
            if inner is not None:
                inner.cancel()
        # What became of it is written down before the cancellation goes on.
        await asyncio.wait([engine])
        engine.exception()
        raise


class AttemptContext:
    """The block of ``IdempotentOperation.attempt``.

    ``replayed``: the block has nothing to do, ``result`` is what an earlier execution returned; otherwise the block
    sets ``result``. ``reference``: see ``Attempt``.
    """

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._begun: Future[Attempt | None] = Future()
        self._left: Future[Any] = Future()
        self._engine: Future[Any] | None = None
        self._attempt: Attempt | None = None
        self.result: Any = None

    @property
    def replayed(self) -> bool:
        """Whether an earlier execution's result is there already."""
        return self._attempt is None

    @property
    def reference(self) -> str:
        """The downstream idempotency key. Raises ``LookupError`` when replayed: nothing is to be sent."""
        if self._attempt is None:
            raise LookupError("the result is replayed; there is nothing to send")
        return self._attempt.reference

    def __enter__(self) -> Self:
        """Claim the key, or replay. Raises what a guarded call raises."""
        if self._engine is not None:
            raise RuntimeError("an attempt is used once; make another")
        self._engine = in_thread(lambda: self._execute(self._run))
        self._engine.add_done_callback(lambda _: None if self._begun.done() else self._begun.set_result(None))
        try:
            self._attempt = self._begun.result()
        except BaseException:
            # An interrupt while waiting: the block will not run, and the engine must not wait for it.
            self._left.set_exception(_GivenUp("The caller was interrupted before anything was executed."))
            raise
        if self._attempt is None:
            self.result = self._engine.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Store the result, or what the exception means. The result is then what later calls get."""
        del kind, trace
        if self._attempt is None or self._engine is None:
            return
        if error is None:
            self._left.set_result(self.result)
        else:
            self._left.set_exception(error)
        failure = self._engine.exception()
        if failure is not None and failure is not error:
            raise failure
        if error is None:
            self.result = self._engine.result()

    def _run(self) -> Any:
        self._begun.set_result(CURRENT.get())
        return self._left.result()
