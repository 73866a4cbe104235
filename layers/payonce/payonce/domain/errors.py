"""The closed tree of errors that payonce raises. Adapters translate foreign errors into it once, at the edge.

::

    PayonceError
    ├── RequestRejected                 the caller's request is wrong; nothing was stored
    │   ├── BodyMalformed               not JSON, or not what the route takes
    │   ├── BodyTooLarge
    │   ├── CardNumberRefused           something that looks like a card number; never echoed, never logged
    │   ├── Unauthenticated
    │   ├── Forbidden
    │   ├── NotFound
    │   ├── MethodNotAllowed            the gateway's route does not take the method
    │   ├── PaymentStateConflict        the payment's state does not allow the operation
    │   ├── CorrectionStateConflict     the correction's state or version does not allow the decision
    │   ├── SelfApprovalRefused         who proposed a correction may not approve it
    │   ├── AmountExceedsAvailable      more than is left to capture or refund
    │   ├── EndpointStateConflict       the webhook endpoint's state does not allow it
    │   ├── EndpointLimitReached        the merchant has as many webhook endpoints as it may have
    │   ├── DeliveryStateConflict       the delivery's state does not allow it
    │   ├── ReleaseRefused              the claim may not be given back by an operator, or not like that
    │   ├── OverrideRefused             routing may not be overridden like that; nothing was changed
    │   ├── OverrideConflict            another operator changed the override first; nothing was changed
    │   └── FileRejected                a report or statement is malformed or contradicts itself; none of it was loaded
    ├── IdempotencyRejected             the idempotency contract was not met; nothing was executed
    │   ├── KeyMissing
    │   ├── KeyMalformed
    │   ├── KeyReused                   the key belongs to a different request
    │   ├── KeyInProgress               another execution holds the key
    │   └── KeyExpired                  the replay window is over, the guard still stands
    ├── NotExecuted                     a guarded function's own promise that it has done nothing; never raised here
    ├── NotStarted                      this request was not begun, a retry is safe; says nothing of its caller
    │   ├── Throttled
    │   ├── GatewayUnavailable
    │   ├── UpstreamUnavailable         no byte of the request reached the upstream
    │   │   └── UpstreamRefused         it answered that it did nothing; its answer is passed on
    │   ├── Overloaded                  the sidecar has as much to do as it takes
    │   ├── StoreUnavailable
    │   └── ResponseNotStorable         found before the effect, so that completion can't fail after it
    ├── OutcomeUnknown                  an effect may have happened; the claim stays for recovery
    ├── ResultNotStored                 executed in process, but its result can't be replayed
    ├── LeaseLost                       a newer owner holds the fence; this execution may write nothing more
    ├── SecretNotOpened                 a stored secret can't be opened: another context, or its key is gone
    ├── StoreRequestInvalid             the database will never take such a request: a defect, logged and not repeated
    ├── ConservationViolated            a reconciliation run lost a row or counted one twice: a defect, nothing is told
    ├── CaseTransitionError             a change of a break case that its table does not allow: a defect
    ├── WriteConflict                   a business condition of a transaction failed; re-read and rebuild
    └── MisconfiguredError              found at start-up; the process must not serve
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payonce.domain.exchange import Answered


class PayonceError(Exception):
    """Base of every error payonce raises on purpose.

    ``detail`` is a sentence for the caller: what is wrong and what to do. It holds no secret and no card number.
    ``extensions`` are further members of the RFC 9457 problem document.
    """

    def __init__(self, detail: str, *, retry_after_seconds: int | None = None, **extensions: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.extensions = extensions


class RequestRejected(PayonceError):
    """The caller's request is wrong; nothing was stored."""


class BodyMalformed(RequestRejected):
    """The body, a parameter or a header is not what the route takes."""


class BodyTooLarge(RequestRejected):
    """The body is over the route's limit."""


class CardNumberRefused(RequestRejected):
    """The body holds something that looks like a card number."""


class Unauthenticated(RequestRejected):
    """No API key, or one that is not known."""


class Forbidden(RequestRejected):
    """The API key lacks the scope of the route."""


class NotFound(RequestRejected):
    """The resource does not exist for this merchant."""


class MethodNotAllowed(RequestRejected):
    """The gateway's route takes this path with other methods."""


class PaymentStateConflict(RequestRejected):
    """The payment's state does not allow the operation."""


class CorrectionStateConflict(RequestRejected):
    """The correction's state does not allow the decision, or its proposal has changed since it was read."""


class SelfApprovalRefused(Forbidden):
    """Who proposed a correction may not decide about it: a second person has to."""


