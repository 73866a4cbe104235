"""Events that the sandbox bank really posts, over HTTP and signed by itself: taken, applied, and with every fault.

The bank is another process, which knows nothing of payonce; the payments are made by the functions' own routes.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from local.sandbox_bank.running import running_bank
from payonce.entrypoints.gateway_events import accept_event
from payonce.gateways.sandbox_bank import sandbox_bank_from_options
from payonce.notices.kept import NoticeState
from payonce.ports import Deadline, Table
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_queue import MemoryQueue
from payonce.wiring.notices import NoticeApplication
from payonce.wiring.settings import load_settings
from tests.support.events import PAYMENT, call
from tests.support.http import until
from tests.support.notices import posted
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.sandbox_bank.running import BankHandle

_numbers = itertools.count()
EVENTS = 50  # a bound against a test that goes on for ever


@pytest.fixture(scope="session")
def handle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankHandle]:
    with running_bank(tmp_path_factory.mktemp("bank")) as running:
        yield running


@dataclass
class Till:
    """A merchant's payments at one bank, which posts its events to the stack."""

    handle: BankHandle
    bank: str
    application: NoticeApplication
    statuses: list[int] = field(default_factory=list)

    def pay(self, method: str = "pm_visa", **more: Any) -> dict[str, Any]:
        """Create a payment; return the answer."""
        key = f"key-of-a-till-{next(_numbers):04d}"
        body = {**PAYMENT, "payment_method": method, **more}
        answer: dict[str, Any] = json.loads(
            call(self.application, "create_payment", body, key=key, gateway="bank")["body"]
        )
        return answer

    def read(self, payment_id: str) -> dict[str, Any]:
        """Return the payment as a merchant reads it."""
        answer = call(self.application, "get_payment", None, path={"payment_id": payment_id})
        document: dict[str, Any] = json.loads(answer["body"])
        return document

    def changes(self, payment_id: str) -> list[str]:
        """Return the types of the payment's events."""
        answer = call(self.application, "get_payment_history", None, path={"payment_id": payment_id})
        return [entry["type"] for entry in json.loads(answer["body"])["data"]]

    def apply(self) -> list[str]:
        """Apply what is queued, without waiting for what is to come later; return what has become of each."""
        queue: Any = self.application.notice_queue
        outcomes = []
        for _ in range(EVENTS):
            if not queue.messages:
                break
            message = queue.messages.pop(0)
            if not message.delay_seconds:
                deadline = Deadline(self.application.clock.now_ms() + 40_000)
                outcomes.append(self.application.applier.handle(message.body, deadline))
        return outcomes

    def wait(self, events: int) -> None:
        """Wait until the bank has no delivery under way and has made so many events."""
        until(
            lambda: (
                len(made := self.handle.events(self.bank)) >= events
                and all(each["state"] != "pending" for event in made for each in event["deliveries"])
            )
        )


