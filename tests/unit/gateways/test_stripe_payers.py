"""Payments that need the payer at Stripe: what is asked for, what the payer is shown, and when it is over.

The shapes are those of Stripe's OpenAPI specification (https://github.com/stripe/openapi), as the SDK's
``PaymentIntent.NextAction`` declares them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from stripe import PaymentIntent

from payonce.domain.exchange import Lost
from payonce.domain.gateway import (
    ActionType,
    AwaitsPayer,
    CaptureMethod,
    Declined,
    Instruction,
    NextAction,
    OperationKind,
    Payer,
    PaymentMethodType,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money
from payonce.gateways.stripe_gateway import STRIPE_CAPABILITIES
from tests.unit.gateways.stripe_world import (
    CHARGE,
    INTENT,
    SOON,
    answer,
    error,
    gateway_on,
    instruction,
    intent,
    listing,
)

RETURN_URL = "https://shop.example/paid"
SECRET = "pi_1_secret_of_the_payer"
EXPIRES_SECONDS = 1_800_086_400
PAGE = "https://payments.stripe.example/page"
DISPLAYED = NextAction(type=ActionType.DISPLAY, url=PAGE, expires_at_ms=EXPIRES_SECONDS * 1000)
ENDLESS = replace(DISPLAYED, expires_at_ms=None)
REDIRECTED = NextAction(type=ActionType.REDIRECT, url=PAGE)
VOUCHER = {"hosted_voucher_url": PAGE, "expires_at": EXPIRES_SECONDS, "number": "1"}
INSTRUCTIONS = {"hosted_instructions_url": PAGE, "data": "x", "qr_code": {"expires_at": 1}}

# Every type of the SDK's NextAction, with what Stripe says in it, and what the payer is to do. None: nothing to show.
ACTIONS: dict[str, tuple[dict[str, Any], NextAction | None]] = {
    "alipay_handle_redirect": ({"url": PAGE, "native_url": "alipay://x"}, REDIRECTED),
    "blik_authorize": ({}, None),
    "boleto_display_details": (VOUCHER, DISPLAYED),
    "card_await_notification": ({"charge_attempt_at": 1, "customer_approval_required": True}, None),
    "cashapp_handle_redirect_or_display_qr_code": (INSTRUCTIONS, ENDLESS),
    "display_bank_transfer_instructions": (INSTRUCTIONS, ENDLESS),
    "klarna_display_qr_code": ({"data": "x", "expires_at": EXPIRES_SECONDS}, None),
    "konbini_display_details": (VOUCHER, DISPLAYED),
    "multibanco_display_details": (VOUCHER, DISPLAYED),
    "oxxo_display_details": ({"hosted_voucher_url": PAGE, "expires_after": EXPIRES_SECONDS}, DISPLAYED),
    "paynow_display_qr_code": (INSTRUCTIONS, ENDLESS),
    "pix_display_qr_code": ({**INSTRUCTIONS, "expires_at": EXPIRES_SECONDS}, DISPLAYED),
    "promptpay_display_qr_code": (INSTRUCTIONS, ENDLESS),
    "redirect_to_url": ({"url": PAGE, "return_url": RETURN_URL}, REDIRECTED),
    "swish_handle_redirect_or_display_qr_code": (INSTRUCTIONS, ENDLESS),
    "upi_handle_redirect_or_display_qr_code": (INSTRUCTIONS, ENDLESS),
    "use_stripe_sdk": (
        {"type": "three_d_secure_redirect"},
        NextAction(type=ActionType.GATEWAY_SDK, client_secret=SECRET),
    ),
    "verify_with_microdeposits": ({"hosted_verification_url": PAGE, "arrival_date": EXPIRES_SECONDS}, REDIRECTED),
    "wechat_pay_display_qr_code": (INSTRUCTIONS, ENDLESS),
    "wechat_pay_redirect_to_android_app": ({"app_id": "x"}, None),
    "wechat_pay_redirect_to_ios_app": ({"native_url": "weixin://x"}, None),
}


def asking(action_type: str = "redirect_to_url", **details: Any) -> dict[str, Any]:
    """Return an intent that waits for the payer."""
    said = details or ACTIONS[action_type][0]
    return intent("requires_action", client_secret=SECRET, next_action={"type": action_type, action_type: said})


def held(**changes: Any) -> Instruction:
    """Return the instruction of a payment that Stripe holds as pending."""
    return replace(instruction(), gateway_charge_id=INTENT, **changes)


def test_every_action_of_the_sdk_has_a_chosen_meaning() -> None:
    """Fails when an SDK update brings an action: whoever updates decides whether it can be shown."""
    assert set(ACTIONS) == set(PaymentIntent.NextAction.__annotations__) - {"type"}


@pytest.mark.parametrize("action_type", sorted(ACTIONS))
def test_what_the_payer_has_to_do_is_told(action_type: str) -> None:
    """Fails when a payer is sent nowhere, to another page, or is given more time than the voucher has."""
    expected = AwaitsPayer(INTENT, "requires_action", action=ACTIONS[action_type][1])
    assert gateway_on(answer(asking(action_type)))[0].submit(instruction(), SOON) == expected
    assert gateway_on(listing(asking(action_type)), listing())[0].find(instruction(), SOON) == expected


@pytest.mark.parametrize(
    "document",
    [
        intent("requires_action"),
        intent("requires_action", next_action=None),
        intent("requires_action", next_action="redirect_to_url"),
        intent("requires_action", next_action={"type": "redirect_to_url"}),
        intent(
            "requires_action", next_action={"type": "an_action_of_next_year", "an_action_of_next_year": {"url": PAGE}}
        ),
        intent("requires_action", next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {}}),
        asking("redirect_to_url", url=None),
        asking("redirect_to_url", url=7),
        {**asking(), "status": "requires_confirmation"},
    ],
)
def test_what_can_not_be_shown_is_to_be_withdrawn(document: dict[str, Any]) -> None:
    """Fails when such an intent looks as if its payer could act: it would stay open until it expires."""
    outcome = gateway_on(answer(document))[0].submit(instruction(), SOON)
    assert isinstance(outcome, AwaitsPayer)
    assert outcome.action is None


def test_an_absent_payer_is_never_told_to_act() -> None:
    """Fails when an absent payer's intent is kept open, should Stripe ask in spite of ``off_session``."""
    absent = replace(instruction(), payer=Payer.ABSENT)
    outcome = gateway_on(answer(asking()))[0].submit(absent, SOON)
    assert outcome == AwaitsPayer(INTENT, "requires_action")


