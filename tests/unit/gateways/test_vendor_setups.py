"""Set-ups and revocations at Adyen and Mollie on paper: what is sent, and what an answer proves.

Members and statuses: CheckoutService-v72 and TokenizationNotification-v1 of https://github.com/Adyen/adyen-openapi,
specs.yaml of https://github.com/mollie/openapi.
"""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import NoticeRefused
from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.domain.gateway import (
    Declined,
    MethodSaved,
    NeverSent,
    NotAllowed,
    NotFound,
    OperationKind,
    PaymentMethodType,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.adyen_answers import read_result
from payonce.gateways.adyen_gateway import ADYEN_CAPABILITIES, AdyenGateway
from payonce.gateways.adyen_http import Place
from payonce.gateways.adyen_notices import AdyenNoticeReader
from payonce.gateways.adyen_requests import Account, refusal_before
from payonce.gateways.mollie_answers import outcome_of
from payonce.gateways.mollie_gateway import MOLLIE_CAPABILITIES, MollieGateway
from payonce.gateways.mollie_requests import payment_body, refusal
from payonce.gateways.stripe_gateway import STRIPE_CAPABILITIES
from payonce.notices.told import KeptNoticeBook
from payonce.ports import Deadline
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock
from tests.unit.gateways.test_adyen_notices import HMAC_KEY, read
from tests.unit.gateways.test_adyen_notices import item as signed_item
from tests.unit.gateways.test_sandbox_bank_setups import CUSTOMER, REFERENCE, SETUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.exchange import Exchange

PSP, STORED = "QFQTPCQ8HXSKGK82", "M5N7TQ4TG5PFWR50"
ZERO = {"currency": "EUR", "value": 0}
SOON = Deadline(2_000_000_000_000)
REVOKED = replace(SETUP, kind=OperationKind.REVOCATION, payment_method=f"stored:{STORED}", gateway_reference="rev_1-1")
LISTED = {"merchantAccount": "ShopECOM", "shopperReference": CUSTOMER, "storedPaymentMethods": [{"id": STORED}]}
MANDATE = {"resource": "mandate", "id": "mdt_1", "customerId": CUSTOMER, "method": "creditcard", "status": "valid"}
FIRST = {
    "resource": "payment",
    "id": "tr_1",
    "status": "paid",
    "amount": {"currency": "EUR", "value": "0.00"},
    "metadata": {"reference": REFERENCE},
    "sequenceType": "first",
    "customerId": CUSTOMER,
    "mandateId": "mdt_1",
}
CARD_SETUP = replace(SETUP, payment_method="creditcard")


@dataclass
class Wire:
    """An exchange that gives the next answers, and keeps what was sent."""

    answers: list[Exchange]
    sent: list[tuple[str, str, Any]] = field(default_factory=list)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Exchange:
        del headers, deadline
        self.sent.append((method, url.partition("//")[2].partition("/")[2], None if body is None else json.loads(body)))
        return self.answers.pop(0)


def answer(status: int = 200, document: Any = None) -> Answered:
    return Answered(status=status, headers={}, body=b"" if document is None else json.dumps(document).encode())


def mollie_error(status: int, detail: str = "no") -> Answered:
    return answer(status, {"status": status, "title": "Error", "detail": detail})


def adyen(*answers: Exchange) -> tuple[AdyenGateway, Wire]:
    wire = Wire(list(answers))
    account = Account("ShopECOM", "https://shop.example/back")
    book = KeptNoticeBook(MemoryDatabase())
    place = Place(url="http://127.0.0.1:1")
    return AdyenGateway("adyen", "k", account, place=place, book=book, clock=ManualClock(), exchange=wire), wire


def mollie(*answers: Exchange) -> tuple[MollieGateway, Wire]:
    gateway, wire = MollieGateway("mollie", "http://127.0.0.1:1", "test_1", ManualClock()), Wire(list(answers))
    gateway._http._exchange = wire  # type: ignore[assignment]
    return gateway, wire


def authorised(**more: Any) -> Answered:
    named = {"tokenization.storedPaymentMethodId": STORED, "tokenization.shopperReference": CUSTOMER}
    document = {"resultCode": "Authorised", "pspReference": PSP, "merchantReference": REFERENCE, "amount": ZERO}
    return answer(200, {**document, "additionalData": named, **more})


@pytest.mark.parametrize(
    ("method_type", "method", "by"),
    [
        ("card", "stored:84", {"adyen"}),
        ("card", "creditcard", {"adyen", "mollie"}),
        ("card", "tkn_1", {"adyen", "mollie"}),
        ("card", "bancontact", {"adyen"}),
        ("wallet", "paypal", {"adyen", "mollie"}),
        ("wallet", "twint", set()),
        ("bank_debit", "stored:84", {"adyen"}),
        ("bank_transfer", "ideal", set()),
    ],
)
def test_who_can_set_up_what(method_type: str, method: str, by: set[str]) -> None:
    """At Stripe, which decides by itself, everything of a kind that can be saved."""
    named = {"adyen": ADYEN_CAPABILITIES, "mollie": MOLLIE_CAPABILITIES}
    kind = PaymentMethodType(method_type)
    assert {name for name, each in named.items() if each.sets_up(kind, method)} == by
    assert STRIPE_CAPABILITIES.sets_up(kind, method)
    assert not replace(STRIPE_CAPABILITIES, operations=frozenset()).sets_up(kind, method)
    assert not replace(STRIPE_CAPABILITIES, payment_method_types=frozenset()).sets_up(kind, method)


def test_adyen_is_sent_an_authorisation_of_nothing_that_stores() -> None:
    gateway, wire = adyen(authorised(), answer(200, LISTED))
    assert gateway.submit(SETUP, SOON) == MethodSaved(PSP, PSP, f"stored:{STORED}")
    assert [(method, path) for method, path, _ in wire.sent] == [
        ("POST", "payments"),
        ("GET", f"storedPaymentMethods?shopperReference={CUSTOMER}&merchantAccount=ShopECOM"),
    ]
    assert wire.sent[0][2] == {
        "amount": ZERO,
        "channel": "Web",
        "merchantAccount": "ShopECOM",
        "metadata": {"payonce_merchant_id": "mer_1", "payonce_payment_id": "setup_1"},
        "paymentMethod": {"storedPaymentMethodId": SETUP.payment_method, "type": "scheme"},
        "recurringProcessingModel": "UnscheduledCardOnFile",
        "reference": REFERENCE,
        "returnUrl": SETUP.return_url,
        "shopperInteraction": "Ecommerce",
        "shopperReference": CUSTOMER,
        "storePaymentMethod": True,
    }


def test_adyen_stores_and_charges_paypal_by_its_type() -> None:
    wallet = replace(SETUP, payment_method="paypal", payment_method_type=PaymentMethodType.WALLET)
    gateway, wire = adyen(authorised(), answer(200, LISTED), authorised())
    saved = gateway.submit(wallet, SOON)
    assert isinstance(saved, MethodSaved)
    gateway.submit(replace(wallet, kind=OperationKind.PAYMENT, payment_method=saved.token), SOON)
    methods = [body["paymentMethod"] for _, _, body in wire.sent if body]
    assert methods == [{"type": "paypal"}, {"type": "paypal", "storedPaymentMethodId": STORED}]


@pytest.mark.parametrize(
    ("kind", "method", "currency"),
    [("wallet", "mbway", "EUR"), ("bank_debit", "stored:84", "USD"), ("wallet", "applepay", "EUR")],
)
def test_adyen_is_not_asked_for_what_it_can_not_set_up(kind: str, method: str, currency: str) -> None:
    asked = replace(SETUP, payment_method=method, payment_method_type=PaymentMethodType(kind))
    asked = replace(asked, money=type(asked.money)(0, currency))
    assert refusal_before(asked, Account("ShopECOM", "https://shop.example/back")) is not None


def test_a_token_of_another_shopper_is_never_this_customers() -> None:
    """The token would be charged for somebody else."""
    foreign = {"tokenization.storedPaymentMethodId": STORED, "tokenization.shopperReference": "shopper-of-others"}
    document = json.loads(authorised(additionalData=foreign).body)
    assert isinstance(read_result(SETUP, document), Unknown)


@pytest.mark.parametrize(
    "listed",
    [
        answer(200, {}),
        answer(200, {**LISTED, "shopperReference": "another"}),
        answer(200, {**LISTED, "merchantAccount": "another"}),
        answer(200, {**LISTED, "storedPaymentMethods": [{}]}),
        answer(200, {**LISTED, "storedPaymentMethods": None}),
        answer(500, LISTED),
        answer(403, {"errorCode": "010"}),
        Answered(status=200, headers={}, body=json.dumps(LISTED).encode()[:-20]),
        Lost("gone"),
        NotSent("no address"),
    ],
)
def test_half_a_list_proves_no_revocation(listed: Exchange) -> None:
    """What a list lacks counts as removed: so it has to be whole, and this shopper's."""
    gateway, _ = adyen(listed)
    found = gateway.find(REVOKED, SOON)
    assert isinstance(found, Unknown)
    assert isinstance(found, NotAllowed) is (isinstance(listed, Answered) and listed.status == 403)


@pytest.mark.parametrize("rows", [{"storedPaymentMethods": [{"id": "another"}]}, {"storedPaymentMethods": []}])
def test_what_the_list_lacks_is_revoked(rows: dict[str, Any]) -> None:
    assert isinstance(adyen(answer(200, LISTED | rows))[0].find(REVOKED, SOON), Succeeded)
    assert isinstance(adyen(answer(200, LISTED))[0].find(REVOKED, SOON), NotFound)


@pytest.mark.parametrize(
    ("said", "listed", "expected"),
    [
        (answer(204), None, Succeeded),
        (answer(422, {"errorCode": "803"}), answer(200, LISTED | {"storedPaymentMethods": []}), Succeeded),
        (answer(422, {"errorCode": "000"}), answer(200, LISTED), Declined),
        (answer(422, {"errorCode": "803"}), Lost("gone"), Unknown),
        (answer(403), None, NeverSent),
        (answer(500), None, Unknown),
        (Lost("gone"), None, Unknown),
        (NotSent("no address"), None, NeverSent),
    ],
)
def test_what_a_deletion_says(said: Exchange, listed: Exchange | None, expected: type) -> None:
    gateway, wire = adyen(said, *([listed] if listed is not None else []))
    outcome = gateway.submit(REVOKED, SOON)
    assert isinstance(outcome, expected)
    assert getattr(outcome, "repeatable", True)  # what was removed can't be removed again
    path = f"storedPaymentMethods/{STORED}?shopperReference={CUSTOMER}&merchantAccount=ShopECOM"
    assert wire.sent[0] == ("DELETE", path, None)


@pytest.mark.parametrize(
    ("named", "rows", "expected"),
    [
        (True, [{"id": STORED}], MethodSaved),
        (True, [{"id": "another", "firstPspReference": PSP}], Pending),
        (False, [{"id": STORED, "firstPspReference": PSP}], MethodSaved),
        (False, [{"id": STORED, "firstPspReference": "ANOTHER"}], Pending),
        (False, [{"id": SETUP.payment_method}], MethodSaved),
        (False, [], Pending),
    ],
)
def test_a_set_up_is_saved_once_its_token_is_listed(named: bool, rows: list[dict[str, Any]], expected: type) -> None:
    """Until then Adyen answers a charge with "Contract not found"."""
    said = authorised() if named else authorised(additionalData={})
    gateway, _ = adyen(said, answer(200, LISTED | {"storedPaymentMethods": rows}))
    assert type(gateway.submit(SETUP, SOON)) is expected


def test_a_key_that_may_not_list_takes_the_answers_token() -> None:
    assert isinstance(adyen(authorised(), answer(403))[0].submit(SETUP, SOON), MethodSaved)
    assert isinstance(adyen(authorised(additionalData={}), answer(403))[0].submit(SETUP, SOON), Pending)


def token_event(kind: str = "recurring.token.disabled", **data: Any) -> bytes:
    told = {
        "merchantAccount": "ShopECOM",
        "shopperReference": CUSTOMER,
        "storedPaymentMethodId": STORED,
        "type": "visa",
    }
    event = {"createdAt": "2026-11-30T01:00:00+01:00", "environment": "test", "eventId": PSP, "type": kind}
    return json.dumps({**event, "data": told | data}).encode()


def token_signature(body: bytes) -> str:
    return base64.b64encode(hmac.digest(bytes.fromhex(HMAC_KEY), body, "sha256")).decode()


def test_a_disabled_token_is_a_hint() -> None:
    body = token_event()
    [notice] = AdyenNoticeReader([HMAC_KEY]).read(body, {"hmacsignature": token_signature(body)}, now_ms=1)
    assert (notice.saved_method, notice.account, notice.outcome) == (f"stored:{STORED}", "ShopECOM", None)
    assert (notice.notice_id, notice.created_at_ms) == (f"{PSP}.recurring.token.disabled", 1_795_996_800_000)


@pytest.mark.parametrize("kind", ["created", "updated", "alreadyExisting"])
def test_other_events_about_tokens_say_nothing(kind: str) -> None:
    body = token_event(f"recurring.token.{kind}")
    assert AdyenNoticeReader([HMAC_KEY]).read(body, {"hmacsignature": token_signature(body)}, now_ms=1) == []


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (token_event(), ""),
        (token_event(), "é"),
        pytest.param(token_event(), token_signature(b"another"), id="of another body"),
        (token_event("payment.paid"), None),
        (token_event(storedPaymentMethodId="../payments"), None),
        (token_event(merchantAccount=None), None),
        (b"[1]", None),
        (b"{", None),
    ],
)
def test_what_is_no_signed_event_about_a_token_is_refused(body: bytes, signature: str | None) -> None:
    given = token_signature(body) if signature is None else signature
    with pytest.raises(NoticeRefused):
        AdyenNoticeReader([HMAC_KEY]).read(body, {"hmacsignature": given}, now_ms=1)


