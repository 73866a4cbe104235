"""The adapter of Adyen on the fake, over HTTP: its notifications are received, verified and kept as in production."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.adyen.running import API_KEY, MERCHANT_ACCOUNT, AdyenHandle, running_adyen
from local.receiver import running_receiver
from payonce.gateways.account_notices import PlatformNotices
from payonce.gateways.adyen_gateway import AdyenGateway, adyen_from_options
from payonce.gateways.adyen_notices import AdyenNoticeReader
from payonce.notices.acceptance import Acceptance
from payonce.notices.told import KeptNoticeBook
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_queue import MemoryQueue
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.receiver import ReceiverServer
    from payonce.ports import Clock, Database

# Of https://github.com/Adyen/adyen-python-api-library/blob/16.0.0/test/UtilTest.py
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
GATEWAY = "adyen"
SHOPPER = "shopper_1"
RETURN_URL = "https://shop.example/back"
CLOCK = RealClock()
_numbers = itertools.count(1)


def token(holder: str = "") -> str:
    """Return a token of the shopper's: of a card of its own, or of the fake's card with this holder."""
    return f"STORED_{holder}" if holder else f"pm_token_A{next(_numbers)}"


@dataclass
class AdyenStage:
    """A running fake, what receives its notifications, and the database in which they are kept."""

    handle: AdyenHandle
    receiver: ReceiverServer
    clock: Clock = CLOCK
    database: Database = field(default_factory=MemoryDatabase)
    taken: int = 0

    def __post_init__(self) -> None:
        self.queue = MemoryQueue()
        self.reader = PlatformNotices(AdyenNoticeReader([HMAC_KEY]), MERCHANT_ACCOUNT)

    def gateway(self, url: str | None = None) -> AdyenGateway:
        """Return the adapter, at the fake unless ``url`` says otherwise."""
        options = {
            "url": url or self.handle.api_url,
            "merchant_account": MERCHANT_ACCOUNT,
            "return_url": RETURN_URL,
        }
        book = KeptNoticeBook(self.database)
        return adyen_from_options(GATEWAY, options, {"adyen_api_key": API_KEY}, book, CLOCK)

    def feed(self, seconds: float = 0) -> int:
        """Let time pass at Adyen, and keep what has arrived since; return how many notices that are."""
        self.handle.advance(seconds)
        acceptance = Acceptance(database=self.database, queue=self.queue, clock=self.clock)
        arrived, count = self.receiver.received[self.taken :], 0
        for request in arrived:
            notices = self.reader.read(request.body, request.headers, now_ms=self.clock.now_ms())
            acceptance.accept(GATEWAY, notices, request.body)
            count += len(notices)
        self.taken += len(arrived)
        return count

    def charges_of(self, payment_method: str) -> list[dict[str, object]]:
        """Return the executed charges of a stored method, from the fake's books."""
        executed = {row["psp_reference"] for row in self.handle.charges()}
        return [
            row for row in self.handle.payments(stored_method_id=payment_method) if row["psp_reference"] in executed
        ]


@contextmanager
def adyen_stage(folder: Path) -> Iterator[AdyenStage]:
    """Run a fake in a process of its own, with a receiver of its notifications."""
    with running_adyen(folder) as handle, running_receiver() as receiver:
        handle.subscribe(f"{receiver.url}/adyen", hmac_key=HMAC_KEY)
        yield AdyenStage(handle, receiver)
