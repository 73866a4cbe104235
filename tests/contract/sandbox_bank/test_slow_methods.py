"""Methods that take days, in virtual time: bank debits, vouchers, transfers; and payments that are withdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.reconciliation.readers.rows import RowKind

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Till

DAY_MS = 86_400_000


def cancel(till: Till, charge_id: str, **body: str) -> tuple[int, dict[str, Any]]:
    return till.ask("POST", f"/charges/{charge_id}/cancellations", body)


def test_a_debit_settles_two_days_later_at_once(till: Till) -> None:
    """Fails when a debit settles at once, or at the time of the look instead of its own."""
    started = till.pay("tok_debit", method_type="bank_debit")
    assert (started["status"], started["next_action"]) == ("processing", None)
    till.handle.advance(till.bank, days=1.9)
    assert till.status() == ("processing", None)
    assert till.report() == ()
    till.handle.advance(till.bank, days=30)
    assert till.status() == ("succeeded", None)
    (row,) = till.report()
    assert (row.kind, row.amount_minor) == (RowKind.CHARGE, 1_000)
    assert row.created_at_ms == started["created_at_ms"] + 2 * DAY_MS == till.operation()["changed_at_ms"]


def test_a_debit_takes_the_days_that_the_bank_says(till: Till) -> None:
    """Fails when the setting is not asked."""
    till.handle.configure(till.bank, debit_days=4)
    till.pay("tok_debit")
    till.handle.advance(till.bank, days=3)
    assert till.status() == ("processing", None)
    till.handle.advance(till.bank, days=1.1)
    assert till.status() == ("succeeded", None)


def test_a_debit_can_fail_days_later(till: Till) -> None:
    """Fails when a debit that failed moved money, or says no reason."""
    started = till.pay("tok_debit_fails")
    till.handle.advance(till.bank, days=2)
    assert till.status() == ("declined", "insufficient_funds")
    assert till.handle.charge(till.bank, started["charge_id"])["status"] == "declined"
    assert till.report() == ()


def test_a_debit_can_be_reversed_after_it_succeeded(till: Till) -> None:
    """Fails when the reversal is a refund, edits the charge's row, or leaves something to refund."""
    till.handle.configure(till.bank, reversal_fee_minor=350)
    started = till.pay("tok_debit_reversed")
    till.handle.advance(till.bank, days=2)
    assert till.status() == ("succeeded", None)
    till.handle.advance(till.bank, days=5)
    charge = till.handle.charge(till.bank, started["charge_id"])
    assert (charge["status"], charge["captured_minor"], charge["reversed_minor"]) == ("succeeded", 1_000, 1_000)
    rows = [(row.kind, row.reference, row.amount_minor, row.fee_minor) for row in till.report()]
    reversal = (RowKind.CHARGE_REVERSAL, "pay_1", -1_000, 350)
    assert rows == [(RowKind.CHARGE, "pay_1", 1_000, 39), reversal]
    refund = till.ask("POST", f"/charges/{started['charge_id']}/refunds", {"reference": "ref_1", "amount_minor": 1})
    assert refund[0] == 409


def test_only_what_is_left_is_reversed(till: Till) -> None:
    """Fails when a reversal after a refund takes the money twice."""
    started = till.pay("tok_debit_reversed")
    till.handle.advance(till.bank, days=2)
    till.follow_up("refunds", started["charge_id"], "ref_1", 400)
    till.handle.advance(till.bank, days=5)
    assert till.handle.charge(till.bank, started["charge_id"])["reversed_minor"] == 600


@pytest.mark.parametrize(("token", "method_type"), [("tok_voucher", "voucher"), ("tok_transfer", "bank_transfer")])
def test_a_voucher_is_shown_and_paid_later(till: Till, token: str, method_type: str) -> None:
    """Fails when the payer is sent away instead of being shown what to pay, or the money comes at once."""
    shown = till.pay(token, method_type=method_type)
    assert (shown["status"], shown["next_action"]["type"]) == ("requires_action", "display")
    assert shown["next_action"]["expires_at_ms"] == shown["created_at_ms"] + 3 * DAY_MS
    till.handle.advance(till.bank, days=1)
    assert till.status() == ("succeeded", None)
    till.handle.advance(till.bank, days=3)
    assert till.status() == ("succeeded", None)
    assert len(till.report()) == 1