def test_an_authorisation_of_nothing_is_told_as_a_set_up() -> None:
    """Its reference is a set-up's, which is signed; so is that it could not be stored."""
    [told] = read(signed_item(merchantReference="setup_01K8X3Q5ZC4T9V7W2M6N8P0R1S-1", amount=ZERO))
    assert told.outcome is not None
    assert (told.outcome.kind, told.outcome.executed) == (OperationKind.SETUP, True)
    contract = {"merchantReference": "setup_01K8X3Q5ZC4T9V7W2M6N8P0R1S-1", "amount": ZERO, "originalReference": PSP}
    [stored] = read(signed_item("RECURRING_CONTRACT", **contract | {"pspReference": STORED}))
    [failed] = read(signed_item("RECURRING_CONTRACT", **contract | {"success": "false"}))
    assert stored.outcome is not None
    assert failed.outcome is not None
    assert (stored.outcome.gateway_operation_id, stored.outcome.token) == (PSP, f"stored:{STORED}")
    assert (failed.outcome.executed, failed.outcome.undone, failed.outcome.token) == (False, True, None)
    [second] = read(
        signed_item("RECURRING_CONTRACT", **contract | {"pspReference": STORED, "originalReference": "B" * 16})
    )
    assert second.notice_id != stored.notice_id  # the card is the same, the set-up is not
    [of_payment] = read(signed_item("RECURRING_CONTRACT", success="false"))
    [unnamed] = read(signed_item("RECURRING_CONTRACT", **contract | {"originalReference": None}))
    assert of_payment.outcome is unnamed.outcome is None


