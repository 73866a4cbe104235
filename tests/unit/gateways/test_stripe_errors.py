"""Every error of the SDK, and every error document of Stripe, has an outcome that somebody chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import stripe
import stripe.oauth_error  # imported lazily by the SDK

from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.domain.gateway import (
    MONEY_OPERATIONS,
    CredentialsRefused,
    Declined,
    NeverSent,
    NotAllowed,
    OperationKind,
    Unknown,
)
from payonce.gateways.stripe_errors import DECLINE_CODES, decline_of, outcome_of_error
from payonce.gateways.stripe_http import NothingSentError
from tests.unit.gateways.stripe_world import SOON, answer, error, gateway_on, instruction

if TYPE_CHECKING:
    from collections.abc import Iterator

# Those of Stripe's API v2 and of OAuth can't come from the calls payonce makes: if they do, nothing is promised.
EXPECTED: dict[str, type] = {
    "StripeError": Unknown,
    "APIError": Unknown,
    "APIConnectionError": Unknown,
    "NothingSentError": NeverSent,
    "StripeErrorWithParamCode": Unknown,
    "CardError": Declined,
    "InvalidRequestError": Declined,
    "IdempotencyError": Unknown,
    "AuthenticationError": CredentialsRefused,
    "PermissionError": CredentialsRefused,
    "RateLimitError": NeverSent,
    "SignatureVerificationError": Unknown,
    "AlreadyCanceledError": Unknown,
    "BlockedByStripeError": Unknown,
    "CannotProceedError": Unknown,
    "CapabilityNotEnabledError": Unknown,
    "ControlledByAlternateResourceError": Unknown,
    "FeatureNotEnabledError": Unknown,
    "FinancialAccountNotOpenError": Unknown,
    "FxQuoteNeedsRefreshError": Unknown,
    "InsufficientFundsError": Unknown,
    "InvalidPaymentMethodError": Unknown,
    "InvalidPayoutMethodError": Unknown,
    "InvalidVaultedCredentialError": Unknown,
    "NotCancelableError": Unknown,
    "QuotaExceededError": Unknown,
    "RecipientNotNotifiableError": Unknown,
    "TemporarySessionExpiredError": Unknown,
    "VerificationAttemptFailedError": Unknown,
    "VerificationExpiredError": Unknown,
    "VerificationNotInitiatedError": Unknown,
    "oauth.OAuthError": Unknown,
    "oauth.InvalidClientError": Unknown,
    "oauth.InvalidGrantError": Unknown,
    "oauth.InvalidRequestError": Unknown,
    "oauth.InvalidScopeError": Unknown,
    "oauth.UnsupportedGrantTypeError": Unknown,
    "oauth.UnsupportedResponseTypeError": Unknown,
}


def sdk_errors(cls: type[stripe.StripeError] = stripe.StripeError) -> Iterator[tuple[str, type[stripe.StripeError]]]:
    prefix = "oauth." if cls.__module__ == "stripe.oauth_error" else ""
    yield prefix + cls.__name__, cls
    for child in cls.__subclasses__():
        yield from sdk_errors(child)


def bare(cls: type[stripe.StripeError]) -> stripe.StripeError:
    """Return an instance with nothing known about it, however many arguments the class wants."""
    made = cls.__new__(cls)
    stripe.StripeError.__init__(made, "secret text")  # type: ignore[no-untyped-call]
    return made


def test_every_error_class_of_the_sdk_has_a_chosen_outcome() -> None:
    """Fails when an SDK update brings a class: whoever updates decides what it means for money."""
    assert {name for name, _ in sdk_errors()} == set(EXPECTED)


@pytest.mark.parametrize(("name", "cls"), list(sdk_errors()))
def test_an_error_class_maps_to_its_outcome(name: str, cls: type[stripe.StripeError]) -> None:
    """Fails when a class moves, for instance a lost connection to "never sent"."""
    outcome = outcome_of_error(bare(cls), gateway="stripe", reference="r")
    assert isinstance(outcome, EXPECTED[name])
    if isinstance(outcome, Unknown):
        assert outcome.repeatable is (name in {"APIError", "APIConnectionError"})
    assert "secret text" not in str(outcome) or cls is NothingSentError


ANSWERS: list[tuple[str, Any, Any]] = [
    ("nothing sent", NotSent("no connection"), NeverSent("no connection")),
    ("no such host", NotSent("no such host"), NeverSent("no such host")),
    ("lost", Lost("reset"), Unknown("APIConnectionError, no answer", repeatable=True)),
    ("rate limited", answer({"error": {"code": "rate_limit"}}, 429, retry_after="7"), NeverSent("HTTP 429", 7)),
    ("rate limited, old style", error(400, "rate_limit"), NeverSent("HTTP 429")),
    ("rate limited till a date", answer({"error": {}}, 429, retry_after="Wed, 21 Oct"), NeverSent("HTTP 429")),
    ("rate limited in other digits", answer({"error": {}}, 429, retry_after="\u0663"), NeverSent("HTTP 429")),
    ("rate limited for ever", answer({"error": {}}, 429, retry_after="9" * 30), NeverSent("HTTP 429", 3600)),
    (
        "a lock in the middle of the work",
        error(429, "lock_timeout"),
        Unknown("RateLimitError, 429 lock_timeout", repeatable=True),
    ),
    (
        "key in use",
        error(409, "idempotency_key_in_use"),
        Unknown("APIError, 409 idempotency_key_in_use", repeatable=True),
    ),
    ("500", error(500), Unknown("APIError, 500")),
    ("502", error(502), Unknown("APIError, 502")),
    ("503 that is not JSON", Answered(503, {}, b"<html>busy"), None),
    ("wrong key", error(401), CredentialsRefused("the gateway refuses our credentials")),
    ("not allowed", error(403), CredentialsRefused("the gateway refuses our credentials")),
    (
        "key with another request",
        error(400, type="idempotency_error"),
        Unknown("the gateway knows our idempotency key with another request"),
    ),
    ("already captured", error(400, "charge_already_captured"), Unknown("charge_already_captured")),
    ("already refunded", error(400, "charge_already_refunded"), Unknown("charge_already_refunded")),
    ("disputed", error(400, "charge_disputed"), Unknown("charge_disputed")),
    (
        "released",
        error(400, "capture_charge_authorization_expired"),
        Unknown("capture_charge_authorization_expired"),
    ),
    ("expired", error(400, "charge_expired_for_capture"), Unknown("charge_expired_for_capture")),
    ("other state", error(400, "payment_intent_unexpected_state"), Unknown("payment_intent_unexpected_state")),
    ("redirect", Answered(302, {"location": "https://example.com"}, b"{}"), None),
    ("no JSON", Answered(200, {}, b"<html>"), None),
    ("no UTF-8", Answered(200, {}, b"\xff\xfe"), None),
    ("a list", answer([]), None),
    ("a number", answer(7), None),
    ("an error that is a list", answer({"error": [1]}, 400), None),
    ("an error that is a text", answer({"error": "invalid_grant"}, 400), None),
    ("an unknown error text", answer({"error": "whatever"}, 400), None),
    ("no error", answer({}, 400), None),
    ("an object with nothing in it", answer({}), None),
    ("a null", answer(None), None),
]


@pytest.mark.parametrize(("_name", "given", "expected"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS))
def test_an_answer_has_its_outcome(kind: OperationKind, _name: str, given: Any, expected: Any) -> None:
    """Fails when an answer raises, is retried, or when doubt becomes a refusal or the other way round."""
    gateway, paper = gateway_on(given)
    outcome = gateway.submit(instruction(kind), SOON)
    if expected is None:
        assert isinstance(outcome, Unknown)
    else:
        assert outcome == expected
    assert len(paper.asked) == 1


@pytest.mark.parametrize(("_name", "given", "expected"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS))
def test_a_lookup_that_fails_is_unknown(kind: OperationKind, _name: str, given: Any, expected: Any) -> None:
    """Fails when a failed lookup counts as "not found": the charge would be made again."""
    gateway, _ = gateway_on(given)
    assert isinstance(gateway.find(instruction(kind), SOON), Unknown)


@pytest.mark.parametrize(
    ("stripe_code", "code"),
    [
        ("insufficient_funds", "insufficient_funds"),
        ("expired_card", "expired_card"),
        ("incorrect_number", "invalid_card_details"),
        ("invalid_number", "invalid_card_details"),
        ("incorrect_cvc", "invalid_card_details"),
        ("invalid_cvc", "invalid_card_details"),
        ("incorrect_zip", "invalid_card_details"),
        ("incorrect_address", "invalid_card_details"),
        ("invalid_expiry_month", "invalid_card_details"),
        ("invalid_expiry_year", "invalid_card_details"),
        ("invalid_account", "invalid_card_details"),
        ("incorrect_pin", "invalid_card_details"),
        ("invalid_pin", "invalid_card_details"),
        ("card_not_supported", "card_not_supported"),
        ("currency_not_supported", "currency_not_supported"),
        ("invalid_amount", "amount_not_supported"),
        ("authentication_required", "authentication_required"),
        ("authentication_not_handled", "authentication_required"),
        ("payment_intent_authentication_failure", "authentication_required"),
        ("card_velocity_exceeded", "limit_exceeded"),
        ("withdrawal_count_limit_exceeded", "limit_exceeded"),
        ("issuer_not_available", "try_again_later"),
        ("processing_error", "try_again_later"),
        ("reenter_transaction", "try_again_later"),
        ("try_again_later", "try_again_later"),
        ("payment_intent_payment_attempt_expired", "payment_expired"),
        ("stolen_card", "declined"),  # a thief must not learn which card to try next
        ("fraudulent", "declined"),
        ("a_code_of_next_year", "declined"),
        (None, "declined"),
    ],
)
def test_a_decline_gets_payonces_word_and_none_of_stripes_text(stripe_code: str | None, code: str) -> None:
    """Fails when Stripe's codes or messages leak into the API: clients would depend on a gateway's words."""
    given = error(402, "card_declined", decline_code=stripe_code, type="card_error")
    outcome = gateway_on(given)[0].submit(instruction(), SOON)
    assert isinstance(outcome, Declined)
    assert outcome.code == code
    assert code in DECLINE_CODES
    assert "secret text" not in outcome.message


def test_a_card_error_without_decline_code_is_told_by_its_code() -> None:
    """Fails when only decline_code is read: Stripe's own refusals, as an expired card, have none."""
    assert decline_of({"code": "expired_card"}).code == "expired_card"
    assert decline_of({"code": 7, "decline_code": None}).code == "declined"
    assert decline_of({"code": ["expired_card"], "decline_code": {}}).code == "declined"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("resource_missing", "rejected_by_gateway"),
        ("amount_too_small", "amount_not_supported"),
        ("amount_too_large", "amount_not_supported"),
        ("invalid_charge_amount", "amount_not_supported"),
        ("invalid_charge_amount_no_decimal_compatible", "amount_not_supported"),
        (None, "rejected_by_gateway"),
    ],
)
def test_a_wrong_request_is_a_final_refusal(code: str | None, expected: str) -> None:
    """Fails when a rejected request stays in doubt: it would be asked about for ever."""
    outcome = gateway_on(error(400, code))[0].submit(instruction(), SOON)
    assert isinstance(outcome, Declined)
    assert outcome.code == expected


