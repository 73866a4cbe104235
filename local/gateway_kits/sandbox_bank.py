"""The sandbox bank for the contract suite, in its characters.

``python -m payonce.gateways.check local.gateway_kits.sandbox_bank``, or ``…sandbox_bank:forgetful``, ``:late``,
``:remembering``.
"""

from __future__ import annotations

import base64
import itertools
import json
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from local.sandbox_bank.running import running_bank
from local.sandbox_bank.sender import signature
from payonce.domain.gateway import OperationKind, PaymentMethodType
from payonce.gateways.check.vendor import NotBroughtError, SignedEvent, Token, Vendor, VendorFault
from payonce.gateways.sandbox_bank import sandbox_bank_from_options
from payonce.gateways.sandbox_bank_notices import SandboxBankNoticeReader
from payonce.webhooks.verify import DEFAULT_TOLERANCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from local.sandbox_bank.running import BankHandle
    from payonce.domain.gateway import AwaitsPayer, Instruction, MethodSaved
    from payonce.ports import Clock, Gateway, NoticeReader

SECRET, OTHER_SECRET = ("whsec_" + base64.b64encode(bytes(range(start, start + 32))).decode() for start in (0, 32))
KEYS_SECONDS = 86_400
BOOKED_AFTER_MS = 600
_LIVE = frozenset({"succeeded", "requires_action", "processing"})
_numbers = itertools.count(1)
_TOKENS = {
    Token.DECLINED: "tok_declined",
    Token.DECLINED_AT_SETUP: "tok_declined",
    Token.NEEDS_PAYER: "tok_3ds",
    Token.NEEDS_CONFIRMATION: "tok_3ds_confirm",
    Token.DEBIT: "tok_debit",
    Token.DEBIT_FAILS: "tok_debit_fails",
}
_FAULTS: dict[VendorFault, dict[str, Any]] = {
    VendorFault.THROTTLED: {"mode": "throttle"},
    VendorFault.FAILURE_KEPT: {"mode": "error_kept"},
    VendorFault.BOOKED_LATE: {"mode": "book_late", "delay_ms": BOOKED_AFTER_MS},
}


