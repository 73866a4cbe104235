"""Every answer of Adyen's to a submission has an outcome that somebody chose, with the page that says what it means."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError, StoreUnavailable
from payonce.domain.exchange import Answered, Exchange, Lost, NotSent
from payonce.domain.gateway import (
    MAX_CLIENT_SECRET_CHARACTERS,
    ActionType,
    AwaitsPayer,
    CaptureMethod,
    CredentialsRefused,
    Declined,
    Instruction,
    NeverSent,
    NextAction,
    NoticeOutcome,
    OperationKind,
    Payer,
    PaymentMethodType,
    Pending,
    ResultRefused,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money
from payonce.gateways.adyen_answers import DECLINE_CODES
from payonce.gateways.adyen_gateway import ADYEN_CAPABILITIES, AdyenGateway, adyen_from_options
from payonce.gateways.adyen_http import Place
from payonce.gateways.adyen_money import adyen_amount, amount_from_adyen, check_money
from payonce.gateways.adyen_requests import Account
from payonce.gateways.declines import declined
from payonce.ports import Deadline
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CODES = "https://docs.adyen.com/online-payments/payment-result-codes"
REFUSALS = "https://docs.adyen.com/development-resources/refusal-reasons"
KEYS = "https://docs.adyen.com/development-resources/api-idempotency"
SPECIFICATION = "https://github.com/Adyen/adyen-openapi/blob/main/json/CheckoutService-v72.json"
LIBRARY = "https://github.com/Adyen/adyen-python-api-library/blob/16.0.0/Adyen/client.py"
PSP, MODIFICATION = "NC6HT9CRT65ZGN82", "QFQTPCQ8HXSKGK82"
REFERENCE = "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S-1"
PAGE = "https://checkoutshopper.example/redirect?MD=1"
SOON = Deadline(10**15)


@dataclass
class PaperAdyen:
    """Gives one answer, and keeps what it was asked."""

    answer: Exchange
    asked: list[tuple[str, str, Mapping[str, str], dict[str, Any]]] = field(default_factory=list)
    deadlines: list[Deadline] = field(default_factory=list)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Exchange:
        """See ``HttpExchange``."""
        self.deadlines.append(deadline)
        self.asked.append((method, url, headers, json.loads(body or b"{}")))
        return self.answer


@dataclass
class PaperBook:
    """A ``NoticeBook``."""

    told: Sequence[NoticeOutcome] = ()
    fails: bool = False

    def outcomes(self, gateway: str, names: Sequence[str]) -> Sequence[NoticeOutcome]:
        """See ``NoticeBook``."""
        assert gateway == "adyen"
        if self.fails:
            raise StoreUnavailable("away")
        return self.told


def gateway_on(
    answer: Exchange, *told: NoticeOutcome, place: Place | None = None, return_url: str = "https://shop.example/"
) -> tuple[AdyenGateway, PaperAdyen]:
    paper = PaperAdyen(answer)
    account = Account("ShopECOM", return_url=return_url)
    gateway = AdyenGateway(
        "adyen", "key", account, place=place or Place(), book=PaperBook(told), clock=ManualClock(), exchange=paper
    )
    return gateway, paper


def instruction(kind: OperationKind = OperationKind.PAYMENT, **changes: Any) -> Instruction:
    plain = Instruction(
        kind=kind,
        gateway_reference=REFERENCE,
        merchant_id="mer_1",
        payment_id="pay_1",
        money=Money(1000, "EUR"),
        capture_method=CaptureMethod.AUTOMATIC,
        payment_method="stored:8415",
        first_submitted_at_ms=1,
        customer="shopper-1",
        gateway_charge_id=None if kind is OperationKind.PAYMENT else PSP,
    )
    return replace(plain, **changes)


def answered(document: Any, status: int = 200, **headers: str) -> Answered:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answered(status, named, document if isinstance(document, bytes) else json.dumps(document).encode())


def result(code: str, **members: Any) -> Answered:
    named = {"resultCode": code, "pspReference": PSP, "merchantReference": REFERENCE, **members}
    return answered({name: value for name, value in named.items() if value is not None})


def refusal(code: str, result_code: str = "Refused") -> Answered:
    return result(result_code, refusalReason="secret text", refusalReasonCode=code)


def error(status: int, code: str, **headers: str) -> Answered:
    document = {"status": status, "errorCode": code, "message": "secret text", "errorType": "validation"}
    return answered(document, status, **headers)


def sdk(action: dict[str, Any], expires_at_ms: int | None = None) -> NextAction:
    text = json.dumps(action, sort_keys=True, separators=(",", ":"))
    return NextAction(type=ActionType.GATEWAY_SDK, client_secret=text, expires_at_ms=expires_at_ms)


REDIRECT = {"type": "redirect", "method": "GET", "url": PAGE, "paymentMethodType": "scheme"}
POSTED = {**REDIRECT, "method": "POST", "data": {"MD": "1"}}
CHALLENGE = {"type": "threeDS2", "subtype": "challenge", "token": "t", "authorisationToken": "a"}
VOUCHER = {"type": "voucher", "reference": "123", "entity": "12101", "expiresAt": "2026-12-01T12:00:00+01:00"}
WHOLE = result("Authorised", amount={"currency": "EUR", "value": 1000})
EXPIRES_AT_MS = 1_796_122_800_000

ROWS: dict[str, tuple[Exchange, object, str]] = {
    "authorised": (WHOLE, Succeeded(PSP, PSP), CODES),
    "authorised, without an amount": (result("Authorised"), Succeeded(PSP, PSP), SPECIFICATION),
    "refused": (refusal("2"), declined("declined"), REFUSALS),
    "not enough balance": (refusal("12"), declined("insufficient_funds"), REFUSALS),
    "expired": (refusal("6"), declined("expired_card"), REFUSALS),
    "not authenticated": (refusal("11"), declined("authentication_required"), REFUSALS),
    "needs the payer": (refusal("38"), declined("authentication_required"), REFUSALS),
    "blocked, which is told to nobody": (refusal("5"), declined("declined"), REFUSALS),
    "fraud, which is told to nobody": (refusal("20"), declined("declined"), REFUSALS),
    "a reason of next year": (refusal("99"), declined("declined"), REFUSALS),
    "error": (refusal("4", "Error"), declined("try_again_later"), CODES),
    "cancelled": (refusal("16", "Cancelled"), declined("canceled"), CODES),
    "redirect": (
        result("RedirectShopper", action=REDIRECT),
        AwaitsPayer(PSP, "RedirectShopper", action=NextAction(type=ActionType.REDIRECT, url=PAGE)),
        CODES,
    ),
    "redirect, without a PSP reference": (
        result("RedirectShopper", action=REDIRECT, pspReference=None, merchantReference=None),
        AwaitsPayer(REFERENCE, "RedirectShopper", action=NextAction(type=ActionType.REDIRECT, url=PAGE)),
        SPECIFICATION,
    ),
    "redirect by POST": (
        result("RedirectShopper", action=POSTED),
        AwaitsPayer(PSP, "RedirectShopper", action=sdk(POSTED)),
        SPECIFICATION,
    ),
    "challenge": (
        result("ChallengeShopper", action=CHALLENGE),
        AwaitsPayer(PSP, "ChallengeShopper", action=sdk(CHALLENGE)),
        CODES,
    ),
    "identify": (
        result("IdentifyShopper", action=CHALLENGE),
        AwaitsPayer(PSP, "IdentifyShopper", action=sdk(CHALLENGE)),
        CODES,
    ),
    "voucher": (
        result("PresentToShopper", action=VOUCHER),
        AwaitsPayer(PSP, "PresentToShopper", action=sdk(VOUCHER, EXPIRES_AT_MS)),
        CODES,
    ),
    "voucher with a page": (
        result("PresentToShopper", action={**VOUCHER, "downloadUrl": PAGE}),
        AwaitsPayer(
            PSP,
            "PresentToShopper",
            action=NextAction(type=ActionType.DISPLAY, url=PAGE, expires_at_ms=EXPIRES_AT_MS),
        ),
        SPECIFICATION,
    ),
    "waits, and does not say for what": (
        result("RedirectShopper"),
        AwaitsPayer(PSP, "RedirectShopper"),
        SPECIFICATION,
    ),
    "an action that is too long": (
        result("ChallengeShopper", action={**CHALLENGE, "token": "x" * MAX_CLIENT_SECRET_CHARACTERS}),
        AwaitsPayer(PSP, "ChallengeShopper"),
        SPECIFICATION,
    ),
    "received, with a transfer to make": (
        result("Received", action={"type": "bankTransfer", "iban": "NL13TEST"}),
        AwaitsPayer(PSP, "Received", action=sdk({"type": "bankTransfer", "iban": "NL13TEST"})),
        CODES,
    ),
    "received": (result("Received"), Pending(PSP, "Received"), CODES),
    "pending, in the bank's app": (
        result("Pending", action={"type": "await", "paymentData": "x"}),
        Pending(PSP, "Pending"),
        CODES,
    ),
    "a result of next year": (result("Waiting"), Pending(PSP, "Waiting"), CODES),
    "authorised in part": (result("PartiallyAuthorised"), Unknown("the result is PartiallyAuthorised"), CODES),
    # the wrong answer
    "another payment": (
        result("Authorised", merchantReference="pay_2-1"),
        Unknown("the answer is for another operation"),
        SPECIFICATION,
    ),
    "another amount": (
        result("Authorised", amount={"currency": "EUR", "value": 1001}),
        Unknown("the answer is for another operation"),
        SPECIFICATION,
    ),
    "authorised, without a PSP reference": (
        result("Authorised", pspReference=None),
        Unknown("the answer has no PSP reference", repeatable=True),
        SPECIFICATION,
    ),
    "no result": (answered({"pspReference": PSP}), Unknown("the answer is not usable", repeatable=True), SPECIFICATION),
    "cut short": (answered(WHOLE.body[:-9]), Unknown("the answer is not usable", repeatable=True), LIBRARY),
    "a list": (answered([1]), Unknown("the answer is not usable", repeatable=True), LIBRARY),
    "nothing": (answered(b""), Unknown("the answer is not usable", repeatable=True), LIBRARY),
    "accepted, which Adyen never says": (
        answered(WHOLE.body, 202),
        Unknown("HTTP 202", repeatable=True),
        SPECIFICATION,
    ),
    # errors
    "400": (error(400, "702"), declined("rejected_by_gateway"), SPECIFICATION),
    "422": (error(422, "14_030"), declined("rejected_by_gateway"), SPECIFICATION),
    "422, the amount": (error(422, "137"), declined("amount_not_supported"), SPECIFICATION),
    "422, the currency": (error(422, "138"), declined("currency_not_supported"), SPECIFICATION),
    "422, under way": (
        error(422, "704", transient_error="true"),
        Unknown("HTTP 422 704", repeatable=True),
        KEYS,
    ),
    "409, under way": (error(409, "704", transient_error="true"), Unknown("HTTP 409 704", repeatable=True), KEYS),
    "422, our key with another request": (
        error(422, "704"),
        Unknown("the gateway knows our idempotency key with another request"),
        KEYS,
    ),
    "503, worth repeating": (
        error(503, "703", transient_error="True"),
        Unknown("HTTP 503 703", repeatable=True),
        KEYS,
    ),
    "503": (error(503, "000"), Unknown("HTTP 503 000"), KEYS),
    "500": (error(500, "000"), Unknown("HTTP 500 000"), KEYS),
    "500, a page of a proxy": (answered(b"<html>", 502), Unknown("HTTP 502"), KEYS),
    "500, not transient": (error(500, "000", transient_error="false"), Unknown("HTTP 500 000"), KEYS),
    "500, not configured": (error(500, "905"), declined("rejected_by_gateway"), SPECIFICATION),
    "429": (error(429, "000", retry_after="2"), Unknown("HTTP 429 000", repeatable=True), KEYS),
    "401": (error(401, "000"), CredentialsRefused("the gateway refuses our credentials"), SPECIFICATION),
    "403": (error(403, "901"), CredentialsRefused("the gateway refuses our credentials"), SPECIFICATION),
    "404": (error(404, "000"), NeverSent("the gateway has no such address"), SPECIFICATION),
    "405": (error(405, "000"), Unknown("HTTP 405 000", repeatable=True), SPECIFICATION),
    "no connection": (NotSent("no connection"), NeverSent("no connection"), KEYS),
    "no answer": (Lost("reset"), Unknown("reset", repeatable=True), KEYS),
}


@pytest.mark.parametrize("name", list(ROWS))
def test_an_answer_to_a_payment_has_its_outcome(name: str) -> None:
    """Fails when an answer means another thing than its row's page says, or makes the library send a second request."""
    answer, expected, _ = ROWS[name]
    gateway, paper = gateway_on(answer)
    outcome = gateway.submit(instruction(), SOON)
    assert outcome == expected
    assert "secret text" not in repr(outcome)
    if isinstance(outcome, Declined):
        assert outcome.code in DECLINE_CODES
    ((method, url, headers, body),) = paper.asked
    assert (method, url) == ("POST", "https://checkout-test.adyen.com/v72/payments")
    assert (headers["Idempotency-Key"], body["reference"]) == (REFERENCE, REFERENCE)
    assert headers["X-API-Key"] == "key"
    assert paper.deadlines == [SOON]