def test_mollie_is_sent_a_first_payment_of_nothing() -> None:
    assert refusal(CARD_SETUP) is None
    assert payment_body(CARD_SETUP) == {
        "amount": {"currency": "EUR", "value": "0.00"},
        "customerId": CUSTOMER,
        "description": REFERENCE,
        "metadata": {"merchant_id": "mer_1", "payment_id": "setup_1", "reference": REFERENCE},
        "method": "creditcard",
        "redirectUrl": SETUP.return_url,
        "sequenceType": "first",
    }


@pytest.mark.parametrize(
    ("kind", "method", "customer"),
    [
        ("card", "bancontact", CUSTOMER),
        ("card", "mdt_1", CUSTOMER),
        ("bank_debit", "mdt_1", CUSTOMER),
        ("wallet", "twint", CUSTOMER),
        ("card", "creditcard", None),
    ],
)
def test_mollie_is_not_asked_for_what_it_can_not_set_up(kind: str, method: str, customer: str | None) -> None:
    asked = replace(SETUP, payment_method=method, payment_method_type=PaymentMethodType(kind), customer=customer)
    gateway, wire = mollie()
    assert isinstance(gateway.submit(asked, SOON), Declined)
    assert wire.sent == []


@pytest.mark.parametrize("changed", [{"customerId": "cst_another"}, {"amount": {"currency": "EUR", "value": "1.00"}}])
def test_another_customers_payment_is_no_set_up_of_this_one(changed: dict[str, Any]) -> None:
    assert isinstance(outcome_of(FIRST | changed, CARD_SETUP), Unknown)