class BankVendor(Vendor):
    """``Vendor`` for one bank of the process."""

    other_customer = "customer-8"

    def __init__(self, handle: BankHandle, bank: str, *, keys: bool) -> None:
        self.url = handle.base_url(bank)
        self._handle = handle
        self._bank = bank
        self._keys = keys

    def make_adapter(self, url: str, clock: Clock) -> Gateway:
        """See ``Vendor``."""
        options = {"url": url, "key_retention_seconds": KEYS_SECONDS if self._keys else 0}
        return sandbox_bank_from_options(self._bank, options, {"sandbox_bank_api_key": "x"}, clock)

    def count(self, instruction: Instruction) -> int:
        """See ``Vendor``."""
        rows = self._handle.books(bank=self._bank, reference=instruction.gateway_reference, kind=instruction.kind.value)
        return sum(row["status"] in _LIVE for row in rows)

    def token(self, token: Token) -> str:
        """See ``Vendor``."""
        if token is Token.DECLINED_LATER:
            raise NotBroughtError("the bank declines no method that it has saved")
        return _TOKENS.get(token) or f"pm_{next(_numbers)}"

    def method_token(self, method_type: PaymentMethodType) -> str:
        """See ``Vendor``."""
        named = {
            PaymentMethodType.BANK_DEBIT: "tok_debit",
            PaymentMethodType.BANK_TRANSFER: "tok_transfer",
            PaymentMethodType.VOUCHER: "tok_voucher",
            PaymentMethodType.PAY_LATER: "tok_pay_later",
        }
        return named.get(method_type, "tok_ok")

    def answer_as_payer(self, waiting: AwaitsPayer, *, approve: bool) -> str | None:
        """See ``Vendor``: the payer presses a button of the bank's page, and is sent back with a result."""
        if waiting.action is None or waiting.action.url is None:
            raise NotBroughtError("no page")
        body = urlencode({"answer": "approve" if approve else "decline"}).encode()
        with build_opener(_NoRedirects()).open(Request(waiting.action.url, data=body), timeout=10) as answer:
            address: str = answer.headers.get("Location", "")
        results = parse_qs(urlsplit(address).query).get("payment_result", [])
        return results[0] if results else None

    def settle(self) -> None:
        """See ``Vendor``. Ten days: a debit is settled, and nothing of the suite's is reversed or expired."""
        self._handle.advance(self._bank, days=10)

    def advance(self, seconds: float) -> None:
        """See ``Vendor``."""
        self._handle.advance(self._bank, seconds=seconds)

    def act_by_hand(self, kind: OperationKind, gateway_charge_id: str, amount_minor: int) -> None:
        """See ``Vendor``."""
        action = {OperationKind.VOID: "cancel"}.get(kind, kind.value)
        self._handle.dashboard(self._bank, action, charge_id=gateway_charge_id, amount_minor=amount_minor)

    def give_back(self, gateway_refund_id: str) -> None:
        """See ``Vendor``."""
        refunds = self._handle.books(bank=self._bank, kind=OperationKind.REFUND.value)
        [charge_id] = [row["charge_id"] for row in refunds if row["operation_id"] == gateway_refund_id]
        named = {"charge_id": charge_id, "operation_id": gateway_refund_id}
        self._handle.dashboard(self._bank, "return_refund", **named)

    def end_by_hand(self, saved: MethodSaved) -> None:
        """See ``Vendor``."""
        self._handle.dashboard(self._bank, "revoke", saved_method=saved.token)

    @contextmanager
    def misbehave(self, fault: VendorFault) -> Iterator[None]:
        """See ``Vendor``."""
        values = dict(_FAULTS[fault])
        with self._handle.misbehaving(self._bank, values.pop("mode"), times=1, **values):
            yield

    def notice_reader(self, *, trusted: bool = True) -> NoticeReader:
        """See ``Vendor``."""
        return SandboxBankNoticeReader([SECRET if trusted else OTHER_SECRET])

    def event_about(self, instruction: Instruction, gateway_charge_id: str) -> SignedEvent:
        """See ``Vendor``."""
        data = {
            "object": "payment",
            "charge_id": gateway_charge_id,
            "reference": instruction.gateway_reference,
            "payment_reference": instruction.gateway_reference,
            "status": "succeeded",
        }
        now, identity = int(time.time()), f"evt_{next(_numbers)}"
        event = {"id": identity, "type": "payment.succeeded", "created_at_ms": now * 1000, "data": data}
        body = json.dumps({**event, "bank": self._bank}).encode()
        headers = {
            "webhook-id": identity,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(SECRET, identity, now, body),
        }
        return SignedEvent(body=body, headers=headers, stale_after_seconds=DEFAULT_TOLERANCE_SECONDS)


class _NoRedirects(HTTPRedirectHandler):
    """Gives the answer to a redirect instead of following it to the shop."""

    def http_error_303(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        del req, code, msg, headers
        return fp


@contextmanager
def _bank(name: str, *, keys: bool) -> Iterator[BankVendor]:
    with tempfile.TemporaryDirectory() as folder, running_bank(Path(folder)) as handle:
        if name == "late":
            handle.configure(name, visible_after_ms=300)
        yield BankVendor(handle, name, keys=keys)


@contextmanager
def vendor() -> Iterator[Vendor]:
    """Run the bank that keeps the failure of ``VendorFault.FAILURE_KEPT``, and honours keys for a day."""
    with _bank("remembering", keys=True) as running:
        yield running


remembering = vendor


@contextmanager
def forgetful() -> Iterator[Vendor]:
    """Run the bank that ignores keys."""
    with _bank("forgetful", keys=False) as running:
        yield running


@contextmanager
def late() -> Iterator[Vendor]:
    """Run the bank that ignores keys and shows its bookings late."""
    with _bank("late", keys=False) as running:
        yield running
