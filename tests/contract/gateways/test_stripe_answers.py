"""What Stripe can answer to a payment, and what each answer means: a table, on a Stripe of our own.

The fake is ours: a socket that answers one request with the row's bytes. The official SDK parses them, on the adapter's
own exchange. The shapes are those of Stripe's OpenAPI specification (https://github.com/stripe/openapi): a payment
intent has all its members, an error those of ``api_errors``. Each row names the page that says what the answer means.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import (
    ActionType,
    AwaitsPayer,
    CredentialsRefused,
    NeverSent,
    NextAction,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.declines import declined
from payonce.gateways.stripe_gateway import STRIPE_CAPABILITIES, StripeGateway
from payonce.ports import Deadline
from tests.contract.gateways.stripe_child import payment
from tests.support.tcp_faults import read_request, serving
from tests.support.world import RealClock

if TYPE_CHECKING:
    import socket

CLOCK = RealClock()
REFERENCE = "pay_1-1"
SECRET = "pi_1_secret_of_the_payer"
PAGE = "https://hooks.stripe.example/3d_secure_2/hosted"
LIFECYCLE = "https://docs.stripe.com/payments/paymentintents/lifecycle"
INTENT_OBJECT = "https://docs.stripe.com/api/payment_intents/object"
ERRORS = "https://docs.stripe.com/api/errors"
ERROR_CODES = "https://docs.stripe.com/error-codes"
DECLINES = "https://docs.stripe.com/declines/codes"
LOW_LEVEL = "https://docs.stripe.com/error-low-level"
KEYS = "https://docs.stripe.com/api/idempotent_requests"
LIMITS = "https://docs.stripe.com/rate-limits"
SDK = "stripe-python 16.1.0, APIRequestor.interpret_response"


@dataclass(frozen=True, slots=True)
class Row:
    """An answer, what it means, and who says so. ``body`` is sent as it is; ``missing_bytes`` never arrive."""

    status: int
    body: bytes
    expected: object
    source: str
    headers: tuple[tuple[str, str], ...] = ()
    missing_bytes: int = 0

    @property
    def wire(self) -> bytes:
        """The whole answer."""
        lines = [("Content-Type", "application/json"), ("Request-Id", "req_1"), *self.headers]
        lines.append(("Content-Length", str(len(self.body) + self.missing_bytes)))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        return f"HTTP/1.1 {self.status} Said\r\n{head}\r\n".encode() + self.body


def intent(status: str, **changes: Any) -> dict[str, Any]:
    """Return a payment intent with all members of the specification."""
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 1000,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 1000 if status == "succeeded" else 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": SECRET,
        "confirmation_method": "automatic",
        "created": CLOCK.now_ms() // 1000,
        "currency": "eur",
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": "ch_1" if status in {"succeeded", "processing", "requires_capture"} else None,
        "livemode": False,
        "metadata": {"payonce_reference": REFERENCE, "payonce_payment_id": "pay_1", "payonce_merchant_id": "mer_1"},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": "pm_1",
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": status,
        "transfer_data": None,
        "transfer_group": None,
        **changes,
    }


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


def asking(action_type: str, **details: Any) -> bytes:
    """Return an intent that waits for its payer."""
    return as_json(intent("requires_action", next_action={"type": action_type, action_type: details}))


def refusal(error_type: str, code: str | None, **changes: Any) -> bytes:
    """Return Stripe's error document."""
    said = {"type": error_type, "code": code, "message": "secret text", "request_log_url": "https://x", **changes}
    return as_json({"error": {name: value for name, value in said.items() if value is not None}})


def card_error(code: str, decline_code: str | None = None) -> bytes:
    """Return the error of a 402, which holds the intent that failed."""
    failed = {"type": "card_error", "code": code, "decline_code": decline_code, "message": "secret text"}
    left = intent("requires_payment_method", payment_method=None, last_payment_error=failed)
    return refusal("card_error", code, decline_code=decline_code, charge="ch_1", payment_intent=left)


def retry(advice: str) -> tuple[tuple[str, str], ...]:
    return (("Stripe-Should-Retry", advice),)


REDIRECT = NextAction(type=ActionType.REDIRECT, url=PAGE)
IN_SDK = NextAction(type=ActionType.GATEWAY_SDK, client_secret=SECRET)
VOUCHER = NextAction(type=ActionType.DISPLAY, url=PAGE, expires_at_ms=1_800_000_000_000)
WHOLE = as_json(intent("succeeded"))
SERVER_ERROR = refusal("api_error", None)

