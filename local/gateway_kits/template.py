"""A template: what the author of Toypay's adapter brings.

``python -m payonce.gateways.check local.gateway_kits.template``
"""

from __future__ import annotations

import itertools
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.gateway_kits.template_events import SIGNATURE_HEADER, TOLERANCE_SECONDS, ToypayNoticeReader, sign
from local.gateway_kits.template_gateway import TOYPAY_CAPABILITIES, ToypayGateway
from local.gateway_kits.template_server import ToypayBooks, running_toypay
from payonce.domain.gateway import OperationKind, PaymentMethodType
from payonce.gateways.check.vendor import NotBroughtError, SignedEvent, Token, Vendor, VendorFault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.domain.gateway import AwaitsPayer, GatewayCapabilities, Instruction
    from payonce.ports import Clock, Gateway, NoticeReader

SECRET, OTHER_SECRET = "toypay_secret", "another_secret"
_FAULTS = {VendorFault.THROTTLED: "throttled", VendorFault.FAILURE_KEPT: "kept", VendorFault.BOOKED_LATE: "late"}
_LIVE = frozenset({"authorized", "paid", "voided", "open", "processing"})
_numbers = itertools.count(1)


class ToypayVendor(Vendor):
    """``Vendor`` for Toypay."""

    def __init__(self, url: str, books: ToypayBooks, capabilities: GatewayCapabilities = TOYPAY_CAPABILITIES) -> None:
        self.url = url
        self._books = books
        self._capabilities = capabilities

    def make_adapter(self, url: str, clock: Clock) -> Gateway:
        """See ``Vendor``."""
        return ToypayGateway("toypay", url, "key_of_nobody", clock, self._capabilities)

    def count(self, instruction: Instruction) -> int:
        """See ``Vendor``."""
        payments = list(self._books.payments.values())
        if instruction.kind is OperationKind.PAYMENT:
            mine = [row for row in payments if row["reference"] == instruction.gateway_reference]
            return sum(row["status"] in _LIVE for row in mine)
        operations = [one for row in payments for one in row["operations"]]
        return sum(one["reference"] == instruction.gateway_reference for one in operations)

    def token(self, token: Token) -> str:
        """See ``Vendor``."""
        if token is Token.NEEDS_CONFIRMATION:
            raise NotBroughtError("Toypay needs no confirmation")
        return token.value

    def method_token(self, method_type: PaymentMethodType) -> str:
        """See ``Vendor``."""
        return "debit" if method_type is PaymentMethodType.BANK_DEBIT else "ok"

    def answer_as_payer(self, waiting: AwaitsPayer, *, approve: bool) -> str | None:
        """See ``Vendor``."""
        self._books.pay(waiting.gateway_object_id, approve=approve)
        return None

    def give_back(self, gateway_refund_id: str) -> None:
        """See ``Vendor``."""
        self._books.give_back(gateway_refund_id)

    def advance(self, seconds: float) -> None:
        """See ``Vendor``."""
        self._books.ahead_seconds += seconds

    @contextmanager
    def misbehave(self, fault: VendorFault) -> Iterator[None]:
        """See ``Vendor``."""
        self._books.fault = _FAULTS[fault]
        try:
            yield
        finally:
            self._books.fault = ""

    def notice_reader(self, *, trusted: bool = True) -> NoticeReader:
        """See ``Vendor``."""
        return ToypayNoticeReader([SECRET if trusted else OTHER_SECRET])

    def event_about(self, instruction: Instruction, gateway_charge_id: str) -> SignedEvent:
        """See ``Vendor``."""
        now = int(time.time())
        event = {"id": f"ev_{next(_numbers)}", "type": "payment.paid", "created": now, "payment_id": gateway_charge_id}
        body = json.dumps({**event, "reference": instruction.gateway_reference}).encode()
        headers = {SIGNATURE_HEADER: sign(SECRET, now, body)}
        return SignedEvent(body=body, headers=headers, stale_after_seconds=TOLERANCE_SECONDS)


@contextmanager
def vendor() -> Iterator[Vendor]:
    """Run Toypay."""
    books = ToypayBooks()
    with running_toypay(books) as url:
        yield ToypayVendor(url, books)