def test_a_voucher_can_be_paid_on_its_page(till: Till) -> None:
    """Fails when nobody can pay before the day on which the bank does it, or it is then paid twice."""
    shown = till.pay("tok_voucher_unpaid")
    till.press(shown["next_action"]["url"], "pay")
    assert till.status() == ("succeeded", None)
    till.handle.advance(till.bank, days=9)
    assert till.status() == ("succeeded", None)
    assert len(till.report()) == 1


def test_a_voucher_that_nobody_pays_expires(till: Till) -> None:
    """Fails when it waits for ever."""
    till.pay("tok_voucher_unpaid")
    till.handle.advance(till.bank, days=3)
    assert till.status() == ("expired", None)
    assert till.report() == ()


def test_what_waits_can_be_withdrawn_and_again(till: Till) -> None:
    """Fails when a repeated withdrawal is refused or booked twice, or the payer can still approve."""
    waiting = till.pay("tok_3ds")
    status, withdrawn = cancel(till, waiting["charge_id"], reference="void_1")
    assert (status, withdrawn["kind"], withdrawn["status"]) == (201, "cancellation", "succeeded")
    assert cancel(till, waiting["charge_id"], reference="void_1") == (201, withdrawn)
    assert till.operation("void_1") == withdrawn
    other = cancel(till, waiting["charge_id"], reference="void_2")[1]
    assert other["operation_id"] != withdrawn["operation_id"]
    till.press(waiting["next_action"]["url"], "approve")
    till.handle.advance(till.bank, days=9)
    assert till.status() == ("canceled", None)
    assert till.report() == ()


def test_without_a_reference_a_withdrawal_is_idempotent_too(till: Till) -> None:
    """Fails when each retry books another one."""
    waiting = till.pay("tok_voucher")
    assert cancel(till, waiting["charge_id"]) == cancel(till, waiting["charge_id"])


@pytest.mark.parametrize(
    ("token", "days", "status"),
    [("tok_ok", 0, "succeeded"), ("tok_debit", 0, "processing"), ("tok_voucher_unpaid", 3, "expired")],
)
def test_what_does_not_wait_can_not_be_withdrawn(till: Till, token: str, days: int, status: str) -> None:
    """Fails when a payment that is on its way or over is said to be withdrawn."""
    started = till.pay(token)
    till.handle.advance(till.bank, days=days)
    answered, body = cancel(till, started["charge_id"], reference="void_1")
    assert (answered, body["error"]["code"], body["error"]["charge_status"]) == (409, "not_possible", status)
    assert till.status() == (status, None)


def test_a_withdrawal_of_nothing_is_refused(till: Till) -> None:
    """Fails when a wrong id passes for a payment."""
    assert cancel(till, "ch_00")[0] == 404


def test_a_lost_withdrawal_is_found_by_its_reference(till: Till) -> None:
    """Fails when the bank's scenarios spare withdrawals."""
    waiting = till.pay("tok_3ds")
    with till.handle.misbehaving(till.bank, "error_after_booking", times=1, kinds=["cancellation"]):
        assert cancel(till, waiting["charge_id"], reference="void_1")[0] == 500
    assert till.operation("void_1")["status"] == "succeeded"
    assert till.status() == ("canceled", None)


def test_a_withdrawal_that_is_declined_withdraws_nothing(till: Till) -> None:
    """Fails when a declined withdrawal ends the payment all the same, or a retry gets the decline again for ever."""
    waiting = till.pay("tok_3ds")
    with till.handle.misbehaving(till.bank, "decline", times=1, kinds=["cancellation"]):
        assert cancel(till, waiting["charge_id"], reference="void_1")[0] == 402
    assert till.status() == ("requires_action", None)
    assert cancel(till, waiting["charge_id"], reference="void_1")[0] == 201
    assert till.status() == ("canceled", None)


def test_the_clock_never_goes_back_and_is_the_banks_own(till: Till) -> None:
    """Fails when one bank's time moves another's, or a mistake turns it back."""
    before = till.ask("GET", "/clock")[1]["now_ms"]
    assert till.ask("PUT", "/clock", {"advance_ms": -1})[0] == 400
    assert till.ask("PUT", "/clock", {"advance_ms": 1.5})[0] == 400
    assert till.handle.advance(till.bank, days=1) >= before + DAY_MS
    assert till.handle.advance(f"{till.bank}_other") < before + DAY_MS // 2
    assert till.charge("later", 100)["created_at_ms"] >= before + DAY_MS
