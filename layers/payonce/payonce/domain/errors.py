"""The closed tree of errors that payonce raises. Each adapter translates foreign errors into it, in one place.

::

    PayonceError
    ├── RequestRejected                 the caller's request is wrong; nothing was stored
    │   ├── BodyMalformed               the body is not JSON, or not what the route takes
    │   │   └── CursorUnknown           the cursor is of another list, or was never given out
    │   ├── BodyTooLarge
    │   ├── CardNumberRefused           the body holds what looks like a card number; it is never echoed or logged
    │   ├── Unauthenticated
    │   ├── Forbidden
    │   ├── NotFound
    │   ├── MethodNotAllowed            the proxy's route does not take the method
    │   ├── PaymentStateConflict        the payment's state does not allow the operation
    │   ├── CorrectionStateConflict     the correction's state or version does not allow the decision
    │   ├── MatchConflict               rows can't be matched by hand, or no longer: another decision is about them
    │   ├── SelfApprovalRefused         the person who proposed a correction may not approve it
    │   ├── AmountExceedsAvailable      more than is left to capture or refund
    │   ├── EndpointStateConflict       the webhook endpoint's state does not allow it
    │   ├── EndpointLimitReached        the merchant has as many webhook endpoints as it may have
    │   ├── DeliveryStateConflict       the delivery's state does not allow it
    │   ├── ReleaseRefused              an operator may not release the claim, or not with these arguments
    │   ├── OverrideRefused             routing may not be overridden like this; nothing was changed
    │   ├── CredentialsRejected         credentials can't be stored like this; nothing was changed
    │   ├── OverrideConflict            another operator changed the override first; nothing was changed
    │   └── FileRejected                a report or statement is malformed or contradicts itself; none of it was loaded
    ├── IdempotencyRejected             the idempotency contract was not met; nothing was executed
    │   ├── KeyMissing
    │   ├── KeyMalformed
    │   ├── KeyReused                   the key belongs to a different request
    │   ├── KeyInProgress               another execution holds the key
    │   └── KeyExpired                  the replay window is over, but the guard still blocks the key
    ├── NotExecuted                     a guarded function's own promise that it had no effect; payonce never raises it
    ├── NotStarted                      this request was not begun, so a retry is safe; it says nothing about its caller
    │   ├── Throttled
    │   ├── GatewayUnavailable
    │   │   ├── GatewayRefused          it certainly executed nothing, and another one may be asked
    │   │   └── CredentialsUnavailable  the merchant's credentials are missing or can't be opened; nothing was sent
    │   ├── UpstreamUnavailable         no byte of the request reached the upstream
    │   │   └── UpstreamRefused         the upstream answered that it did nothing; its answer is passed on
    │   ├── Overloaded                  the sidecar is at its limit of requests
    │   ├── StoreUnavailable
    │   │   └── StoreThrottled          more was asked of the database in this moment than it takes
    │   └── ResponseNotStorable         found before the effect, so that completion can't fail after it
    ├── OutcomeUnknown                  an effect may have happened; the claim stays for recovery
    ├── ResultNotStored                 the operation was executed in process, but its result can't be replayed
    ├── LeaseLost                       a newer owner holds the fence; this execution may write nothing more
    ├── SecretNotOpened                 a stored secret can't be opened: another context, or its key is gone
    ├── StoreRequestInvalid             the database will never accept this request: a defect, logged and not retried
    ├── ConservationViolated            a reconciliation run lost a row or counted one twice: a defect, result withheld
    ├── CaseTransitionError             a change of a break case that its table does not allow: a defect
    ├── WriteConflict                   a business condition of a transaction failed; read again and rebuild it
    ├── MisconfiguredError              found at start-up; the process must not serve
    └── PackageMissing                  an extra of the distribution is not installed; a ModuleNotFoundError, too
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payonce.domain.exchange import Answered


class PayonceError(Exception):
    """Base class of every error that payonce raises on purpose.

    ``detail`` tells the caller in a sentence what is wrong and what to do. It contains no secret and no card number.
    ``extensions`` are additional members of the RFC 9457 problem document.
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


class CursorUnknown(BodyMalformed):
    """The cursor is not one that was given out for this list with these filters."""


class BodyTooLarge(RequestRejected):
    """The body is over the route's limit."""


class CardNumberRefused(RequestRejected):
    """The body holds something that looks like a card number."""


class Unauthenticated(RequestRejected):
    """The request has no API key, or an unknown one."""


class Forbidden(RequestRejected):
    """The API key lacks the scope of the route."""


class NotFound(RequestRejected):
    """The resource does not exist for this merchant."""


class MethodNotAllowed(RequestRejected):
    """The proxy's route takes this path with other methods."""


class OperationNotSupported(RequestRejected):
    """No gateway that may be asked can do this at all; nothing was sent to any."""


class PaymentStateConflict(RequestRejected):
    """The payment's state does not allow the operation."""


class SetupStateConflict(RequestRejected):
    """The state of the set-up, or of the saved payment method, does not allow the operation."""


class CorrectionStateConflict(RequestRejected):
    """The correction's state does not allow the decision, or its proposal has changed since it was read."""


