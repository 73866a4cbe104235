"""Saved methods: charged while their payer is absent, until the mandate is withdrawn; and what events tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.sandbox_bank.conftest import RETURN_URL
from tests.contract.sandbox_bank.receiving import genuine, received
from tests.contract.sandbox_bank.saving import (
    CUSTOMER,
    charge_saved,
    revoke,
    saved,
    saved_methods,
    set_up,
    setup,
)
from tests.contract.sandbox_bank.test_payer import page_of

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Inbox, Till


def test_a_mandate_stands_for_the_payer_who_is_absent(till: Till) -> None:
    """Fails when a saved method that asked its payer once is declined without the payer, or moves no money."""
    waiting = set_up(till, "tok_3ds")[1]
    till.press(page_of(waiting), "approve")
    method = setup(till)["saved_method"]
    status, paid = charge_saved(till, method, customer=CUSTOMER)
    assert (status, paid["status"], paid["payment_method"]) == (201, "succeeded", method)
    assert (paid["customer"], paid["method_type"]) == (CUSTOMER, "card")
    assert [row.amount_minor for row in till.report()] == [1_000]


def test_a_payer_who_is_present_is_asked_again(till: Till) -> None:
    """Fails when a saved method spares a payer the page that its issuer wants."""
    till.press(page_of(set_up(till, "tok_3ds")[1]), "approve")
    status, paying = charge_saved(till, setup(till)["saved_method"], payer="present")
    assert (status, paying["status"]) == (201, "requires_action")
    till.press(page_of(paying), "approve")
    assert till.status() == ("succeeded", None)


def test_an_issuer_may_want_the_absent_payer(till: Till) -> None:
    """Fails when the case that needs another set-up can't be made: a decline ``authentication_required``."""
    method = saved(till)
    code = "authentication_required"
    with till.handle.misbehaving(till.bank, "decline", times=1, kinds=["payment"], code=code):
        assert charge_saved(till, method)[1]["error"]["code"] == code
    assert charge_saved(till, method, "pay_2")[0] == 201


def test_a_saved_debit_is_reversed_as_its_token_says(till: Till) -> None:
    """Fails when a saved method forgets what its token does later."""
    set_up(till, "tok_debit_reversed")
    till.handle.advance(till.bank, days=3)
    paid = charge_saved(till, setup(till)["saved_method"])[1]
    till.handle.advance(till.bank, days=10)
    charge = till.handle.charge(till.bank, paid["charge_id"])
    assert (charge["status"], charge["captured_minor"], charge["reversed_minor"]) == ("succeeded", 1_000, 1_000)


def test_after_a_revocation_nothing_is_charged(till: Till) -> None:
    """Fails when a withdrawn mandate is charged, a second revocation fails, or tells another time."""
    method = saved(till)
    status, first = revoke(till, method)
    assert (status, first["status"], first["reference"], first["saved_method"]) == (201, "succeeded", "rev_1", method)
    till.handle.advance(till.bank, seconds=60)
    assert revoke(till, method) == (201, first)
    other = revoke(till, method, "rev_2")[1]
    assert other["revocation_id"] != first["revocation_id"]
    assert other["mandate"] == first["mandate"]
    status, body = charge_saved(till, method)
    assert (status, body["error"]["code"], body["operation"]["status"]) == (402, "mandate_revoked", "declined")
    assert charge_saved(till, method, "pay_2", payer="present")[0] == 402
    (row,) = saved_methods(till)
    assert (row["mandate"]["status"], row["mandate"]["revoked_at_ms"]) == ("revoked", first["created_at_ms"])
    assert till.report() == ()


def test_what_was_charged_before_stays_charged(till: Till) -> None:
    """Fails when a revocation takes a debit back that is on its way."""
    set_up(till, "tok_debit")
    till.handle.advance(till.bank, days=3)
    method = setup(till)["saved_method"]
    assert charge_saved(till, method)[1]["status"] == "processing"
    revoke(till, method)
    till.handle.advance(till.bank, days=3)
    assert till.status() == ("succeeded", None)


@pytest.mark.parametrize(("mode", "revoked"), [("error_after_booking", True), ("unavailable", False)])
def test_the_faults_of_operations_befall_revocations(till: Till, mode: str, revoked: bool) -> None:
    """Fails when the scenario ``revocation`` spares revocations, or a retry after it does not end as one."""
    method = saved(till)
    with till.handle.misbehaving(till.bank, mode, times=1, kinds=["revocation"]):
        assert revoke(till, method)[0] >= 500
    assert (saved_methods(till)[0]["mandate"]["status"] == "revoked") is revoked
    assert revoke(till, method)[0] == 201
    assert saved_methods(till)[0]["mandate"]["status"] == "revoked"


def test_a_declined_revocation_withdraws_nothing(till: Till) -> None:
    """Fails when a decline is a 201, or the method goes all the same."""
    method = saved(till)
    with till.handle.misbehaving(till.bank, "decline", times=1, kinds=["revocation"]):
        assert revoke(till, method)[0] == 402
    assert charge_saved(till, method)[0] == 201


def test_what_is_no_saved_method_of_the_customer_is_refused(till: Till) -> None:
    """Fails when a method is charged for another customer, as another type, or at another bank."""
    method = saved(till)
    expected = {"customer": "wrong_customer", "method_type": "wrong_method_type"}
    for name, value in {"customer": "cus_2", "method_type": "bank_debit"}.items():
        status, body = charge_saved(till, method, **{name: value})
        assert (status, body["error"]["code"]) == (400, expected[name])
    assert charge_saved(till, "sm_00")[1]["error"]["code"] == "unknown_saved_method"
    assert revoke(till, "sm_00")[0] == 404
    assert till.ask("POST", f"/saved_methods/{method}/revocations", {})[0] == 400
    assert till.report() == ()


