"""A program's function as the engine's ``Work``, and what its possible ends mean.

::

    function returned                     completed, its result is stored
    function raised its promise           released: the next call executes (see nested.py)
    function raised anything else         in doubt: it may have happened, and parts of it may still run
    function was cancelled                in doubt until the lease ends: what it started may still run
    process died, or ran over its lease   open until the lease ends
              │
              └─ the next call with the key asks resolve() ─ WasExecuted(value)   completed
                                                           ├ WasNotExecuted()     executed now, after the horizon
                                                           └ NotKnown()           in doubt, asked again later

An exception ends the function, but not what it has started: a thread, a shielded task, a request whose answer was late.
All of that ends with the lease, as ``timeout_seconds`` promises, and may last until then. So "not found" counts only
after the leases of all earlier owners have ended (the horizon), while "found" counts at once.

::

    A   claim ─▶ to_thread(charge) ─▶ cancelled            charge arrives
    B                                  asks: not found ─▶ not known yet       │   asks: found ─▶ completed
                                       ├────────── A's lease ─────────────────┴─┤ horizon
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, Self

from payonce.domain.errors import PayonceError, StoreUnavailable
from payonce.idempotency.attempt import ASK_AGAIN_SECONDS, Attempt, NotKnown, Verdict, WasExecuted, WasNotExecuted
from payonce.idempotency.calls import goes_on
from payonce.idempotency.nested import ATTEMPTS, is_promise, next_number
from payonce.idempotency.records import Completed, Draft, InDoubt, Plan, Released, StoredResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.codecs import Codec
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.ports import Clock

KIND = "in_process"  # the stored plan's kind
RESULT_HEADER = "payonce-result"
VALUE, IN_DOUBT, NOT_STORED = "value", "in_doubt", "not_stored"
_TOO_LATE = (
    "The time was over before the function began: its store was slow, or the process was suspended. Nothing was "
    "executed; call again."
)


class Superseded(PayonceError):
    """This call has already executed, and another owner has released the claim since: it must not execute again."""


class GivenUp(PayonceError):
    """The caller gave up before the function began, so the function never begins."""


class CutOff(PayonceError):
    """The function was interrupted, and what it had started may still run."""


class Promised(PayonceError):
    """Carries the function's own exception, which promises that nothing was executed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class GuardedWork(ABC):
    """The ``Work`` of a program's own code: ``run`` executes it, ``resolve`` finds out about an earlier execution.

    Subclasses say in which form a result is stored. ``in_doubt`` is stored while an outcome is unknown.
    """

    in_doubt = StoredResponse(202, {RESULT_HEADER: IN_DOUBT}, b"")

    def __init__(
        self,
        *,
        claim_id: str,
        run: Callable[[], Any],
        resolve: Callable[[Attempt], Verdict],
        releases_on: tuple[type[Exception], ...],
        clock: Clock,
        identity: tuple[str, str, str],
    ) -> None:
        self._claim_id = claim_id
        self._run = run
        self._resolve = resolve
        self._releases_on = releases_on
        self._clock = clock
        self._identity = identity
        self.ran = False
        self.response: StoredResponse | None = None
        self.error: Exception | None = None

    def plan(self) -> Plan:
        """See ``Work``."""
        return Plan(claim_id=self._claim_id, resource="", data={"kind": KIND})

    @abstractmethod
    def largest_response(self) -> StoredResponse:
        """See ``Work``."""

    @abstractmethod
    def stored(self, claim: Claim, value: Any) -> StoredResponse:
        """Return the stored form of a result. Never raises: the effect has happened, and must not happen again."""

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        if self.ran:
            # This call lost its lease after executing, and then found the key free: it would execute a second time.
            return Released(Superseded("another owner released the claim while this one was at work"))
        return self._execute(claim)

    def adopt(self, record: IdempotencyRecord) -> Self:
        """See ``Work``. The function and arguments are this call's own: the fingerprint has compared them."""
        del record
        return self

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. Calls ``resolve`` for the earlier execution's outcome, and never guesses."""
        asked_at_ms = self._clock.now_ms()  # taken before asking: the answer may describe that moment
        try:
            verdict = self._resolve(self._attempt(claim))
        except Exception as error:
            self.error = error
            return self._doubted(claim, self._in(ASK_AGAIN_SECONDS))
        match verdict:
            case WasExecuted(value):
                return self._completed(claim, value)
            case WasNotExecuted() if asked_at_ms <= claim.record.submit_horizon_ms:
                return self._doubted(claim, claim.record.submit_horizon_ms)
            case WasNotExecuted() if not self.ran:
                return self._execute(claim)
            case NotKnown(ask_again_seconds):
                return self._doubted(claim, self._in(ask_again_seconds))
            case WasNotExecuted():
                return self._doubted(claim, self._in(ASK_AGAIN_SECONDS))
        if iscoroutine(verdict):
            verdict.close()  # never begun, and said here
        self.error = TypeError(f"resolve returned a {type(verdict).__name__}, which is no verdict.")
        return self._doubted(claim, self._in(ASK_AGAIN_SECONDS))

    def _execute(self, claim: Claim) -> Conclusion:
        if self._is_over(claim):
            # owner A   claim ─▶ (frozen) . . . . . . . . .▶ would begin only now: too late
            # owner B                      takes over, executes
            return self._nothing_done(claim, StoreUnavailable(_TOO_LATE))
        self.ran = True
        began = next_number()
        token = ATTEMPTS.set((*ATTEMPTS.get(), self._attempt(claim)))
        try:
            value = self._run()
        except GivenUp as error:
            self.ran = False
            return self._nothing_done(claim, StoreUnavailable(_TOO_LATE) if self._is_over(claim) else error)
        except CutOff as error:
            self.error = error
            return self._doubted(claim, claim.record.lease_expires_at_ms)
        except Exception as error:
            if is_promise(error, self._releases_on, since=began):
                return self._nothing_done(claim, error)
            self.error = error
            return self._doubted(claim, self._in(ASK_AGAIN_SECONDS))
        finally:
            ATTEMPTS.reset(token)
        return self._completed(claim, value)

    def _is_over(self, claim: Claim) -> bool:
        return self._clock.now_ms() >= claim.deadline.at_ms

    def _nothing_done(self, claim: Claim, error: Exception) -> Conclusion:
        """Conclude that this owner did nothing. An earlier owner may have acted under the same reference."""
        if claim.record.fence == 1:
            return Released(Promised(error))
        # After a release the claim would start again under another reference, and a downstream that knows only the new
        # one would repeat what an earlier owner sent under this one. So keep the claim, and ask again at once.
        self.error = error
        return self._doubted(claim, self._clock.now_ms() - 1, submitted=False)

    def _completed(self, claim: Claim, value: Any) -> Conclusion:
        if goes_on(value):
            self.error = TypeError(
                f"The function returned a {type(value).__name__}, whose work is not done yet. Await it, or collect it, "
                "in the function."
            )
            return self._doubted(claim, claim.record.lease_expires_at_ms)
        stored = self.stored(claim, value)
        self.response = stored
        return Completed(lambda: Draft(stored, ()))

    def _doubted(self, claim: Claim, retry_at_ms: int, *, submitted: bool | None = None) -> InDoubt:
        self.response = self.in_doubt
        return InDoubt(
            lambda: Draft(self.in_doubt, ()),
            retry_at_ms,
            submitted=self.ran if submitted is None else submitted,
            goes_on_until_ms=claim.record.lease_expires_at_ms,
        )

    def _in(self, seconds: float) -> int:
        return self._clock.now_ms() + int(seconds * 1000)

    def _attempt(self, claim: Claim) -> Attempt:
        operation, scope, key = self._identity
        return Attempt(
            operation=operation,
            scope=scope,
            key=key,
            reference=claim.record.claim_id,
            owners=claim.record.fence,
            deadline=claim.deadline,
            submit_horizon_ms=claim.record.submit_horizon_ms,
        )


class FunctionWork(GuardedWork):
    """The ``Work`` of a function whose result ``codec`` stores, up to ``max_result_bytes``."""

    def __init__(self, *, codec: Codec, max_result_bytes: int, **parts: Any) -> None:
        super().__init__(**parts)
        self._codec = codec
        self._max_result_bytes = max_result_bytes

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return StoredResponse(200, {RESULT_HEADER: VALUE}, bytes(self._max_result_bytes))

    def stored(self, claim: Claim, value: Any) -> StoredResponse:
        """See ``GuardedWork``. What can't be stored becomes an error that every call gets."""
        del claim
        try:
            body = self._codec.encode(value)
            if len(body) > self._max_result_bytes:
                raise ValueError(f"it has {len(body)} bytes, and max_result_bytes is {self._max_result_bytes}")
        except (TypeError, ValueError) as error:
            return StoredResponse(200, {RESULT_HEADER: NOT_STORED}, str(error).encode("utf-8", "replace")[:1000])
        return StoredResponse(200, {RESULT_HEADER: VALUE}, body)
