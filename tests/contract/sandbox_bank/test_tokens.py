"""What the bank takes and what it refuses before it books anything; and what stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Till


@pytest.mark.parametrize("token", ["tok_3ds", "tok_3ds_confirm", "tok_pay_later", "tok_voucher", "tok_transfer"])
def test_who_is_absent_is_not_asked(till: Till, token: str) -> None:
    """Fails when an off-session payment waits for somebody who is not there."""
    status, body = till.refused(token, payer="absent")
    assert (status, body["error"]["code"]) == (402, "authentication_required")
    assert (body["operation"]["status"], body["operation"]["next_action"]) == ("declined", None)
    assert till.status() == ("declined", "authentication_required")
    assert till.pay("tok_ok", "pay_2", payer="absent")["status"] == "succeeded"


@pytest.mark.parametrize(
    ("token", "values", "code"),
    [
        ("tok_visa", {}, "unknown_token"),
        ("tok_debit", {"method_type": "card"}, "wrong_method_type"),
        ("tok_ok", {"method_type": "cash"}, "bad_request"),
        ("pm_visa", {"method_type": "cash"}, "bad_request"),
        ("tok_debit", {"capture": "manual"}, "capture_not_possible"),
        ("tok_3ds", {"payer": "asleep"}, "bad_request"),
        ("tok_3ds", {"return_url": "javascript:alert(1)"}, "bad_request"),
    ],
)
def test_what_is_not_possible_is_refused_and_not_booked(
    till: Till, token: str, values: dict[str, Any], code: str
) -> None:
    """Fails when a mistake becomes a payment."""
    status, body = till.refused(token, **values)
    assert (status, body["error"]["code"]) == (400, code)
    assert till.handle.books(bank=till.bank) == []


@pytest.mark.parametrize("method_type", [None, "card", "bank_debit", "voucher"])
def test_other_tokens_succeed_at_once_with_any_method(till: Till, method_type: str | None) -> None:
    """Fails when what was no token of the list before is refused, or waits."""
    operation = till.pay("pm_visa", method_type=method_type)
    assert operation["status"] == "succeeded"
    assert operation.get("method_type") == method_type
    assert till.handle.charge(till.bank, operation["charge_id"])["captured_minor"] == 1_000
    assert till.pay("pm_visa", "pay_2", method_type=method_type, capture="manual")["status"] == "succeeded"


def test_a_payment_without_the_new_members_is_as_it_was(till: Till) -> None:
    """Fails when a merchant who asks for nothing new gets another answer."""
    assert till.pay("pm_visa").keys() == {
        "operation_id",
        "bank",
        "charge_id",
        "kind",
        "reference",
        "status",
        "amount_minor",
        "currency",
        "payment_method",
        "code",
        "created_at_ms",
        "visible_at_ms",
    }


@pytest.mark.parametrize("code", ["declined", "insufficient_funds"])
def test_a_decline_at_once_has_no_charge(till: Till, code: str) -> None:
    """Fails when a declined payment is something that can be captured or refunded."""
    status, body = till.refused(f"tok_{code}")
    assert (status, body["error"]["code"]) == (402, code)
    assert till.status() == ("declined", code)
    assert till.ask("GET", f"/charges/{body['operation']['charge_id']}")[0] == 404