ROWS: dict[str, Row] = {
    "succeeded": Row(200, WHOLE, Succeeded("pi_1", "ch_1"), LIFECYCLE),
    "succeeded, and answered again": Row(
        200, WHOLE, Succeeded("pi_1", "ch_1"), KEYS, headers=(("Idempotent-Replayed", "true"),)
    ),
    # The payer
    "requires_action, by redirect": Row(
        200,
        asking("redirect_to_url", url=PAGE, return_url="https://shop.example"),
        AwaitsPayer("pi_1", "requires_action", action=REDIRECT),
        INTENT_OBJECT,
    ),
    "requires_action, in the SDK": Row(
        200,
        asking("use_stripe_sdk", type="three_d_secure_redirect", stripe_js=PAGE),
        AwaitsPayer("pi_1", "requires_action", action=IN_SDK),
        INTENT_OBJECT,
    ),
    "requires_action, with a voucher": Row(
        200,
        asking("oxxo_display_details", hosted_voucher_url=PAGE, expires_after=1_800_000_000, number="1"),
        AwaitsPayer("pi_1", "requires_action", action=VOUCHER),
        INTENT_OBJECT,
    ),
    "requires_action, in the bank's app": Row(
        200, asking("blik_authorize"), AwaitsPayer("pi_1", "requires_action"), INTENT_OBJECT
    ),
    "requires_confirmation": Row(
        200, as_json(intent("requires_confirmation")), AwaitsPayer("pi_1", "requires_confirmation"), LIFECYCLE
    ),
    # Time
    "processing": Row(
        200,
        as_json(intent("processing", processing={"type": "card"})),
        Pending("pi_1", "the payment intent is processing"),
        LIFECYCLE,
    ),
    # Declines
    "402, the issuer refuses": Row(
        402, card_error("card_declined", "insufficient_funds"), declined("insufficient_funds"), DECLINES
    ),
    "402, the issuer gives no reason": Row(
        402, card_error("card_declined", "generic_decline"), declined("declined"), DECLINES
    ),
    "402, stolen": Row(402, card_error("card_declined", "stolen_card"), declined("declined"), DECLINES),
    "402, needs the payer": Row(
        402,
        card_error("authentication_required", "authentication_required"),
        declined("authentication_required"),
        ERROR_CODES,
    ),
    "402, expired": Row(402, card_error("expired_card"), declined("expired_card"), ERROR_CODES),
    "402, wrong code": Row(402, card_error("incorrect_cvc"), declined("invalid_card_details"), ERROR_CODES),
    "402, try again": Row(402, card_error("processing_error"), declined("try_again_later"), ERROR_CODES),
    "402, a code of next year": Row(402, card_error("a_code_of_next_year"), declined("declined"), ERRORS),
    "400, no such token": Row(
        400,
        refusal("invalid_request_error", "resource_missing", param="payment_method"),
        declined("rejected_by_gateway"),
        ERROR_CODES,
    ),
    "400, another method": Row(
        400,
        refusal("invalid_request_error", "payment_intent_incompatible_payment_method"),
        declined("rejected_by_gateway"),
        ERROR_CODES,
    ),
    # The key
    "409, the key is in use": Row(
        409,
        refusal("idempotency_error", "idempotency_key_in_use"),
        Unknown("APIError, 409 idempotency_key_in_use", repeatable=True),
        ERROR_CODES,
        headers=retry("true"),
    ),
    "409, the key is in use, without advice": Row(
        409,
        refusal("invalid_request_error", "idempotency_key_in_use"),
        Unknown("APIError, 409 idempotency_key_in_use", repeatable=True),
        LOW_LEVEL,
    ),
    "400, the key has another request": Row(
        400,
        refusal("idempotency_error", None),
        Unknown("the gateway knows our idempotency key with another request"),
        KEYS,
    ),
    # Limits
    "429, too many requests": Row(
        429,
        refusal("invalid_request_error", "rate_limit"),
        NeverSent("HTTP 429", 2),
        LOW_LEVEL,
        headers=(("Retry-After", "2"),),
    ),
    "429, the object is locked": Row(
        429,
        refusal("invalid_request_error", "lock_timeout"),
        Unknown("RateLimitError, 429 lock_timeout", repeatable=True),
        LIMITS,
        headers=retry("true"),
    ),
    "429, the object is locked, without advice": Row(
        429,
        refusal("invalid_request_error", "lock_timeout"),
        Unknown("RateLimitError, 429 lock_timeout", repeatable=True),
        LIMITS,
    ),
    # Stripe's own failures
    "500, worth repeating": Row(
        500, SERVER_ERROR, Unknown("APIError, 500", repeatable=True), LOW_LEVEL, headers=retry("true")
    ),
    "500, kept under the key": Row(500, SERVER_ERROR, Unknown("APIError, 500"), LOW_LEVEL, headers=retry("false")),
    "500, kept and answered again": Row(
        500, SERVER_ERROR, Unknown("APIError, 500"), KEYS, headers=(*retry("false"), ("Idempotent-Replayed", "true"))
    ),
    "500, without advice": Row(500, SERVER_ERROR, Unknown("APIError, 500"), KEYS),
    "503, from before the API": Row(503, b"<html>", Unknown("APIError, 503"), SDK, headers=(("Retry-After", "1"),)),
    "401": Row(
        401,
        refusal("invalid_request_error", None),
        CredentialsRefused("the gateway refuses our credentials"),
        LOW_LEVEL,
    ),
    "403": Row(
        403,
        refusal("invalid_request_error", None),
        CredentialsRefused("the gateway refuses our credentials"),
        LOW_LEVEL,
    ),
    # What is not an answer
    "truncated, and the connection ends": Row(
        200,
        WHOLE[:-40],
        Unknown("APIConnectionError, no answer", repeatable=True),
        "https://www.rfc-editor.org/rfc/rfc9112#section-8",
        missing_bytes=40,
    ),
    "truncated, and said to be whole": Row(200, WHOLE[:-40], Unknown("APIError, 200", repeatable=True), SDK),
    "truncated in a refusal": Row(
        402, card_error("card_declined")[:-9], Unknown("APIError, 402", repeatable=True), SDK
    ),
    "empty": Row(200, b"", Unknown("APIError, 200", repeatable=True), SDK),
    "a page of a proxy": Row(200, b"<html>", Unknown("APIError, 200", repeatable=True), SDK),
    # Another object
    "a refund": Row(
        200,
        as_json({"id": "re_1", "object": "refund", "amount": 1000, "currency": "eur", "status": "succeeded"}),
        Unknown("the payment intent is for another operation"),
        INTENT_OBJECT,
    ),
    "another payment": Row(
        200,
        as_json(intent("succeeded", metadata={"payonce_reference": "pay_2-1"})),
        Unknown("the payment intent is for another operation"),
        INTENT_OBJECT,
    ),
    "another amount": Row(
        200,
        as_json(intent("succeeded", amount=1001)),
        Unknown("the payment intent is for another operation"),
        INTENT_OBJECT,
    ),
    "a part of the amount": Row(
        200, as_json(intent("succeeded", amount_received=999)), Unknown("another amount was captured"), INTENT_OBJECT
    ),
    "a list": Row(
        200,
        as_json({"object": "list", "data": [intent("succeeded")]}),
        Unknown("the payment intent is for another operation"),
        INTENT_OBJECT,
    ),
    "a list without a name": Row(
        200,
        as_json([intent("succeeded")]),
        Unknown("unreadable answer: AttributeError", repeatable=True),
        INTENT_OBJECT,
    ),
    "nothing": Row(200, b"null", Unknown("unreadable answer: AttributeError", repeatable=True), INTENT_OBJECT),
}


@pytest.mark.parametrize("name", list(ROWS))
def test_an_answer_of_stripe_has_its_outcome(name: str) -> None:
    """Fails when an answer means another thing than its row's page says, or makes the SDK send a second request."""
    row, requests = ROWS[name], []

    def answer(client: socket.socket) -> None:
        requests.append(read_request(client))
        client.sendall(row.wire)

    with serving(answer) as port:
        gateway = StripeGateway("stripe", "sk_test_1", f"http://127.0.0.1:{port}", STRIPE_CAPABILITIES, clock=CLOCK)
        outcome = gateway.submit(payment(REFERENCE, "pm_1", CLOCK.now_ms()), Deadline(CLOCK.now_ms() + 10_000))
    assert outcome == row.expected
    assert "secret text" not in repr(outcome)
    (request,) = requests
    head = request.partition(b"\r\n\r\n")[0].decode().lower()
    assert head.startswith("post /v1/payment_intents http/1.1")
    assert f"idempotency-key: {REFERENCE}" in head
