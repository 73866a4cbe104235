"""A shop behind the routes whose gateway is Adyen's or Mollie's adapter on its fake, and what its payers do.

Between adapter and fake is a proxy that can lose answers. The fakes are of hands that have not seen the adapters.
"""

from __future__ import annotations

import itertools
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

from local.adyen.running import API_KEY, MERCHANT_ACCOUNT, running_adyen
from local.mollie.server import MollieApi, running_mollie
from local.receiver import running_receiver
from payonce.gateways.adyen_gateway import adyen_from_options
from payonce.gateways.check.fault_proxy import running_fault_proxy
from payonce.gateways.mollie_gateway import MollieGateway
from payonce.gateways.mollie_notices import SIGNATURE_HEADER, sign
from payonce.idempotency.record_items import WAITING_SHARDS
from payonce.notices.told import KeptNoticeBook
from payonce.ports import Deadline, Table
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_queue import MemoryQueue
from payonce.wiring.notices import NoticeApplication
from payonce.wiring.settings import load_settings
from tests.support.events import call
from tests.support.notices import post
from tests.support.recovery import recover
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.adyen.running import AdyenHandle
    from local.receiver import ReceiverServer
    from payonce.gateways.check.fault_proxy import FaultProxy

# Of https://github.com/Adyen/adyen-python-api-library/blob/16.0.0/test/UtilTest.py
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
MOLLIE_SECRET = "mollie_secret"
RETURN_URL = "https://shop.example/back"
PATIENCE_MS = 120_000  # what is in doubt is due by then
EVENTS = 50  # a bound against a test that goes on for ever
_numbers = itertools.count(1)