@pytest.mark.parametrize(
    ("given", "repeatable"),
    [
        (Lost("reset"), True),
        (error(409, "idempotency_key_in_use"), True),
        (error(409), True),
        (error(429, "lock_timeout"), True),
        (Answered(200, {}, b"<html>"), True),  # what was executed is answered again
        (error(500), False),
        (answer({"error": {"type": "api_error"}}, 500, idempotent_replayed="true"), False),
        (error(502), False),
        (error(503), False),
        # Stripe's own word, where it has one: https://docs.stripe.com/error-low-level
        (answer({"error": {"type": "api_error"}}, 500, stripe_should_retry="true"), True),
        (answer({"error": {"type": "api_error"}}, 500, stripe_should_retry="false"), False),
        (answer({"error": {"code": "lock_timeout"}}, 429, stripe_should_retry="false"), False),
        (Answered(504, {}, b"<html>busy"), False),
        (error(400, type="idempotency_error"), False),
        (error(400, "payment_intent_unexpected_state"), False),
    ],
)
def test_what_stripe_keeps_under_the_key_is_not_sent_again(given: Any, repeatable: bool) -> None:
    """Status and body of the first answer are kept once the endpoint has begun, 500s included, and neither a collision
    nor what the limiter refused: https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/error-low-level,
    https://github.com/beam-community/stripity-stripe/issues/564 (409). Fails when recovery repeats a kept failure for
    an hour, or waits for a new reference where the old one would do.
    """
    outcome = gateway_on(given)[0].submit(instruction(), SOON)
    assert isinstance(outcome, Unknown)
    assert outcome.repeatable is repeatable


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.REFUND])
@pytest.mark.parametrize(
    "given",
    [
        error(400, "amount_too_large"),
        error(400, None, param="amount"),
        error(400, None, param="amount_to_capture"),
    ],
)
def test_an_amount_that_is_too_large_for_a_follow_up_has_to_be_looked_into(kind: OperationKind, given: Any) -> None:
    """Our claim has reserved it, so that somebody else has taken it. Fails when the refusal is final at once."""
    outcome = gateway_on(given)[0].submit(instruction(kind), SOON)
    assert outcome in {Unknown("amount_too_large"), Unknown("the amount is too large")}
    assert isinstance(gateway_on(error(400, "amount_too_large"))[0].submit(instruction(), SOON), Declined)


