"""Adyen's adapter on the fake of ``local/adyen``, for the contract suite.

``python -m payonce.gateways.check local.gateway_kits.adyen``. Its lookups rest on notifications, which are received,
verified and kept as in production.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

from local.adyen.running import API_KEY, MERCHANT_ACCOUNT, running_adyen
from local.receiver import running_receiver
from payonce.clock import SystemClock
from payonce.domain.gateway import PaymentMethodType
from payonce.gateways.account_notices import PlatformNotices
from payonce.gateways.adyen_gateway import adyen_from_options
from payonce.gateways.adyen_notices import AdyenNoticeReader
from payonce.gateways.check.vendor import (
    EventOrder,
    NotBroughtError,
    SetupFault,
    SignedEvent,
    Token,
    Vendor,
    VendorFault,
)
from payonce.notices.acceptance import Acceptance
from payonce.notices.told import KeptNoticeBook
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_queue import MemoryQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.adyen.running import AdyenHandle
    from local.receiver import ReceiverServer
    from payonce.domain.gateway import AwaitsPayer, Instruction, MethodSaved
    from payonce.ports import Clock, Gateway, NoticeReader

# Of https://github.com/Adyen/adyen-python-api-library/blob/16.0.0/test/UtilTest.py
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
GATEWAY = "adyen"
SETTLEMENT_SECONDS = 3 * 86_400  # more than the fake's debits take, and less than an authorization lasts
PATIENCE_SECONDS = 5
_FAILED = frozenset({"failed", "reversed"})
_FAULTS = {
    VendorFault.THROTTLED: "throttle",
    VendorFault.FAILURE_KEPT: "error_kept",
    VendorFault.BOOKED_LATE: "book_late",
}
_HOLDERS = {
    Token.DECLINED: "DECLINED",
    Token.DECLINED_AT_SETUP: "DECLINED",
    Token.DECLINED_LATER: "LATER : NOT_ENOUGH_BALANCE",
    Token.NEEDS_PAYER: "AUTHENTICATE",
    Token.NEEDS_CONFIRMATION: "AUTHENTICATE",
}
_SETUP_FAULTS: dict[SetupFault, dict[str, Any]] = {
    SetupFault.SAVED_LATE: {"token_in_answer": False, "token_delay_ms": 3_600_000},
    SetupFault.SAVED_NOTHING: {"tokens_fail": True},
}
_ORDERS: dict[EventOrder, dict[str, Any]] = {
    EventOrder.TWICE: {"duplicates": 1},
    EventOrder.REVERSED: {"order": "reversed"},
    EventOrder.LATE: {"held": True},
}
EVENT_SECONDS = 0.1  # in which an event that precedes the answer is taken
_METHODS = {
    PaymentMethodType.BANK_TRANSFER: "ideal",
    PaymentMethodType.VOUCHER: "multibanco",
}
_numbers = itertools.count(1)


class AdyenVendor(Vendor):
    """``Vendor`` for a running fake, whose notifications arrive at ``receiver``."""

    customer = "shopper_1"
    other_customer = "shopper_2"

    def __init__(self, handle: AdyenHandle, receiver: ReceiverServer) -> None:
        self.url = handle.api_url
        self._handle = handle
        self._receiver = receiver
        self._taken = 0
        self._taking = threading.Lock()
        self._database, self._queue = MemoryDatabase(), MemoryQueue()
        self._reader = PlatformNotices(AdyenNoticeReader([HMAC_KEY]), MERCHANT_ACCOUNT)

    def make_adapter(self, url: str, clock: Clock) -> Gateway:
        """See ``Vendor``."""
        options = {"url": url, "merchant_account": MERCHANT_ACCOUNT, "return_url": "https://shop.example/back"}
        book = KeptNoticeBook(self._database)
        return adyen_from_options(GATEWAY, options, {"adyen_api_key": API_KEY}, book, clock)

    def count(self, instruction: Instruction) -> int:
        """See ``Vendor``. A payment that waits is no operation yet, and counts all the same."""
        reference = instruction.gateway_reference
        rows = self._handle.books(kind=instruction.kind.value, reference=reference)
        return sum(row["status"] not in _FAILED for row in rows)

    def token(self, token: Token) -> str:
        """See ``Vendor``: a stored method of the customer's, whose name decides."""
        if token in {Token.DEBIT, Token.DEBIT_FAILS}:
            raise NotBroughtError("the fake's stored methods are cards")
        holder = _HOLDERS.get(token)
        # Any other name is a card that pays. Each is another one, so that each set-up stores its own.
        return f"STORED_{holder or f'CARD_{next(_numbers)}'}"

    def method_token(self, method_type: PaymentMethodType) -> str:
        """See ``Vendor``."""
        if method_type is PaymentMethodType.CARD:
            return self.token(Token.OK)
        if method_type not in _METHODS:
            raise NotBroughtError(f"the fake has no {method_type} that needs no details")
        return _METHODS[method_type]

    def answer_as_payer(self, waiting: AwaitsPayer, *, approve: bool) -> str | None:
        """See ``Vendor``: the payer follows a link of the bank's page, and is sent back with a result."""
        if waiting.action is None or waiting.action.url is None:
            raise NotBroughtError("no page")
        part = urlsplit(waiting.action.url)
        link = f"{part.scheme}://{part.netloc}{part.path}/{'approved' if approve else 'refused'}?{part.query}"
        with build_opener(_NoRedirects()).open(link, timeout=10) as answer:
            address: str = answer.headers["Location"]
        return parse_qs(urlsplit(address).query)["redirectResult"][0]

    def settle(self) -> None:
        """See ``Vendor``."""
        self.advance(SETTLEMENT_SECONDS)

    def advance(self, seconds: float) -> None:
        """See ``Vendor``."""
        self._handle.advance(seconds)
        self.deliver()

    def deliver(self) -> None:
        """See ``Vendor``."""
        self._handle.advance()
        self._take()

    def _take(self) -> None:
        with self._taking:
            clock = SystemClock()
            acceptance = Acceptance(database=self._database, queue=self._queue, clock=clock)
            arrived = self._receiver.received[self._taken :]
            for request in arrived:
                notices = self._reader.read(request.body, request.headers, now_ms=clock.now_ms())
                acceptance.accept(GATEWAY, notices, request.body)
            self._taken += len(arrived)

    @contextmanager
    def misbehave(self, fault: VendorFault) -> Iterator[None]:
        """See ``Vendor``."""
        with self._handle.misbehaving(_FAULTS[fault], times=1, delay_ms=600):
            yield

    @contextmanager
    def misbehave_at_setup(self, fault: SetupFault) -> Iterator[None]:
        """See ``Vendor``."""
        self._handle.configure(**_SETUP_FAULTS[fault])
        try:
            yield
        finally:
            self._handle.configure(token_in_answer=True, token_delay_ms=0, tokens_fail=False)

    @contextmanager
    def in_order(self, order: EventOrder) -> Iterator[None]:
        """See ``Vendor``."""
        if order is EventOrder.BEFORE_ANSWER:
            with self._taking_at_once(), self._handle.misbehaving("events_before_answer"):
                yield
            return
        self._subscribe(**_ORDERS[order])
        try:
            yield
        finally:
            self._subscribe(duplicates=0, order="as_they_happen", held=False)

    @contextmanager
    def _taking_at_once(self) -> Iterator[None]:
        """Take each event as soon as it arrives; the fake waits for the receiver, and answers after that."""
        over = threading.Event()

        def take() -> None:
            while not over.wait(EVENT_SECONDS / 10):
                self._take()

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        self._receiver.delay_seconds = EVENT_SECONDS
        try:
            yield
        finally:
            self._receiver.delay_seconds = 0
            over.set()
            thread.join()

    def _subscribe(self, **values: Any) -> None:
        self._handle.subscribe(f"{self._receiver.url}/adyen", **values)

    def end_by_hand(self, saved: MethodSaved) -> None:
        """See ``Vendor``. Adyen's id ends the token, whatever an adapter puts before it."""
        self._handle.act("disable_token", id=saved.token.rpartition(":")[2])

    def notice_reader(self, *, trusted: bool = True) -> NoticeReader:
        """See ``Vendor``."""
        return self._reader if trusted else AdyenNoticeReader([HMAC_KEY[::-1]])

    def event_about(self, instruction: Instruction, gateway_charge_id: str) -> SignedEvent:
        """See ``Vendor``: what the fake has posted. Adyen signs eight fields, and no time."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            self._handle.advance()
            for request in self._receiver.received:
                if gateway_charge_id.encode() in request.body:
                    return SignedEvent(body=request.body, headers=request.headers, signs_bytes=False)
        raise NotBroughtError("no notification has come")


class _NoRedirects(HTTPRedirectHandler):
    """Gives the answer to a redirect instead of following it to the shop."""

    def http_error_302(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        del req, code, msg, headers
        return fp


@contextmanager
def vendor() -> Iterator[Vendor]:
    """Run the fake and a receiver of its notifications."""
    with tempfile.TemporaryDirectory() as folder, running_adyen(Path(folder)) as handle, running_receiver() as receiver:
        handle.subscribe(f"{receiver.url}/adyen", hmac_key=HMAC_KEY)
        yield AdyenVendor(handle, receiver)