@pytest.mark.parametrize(
    ("mandate", "expected"),
    [
        (answer(200, MANDATE), MethodSaved),
        (answer(200, MANDATE | {"status": "pending"}), Pending),
        (answer(200, MANDATE | {"status": "invalid"}), Declined),
        (answer(200, MANDATE | {"customerId": "cst_another"}), Unknown),
        (answer(200, MANDATE | {"method": "directdebit"}), Unknown),
        (answer(200, MANDATE | {"id": "mdt_2"}), Unknown),
        (mollie_error(410), Declined),
        (mollie_error(500), Unknown),
        (Lost("gone"), Unknown),
    ],
)
def test_a_set_up_at_mollie_is_worth_its_mandate(mandate: Exchange, expected: type) -> None:
    gateway, wire = mollie(answer(201, FIRST), mandate)
    assert type(gateway.submit(CARD_SETUP, SOON)) is expected
    assert wire.sent[1][:2] == ("GET", f"customers/{CUSTOMER}/mandates/mdt_1")


def test_a_payment_is_executed_whatever_its_mandate_is() -> None:
    """Bancontact is a card here, and makes a mandate of a debit, which payonce would charge as a card."""
    amount = {"currency": "EUR", "value": "0.00"}
    paid = FIRST | {"amount": amount}
    payment = replace(CARD_SETUP, kind=OperationKind.PAYMENT, saves_method=True, payment_method="bancontact")
    gateway, _ = mollie(answer(201, paid), answer(200, MANDATE | {"method": "directdebit"}))
    assert type(gateway.submit(payment, SOON)) is Succeeded
    gateway, _ = mollie(answer(201, paid), answer(200, MANDATE))
    assert gateway.submit(payment, SOON) == MethodSaved("tr_1", "tr_1", "mdt_1", "mdt_1")


