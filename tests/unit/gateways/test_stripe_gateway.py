"""What the adapter sends, and what it makes of Stripe's objects."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError
from payonce.domain.exchange import Lost, NotSent
from payonce.domain.gateway import (
    MONEY_OPERATIONS,
    AwaitsPayer,
    CaptureMethod,
    Declined,
    NeverSent,
    NotFound,
    OperationKind,
    Overtaken,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.stripe_gateway import KEYLESS_STRIPE_CAPABILITIES, STRIPE_CAPABILITIES, stripe_from_options
from tests.support.world import ManualClock
from tests.unit.gateways.stripe_world import (
    API_KEY,
    CHARGE,
    INTENT,
    REFERENCE,
    SOON,
    answer,
    captured_intent,
    error,
    gateway_on,
    instruction,
    intent,
    listing,
    refund,
)

if TYPE_CHECKING:
    from payonce.domain.exchange import Exchange

DONE = Succeeded(INTENT, CHARGE)
AUTO, MANUAL = CaptureMethod.AUTOMATIC, CaptureMethod.MANUAL
DECLINED_CARD = {"code": "card_declined", "decline_code": "insufficient_funds"}

PAYMENT_STATES: list[tuple[str, CaptureMethod, dict[str, Any], Any, Any]] = [
    # name, capture method, intent, outcome of the submission, outcome of a lookup
    ("captured", AUTO, intent(), DONE, DONE),
    ("authorized", MANUAL, intent("requires_capture"), DONE, DONE),
    ("authorized, then captured in part", MANUAL, intent(amount_received=400), DONE, DONE),
    ("charge expanded", AUTO, intent(latest_charge={"id": CHARGE}), DONE, DONE),
    ("no charge named", AUTO, intent(latest_charge=None), Succeeded(INTENT, INTENT), Succeeded(INTENT, INTENT)),
    ("processing", AUTO, intent("processing"), Pending, Pending),
    ("a state of next year", AUTO, intent("on_hold"), Pending, Pending),
    ("a state of next year, of what has no id", AUTO, intent("on_hold", id=None), Unknown, Unknown),
    ("authorized, though capture was asked for", AUTO, intent("requires_capture"), Pending, Pending),
    ("captured in part, though all was asked for", AUTO, intent(amount_received=400), Unknown, Unknown),
    ("another amount", AUTO, intent(amount=999), Unknown, Unknown),
    ("another currency", AUTO, intent(currency="usd"), Unknown, Unknown),
    ("no id", AUTO, intent(id=None), Unknown, Unknown),
    ("declined", AUTO, intent("requires_payment_method", last_payment_error=DECLINED_CARD), Declined, Declined),
    # After a confirmation this state means declined; found later, it may also mean that nobody ever confirmed.
    ("declined with no reason", AUTO, intent("requires_payment_method"), Declined, NotFound),
    # Both can still become a charge, so neither is a decline: https://docs.stripe.com/payments/paymentintents/lifecycle
    ("waits for the payer", AUTO, intent("requires_action"), AwaitsPayer, AwaitsPayer),
    ("never confirmed", AUTO, intent("requires_confirmation"), AwaitsPayer, AwaitsPayer),
    ("canceled", AUTO, intent("canceled"), Declined, Declined),
]


def matches(outcome: object, expected: Any) -> bool:
    """Compare by type or by value."""
    return isinstance(outcome, expected) if isinstance(expected, type) else bool(outcome == expected)


@pytest.mark.parametrize(
    ("_name", "capture", "document", "submitted", "found"), PAYMENT_STATES, ids=[row[0] for row in PAYMENT_STATES]
)
def test_a_payment_intents_state_has_its_outcome(
    _name: str, capture: CaptureMethod, document: dict[str, Any], submitted: Any, found: Any
) -> None:
    """Fails when a state that may still move money counts as a refusal, or one that agrees in part as a success."""
    asked = instruction(capture=capture)
    assert matches(gateway_on(answer(document))[0].submit(asked, SOON), submitted)
    assert matches(gateway_on(listing(document), listing())[0].find(asked, SOON), found)


def test_another_payments_answer_is_not_taken_for_ours() -> None:
    """Fails when the reference in the answer is not compared."""
    other = intent(metadata={"payonce_reference": "pay_2-1"})
    assert isinstance(gateway_on(answer(other))[0].submit(instruction(), SOON), Unknown)
    assert gateway_on(listing(other), listing())[0].find(instruction(), SOON) == NotFound()


FOLLOW_UP_STATES: list[tuple[OperationKind, dict[str, Any], Any, Any]] = [
    (OperationKind.CAPTURE, captured_intent(), DONE, DONE),
    (OperationKind.CAPTURE, captured_intent("cap_2-1"), Unknown, Overtaken),  # captured by another operation, once
    (OperationKind.CAPTURE, intent(), Unknown, Overtaken),  # captured by hand
    (OperationKind.CAPTURE, captured_intent(amount_received=999), Unknown, Unknown),
    (OperationKind.CAPTURE, intent("requires_capture"), Unknown, NotFound),
    (OperationKind.CAPTURE, intent("requires_capture", amount_capturable=1000), Unknown, NotFound),
    (OperationKind.CAPTURE, intent("requires_capture", amount_capturable=999), Unknown, Declined),
    (OperationKind.CAPTURE, intent("canceled"), Unknown, Overtaken),  # by hand, or as it expired
    (OperationKind.CAPTURE, intent("processing"), Pending, Pending),
    (OperationKind.VOID, intent("canceled"), DONE, DONE),
    (OperationKind.VOID, intent("requires_capture"), Unknown, NotFound),
    # A payment that waits for its payer, or whose payer failed, can be canceled as well.
    (OperationKind.VOID, intent("requires_action"), Unknown, NotFound),
    (OperationKind.VOID, intent("requires_confirmation"), Unknown, NotFound),
    (OperationKind.VOID, intent("requires_payment_method"), Unknown, NotFound),
    (OperationKind.VOID, intent("succeeded"), Unknown, Overtaken),
    (OperationKind.VOID, intent("processing"), Pending, Pending),
    (OperationKind.VOID, intent("canceled", id="pi_2"), Unknown, Unknown),
    (OperationKind.REFUND, refund(), Succeeded(INTENT, "re_1"), Succeeded(INTENT, "re_1")),
    (OperationKind.REFUND, refund("pending"), Pending, Pending),
    (OperationKind.REFUND, refund("requires_action"), Pending, Pending),
    (OperationKind.REFUND, refund("failed"), Declined, Declined),
    (OperationKind.REFUND, refund("canceled"), Declined, Declined),
    (OperationKind.REFUND, refund(amount=999), Unknown, Unknown),
    (OperationKind.REFUND, refund(id=None), Unknown, Unknown),
]


@pytest.mark.parametrize(("kind", "document", "submitted", "found"), FOLLOW_UP_STATES)
def test_a_follow_ups_object_has_its_outcome(
    kind: OperationKind, document: dict[str, Any], submitted: Any, found: Any
) -> None:
    """Fails when somebody else's capture counts as ours, or a refund under way as given back."""
    assert matches(gateway_on(answer(document))[0].submit(instruction(kind), SOON), submitted)
    looked_up = listing(document) if kind is OperationKind.REFUND else answer(document)
    assert matches(gateway_on(looked_up)[0].find(instruction(kind), SOON), found)