@pytest.mark.parametrize(
    "given", [error(400, None, param="currency"), error(400, "parameter_invalid", param="amount"), error(400, "other")]
)
def test_a_follow_up_that_is_refused_for_another_reason_is_refused_for_good(given: Any) -> None:
    """Fails when any refusal of a refund counts as an amount that somebody else may have taken."""
    assert isinstance(gateway_on(given)[0].submit(instruction(OperationKind.REFUND), SOON), Declined)


def test_an_error_whose_answer_has_no_object_is_told_by_the_sdks_code() -> None:
    raised = stripe.InvalidRequestError("secret text", None, code="charge_already_captured")  # type: ignore[no-untyped-call]
    assert outcome_of_error(raised, gateway="stripe", reference="r") == Unknown("charge_already_captured")


def test_an_answer_that_the_sdk_can_not_read_may_be_readable_the_next_time() -> None:
    unreadable = outcome_of_error(ValueError("secret text"), gateway="stripe", reference="r")
    assert unreadable == Unknown("unreadable answer: ValueError", repeatable=True)


@pytest.mark.parametrize(("status", "kind"), [(401, NotAllowed), (403, NotAllowed), (500, Unknown)])
def test_who_may_not_ask_is_told_apart_from_who_gets_no_answer(status: int, kind: type) -> None:
    """Fails when revoked rights at a merchant's account look like an outage, which ends by itself."""
    outcome = gateway_on(error(status))[0].find(instruction(), SOON)
    assert type(outcome) is kind


