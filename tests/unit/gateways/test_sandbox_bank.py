"""The sandbox bank's adapter on paper: what it sends, and what it makes of each answer.

How it stands a bank's faults is tested against the bank itself, in tests/contract/gateways.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.domain.gateway import (
    AwaitsPayer,
    CaptureMethod,
    ChargeState,
    Declined,
    GatewayCapabilities,
    Instruction,
    NeverSent,
    NotAllowed,
    NotFound,
    NotWithdrawn,
    OperationKind,
    Payer,
    PaymentMethodType,
    Pending,
    ResultRefused,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money, Zero
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.sandbox_bank import sandbox_bank_from_options
from tests.support.paper_bank import SOON, PaperBank, answer, on
from tests.support.world import HONOURING, ManualClock

if TYPE_CHECKING:
    from payonce.domain.exchange import Exchange

K = OperationKind
HEADERS = {"authorization": "Bearer token-1", "content-type": "application/json"}
PAYMENT = Instruction(
    kind=K.PAYMENT,
    gateway_reference="pay_1-1",
    merchant_id="mer_1",
    payment_id="pay_1",
    money=Money(1000, "EUR"),
    capture_method=CaptureMethod.MANUAL,
    payment_method="pm_1",
    payment_method_type=PaymentMethodType.WALLET,
    payer=Payer.ABSENT,
    first_submitted_at_ms=0,
)
REFUND = replace(PAYMENT, kind=K.REFUND, gateway_reference="ref_1-1", gateway_charge_id="ch_1")
DONE = Succeeded("ch_1", "op_1")
WAITING = AwaitsPayer("ch_1", "requires_action")


def error(status: int, code: str) -> Answered:
    return answer({"error": {"code": code}}, status)


def row(instruction: Instruction = PAYMENT, status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    return {
        "reference": instruction.gateway_reference,
        "kind": instruction.kind.value,
        "amount_minor": instruction.money.amount_minor,
        "currency": instruction.money.currency,
        "status": status,
        "charge_id": "ch_1",
        "operation_id": "op_1",
        **changes,
    }


def test_a_payment_is_sent_with_its_key_and_with_what_is_known() -> None:
    """Fails when the bank is told anything else, or told nothing by an empty member."""
    gateway, bank = on(answer(row(), 201))
    assert (gateway.name, gateway.capabilities) == ("banks-bank", HONOURING)
    assert gateway.submit(PAYMENT, SOON) == DONE
    least = {
        "reference": "pay_1-1",
        "amount_minor": 1000,
        "currency": "EUR",
        "payment_method": "pm_1",
        "capture": "manual",
        "method_type": "wallet",
        "payer": "absent",
    }
    keyed = {**HEADERS, "idempotency-key": "pay_1-1"}
    assert bank.asked == [("POST", "http://bank/v1/charges", keyed, least)]
    told = {"return_url": "https://shop.example/back", "customer": "cus_1", "description": "two shirts"}
    gateway.submit(replace(PAYMENT, **told), SOON)  # type: ignore[arg-type]
    assert bank.asked[1][3] == {**least, **told}
    gateway.submit(replace(PAYMENT, saves_method=True, customer="cus_1"), SOON)
    assert bank.asked[2][3] == {**least, "customer": "cus_1", "save_method": True}
    gateway.submit(replace(PAYMENT, saves_method=True), SOON)  # nobody to save it for
    assert bank.asked[3][3] == least


@pytest.mark.parametrize(("kind", "name"), [(K.CAPTURE, "captures"), (K.VOID, "voids"), (K.REFUND, "refunds")])
def test_a_follow_up_is_sent_to_its_charge(kind: OperationKind, name: str) -> None:
    follow_up = replace(REFUND, kind=kind)
    gateway, bank = on(answer(row(follow_up), 201))
    assert gateway.submit(follow_up, SOON) == DONE
    keyed = {**HEADERS, "idempotency-key": "ref_1-1"}
    body = {"reference": "ref_1-1", "amount_minor": 1000}
    assert bank.asked == [("POST", f"http://bank/v1/charges/ch_1/{name}", keyed, body)]


def test_a_set_up_has_no_amount() -> None:
    gateway, bank = on(Lost("silence"))
    gateway.submit(replace(PAYMENT, kind=K.SETUP, money=Zero(0, "EUR")), SOON)
    assert "amount_minor" not in bank.asked[0][3]


def test_only_what_was_certainly_not_sent_may_be_sent_anew() -> None:
    """Fails when a lost answer counts as "never sent": the payer could be charged twice."""
    assert on(NotSent("no connection"))[0].submit(PAYMENT, SOON) == NeverSent("no connection")
    assert on(Lost("reset"))[0].submit(PAYMENT, SOON) == Unknown("reset", repeatable=True)


OTHER_KIND = row(replace(PAYMENT, kind=K.CAPTURE))
UNUSABLE = Unknown("the bank's answer is not usable")
NOT_ASKED = Unknown("the bank could not be asked")
FOUND: dict[str, tuple[Exchange, Any]] = {
    "booked": (answer({"operations": [row()]}), DONE),
    "nothing": (answer({"operations": []}), NotFound()),
    "no list": (answer({"operations": {}}), UNUSABLE),
    "another list": (answer({"setups": [row()]}), UNUSABLE),
    "another kind beside it": (answer({"operations": [OTHER_KIND, row()]}), DONE),
    "only another kind": (answer({"operations": [OTHER_KIND]}), Unknown("the answer is for another operation")),
    "declined before it succeeded": (answer({"operations": [row(status="declined"), row()]}), DONE),
    "the first of those that failed": (
        answer({"operations": [row(status="declined", code="expired_card"), row(status="expired")]}),
        Declined("expired_card", "The payment was declined."),
    ),
    "rows that are none": (answer({"operations": [7]}), Unknown("the answer is for another operation")),
    "an error": (answer({"operations": [row()]}, 500), NOT_ASKED),
    "our token refused": (error(401, "unauthorized"), NotAllowed("the bank could not be asked")),
    "no answer": (Lost("reset"), NOT_ASKED),
    "no connection": (NotSent("no connection"), NOT_ASKED),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_a_lookup_finds(case: str, caplog: pytest.LogCaptureFixture) -> None:
    """Fails when anything but an empty list counts as "not found": the payment would be made again."""
    given, expected = FOUND[case]
    gateway, bank = on(given)
    assert gateway.find(PAYMENT, SOON) == expected
    assert bank.asked == [("GET", "http://bank/v1/operations?reference=pay_1-1", HEADERS, None)]
    assert [record for record in caplog.records if record.message == "duplicate booking at gateway"] == []


def test_a_refund_and_a_payment_under_one_reference_are_told_apart() -> None:
    """Fails when what succeeded under the reference is taken for this operation, whatever it was."""
    gateway, _ = on(answer({"operations": [row(REFUND, kind="payment"), row(REFUND, operation_id="op_2")]}))
    assert gateway.find(REFUND, SOON) == Succeeded("ch_1", "op_2")


def test_two_bookings_are_loud(caplog: pytest.LogCaptureFixture) -> None:
    """Fails when duplicates pass in silence: nobody would give the money back."""
    gateway, _ = on(answer({"operations": [row(), row(charge_id="ch_2")]}))
    assert gateway.find(PAYMENT, SOON) == DONE
    [loud] = [vars(record) for record in caplog.records]
    assert (loud["levelname"], loud["message"]) == ("ERROR", "duplicate booking at gateway")
    assert (loud["gateway"], loud["reference"], loud["count"]) == ("banks-bank", "pay_1-1", 2)


CANCELED = Declined("canceled", "The payment was canceled.")
REFUSED = NotWithdrawn("ch_1", "requires_action")
WITHDRAWN: dict[str, tuple[list[Exchange], Any]] = {
    "canceled": ([answer({}, 201)], CANCELED),
    "no answer": ([Lost("reset")], WAITING),
    "another answer": ([answer({}, 500)], WAITING),
    "our token refused": ([error(401, "unauthorized")], REFUSED),
    "not allowed": ([error(403, "forbidden")], REFUSED),
    "the payer was faster": ([error(409, "not_possible"), answer({"operations": [row()]})], DONE),
    "declined before": (
        [error(409, "not_possible"), answer({"operations": [row(status="declined")]})],
        Declined("declined", "The payment was declined."),
    ),
    "the payer has acted": (
        [error(409, "not_possible"), answer({"operations": [row(status="processing")]})],
        Pending("ch_1", "processing"),
    ),
    "it awaits the payer still": (
        [error(409, "not_possible"), answer({"operations": [row(status="requires_action")]})],
        WAITING,
    ),
    "nobody knows": ([error(409, "not_possible"), Lost("reset")], WAITING),
}


@pytest.mark.parametrize("case", WITHDRAWN)
def test_what_a_withdrawal_comes_to(case: str) -> None:
    """Fails when a payment counts as canceled that the payer may have made."""
    answers, expected = WITHDRAWN[case]
    gateway, bank = on(*answers)
    assert gateway.withdraw(PAYMENT, WAITING, SOON) == expected
    assert bank.asked[0] == ("POST", "http://bank/v1/charges/ch_1/cancellations", HEADERS, {})
    assert len(bank.asked) == len(answers)


def test_a_set_ups_withdrawal_names_its_reference() -> None:
    gateway, bank = on(answer({}, 201))
    assert gateway.withdraw(replace(PAYMENT, kind=K.SETUP, money=Zero(0, "EUR")), WAITING, SOON) == CANCELED
    assert bank.asked == [("POST", "http://bank/v1/setups/ch_1/cancellations", HEADERS, {"reference": "pay_1-1"})]


CONFIRMED: dict[str, tuple[Exchange, Any]] = {
    "booked": (answer(row()), DONE),
    "declined": (
        answer(row(status="declined", code="authentication_failed")),
        Declined("authentication_failed", "The payment was declined."),
    ),
    "forged": (
        error(400, "forged_result"),
        ResultRefused("forged_result", "The gateway did not issue this result."),
    ),
    "another refusal": (error(400, "bad_request"), Unknown("HTTP 400", repeatable=True)),
    "a forgery that is no 400": (error(409, "forged_result"), Unknown("HTTP 409", repeatable=True)),
    "a refusal without a word": (answer([], 400), Unknown("HTTP 400", repeatable=True)),
    "an error": (answer({}, 500), Unknown("HTTP 500", repeatable=True)),
    "no connection": (NotSent("no connection"), NeverSent("no connection")),
    "no answer": (Lost("reset"), Unknown("reset", repeatable=True)),
}


@pytest.mark.parametrize("case", CONFIRMED)
def test_what_a_confirmation_comes_to(case: str) -> None:
    """Fails when a result that the bank did not judge ends the payment."""
    given, expected = CONFIRMED[case]
    gateway, bank = on(given)
    assert gateway.confirm(PAYMENT, WAITING, "result-1", SOON) == expected
    assert bank.asked == [
        ("POST", "http://bank/v1/charges/ch_1/confirmations", HEADERS, {"payment_result": "result-1"})
    ]


CHARGE = {"charge_id": "ch/1", "captured_minor": 1000, "refunded_minor": 0, "voided": False, "currency": "EUR"}
READ: dict[str, tuple[Exchange, Any]] = {
    "a charge": (
        answer(CHARGE),
        ChargeState(captured_minor=1000, refunded_minor=0, voided=False, currency="EUR"),
    ),
    "another charge": (answer({**CHARGE, "charge_id": "ch_2"}), Unknown("the answer is not usable")),
    "none": (error(404, "no_such_charge"), NotFound()),
    "no such address": (error(404, "no_such_path"), Unknown("HTTP 404")),
    "a 404 of something else": (answer([], 404), Unknown("HTTP 404")),
    "an error": (answer(CHARGE, 500), NOT_ASKED),
    "our token refused": (error(401, "unauthorized"), NotAllowed("the bank could not be asked")),
    "no answer": (Lost("reset"), NOT_ASKED),
}


@pytest.mark.parametrize("case", READ)
def test_what_a_charge_shows(case: str) -> None:
    """Fails when a charge is not there because an address is wrong: a correction would not refund it."""
    given, expected = READ[case]
    gateway, bank = on(given)
    assert gateway.read_charge("ch/1", SOON) == expected
    assert bank.lines == ["GET /charges/ch%2F1"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer({"mandate_id": "man_1", "status": "active"}, 500), NOT_ASKED),
        (error(401, "unauthorized"), NotAllowed("the bank could not be asked")),
        (Lost("reset"), NOT_ASKED),
    ],
)
def test_a_mandate_that_can_not_be_read_says_nothing(given: Exchange, expected: Unknown) -> None:
    """Fails when an error's body counts: a revocation would be said not to have happened."""
    revocation = replace(PAYMENT, kind=K.REVOCATION, gateway_charge_id="man_1")
    assert on(given)[0].find(revocation, SOON) == expected
    without = on(given)[0].find(replace(revocation, gateway_charge_id=None), SOON)
    assert without == Unknown("the bank keeps no mandate of this method")