PAYMENT_FORM = {
    "amount": "1000",
    "currency": "eur",
    "payment_method": "pm_token",
    "capture_method": "automatic",
    "confirm": "true",
    "payment_method_types[0]": "card",
    "use_stripe_sdk": "true",
    "metadata[payonce_reference]": REFERENCE,
    "metadata[payonce_payment_id]": "pay_1",
    "metadata[payonce_merchant_id]": "mer_1",
}
REFUND_FORM = {name: value for name, value in PAYMENT_FORM.items() if name == "amount" or name.startswith("metadata")}


@pytest.mark.parametrize(
    ("kind", "line", "form"),
    [
        (OperationKind.PAYMENT, "POST /v1/payment_intents", PAYMENT_FORM),
        (
            OperationKind.CAPTURE,
            "POST /v1/payment_intents/pi_1/capture",
            {"amount_to_capture": "1000", "metadata[payonce_capture_reference]": REFERENCE},
        ),
        (OperationKind.VOID, "POST /v1/payment_intents/pi_1/cancel", {}),
        (OperationKind.REFUND, "POST /v1/refunds", {"payment_intent": "pi_1", **REFUND_FORM}),
    ],
)
def test_an_instruction_is_one_request_with_our_reference_as_its_key(
    kind: OperationKind, line: str, form: dict[str, str]
) -> None:
    """Fails when the key is left to the SDK, which makes a random one: a resubmission would charge again."""
    gateway, paper = gateway_on(Lost("x"))
    gateway.submit(instruction(kind), SOON)
    assert paper.lines == [line]
    assert paper.asked[0].form == form
    assert paper.asked[0].headers["Idempotency-Key"] == REFERENCE
    assert paper.asked[0].deadline == SOON