def test_the_payers_secret_is_in_no_repr() -> None:
    """Fails when an outcome that is logged shows it: whoever has it can pay, and see the payment."""
    outcome = gateway_on(answer(asking("use_stripe_sdk")))[0].submit(instruction(), SOON)
    assert isinstance(outcome, AwaitsPayer)
    assert outcome.action is not None
    assert outcome.action.client_secret == SECRET
    assert SECRET not in repr(outcome)


CARD = {"payment_method_types[0]": "card"}
NO_REDIRECTS = {"automatic_payment_methods[enabled]": "true", "automatic_payment_methods[allow_redirects]": "never"}
REDIRECTS = {**NO_REDIRECTS, "automatic_payment_methods[allow_redirects]": "always"}
IN_THE_SDK = {"use_stripe_sdk": "true"}
REDIRECT = {"use_stripe_sdk": "false", "return_url": RETURN_URL}
OFF_SESSION = {"off_session": "true", "error_on_requires_action": "true"}


@pytest.mark.parametrize(
    ("method_type", "payer", "return_url", "form"),
    [
        (PaymentMethodType.CARD, Payer.PRESENT, None, {**CARD, **IN_THE_SDK}),
        (PaymentMethodType.CARD, Payer.PRESENT, RETURN_URL, {**CARD, **REDIRECT}),
        (PaymentMethodType.CARD, Payer.ABSENT, None, {**CARD, **OFF_SESSION}),
        (PaymentMethodType.CARD, Payer.ABSENT, RETURN_URL, {**CARD, **OFF_SESSION}),
        (PaymentMethodType.WALLET, Payer.PRESENT, None, {**NO_REDIRECTS, **IN_THE_SDK}),
        (PaymentMethodType.WALLET, Payer.PRESENT, RETURN_URL, {**REDIRECTS, **REDIRECT}),
        (PaymentMethodType.WALLET, Payer.ABSENT, RETURN_URL, {**NO_REDIRECTS, **OFF_SESSION}),
        (PaymentMethodType.PAY_LATER, Payer.PRESENT, RETURN_URL, {**REDIRECTS, **REDIRECT}),
        (PaymentMethodType.BANK_TRANSFER, Payer.PRESENT, RETURN_URL, {**REDIRECTS, **REDIRECT}),
        (PaymentMethodType.BANK_DEBIT, Payer.PRESENT, None, {"payment_method_types[0]": "sepa_debit", **IN_THE_SDK}),
        (PaymentMethodType.BANK_DEBIT, Payer.ABSENT, None, {"payment_method_types[0]": "sepa_debit", **OFF_SESSION}),
        (PaymentMethodType.VOUCHER, Payer.PRESENT, None, {"payment_method_types[0]": "multibanco", **IN_THE_SDK}),
    ],
)
def test_the_request_says_who_pays_and_how(
    method_type: PaymentMethodType, payer: Payer, return_url: str | None, form: dict[str, str]
) -> None:
    """Stripe refuses redirects without a return_url (https://docs.stripe.com/upgrades/manage-payment-methods) and both
    ways of naming methods at once. Fails when an absent payer is asked, or a payer who is there is called absent.
    """
    gateway, paper = gateway_on(Lost("x"))
    gateway.submit(replace(instruction(), payment_method_type=method_type, payer=payer, return_url=return_url), SOON)
    sent = paper.asked[0].form
    always = {"amount", "currency", "payment_method", "capture_method", "confirm"}
    assert {name: value for name, value in sent.items() if name not in always and "metadata" not in name} == form
    assert sent["confirm"] == "true"
    assert sent["payment_method"] == "pm_token"


