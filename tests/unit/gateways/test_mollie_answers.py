"""What Mollie's objects, errors, amounts and requests mean: https://docs.mollie.com/reference/get-payment and more."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.exchange import Answered
from payonce.domain.gateway import (
    AwaitsPayer,
    CaptureMethod,
    ChargeRefund,
    ChargeState,
    CredentialsRefused,
    Declined,
    DisputeState,
    DisputeStatus,
    Instruction,
    NeverSent,
    OperationKind,
    Overtaken,
    Payer,
    PaymentMethodType,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money
from payonce.gateways.mollie_answers import milliseconds_of, outcome_of, refused
from payonce.gateways.mollie_charge import charge_state
from payonce.gateways.mollie_money import amount_of, minor_of
from payonce.gateways.mollie_requests import follow_up_body, key_of, payment_body, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

PAYMENT = Instruction(
    kind=OperationKind.PAYMENT,
    gateway_reference="pay_1-1",
    merchant_id="mer_1",
    payment_id="pay_1",
    money=Money(1_000, "EUR"),
    capture_method=CaptureMethod.AUTOMATIC,
    payment_method="creditcard",
    first_submitted_at_ms=0,
    return_url="https://shop.example/back",
)
REFUND = replace(PAYMENT, kind=OperationKind.REFUND, gateway_reference="ref_1-1", gateway_charge_id="tr_1")
CAPTURE = replace(REFUND, kind=OperationKind.CAPTURE, gateway_reference="cap_1-1")
VOID = replace(REFUND, kind=OperationKind.VOID, gateway_reference="void_1-1")
TEN = {"currency": "EUR", "value": "10.00"}
ROW = {"resource": "payment", "id": "tr_1", "amount": TEN, "metadata": {"reference": "pay_1-1"}}


@pytest.mark.parametrize(
    ("money", "value"),
    [
        (Money(1_000, "EUR"), "10.00"),
        (Money(5, "EUR"), "0.05"),
        (Money(123_456, "HUF"), "1234.56"),
        (Money(1_000, "JPY"), "1000"),
        (Money(7, "ISK"), "7"),
    ],
)
def test_amounts_have_the_decimal_places_of_their_currency(money: Money, value: str) -> None:
    """https://docs.mollie.com/payments/multicurrency."""
    amount = amount_of(money)
    assert amount == {"currency": money.currency, "value": value}
    assert minor_of(amount, money.currency) == money.amount_minor


@pytest.mark.parametrize(
    "amount",
    [
        {"currency": "EUR", "value": "10"},
        {"currency": "EUR", "value": "10.000"},
        {"currency": "EUR", "value": "1,000.00"},
        {"currency": "EUR", "value": "-10.00"},
        {"currency": "EUR", "value": 10.0},
        {"currency": "USD", "value": "10.00"},
        "10.00",
        None,
    ],
)
def test_an_amount_in_another_form_is_not_read(amount: object) -> None:
    """A value whose places are taken for others would be a hundredfold error."""
    assert minor_of(amount, "EUR") is None
    assert minor_of({"currency": "JPY", "value": "10.00"}, "JPY") is None


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"payer": Payer.ABSENT}, "authentication_required"),
        ({"payer": Payer.ABSENT, "payment_method": "tkn_1"}, "authentication_required"),
        ({"money": Money(1_000, "KWD")}, "currency_not_supported"),
        ({"payment_method": "mdt_1"}, "rejected_by_gateway"),
        ({"saves_method": True}, "rejected_by_gateway"),
        ({"payment_method": "ideal"}, "rejected_by_gateway"),
        ({"payment_method": "klarna", "payment_method_type": PaymentMethodType.PAY_LATER}, "rejected_by_gateway"),
        ({"payment_method": "tkn_1", "payment_method_type": PaymentMethodType.WALLET}, "rejected_by_gateway"),
        ({"payment_method": "directdebit", "payment_method_type": PaymentMethodType.BANK_DEBIT}, "rejected_by_gateway"),
    ],
)
def test_what_mollie_can_not_do_is_refused_before_it_is_sent(changed: dict[str, Any], code: str) -> None:
    """An absent payer would leave a page that somebody can still pay on; a debit is not made without a mandate."""
    found = refusal(replace(PAYMENT, **changed))
    assert found is not None
    assert found.code == code
    assert refusal(PAYMENT) is None


