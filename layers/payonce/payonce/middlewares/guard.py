"""The engine around an application's request: once per key, whatever server the application runs in.

::

    application answered, status in keep       done: every retry gets these bytes
    application answered, status in release    free: it says that it did nothing
    application answered otherwise (5xx)       in doubt: the first caller gets the answer, later ones 409 until known
    application raised its promise             free, 503 (``NotExecuted``), or the exception (``releases_on``)
    application raised anything else           in doubt: the exception goes on to the server
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import (
    BodyTooLarge,
    KeyInProgress,
    LeaseLost,
    NotExecuted,
    OutcomeUnknown,
    Overloaded,
    PayonceError,
    UpstreamUnavailable,
)
from payonce.domain.ids import UlidSource
from payonce.domain.problems import RESPONSE_TOO_LARGE
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.fingerprint import fingerprint
from payonce.idempotency.in_process import CutOff, GivenUp, GuardedWork, Promised, Superseded
from payonce.idempotency.keys import parse_key, parse_wait_seconds
from payonce.idempotency.nested import LeavingAGuard, refuse_to_wait_for_oneself
from payonce.idempotency.records import KeyedRequest, Plan, StoredResponse
from payonce.middlewares.answer import Answer, AppAnswered, Doubted, Freed
from payonce.middlewares.contract import KEY_HEADERS
from payonce.ports import NO_HARD_END
from payonce.proxy import answers
from payonce.proxy.bodies import meaning_of
from payonce.proxy.headers import answer_lines
from payonce.proxy.messages import ProxyResponse
from payonce.proxy.overflow import Keeper, Limits
from payonce.proxy.patterns import MAX_INLINE_BYTES, status_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.records import Claim, KeyedResponse
    from payonce.middlewares.contract import Contract
    from payonce.ports import Deadline
    from payonce.proxy.messages import ProxyRequest

_LOG = logging.getLogger("payonce.middlewares")
IN_DOUBT = answers.in_doubt(409)


class AppFailed(Exception):
    """Carries the application's own exception to the adapter, which raises it as if there were no middleware."""

    def __init__(self, error: Exception) -> None:
        super().__init__(repr(error))
        self.error = error


class AnswerWork(GuardedWork):
    """The ``Work`` of an application: its answer is stored as it is, or beside the record, or replaced if too large."""

    in_doubt = IN_DOUBT

    def __init__(self, *, request: ProxyRequest, contract: Contract, keeper: Keeper, **parts: Any) -> None:
        super().__init__(**parts)
        self._request = request
        self._contract = contract
        self._keeper = keeper

    def plan(self) -> Plan:
        """See ``Work``. Method and target are for the operator who looks at the claim."""
        made = super().plan()
        data = {"kind": "http", "method": self._request.method, "target": self._request.target}
        return Plan(claim_id=made.claim_id, resource="", data=data)

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return StoredResponse(200, {}, bytes(self._contract.max_inline_bytes))

    def stored(self, claim: Claim, value: Any) -> StoredResponse:
        """See ``GuardedWork``."""
        if not isinstance(value, Answer):
            _LOG.error("resolve returned WasExecuted with a %s, which is no Answer", type(value).__name__)
            return answers.too_large(RESPONSE_TOO_LARGE.status, "")
        lines = answer_lines(value.lines, ("*",))
        if value.body is None:
            location = next((text for name, text in lines if name.lower() == "location"), "")
            return answers.too_large(value.status, location)
        owner = f"{claim.record.claim_id}-{claim.record.fence}"
        return self._keeper.keep(value.status, lines, value.body, owner=owner)