def test_an_absent_payer_is_shown_nothing() -> None:
    """Fails when a payment that waits for somebody who is not there goes on waiting."""
    gateway, _ = gateway_on(result("RedirectShopper", action=REDIRECT))
    assert gateway.submit(instruction(payer=Payer.ABSENT), SOON) == AwaitsPayer(PSP, "RedirectShopper")


PATHS = {OperationKind.CAPTURE: "captures", OperationKind.VOID: "cancels", OperationKind.REFUND: "refunds"}


@pytest.mark.parametrize("kind", list(PATHS))
def test_a_modification_is_received_or_it_is_not_known(kind: OperationKind) -> None:
    received = {"status": "received", "pspReference": MODIFICATION, "reference": REFERENCE, "paymentPspReference": PSP}
    if kind is not OperationKind.VOID:
        received["amount"] = {"currency": "EUR", "value": 1000}  # type: ignore[assignment]
    gateway, paper = gateway_on(answered(received, 201))
    assert gateway.submit(instruction(kind), SOON) == Pending(MODIFICATION, "received")
    ((_, url, headers, body),) = paper.asked
    assert url == f"https://checkout-test.adyen.com/v72/payments/{PSP}/{PATHS[kind]}"
    assert headers["Idempotency-Key"] == REFERENCE
    assert ("amount" in body) == (kind is not OperationKind.VOID)
    for change in ({"reference": "x"}, {"paymentPspReference": "X"}):
        other, _ = gateway_on(answered({**received, **change}, 201))
        assert other.submit(instruction(kind), SOON) == Unknown("the answer is for another operation")
    other, _ = gateway_on(answered({**received, "status": "done"}, 201))
    assert other.submit(instruction(kind), SOON) == Unknown("the answer is not usable", repeatable=True)