class MatchConflict(RequestRejected):
    """Rows can't be matched by hand, or a match can't be taken back: another decision is about them."""


class SelfApprovalRefused(Forbidden):
    """The person who proposed a correction may not decide about it: a second person has to."""


class AmountExceedsAvailable(RequestRejected):
    """The amount exceeds what is left to capture or refund, after what other operations have reserved."""


class EndpointStateConflict(RequestRejected):
    """The webhook endpoint's state does not allow the operation."""


class EndpointLimitReached(RequestRejected):
    """The merchant has as many webhook endpoints as it may have."""


class DeliveryStateConflict(RequestRejected):
    """The delivery's state does not allow the operation."""


class ReleaseRefused(RequestRejected):
    """An operator may not release the claim, or not with these arguments; nothing was released."""


class OverrideRefused(RequestRejected):
    """Routing may not be overridden like this: no end, no reason, or no gateway left. Nothing was changed."""


class CredentialsRejected(RequestRejected):
    """A merchant's credentials can't be stored like this, or not changed like this. Nothing was changed."""


class OverrideConflict(RequestRejected):
    """Another operator changed the override after it was read; nothing was changed."""


class FileRejected(RequestRejected):
    """A gateway report or bank statement is malformed, unknown, or contradicts its own totals; none of it was loaded.

    ``line`` counts from 1: the physical line in XML and CSV, the record in BAI2. ``field`` is the format's own name.
    """

    def __init__(self, problem: str, *, line: int | None = None, field: str | None = None) -> None:
        where = ", ".join(part for part in (f"line {line}" if line else "", field or "") if part)
        super().__init__(f"{where}: {problem}" if where else problem, line=line, field=field)
        self.problem = problem
        self.line = line
        self.field = field


class NoticeRefused(RequestRejected):
    """A gateway's event is not signed by it, is too old or is malformed; nothing of it was stored."""


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
    """The key's replay window is over. The first request was executed, and its resource is linked."""


class NotExecuted(PayonceError):
    """A program's guarded function raises this to promise that it had no effect and left nothing running.

    payonce never raises it, so that no error of payonce can pass for the promise of the function it passes through.
    """


class NotStarted(PayonceError):
    """payonce refused or could not begin this one request. It had no effect; a retry with the same key is safe.

    This says nothing about what the caller did before this request.
    """


class Throttled(NotStarted):
    """The request was refused to protect the service."""


class GatewayUnavailable(NotStarted):
    """No gateway accepted the request."""


class GatewayRefused(GatewayUnavailable):
    """This gateway certainly executed nothing, now or later, and the claim was given back: another one may be asked."""


class CredentialsUnavailable(GatewayUnavailable):
    """The credentials of a merchant's account at a gateway are missing, or can't be opened. Nothing was sent."""


class UpstreamUnavailable(NotStarted):
    """The upstream did not receive the request."""


class UpstreamRefused(UpstreamUnavailable):
    """The upstream answered that it did nothing, as its route's configuration defines. ``answer`` is passed on."""

    def __init__(self, detail: str, *, answer: Answered) -> None:
        super().__init__(detail)
        self.answer = answer


class Overloaded(NotStarted):
    """The process is at its limit of requests. The request was refused before any claim."""


class StoreUnavailable(NotStarted):
    """The database refused, or could not be reached, before this request did anything."""


class StoreThrottled(StoreUnavailable):
    """The database refused a request because it was sent too many in this moment."""


class ResponseNotStorable(NotStarted):
    """The response would not fit for replay. This is checked before the effect."""


class OutcomeUnknown(PayonceError):
    """An effect may have happened or may still happen: a claim is open, or may be. Recovery resolves it."""


class ResultNotStored(PayonceError):
    """A program's operation was executed, but its result can't be stored, so no call ever returns it."""


class LeaseLost(PayonceError):
    """A newer owner holds the fence; nothing was written by this execution."""


class SecretNotOpened(PayonceError):
    """A stored secret can't be opened: it belongs to another context, it was changed, or its key is lost."""


class StoreRequestInvalid(PayonceError):
    """The database refused a request that it can never accept, such as an item over its size limit: payonce's defect.

    That request wrote nothing. It must not be retried: the database would refuse it every time.
    """


class ConservationViolated(PayonceError):
    """A reconciliation run does not account for each row exactly once: a defect, so its result is withheld."""


class CaseTransitionError(PayonceError):
    """The table of transitions does not allow this change of a break case: a defect, never the caller's fault."""


class WriteConflict(PayonceError):
    """A business condition of a transaction failed; nothing was written.

    ``index`` is the position of the first refused write, ``current`` the item stored there, or ``None``.
    """

    def __init__(self, detail: str, *, index: int, current: dict[str, Any] | None) -> None:
        super().__init__(detail)
        self.index = index
        self.current = current


class MisconfiguredError(PayonceError):
    """A setting is missing or outside its allowed range. This is found at start-up."""


class PackageMissing(PayonceError, ModuleNotFoundError):
    """A module needs a package of an extra that is not installed. ``detail`` says what to install."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(f"{package} is not installed. It comes with: pip install 'payonce[{extra}]'")
        self.extra = extra
        self.name = package
