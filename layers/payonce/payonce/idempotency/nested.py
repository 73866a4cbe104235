"""Guarded calls inside guarded calls: whose promise an exception is, and which call would wait for itself.

::

    outer   charges ─▶ calls inner ──────────────────────────────▶ the exception passes through: in doubt
    inner                └─ store down, or nothing executed: true of the inner call, not of what the outer did before

Only an exception that a guarded function raised itself releases its claim.
"""

from __future__ import annotations

import itertools
from contextvars import ContextVar
from typing import TYPE_CHECKING

from payonce.domain.errors import KeyInProgress, NotExecuted, PayonceError
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import RecordStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from payonce.idempotency.attempt import Attempt
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import KeyedRequest
    from payonce.ports import Clock

# The attempts that the running code is part of, innermost last.
ATTEMPTS: ContextVar[tuple[Attempt, ...]] = ContextVar("payonce_attempts", default=())
_MARK = "_payonce_left_a_guard"
# Marks are numbered, as a program may raise the same exception object again and again. A number is valid in its own
# process only: an exception unpickled from another process carries a copy of this object, which is not identical to it.
_THIS_PROCESS = object()
_numbers = itertools.count()


def next_number() -> int:
    """Return a number above those of all exceptions that have left a guarded call so far."""
    return next(_numbers)


class LeavingAGuard:
    """A context manager that marks an exception as having left a guarded call."""

    def __enter__(self) -> None:
        """Begin the guarded call."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Mark the exception through its ``__dict__``: frozen dataclasses refuse attribute assignment."""
        del kind, trace
        if error is not None:
            error.__dict__[_MARK] = (_THIS_PROCESS, next_number())


def check_releases_on(types: tuple[type[Exception], ...]) -> tuple[type[Exception], ...]:
    """Return ``types``. Raises ``ValueError`` for a type that can't be a program's own promise."""
    for kind in types:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise ValueError("releases_on is a tuple of exceptions. What interrupts a function promises nothing.")
        if issubclass(kind, PayonceError) and not issubclass(kind, NotExecuted):
            raise ValueError(
                f"releases_on can't name {kind.__name__}: payonce's own errors speak of the call that raised them, and "
                "not of what the function had done before it. Raise NotExecuted where the function has done nothing."
            )
    return tuple(types)


def is_promise(error: Exception, releases_on: tuple[type[Exception], ...], *, since: int) -> bool:
    """Return whether ``error`` is the function's own promise that it has done nothing.

    ``since`` is the number at which the function began. An exception that left another guarded call after that speaks
    for that call. Nor is it a promise when such an exception caused it, or when it is a group that contains one.
    """
    if isinstance(error, NotExecuted):
        return not _left_a_guard(error, since)
    if not isinstance(error, releases_on) or any(isinstance(one, PayonceError) for one in _leaves(error)):
        return False
    return not any(_left_a_guard(one, since) for one in _behind(error))


def _left_a_guard(error: BaseException, since: int) -> bool:
    process, number = error.__dict__.get(_MARK, (_THIS_PROCESS, -1))
    return process is not _THIS_PROCESS or number > since


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _behind(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, every exception that it was raised from or during, and the members of groups among them."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]


def refuse_to_wait_for_oneself(request: KeyedRequest, store: IdempotencyStore, clock: Clock) -> None:
    """Raise ``KeyInProgress`` when the key is held by an execution that this very call is part of.

    When that execution is over (a background task outlived it), or another owner has its claim, the call is treated
    like any other.
    """
    identity = (request.operation, request.scope, request.key)
    around = {(one.reference, one.owners) for one in ATTEMPTS.get() if (one.operation, one.scope, one.key) == identity}
    if not around:
        return
    record = store.get(record_id(request.scope, request.operation, request.key))
    if (
        record is not None
        and (record.claim_id, record.fence) in around
        and record.status is RecordStatus.IN_PROGRESS
        and record.lease_expires_at_ms >= clock.now_ms()
    ):
        raise KeyInProgress(
            "This call is made within the execution that holds its key, and would wait for itself. Give it a key or an "
            "operation of its own."
        )