@contextmanager
def listening(application: NoticeApplication, statuses: list[int]) -> Iterator[str]:
    """Hand what is posted to a loopback address to the route that gateways call."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = accept_event(application, posted(body, dict(self.headers.items()), "bank"))
            statuses.append(answer["statusCode"])
            self.send_response(answer["statusCode"])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_given: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/gateway_events/bank"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def till(handle: BankHandle) -> Iterator[Till]:
    bank = f"events_{next(_numbers)}"
    clock = RealClock()
    options = {"url": handle.base_url(bank), "key_retention_seconds": 0}
    application = NoticeApplication(
        load_settings({"PAYONCE_GATEWAYS": json.dumps([{"name": "bank", "kind": "sandbox_bank", **options}])}),
        clock=clock,
        database=MemoryDatabase(),
        gateways={"bank": sandbox_bank_from_options("bank", options, {"sandbox_bank_api_key": "x"}, clock)},
    )
    application.notice_queue = MemoryQueue()  # type: ignore[misc]
    secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    application.read_event_secrets = lambda: {"bank_events_secret": secret}  # type: ignore[method-assign]
    statuses: list[int] = []
    with listening(application, statuses) as url:
        handle.send_events(bank, url, secret)
        yield Till(handle, bank, application, statuses)


def states(till: Till) -> list[str]:
    items = till.application.database._tables[Table.NOTICES].values()  # type: ignore[attr-defined]
    return sorted(item["state"] for item in items)


def test_a_doubt_ends_with_the_banks_event(till: Till) -> None:
    """The bank books the payment and hangs up; what it posts about it ends the doubt, with no recovery at all."""
    payment = till.pay("pm_sandbox_drop_after_booking")
    till.wait(1)
    if payment["status"] == "in_doubt":
        assert "applied" in till.apply()
    assert till.read(payment["id"])["status"] == "captured"
    assert len(till.handle.charges(bank=till.bank)) == 1


@pytest.mark.parametrize("mode", ["", "duplicated", "reordered", "forged", "stale", "unknown", "huge"])
def test_what_the_dashboard_does_is_booked_once_whatever_happens_to_the_events(till: Till, mode: str) -> None:
    """Fails when a forged, stale or huge event is taken, or when a copy or another order is booked."""
    payment = till.pay()
    till.wait(1)
    if mode:
        till.handle.event_fault(till.bank, mode, **({"delay_ms": 1_000} if mode == "reordered" else {}))
    charge = till.handle.charges(bank=till.bank)[0]
    for amount in (300, 200):
        till.handle.dashboard(till.bank, "refund", charge_id=charge["charge_id"], amount_minor=amount)
    till.handle.advance(till.bank, seconds=2)
    till.wait(3)
    till.apply()
    assert (till.read(payment["id"])["refunded_minor"], till.read(payment["id"])["status"]) == (
        500,
        "partially_refunded",
    )
    refunds = [each for each in till.changes(payment["id"]) if each != "payment.captured"]
    assert set(refunds) == {"payment.refunded_at_gateway_in_part"}
    assert len(refunds) <= 2  # one that sees both at once books both in one change
    refused = 2 if mode in {"forged", "stale", "huge"} else 0
    assert till.statuses.count(400) == refused
    unknown = 2 if mode == "unknown" else 0
    till.apply()
    assert states(till).count(NoticeState.APPLIED.value) == 3
    assert len(states(till)) == 3 + unknown


def test_a_capture_and_a_cancellation_of_the_dashboard(till: Till) -> None:
    captured, canceled = till.pay(capture="manual"), till.pay("pm_other", capture="manual")
    till.wait(2)
    charges = {each["reference"].rpartition("-")[0]: each["charge_id"] for each in till.handle.charges(bank=till.bank)}
    till.handle.dashboard(till.bank, "capture", charge_id=charges[captured["id"]], amount_minor=1050)
    till.handle.dashboard(till.bank, "cancel", charge_id=charges[canceled["id"]])
    till.wait(4)
    till.apply()
    assert till.changes(captured["id"]) == ["payment.authorized", "payment.captured_at_gateway"]
    assert till.changes(canceled["id"]) == ["payment.authorized", "payment.voided_at_gateway"]


def test_a_payer_who_acts_is_heard_of_at_once(till: Till) -> None:
    """3-D Secure and a debit that fails two days later: nobody asks in between."""
    card = till.pay("tok_3ds", return_url="https://shop.example/back")
    assert card["status"] == "requires_action"
    debit = till.pay("tok_debit_fails", payment_method_type="bank_debit")
    assert debit["status"] == "processing"
    till.handle.dashboard(till.bank, "answer", reference=f"{card['id']}-1", answer="approve")
    till.handle.advance(till.bank, days=2.1)
    till.wait(4)
    till.apply()
    assert till.read(card["id"])["status"] == "captured"
    assert till.read(debit["id"])["status"] == "declined"
    assert till.changes(debit["id"]) == ["payment.processing", "payment.declined"]