@pytest.mark.parametrize("token", ["pm_visa", "tok_ok"])
def test_a_payment_saves_its_method(till: Till, token: str) -> None:
    """Fails when a payment that asks for it saves nothing, or one that does not ask saves."""
    paid = till.pay(token, save_method=True, customer=CUSTOMER)
    assert paid["mandate"]["status"] == "active"
    assert [row["saved_method"] for row in saved_methods(till)] == [paid["saved_method"]]
    assert till.handle.charge(till.bank, paid["charge_id"])["saved_method"] == paid["saved_method"]
    assert charge_saved(till, paid["saved_method"], "pay_2")[0] == 201
    till.pay(token, "pay_3", customer=CUSTOMER)
    assert len(saved_methods(till)) == 1


def test_a_payment_saves_when_its_payer_approves(till: Till) -> None:
    """Fails when a method is saved before, or in spite of a refusal."""
    first = till.pay("tok_3ds", save_method=True, customer=CUSTOMER, return_url=RETURN_URL)
    second = till.pay("tok_3ds", "pay_2", save_method=True, customer=CUSTOMER)
    assert (first["saved_method"], first["mandate"]) == (None, None)
    till.press(page_of(first), "approve")
    till.press(page_of(second), "decline")
    assert [row["saved_method"] for row in saved_methods(till)] == [till.operation()["saved_method"]]
    assert till.operation("pay_2")["saved_method"] is None


def test_a_payment_without_a_customer_saves_nothing(till: Till) -> None:
    """Fails when a method is saved for nobody, or of a type that can't be saved."""
    assert till.refused("pm_visa", save_method=True)[1]["error"]["code"] == "bad_request"
    refused = till.refused("tok_voucher", save_method=True, customer=CUSTOMER)
    assert refused[1]["error"]["code"] == "saving_not_possible"


def test_events_tell_how_set_ups_end(till: Till) -> None:
    """Fails when an end has no event, another one, or two; a set-up that waits has none."""
    till.handle.send_events(till.bank, None)
    saved(till)
    set_up(till, "tok_declined", "set_2")
    waiting = [set_up(till, "tok_3ds", f"set_{number}")[1] for number in (3, 4, 5)]
    set_up(till, "tok_debit", "set_6")
    till.ask("POST", f"/setups/{waiting[0]['setup_id']}/cancellations", {})
    till.press(page_of(waiting[1]), "decline")
    till.handle.advance(till.bank, days=3)
    told = [(event["type"], event["data"]["reference"]) for event in till.handle.events(till.bank)]
    assert told == [
        ("setup.succeeded", "set_1"),
        ("setup.failed", "set_2"),
        ("setup.canceled", "set_3"),
        ("setup.failed", "set_4"),
        ("setup.expired", "set_5"),
        ("setup.succeeded", "set_6"),
    ]


def test_a_set_ups_event_names_what_was_saved(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when the event is not signed, or does not name the set-up, the method and the mandate."""
    made = set_up(till, "tok_ok")[1]
    event = genuine(secret, received(inbox, 1)[0])
    assert (event["type"], event["data"]) == (
        "setup.succeeded",
        {
            "object": "setup",
            "object_id": made["setup_id"],
            "reference": "set_1",
            "status": "succeeded",
            "customer": CUSTOMER,
            "saved_method": made["saved_method"],
            "mandate_id": made["mandate"]["mandate_id"],
            "charge_id": None,
            "payment_reference": None,
        },
    )


def test_a_mandate_is_revoked_in_the_dashboard_and_told_once(till: Till, inbox: Inbox, secret: str) -> None:
    """Fails when a revocation elsewhere has no event, or a second revocation has another."""
    paid = till.pay("pm_visa", save_method=True, customer=CUSTOMER)
    method, mandate_id = paid["saved_method"], paid["mandate"]["mandate_id"]
    mandate = till.handle.dashboard(till.bank, "revoke", saved_method=method)
    assert (mandate["mandate_id"], mandate["status"]) == (mandate_id, "revoked")
    assert till.handle.dashboard(till.bank, "revoke", mandate_id=mandate_id) == mandate
    assert till.handle.dashboard(till.bank, "revoke", reference="pay_1") == mandate
    assert revoke(till, method)[0] == 201
    told = [genuine(secret, request) for request in received(inbox, 2)]
    assert [event["type"] for event in told] == ["payment.succeeded", "mandate.revoked"]
    assert told[1]["data"] == {
        "object": "mandate",
        "object_id": mandate_id,
        "reference": "pay_1",
        "status": "revoked",
        "customer": CUSTOMER,
        "saved_method": method,
        "mandate_id": mandate_id,
        "charge_id": None,
        "payment_reference": None,
    }


def test_a_pending_mandate_is_not_revoked(till: Till) -> None:
    """Fails when the merchant takes a set-up on its way for withdrawn."""
    made = set_up(till, "tok_debit")[1]
    assert revoke(till, made["mandate"]["saved_method"])[0] == 409
    assert till.ask("POST", "/dashboard/revoke", {})[0] == 400


def test_the_dashboard_answers_and_cancels_set_ups(till: Till) -> None:
    """Fails when a test has to press the page of a set-up that the dashboard could answer."""
    set_up(till, "tok_3ds", "set_1")
    set_up(till, "tok_3ds", "set_2")
    till.handle.dashboard(till.bank, "answer", reference="set_1", answer="approve")
    till.handle.dashboard(till.bank, "cancel", reference="set_2")
    assert [setup(till, f"set_{number}")["status"] for number in (1, 2)] == ["succeeded", "canceled"]
    assert till.ask("POST", "/dashboard/cancel", {"reference": "set_1"})[0] == 409
