"""One endpoint among many that is hot, dead, failing or late: what the others notice, and what it gets itself.

In virtual time, with the production relay, dispatcher, lanes, pace and breaker; five executions and a database whose
calls take 5 ms (``tests.support.busy_endpoints``).

With ten slots as leases on the gate, and a message and a write for each delivery that found none free, the same
scenarios gave (docs/adr/0032-webhook-lanes.md):

========================  ======================  ============  ===================
endpoint                  others' p50 / p99, ms   it got        write units each
========================  ======================  ============  ===================
none                      99 / 119                              7.0
150 events/s, 0.2 s each  114 / 268               41 a second   24.6
dead, 20 events/s         5,987 / 14,709
========================  ======================  ============  ===================
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING

from payonce.domain.webhooks import MOST_DIRECT
from payonce.webhooks.attempts import ATTEMPT_TIMEOUT_MS
from payonce.webhooks.pace import FIRST_WIDTH, MOST_WIDTH
from tests.support.busy_endpoints import Run, Scenario, steady

if TYPE_CHECKING:
    import pytest

    from tests.support.busy_endpoints import Answering

ENDPOINTS = 20
EXECUTIONS = 5
RATE = 20  # events a second of the others together
SECONDS = 8
HOT_RATE = 150
HOT_SECONDS = 0.2
NEVER = 2 * ATTEMPT_TIMEOUT_MS / 1000
MOST_LATER = 1.10  # of the others' p99 without the hot endpoint


def scenario(hot: Answering, *, hot_rate: float = HOT_RATE, seconds: int = SECONDS) -> Scenario:
    return Scenario(endpoints=ENDPOINTS, executions=EXECUTIONS, rate=RATE, hot_rate=hot_rate, hot=hot, seconds=seconds)


@cache
def without() -> Run:
    return Run(scenario(steady(HOT_SECONDS), hot_rate=0))


@cache
def busy() -> Run:
    return Run(scenario(steady(HOT_SECONDS)))


def unmoved(run: Run) -> bool:
    """Return whether all of the others' events were delivered, as quickly as without the hot endpoint."""
    assert len(run.latencies_ms) >= 0.97 * RATE * run.scenario.seconds
    return run.percentile_ms(99) <= MOST_LATER * without().percentile_ms(99)


def test_a_busy_endpoint_does_not_delay_the_others_and_gets_what_its_receiver_takes() -> None:
    """Fails when its waiting deliveries are messages that each wake alone, or its lane has ten places."""
    run = busy()
    assert unmoved(run)
    assert run.hot_accepted == run.hot_events
    assert run.receivers.most_hot_at_once <= MOST_WIDTH


def test_a_delivery_costs_four_units_however_busy_its_endpoint_is() -> None:
    """Fails when waiting, a slot or a lease of its own costs a write."""
    quiet, hot = (run.units_of("deliveries", "endpoints") for run in (without(), busy()))
    assert quiet == 4
    assert hot <= 1.01 * quiet


def test_a_dead_endpoint_does_not_delay_the_others() -> None:
    """Fails without the bound of direct messages, without the pace, and without the breaker (the next test)."""
    run = Run(scenario(steady(NEVER), hot_rate=20, seconds=20))
    assert unmoved(run)
    assert run.receivers.most_hot_at_once <= MOST_DIRECT + FIRST_WIDTH


def test_without_bounds_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows that the load is such that isolation matters: else the test above would prove nothing."""
    monkeypatch.setattr("payonce.webhooks.relay.MOST_DIRECT", 10_000)
    run = Run(scenario(steady(NEVER), hot_rate=20, seconds=20))
    assert run.percentile_ms(99) > 10 * without().percentile_ms(99)


def test_a_receiver_that_fails_half_the_time_gets_one_at_a_time_and_delays_nobody() -> None:
    turns = itertools.count()
    run = Run(scenario(lambda _second: (HOT_SECONDS, 200 if next(turns) % 2 else 500), hot_rate=50, seconds=10))
    assert unmoved(run)
    assert run.hot_accepted > 10
    # Beyond the first moment, when messages were out before anything had failed, at most a second one is under way.
    assert run.most_hot_at_once_after(2) <= 2


def test_a_receiver_that_becomes_quick_gets_more_at_once() -> None:
    """Fails when the width never grows again: what had waited would wait for minutes."""
    run = Run(scenario(lambda second: (2.0 if second < 5 else 0.05, 200), hot_rate=40, seconds=12))
    assert unmoved(run)
    assert run.hot_accepted == run.hot_events
