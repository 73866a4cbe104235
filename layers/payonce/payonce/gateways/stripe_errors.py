"""Maps an error of the Stripe SDK to an outcome of the operation: declined, never sent, or unknown.

::

    stripe.StripeError
    ├── CardError (402)                     Declined        the issuer or Stripe refused this attempt for good
    ├── InvalidRequestError (400, 404)      Declined        refused before anything was done, except:
    │     codes of "the state is different",
    │     an amount that is too large       Unknown         our own earlier execution may have changed it
    ├── RateLimitError (429)                NeverSent       the limiter runs before anything else, except:
    │     any other code, as lock_timeout   Unknown, r      the lock may be requested in the middle of the work
    ├── AuthenticationError (401),
    │   PermissionError (403)               NeverSent       CredentialsRefused: the operator is told, the payer is not
    ├── NothingSentError                    NeverSent       our own: no byte was sent
    ├── APIConnectionError                  Unknown, r      the request may have arrived
    ├── IdempotencyError                    Unknown         our key with another request: a defect on one side
    ├── APIError  409                       Unknown, r      the first request with this key is still being executed
    │             5xx                       Unknown         stored, or Stripe says that it is not
    │             unreadable                Unknown, r      the same answer comes again, and may be readable then
    └── everything else                     Unknown         no other class promises that nothing happened

r: repeatable. Stripe stores status and body of the first answer once the endpoint has begun to execute, even a 500.
It does not store a refusal before that, or a collision with a request in progress:
docs.stripe.com/api/idempotent_requests and docs.stripe.com/error-low-level. A 5xx does not show whether it came from
before the endpoint: its key answers with it for a day, or is executed. By the second page the header
``Stripe-Should-Retry`` is ``true`` where sending again helps, ``false`` where it has no additional effect, and missing
where Stripe can't tell. It decides for every doubt that has it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import (
    CANCELED,
    PAYMENT_EXPIRED,
    CredentialsRefused,
    Declined,
    NeverSent,
    NotAllowed,
    OperationKind,
    Unknown,
)
from payonce.extras import needs
from payonce.gateways.declines import (
    ALREADY_CAPTURED,
    ALREADY_REFUNDED,
    AMOUNT_NOT_SUPPORTED,
    AUTHENTICATION_REQUIRED,
    AUTHORIZATION_RELEASED,
    CURRENCY_NOT_SUPPORTED,
    DECLINED,
    REFUND_FAILED,
    REJECTED,
    declined,
)
from payonce.gateways.stripe_http import NothingSentError
from payonce.observability import get_logger

with needs("stripe"):
    import stripe

if TYPE_CHECKING:
    from collections.abc import Mapping

# Stripe's decline codes (and, for cards that Stripe itself refuses, its error codes) → payonce's closed list. All
# others become "declined". This includes, on purpose, lost_card, stolen_card, pickup_card, restricted_card, fraudulent
# and merchant_blacklist: Stripe asks to show these as a plain decline: they tell a thief which card to try next.
_PAYONCE_CODES = MappingProxyType(
    {
        "insufficient_funds": "insufficient_funds",
        "expired_card": "expired_card",
        "authentication_required": AUTHENTICATION_REQUIRED,
        "authentication_not_handled": AUTHENTICATION_REQUIRED,
        "payment_intent_authentication_failure": AUTHENTICATION_REQUIRED,
        "incorrect_number": "invalid_card_details",
        "invalid_number": "invalid_card_details",
        "incorrect_cvc": "invalid_card_details",
        "invalid_cvc": "invalid_card_details",
        "incorrect_zip": "invalid_card_details",
        "incorrect_address": "invalid_card_details",
        "invalid_expiry_month": "invalid_card_details",
        "invalid_expiry_year": "invalid_card_details",
        "invalid_account": "invalid_card_details",
        "incorrect_pin": "invalid_card_details",
        "invalid_pin": "invalid_card_details",
        "card_not_supported": "card_not_supported",
        "card_velocity_exceeded": "limit_exceeded",
        "withdrawal_count_limit_exceeded": "limit_exceeded",
        "currency_not_supported": CURRENCY_NOT_SUPPORTED,
        "payment_intent_payment_attempt_expired": PAYMENT_EXPIRED,
        "invalid_amount": AMOUNT_NOT_SUPPORTED,
        "issuer_not_available": "try_again_later",
        "processing_error": "try_again_later",
        "reenter_transaction": "try_again_later",
        "try_again_later": "try_again_later",
    }
)
_AMOUNT_CODES = frozenset(
    {
        "amount_too_large",
        "amount_too_small",
        "invalid_charge_amount",
        "invalid_charge_amount_no_decimal_compatible",
    }
)
DECLINE_CODES = frozenset(_PAYONCE_CODES.values()) | {
    DECLINED,
    REJECTED,
    ALREADY_CAPTURED,
    ALREADY_REFUNDED,
    AUTHORIZATION_RELEASED,
    CANCELED,
    REFUND_FAILED,
}
# The object is not in the state that the request needs (docs.stripe.com/error-codes). The cause may be an earlier
# submission of this very request, or somebody at the dashboard: a lookup tells which.
STATE_CODES = frozenset(
    {
        "capture_charge_authorization_expired",
        "charge_already_captured",
        "charge_already_refunded",
        "charge_disputed",
        "charge_expired_for_capture",
        "payment_intent_unexpected_state",
    }
)
# For a refund larger than what is left, Stripe may name only the parameter, without a code.
_AMOUNT_PARAMETERS = frozenset({"amount", "amount_to_capture"})
_LIMITER_CODES = frozenset({"rate_limit", ""})
FIRST_SERVER_ERROR = 500
MAX_RETRY_AFTER_SECONDS = 3600  # a longer wait is no answer for a waiting payer


def decline_of(error: Mapping[str, Any]) -> Declined:
    """Return the decline for Stripe's error object, from an answer or a ``last_payment_error``."""
    for name in ("decline_code", "code"):
        stripe_code = error.get(name)
        if isinstance(stripe_code, str) and stripe_code in _PAYONCE_CODES:
            return declined(_PAYONCE_CODES[stripe_code])
    return declined(DECLINED)


