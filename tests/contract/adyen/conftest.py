"""A running fake of Adyen, and a shop that speaks to it with Adyen's official library."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

import Adyen
import pytest

from local.adyen.running import API_KEY, MERCHANT_ACCOUNT, AdyenHandle
from local.adyen.server import AdyenServer
from local.receiver import running_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.receiver import ReceiverServer

# Of https://github.com/Adyen/adyen-python-api-library/blob/16.0.0/test/UtilTest.py
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
RETURN_URL = "https://shop.example/back?order=1"
DAY_SECONDS = 86_400
_numbers = itertools.count(1)


def library(url: str, api_key: str = API_KEY, transport: str = "requests", timeout_seconds: int = 10) -> Adyen.Adyen:
    """Return the official library, pointed at ``url`` by the one attribute that its services take it from."""
    client = Adyen.Adyen(xapikey=api_key, platform="test", http_force=transport, http_timeout=timeout_seconds)
    for service in (client.checkout.payments_api, client.checkout.modifications_api, client.checkout.recurring_api):
        service.baseUrl = url
    return client


@dataclass(frozen=True)
class Shop:
    """What a shop asks, through the official library, and what it has to read in the fake's books."""

    handle: AdyenHandle
    client: Adyen.Adyen

    def body(self, reference: str, value: int = 1_000, holder: str = "Ada Lovelace", **members: Any) -> dict[str, Any]:
        """Return the request of a card payment."""
        return {
            "merchantAccount": MERCHANT_ACCOUNT,
            "reference": reference,
            "amount": {"value": value, "currency": "EUR"},
            "paymentMethod": {"type": "scheme", "holderName": holder},
            "returnUrl": RETURN_URL,
            **members,
        }

    def pay(self, reference: str, value: int = 1_000, *, key: str | None = None, **members: Any) -> dict[str, Any]:
        """Pay and return the answer."""
        body = self.body(reference, value, **members)
        answer: dict[str, Any] = self.client.checkout.payments_api.payments(body, idempotency_key=key).message
        return answer

    def details(self, result: str, *, key: str | None = None, name: str = "redirectResult") -> dict[str, Any]:
        """Submit the result of a redirect or of a native step."""
        body = {"details": {name: result}}
        answer: dict[str, Any] = self.client.checkout.payments_api.payments_details(body, idempotency_key=key).message
        return answer

    def modify(
        self, kind: str, psp_reference: str, value: int | None = None, *, key: str | None = None, reference: str = ""
    ) -> dict[str, Any]:
        """Ask for a capture, cancel, refund or reversal."""
        api = self.client.checkout.modifications_api
        call = {
            "capture": api.capture_authorised_payment,
            "cancel": api.cancel_authorised_payment_by_psp_reference,
            "refund": api.refund_captured_payment,
            "reversal": api.refund_or_cancel_payment,
        }[kind]
        body: dict[str, Any] = {"merchantAccount": MERCHANT_ACCOUNT, "reference": reference or f"{kind}-1"}
        if value is not None:
            body["amount"] = {"value": value, "currency": "EUR"}
        answer: dict[str, Any] = call(body, psp_reference, idempotency_key=key).message
        return answer

    def told(self) -> list[tuple[str, str, str]]:
        """Return event, success and reason of every notification so far, once all that is due now is done."""
        self.handle.advance()
        items = [row["item"] for row in self.handle.notifications()]
        return [(item["eventCode"], item["success"], item["reason"]) for item in items]

    def payment(self, reference: str) -> dict[str, Any]:
        """Return the one payment of a reference, from the books."""
        self.handle.advance()
        [row] = self.handle.payments(reference=reference)
        return row


class NoRedirects(HTTPRedirectHandler):
    """Gives the answer to a redirect instead of following it away from this machine."""

    def redirect_request(self, *_: Any) -> None:
        return None

    def http_error_302(self, _request: Any, answer: Any, *_: Any) -> Any:
        return answer


def at_the_bank(url: str, said: str) -> str:
    """Open the payer's page, follow one of its links, and return the address to which the payer is sent back."""
    opener = build_opener(NoRedirects())
    with opener.open(url, timeout=10) as page:
        text = page.read().decode()
    part = urlsplit(url)
    assert f'id="{said}"' in text
    with opener.open(f"{part.scheme}://{part.netloc}{part.path}/{said}?{part.query}", timeout=10) as answer:
        return str(answer.headers["Location"])


def result_of(address: str) -> str:
    """Return the ``redirectResult`` that the payer brings back."""
    return parse_qs(urlsplit(address).query)["redirectResult"][0]


def items_of(receiver: ReceiverServer, path: str = "/adyen") -> list[dict[str, Any]]:
    """Return the items that arrived, each of a message of its own."""
    bodies = [json.loads(one.body) for one in receiver.received if one.path == path]
    return [body["notificationItems"][0]["NotificationRequestItem"] for body in bodies]


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[AdyenHandle]:
    """A fake of its own per test."""
    server = AdyenServer("127.0.0.1", 0, tmp_path / "adyen.sqlite")
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    yield AdyenHandle(server.base_url)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def shop(handle: AdyenHandle) -> Shop:
    """A shop that waits ten seconds for an answer."""
    return Shop(handle, library(handle.api_url))


@pytest.fixture
def receiver(handle: AdyenHandle) -> Iterator[ReceiverServer]:
    """A receiver to which the fake sends its signed notifications, as soon as they are due."""
    with running_receiver() as running:
        handle.subscribe(f"{running.url}/adyen", hmac_key=HMAC_KEY)
        yield running
        handle.subscribe("")
