"""Payments that need their payer: the page, the way back, the second step, and what they end in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contract.sandbox_bank.conftest import RETURN_URL

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Till


def page_of(operation: dict[str, Any]) -> str:
    assert operation["next_action"]["type"] in {"redirect", "display"}
    return str(operation["next_action"]["url"])


def result_of(location: str) -> str:
    (result,) = parse_qs(urlsplit(location).query)["payment_result"]
    return result


def confirm(till: Till, charge_id: str, result: str) -> tuple[int, dict[str, Any]]:
    return till.ask("POST", f"/charges/{charge_id}/confirmations", {"payment_result": result})


def test_a_payment_waits_for_its_payer_and_has_its_id_from_the_start(till: Till) -> None:
    """Fails when money moves before the payer agreed, or a lookup can't find the payment meanwhile."""
    waiting = till.pay("tok_3ds", customer="cus_1", description="Two chairs", return_url=RETURN_URL)
    assert waiting["status"] == "requires_action"
    assert (waiting["method_type"], waiting["customer"], waiting["description"]) == ("card", "cus_1", "Two chairs")
    assert waiting["next_action"]["expires_at_ms"] == waiting["created_at_ms"] + 900_000
    assert till.operation() == waiting
    charge = till.handle.charge(till.bank, waiting["charge_id"])
    shown = {name: charge[name] for name in ("status", "reference", "captured_minor", "disputes", "reversed_minor")}
    assert shown == {
        "status": "requires_action",
        "reference": "pay_1",
        "captured_minor": 0,
        "disputes": [],
        "reversed_minor": 0,
    }
    assert charge["next_action"] == waiting["next_action"]
    assert till.report() == ()


def test_an_approval_captures_once_and_leads_back(till: Till) -> None:
    """Fails when the result, the order's own query or its fragment is lost, or a second press charges again."""
    waiting = till.pay("tok_3ds", return_url=RETURN_URL)
    location = till.press(page_of(waiting), "approve")
    url = urlsplit(location)
    assert (url.hostname, parse_qs(url.query)["order"], url.fragment) == ("shop.example", ["7"], "paid")
    assert till.press(page_of(waiting), "decline") == location
    assert till.status() == ("succeeded", None)
    assert till.operation()["next_action"] is None
    charge = till.handle.charge(till.bank, waiting["charge_id"])
    assert (charge["status"], charge["captured_minor"]) == ("succeeded", 1_000)
    assert [(row.reference, row.amount_minor) for row in till.report()] == [("pay_1", 1_000)]


def test_an_approved_payment_can_be_captured_later_and_not_before(till: Till) -> None:
    """Fails when a payment that waits can be captured, or manual capture is forgotten behind the page."""
    waiting = till.pay("tok_3ds", capture="manual")
    path = f"/charges/{waiting['charge_id']}/captures"
    assert till.ask("POST", path, {"reference": "cap_1", "amount_minor": 400})[0] == 409
    till.press(page_of(waiting), "approve")
    assert till.report() == ()
    assert till.ask("POST", path, {"reference": "cap_1", "amount_minor": 400})[0] == 201
    assert [row.amount_minor for row in till.report()] == [400]


def test_who_declines_is_not_charged(till: Till) -> None:
    """Fails when a refusal on the page is anything but a decline of its own kind."""
    waiting = till.pay("tok_3ds")
    till.press(page_of(waiting), "decline")
    assert till.status() == ("declined", "authentication_failed")
    assert till.handle.charge(till.bank, waiting["charge_id"])["code"] == "authentication_failed"
    assert till.report() == ()


def test_an_approval_may_be_declined_by_the_issuer(till: Till) -> None:
    """Fails when the payer's approval is taken for the issuer's."""
    till.press(page_of(till.pay("tok_3ds_declined")), "approve")
    assert till.status() == ("declined", "insufficient_funds")


def test_who_leaves_can_come_back(till: Till) -> None:
    """Fails when leaving is an answer."""
    waiting = till.pay("tok_3ds", return_url=RETURN_URL)
    left = till.press(page_of(waiting), "leave")
    assert till.status() == ("requires_action", None)
    assert confirm(till, waiting["charge_id"], result_of(left))[1]["status"] == "requires_action"
    till.press(page_of(waiting), "approve")
    assert till.status() == ("succeeded", None)


def test_who_stays_away_too_long_finds_it_expired(till: Till) -> None:
    """Fails when a payment waits for ever, or ends before its time, or can be approved after it."""
    till.handle.configure(till.bank, authentication_expiry_seconds=600)
    waiting = till.pay("tok_3ds")
    till.handle.advance(till.bank, seconds=590)
    assert till.status() == ("requires_action", None)
    till.handle.advance(till.bank, seconds=11)
    assert till.status() == ("expired", None)
    till.press(page_of(waiting), "approve")
    assert till.status() == ("expired", None)
    assert till.operation()["changed_at_ms"] == waiting["next_action"]["expires_at_ms"]


def test_the_second_step_decides_and_can_be_repeated(till: Till) -> None:
    """Fails when the page alone decides, or a second confirmation charges again."""
    waiting = till.pay("tok_3ds_confirm", return_url=RETURN_URL)
    result = result_of(till.press(page_of(waiting), "approve"))
    action = till.operation()["next_action"]
    assert action == {"type": "confirm", "expires_at_ms": waiting["next_action"]["expires_at_ms"]}
    assert till.report() == ()
    for _ in range(2):
        status, confirmed = confirm(till, waiting["charge_id"], result)
        assert (status, confirmed["status"], confirmed["operation_id"]) == (200, "succeeded", waiting["operation_id"])
    assert len(till.report()) == 1


