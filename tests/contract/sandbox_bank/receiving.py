"""What tests of events do with a receiver: wait for requests, and verify them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from standardwebhooks.webhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.receiver import Received
    from tests.contract.sandbox_bank.conftest import Inbox, Till

PATIENCE_SECONDS = 10


def wait_for[T](found: Callable[[], T]) -> T:
    """Return what is found as soon as it is true."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        assert time.monotonic() < give_up, "it did not come"
        time.sleep(0.01)
    return value


def received(inbox: Inbox, count: int) -> list[Received]:
    """Return the requests received, once they are so many; more are a failure."""
    wait_for(lambda: len(inbox.received) >= count)
    assert len(inbox.received) == count
    return inbox.received


def settled(till: Till) -> list[dict[str, Any]]:
    """Return the bank's events once no delivery is pending."""

    def quiet() -> list[dict[str, Any]]:
        events = till.handle.events(till.bank)
        pending = [each for event in events for each in event["deliveries"] if each["state"] == "pending"]
        return [] if pending else events

    return wait_for(quiet)


def genuine(secret: str, request: Received) -> dict[str, Any]:
    """Return the event of a request, verified by the library of Standard Webhooks."""
    event: dict[str, Any] = Webhook(secret).verify(request.body, request.headers)
    return event