def test_an_authorization_asks_for_manual_capture() -> None:
    """Fails when the capture method is not passed on: an authorization would be a charge."""
    gateway, paper = gateway_on(Lost("x"))
    gateway.submit(instruction(capture=MANUAL), SOON)
    assert paper.asked[0].form["capture_method"] == "manual"


WAITING = AwaitsPayer(INTENT, "requires_action")
UNCANCELABLE = error(400, "payment_intent_unexpected_state")


@pytest.mark.parametrize(
    ("answers", "capture", "expected"),
    [
        ([answer(intent("canceled"))], AUTO, "authentication_required"),
        ([answer(intent("requires_action"))], AUTO, WAITING),  # accepted, and not done
        ([answer(intent("canceled", metadata={}))], AUTO, WAITING),  # another one
        ([NotSent("no connection")], AUTO, WAITING),
        ([Lost("reset")], AUTO, WAITING),
        ([error(500)], AUTO, WAITING),
        ([error(429, "lock_timeout")], AUTO, WAITING),
        ([UNCANCELABLE, answer(intent())], AUTO, DONE),  # the payer was faster
        ([UNCANCELABLE, answer(intent("requires_capture"))], MANUAL, DONE),
        ([UNCANCELABLE, answer(intent("canceled"))], AUTO, "authentication_required"),  # canceled before, unheard
        ([UNCANCELABLE, answer(intent("processing"))], AUTO, Pending(INTENT, "the payment intent is processing")),
        # Declined, but open to another method for whoever has the client secret: it has to be canceled too.
        ([UNCANCELABLE, answer(intent("requires_payment_method", last_payment_error=DECLINED_CARD))], AUTO, WAITING),
        ([UNCANCELABLE, Lost("reset")], AUTO, WAITING),
    ],
)
def test_only_what_stripe_shows_as_canceled_is_declined(
    answers: list[Exchange], capture: CaptureMethod, expected: Any
) -> None:
    """Fails when a cancellation that was lost or refused counts: the payer could complete it, and pay after a 402.

    Cancelable states and what a canceled intent can still do: https://docs.stripe.com/api/payment_intents/cancel.
    """
    gateway, paper = gateway_on(*answers)
    outcome = gateway.withdraw(instruction(capture=capture), WAITING, SOON)
    if isinstance(expected, str):
        assert isinstance(outcome, Declined)
        assert outcome.code == expected
    else:
        assert matches(outcome, expected)
    lines = ["POST /v1/payment_intents/pi_1/cancel", "GET /v1/payment_intents/pi_1"]
    assert paper.lines == lines[: len(answers)]