def test_an_entry_of_the_configuration_makes_the_adapter() -> None:
    """Fails when an option is not read, or a default promises what the bank does not."""
    secrets = {"sandbox_bank_api_key": "token-1"}
    made = sandbox_bank_from_options("banks-bank", {"url": "http://bank/v1/"}, secrets, ManualClock())
    least = GatewayCapabilities(
        key_retention_seconds=0,
        lookup_by_reference=True,
        lookup_authoritative_after_seconds=30.0,
        multiple_captures=True,
        operations=frozenset(OperationKind),
    )
    assert (made.name, made.capabilities) == ("banks-bank", least)
    options = {"url": "http://bank", "key_retention_seconds": "3600", "lookup_authoritative_after_seconds": "7"}
    told = sandbox_bank_from_options("bank", options, secrets, ManualClock()).capabilities
    assert told == replace(least, key_retention_seconds=3600, lookup_authoritative_after_seconds=7.0)


def test_only_slashes_are_cut_off_the_banks_address() -> None:
    """Fails when the end of an address is lost, and another path is asked, which knows no payment."""
    gateway, bank = on(answer({"operations": []}), base_url="http://bank/X//")
    assert gateway.find(PAYMENT, SOON) == NotFound()
    assert bank.asked[0][1] == "http://bank/X/operations?reference=pay_1-1"


def test_an_answer_of_a_few_kilobytes_is_read_and_a_flood_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when every answer is cut off, so that each payment is in doubt, or a broken bank fills the memory."""
    made: list[int] = []
    monkeypatch.setattr(
        "payonce.gateways.sandbox_bank.DeadlineExchange",
        lambda _clock, *, max_answer_bytes: made.append(max_answer_bytes),
    )
    sandbox_bank_from_options("bank", {"url": "http://bank"}, {"sandbox_bank_api_key": "token-1"}, ManualClock())
    assert made == [262_144]


def test_the_adapter_that_is_made_sends_to_its_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = PaperBank([answer(row(), 201)])
    monkeypatch.setattr(DeadlineExchange, "send", lambda _self, *given, **named: bank.send(*given, **named))
    secrets = {"sandbox_bank_api_key": "token-1"}
    made = sandbox_bank_from_options("bank", {"url": "http://bank/v1"}, secrets, ManualClock())
    assert made.submit(PAYMENT, SOON) == DONE
    assert bank.asked[0][1:3] == ("http://bank/v1/charges", {**HEADERS, "idempotency-key": "pay_1-1"})
