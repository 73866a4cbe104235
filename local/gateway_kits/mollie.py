"""Mollie before the kit: the adapter on the fake of ``local/mollie``.

``python -m payonce.gateways.check local.gateway_kits.mollie``
"""

from __future__ import annotations

import itertools
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.mollie.server import MollieApi, running_mollie
from payonce.domain.gateway import OperationKind, PaymentMethodType
from payonce.gateways.check.vendor import NotBroughtError, SetupFault, SignedEvent, Token, Vendor, VendorFault
from payonce.gateways.mollie_gateway import MollieGateway
from payonce.gateways.mollie_notices import SIGNATURE_HEADER, MollieNoticeReader, sign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.domain.gateway import AwaitsPayer, Instruction, MethodSaved
    from payonce.ports import Clock, Gateway, NoticeReader

SECRET, OTHER_SECRET = "mollie_secret", "another_secret"
_FAULTS = {VendorFault.THROTTLED: "throttled", VendorFault.FAILURE_KEPT: "kept", VendorFault.BOOKED_LATE: "late"}
_TOKENS = {
    Token.OK: "creditcard",
    Token.NEEDS_PAYER: "creditcard",
    Token.DECLINED: "tkn_declined",
    Token.DECLINED_AT_SETUP: "tkn_declined",
    Token.DECLINED_LATER: "tkn_later",
    Token.DEBIT: "mdt_debit",
    Token.DEBIT_FAILS: "mdt_debitfails",
}
_METHODS = {
    PaymentMethodType.CARD: "creditcard",
    PaymentMethodType.WALLET: "paypal",
    PaymentMethodType.BANK_DEBIT: "mdt_debit",
    PaymentMethodType.BANK_TRANSFER: "ideal",
    PaymentMethodType.VOUCHER: "multibanco",
}
_numbers = itertools.count(1)


class MollieVendor(Vendor):
    """``Vendor`` for Mollie. Every card payment waits for its payer."""

    def __init__(self, url: str, api: MollieApi) -> None:
        self.url = url
        self.api = api
        # A mandate is its customer's.
        self.customer, self.other_customer = (str(api.books.customers.create({})["id"]) for _ in range(2))

    def make_adapter(self, url: str, clock: Clock) -> Gateway:
        """See ``Vendor``."""
        return MollieGateway("mollie", url, self.api.api_key, clock)

    def count(self, instruction: Instruction) -> int:
        """See ``Vendor``."""
        with self.api.books.lock:
            self.api.books.settle()
            rows = list(self.api.books.payments.values())
            if instruction.kind is OperationKind.VOID:
                return sum(row["releases"] for row in rows if row["id"] == instruction.gateway_charge_id)
            if instruction.kind not in {OperationKind.PAYMENT, OperationKind.SETUP}:
                rows = [one for row in rows for one in row[f"{instruction.kind}s"]]
            mine = [one for one in rows if one["metadata"]["reference"] == instruction.gateway_reference]
            alive = [one for one in mine if one["status"] not in {"failed", "expired"}]
            return sum(one["status"] != "canceled" or "authorizedAt" in one for one in alive)

    def token(self, token: Token) -> str:
        """See ``Vendor``."""
        if token is Token.NEEDS_CONFIRMATION:
            raise NotBroughtError("Mollie needs no confirmation")
        return _TOKENS[token]

    def method_token(self, method_type: PaymentMethodType) -> str:
        """See ``Vendor``."""
        return _METHODS[method_type]

    def answer_as_payer(self, waiting: AwaitsPayer, *, approve: bool) -> str | None:
        """See ``Vendor``."""
        with self.api.books.lock:
            self.api.books.settle()
            self.api.books.pay(waiting.gateway_object_id, approve=approve)
        return None

    def give_back(self, gateway_refund_id: str) -> None:
        """See ``Vendor``."""
        with self.api.books.lock:
            self.api.books.give_back(gateway_refund_id)

    def advance(self, seconds: float) -> None:
        """See ``Vendor``."""
        self.api.books.ahead_seconds += seconds

    @contextmanager
    def misbehave(self, fault: VendorFault) -> Iterator[None]:
        """See ``Vendor``."""
        self.api.fault = _FAULTS[fault]
        try:
            yield
        finally:
            self.api.fault = ""

    @contextmanager
    def misbehave_at_setup(self, fault: SetupFault) -> Iterator[None]:
        """See ``Vendor``. A mandate is pending while its account number has not arrived."""
        if fault is not SetupFault.SAVED_LATE:
            raise NotBroughtError("a first payment that is paid makes a mandate")
        usual = self.api.books.settings.iban_seconds
        self.api.books.settings.iban_seconds = dict.fromkeys(("creditcard", "ideal", "paypal", "None"), 3_600)
        try:
            yield
        finally:
            self.api.books.settings.iban_seconds = usual

    def end_by_hand(self, saved: MethodSaved) -> None:
        """See ``Vendor``: the card has expired, or the bank has withdrawn the mandate."""
        with self.api.books.lock:
            self.api.books.mandates.invalidate(saved.mandate_id or saved.token)

    def notice_reader(self, *, trusted: bool = True) -> NoticeReader:
        """See ``Vendor``."""
        return MollieNoticeReader([SECRET if trusted else OTHER_SECRET])

    def event_about(self, instruction: Instruction, gateway_charge_id: str) -> SignedEvent:
        """See ``Vendor``."""
        del instruction
        books = self.api.books
        entity = books.shown(books.payments[gateway_charge_id])
        event: dict[str, object] = {"resource": "event", "id": f"event_{next(_numbers)}", "type": "payment.paid"}
        event |= {"entityId": gateway_charge_id, "createdAt": books.moment(), "_embedded": {"entity": entity}}
        body = json.dumps(event).encode()
        return SignedEvent(body=body, headers={SIGNATURE_HEADER: sign(SECRET, body)})


@contextmanager
def vendor() -> Iterator[Vendor]:
    """Run the fake."""
    api = MollieApi()
    with running_mollie(api) as url:
        yield MollieVendor(url, api)