@dataclass
class VendorShop:
    """A merchant and one gateway, called ``bank``. What differs by vendor are the methods of its two kinds."""

    proxy: FaultProxy
    clock: RealClock = field(default_factory=RealClock)
    customer: str = ""
    asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = field(default_factory=list)

    kind = ""
    card = wallet = ""

    def __post_init__(self) -> None:
        self.customer = self.new_customer()
        configured = [{"name": "bank", "kind": self.kind, "url": self.proxy.url, "merchant_account": MERCHANT_ACCOUNT}]
        self.database = MemoryDatabase()
        self.application = NoticeApplication(
            load_settings({"PAYONCE_GATEWAYS": json.dumps(configured), "PAYONCE_ENVIRONMENT": "local"}),
            clock=self.clock,
            database=self.database,
            gateways={"bank": self.adapter()},
        )
        self.application.notice_queue = MemoryQueue()  # type: ignore[misc]
        secrets = {"bank_events_secret": HMAC_KEY if self.kind == "adyen" else MOLLIE_SECRET}
        self.application.read_event_secrets = lambda: secrets  # type: ignore[method-assign]

    def new_customer(self) -> str:
        """Return a customer that nobody else has."""
        return f"shopper-{next(_numbers):04d}"

    def adapter(self) -> Any:
        """Return the adapter, behind the proxy."""
        raise NotImplementedError

    def act(self, waiting: dict[str, Any], *, approve: bool) -> str | None:
        """Do what the payer does on the vendor's page; return what the payer comes back with."""
        raise NotImplementedError

    def made(self, setup_id: str) -> int:
        """Return how many authorisations of nothing the vendor has executed for the set-up, or can still execute."""
        raise NotImplementedError

    def stored(self) -> list[str]:
        """Return what the vendor has stored for the customer and would charge."""
        raise NotImplementedError

    def deliver(self) -> None:
        """Post the vendor's events so far, and apply them."""
        raise NotImplementedError

    # What a merchant asks.

    def ask(self, operation: str, body: dict[str, Any], *, key: str = "", **path: str) -> dict[str, Any]:
        """Return status and document of a request, which is kept with its bytes for ``replays``."""
        key = key or f"key-of-a-shop-{next(_numbers):06d}"
        options = {"key": key, "gateway": "bank", "path": path}
        said = call(self.application, operation, body, **options)
        self.asked.append((operation, {"body": body, **options}, said))
        return {"http": said["statusCode"], **json.loads(said["body"])}

    def set_up(self, **body: Any) -> dict[str, Any]:
        """Return the answer to a new set-up."""
        named = {"customer": self.customer, "payment_method": self.card, "currency": "EUR", "return_url": RETURN_URL}
        return self.ask("create_setup", named | body)

    def saved(self, **body: Any) -> str:
        """Return the id of the payment method that a new set-up saves, once its payer has agreed where asked."""
        setup = self.set_up(**body)
        if setup["status"] == "requires_action":
            result = self.act(setup, approve=True)
            if result is not None:
                self.ask("confirm_setup", {"payment_result": result}, setup_id=setup["id"])
            self.deliver()
        return str(self.setup(setup["id"])["saved_payment_method"])

    def setup(self, setup_id: str) -> dict[str, Any]:
        """Return the set-up as a merchant reads it."""
        return self._read("get_setup", setup_id=setup_id)

    def method(self, method_id: str) -> dict[str, Any]:
        """Return the saved payment method as a merchant reads it."""
        return self._read("get_payment_method", payment_method_id=method_id)

    def charge(self, method_id: str, **more: Any) -> dict[str, Any]:
        """Return the answer to a payment by the saved method, while the payer is absent."""
        body = {"amount_minor": 1050, "currency": "EUR", "payment_method": method_id, "off_session": True}
        return self.ask("create_payment", body | more)

    def revoke(self, method_id: str) -> dict[str, Any]:
        """Return the answer to a revocation."""
        return self.ask("revoke_payment_method", {}, payment_method_id=method_id)

    def _read(self, operation: str, **path: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(call(self.application, operation, None, path=path)["body"])
        return document

    # What happens without a request.

    def pass_time(self, ms: int = PATIENCE_MS) -> None:
        """Let time pass here, and let recovery and settlements look at what is due."""
        self.clock.offset_ms += ms
        recover(self.application)
        for shard in WAITING_SHARDS:
            for open_id in self.application.store.open_claims(shard, lease_expired_at_ms=self.clock.now_ms(), limit=99):
                self.application.recovery.recover(open_id, Deadline(self.clock.now_ms() + 25_000))

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        """Take an event as the vendor posts it."""
        assert post(self.application, body, headers, "bank") == 200

    def apply(self) -> list[str]:
        """Apply the events that were taken, at once what is to come later; return what has become of them."""
        queue: Any = self.application.notice_queue
        said = []
        for _ in range(EVENTS):
            if not queue.messages:
                break
            message = queue.messages.pop(0)
            self.clock.offset_ms += 1 + message.delay_seconds * 1_000
            said.append(self.application.applier.handle(message.body, Deadline(self.clock.now_ms() + 40_000)))
        return said

    def claims(self) -> int:
        """Return how many claims were ever stored."""
        return len(self.database._tables[Table.IDEMPOTENCY])

    def replays(self) -> None:
        """Every final answer is given again, byte for byte."""
        finals = [each for each in self.asked if each[2]["statusCode"] in {200, 201, 402}]
        assert finals
        for operation, options, said in finals:
            again = call(self.application, operation, **options)
            assert (again["statusCode"], again["body"]) == (said["statusCode"], said["body"]), operation


@dataclass
class AdyenShop(VendorShop):
    """At Adyen a card is a stored method of the shopper's; its authentication has to be confirmed."""

    handle: AdyenHandle = None  # type: ignore[assignment]
    receiver: ReceiverServer = None  # type: ignore[assignment]

    kind = "adyen"
    wallet = "paypal"

    def __post_init__(self) -> None:
        self.card = f"STORED_CARD_{next(_numbers)}"  # a card of its own
        self.taken = len(self.receiver.received)
        super().__post_init__()

    def adapter(self) -> Any:
        """See ``VendorShop``."""
        options = {"url": f"{self.proxy.url}", "merchant_account": MERCHANT_ACCOUNT, "return_url": RETURN_URL}
        book = KeptNoticeBook(self.database)
        return adyen_from_options("bank", options, {"adyen_api_key": API_KEY}, book, self.clock)

    def act(self, waiting: dict[str, Any], *, approve: bool) -> str | None:
        """See ``VendorShop``."""
        part = urlsplit(waiting["next_action"]["url"])
        link = f"{part.scheme}://{part.netloc}{part.path}/{'approved' if approve else 'refused'}?{part.query}"
        with build_opener(_NoRedirects()).open(link, timeout=10) as answer:
            return parse_qs(urlsplit(answer.headers["Location"]).query)["redirectResult"][0]

    def made(self, setup_id: str) -> int:
        """See ``VendorShop``."""
        rows = self.handle.books(kind="setup", reference=f"{setup_id}-1")
        assert all(row["amount_minor"] == 0 for row in rows)
        return sum(row["status"] != "failed" for row in rows)

    def stored(self) -> list[str]:
        """See ``VendorShop``: of what the vendor has told about its tokens."""
        told = [json.loads(row["item"]) if isinstance(row["item"], str) else row["item"] for row in self._tokens()]
        events = [(one["type"].rpartition(".")[2], one["data"]) for one in told]
        mine = [
            (word, data["storedPaymentMethodId"]) for word, data in events if data["shopperReference"] == self.customer
        ]
        gone = {token for word, token in mine if word == "disabled"}
        return sorted({token for word, token in mine if word == "created"} - gone)

    def _tokens(self) -> list[dict[str, Any]]:
        return self.handle.token_notifications()

    def deliver(self) -> None:
        """See ``VendorShop``: what the fake has posted since, with its own signatures."""
        self.handle.advance()
        arrived = self.receiver.received[self.taken :]
        self.taken += len(arrived)
        for request in arrived:
            self.take(request.body, request.headers)
        self.apply()


@dataclass
class MollieShop(VendorShop):
    """At Mollie a card's payer goes to its page, and nothing has to be confirmed."""

    api: MollieApi = None  # type: ignore[assignment]

    kind = "mollie"
    card, wallet = "creditcard", "paypal"

    def new_customer(self) -> str:
        """See ``VendorShop``."""
        return str(self.api.books.customers.create({"name": "Ada Lovelace"})["id"])

    def adapter(self) -> Any:
        """See ``VendorShop``."""
        return MollieGateway("bank", self.proxy.url, self.api.api_key, self.clock)

    def act(self, waiting: dict[str, Any], *, approve: bool) -> str | None:
        """See ``VendorShop``."""
        identity = urlsplit(waiting["next_action"]["url"]).path.rpartition("/")[2]
        with self.api.books.lock:
            self.api.books.pay(identity, approve=approve)
        return None

    def made(self, setup_id: str) -> int:
        """See ``VendorShop``."""
        rows = self._payments(setup_id)
        assert all(row["minor"] == 0 for row in rows)
        return sum(row["status"] not in {"failed", "canceled", "expired"} for row in rows)

    def stored(self) -> list[str]:
        """See ``VendorShop``."""
        mandates = self.api.books.mandates.of_customer(self.customer)
        return sorted(row["id"] for row in mandates if row["status"] == "valid")

    def deliver(self) -> None:
        """See ``VendorShop``: an event about each payment, signed as Mollie signs. It has none about mandates."""
        for row in list(self.api.books.payments.values()):
            if row.get("customerId") != self.customer:
                continue
            event = {"resource": "event", "id": f"event_{next(_numbers)}", "type": f"payment.{row['status']}"}
            event |= {"entityId": row["id"], "createdAt": self.api.books.moment()}
            event |= {"_embedded": {"entity": self.api.books.shown(row)}}
            body = json.dumps(event).encode()
            self.take(body, {SIGNATURE_HEADER: sign(MOLLIE_SECRET, body)})
        self.apply()

    def _payments(self, setup_id: str) -> list[dict[str, Any]]:
        rows = list(self.api.books.payments.values())
        return [row for row in rows if (row.get("metadata") or {}).get("reference") == f"{setup_id}-1"]


class _NoRedirects(HTTPRedirectHandler):
    """Gives the answer to a redirect instead of following it to the shop."""

    def http_error_302(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        del req, code, msg, headers
        return fp


@dataclass(frozen=True)
class Vendors:
    """Both fakes, running."""

    handle: AdyenHandle
    receiver: ReceiverServer
    adyen: FaultProxy
    api: MollieApi
    mollie: FaultProxy

    def shop(self, kind: str) -> VendorShop:
        """Return a new shop, with a customer of its own."""
        if kind == "adyen":
            return AdyenShop(self.adyen, handle=self.handle, receiver=self.receiver)
        return MollieShop(self.mollie, api=self.api)


@contextmanager
def running_vendors(folder: Path) -> Iterator[Vendors]:
    """Run both fakes, each behind a proxy."""
    api = MollieApi()
    with (
        running_adyen(folder) as handle,
        running_receiver() as receiver,
        running_fault_proxy(handle.api_url) as adyen,
        running_mollie(api) as mollie_url,
        running_fault_proxy(mollie_url) as mollie,
    ):
        url = f"{receiver.url}/adyen"
        handle.subscribe(url, token_url=url, hmac_key=HMAC_KEY)
        yield Vendors(handle, receiver, adyen, api, mollie)
