"""Set-ups: a method is saved without a payment, at once, by its payer or days later; once, whatever is lost.

The life is that of https://docs.stripe.com/payments/setupintents/lifecycle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.sandbox_bank.conftest import RETURN_URL
from tests.contract.sandbox_bank.saving import CUSTOMER, charge_saved, saved_methods, set_up, setup
from tests.contract.sandbox_bank.test_payer import page_of, result_of

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Till


def follow(till: Till, made: dict[str, Any], what: str, **body: Any) -> tuple[int, dict[str, Any]]:
    return till.ask("POST", f"/setups/{made['setup_id']}/{what}", body)


def test_a_method_that_asks_nobody_is_saved_at_once(till: Till) -> None:
    """Fails when a set-up moves money, shows as a payment, or gives a method that its customer does not have."""
    status, made = set_up(till, "tok_ok")
    assert (status, made["status"], made["code"], made["next_action"]) == (201, "succeeded", None, None)
    assert (made["bank"], made["customer"], made["method_type"]) == (till.bank, CUSTOMER, "card")
    mandate = made["mandate"]
    assert mandate == {
        "mandate_id": mandate["mandate_id"],
        "status": "active",
        "method_type": "card",
        "saved_method": made["saved_method"],
        "customer": CUSTOMER,
        "created_at_ms": made["created_at_ms"],
        "revoked_at_ms": None,
    }
    assert setup(till) == made == till.ask("GET", f"/setups/{made['setup_id']}")[1]
    assert till.ask("GET", f"/mandates/{mandate['mandate_id']}") == (200, mandate)
    (method,) = saved_methods(till)
    named = {"saved_method": made["saved_method"], "method_type": "card", "customer": CUSTOMER, "mandate": mandate}
    assert method == {**named, "created_at_ms": made["created_at_ms"]}
    assert saved_methods(till, "cus_2") == []
    assert till.ask("GET", "/operations?reference=set_1")[1] == {"operations": []}
    assert till.report() == ()


@pytest.mark.parametrize(
    ("answer", "ended"),
    [("approve", ("succeeded", None)), ("decline", ("declined", "authentication_failed"))],
)
def test_the_payer_is_asked_on_the_same_page(till: Till, answer: str, ended: tuple[str, str | None]) -> None:
    """Fails when a method is saved before its payer agreed, or in spite of a refusal."""
    status, waiting = set_up(till, "tok_3ds", return_url=RETURN_URL)
    assert (status, waiting["status"], waiting["mandate"]) == (201, "requires_action", None)
    assert saved_methods(till) == []
    page, shown, _ = till.see(page_of(waiting))
    assert page == 200
    assert "Save this payment method?" in shown
    assert "Amount" not in shown
    assert result_of(till.press(page_of(waiting), answer))
    now = setup(till)
    assert ((now["status"], now["code"]), bool(now["saved_method"])) == (ended, answer == "approve")
    assert len(saved_methods(till)) == (answer == "approve")
    assert ("is saved" in till.see(page_of(waiting))[1]) == (answer == "approve")


def test_the_second_step_decides_and_can_be_repeated(till: Till) -> None:
    """Fails when the page alone saves, or a second confirmation saves a second method."""
    waiting = set_up(till, "tok_3ds_confirm", return_url=RETURN_URL)[1]
    result = result_of(till.press(page_of(waiting), "approve"))
    assert setup(till)["next_action"]["type"] == "confirm"
    assert saved_methods(till) == []
    confirmed = [follow(till, waiting, "confirmations", payment_result=result) for _ in range(2)]
    assert confirmed == [(200, setup(till))] * 2
    assert [row["saved_method"] for row in saved_methods(till)] == [confirmed[0][1]["saved_method"]]


def test_a_result_of_another_set_up_is_refused(till: Till) -> None:
    """Fails when the approval of one set-up saves the method of another."""
    first, second = (set_up(till, "tok_3ds_confirm", f"set_{n}", return_url=RETURN_URL)[1] for n in (1, 2))
    result = result_of(till.press(page_of(first), "approve"))
    status, body = follow(till, second, "confirmations", payment_result=result)
    assert (status, body["error"]["code"]) == (400, "forged_result")


def test_the_merchant_withdraws_a_set_up_once(till: Till) -> None:
    """Fails when a cancellation is not idempotent, or the payer can approve what was withdrawn."""
    waiting = set_up(till, "tok_3ds")[1]
    withdrawn = [follow(till, waiting, "cancellations", reference=reference) for reference in ("c_1", "c_1", "c_2")]
    assert [(status, body["status"]) for status, body in withdrawn] == [(201, "canceled")] * 3
    till.press(page_of(waiting), "approve")
    assert (setup(till)["status"], saved_methods(till)) == ("canceled", [])


def test_a_set_up_that_ended_is_not_withdrawn(till: Till) -> None:
    """Fails when a saved method goes by a cancellation, or the refusal does not say how the set-up ended."""
    made = set_up(till, "tok_ok")[1]
    status, body = follow(till, made, "cancellations", reference="c_1")
    assert (status, body["error"]["code"], body["error"]["setup_status"]) == (409, "not_possible", "succeeded")
    assert len(saved_methods(till)) == 1


def test_a_set_up_expires(till: Till) -> None:
    """Fails when a payer can be asked for ever, or an answer after the time saves."""
    till.handle.configure(till.bank, authentication_expiry_seconds=600)
    waiting = set_up(till, "tok_3ds")[1]
    till.handle.advance(till.bank, seconds=601)
    till.press(page_of(waiting), "approve")
    assert (setup(till)["status"], saved_methods(till)) == ("expired", [])


def test_the_mandate_of_a_debit_is_pending_for_days(till: Till) -> None:
    """Fails when a debit can be charged before its mandate is active, or its customer has it before."""
    made = set_up(till, "tok_debit")[1]
    assert (made["status"], made["saved_method"], made["mandate"]["status"]) == ("processing", None, "pending")
    assert saved_methods(till) == []
    status, body = charge_saved(till, made["mandate"]["saved_method"])
    assert (status, body["error"]["code"]) == (402, "mandate_pending")
    till.handle.advance(till.bank, days=3)
    now = setup(till)
    assert (now["status"], now["saved_method"], now["mandate"]["status"]) == (
        "succeeded",
        made["mandate"]["saved_method"],
        "active",
    )
    assert charge_saved(till, now["saved_method"], "pay_2")[1]["status"] == "processing"


def test_a_debit_that_fails_leaves_no_mandate(till: Till) -> None:
    """Fails when a method whose set-up failed can be charged."""
    made = set_up(till, "tok_debit_fails")[1]
    till.handle.advance(till.bank, days=3)
    now = setup(till)
    assert (now["status"], now["code"], now["saved_method"]) == ("declined", "insufficient_funds", None)
    assert (now["mandate"]["status"], saved_methods(till)) == ("revoked", [])
    assert charge_saved(till, made["mandate"]["saved_method"])[0] == 402


@pytest.mark.parametrize(
    ("token", "payer", "code"),
    [
        ("tok_declined", "present", "declined"),
        ("tok_insufficient_funds", "present", "insufficient_funds"),
        ("pm_sandbox_declined", "present", "declined"),
        ("tok_3ds", "absent", "authentication_required"),
    ],
)
def test_a_declined_set_up_saves_nothing(till: Till, token: str, payer: str, code: str) -> None:
    """Fails when a decline is not a 402 with its code, or leaves a method."""
    status, body = set_up(till, token, payer=payer)
    assert (status, body["error"]["code"], body["setup"]) == (402, code, setup(till))
    assert (body["setup"]["status"], body["setup"]["code"], body["setup"]["mandate"]) == ("declined", code, None)
    assert saved_methods(till) == []


@pytest.mark.parametrize(
    ("token", "values", "code"),
    [
        ("tok_nobody", {}, "unknown_token"),
        ("tok_voucher", {}, "saving_not_possible"),
        ("tok_transfer", {}, "saving_not_possible"),
        ("tok_pay_later", {}, "saving_not_possible"),
        ("tok_ok", {"method_type": "bank_debit"}, "wrong_method_type"),
        ("tok_ok", {"customer": None}, "bad_request"),
        ("tok_ok", {"customer": ["cus_1"]}, "bad_request"),
        ("tok_ok", {"payer": "asleep"}, "bad_request"),
        ("tok_ok", {"return_url": "javascript:alert(1)"}, "bad_request"),
        ("sm_00", {}, "bad_request"),
    ],
)
def test_what_can_not_be_saved_is_refused(till: Till, token: str, values: dict[str, Any], code: str) -> None:
    """Fails when a mistake of the caller books a set-up."""
    status, body = set_up(till, token, **values)
    assert (status, body["error"]["code"]) == (400, code)
    assert till.ask("GET", "/setups?reference=set_1")[1] == {"setups": []}


def test_unknown_things_are_not_found(till: Till) -> None:
    """Fails when what nobody made is answered with anything but 404."""
    assert till.ask("GET", "/setups/su_00")[0] == 404
    assert till.ask("GET", "/mandates/md_00")[0] == 404
    assert follow(till, {"setup_id": "su_00"}, "cancellations")[0] == 404
    assert follow(till, {"setup_id": "su_00"}, "confirmations", payment_result="x")[0] == 404


def test_a_set_up_is_no_charge(till: Till) -> None:
    """Fails when the routes of charges and the dashboard take a set-up for one."""
    made = set_up(till, "tok_ok")[1]
    assert till.ask("GET", f"/charges/{made['setup_id']}")[0] == 404
    status, body = till.ask("POST", "/dashboard/refund", {"reference": "set_1"})
    assert (status, body["error"]["code"]) == (404, "no_such_charge")


def test_a_key_makes_one_set_up(till: Till) -> None:
    """Fails when a retry saves a second method, or a key of another request answers."""
    till.handle.configure(till.bank, key_retention_seconds=86_400)
    first = set_up(till, "tok_3ds", key="k" * 16)
    till.press(page_of(first[1]), "approve")
    assert set_up(till, "tok_3ds", key="k" * 16) == first
    assert set_up(till, "tok_ok", key="k" * 16)[0] == 422
    assert len(saved_methods(till)) == 1


def test_a_bank_without_keys_saves_twice(till: Till) -> None:
    """Fails when the fake is kinder than gateways that forget keys, so that nobody has to look before a retry."""
    assert [set_up(till, "tok_ok", key="k" * 16)[0] for _ in range(2)] == [201, 201]
    assert len(saved_methods(till)) == 2


@pytest.mark.parametrize(
    ("mode", "booked"),
    [
        ("error_after_booking", 1),
        ("error_kept", 0),
        ("throttle", 0),
        ("unavailable", 0),
    ],
)
def test_the_faults_of_operations_befall_set_ups(till: Till, mode: str, booked: int) -> None:
    """Fails when a scenario of the kind ``setup`` spares set-ups, or books where operations are not booked."""
    till.handle.configure(till.bank, key_retention_seconds=86_400)
    with till.handle.misbehaving(till.bank, mode, times=1, kinds=["setup"]):
        assert till.pay("pm_visa")["status"] == "succeeded"
        assert set_up(till, "tok_ok", key="k" * 16)[0] in {429, 500, 503}
    assert len(saved_methods(till)) == booked
    again, _ = set_up(till, "tok_ok", key="k" * 16)
    assert (again, len(saved_methods(till))) == ((500, 0) if mode == "error_kept" else (201, 1))


def test_an_answer_with_another_reference_can_be_noticed(till: Till) -> None:
    """Fails when the scenario ``wrong_reference`` leaves a set-up's answer as it is."""
    with till.handle.misbehaving(till.bank, "wrong_reference", times=1, kinds=["setup"]):
        assert set_up(till, "tok_ok")[1]["reference"] == "somebody-else"


