"""The official Stripe SDK as a hostile client: its retries on, a network that drops answers, and a Stripe without keys.

::

    stripe SDK ── drops answers ──▶ sidecar ──▶ localstripe, which ignores Idempotency-Key
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import stripe

from local.localstripe_server import TEST_KEY, charges_of, make_payment_method, running_localstripe
from tests.support.tcp_faults import Fault, FaultyProxy, serving
from tests.support.upstreams.running import running_sidecar

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

FAULTS = (Fault.DROP_ANSWER, Fault.DROP_ANSWER, Fault.DROP_REQUEST, Fault.DROP_ANSWER)


@pytest.fixture(scope="module")
def localstripe() -> Iterator[str]:
    """The fake Stripe."""
    with running_localstripe() as url:
        yield url


@contextmanager
def bad_network(port: int) -> Iterator[tuple[str, list[Fault]]]:
    """Break the first connections, and yield the URL in front of it with what happened to each connection."""
    happened: list[Fault] = []

    def carry(client: socket.socket) -> None:
        fault = FAULTS[len(happened)] if len(happened) < len(FAULTS) else Fault.NONE
        happened.append(fault)
        FaultyProxy("", fault=fault).relay(client, ("127.0.0.1", port))

    with serving(carry) as front:
        yield f"http://127.0.0.1:{front}", happened


def pay(url: str, payment_method: str) -> stripe.PaymentIntent:
    """Make a payment as a shop does, with the SDK's own retries and its own idempotency key."""
    transport = stripe.RequestsClient()
    transport.INITIAL_DELAY = transport.MAX_DELAY = 0.02  # type: ignore[misc]
    client = stripe.StripeClient(
        TEST_KEY, base_addresses={"api": url}, max_network_retries=len(FAULTS) + 1, http_client=transport
    )
    try:
        return client.v1.payment_intents.create(
            {"amount": 1050, "currency": "eur", "payment_method": payment_method, "confirm": True}
        )
    finally:
        transport.close()


def test_the_sdks_retries_charge_once(localstripe: str, tmp_path: Path) -> None:
    """Fails when the sidecar forwards a retry: without it, the same SDK charges four times."""
    unprotected, protected = (make_payment_method(localstripe) for _ in range(2))
    with bad_network(int(localstripe.rsplit(":", 1)[1])) as (url, _):
        pay(url, unprotected)
    assert len(charges_of(localstripe, unprotected)) == 4  # the enemy is real
    config = {
        "upstreams": {"stripe": {"url": localstripe}},
        "store": {"kind": "memory"},
        "routes": [
            {
                "name": "stripe",
                "path": "/v1/{rest+}",
                "methods": ["POST", "DELETE"],
                "upstream": "stripe",
                "scope": {"header": "Authorization"},
            }
        ],
    }
    with (
        running_sidecar(config, tmp_path) as sidecar,
        bad_network(int(sidecar.url.rsplit(":", 1)[1])) as (url, happened),
    ):
        intent = pay(url, protected)
    assert happened == [*FAULTS, Fault.NONE]
    assert [one["id"] for one in charges_of(localstripe, protected)] == [intent.id]