@pytest.mark.parametrize(
    ("method_type", "member"),
    [
        (PaymentMethodType.CARD, "statement_descriptor_suffix"),
        (PaymentMethodType.WALLET, "statement_descriptor_suffix"),
        (PaymentMethodType.BANK_DEBIT, "statement_descriptor"),
    ],
)
def test_the_request_says_whose_method_it_is_and_what_the_payer_reads(
    method_type: PaymentMethodType, member: str
) -> None:
    """Cards take a suffix: https://docs.stripe.com/get-started/account/statement-descriptors#dynamic. Saving a method
    for absent payers: https://docs.stripe.com/payments/save-during-payment. Fails when a member is not passed on.
    """
    gateway, paper = gateway_on(Lost("x"))
    told = replace(
        instruction(),
        payment_method_type=method_type,
        customer="cus_1",
        saves_method=True,
        description="Two cups",
        statement_descriptor="CUPS 17",
    )
    gateway.submit(told, SOON)
    sent = paper.asked[0].form
    expected = {"customer": "cus_1", "setup_future_usage": "off_session", "description": "Two cups", member: "CUPS 17"}
    assert {name: sent.get(name) for name in expected} == expected
    assert len([name for name in sent if name.startswith("statement_descriptor")]) == 1


def test_a_confirmation_token_takes_the_place_of_the_payment_method() -> None:
    """It carries the mandate: https://docs.stripe.com/payments/payment-element/migration-ct. Fails when it is sent as a
    payment method, which Stripe does not know.
    """
    gateway, paper = gateway_on(Lost("x"))
    gateway.submit(replace(instruction(), payment_method="ctoken_1"), SOON)
    assert paper.asked[0].form["confirmation_token"] == "ctoken_1"
    assert "payment_method" not in paper.asked[0].form


