"""A function of a program's own as the engine's ``Work``, and what may become of it.

::

    function returned                     completed, its result stored
    function raised NotExecuted           released: the next call executes
    function raised anything else         in doubt: it may have happened
    process died, or ran over its lease   open until the lease ends
              │
              └─ the next call with the key asks resolve() ─ WasExecuted(value)   completed
                                                           ├ WasNotExecuted()     executed now
                                                           └ NotKnown()           in doubt, asked again later
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import NotExecuted, PayonceError
from payonce.idempotency.records import Completed, Draft, InDoubt, Plan, Released, StoredResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.codecs import Codec
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.ports import Clock, Deadline

KIND = "in_process"  # of the stored plan
ASK_AGAIN_SECONDS = 5  # what has just gone wrong is seldom known at once
RESULT_HEADER = "payonce-result"
VALUE, IN_DOUBT, NOT_STORED = "value", "in_doubt", "not_stored"
_DOUBT = StoredResponse(202, {RESULT_HEADER: IN_DOUBT}, b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One owner's execution of an operation.

    ``reference`` is the same for every owner of the claim: what to hand on as a downstream idempotency key, and what
    ``resolve`` asks with. ``owners``: how many there have been, this one included. ``deadline``: after it another owner
    may take over, and this one's result may be refused.
    """

    operation: str
    scope: str
    key: str
    reference: str
    owners: int
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class WasExecuted:
    """``resolve``: it happened, and this is its result."""

    value: Any


@dataclass(frozen=True, slots=True)
class WasNotExecuted:
    """``resolve``: it certainly did not happen and no earlier owner can still do it. It is executed now."""


@dataclass(frozen=True, slots=True)
class NotKnown:
    """``resolve``: nobody knows yet; ask again after so many seconds."""

    ask_again_seconds: float = ASK_AGAIN_SECONDS


type Verdict = WasExecuted | WasNotExecuted | NotKnown
CURRENT: ContextVar[Attempt] = ContextVar("payonce_attempt")


class Superseded(PayonceError):
    """This call has executed already, and another owner gave the claim back meanwhile: it must not execute again."""


class Foreign(PayonceError):
    """Carries an exception of the program's own that says that nothing was executed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class FunctionWork:
    """``run`` executes; ``resolve`` says what became of an earlier owner's execution."""

    def __init__(
        self,
        *,
        claim_id: str,
        run: Callable[[], Any],
        resolve: Callable[[Attempt], Verdict],
        releases_on: tuple[type[Exception], ...],
        codec: Codec,
        max_result_bytes: int,
        clock: Clock,
        identity: tuple[str, str, str],
    ) -> None:
        self._claim_id = claim_id
        self._run = run
        self._resolve = resolve
        self._releases_on = releases_on
        self._codec = codec
        self._max_result_bytes = max_result_bytes
        self._clock = clock
        self._identity = identity
        self.ran = False
        self.response: StoredResponse | None = None
        self.error: Exception | None = None

    def plan(self) -> Plan:
        """See ``Work``."""
        return Plan(claim_id=self._claim_id, resource="", data={"kind": KIND})

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return StoredResponse(200, {RESULT_HEADER: VALUE}, bytes(self._max_result_bytes))

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        if self.ran:
            # This call lost its lease after executing, and then found the key free: a second execution would follow.
            return Released(Superseded("another owner released the claim while this one was at work"))
        return self._execute(claim)

    def adopt(self, record: IdempotencyRecord) -> FunctionWork:
        """See ``Work``: the function and its arguments are those of this call, which the fingerprint has compared."""
        del record
        return self

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``: ask what became of it, and never guess."""
        try:
            verdict = self._resolve(self._attempt(claim))
        except Exception as error:
            self.error = error
            return self._doubted(ASK_AGAIN_SECONDS)
        match verdict:
            case WasExecuted(value):
                return self._completed(value)
            case WasNotExecuted() if not self.ran:
                return self._execute(claim)
            case NotKnown(ask_again_seconds):
                return self._doubted(ask_again_seconds)
            case WasNotExecuted():
                return self._doubted(ASK_AGAIN_SECONDS)

    def _execute(self, claim: Claim) -> Conclusion:
        self.ran = True
        token = CURRENT.set(self._attempt(claim))
        try:
            value = self._run()
        except NotExecuted as error:
            return Released(error)
        except self._releases_on as error:
            return Released(Foreign(error))
        except Exception as error:
            self.error = error
            return self._doubted(ASK_AGAIN_SECONDS)
        finally:
            CURRENT.reset(token)
        return self._completed(value)

    def _completed(self, value: Any) -> Completed:
        try:
            body = self._codec.encode(value)
            if len(body) > self._max_result_bytes:
                raise ValueError(f"it has {len(body)} bytes, and max_result_bytes is {self._max_result_bytes}")
            stored = StoredResponse(200, {RESULT_HEADER: VALUE}, body)
        except (TypeError, ValueError) as error:
            # It has happened, so the key must never execute again. Every call is told the same.
            stored = StoredResponse(200, {RESULT_HEADER: NOT_STORED}, str(error).encode("utf-8", "replace")[:1000])
        self.response = stored
        return Completed(lambda: Draft(stored, ()))

    def _doubted(self, ask_again_seconds: float) -> InDoubt:
        self.response = _DOUBT
        return InDoubt(
            lambda: Draft(_DOUBT, ()), self._clock.now_ms() + int(ask_again_seconds * 1000), submitted=self.ran
        )

    def _attempt(self, claim: Claim) -> Attempt:
        operation, scope, key = self._identity
        return Attempt(
            operation=operation,
            scope=scope,
            key=key,
            reference=claim.record.claim_id,
            owners=claim.record.fence,
            deadline=claim.deadline,
        )
