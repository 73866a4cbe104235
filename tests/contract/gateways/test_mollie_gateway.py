"""What Mollie alone has: listings without a filter, releases without an id, and cancellations that it may refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from local.mollie.server import MollieApi, running_mollie
from payonce.domain.errors import MisconfiguredError
from payonce.domain.exchange import Answered
from payonce.domain.gateway import (
    AwaitsPayer,
    CaptureMethod,
    ChargeRefund,
    ChargeState,
    Declined,
    DisputeState,
    Instruction,
    NotFound,
    OperationKind,
    Overtaken,
    Payer,
    PaymentMethodType,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money
from payonce.gateways.mollie_gateway import URL, MollieGateway, mollie_from_options
from payonce.gateways.mollie_http import MAX_PAGES, PAGE_ROWS, MollieHttp
from payonce.ports import Deadline
from payonce.wiring.gateways import make_gateway
from payonce.wiring.settings import GatewaySettings
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.mollie.books import MollieBooks
    from payonce.domain.exchange import Exchange

CLOCK = RealClock()


class Shop:
    """The adapter and the fake that it talks to."""

    def __init__(self, api: MollieApi, url: str) -> None:
        self.books: MollieBooks = api.books
        self.gateway = MollieGateway("mollie", url, api.api_key, CLOCK)
        self.numbers = iter(range(1, 10_000))

    @property
    def by(self) -> Deadline:
        """A deadline that is far enough."""
        return Deadline(CLOCK.now_ms() + 20_000)

    def payment(self, **changed: Any) -> Instruction:
        """A new card payment, or another one."""
        number = next(self.numbers)
        first = Instruction(
            kind=OperationKind.PAYMENT,
            gateway_reference=f"pay_{number}-1",
            merchant_id="mer_1",
            payment_id=f"pay_{number}",
            money=Money(1_000, "EUR"),
            capture_method=CaptureMethod.AUTOMATIC,
            payment_method="creditcard",
            first_submitted_at_ms=CLOCK.now_ms(),
            return_url="https://shop.example/back",
        )
        return replace(first, **changed)

    def waiting(self, instruction: Instruction) -> AwaitsPayer:
        """Submit it."""
        outcome = self.gateway.submit(instruction, self.by)
        assert isinstance(outcome, AwaitsPayer)
        return outcome

    def paid(self, instruction: Instruction) -> str:
        """Submit it, let its payer pay, and return the charge."""
        identity = self.waiting(instruction).gateway_object_id
        self.books.pay(identity, approve=True)
        return identity

    def after(self, kind: OperationKind, first: Instruction, charge_id: str, amount_minor: int) -> Instruction:
        """A capture, void or refund."""
        reference = f"{kind}_{next(self.numbers)}-1"
        money = Money(amount_minor, first.money.currency)
        return replace(first, kind=kind, gateway_reference=reference, money=money, gateway_charge_id=charge_id)

    def ended(self, instruction: Instruction) -> object:
        """Submit it, let a week pass, and look it up as payonce does."""
        outcome = self.gateway.submit(instruction, self.by)
        if not isinstance(outcome, Pending):
            return outcome
        self.books.ahead_seconds += 7 * 86_400
        return self.gateway.find(replace(instruction, gateway_operation_id=outcome.gateway_object_id), self.by)


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A fresh fake."""
    api = MollieApi()
    with running_mollie(api) as url:
        yield Shop(api, url)


def test_a_payment_is_found_on_the_second_page_of_all(shop: Shop) -> None:
    """https://docs.mollie.com/reference/list-payments: at most 250 a page, "from newest to oldest", and no filter."""
    instruction = shop.payment()
    waiting = shop.waiting(instruction)
    _fill(shop, PAGE_ROWS)
    assert shop.gateway.find(instruction, shop.by) == waiting
    assert shop.gateway.find(shop.payment(), shop.by) == NotFound()