ENDED = replace(SETUP, kind=OperationKind.REVOCATION, payment_method="mdt_1", gateway_charge_id="mdt_1")
KNOWN = answer(200, {"resource": "customer", "id": CUSTOMER})


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([answer(200, MANDATE)], NotFound),
        ([answer(200, MANDATE | {"status": "pending"})], NotFound),
        ([answer(200, MANDATE | {"status": "invalid"})], Succeeded),
        ([answer(200, MANDATE | {"customerId": "cst_another", "status": "invalid"})], Unknown),
        ([mollie_error(410)], Succeeded),
        ([mollie_error(404), KNOWN], Succeeded),
        ([mollie_error(404), mollie_error(410)], Succeeded),  # the customer was deleted, and all mandates with it
        ([mollie_error(404), mollie_error(404)], Unknown),  # another account's key finds neither
        ([mollie_error(404), answer(200, {"id": "cst_another"})], Unknown),
        ([mollie_error(404), Lost("gone")], Unknown),
        ([mollie_error(404), mollie_error(403)], NotAllowed),
        ([answer(410, "a proxy's page")], Unknown),
        ([answer(404, "a proxy's page")], Unknown),
        ([mollie_error(401)], NotAllowed),
        ([mollie_error(503)], Unknown),
        ([Lost("gone")], Unknown),
    ],
)
def test_a_mandate_has_ended_if_its_customer_lacks_it(answers: list[Exchange], expected: type) -> None:
    assert type(mollie(*answers)[0].find(ENDED, SOON)) is expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([answer(204)], Succeeded),
        ([mollie_error(404), mollie_error(404), KNOWN], Succeeded),
        ([mollie_error(410), mollie_error(410)], Succeeded),
        ([mollie_error(404), mollie_error(404), mollie_error(404)], Unknown),
        ([mollie_error(404), answer(200, MANDATE)], Unknown),
        ([mollie_error(422)], Declined),
        ([mollie_error(401)], NeverSent),
        ([mollie_error(503)], Unknown),
        ([Lost("gone")], Unknown),
        ([NotSent("no address")], NeverSent),
    ],
)
def test_what_the_end_of_a_mandate_says(answers: list[Exchange], expected: type) -> None:
    gateway, wire = mollie(*answers)
    outcome = gateway.submit(ENDED, SOON)
    assert isinstance(outcome, expected)
    assert getattr(outcome, "repeatable", True)
    assert wire.sent[0] == ("DELETE", f"customers/{CUSTOMER}/mandates/mdt_1", None)