def test_how_the_payer_pays_decides_the_request() -> None:
    """https://docs.mollie.com/reference/create-payment: sequenceType, mandateId, cardToken, captureMode, customerId."""
    whole = {"amount": TEN, "description": "pay_1-1", "redirectUrl": "https://shop.example/back"}
    whole["metadata"] = {"reference": "pay_1-1", "payment_id": "pay_1", "merchant_id": "mer_1"}
    assert payment_body(PAYMENT) == whole | {"method": "creditcard"}
    token = replace(PAYMENT, payment_method="tkn_1", capture_method=CaptureMethod.MANUAL)
    assert payment_body(token) == whole | {"method": "creditcard", "cardToken": "tkn_1", "captureMode": "manual"}
    first = replace(PAYMENT, saves_method=True, customer="cst_1")
    expected = {"method": "creditcard", "customerId": "cst_1", "sequenceType": "first"}
    assert payment_body(first) == whole | expected
    mandate = replace(PAYMENT, payment_method="mdt_1", customer="cst_1")
    saved = {"method": "creditcard", "mandateId": "mdt_1", "customerId": "cst_1"}
    assert payment_body(mandate) == whole | saved
    absent = replace(mandate, payer=Payer.ABSENT)
    assert payment_body(absent) == whole | saved | {"sequenceType": "recurring"}
    debit = replace(mandate, payment_method_type=PaymentMethodType.BANK_DEBIT)
    assert payment_body(debit) == whole | saved | {"method": "directdebit", "sequenceType": "recurring"}
    assert payment_body(replace(PAYMENT, description="x" * 300))["description"] == "x" * 255
    assert follow_up_body(VOID) == {}
    assert follow_up_body(REFUND)["metadata"]["reference"] == "ref_1-1"


def test_the_key_is_a_uuid_of_the_reference_alone() -> None:
    """Mollie's OpenAPI document: it "should be a UUID v4 string". The body does not change it."""
    key = key_of(PAYMENT)
    assert uuid.UUID(key).version == 4
    assert key == key_of(replace(PAYMENT, money=Money(1, "USD"), description="x"))
    assert key != key_of(REFUND)


def _outcome(changed: Mapping[str, Any], *, manual: bool = False) -> object:
    method = CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC
    return outcome_of({**ROW, **changed}, replace(PAYMENT, capture_method=method))


HELD = {"authorizedAt": "2026-01-01T10:00:00+00:00"}


@pytest.mark.parametrize(
    ("changed", "manual", "expected"),
    [
        ({"status": "paid"}, False, Succeeded("tr_1", "tr_1")),
        ({"status": "authorized"}, True, Succeeded("tr_1", "tr_1")),
        ({"status": "authorized"}, False, Pending("tr_1", "authorized, and captured by Mollie later")),
        ({"status": "pending"}, False, Pending("tr_1", "pending")),
        ({"status": "open"}, False, AwaitsPayer("tr_1", "open", None)),
        ({"status": "canceled", **HELD}, True, Succeeded("tr_1", "tr_1")),
        ({"status": "expired", **HELD}, True, Succeeded("tr_1", "tr_1")),
        ({"status": "settled"}, False, Unknown("the status is settled", repeatable=True)),
        ({"status": None}, False, Unknown("the status is None", repeatable=True)),
    ],
)
def test_a_payments_status_is_an_outcome(changed: dict[str, Any], manual: bool, expected: object) -> None:
    """https://docs.mollie.com/docs/handling-payment-status; a new word is a doubt."""
    assert _outcome(changed, manual=manual) == expected


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"status": "canceled"}, "canceled"),
        ({"status": "expired"}, "payment_expired"),
        ({"status": "failed"}, "declined"),
        ({"status": "failed", "details": {"failureReason": "insufficient_funds"}}, "insufficient_funds"),
        ({"status": "failed", "details": {"failureReason": "possible_fraud"}}, "declined"),
        ({"status": "failed", "details": {"failureReason": "card_expired"}}, "expired_card"),
        ({"status": "failed", "details": {"failureReason": "authentication_failed"}}, "authentication_failed"),
        ({"status": "failed", "details": {"failureReason": "invalid_cvv"}}, "invalid_card_details"),
        ({"status": "failed", "details": {"bankReasonCode": "AM04"}}, "insufficient_funds"),
        ({"status": "failed", "statusReason": {"code": "insufficient_funds"}}, "insufficient_funds"),
        ({"status": "failed", "details": {"failureReason": ["insufficient_funds"]}}, "declined"),
    ],
)
def test_a_payment_that_ended_without_money_is_declined(changed: dict[str, Any], code: str) -> None:
    """The codes are payonce's own; what could tell a thief more is a plain decline."""
    found = _outcome(changed)
    assert isinstance(found, Declined)
    assert found.code == code


