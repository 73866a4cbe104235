"""Routing on the deployed stack, IAM enforced: a bank that gets slower loses its traffic in time, and gets it back."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from local.cloud import ENVIRONMENTS_FOR_WAITING, LocalCloud
from local.degradation import (
    BACK,
    BANK,
    GATEWAY,
    GONE,
    METHOD,
    PATIENCE_SECONDS,
    ROUTING,
    TIMEOUT_MS,
    WEIGHTS,
    Degradation,
)
from local.stack import Ports
from local.traffic import Traffic
from tests.e2e.conftest import Client, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.degradation import Moment
    from local.stack import Stack

PAYMENTS_PER_SECOND = 8.0
BAD_MS = 3_000  # later than the SLO, and few enough wait for it for the local cloud to bear it
SHADOW_SECONDS = 8.0  # looked back at: long enough for what waits for the slow bank to be answered


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A deployment of its own, with routing on: the others' merchants must keep their bank."""
    folder = tmp_path_factory.mktemp("routed")
    cloud = LocalCloud(folder, Ports(free_port(), free_port(), free_port()), environments=ENVIRONMENTS_FOR_WAITING)
    try:
        cloud.start()
        yield cloud.deploy(routing_mode="on", routing=ROUTING)
    finally:
        cloud.stop()


@pytest.mark.timeout(900)
def test_a_bank_that_gets_slower_loses_its_traffic_before_the_first_timeout_and_gets_it_back(routed: Stack) -> None:
    """Fails with RoutingMode off or shadow: the bank keeps its half, and payments time out at 8 s."""
    client = Client(routed, routed.create_merchant("Routed")[1])
    with Traffic(client.send, PAYMENTS_PER_SECOND) as traffic:
        degradation = Degradation(routed, traffic)
        degradation.start_predictor()
        for _ in degradation.learn():
            pass
        # A busy machine makes banks look slow, too, while their environments start: both must be trusted first.
        wait_for(lambda: 0.3 < traffic.share(GATEWAY, 20) < 0.7)
        gone = last(degradation.worsen())
        assert gone.share <= GONE
        assert gone.latency_ms < TIMEOUT_MS
        assert gone.document is not None
        assert GATEWAY in gone.document.reason
        by_hand(routed, degradation)
        back = last(degradation.heal())
        assert back.share >= BACK
        time.sleep(1)
    assert not traffic.failures
    # Nothing timed out, nothing is in doubt, and the bank's books hold each payment once. Where the machine itself is
    # slow, payments time out at the quick bank just as well.
    doubts = Counter(paid.gateway == GATEWAY for paid in traffic.paid if paid.status != 201)
    assert doubts[True] <= doubts[False]
    charges = Counter(row["reference"].rsplit("-", 1)[0] for row in routed.bank.charges())
    assert [paid.payment_id for paid in traffic.paid if charges[paid.payment_id] != 1] == []
    assert sum(charges.values()) == len(charges)


def by_hand(routed: Stack, degradation: Degradation) -> None:
    """Shadow routes as off does, though the document goes on saying otherwise; the operator's hand is on record."""
    routed.bank.configure(BANK, latency_ms=BAD_MS)
    who = ("--operator", "anna", "--reason", "the bank says that it is well")
    routed.operator("routing", "mode", "shadow", "--minutes", "10", *who)
    # Both at one moment: the document moves on its own, and at first it may still be giving the bank back its traffic.
    wait_for(lambda: degradation.traffic.share(GATEWAY, SHADOW_SECONDS) > 0.3 and weight_in(degradation) <= GONE)
    assert "shadow" in routed.operator("routing", "show").stdout
    routed.operator("routing", "release", *who)
    wait_for(lambda: degradation.traffic.share(GATEWAY, SHADOW_SECONDS) <= GONE)
    history = routed.operator("routing", "history").stdout
    assert history.count("anna") >= 2
    epoch = routed.operator("routing", "decisions", "--last", "1").stdout.split()[0]
    assert "same bytes" in routed.operator("routing", "replay", epoch).stdout


def weight_in(degradation: Degradation) -> float:
    """Return the slow bank's weight in the document in force, or all of it while there is none."""
    document = degradation.document()
    return document.weights.get(METHOD, WEIGHTS)[GATEWAY] if document else 1.0


def wait_for(look: Callable[[], bool]) -> None:
    """Look once a second until it is so."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < give_up
        time.sleep(1)


def last(moments: Iterator[Moment]) -> Moment:
    """Return the last moment; each is printed, for who reads a failure."""
    for moment in moments:
        weight = "neutral" if moment.weight is None else f"{moment.weight:.2f}"
        sys.stdout.write(f"{moment.seconds:5.0f} s {moment.latency_ms:5} ms  share {moment.share:.2f}  {weight}\n")
    return moment