def test_a_charges_id_can_not_lead_elsewhere() -> None:
    """The library does not escape what it puts into a path. Fails when a capture becomes another request."""
    gateway, paper = gateway_on(Lost("x"))
    gateway.submit(instruction(OperationKind.CAPTURE, gateway_charge_id="../payments?x=/"), SOON)
    ((_, url, _, _),) = paper.asked
    assert url == "https://checkout-test.adyen.com/v72/payments/..%2Fpayments%3Fx%3D%2F/captures"


def test_a_repeated_request_is_the_same_bytes() -> None:
    gateway, paper = gateway_on(Lost("x"))
    for _ in range(2):
        gateway.submit(instruction(), SOON)
    assert paper.asked[0] == paper.asked[1]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"customer": None}, "rejected_by_gateway"),  # whose card it is
        ({"payment_method_type": PaymentMethodType.BANK_DEBIT, "money": Money(1, "JPY")}, "currency_not_supported"),
        ({"money": Money(105, "CVE")}, "amount_not_supported"),
    ],
)
def test_what_adyen_could_not_do_is_not_sent(changes: dict[str, Any], code: str) -> None:
    gateway, paper = gateway_on(WHOLE)
    outcome = gateway.submit(instruction(**changes), SOON)
    assert isinstance(outcome, Declined)
    assert (outcome.code, paper.asked) == (code, [])