@pytest.mark.parametrize(
    ("method_type", "currency", "method"),
    [
        (PaymentMethodType.BANK_DEBIT, "EUR", "sepa_debit"),
        (PaymentMethodType.BANK_DEBIT, "USD", "us_bank_account"),
        (PaymentMethodType.BANK_DEBIT, "GBP", "bacs_debit"),
        (PaymentMethodType.BANK_DEBIT, "AUD", "au_becs_debit"),
        (PaymentMethodType.BANK_DEBIT, "NZD", "nz_bank_account"),
        (PaymentMethodType.BANK_DEBIT, "CAD", None),
        (PaymentMethodType.BANK_DEBIT, "CHF", None),
        (PaymentMethodType.VOUCHER, "EUR", "multibanco"),
        (PaymentMethodType.VOUCHER, "BRL", "boleto"),
        (PaymentMethodType.VOUCHER, "MXN", "oxxo"),
        (PaymentMethodType.VOUCHER, "JPY", "konbini"),
        (PaymentMethodType.VOUCHER, "USD", None),
    ],
)
def test_debits_and_vouchers_are_those_of_their_currency(
    method_type: PaymentMethodType, currency: str, method: str | None
) -> None:
    """Fails when Stripe is sent a method that the currency does not have, or one that payonce can't use."""
    gateway, paper = gateway_on(Lost("x"))
    asked = replace(instruction(money=Money(1000, currency)), payment_method_type=method_type)
    outcome = gateway.submit(asked, SOON)
    if method is None:
        assert isinstance(outcome, Declined)
        assert outcome.code == "currency_not_supported"
        assert paper.asked == []
    else:
        assert paper.asked[0].form["payment_method_types[0]"] == method


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND])
def test_a_follow_up_of_any_method_is_sent(kind: OperationKind) -> None:
    """Fails when a payment that was made can't be refunded because of the method that its instruction names."""
    gateway, paper = gateway_on(Lost("x"))
    asked = replace(instruction(kind, money=Money(1000, "CHF")), payment_method_type=PaymentMethodType.BANK_DEBIT)
    gateway.submit(asked, SOON)
    assert len(paper.asked) == 1


def test_the_adapter_declares_the_methods_that_it_sends() -> None:
    """Fails when a kind of method is declared for which no request is made."""
    for method_type in STRIPE_CAPABILITIES.payment_method_types:
        gateway, paper = gateway_on(Lost("x"))
        gateway.submit(replace(instruction(), payment_method_type=method_type), SOON)
        assert len(paper.asked) == 1


FAILED = {"code": "payment_intent_authentication_failure"}
EXPIRED = {"code": "payment_intent_payment_attempt_expired"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (intent(), Succeeded(INTENT, CHARGE)),
        (intent("processing"), Pending(INTENT, "the payment intent is processing")),
        (asking(), AwaitsPayer(INTENT, "requires_action", action=REDIRECTED)),
        (intent("canceled"), "canceled"),
        (intent("canceled", last_payment_error=EXPIRED), "payment_expired"),  # withdrawn, but not heard
        (intent(metadata={}), Unknown("the payment intent is for another operation")),
        (intent("requires_payment_method", metadata={}), Unknown),
        (intent("on_hold"), Pending(INTENT, "the payment intent is on_hold")),
    ],
)
def test_a_payment_that_stripe_holds_is_read_by_its_id(document: dict[str, Any], expected: Any) -> None:
    """Fails when it is looked for among all others."""
    gateway, paper = gateway_on(answer(document))
    outcome = gateway.find(held(), SOON)
    if isinstance(expected, str):
        assert isinstance(outcome, Declined)
        assert outcome.code == expected
    elif isinstance(expected, type):
        assert isinstance(outcome, expected)
    else:
        assert outcome == expected
    assert paper.lines == [f"GET /v1/payment_intents/{INTENT}"]


UNCANCELABLE = error(400, "payment_intent_unexpected_state")
OPEN = AwaitsPayer(INTENT, "authentication_required")


