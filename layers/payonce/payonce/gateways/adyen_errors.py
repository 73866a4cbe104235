"""Maps an answer of Adyen's that is no success to an outcome of the operation: declined, never sent, or unknown.

::

    no byte was sent                      NeverSent
    no answer, or no whole one            Unknown, r      "you can safely retry the request with the same header"
    transient-error: true, 429            Unknown, r      the same key is executed, or answered with the first result
    401, 403                              NeverSent       CredentialsRefused: the operator is told, the payer is not
    404                                   NeverSent       refused at once, and told likewise
    400, 422                              Declined        refused by validation, before anything was done, except:
      704 without transient-error         Unknown         our key with another request: a defect on one side
    500 with 905                          Declined        the account is not configured for this payment method
    5xx                                   Unknown         not to be retried: it may have been executed
    2xx that can't be read                Unknown, r      the same answer comes again, and may be readable then
    everything else                       Unknown, r      the key protects a repetition

r: repeatable. https://docs.adyen.com/development-resources/api-idempotency says that errors with ``transient-error:
true`` are worth repeating with the same key, and others are not. No page says that 429 comes before anything is done,
so it is no ``NeverSent``. The codes are those of https://docs.adyen.com/development-resources/error-codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.exchange import Answered, NotSent
from payonce.domain.gateway import CredentialsRefused, Declined, NeverSent, Unknown
from payonce.gateways.declines import AMOUNT_NOT_SUPPORTED, CURRENCY_NOT_SUPPORTED, REJECTED, declined
from payonce.gateways.json_answers import document_of
from payonce.observability import get_logger

if TYPE_CHECKING:
    from payonce.domain.exchange import Exchange

IN_PROGRESS_CODE = "704"
NOT_CONFIGURED_CODE = "905"
_DECLINES = {"100": AMOUNT_NOT_SUPPORTED, "137": AMOUNT_NOT_SUPPORTED, "138": CURRENCY_NOT_SUPPORTED}
_NO_TOKEN = frozenset({"800", "803"})  # "Contract not found", "PaymentDetail not found"
_CREDENTIALS = frozenset({401, 403})
_VALIDATION = frozenset({400, 422})
FIRST_SERVER_ERROR = 500


def is_success(exchanged: Exchange) -> bool:
    """Return whether it is an answer that says what was done, as far as its status tells."""
    return isinstance(exchanged, Answered) and exchanged.status in {200, 201}


def outcome_of_failure(exchanged: Exchange, *, gateway: str, reference: str) -> Declined | NeverSent | Unknown:
    """Return the outcome of what is no success, by the table above. Never raises."""
    if isinstance(exchanged, NotSent):
        return NeverSent(exchanged.reason)
    if not isinstance(exchanged, Answered):
        return Unknown(exchanged.reason, repeatable=True)
    status, code = exchanged.status, error_code_of(exchanged)
    said = f"HTTP {status} {code}".rstrip()
    fields = {"gateway": gateway, "reference": reference, "http_status": status, "code": code}
    if is_transient(exchanged) or status == 429:
        return Unknown(said, repeatable=True)
    if status in _CREDENTIALS:
        get_logger().error("the gateway refuses our credentials", extra=fields)
        return CredentialsRefused("the gateway refuses our credentials")
    if status == 404:
        get_logger().error("the gateway has no such address", extra=fields)
        return NeverSent("the gateway has no such address")
    if status in _VALIDATION and code == IN_PROGRESS_CODE:
        get_logger().error("the gateway knows our idempotency key with another request", extra=fields)
        return Unknown("the gateway knows our idempotency key with another request")
    if status in _VALIDATION or (status == FIRST_SERVER_ERROR and code == NOT_CONFIGURED_CODE):
        get_logger().warning("the gateway rejects the request", extra=fields)
        return declined(_DECLINES.get(code, REJECTED))
    return Unknown(said, repeatable=status < FIRST_SERVER_ERROR)


def is_transient(answer: Answered) -> bool:
    """Return whether Adyen says that repeating with the same key is worth it."""
    return answer.headers.get("transient-error", "").strip().lower() == "true"


def is_without_token(exchanged: Exchange) -> bool:
    """Return whether a payment was refused because the shopper has no such stored method, or not any more.

    https://www.adyen.help/hc/en-us/articles/360014369800-Why-do-I-receive-a-800-Contract-not-found-error-.
    """
    refused = isinstance(exchanged, Answered) and exchanged.status in _VALIDATION and not is_transient(exchanged)
    return refused and isinstance(exchanged, Answered) and error_code_of(exchanged) in _NO_TOKEN


def error_code_of(answer: Answered) -> str:
    """Return Adyen's code of the error, "" where the answer has none. The text beside it may quote the request."""
    code: Any = document_of(answer.body).get("errorCode")
    return code[:20] if isinstance(code, str) and code.isascii() else ""