def test_the_second_step_takes_a_refusal_too(till: Till) -> None:
    """Fails when a confirmation makes an approval of a refusal."""
    waiting = till.pay("tok_3ds_confirm", return_url=RETURN_URL)
    result = result_of(till.press(page_of(waiting), "decline"))
    status, confirmed = confirm(till, waiting["charge_id"], result)
    assert (status, confirmed["status"], confirmed["code"]) == (200, "declined", "authentication_failed")


@pytest.mark.parametrize("how", ["approve of decline", "another charge's", "cut", "nothing"])
def test_a_forged_result_is_refused(till: Till, how: str) -> None:
    """Fails when a payer can make an approval out of anything that the bank did not issue for this charge."""
    waiting = till.pay("tok_3ds_confirm", return_url=RETURN_URL)
    other = till.pay("tok_3ds_confirm", "pay_2", return_url=RETURN_URL)
    mine = result_of(till.press(page_of(waiting), "decline"))
    foreign = result_of(till.press(page_of(other), "approve"))
    forged = {
        "approve of decline": mine.replace(".decline.", ".approve."),
        "another charge's": foreign,
        "cut": mine[:-1],
        "nothing": "",
    }[how]
    status, body = confirm(till, waiting["charge_id"], forged)
    assert (status, body["error"]["code"]) == (400, "forged_result")
    assert till.status() == ("requires_action", None)


def test_a_confirmation_without_a_result_or_a_charge_is_refused(till: Till) -> None:
    """Fails when a mistake of the caller passes for a second step."""
    waiting = till.pay("tok_3ds_confirm")
    assert till.ask("POST", f"/charges/{waiting['charge_id']}/confirmations", {})[0] == 400
    assert confirm(till, "ch_00", "x")[0] == 404


def test_a_payer_can_be_asked_twice(till: Till) -> None:
    """Fails when the first approval is enough, or its page answers for the second."""
    waiting = till.pay("tok_3ds_twice", return_url=RETURN_URL)
    till.press(page_of(waiting), "approve")
    again = till.operation()
    assert again["status"] == "requires_action"
    assert page_of(again) != page_of(waiting)
    till.press(page_of(waiting), "approve")
    assert till.status() == ("requires_action", None)
    till.press(page_of(again), "approve")
    assert till.status() == ("succeeded", None)
    assert len(till.report()) == 1


def test_a_late_answer_is_known_to_lookups_later_and_binds_before(till: Till) -> None:
    """Fails when a lookup shows the answer at once, or the merchant can still withdraw what was approved."""
    till.handle.configure(till.bank, late_answer_ms=60_000)
    waiting = till.pay("tok_3ds_late", return_url=RETURN_URL)
    till.press(page_of(waiting), "approve")
    assert till.operation() == waiting
    assert till.ask("POST", f"/charges/{waiting['charge_id']}/cancellations", {})[0] == 409
    till.handle.advance(till.bank, seconds=61)
    assert till.status() == ("succeeded", None)


def test_a_key_gets_the_first_answer_after_the_payment_went_on(till: Till) -> None:
    """Fails when a replay of the key begins a second payment or tells another story than the first answer."""
    till.handle.configure(till.bank, key_retention_seconds=86_400)
    body = {"reference": "pay_1", "amount_minor": 1_000, "currency": "EUR", "capture": "automatic"}
    first = till.ask("POST", "/charges", {**body, "payment_method": "tok_3ds"}, **{"Idempotency-Key": "k" * 16})
    till.press(page_of(first[1]), "approve")
    again = till.ask("POST", "/charges", {**body, "payment_method": "tok_3ds"}, **{"Idempotency-Key": "k" * 16})
    assert again == first
    assert till.status() == ("succeeded", None)


def test_a_key_is_the_same_by_another_address_of_the_bank(till: Till) -> None:
    """Fails when a retry that reaches the bank under another host name is another request."""
    till.handle.configure(till.bank, key_retention_seconds=86_400)
    body = {"reference": "pay_1", "amount_minor": 1_000, "currency": "EUR", "capture": "automatic"}
    asked = {**body, "payment_method": "tok_3ds"}
    first = till.ask("POST", "/charges", asked, **{"Idempotency-Key": "k" * 16, "Host": "bank.example"})
    assert page_of(first[1]).startswith(f"http://bank.example/banks/{till.bank}/authentication/")
    assert till.ask("POST", "/charges", asked, **{"Idempotency-Key": "k" * 16}) == first


def test_the_issuer_may_decline_at_the_second_step(till: Till) -> None:
    """Fails when a scenario can't decline what the payer approved, or a retry after it charges."""
    waiting = till.pay("tok_3ds_confirm", return_url=RETURN_URL)
    result = result_of(till.press(page_of(waiting), "approve"))
    with till.handle.misbehaving(till.bank, "decline", times=1, kinds=["confirmation"], code="do_not_honor"):
        assert confirm(till, waiting["charge_id"], result)[1]["code"] == "do_not_honor"
    assert confirm(till, waiting["charge_id"], result)[1]["status"] == "declined"
    assert till.report() == ()


def test_a_lost_confirmation_is_asked_again(till: Till) -> None:
    """Fails when the bank's scenarios spare the second step, or a retry after a lost answer charges twice."""
    waiting = till.pay("tok_3ds_confirm", return_url=RETURN_URL)
    result = result_of(till.press(page_of(waiting), "approve"))
    with till.handle.misbehaving(till.bank, "error_after_booking", times=1, kinds=["confirmation"]):
        assert confirm(till, waiting["charge_id"], result)[0] == 500
        assert confirm(till, waiting["charge_id"], result)[1]["status"] == "succeeded"
    assert len(till.report()) == 1