def test_without_a_return_url_a_present_payer_could_not_come_back() -> None:
    """Adyen requires the member. Fails when a payer is sent to an address of nobody's."""
    gateway, paper = gateway_on(WHOLE, return_url="")
    assert isinstance(gateway.submit(instruction(), SOON), Declined)
    assert paper.asked == []
    assert isinstance(gateway.submit(instruction(payer=Payer.ABSENT), SOON), Succeeded)
    assert isinstance(gateway.submit(instruction(return_url="https://shop.example/r"), SOON), Succeeded)
    assert [body["returnUrl"] for *_, body in paper.asked] == ["https://return.invalid/", "https://shop.example/r"]


def test_the_live_endpoint_is_the_accounts_own() -> None:
    gateway, paper = gateway_on(WHOLE, place=Place(prefix="1797a841fbb37ca7-AdyenDemo"))
    gateway.submit(instruction(), SOON)
    assert paper.asked[0][1] == (
        "https://1797a841fbb37ca7-AdyenDemo-checkout-live.adyenpayments.com/checkout/v72/payments"
    )


# Confirmation

WAITING = AwaitsPayer(PSP, "the payer has come back")
CONFIRMATIONS: dict[str, tuple[Exchange, object]] = {
    "paid": (WHOLE, Succeeded(PSP, PSP)),
    "refused": (refusal("11"), declined("authentication_required")),
    "another step": (
        result("ChallengeShopper", action=CHALLENGE, pspReference=None, merchantReference=None),
        AwaitsPayer(REFERENCE, "ChallengeShopper", action=sdk(CHALLENGE)),
    ),
    "without our reference, of our PSP reference": (result("Authorised", merchantReference=None), Succeeded(PSP, PSP)),
    "without our reference, of another": (
        result("Authorised", merchantReference=None, pspReference=MODIFICATION),
        ResultRefused("forged_result", "The gateway did not issue this result for this payment."),
    ),
    "of another payment": (
        result("Authorised", merchantReference="pay_2-1"),
        ResultRefused("forged_result", "The gateway did not issue this result for this payment."),
    ),
    "forged": (
        error(422, "000"),
        ResultRefused("forged_result", "The gateway did not issue this result for this payment."),
    ),
    "submitted before": (error(422, "704"), AwaitsPayer(PSP, "no notification has told of its end")),
    "under way": (error(422, "704", transient_error="true"), Unknown("HTTP 422 704", repeatable=True)),
    "500": (error(500, "000"), Unknown("HTTP 500 000")),
    "nobody there": (NotSent("no connection"), NeverSent("no connection")),
    "lost": (Lost("reset"), Unknown("reset", repeatable=True)),
}


