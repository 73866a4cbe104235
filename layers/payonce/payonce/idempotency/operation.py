"""``idempotent_operation``: the engine in a program's own process, as a decorator and as a context manager.

docs/in-process.md explains how to use it, and its limits.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import time
from typing import TYPE_CHECKING, Any

from payonce.clock import SystemClock
from payonce.domain.errors import KeyInProgress, KeyMalformed, KeyMissing, LeaseLost, OutcomeUnknown, ResultNotStored
from payonce.domain.ids import UlidSource
from payonce.idempotency.attempt import Attempt, NotKnown, WasNotExecuted, check_resolve
from payonce.idempotency.calls import (
    arguments_of,
    fingerprint_of,
    refuse_what_can_not_be_guarded,
    result_type_of,
    selector,
)
from payonce.idempotency.codecs import JsonCodec
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.handoff import AttemptContext
from payonce.idempotency.in_process import IN_DOUBT, NOT_STORED, RESULT_HEADER, FunctionWork, Promised, Superseded
from payonce.idempotency.keys import DEFAULT_WAIT_SECONDS, MAX_KEY_CHARACTERS
from payonce.idempotency.nested import ATTEMPTS, LeavingAGuard, check_releases_on, refuse_to_wait_for_oneself
from payonce.idempotency.records import KeyedRequest
from payonce.idempotency.window import MAX_RESPONSE_BYTES, IdempotencySettings
from payonce.ports import NO_HARD_END

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.idempotency.attempt import Verdict
    from payonce.idempotency.codecs import Codec
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import KeyedResponse
    from payonce.ports import Clock

MAX_TIMEOUT_SECONDS = 3600  # after a crash the lease blocks its key for as long
MAX_SCOPE_CHARACTERS = 256
OPERATION = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_CHARACTERS}}}")


def run_again(_attempt: Attempt) -> Verdict:
    """A ``resolve`` for functions that may be executed any number of times, because their effect is idempotent."""
    return WasNotExecuted()


def never_known(_attempt: Attempt) -> Verdict:
    """The default ``resolve``: what is in doubt stays in doubt until an operator releases it."""
    return NotKnown()


def current_attempt() -> Attempt:
    """Return the attempt that the calling function or block is part of. Raises ``LookupError`` outside of any."""
    attempts = ATTEMPTS.get()
    if not attempts:
        raise LookupError("no attempt: this is called from no guarded function or block")
    return attempts[-1]


def idempotent_operation(
    *,
    store: IdempotencyStore,
    operation: str,
    timeout_seconds: float,
    scope: str | Callable[..., str] = "",
    key: str | Callable[..., str] = "",
    resolve: Callable[[Attempt], Verdict] = never_known,
    releases_on: tuple[type[Exception], ...] = (),
    fingerprint: Callable[..., Any] | None = None,
    codec: Codec | None = None,
    max_result_bytes: int = MAX_RESPONSE_BYTES,
    wait_seconds: float = DEFAULT_WAIT_SECONDS,
    settings: IdempotencySettings | None = None,
    clock: Clock | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> IdempotentOperation:
    """Return a guard that executes once per (scope, operation, key) and replays the result to every other call.

    ``operation``: a stable name; renaming the function must not change it. ``timeout_seconds``: the longest that an
    execution may take, including everything that it starts (threads, background tasks, requests whose answers it gave
    up on); after it and a margin another call may take over. ``scope`` and ``key``: a parameter's name, or a function
    of the same arguments; the scope is the tenant, and keys of different scopes are distinct. ``resolve``: called when
    an earlier execution may have happened, by a thread of the engine's: an ordinary function, which may block.
    ``releases_on``: the program's own exceptions that, like ``NotExecuted``,
    promise that nothing happened and nothing is running when the function itself raises them. ``fingerprint``: a
    function of the arguments that returns what must be equal when a key is repeated; by default all arguments.
    ``wait_seconds``: how long a duplicate waits for a call in progress. Whose wait outlasts a dead owner's lease
    (``timeout_seconds`` and 5 s) takes its place.

    Raises ``ValueError`` for a setting out of range.
    """
    if not OPERATION.fullmatch(operation):
        raise ValueError("operation is a stable name of 1 to 100 letters, digits, '_', '.' and '-'.")
    if not 0 < timeout_seconds <= MAX_TIMEOUT_SECONDS:
        raise ValueError(f"timeout_seconds is above 0 and at most {MAX_TIMEOUT_SECONDS}.")
    if not 0 < max_result_bytes <= MAX_RESPONSE_BYTES:
        raise ValueError(f"max_result_bytes is from 1 to {MAX_RESPONSE_BYTES}.")
    if wait_seconds < 0:
        raise ValueError("wait_seconds is not negative.")
    check_resolve(resolve)
    releases_on = check_releases_on(releases_on)
    return IdempotentOperation(
        store=store,
        operation=operation,
        timeout_seconds=timeout_seconds,
        scope=scope,
        key=key,
        resolve=resolve,
        releases_on=releases_on,
        fingerprint=fingerprint,
        codec=codec or JsonCodec(),
        max_result_bytes=max_result_bytes,
        wait_seconds=wait_seconds,
        settings=settings or IdempotencySettings(),
        clock=clock or SystemClock(),
        sleep=sleep,
    )


class IdempotentOperation:
    """A guard: it decorates a function, or ``attempt`` gives a context manager. Thread-safe.

    A guarded call returns the single result of its key. It raises the function's own exception (also the first time
    that it leaves the outcome in doubt), ``OutcomeUnknown`` while the outcome is in doubt, ``KeyReused``,
    ``KeyInProgress``, ``KeyExpired``, ``LeaseLost`` when it took so long that a newer owner's outcome stands,
    ``ResultNotStored``, and ``StoreUnavailable`` when nothing was executed.
    """

    def __init__(self, **parts: Any) -> None:
        self._store: IdempotencyStore = parts["store"]
        self._operation: str = parts["operation"]
        self._timeout_seconds: float = parts["timeout_seconds"]
        self._scope: str | Callable[..., str] = parts["scope"]
        self._key: str | Callable[..., str] = parts["key"]
        self._resolve: Callable[[Attempt], Verdict] = parts["resolve"]
        self._releases_on: tuple[type[Exception], ...] = parts["releases_on"]
        self._fingerprint: Callable[..., Any] | None = parts["fingerprint"]
        self._codec: Codec = parts["codec"]
        self._max_result_bytes: int = parts["max_result_bytes"]
        self._wait_seconds: float = parts["wait_seconds"]
        self._clock: Clock = parts["clock"]
        self._ids = UlidSource(self._clock.now_ms, os.urandom)
        self._engine = IdempotencyEngine(
            store=self._store, settings=parts["settings"], clock=self._clock, sleep=parts["sleep"]
        )

    def __call__[**P, R](self, function: Callable[P, R]) -> Callable[P, R]:
        """Return ``function``, guarded. A coroutine function remains one; the engine then works in a thread.

        Raises ``TypeError`` for generators, for a result type that can't be replayed exactly (by its annotation), and
        for a key or scope that is not a parameter.
        """
        refuse_what_can_not_be_guarded(function)
        self._codec.check(result_type_of(function))
        signature = inspect.signature(function)
        scope_of, key_of = selector("scope", self._scope, signature), selector("key", self._key, signature)

        def request_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> KeyedRequest:
            arguments = arguments_of(signature, args, kwargs)
            same = arguments if self._fingerprint is None else self._fingerprint(*args, **kwargs)
            return self._request(scope_of(args, kwargs), key_of(args, kwargs), same)

        if inspect.iscoroutinefunction(function):
            from payonce.idempotency.coroutines import execute_async

            @functools.wraps(function)
            async def guarded_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                with LeavingAGuard():
                    request = request_of(args, kwargs)
                    return await execute_async(
                        lambda run: self.execute(request, run), lambda: function(*args, **kwargs), clock=self._clock
                    )

            return guarded_async  # type: ignore[return-value]

        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            with LeavingAGuard():
                result: R = self.execute(request_of(args, kwargs), lambda: function(*args, **kwargs))
                return result

        return guarded

    def attempt(self, *, scope: str, key: str, arguments: Any = None) -> AttemptContext:
        """Return a context manager for a block instead of a function; ``arguments`` are fingerprinted.

        ::

            with operation.attempt(scope=shop_id, key=order_id, arguments={"total": 5}) as attempt:
                if not attempt.replayed:
                    attempt.result = ship(order_id, attempt.reference)
            return attempt.result
        """
        with LeavingAGuard():
            request = self._request(scope, key, arguments)
        return AttemptContext(lambda run: self.execute(request, run))

    def execute(self, request: KeyedRequest, run: Callable[[], Any]) -> Any:
        """Return the single result of the request's key. ``run`` is called at most once."""
        work = FunctionWork(
            claim_id=self._ids.new("op"),
            run=run,
            resolve=self._resolve,
            releases_on=self._releases_on,
            codec=self._codec,
            max_result_bytes=self._max_result_bytes,
            clock=self._clock,
            identity=(request.operation, request.scope, request.key),
        )
        with LeavingAGuard():
            refuse_to_wait_for_oneself(request, self._store, self._clock)
            return self._concluded(request, work)

    def _concluded(self, request: KeyedRequest, work: FunctionWork) -> Any:
        try:
            outcome = self._engine.execute(request, work)
        except Promised as promised:
            error = promised.error
        except (KeyInProgress, Superseded) as in_the_way:
            if work.ran:
                raise _late() from in_the_way
            raise
        except OutcomeUnknown as unknown:
            raise unknown from work.error or unknown.__cause__
        else:
            return self._result(work, outcome)
        raise error  # raised here, so that it gains no cause or context

    def _result(self, work: FunctionWork, outcome: KeyedResponse) -> Any:
        if work.ran and outcome.response != work.response:
            raise _late()
        if work.error is not None:
            raise work.error
        match outcome.response.headers[RESULT_HEADER]:
            case kind if kind == IN_DOUBT:
                raise OutcomeUnknown(
                    "An earlier execution may have happened, and what became of it is not known yet. Try again later: "
                    "nothing is executed twice."
                )
            case kind if kind == NOT_STORED:
                why = outcome.response.body.decode("utf-8", "replace")
                raise ResultNotStored(f"The operation was executed, but its result can't be replayed: {why}.")
        return self._codec.decode(outcome.response.body)

    def _request(self, scope: str, key: str, same: Any) -> KeyedRequest:
        if not key:
            raise KeyMissing("The key is empty: every call needs the key of its operation.")
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise KeyMalformed(f"A key is a string of 1 to {MAX_KEY_CHARACTERS} visible ASCII characters.")
        if not isinstance(scope, str) or not 0 < len(scope) <= MAX_SCOPE_CHARACTERS:
            raise KeyMalformed(f"A scope is a string of 1 to {MAX_SCOPE_CHARACTERS} characters: the tenant's name.")
        return KeyedRequest(
            scope=scope,
            operation=self._operation,
            key=key,
            fingerprint=fingerprint_of(self._operation, same),
            # Nothing ends this process by itself: only `wait_seconds` limits the wait for an owner that has died.
            deadline=NO_HARD_END,
            work_ms=int(self._timeout_seconds * 1000),
            wait_seconds=self._wait_seconds,
        )


def _late() -> LeaseLost:
    return LeaseLost(
        "Another owner has the key by now: its outcome stands, and this result was not stored. This execution took "
        "longer than timeout_seconds (allow more time, or make the function stop by its deadline), or its claim is "
        "gone: an operator released it, or its server lost it, which is in the log."
    )