def test_lookups_show_a_set_up_late(till: Till) -> None:
    """Fails when a lookup by reference finds at once what a bank shows late; by its id it is there."""
    till.handle.configure(till.bank, visible_after_ms=60_000)
    made = set_up(till, "tok_ok")[1]
    assert till.ask("GET", "/setups?reference=set_1")[1] == {"setups": []}
    assert till.ask("GET", f"/setups/{made['setup_id']}")[0] == 200
    till.handle.advance(till.bank, seconds=61)
    assert setup(till) == made


def test_lookups_of_set_ups_can_fail(till: Till) -> None:
    """Fails when the scenario ``find`` spares the lookups of set-ups, methods and mandates."""
    made = set_up(till, "tok_ok")[1]
    paths = ("/setups?reference=set_1", f"/setups/{made['setup_id']}", f"/customers/{CUSTOMER}/saved_methods")
    mandate = f"/mandates/{made['mandate']['mandate_id']}"
    with till.handle.misbehaving(till.bank, "unavailable", kinds=["find"]):
        assert [till.ask("GET", path)[0] for path in (*paths, mandate)] == [503] * 4


def test_only_the_banks_merchant_asks(till: Till) -> None:
    """Fails when a bank with a token of its own shows set-ups, methods or mandates to anybody, or makes some."""
    made = set_up(till, "tok_ok")[1]
    till.handle.configure(till.bank, token="its-own")
    paths = ("/setups?reference=set_1", f"/setups/{made['setup_id']}", f"/customers/{CUSTOMER}/saved_methods")
    mandate = f"/mandates/{made['mandate']['mandate_id']}"
    assert [till.ask("GET", path)[0] for path in (*paths, mandate)] == [401] * 4
    assert set_up(till, "tok_ok", "set_2")[0] == 401
    assert till.ask("GET", paths[0], Authorization="Bearer its-own")[0] == 200