@pytest.mark.parametrize("name", list(CONFIRMATIONS))
def test_an_answer_to_a_confirmation_has_its_outcome(name: str) -> None:
    answer, expected = CONFIRMATIONS[name]
    gateway, paper = gateway_on(answer)
    asked = instruction(gateway_charge_id=PSP)
    assert gateway.confirm(asked, WAITING, "X6XtfGC3", SOON) == expected
    ((_, url, headers, body),) = paper.asked
    assert url.endswith("/v72/payments/details")
    assert body == {"details": {"redirectResult": "X6XtfGC3"}}
    assert len(headers["Idempotency-Key"]) <= 64
    gateway.confirm(asked, WAITING, "another", SOON)
    assert paper.asked[1][2]["Idempotency-Key"] != headers["Idempotency-Key"]


# The lookup


def told(executed: bool, kind: OperationKind = OperationKind.PAYMENT, **changes: Any) -> NoticeOutcome:
    plain = NoticeOutcome(
        kind=kind, executed=executed, gateway_operation_id=PSP, amount_minor=1000, currency="EUR", code="declined"
    )
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("kind", "outcomes", "expected"),
    [
        (OperationKind.PAYMENT, [told(True)], Succeeded(PSP, PSP)),
        (OperationKind.PAYMENT, [told(False), told(True)], Succeeded(PSP, PSP)),
        (OperationKind.PAYMENT, [told(True), told(False)], Succeeded(PSP, PSP)),
        (OperationKind.PAYMENT, [told(False, code="expired_card")], declined("expired_card")),
        (OperationKind.PAYMENT, [told(True), told(True, gateway_operation_id=MODIFICATION)], Succeeded(PSP, PSP)),
        (OperationKind.PAYMENT, [told(True, amount_minor=1)], Unknown("a notification is for another operation")),
        (OperationKind.PAYMENT, [told(True, currency="USD")], Unknown("a notification is for another operation")),
        (OperationKind.CAPTURE, [told(True, OperationKind.CAPTURE)], Succeeded(PSP, PSP)),
        (
            OperationKind.CAPTURE,
            [told(True, OperationKind.CAPTURE), told(False, OperationKind.CAPTURE, code="capture_failed")],
            declined("capture_failed"),
        ),
        # what is released is what is left, and is not said in advance
        (OperationKind.VOID, [told(True, OperationKind.VOID, amount_minor=600)], Succeeded(PSP, PSP)),
    ],
)
def test_what_notifications_tell_together(kind: OperationKind, outcomes: list[NoticeOutcome], expected: object) -> None:
    gateway, paper = gateway_on(Lost("x"), *outcomes)
    assert gateway.find(instruction(kind), SOON) == expected
    assert paper.asked == []  # a lookup sends nothing


