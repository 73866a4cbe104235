"""Runs the engine in a thread, and the guarded code where it belongs: in the caller's block.

::

    caller    with attempt ── waits ──▶ block ────────────▶ leaves ── waits ──▶ result
    engine    claim / replay / resolve ─▶ (waits for the block) ─▶ complete, release or park

Every call has its own thread. In a pool, nested operations would wait for each other's workers. Coroutines are in
``coroutines``, so that a program without any does not import asyncio, which is a third of the library's import.
"""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from payonce.idempotency.in_process import GivenUp
from payonce.idempotency.nested import ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from payonce.idempotency.attempt import Attempt

    type Execute = Callable[[Callable[[], Any]], Any]


def in_thread[T](function: Callable[[], T]) -> Future[T]:
    """Run ``function`` in a thread of its own, in a copy of this context, and return a Future for its result."""
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # a caller that stops waiting does not cancel it
    context = contextvars.copy_context()

    def target() -> None:
        try:
            outcome.set_result(context.run(function))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=target, name="payonce", daemon=True).start()
    return outcome


class AttemptContext:
    """The context manager that ``IdempotentOperation.attempt`` returns.

    ``replayed``: an earlier execution's ``result`` is there, and the block has nothing to do. Otherwise the block
    executes and sets ``result``. ``reference``: see ``Attempt``.
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
        """Whether the result of an earlier execution is already there."""
        return self._attempt is None

    @property
    def reference(self) -> str:
        """The downstream idempotency key. Raises ``LookupError`` when replayed: the block must send nothing."""
        if self._attempt is None:
            raise LookupError("the result is replayed; there is nothing to send")
        return self._attempt.reference

    def __enter__(self) -> Self:
        """Claim the key, or replay its result. Raises the errors of a guarded call."""
        if self._engine is not None:
            raise RuntimeError("an attempt is used once; make another")
        self._engine = in_thread(lambda: self._execute(self._run))
        self._engine.add_done_callback(lambda _: None if self._begun.done() else self._begun.set_result(None))
        try:
            self._attempt = self._begun.result()
        except BaseException:
            # Interrupted while waiting: the block will not run, and the engine must not wait for it.
            self._left.set_exception(GivenUp("The caller was interrupted before anything was executed."))
            raise
        if self._attempt is None:
            self.result = self._engine.result()
        else:
            ATTEMPTS.set((*ATTEMPTS.get(), self._attempt))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Store the result, or what the exception means. Later calls receive the stored result."""
        del kind, trace
        assert self._engine is not None  # noqa: S101 - narrows the type: who leaves a block has entered it
        if error is None:
            self._left.set_result(self.result)
        else:
            self._left.set_exception(error)
        self._forget()
        failure = self._engine.exception()
        if failure is None:
            self.result = self._engine.result()
        elif failure is not error:
            raise failure

    def _run(self) -> Any:
        self._begun.set_result(ATTEMPTS.get()[-1])
        return self._left.result()

    def _forget(self) -> None:
        """Remove the attempt from this context. Blocks of generators may end in another order than they began in."""
        ATTEMPTS.set(tuple(attempt for attempt in ATTEMPTS.get() if attempt is not self._attempt))
