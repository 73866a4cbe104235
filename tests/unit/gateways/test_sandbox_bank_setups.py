"""Set-ups, mandates and revocations at the sandbox bank: what its answers mean, on paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.exchange import Lost, NotSent
from payonce.domain.gateway import (
    AwaitsPayer,
    CaptureMethod,
    Declined,
    Instruction,
    MethodSaved,
    NeverSent,
    NotFound,
    OperationKind,
    Payer,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money, Zero
from tests.support.paper_bank import SOON, answer, on

REFERENCE, CUSTOMER = "setup_1-1", "customer-7"
SETUP = Instruction(
    kind=OperationKind.SETUP,
    gateway_reference=REFERENCE,
    merchant_id="mer_1",
    payment_id="setup_1",
    money=Zero(0, "EUR"),
    capture_method=CaptureMethod.AUTOMATIC,
    payment_method="pm_1",
    customer=CUSTOMER,
    payer=Payer.PRESENT,
    return_url="https://shop.example/back",
    first_submitted_at_ms=0,
)
REVOCATION = replace(
    SETUP,
    kind=OperationKind.REVOCATION,
    gateway_reference="rev_1-1",
    payment_method="sm_1",
    gateway_charge_id="man_1",
)
MANDATE = {"mandate_id": "man_1", "status": "active", "saved_method": "sm_1", "customer": CUSTOMER}
SAVED = MethodSaved("set_1", "set_1", "sm_1", "man_1")


def row(status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    saved = status == "succeeded"
    return {
        "setup_id": "set_1",
        "reference": REFERENCE,
        "customer": CUSTOMER,
        "status": status,
        "code": None,
        "saved_method": "sm_1" if saved else None,
        "mandate": MANDATE if saved else None,
        "next_action": None,
        **changes,
    }


def test_what_is_sent() -> None:
    gateway, bank = on(answer(row(), 201))
    assert gateway.submit(SETUP, SOON) == SAVED
    assert bank.told == [
        (
            "POST",
            "/setups",
            {
                "reference": REFERENCE,
                "payment_method": "pm_1",
                "customer": CUSTOMER,
                "return_url": "https://shop.example/back",
                "method_type": "card",
                "payer": "present",
            },
        )
    ]


SAID = "The payment was declined."
ROWS: dict[str, tuple[dict[str, Any], Any]] = {
    "saved": (row(), SAVED),
    "without a mandate": (row(mandate=None), MethodSaved("set_1", "set_1", "sm_1")),
    "processing": (row("processing"), Pending("set_1", "processing")),
    "asks": (row("requires_action"), AwaitsPayer("set_1", "requires_action")),
    "declined": (
        row("declined", code="insufficient_funds"),
        Declined("insufficient_funds", "The payment was declined."),
    ),
    "expired": (row("expired"), Declined("payment_expired", SAID)),
    "canceled": (row("canceled"), Declined("canceled", SAID)),
    "without a token": (row(saved_method=None), Unknown("the answer is not usable", repeatable=True)),
    "another reference": (row(reference="setup_2-1"), Unknown("the answer is for another set-up")),
    "another customer": (row(customer="customer-8"), Unknown("the answer is for another set-up")),
}


@pytest.mark.parametrize("case", ROWS)
def test_what_a_row_means(case: str) -> None:
    document, expected = ROWS[case]
    gateway, bank = on(answer({"setups": [document]}))
    assert gateway.find(SETUP, SOON) == expected
    assert bank.told == [("GET", f"/setups?reference={REFERENCE}", None)]
    gateway, _ = on(answer(document, 201))
    assert gateway.submit(SETUP, SOON) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (NotSent("nobody"), NeverSent),
        (Lost("silence"), Unknown),
        (answer({"error": {"code": "declined"}}, 402), Declined),
        (answer({"error": {"code": "saving_not_possible"}}, 400), Declined),
        (answer({}, 503), NeverSent),
        (answer({}, 500), Unknown),
    ],
)
def test_what_other_answers_mean(given: Any, expected: type) -> None:
    gateway, _ = on(given)
    assert isinstance(gateway.submit(SETUP, SOON), expected)


def test_a_set_up_that_is_not_there_is_not_found() -> None:
    gateway, _ = on(answer({"setups": []}))
    assert gateway.find(SETUP, SOON) == NotFound()
    gateway, _ = on(answer({}))
    assert isinstance(gateway.find(SETUP, SOON), Unknown)


def test_a_withdrawal_and_a_confirmation_are_the_set_ups_own() -> None:
    waiting = AwaitsPayer("set_1", "requires_action")
    gateway, bank = on(answer(row("canceled"), 201))
    assert isinstance(gateway.withdraw(SETUP, waiting, SOON), Declined)
    gateway, other = on(answer(row()))
    assert gateway.confirm(SETUP, waiting, "ok", SOON) == SAVED
    assert [bank.told[0][1], other.told[0][1]] == ["/setups/set_1/cancellations", "/setups/set_1/confirmations"]


def test_a_payer_who_was_faster_than_the_withdrawal_is_found() -> None:
    gateway, _ = on(answer({"error": {"code": "not_possible"}}, 409), answer({"setups": [row()]}))
    assert gateway.withdraw(SETUP, AwaitsPayer("set_1", "requires_action"), SOON) == SAVED


def test_a_revocation_is_done_when_its_mandate_is_revoked() -> None:
    """Fails when any 201 counts, or the mandate of another method."""
    revoked = {**MANDATE, "status": "revoked"}
    gateway, bank = on(answer({"revocation_id": "rev_1", "mandate": revoked}, 201))
    assert gateway.submit(REVOCATION, SOON) == Succeeded("man_1", "sm_1")
    assert bank.told == [("POST", "/saved_methods/sm_1/revocations", {"reference": "rev_1-1"})]
    for mandate in (MANDATE, {**revoked, "mandate_id": "man_2"}, None):
        gateway, _ = on(answer({"mandate": mandate}, 201))
        assert isinstance(gateway.submit(REVOCATION, SOON), Unknown)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(MANDATE), NotFound),
        (answer({**MANDATE, "status": "pending"}), NotFound),
        (answer({**MANDATE, "status": "revoked"}), Succeeded),
        (answer({**MANDATE, "mandate_id": "man_2", "status": "revoked"}), Unknown),
        (answer({**MANDATE, "status": "asleep"}), Unknown),
        (answer({}, 404), Unknown),
        (Lost("silence"), Unknown),
    ],
)
def test_whether_a_method_is_revoked_is_asked_of_its_mandate(given: Any, expected: type) -> None:
    gateway, bank = on(given)
    assert isinstance(gateway.find(REVOCATION, SOON), expected)
    assert bank.told == [("GET", "/mandates/man_1", None)]


def test_a_method_without_a_mandate_can_not_be_asked_about() -> None:
    gateway, bank = on(answer({}))
    assert isinstance(gateway.find(replace(REVOCATION, gateway_charge_id=None), SOON), Unknown)
    assert bank.told == []


@pytest.mark.parametrize("saves", [True, False])
def test_a_payment_that_saves_its_method_names_it(saves: bool) -> None:
    charge = replace(SETUP, kind=OperationKind.PAYMENT, money=Money(1000, "EUR"), saves_method=saves)
    booked = {
        "reference": REFERENCE,
        "kind": "payment",
        "amount_minor": 1000,
        "currency": "EUR",
        "status": "succeeded",
        "charge_id": "ch_1",
        "operation_id": "op_1",
        **({"saved_method": "sm_1", "mandate": MANDATE} if saves else {}),
    }
    gateway, bank = on(answer(booked, 201))
    expected = MethodSaved("ch_1", "op_1", "sm_1", "man_1") if saves else Succeeded("ch_1", "op_1")
    assert gateway.submit(charge, SOON) == expected
    assert bank.told[0][2].get("save_method") == (True if saves else None)
    # What was saved before, and is charged now, is not saved again.
    gateway, _ = on(answer({**booked, "saved_method": "pm_1"}, 201))
    assert type(gateway.submit(charge, SOON)) is Succeeded
