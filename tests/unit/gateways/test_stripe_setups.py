"""Set-ups and revocations at Stripe: what is sent, and what each answer means.

The shapes are those of https://docs.stripe.com/api/setup_intents/object, /api/payment_methods/detach and
/api/mandates/object.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from payonce.domain.exchange import Lost
from payonce.domain.gateway import (
    ActionType,
    AwaitsPayer,
    Declined,
    Instruction,
    MethodSaved,
    NextAction,
    NotFound,
    OperationKind,
    PaymentMethodType,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Zero
from payonce.gateways.stripe_notices import _notice
from tests.unit.gateways.stripe_world import (
    CHARGE,
    FIRST_SECONDS,
    INTENT,
    REFERENCE,
    SOON,
    answer,
    error,
    gateway_on,
    instruction,
    intent,
    listing,
)

SETI, METHOD, MANDATE, CUSTOMER = "seti_1", "pm_1", "mandate_1", "cus_1"
RETURN_URL = "https://shop.example/back"
PAGE = "https://payments.stripe.example/page"
TO_PAGE = {"type": "redirect_to_url", "redirect_to_url": {"url": PAGE, "return_url": RETURN_URL}}
REFUSED = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
SETUP = replace(
    instruction(charge_id=None),
    kind=OperationKind.SETUP,
    money=Zero(0, "EUR"),
    payment_method=METHOD,
    customer=CUSTOMER,
    return_url=RETURN_URL,
)
REVOCATION = replace(SETUP, kind=OperationKind.REVOCATION)


def setup_intent(status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    return {
        "id": SETI,
        "object": "setup_intent",
        "status": status,
        "customer": CUSTOMER,
        "payment_method": METHOD,
        "mandate": None,
        "latest_attempt": "setatt_1",
        "last_setup_error": None,
        "next_action": None,
        "client_secret": "seti_1_secret",
        "created": FIRST_SECONDS + 1,
        "metadata": {"payonce_reference": REFERENCE},
        **changes,
    }


def method(customer: str | None = CUSTOMER) -> dict[str, Any]:
    return {"id": METHOD, "object": "payment_method", "type": "card", "customer": customer}


def test_a_set_up_is_created_and_confirmed_in_one_request() -> None:
    """Fails when an unconfirmed intent can remain, or Stripe is not told that the payer will be absent."""
    gateway, stripe = gateway_on(answer(setup_intent()))
    assert gateway.submit(SETUP, SOON) == MethodSaved(SETI, "setatt_1", METHOD)
    [asked] = stripe.asked
    assert asked.line == "POST /v1/setup_intents"
    assert asked.headers["Idempotency-Key"] == REFERENCE
    assert {name: asked.form[name] for name in ("confirm", "customer", "usage", "payment_method", "return_url")} == {
        "confirm": "true",
        "customer": CUSTOMER,
        "usage": "off_session",
        "payment_method": METHOD,
        "return_url": RETURN_URL,
    }
    assert asked.form["payment_method_types[0]"] == "card"
    assert asked.form["metadata[payonce_reference]"] == REFERENCE


def test_a_debits_mandate_comes_with_a_confirmation_token() -> None:
    gateway, stripe = gateway_on(answer(setup_intent(mandate=MANDATE)))
    debit = replace(SETUP, payment_method="ctoken_1", payment_method_type=PaymentMethodType.BANK_DEBIT)
    assert gateway.submit(debit, SOON) == MethodSaved(SETI, "setatt_1", METHOD, MANDATE)
    form = stripe.asked[0].form
    assert (form["confirmation_token"], form["payment_method_types[0]"]) == ("ctoken_1", "sepa_debit")
    assert "payment_method" not in form


ANSWERS: dict[str, tuple[dict[str, Any], Any]] = {
    "saved": (setup_intent(), MethodSaved(SETI, "setatt_1", METHOD)),
    "no method": (setup_intent(payment_method=None), Unknown),
    "asks": (
        setup_intent("requires_action", next_action=TO_PAGE),
        AwaitsPayer(SETI, "requires_action", NextAction(type=ActionType.REDIRECT, url=PAGE)),
    ),
    "processing": (setup_intent("processing"), Pending(SETI, "the setup intent is processing")),
    "refused": (setup_intent("requires_payment_method", last_setup_error=REFUSED), "insufficient_funds"),
    "canceled": (setup_intent("canceled"), "canceled"),
    "another reference": (setup_intent(metadata={"payonce_reference": "setup_2-1"}), Unknown),
    "another customer": (setup_intent(customer="cus_2"), Unknown),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_an_answer_means(case: str) -> None:
    document, expected = ANSWERS[case]
    gateway, _ = gateway_on(listing(document), listing())
    # A listing shows other set-ups too.
    _agrees(gateway.find(SETUP, SOON), NotFound if case == "another reference" else expected)
    if case != "refused":  # see test_a_payer_who_failed_can_not_go_on_with_another_method
        gateway, _ = gateway_on(answer(document))
        _agrees(gateway.find(replace(SETUP, gateway_charge_id=SETI), SOON), expected)
    gateway, _ = gateway_on(answer(document))
    _agrees(gateway.submit(SETUP, SOON), expected)


def _agrees(outcome: Any, expected: Any) -> None:
    if isinstance(expected, str):
        assert isinstance(outcome, Declined)
        assert outcome.code == expected
    elif isinstance(expected, type):
        assert isinstance(outcome, expected)
    else:
        assert outcome == expected


def test_a_declined_set_up_is_declined() -> None:
    gateway, _ = gateway_on(error(402, "card_declined", type="card_error", decline_code="expired_card"))
    _agrees(gateway.submit(SETUP, SOON), "expired_card")


def test_a_payer_who_failed_can_not_go_on_with_another_method() -> None:
    """Fails (declined here, and set up there) when the intent that has failed is left open."""
    failed = setup_intent("requires_payment_method", last_setup_error=REFUSED)
    gateway, stripe = gateway_on(answer(failed), answer({**failed, "status": "canceled"}))
    _agrees(gateway.find(replace(SETUP, gateway_charge_id=SETI), SOON), "insufficient_funds")
    assert stripe.lines == [f"GET /v1/setup_intents/{SETI}", f"POST /v1/setup_intents/{SETI}/cancel"]


def test_a_set_up_is_looked_for_among_its_customers() -> None:
    gateway, stripe = gateway_on(listing())
    assert gateway.find(SETUP, SOON) == NotFound()
    assert {asked.path for asked in stripe.asked} == {"/v1/setup_intents"}
    assert {asked.form["customer"] for asked in stripe.asked} == {CUSTOMER}
    windows = sorted((int(a.form["created[gte]"]), int(a.form["created[lt]"])) for a in stripe.asked)
    assert windows[0][0] < FIRST_SECONDS < windows[-1][1]
    assert all(earlier[1] == later[0] for earlier, later in pairwise(windows))


def test_more_set_ups_of_a_customer_than_can_be_read_are_unknown() -> None:
    gateway, stripe = gateway_on(listing(setup_intent(metadata={}), has_more=True))
    assert gateway.find(SETUP, SOON) == Unknown("more than 8 pages of the customer's setup intents")
    assert len(stripe.asked) == 8


@pytest.mark.parametrize(("status", "expected"), [("canceled", Declined), ("succeeded", MethodSaved)])
def test_a_withdrawal_cancels_or_finds_that_the_payer_was_faster(status: str, expected: type) -> None:
    waiting = AwaitsPayer(SETI, "requires_action", NextAction(type=ActionType.REDIRECT, url=PAGE))
    first = answer(setup_intent("canceled")) if status == "canceled" else error(400, "setup_intent_unexpected_state")
    gateway, stripe = gateway_on(first, answer(setup_intent(status)))
    assert isinstance(gateway.withdraw(SETUP, waiting, SOON), expected)
    assert stripe.lines[0] == f"POST /v1/setup_intents/{SETI}/cancel"


def test_a_revocation_detaches() -> None:
    gateway, stripe = gateway_on(answer(method(None)))
    assert gateway.submit(REVOCATION, SOON) == Succeeded(METHOD, METHOD)
    assert (stripe.lines, stripe.asked[0].headers["Idempotency-Key"]) == (
        [f"POST /v1/payment_methods/{METHOD}/detach"],
        REFERENCE,
    )


def test_what_is_detached_already_is_revoked() -> None:
    """Fails (a revocation that is refused for ever) when the error is taken for the answer."""
    gateway, _ = gateway_on(error(400), answer(method(None)))
    assert gateway.submit(REVOCATION, SOON) == Succeeded(METHOD, METHOD)
    gateway, _ = gateway_on(error(400), answer(method()))
    assert isinstance(gateway.submit(REVOCATION, SOON), Unknown)


@pytest.mark.parametrize(
    ("answers", "mandate", "expected"),
    [
        ([answer(method())], None, NotFound),
        ([answer(method(None))], None, Succeeded),
        ([answer(method("cus_2"))], None, Unknown),
        ([answer({**method(), "id": "pm_2"})], None, Unknown),
        ([answer(method()), answer({"id": MANDATE, "object": "mandate", "status": "active"})], MANDATE, NotFound),
        ([answer(method()), answer({"id": MANDATE, "object": "mandate", "status": "inactive"})], MANDATE, Succeeded),
        ([Lost("silence")], None, Unknown),
        ([error(404, "resource_missing")], None, Unknown),
    ],
)
def test_whether_a_method_is_revoked_is_asked_of_its_state(answers: Any, mandate: str | None, expected: type) -> None:
    gateway, _ = gateway_on(*answers)
    found = gateway.find(replace(REVOCATION, gateway_charge_id=mandate), SOON)
    assert isinstance(found, expected)


@pytest.mark.parametrize(
    ("subject", "token", "reference"),
    [
        (method(None), METHOD, None),
        ({"id": MANDATE, "object": "mandate", "payment_method": METHOD}, METHOD, None),
        (setup_intent(metadata={"payonce_reference": "setup_1-1"}), None, "setup_1-1"),
    ],
)
def test_events_name_the_method_or_the_set_up(subject: Any, token: str | None, reference: str | None) -> None:
    event = {"id": "evt_1", "object": "event", "type": "x", "created": 1, "data": {"object": subject}}
    notice = _notice(json.dumps(event).encode())
    assert (notice.saved_method, notice.gateway_reference, notice.gateway_charge_id) == (token, reference, None)


def test_an_instruction_is_what_these_tests_say() -> None:
    assert isinstance(SETUP, Instruction)
    assert SETUP.money.amount_minor == 0


@pytest.mark.parametrize(
    ("usage", "customer", "saved"),
    [
        ("off_session", CUSTOMER, True),
        ("off_session", None, False),
        (None, CUSTOMER, False),
        ("on_session", CUSTOMER, False),
    ],
)
def test_a_payment_that_saves_its_method_names_it(usage: str | None, customer: str | None, saved: bool) -> None:
    document = intent(setup_future_usage=usage, customer=customer, payment_method=METHOD)
    gateway, _ = gateway_on(answer(document))
    outcome = gateway.submit(instruction(), SOON)
    assert outcome == (MethodSaved(INTENT, CHARGE, METHOD) if saved else Succeeded(INTENT, CHARGE))


def test_a_payment_that_saved_its_method_outranks_a_doubt() -> None:
    """Fails (a charge that was found counts as declined) when only a plain success is known by its rank."""
    document = intent(setup_future_usage="off_session", customer=CUSTOMER, payment_method=METHOD)
    gateway, _ = gateway_on(listing(intent("processing"), document), listing())
    assert gateway.find(instruction(charge_id=None), SOON) == MethodSaved(INTENT, CHARGE, METHOD)