def test_a_book_that_can_not_be_read_is_no_not_found() -> None:
    gateway, _ = gateway_on(Lost("x"))
    gateway._book = PaperBook(fails=True)
    assert gateway.find(instruction(), SOON) == Unknown("the kept notifications could not be read")
    assert gateway.withdraw(instruction(gateway_charge_id=PSP), WAITING, SOON) is WAITING


# Money and configuration


@pytest.mark.parametrize(
    ("money", "value"),
    [
        (Money(1050, "EUR"), 1050),
        (Money(5, "ISK"), 500),
        (Money(700, "CLP"), 70_000),
        (Money(1200, "IDR"), 12),
        (Money(1200, "CVE"), 12),
        (Money(1234, "KWD"), 1234),
        (Money(5, "JPY"), 5),
    ],
)
def test_amounts_are_in_adyens_units_and_back(money: Money, value: int) -> None:
    """https://docs.adyen.com/development-resources/currency-codes"""
    assert adyen_amount(money) == {"currency": money.currency, "value": value}
    assert amount_from_adyen(value, money.currency) == money.amount_minor


def test_what_adyen_can_not_count_is_refused() -> None:
    assert check_money(Money(1250, "IDR")) == "Adyen takes whole IDR only: the amount must be a multiple of 100."
    with pytest.raises(ValueError, match="IDR"):
        adyen_amount(Money(1250, "IDR"))
    assert amount_from_adyen(501, "ISK") is None
    assert amount_from_adyen(1, "???") is None


def test_the_configuration_is_checked_before_anything_is_sent() -> None:
    clock, book, secrets = ManualClock(), PaperBook(), {"adyen_api_key": "k"}
    made = adyen_from_options("a", {"merchant_account": "Shop"}, secrets, book, clock)
    assert (made.name, made.capabilities) == ("a", ADYEN_CAPABILITIES)
    assert "k" not in repr(made).replace("merchant_account", "")
    for options in (
        {},
        {"merchant_account": "Shop", "live_endpoint_prefix": "evil.example/"},
        {"merchant_account": "Shop", "live_endpoint_prefix": "é"},
        {"merchant_account": "Shop", "url": "http://adyen.example"},
        {"merchant_account": "Shop", "url": "https://checkout-live.example"},
    ):
        with pytest.raises(MisconfiguredError):
            adyen_from_options("a", options, secrets, book, clock)
    with pytest.raises(GatewayUnavailable):
        adyen_from_options("a", {"merchant_account": "Shop"}, {}, book, clock)