class Guard:
    """Serves keyed requests. Blocking and thread-safe."""

    def __init__(self, contract: Contract, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.contract = contract
        self._keeper = Keeper(Limits(contract.max_inline_bytes, contract.largest_answer_bytes), contract.blobs)
        self._ids = UlidSource(contract.clock.now_ms, os.urandom)
        self._engine = IdempotencyEngine(
            store=contract.store,
            settings=contract.settings,
            clock=contract.clock,
            sleep=sleep,
            max_response_bytes=MAX_INLINE_BYTES,
        )

    def check_length(self, length: int) -> None:
        """Raise ``BodyTooLarge`` for a request's body that is longer than the contract takes."""
        if length > self.contract.max_request_bytes:
            raise BodyTooLarge(f"The body is over the {self.contract.max_request_bytes} bytes that are taken here.")

    def check_load(self, in_flight: int) -> None:
        """Raise ``Overloaded`` when as many requests are worked on as the contract allows."""
        if in_flight >= self.contract.max_in_flight:
            raise Overloaded(
                "There are as many requests as are taken at a time. Nothing was executed; retry.", retry_after_seconds=1
            )

    def problem(self, error: PayonceError) -> ProxyResponse:
        """Return the problem document of an error."""
        return answers.problem(error, keyed=True, documentation_url=self.contract.documentation_url)

    def serve(
        self, request: ProxyRequest, scope: str, run: Callable[[], Answer], hard: Deadline | None = None
    ) -> ProxyResponse:
        """Return the single answer of the request's key; ``run``, which asks the application, is called at most once.

        ``scope`` is what ``scope_text`` returns. ``hard`` is the process's own end. Raises ``AppFailed`` with the
        application's exception, and what the store raises unforeseen.
        """
        try:
            keyed = self._request(request, scope, hard)
            work = AnswerWork(
                request=request,
                contract=self.contract,
                keeper=self._keeper,
                claim_id=self._ids.new("op"),
                run=lambda: self._judged(run()),
                resolve=self.contract.resolve,
                releases_on=(Freed, *self.contract.releases_on),
                clock=self.contract.clock,
                identity=(keyed.operation, keyed.scope, keyed.key),
            )
            with LeavingAGuard():
                refuse_to_wait_for_oneself(keyed, self.contract.store, self.contract.clock)
                return self._concluded(self._outcome(keyed, work), work)
        except PayonceError as error:
            return self.problem(error)

    def _judged(self, answer: Answer) -> Answer:
        """Return an answer that concludes the key. Raises ``Freed`` or ``Doubted`` for any other."""
        kept, freed = (status_in(answer.status, part) for part in (self.contract.keep, self.contract.release))
        if kept > freed:
            return answer
        raise Freed(answer) if freed else Doubted(answer)

    def _outcome(self, keyed: KeyedRequest, work: AnswerWork) -> KeyedResponse | Exception:
        """Return the engine's outcome, or the application's own exception that promises that nothing was executed."""
        try:
            return self._engine.execute(keyed, work)
        except Promised as promised:
            return promised.error
        except (KeyInProgress, Superseded) as in_the_way:
            if work.ran:
                raise _late() from in_the_way
            raise
        except OutcomeUnknown:
            if work.error is not None:  # the caller gets the state of the key instead
                _LOG.error("a request failed, and that was not recorded yet: %r", work.error, exc_info=work.error)
            raise

    def _concluded(self, outcome: KeyedResponse | Exception, work: AnswerWork) -> ProxyResponse:
        if isinstance(outcome, AppAnswered):
            return self._own(outcome.answer)
        if isinstance(outcome, NotExecuted):
            raise UpstreamUnavailable(outcome.detail)
        if isinstance(outcome, PayonceError):
            raise outcome
        if isinstance(outcome, Exception):
            raise AppFailed(outcome)
        if work.ran and outcome.response != work.response:
            raise _late()
        if isinstance(work.error, AppAnswered):
            return self._own(work.error.answer)
        # A promise that comes here is a later owner's: what an earlier one has done is as unknown as before.
        if work.error is not None and work.ran and not isinstance(work.error, (CutOff, GivenUp, NotExecuted)):
            raise AppFailed(work.error)
        if work.error is not None:
            _LOG.error("the outcome of a request is in doubt: %r", work.error, exc_info=work.error)
        return answers.keyed(outcome, self._keeper.open(outcome.response), route=self.contract.operation)

    def _own(self, answer: Answer) -> ProxyResponse:
        """Return the application's answer to this caller alone."""
        lines = (*answer_lines(answer.lines, ("*",)), ("Idempotency-Replayed", "false"))
        if answer.body is None:
            substitute = answers.too_large(answer.status, "")
            return ProxyResponse(substitute.status, substitute.lines, substitute.body)
        return ProxyResponse(answer.status, lines, answer.body)

    def _request(self, request: ProxyRequest, scope: str, hard: Deadline | None) -> KeyedRequest:
        contract, headers = self.contract, request.headers()
        key = parse_key(headers, KEY_HEADERS)
        wait_seconds = parse_wait_seconds(
            headers, default_seconds=contract.wait_seconds, max_seconds=contract.max_wait_seconds
        )
        operation = f"http:{contract.operation}"
        return KeyedRequest(
            scope=scope,
            operation=operation,
            key=key,
            fingerprint=fingerprint(request.method, operation, {"target": request.target}, meaning_of(request)),
            deadline=hard or NO_HARD_END,
            work_ms=int(contract.timeout_seconds * 1000),
            wait_seconds=wait_seconds,
        )


def _late() -> LeaseLost:
    return LeaseLost(
        "This request took longer than its claim holds, and another owner has the key by now. Retry to get its answer.",
        retry_after_seconds=1,
    )
