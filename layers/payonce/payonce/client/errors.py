"""What a call of the client can end with, other than its result. Each class says what is certain.

::

    ClientError
    ├── Misused                  found before a byte was sent: the call itself is wrong
    │   ├── IntentReused         the intent already stands for a call with other arguments
    │   ├── IntentTooOld         the API no longer remembers the intent's key: a retry could execute it again
    │   └── JournalUnusable      the key could not be recorded
    ├── NothingExecuted          certain: the call had no effect
    │   ├── Declined             402: final; a new attempt is a new intent
    │   ├── NotExecuted          402: the gateway did not execute it, and it is not sent again
    │   ├── Refused              the API refuses the request; it says why
    │   │   └── NotFound
    │   └── NotBegun             time is up, and no attempt was begun; the same call may be repeated
    ├── AlreadyExecuted          executed earlier; its answer is no longer kept; ``resource`` is what it made
    ├── KeyReused                the key belongs to another request, which may have been executed
    ├── OutcomeUnknown           it may have been executed, or may be yet: repeat with the same key
    └── ReadFailed               a read got no usable answer in time
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientError(PayonceError):
    """Base class. ``operation`` is the API's name of it, ``problem`` the RFC 9457 document that came last, if any.

    ``reason`` is what the last attempt came to, without what to do about it, which the text says as well. Neither the
    text nor an attribute holds the API key.
    """

    def __init__(
        self, detail: str, *, operation: str = "", problem: Mapping[str, Any] | None = None, reason: str = ""
    ) -> None:
        super().__init__(detail)
        self.operation = operation
        self.reason = reason or detail
        self.problem: dict[str, Any] = dict(problem or {})

    @property
    def type(self) -> str:
        """The last part of the problem's ``type``, such as ``declined``; empty without a problem."""
        return str(self.problem.get("type", "")).rpartition(":")[2]


class Misused(ClientError):
    """The call is wrong. Nothing was sent."""


class IntentReused(Misused):
    """The intent already stands for a call with other arguments, which may have been executed. Nothing was sent.

    Repeat the first call unchanged, or name a new intent if this is another operation.
    """


class IntentTooOld(Misused):
    """The intent is older than the API's memory of keys: a repetition could be executed again. Nothing was sent.

    Look for what it made (``resource``, where it is known, or the list by reference), then forget the intent.
    """

    resource: str | None = None


class JournalUnusable(Misused):
    """The journal can't be read or written, so that the key would be lost in a crash. Nothing was sent."""


class KeyedError(ClientError):
    """A call that changes something. ``idempotency_key`` is its key, and ``intent`` the caller's own name of it."""

    def __init__(
        self,
        detail: str,
        *,
        operation: str = "",
        problem: Mapping[str, Any] | None = None,
        reason: str = "",
        idempotency_key: str = "",
        intent: str | None = None,
        resource: str | None = None,
    ) -> None:
        super().__init__(detail, operation=operation, problem=problem, reason=reason)
        self.idempotency_key = idempotency_key
        self.intent = intent
        self.resource = resource


class NothingExecuted(KeyedError):
    """The call had no effect, and never will have.

    This speaks of all attempts of this call and of all earlier calls with its intent. It therefore needs a journal, or
    a key that the call has made for itself: what other processes have done with a key of the caller's, or a derived
    one, is not known here, so that a refusal of such a call is ``OutcomeUnknown``. ``Declined`` and ``NotExecuted`` are
    what the API has concluded the key with, and certain in any case.
    """


class Declined(NothingExecuted):
    """The payment or operation was declined (402). ``code`` says why. It is final, and is replayed."""

    @property
    def code(self) -> str | None:
        """Why, such as ``insufficient_funds``."""
        code = self.problem.get("code")
        return code if isinstance(code, str) else None


class NotExecuted(NothingExecuted):
    """The gateway did not execute the operation, and it is not sent again (402)."""


class Refused(NothingExecuted):
    """The API refuses the request: ``problem`` says what to correct."""


class NotFound(Refused):
    """There is no such resource (404)."""


class KeyReused(KeyedError):
    """The key belongs to a request with other arguments (422), which was or may have been executed. This one was not.

    ``resource`` leads to what that one made, where it is known. Look at it before you name a new intent or key: it may
    be the same purchase, with a fresh payment method token.
    """


class NotBegun(NothingExecuted):
    """Time is up, and every attempt was certainly without effect. The same call may be repeated later."""


class AlreadyExecuted(KeyedError):
    """An earlier request with this key was executed, and its answer is no longer kept: read ``resource``."""


class OutcomeUnknown(KeyedError):
    """It may have been executed, or may be yet. A new key could execute it twice.

    Go on with the same call: with the same ``intent``, or with ``idempotency_key=error.idempotency_key``. ``resource``
    leads to the payment, where it is known already.
    """


class ReadFailed(ClientError):
    """A read got no usable answer in time. It changed nothing, and may be repeated."""