SAID = {"error": {"code": "a_code", "param": "a_param", "message": "secret text"}}
CODES = {"http_status": 400, "request_id": "req_1", "code": "a_code", "param": "a_param"}


@pytest.mark.parametrize(
    ("raised", "level", "message", "more"),
    [
        (stripe.AuthenticationError, "ERROR", "the gateway refuses our credentials", CODES),
        (stripe.PermissionError, "ERROR", "the gateway refuses our credentials", CODES),
        (stripe.IdempotencyError, "ERROR", "the gateway knows our idempotency key with another request", CODES),
        (stripe.InvalidRequestError, "WARNING", "the gateway rejects the request", CODES),
        (ValueError, "ERROR", "the gateway's answer could not be read", {}),
    ],
)
def test_what_the_operator_has_to_know_is_logged_by_codes_alone(
    caplog: pytest.LogCaptureFixture, raised: type[Exception], level: str, message: str, more: dict[str, Any]
) -> None:
    """Fails when revoked credentials alarm nobody, or a log quotes Stripe's text, which may hold a part of the key."""
    made: Exception = ValueError("secret text")
    if issubclass(raised, stripe.StripeError):
        made = bare(raised)
        stripe.StripeError.__init__(made, "secret text", None, 400, SAID, {"request-id": "req_1"})
    outcome_of_error(made, gateway="shops-stripe", reference="pay_1-1")
    [record] = caplog.records
    expected = {"gateway": "shops-stripe", "reference": "pay_1-1", "error": raised.__name__, **more}
    assert (record.levelname, record.message) == (level, message)
    assert {name: vars(record)[name] for name in expected} == expected
    assert "secret text" not in repr(vars(record))