@pytest.mark.parametrize(
    "changed",
    [
        {"metadata": {"reference": "pay_2-1"}},
        {"metadata": None},
        {"amount": {"currency": "EUR", "value": "10.01"}},
        {"amount": {"currency": "USD", "value": "10.00"}},
        {"resource": "refund"},
        {"id": None},
    ],
)
def test_an_object_that_is_not_ours_says_nothing(changed: dict[str, Any]) -> None:
    """Reference, kind, amount and currency are compared."""
    assert _outcome({"status": "paid", **changed}) == Unknown("the answer is for another operation", repeatable=True)


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (REFUND, "queued", Pending),
        (REFUND, "pending", Pending),
        (REFUND, "processing", Pending),
        (REFUND, "refunded", Succeeded),
        (REFUND, "failed", Declined),
        (REFUND, "canceled", Declined),
        (REFUND, "paid", Unknown),
        (CAPTURE, "pending", Pending),
        (CAPTURE, "succeeded", Succeeded),
        (CAPTURE, "failed", Declined),
        (CAPTURE, "refunded", Unknown),
    ],
)
def test_captures_and_refunds_are_decided_later(kind: Instruction, status: str, expected: type) -> None:
    """https://docs.mollie.com/reference/get-refund, get-capture; one of another payment says nothing."""
    row = {"resource": kind.kind.value, "id": "x_1", "amount": TEN, "paymentId": "tr_1", "status": status}
    row["metadata"] = {"reference": kind.gateway_reference}
    assert type(outcome_of(row, kind)) is expected
    assert isinstance(outcome_of({**row, "paymentId": "tr_2"}, kind), Unknown)


def _error(status: int, detail: str = "", **more: object) -> Answered:
    document = {"status": status, "title": "A title", "detail": detail, **more}
    return Answered(status, {"retry-after": "7"}, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("answer", "instruction", "expected"),
    [
        (_error(401), PAYMENT, CredentialsRefused("HTTP 401", 7)),
        (_error(429), PAYMENT, NeverSent("HTTP 429", 7)),
        (_error(400), PAYMENT, Unknown("HTTP 400")),
        (_error(500), PAYMENT, Unknown("HTTP 500")),
        (_error(503), PAYMENT, Unknown("HTTP 503")),
        (_error(404), PAYMENT, Unknown("HTTP 404")),
    ],
)
def test_an_error_is_what_is_documented_of_it(answer: Answered, instruction: Instruction, expected: object) -> None:
    """https://docs.mollie.com/overview/handling-errors."""
    assert refused(answer, instruction) == expected


def test_only_mollies_own_error_object_decides() -> None:
    """The page of a proxy has the same status and says nothing, and neither does an error of another status."""
    for status in (401, 404, 409, 422, 429):
        for body in (b"<html>", b"{}", b"[]", _error(500).body):
            assert refused(Answered(status, {}, body), REFUND) == Unknown(f"HTTP {status}")


def test_a_refusal_of_a_charges_operation_makes_the_charge_be_read() -> None:
    """What our own request did is answered by its key: somebody else has changed the charge."""
    for instruction, code in ((CAPTURE, "rejected_by_gateway"), (VOID, "already_captured")):
        found = refused(_error(422), instruction)
        assert isinstance(found, Overtaken)
        assert found.code == code
    plain = refused(_error(422, field="amount.currency"), PAYMENT)
    assert type(plain) is Declined
    assert plain.code == "currency_not_supported"


def test_a_duplicate_refund_is_another_one_and_any_other_conflict_is_our_own_request() -> None:
    """https://docs.mollie.com/reference/create-refund, and the 409 of https://docs.mollie.com/reference/api-idempotency."""
    duplicate = "A duplicate refund has been detected"
    assert isinstance(refused(_error(409, duplicate), REFUND), Declined)
    for answer, instruction in ((_error(409, duplicate), PAYMENT), (_error(409, "still being executed"), REFUND)):
        found = refused(answer, instruction)
        assert isinstance(found, Unknown)
        assert found.repeatable


def _charge(changed: Mapping[str, Any]) -> object:
    return charge_state({**ROW, "method": "creditcard", "status": "paid", **changed}, "tr_1")