def test_a_listing_that_is_too_long_says_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not found is only what a whole listing says."""
    monkeypatch.setattr("payonce.gateways.mollie_http.MAX_PAGES", 2)
    assert MAX_PAGES > 2
    instruction = shop.payment()
    shop.waiting(instruction)
    _fill(shop, 2 * PAGE_ROWS)
    assert isinstance(shop.gateway.find(instruction, shop.by), Unknown)


def test_a_listing_is_read_no_further_back_than_the_submission(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile has millions of payments: those of before are not asked for."""
    monkeypatch.setattr("payonce.gateways.mollie_http.MAX_PAGES", 2)
    shop.books.ahead_seconds = -86_400
    _fill(shop, 3 * PAGE_ROWS)
    shop.books.ahead_seconds = 0
    assert shop.gateway.find(shop.payment(), shop.by) == NotFound()


def test_a_customers_payments_are_listed_apart(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """https://docs.mollie.com/reference/list-customer-payments."""
    monkeypatch.setattr("payonce.gateways.mollie_http.MAX_PAGES", 1)
    instruction = shop.payment(customer="cst_1")
    waiting = shop.waiting(instruction)
    _fill(shop, 2 * PAGE_ROWS)
    assert shop.gateway.find(instruction, shop.by) == waiting


def _fill(shop: Shop, payments: int) -> None:
    asked = {"amount": {"currency": "EUR", "value": "1.00"}, "description": "x", "redirectUrl": "https://x.example"}
    for _ in range(payments):
        shop.books.create_payment({**asked, "method": "ideal", "metadata": {"reference": "another-1"}})


def test_two_payments_under_one_reference_are_an_error(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lookup tells of the one with money, and the log of both."""
    log = Mock()
    monkeypatch.setattr("payonce.gateways.mollie_lookup.get_logger", lambda: log)
    instruction = shop.payment()
    shop.waiting(instruction)
    body = {name: shop.books.payments["tr_0000000001"][name] for name in ("amount", "description", "metadata")}
    again = shop.books.create_payment({**body, "method": "creditcard", "redirectUrl": "https://x.example"})
    shop.books.pay(again["id"], approve=True)
    assert shop.gateway.find(instruction, shop.by) == Succeeded(again["id"], again["id"])
    assert log.error.call_args.kwargs["extra"]["objects"] == [again["id"], "tr_0000000001"]


class _Answers(MollieHttp):
    """Answers each request with the next of ``documents``."""

    def __init__(self, *documents: object) -> None:
        super().__init__(URL, "key", CLOCK)
        self.asked: list[str] = []
        self._documents = documents

    def send(
        self, method: str, path: str, deadline: Deadline, body: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> Exchange:
        """See ``MollieHttp``."""
        del method, deadline, body, key
        self.asked.append(path)
        return Answered(200, {}, json.dumps(self._documents[len(self.asked) - 1]).encode())


def _page(following: object) -> dict[str, object]:
    return {"_embedded": {"payments": []}, "_links": {"next": following}}


def test_the_key_follows_no_link() -> None:
    """Of the address of the next page only the id is used."""
    http = _Answers(_page({"href": "https://thief.example/v2/payments?from=tr_9&limit=1"}), _page(None))
    pages = list(http.pages("/payments", "payments", Deadline(0)))
    assert pages == [[], []]
    assert http.asked == ["/payments?limit=250", "/payments?limit=250&from=tr_9"]


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"_embedded": {"payments": []}},
        {"_embedded": {"payments": []}, "_links": {}},
        {"_embedded": {"payments": {}}, "_links": {"next": None}},
        {"_embedded": [], "_links": {"next": None}},
        _page("https://api.mollie.com/v2/payments?from=tr_9"),
        _page({"href": "https://api.mollie.com/v2/payments"}),
        _page({"href": 1}),
    ],
)
def test_a_page_that_does_not_say_whether_it_is_the_last_is_not_the_last(document: object) -> None:
    """What was not read whole has not said that a payment is not there."""
    assert list(_Answers(document).pages("/payments", "payments", Deadline(0)))[-1] is None


def test_a_release_after_a_part_was_captured_frees_the_rest(shop: Shop) -> None:
    """https://docs.mollie.com/reference/release-authorization: the payment is then paid, and not canceled."""
    first = shop.payment(capture_method=CaptureMethod.MANUAL)
    charge_id = shop.paid(first)
    assert isinstance(shop.ended(shop.after(OperationKind.CAPTURE, first, charge_id, 400)), Succeeded)
    void = shop.after(OperationKind.VOID, first, charge_id, 600)
    assert isinstance(shop.gateway.find(void, shop.by), Unknown)
    assert shop.ended(void) == Succeeded(charge_id, charge_id)
    assert _state(shop, charge_id) == (400, 0, False)


def test_a_release_after_all_was_captured_is_overtaken(shop: Shop) -> None:
    """Nothing is left to be freed."""
    first = shop.payment(capture_method=CaptureMethod.MANUAL)
    charge_id = shop.paid(first)
    assert isinstance(shop.ended(shop.after(OperationKind.CAPTURE, first, charge_id, 1_000)), Succeeded)
    void = shop.after(OperationKind.VOID, first, charge_id, 1_000)
    assert isinstance(shop.ended(void), Overtaken)
    assert isinstance(shop.gateway.find(void, shop.by), Overtaken)


def test_a_refund_that_was_canceled_in_the_dashboard_is_declined(shop: Shop) -> None:
    """https://docs.mollie.com/reference/get-refund: it is a 404 then, and in no listing."""
    first = shop.payment()
    charge_id = shop.paid(first)
    refund = shop.after(OperationKind.REFUND, first, charge_id, 300)
    pending = shop.gateway.submit(refund, shop.by)
    assert isinstance(pending, Pending)
    assert _state(shop, charge_id) == (1_000, 300, False)
    shop.books.payments[charge_id]["refunds"][0]["status"] = "canceled"
    found = shop.gateway.find(replace(refund, gateway_operation_id=pending.gateway_object_id), shop.by)
    assert isinstance(found, Declined)
    assert found.code == "canceled"
    assert _state(shop, charge_id) == (1_000, 0, False)


def test_a_refund_that_fails_after_it_was_processed_has_come_back(shop: Shop) -> None:
    """https://docs.mollie.com/docs/refunds: "The funds will be returned to your account". Fails when the refunds are
    not read with the charge.
    """
    first = shop.payment()
    charge_id = shop.paid(first)
    refund = shop.after(OperationKind.REFUND, first, charge_id, 300)
    pending = shop.gateway.submit(refund, shop.by)
    assert isinstance(pending, Pending)
    shop.books.ahead_seconds += 3 * 86_400
    shop.books.settle()
    held = replace(refund, gateway_operation_id=pending.gateway_object_id)
    assert isinstance(shop.gateway.find(held, shop.by), Succeeded)
    shop.books.give_back(pending.gateway_object_id)
    state = shop.gateway.read_charge(charge_id, shop.by)
    assert isinstance(state, ChargeState)
    came_back = ChargeRefund(
        gateway_refund_id=pending.gateway_object_id,
        amount_minor=300,
        gateway_reference=refund.gateway_reference,
        came_back=True,
    )
    assert (state.refunded_minor, state.refunds) == (0, (came_back,))


def _state(shop: Shop, charge_id: str) -> tuple[int, int, bool]:
    state = shop.gateway.read_charge(charge_id, shop.by)
    assert isinstance(state, ChargeState)
    return state.captured_minor, state.refunded_minor, state.voided


def test_what_mollie_does_not_let_be_canceled_waits_until_it_expires(shop: Shop) -> None:
    """https://docs.mollie.com/reference/cancel-payment: "depending on the payment method"."""
    instruction = shop.payment()
    waiting = shop.waiting(instruction)
    shop.books.can_cancel = False
    assert shop.gateway.withdraw(instruction, waiting, shop.by) == waiting
    shop.books.ahead_seconds += 900
    found = shop.gateway.withdraw(instruction, waiting, shop.by)
    assert isinstance(found, Declined)
    assert found.code == "payment_expired"


def test_the_cancellation_of_another_payment_leaves_this_one_waiting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer can belong to another request, and a payer who was told "declined" could still pay."""
    instruction = shop.payment()
    waiting = shop.waiting(instruction)
    row = shop.books.shown(shop.books.payments[waiting.gateway_object_id])
    for changed in ({"id": "tr_9"}, {"metadata": {"reference": "pay_9-1"}}):
        answer = Answered(200, {}, json.dumps({**row, "status": "canceled", **changed}).encode())
        monkeypatch.setattr(MollieHttp, "send", lambda *_, answer=answer, **__: answer)
        assert shop.gateway.withdraw(instruction, waiting, shop.by) == waiting


def test_the_payer_is_told_until_when(shop: Shop) -> None:
    """The address is Mollie's page, and ``expires_at_ms`` its ``expiresAt``."""
    action = shop.waiting(shop.payment()).action
    assert action is not None
    assert action.url == "https://www.mollie.com/checkout/select-method/tr_0000000001"
    assert action.expires_at_ms is not None
    assert 0 <= CLOCK.now_ms() + 900_000 - action.expires_at_ms < 60_000


def test_a_mandate_is_charged_without_its_payer(shop: Shop) -> None:
    """``sequenceType`` recurring: "the customer's card is charged automatically"."""
    card = shop.payment(payment_method="mdt_1", customer="cst_1", payer=Payer.ABSENT, return_url=None)
    assert isinstance(shop.gateway.submit(card, shop.by), Succeeded)
    refused = shop.gateway.submit(replace(card, gateway_reference="pay_x-1", payment_method="mdt_declined"), shop.by)
    assert isinstance(refused, Declined)
    assert refused.code == "insufficient_funds"
    assert isinstance(shop.gateway.submit(replace(card, payment_method="creditcard"), shop.by), Declined)
    assert len(shop.books.payments) == 2


def test_a_debit_that_is_taken_back_is_a_reversal(shop: Shop) -> None:
    """A card's chargeback is a dispute."""
    debit = {"payment_method": "mdt_1", "customer": "cst_1", "payment_method_type": PaymentMethodType.BANK_DEBIT}
    pending = shop.gateway.submit(shop.payment(**debit), shop.by)
    assert isinstance(pending, Pending)
    shop.books.ahead_seconds += 3 * 86_400
    shop.books.settle()
    card = shop.paid(shop.payment())
    for charge_id in (pending.gateway_object_id, card):
        shop.books.charge_back(charge_id, 1_000)
    debited, charged = (shop.gateway.read_charge(one, shop.by) for one in (pending.gateway_object_id, card))
    assert isinstance(debited, ChargeState)
    assert isinstance(charged, ChargeState)
    assert (debited.captured_minor, debited.reversed_minor, debited.disputes) == (1_000, 1_000, ())
    assert (charged.reversed_minor, len(charged.disputes)) == (0, 1)
    assert isinstance(charged.disputes[0], DisputeState)


def test_it_is_made_of_its_options_and_its_key_is_shown_nowhere() -> None:
    """The secret's member is ``<name>_api_key``."""
    gateway = mollie_from_options("mollie_nl", {}, {"mollie_nl_api_key": " test_secret "}, CLOCK)
    assert gateway.name == "mollie_nl"
    assert "test_secret" not in repr(gateway)
    for secrets in ({}, {"mollie_api_key": "test_secret"}, {"mollie_nl_api_key": " "}):
        with pytest.raises(MisconfiguredError):
            mollie_from_options("mollie_nl", {}, secrets, CLOCK)


class _Configured:
    gateways: Mapping[str, GatewaySettings] = {"nl": GatewaySettings(name="nl", kind="mollie")}


def test_it_is_wired_by_its_kind() -> None:
    """``PAYONCE_GATEWAYS`` names the kind ``mollie``."""
    settings: Any = _Configured()
    made = make_gateway(settings, "nl", lambda: {"nl_api_key": "test_secret"}, CLOCK, lambda: settings)
    assert isinstance(made, MollieGateway)