def outcome_of_error(
    error: Exception, *, gateway: str, reference: str, kind: OperationKind = OperationKind.PAYMENT
) -> Declined | NeverSent | Unknown:
    """Return the outcome for an exception of a submission, by the table above. Never raises."""
    match error:
        case NothingSentError():
            return NeverSent(error.user_message or "no connection")
        case stripe.CardError():
            return decline_of(_error_object(error))
        case stripe.RateLimitError() if _code(error) in _LIMITER_CODES:
            return NeverSent("HTTP 429", _retry_after_seconds(error))
        case stripe.AuthenticationError() | stripe.PermissionError():
            _log("the gateway refuses our credentials", error, gateway, reference)
            return CredentialsRefused("the gateway refuses our credentials")
        case stripe.InvalidRequestError():
            return _outcome_of_invalid_request(error, gateway, reference, kind)
        case stripe.IdempotencyError():
            _log("the gateway knows our idempotency key with another request", error, gateway, reference)
            return Unknown("the gateway knows our idempotency key with another request")
        case stripe.StripeError():
            said = f"{type(error).__name__}, {error.http_status or 'no answer'} {_code(error)}".rstrip()
            return Unknown(said, repeatable=_is_repeatable(error))
        case _:
            # The SDK failed to parse an answer that is not Stripe's. The request was sent.
            _log("the gateway's answer could not be read", error, gateway, reference)
            return Unknown(f"unreadable answer: {type(error).__name__}", repeatable=True)


def not_asked(error: Exception) -> Unknown:
    """Return the outcome for an exception of a question. It proves nothing about what was asked."""
    refused = isinstance(error, stripe.AuthenticationError | stripe.PermissionError)
    return (NotAllowed if refused else Unknown)(f"the gateway could not be asked: {type(error).__name__}")


def _is_repeatable(error: stripe.StripeError) -> bool:
    advice = (error.headers or {}).get("stripe-should-retry")
    if advice in {"true", "false"}:
        return bool(advice == "true")
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        return True
    return type(error) is stripe.APIError and (error.http_status or 0) < FIRST_SERVER_ERROR


def _outcome_of_invalid_request(
    error: stripe.InvalidRequestError, gateway: str, reference: str, kind: OperationKind
) -> Declined | Unknown:
    code = _code(error)
    too_large = code == "amount_too_large" or (not code and _error_object(error).get("param") in _AMOUNT_PARAMETERS)
    if code in STATE_CODES or (too_large and kind is not OperationKind.PAYMENT):
        return Unknown(code or "the amount is too large")
    # Either the caller's payment method is wrong, or we have a defect; the code tells. No reason to page anybody.
    get_logger().warning("the gateway rejects the request", extra=_log_fields(error, gateway, reference))
    return declined(AMOUNT_NOT_SUPPORTED if code in _AMOUNT_CODES else REJECTED)


def _error_object(error: stripe.StripeError) -> Mapping[str, Any]:
    body = error.json_body
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {"code": error.code}


def _code(error: stripe.StripeError) -> str:
    # Not error.code, which the SDK leaves empty for some classes.
    code = _error_object(error).get("code")
    return code if isinstance(code, str) else ""


def _retry_after_seconds(error: stripe.StripeError) -> int | None:
    text = str((error.headers or {}).get("retry-after"))
    if not text.isascii() or not text.isdecimal():
        return None
    return min(int(text), MAX_RETRY_AFTER_SECONDS)


def _log(message: str, error: Exception, gateway: str, reference: str) -> None:
    get_logger().error(message, extra=_log_fields(error, gateway, reference))


def _log_fields(error: Exception, gateway: str, reference: str) -> dict[str, Any]:
    """Return the loggable fields: only codes, because Stripe's texts may quote the request or the API key."""
    fields: dict[str, Any] = {"gateway": gateway, "reference": reference, "error": type(error).__name__}
    if isinstance(error, stripe.StripeError):
        detail = _error_object(error)
        fields |= {
            "http_status": error.http_status,
            "request_id": error.request_id,
            "code": detail.get("code"),
            "param": detail.get("param"),
        }
    return fields
