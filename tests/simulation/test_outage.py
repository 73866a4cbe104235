"""The outage drill at a twentieth of its size: ``python -m simulation.outage`` plays it whole (docs/operations.md)."""

from __future__ import annotations

from dataclasses import replace
from statistics import quantiles
from typing import Any

import pytest

from payonce.payments import payment_work, rules
from payonce.recovery.lanes import LONGEST_PAUSE_MS, Lane
from simulation.outage.drill import Drill, Result, Scenario

SMALL = Scenario(payments_per_second=5, outage_seconds=120, takes_per_second=7.5)
# The requirement is 15 minutes after an outage of 10; what does not shrink with it is a run or two for the last ones,
# and the seconds that a run reads and waits.
LIMIT_SECONDS = 1.5 * SMALL.outage_seconds + 2 * 60 + 10
SHORT_HOUR_MS = 300_000
QUEUE_SECONDS = 400  # 600 payments, each asked about and sent again, at 3 requests a second


def play(scenario: Scenario) -> Result:
    result = Drill(scenario).run()
    assert result.errors == {}
    assert result.charged_twice == result.cut_off == 0
    return result


@pytest.mark.parametrize("refuses", [True, False])
@pytest.mark.parametrize("executed", [0.0, 0.5])
def test_an_outages_doubts_are_drained_at_the_gateways_rate(executed: float, refuses: bool) -> None:
    """Fails when the backlog is asked about one after the other, or a payment ends without having been sent again."""
    result = play(replace(SMALL, executed=executed, refuses=refuses))
    assert result.drained is not None
    assert result.drained <= LIMIT_SECONDS
    assert (result.unasked, result.not_executed) == (0, 0)
    assert result.requests_after <= 1.1 * (2 - executed) * result.payments + 20


def test_a_gateway_that_is_down_gets_a_probe_now_and_then() -> None:
    """Fails when the backlog is asked about during the outage: the gateway gets its own payments' requests, and
    besides these some before it is known to be down, and then one in 15 s.
    """
    result = play(replace(SMALL, outage_seconds=600, payments_per_second=1))
    own = 2 * result.payments
    assert own * 0.9 < result.requests_in_outage <= own + 10 + 600_000 / LONGEST_PAUSE_MS


def test_a_queue_longer_than_the_hour_ends_no_payment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an hour of five minutes. Fails when it is counted in queueing, see below."""
    monkeypatch.setattr(rules, "MAX_RESUBMIT_AGE_MS", SHORT_HOUR_MS)
    result = play(replace(SMALL, takes_per_second=3))
    assert result.drained is not None
    assert result.drained + SMALL.outage_seconds > QUEUE_SECONDS + SMALL.outage_seconds > SHORT_HOUR_MS / 1000 + 60
    assert (result.unasked, result.not_executed) == (0, 0)


def test_with_the_hour_counted_in_queueing_payments_would_end_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows that the load is such that it matters: else the test above would prove nothing."""
    monkeypatch.setattr(rules, "MAX_RESUBMIT_AGE_MS", SHORT_HOUR_MS)
    original = payment_work.decide

    def strict(*args: Any, **more: Any) -> Any:
        return original(*args, **{**more, "turn_at_ms": more["now_ms"]})

    monkeypatch.setattr(payment_work, "decide", strict)
    assert Drill(replace(SMALL, takes_per_second=3)).run().unasked > 100


def test_a_bound_above_what_the_gateway_takes_is_found_out() -> None:
    """Fails when recovery goes on at twice the gateway's rate: half of its requests would be refused."""
    result = play(replace(SMALL, bound=15.0))
    assert result.drained is not None
    assert result.drained <= 1.5 * LIMIT_SECONDS
    assert result.refused < 0.2 * result.requests_after


def test_one_backlog_delays_neither_another_gateway_nor_another_merchant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when lanes or merchants share one queue, in order of time. The other gateway's payments are settled within
    two runs, as without the outage; the other merchants' tenth of the backlog long before the large one's.
    """
    result = play(replace(SMALL, greedy=0.9, others=0.2, dead=60))
    others, greedy = result.waits["other merchants"], result.waits["greedy merchant"]
    assert max(result.waits["other gateway"]) <= 130
    # Most of them: who is asked about while the gateway is still down waits for the next run, whoever it is.
    assert quantiles(others, n=10)[-1] < 0.5 * quantiles(greedy, n=10)[-1]
    assert max(others) <= 130
    assert result.dead_requests < 2 * 60 + 80
    monkeypatch.setattr(Lane, "allowance", lambda *_args: 10)
    assert Drill(replace(SMALL, payments_per_second=1, dead=60)).run().dead_requests > 2 * 60 + 160