def test_every_cancellation_has_a_key_of_its_own() -> None:
    """Fails when it is derived from our reference: a 500 that Stripe keeps would leave the intent open for a day."""
    gateway, paper = gateway_on(error(500))
    for _ in range(2):
        gateway.withdraw(instruction(), WAITING, SOON)
    keys = [asked.headers.get("Idempotency-Key") for asked in paper.asked]
    assert keys[0] is None or keys[0] != keys[1]


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND])
def test_a_follow_up_without_its_charge_is_not_sent(kind: OperationKind) -> None:
    """Fails when the request goes to a path with an empty id, which is another endpoint."""
    gateway, paper = gateway_on(answer({}))
    assert isinstance(gateway.submit(instruction(kind, charge_id=None), SOON), NeverSent)
    assert isinstance(gateway.find(instruction(kind, charge_id=None), SOON), Unknown)
    assert paper.asked == []


@pytest.mark.parametrize("kind", sorted(MONEY_OPERATIONS))
def test_a_lookup_only_reads(kind: OperationKind) -> None:
    """Fails when a lookup changes anything: it is made again and again, and by several owners at once."""
    for document in (intent("requires_action"), intent("requires_confirmation"), refund("pending")):
        gateway, paper = gateway_on(listing(document))
        gateway.find(instruction(kind), SOON)
        assert {asked.method for asked in paper.asked} == {"GET"}


def test_the_api_key_is_in_no_log_repr_or_outcome(caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    """Fails when the SDK's debug lines are let through, or a text of Stripe's is passed on."""
    caplog.set_level(logging.DEBUG)
    masked = {"error": {"message": f"Invalid API Key provided: {API_KEY[:8]}****{API_KEY[-4:]}", "code": "x"}}
    for given in (answer(masked, 401), answer(masked, 400), answer(masked, 500), Lost("x"), answer([])):
        gateway, paper = gateway_on(given)
        outcomes = [repr(gateway.submit(instruction(), SOON)), repr(gateway.find(instruction(), SOON)), repr(gateway)]
        captured = capsys.readouterr()
        records = [repr(vars(record)) for record in caplog.records]
        said = "".join([*outcomes, *records, captured.out, captured.err])
        assert API_KEY in paper.asked[0].headers["Authorization"]
        assert API_KEY not in said
        assert API_KEY[-4:] not in said
        assert "pm_token" not in said


def test_the_sdk_measures_nothing() -> None:
    """Fails when telemetry is on: the SDK would write an id into the home folder and describe the machine."""
    assert stripe.enable_telemetry is False


def test_options_make_the_adapter() -> None:
    """Fails when a configured look-alike is credited with promises that only Stripe makes."""
    clock, secrets = ManualClock(), {"stripe_api_key": "sk_test_1"}
    assert stripe_from_options("s", {}, secrets, clock).capabilities == STRIPE_CAPABILITIES
    options = {"url": "http://127.0.0.1:1/", "key_retention_seconds": 0, "lookup_authoritative_after_seconds": 2}
    fake = stripe_from_options("s", options, secrets, clock)
    assert fake.capabilities == KEYLESS_STRIPE_CAPABILITIES
    assert fake.name == "s"
    assert repr(fake) == "StripeGateway(name='s', api_base='http://127.0.0.1:1')"
    never = stripe_from_options("s", {"lookup_authoritative_after_seconds": None}, secrets, clock)
    assert never.capabilities == replace(STRIPE_CAPABILITIES, lookup_authoritative_after_seconds=None)


def test_the_key_is_neither_missing_nor_sent_in_the_clear() -> None:
    """Fails when a live key may travel over http to another machine."""
    clock = ManualClock()
    for secrets in ({}, {"stripe_api_key": ""}):
        with pytest.raises(GatewayUnavailable, match="empty"):
            stripe_from_options("s", {}, secrets, clock)
    for url in ("http://stripe.example", "ftp://127.0.0.1", "stripe.example"):
        with pytest.raises(MisconfiguredError, match="https"):
            stripe_from_options("s", {"url": url}, {"stripe_api_key": API_KEY}, clock)


def test_the_sdk_is_imported_only_where_stripe_is_configured() -> None:
    """Fails when the composition root imports the SDK: every cold start would pay 0.4 s."""
    code = "import sys, payonce.wiring.application, payonce.gateways.sandbox_bank; sys.exit('stripe' in sys.modules)"
    path = [entry for entry in sys.path if entry]
    check = subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"], check=False)
    assert check.returncode == 0