class AmountExceedsAvailable(RequestRejected):
    """More than is left to capture or refund, counting what other operations have reserved."""


class EndpointStateConflict(RequestRejected):
    """The webhook endpoint's state does not allow the operation."""


class EndpointLimitReached(RequestRejected):
    """The merchant has as many webhook endpoints as it may have."""


class DeliveryStateConflict(RequestRejected):
    """The delivery's state does not allow the operation."""


class ReleaseRefused(RequestRejected):
    """The claim may not be released by an operator, or not without more; nothing was released."""


class OverrideRefused(RequestRejected):
    """Routing may not be overridden like that: no end, no reason, or no gateway left; nothing was changed."""


class OverrideConflict(RequestRejected):
    """Another operator changed the override after it was read; nothing was changed."""


class FileRejected(RequestRejected):
    """A gateway report or bank statement is malformed, unknown, or contradicts its own totals; none of it was loaded.

    ``line`` counts from 1 (in XML and CSV the physical line, in BAI2 the record); ``field`` is the format's own name.
    """

    def __init__(self, problem: str, *, line: int | None = None, field: str | None = None) -> None:
        where = ", ".join(part for part in (f"line {line}" if line else "", field or "") if part)
        super().__init__(f"{where}: {problem}" if where else problem, line=line, field=field)
        self.problem = problem
        self.line = line
        self.field = field


class IdempotencyRejected(PayonceError):
    """The idempotency contract was not met; nothing was executed by this request."""


class KeyMissing(IdempotencyRejected):
    """An unsafe route was called with no idempotency key."""


class KeyMalformed(IdempotencyRejected):
    """The idempotency key is not 16-255 visible ASCII characters, or two headers disagree."""


class KeyReused(IdempotencyRejected):
    """The key was used before with a different request."""


class KeyInProgress(IdempotencyRejected):
    """The same request is still being executed after the bounded wait."""


class KeyExpired(IdempotencyRejected):
    """The replay window of the key is over; the first request did run, and its resource is linked."""


class NotExecuted(PayonceError):
    """A guarded function of a program's own raises it as a promise: it has had no effect, and nothing of it goes on.

    payonce never raises it, so that no error of payonce's can be taken for the promise of a function it passes through.
    """


class NotStarted(PayonceError):
    """payonce refused or could not begin this one request: it had no effect, and a retry with the same key is safe.

    It says nothing of what its caller had done before it asked.
    """


class Throttled(NotStarted):
    """Refused to protect the service."""


class GatewayUnavailable(NotStarted):
    """No gateway took the request."""


class UpstreamUnavailable(NotStarted):
    """The upstream took no request."""


class UpstreamRefused(UpstreamUnavailable):
    """The upstream answered that it did nothing, as its route's configuration says; ``answer`` is passed on."""

    def __init__(self, detail: str, *, answer: Answered) -> None:
        super().__init__(detail)
        self.answer = answer


class Overloaded(NotStarted):
    """The process has as many requests as it takes; refused before any claim."""


class StoreUnavailable(NotStarted):
    """The database refused, or could not be reached, before this request did anything."""


class ResponseNotStorable(NotStarted):
    """The response could not be stored for replay, which is checked before the effect."""


class OutcomeUnknown(PayonceError):
    """An effect may have happened, or may happen yet: a claim is open, or may be. Recovery resolves it."""


class ResultNotStored(PayonceError):
    """An operation of a program's own was executed, but returned what can't be stored: no call returns it."""


class LeaseLost(PayonceError):
    """A newer owner holds the fence; nothing was written by this execution."""


class SecretNotOpened(PayonceError):
    """A stored secret can't be opened: it belongs to another context, was changed, or its key is gone."""


class StoreRequestInvalid(PayonceError):
    """The database refused a request that it can never take, such as an item over its size limit. A defect of payonce.

    Nothing was written by that request. It must not be repeated: the same request is refused for ever.
    """


class ConservationViolated(PayonceError):
    """A reconciliation run does not account for each of its rows exactly once. A defect; its result is not given."""


class CaseTransitionError(PayonceError):
    """A change of a break case that the table of transitions does not allow: a defect, never a caller's fault."""


class WriteConflict(PayonceError):
    """A business condition in a transaction did not hold; nothing was written.

    ``index`` is the position of the first refused write, ``current`` the stored item there, if any.
    """

    def __init__(self, detail: str, *, index: int, current: dict[str, Any] | None) -> None:
        super().__init__(detail)
        self.index = index
        self.current = current


class MisconfiguredError(PayonceError):
    """A setting is missing or outside its allowed range; found at start-up."""