@pytest.mark.parametrize(
    ("failure", "code"),
    [(FAILED, "authentication_required"), (EXPIRED, "payment_expired"), (None, "declined")],
)
@pytest.mark.parametrize("keeps", [True, False])
def test_what_the_payer_failed_is_closed_before_it_is_declined(
    failure: dict[str, str] | None, code: str, keeps: bool
) -> None:
    """Whoever has the client secret may try another method: https://docs.stripe.com/payments/paymentintents/lifecycle.
    Fails when that is possible after the decline, or when the decline loses its code by the cancellation.
    """
    failed = intent("requires_payment_method", last_payment_error=failure)
    closed = intent("canceled", last_payment_error=failure if keeps else None)
    gateway, paper = gateway_on(answer(failed), answer(closed))
    outcome = gateway.find(held(), SOON)
    assert isinstance(outcome, Declined)
    assert outcome.code == code
    assert paper.lines == [f"GET /v1/payment_intents/{INTENT}", f"POST /v1/payment_intents/{INTENT}/cancel"]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([Lost("x")], OPEN),
        ([error(500)], OPEN),
        ([UNCANCELABLE, answer(intent("requires_payment_method", last_payment_error=FAILED))], OPEN),
        ([UNCANCELABLE, answer(asking())], OPEN),  # another method, and its payer has to act again
        ([UNCANCELABLE, answer(intent("processing"))], Pending(INTENT, "the payment intent is processing")),
        ([UNCANCELABLE, answer(intent())], Succeeded(INTENT, CHARGE)),
    ],
)
def test_what_could_not_be_closed_is_not_declined(answers: list[Any], expected: Any) -> None:
    """Fails when a payer who was faster with another method has paid what we call declined."""
    failed = answer(intent("requires_payment_method", last_payment_error=FAILED))
    assert gateway_on(failed, *answers)[0].find(held(), SOON) == expected


@pytest.mark.parametrize("given", [error(404, "resource_missing"), error(500), error(429, "rate_limit"), Lost("x")])
def test_a_payment_that_stripe_held_is_never_missing(given: Any) -> None:
    """Fails when it counts as not found: it would be charged again."""
    assert isinstance(gateway_on(given)[0].find(held(), SOON), Unknown)


ASKED = AwaitsPayer(INTENT, "requires_action", action=REDIRECTED)


@pytest.mark.parametrize(
    ("waiting", "code"),
    [
        (ASKED, "canceled"),  # the merchant cancels it, or the payer took too long
        (AwaitsPayer(INTENT, "requires_action"), "authentication_required"),  # the payer could not be asked
        (AwaitsPayer(INTENT, "requires_confirmation"), "canceled"),
        (AwaitsPayer(INTENT, "insufficient_funds"), "insufficient_funds"),  # the payer was asked and failed
        (AwaitsPayer(INTENT, "payment_expired"), "payment_expired"),
    ],
)
def test_a_withdrawal_tells_why_the_payment_is_over(waiting: AwaitsPayer, code: str) -> None:
    """Fails when every payment that is over was "canceled": nobody could tell a payer who failed from a merchant."""
    outcome = gateway_on(answer(intent("canceled")))[0].withdraw(instruction(), waiting, SOON)
    assert isinstance(outcome, Declined)
    assert outcome.code == code


def test_a_withdrawal_tells_the_decline_that_stripe_still_knows() -> None:
    """Fails when a payer who failed in the same moment is told as canceled by the merchant."""
    gateway, _ = gateway_on(answer(intent("canceled", last_payment_error=FAILED)))
    outcome = gateway.withdraw(instruction(), ASKED, SOON)
    assert isinstance(outcome, Declined)
    assert outcome.code == "authentication_required"


@pytest.mark.parametrize("status", ["requires_payment_method", "requires_action", "requires_confirmation"])
def test_what_is_not_canceled_still_waits(status: str) -> None:
    """Fails when an intent that its payer can complete is declined, or looks like one that is being processed."""
    gateway, _ = gateway_on(UNCANCELABLE, answer(intent(status, last_payment_error=FAILED)))
    assert gateway.withdraw(instruction(), ASKED, SOON) is ASKED


def test_stripe_needs_no_confirmation() -> None:
    """Fails when what a browser brought back is believed, or sent to Stripe: the intent goes on by itself."""
    gateway, paper = gateway_on(answer(intent()))
    assert gateway.confirm(held(), ASKED, "payment_intent=pi_1&redirect_status=succeeded", SOON) is ASKED
    assert paper.asked == []


def test_a_payer_who_authorizes_has_authorized() -> None:
    """Fails when a payment that is to be captured later stays pending after the payer came back."""
    authorized = held(capture_method=CaptureMethod.MANUAL)
    assert gateway_on(answer(intent("requires_capture")))[0].find(authorized, SOON) == Succeeded(INTENT, CHARGE)
