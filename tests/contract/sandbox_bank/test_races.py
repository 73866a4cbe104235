"""What happens at the same moment, and what a bank remembers when it is stopped."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from local.sandbox_bank.running import BankHandle, running_bank
from local.sandbox_bank.server import Bank
from tests.contract.sandbox_bank.conftest import RETURN_URL, Till
from tests.contract.sandbox_bank.receiving import genuine, received, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.contract.sandbox_bank.conftest import Inbox


ROUNDS = 25


def at_once(*calls: Callable[[], object]) -> None:
    """Make the calls at the same moment."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[], object]) -> None:
        barrier.wait()
        call()

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(one, calls))


def test_the_payer_or_the_merchant_wins_and_never_both(till: Till) -> None:
    """Fails when a payment that was withdrawn is charged, or one that was approved is said to be withdrawn."""
    till.handle.send_events(till.bank, None)
    statuses: list[int] = []
    for number in range(ROUNDS):
        waiting = till.pay("tok_3ds", f"pay_{number}", return_url=RETURN_URL)
        path = f"/charges/{waiting['charge_id']}/cancellations"
        at_once(
            lambda url=waiting["next_action"]["url"]: till.press(url, "approve"),
            lambda path=path: statuses.append(till.ask("POST", path, {})[0]),
        )
        ended = till.status(f"pay_{number}")
        assert (statuses[-1], ended) in {(201, ("canceled", None)), (409, ("succeeded", None))}
    told = Counter(till.types())
    assert told["payment.canceled"] == statuses.count(201)
    assert told["payment.succeeded"] == statuses.count(409) == len(till.report())


def test_many_confirmations_at_once_charge_once(till: Till) -> None:
    """Fails when confirmations that cross each take effect."""
    waiting = till.pay("tok_3ds_confirm", return_url=RETURN_URL)
    result = till.press(waiting["next_action"]["url"], "approve").partition("payment_result=")[2].partition("#")[0]
    path = f"/charges/{waiting['charge_id']}/confirmations"
    at_once(*[lambda: till.ask("POST", path, {"payment_result": result})] * 8)
    assert till.status() == ("succeeded", None)
    assert len(till.report()) == 1


def test_a_bank_that_is_stopped_goes_on_where_it_was(tmp_path: Path, inbox: Inbox) -> None:
    """Fails when events that were not delivered, the moved clock or what is due are forgotten with the process."""
    with running_bank(tmp_path) as handle:
        till = Till(handle, "restarted")
        secret = handle.send_events("restarted", "http://127.0.0.1:9/nobody")
        started = till.pay("tok_debit")
        handle.advance("restarted", days=1)
    with running_bank(tmp_path) as handle:
        till = Till(handle, "restarted")
        handle.send_events("restarted", inbox.url, secret)
        assert till.status() == ("processing", None)
        handle.advance("restarted", days=1.1)
        assert till.status() == ("succeeded", None)
        assert handle.charge("restarted", started["charge_id"])["captured_minor"] == 1_000
        types = [genuine(secret, request)["type"] for request in received(inbox, 2)]
    assert types == ["payment.processing", "payment.succeeded"]


def test_a_bank_that_is_started_again_sends_by_itself(tmp_path: Path, inbox: Inbox) -> None:
    """Fails when the events of an endpoint that was set before the start wait for a request."""
    with running_bank(tmp_path) as handle:
        till = Till(handle, "restarted")
        handle.configure("restarted", event_retry_ms=200)
        inbox.answer(503)
        secret = handle.send_events("restarted", inbox.url)
        till.pay("tok_ok")
        received(inbox, 1)
    with running_bank(tmp_path):
        assert genuine(secret, received(inbox, 2)[1])["type"] == "payment.succeeded"


def test_a_bank_that_is_closed_leaves_no_thread(tmp_path: Path) -> None:
    """Fails when the threads that send events outlive the bank that they send for."""
    before = set(threading.enumerate())
    bank = Bank("127.0.0.1", 0, tmp_path / "books.sqlite")
    serving = threading.Thread(target=bank.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        handle = BankHandle(f"http://127.0.0.1:{bank.server_address[1]}")
        handle.send_events("closed", "http://127.0.0.1:9/nobody")
        Till(handle, "closed").pay("tok_ok")
    finally:
        bank.shutdown()
        serving.join()
        bank.server_close()
    wait_for(lambda: set(threading.enumerate()) <= before)