def test_the_library_is_imported_only_where_adyen_is_configured() -> None:
    """Fails when the composition root imports it: every cold start would pay a tenth of a second."""
    code = (
        "import sys, payonce.wiring.application, payonce.wiring.notices, payonce.wiring.gateways, "
        "payonce.gateways.sandbox_bank; sys.exit('Adyen' in sys.modules)"
    )
    path = [entry for entry in sys.path if entry]
    check = subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {code}"], check=False)
    assert check.returncode == 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            {
                "paymentMethod": {"type": "scheme", "storedPaymentMethodId": "8415"},
                "shopperReference": "shopper-1",
                "shopperInteraction": "Ecommerce",
                "recurringProcessingModel": "CardOnFile",
            },
        ),
        (
            {"payer": Payer.ABSENT, "payment_method": "M5N7TQ4TG5PFWR50"},
            {
                "paymentMethod": {"type": "scheme", "storedPaymentMethodId": "M5N7TQ4TG5PFWR50"},
                "shopperReference": "shopper-1",
                "shopperInteraction": "ContAuth",
                "recurringProcessingModel": "UnscheduledCardOnFile",
            },
        ),
        (
            {"payment_method_type": PaymentMethodType.BANK_DEBIT, "money": Money(1, "GBP")},
            {
                "paymentMethod": {"type": "directdebit_GB", "storedPaymentMethodId": "8415"},
                "shopperReference": "shopper-1",
                "shopperInteraction": "Ecommerce",
                "recurringProcessingModel": "CardOnFile",
            },
        ),
        (
            {"payment_method_type": PaymentMethodType.BANK_TRANSFER, "payment_method": "ideal", "customer": None},
            {"paymentMethod": {"type": "ideal"}, "shopperInteraction": "Ecommerce"},
        ),
        (
            {"payment_method_type": PaymentMethodType.BANK_TRANSFER, "payment_method": "ideal", "saves_method": True},
            {
                "paymentMethod": {"type": "ideal"},
                "shopperReference": "shopper-1",
                "shopperInteraction": "Ecommerce",
                "storePaymentMethod": True,
                "recurringProcessingModel": "UnscheduledCardOnFile",
            },
        ),
    ],
)
def test_the_request_says_whose_method_it_is_and_who_is_there(
    changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Fails when an absent payer is not declared as such: the issuer would ask for somebody who is not there."""
    gateway, paper = gateway_on(WHOLE)
    gateway.submit(instruction(statement_descriptor="SHOP & CO #1", **changes), SOON)
    ((*_, body),) = paper.asked
    about = (
        "paymentMethod",
        "shopperReference",
        "shopperInteraction",
        "storePaymentMethod",
        "recurringProcessingModel",
    )
    assert {name: body[name] for name in about if name in body} == expected
    assert body["shopperStatement"] == "SHOP   CO  1"


def test_an_exchange_that_fails_in_an_unknown_way_may_have_sent_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when every exception counts as "nothing was sent": the payment would go to another gateway as well."""
    gateway, paper = gateway_on(WHOLE)

    def fail(*_: Any, **__: Any) -> Exchange:
        raise RuntimeError("a defect")

    monkeypatch.setattr(paper, "send", fail)
    assert gateway.submit(instruction(), SOON) == Unknown("the exchange has failed", repeatable=True)


def test_what_the_library_refuses_was_never_sent() -> None:
    gateway, paper = gateway_on(WHOLE)
    gateway._api_key = ""
    assert isinstance(gateway.submit(instruction(), SOON), NeverSent)
    assert paper.asked == []