def _state(captured: int, **more: Any) -> ChargeState:
    return ChargeState(**{"captured_minor": captured, "refunded_minor": 0, "voided": False, "currency": "EUR", **more})


def test_a_charge_says_what_was_captured_refunded_and_voided() -> None:
    """``amountCaptured`` and ``amountRefunded`` are "only available when" there can be any."""
    assert _charge({}) == _state(1_000)
    three = {"currency": "EUR", "value": "3.00"}
    assert _charge({"status": "authorized", "amountCaptured": three}) == _state(300)
    assert _charge({"amountRefunded": three}) == _state(1_000, refunded_minor=300)
    for status in ("canceled", "expired", "failed"):
        assert _charge({"status": status}) == _state(0, voided=True)
    assert _charge({"status": "authorized"}) == _state(0)
    for broken in ({"amountCaptured": None}, {"id": "tr_2"}, {"amount": None}, {"amountRefunded": {"value": "3.00"}}):
        assert isinstance(_charge(broken), Unknown), broken


def test_a_chargeback_is_a_dispute_of_a_card_and_a_reversal_of_a_debit() -> None:
    """https://docs.mollie.com/reference/get-chargeback: the amount is taken at once, and may be reversed."""
    row: dict[str, Any] = {
        "resource": "chargeback",
        "id": "chb_1",
        "amount": TEN,
        "createdAt": "2026-01-02T00:00:00+00:00",
    }
    reversed_ = {
        **row,
        "id": "chb_2",
        "createdAt": "2026-01-01T00:00:00+00:00",
        "reversedAt": "2026-02-01T00:00:00+00:00",
    }
    both = {"amountChargedBack": TEN, "_embedded": {"chargebacks": [row, reversed_]}}
    opened = DisputeState(
        gateway_dispute_id="chb_1",
        status=DisputeStatus.OPENED,
        amount_minor=1_000,
        withdrawn_minor=1_000,
        currency="EUR",
        reason="",
    )
    won = replace(opened, gateway_dispute_id="chb_2", status=DisputeStatus.WON, withdrawn_minor=0)
    assert _charge(both) == _state(1_000, disputes=(won, opened))
    assert _charge({**both, "method": "directdebit"}) == _state(1_000, reversed_minor=1_000)
    assert isinstance(_charge({"amountChargedBack": TEN}), Unknown)
    assert isinstance(_charge({**both, "_embedded": {"chargebacks": [{"id": "chb_1"}]}}), Unknown)


def _refund(identity: str, status: str, value: str, reference: str | None = None) -> dict[str, Any]:
    metadata = None if reference is None else {"reference": reference}
    amount = {"currency": "EUR", "value": value}
    return {"resource": "refund", "id": identity, "status": status, "amount": amount, "metadata": metadata}


@pytest.mark.parametrize("amount_refunded", ["3.00", "8.00"])
def test_a_refund_that_failed_has_come_back(amount_refunded: str) -> None:
    """https://docs.mollie.com/docs/refunds: ``failed`` is "after processing … The funds will be returned to your
    account", and ``canceled`` "will no longer be processed". Whether ``amountRefunded`` goes down is not said. Fails
    when it is believed: a refund that nobody made would be booked beside the return.
    """
    rows = [
        _refund("re_3", "canceled", "1.00"),
        _refund("re_2", "refunded", "3.00", "ref_2-1"),
        _refund("re_1", "failed", "5.00", "ref_1-1"),
    ]
    told = {"amountRefunded": {"currency": "EUR", "value": amount_refunded}, "_embedded": {"refunds": rows}}
    came_back = ChargeRefund(gateway_refund_id="re_1", amount_minor=500, gateway_reference="ref_1-1", came_back=True)
    stands = ChargeRefund(gateway_refund_id="re_2", amount_minor=300, gateway_reference="ref_2-1")
    assert _charge(told) == _state(1_000, refunded_minor=300, refunds=(came_back, stands))


def test_refunds_that_can_not_be_read_make_the_charge_unknown() -> None:
    for rows in ({}, ["re_1"], [{"id": "re_1", "status": "failed"}], [{"status": "failed", "amount": TEN}]):
        assert isinstance(_charge({"_embedded": {"refunds": rows}}), Unknown), rows


def test_a_moment_without_an_offset_is_not_read() -> None:
    """It would be another moment in each region."""
    assert milliseconds_of("1970-01-01T00:00:01+00:00") == 1_000
    for text in ("1970-01-01T00:00:01", "soon", None, 1):
        assert milliseconds_of(text) is None
