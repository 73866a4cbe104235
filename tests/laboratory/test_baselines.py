"""The others are what their names say."""

from __future__ import annotations

import math

import pytest

from laboratory.clockwork import Clockwork
from laboratory.demand import Demand
from laboratory.gateway import TIMEOUT_SECONDS, SimulatedGateway
from laboratory.policies.breaker import OPEN_SECONDS, TRIAL_CALLS, WINDOW_CALLS, _Breaker
from laboratory.policies.gradient2 import MIN_LIMIT, Gradient2
from laboratory.scenarios import Fault, GatewaySpec
from payonce.routing.control.admission import Priority
from payonce.routing.signals.book import Outcome


def test_gradient2_grows_under_load_that_is_well_served() -> None:
    limit = Gradient2()
    for _ in range(200):
        limit.sample(0.6, int(limit.limit))
    assert limit.limit > 100


def test_gradient2_does_not_grow_when_it_is_not_asked_for() -> None:
    limit = Gradient2()
    for _ in range(200):
        limit.sample(0.6, 5)
    assert limit.limit == 20


def test_gradient2_shrinks_when_latency_rises() -> None:
    limit = Gradient2()
    for _ in range(100):
        limit.sample(0.6, 20)
    before = limit.limit
    for _ in range(30):
        limit.sample(6.0, int(limit.limit))
    assert MIN_LIMIT <= limit.limit < before / 2


def test_the_breaker_opens_tries_and_closes() -> None:
    breaker = _Breaker()
    for call in range(WINDOW_CALLS):
        assert breaker.permits(0.0)
        breaker.ended(0.0, bad=call % 2 == 0)
    assert not breaker.permits(1.0)
    assert breaker.permits(OPEN_SECONDS + 1)
    for _ in range(TRIAL_CALLS):
        breaker.permitted -= 1
        breaker.ended(OPEN_SECONDS + 2, bad=False)
    assert breaker.permits(OPEN_SECONDS + 3)
    assert not breaker.half_open


def lone_gateway(
    count: int, *faults: Fault, servers: int = 10_000, spacing: float = 0.0
) -> list[tuple[float, Outcome]]:
    """What becomes of so many attempts: seconds and outcome each."""
    clockwork = Clockwork()
    quantiles = [(number + 0.5) / count for number in range(count)]
    purposes = ("fail", "hang", "loss", "decline", "outlier", "executed", "unknown")
    demand = Demand(
        at=[number * spacing for number in range(count)],
        method=["card"] * count,
        merchant=["m"] * count,
        priority=[Priority.AUTHORIZATION] * count,
        route=quantiles,
        normal=[[0.0] * count],
        luck={purpose: [quantiles] for purpose in purposes},
    )
    gateway = SimulatedGateway(GatewaySpec("alder", servers, 100), list(faults), demand, clockwork)
    ended: list[tuple[float, Outcome]] = []
    gateway.done = lambda payment, _attempt, _gateway, outcome: ended.append(
        (clockwork.now - demand.at[payment], outcome)
    )
    gateway.weather(0.0)
    for number in range(count):
        clockwork.after(demand.at[number], lambda payment: gateway.submit(payment, 0), number)
    clockwork.run(count * spacing + 2 * TIMEOUT_SECONDS)
    assert len(ended) == count, "every attempt ends, and ends once"
    return ended


def test_a_healthy_gateway_answers_in_its_time() -> None:
    ended = lone_gateway(1000)
    assert sum(1 for seconds, _ in ended if seconds == pytest.approx(0.6)) >= 990
    assert sum(1 for _, outcome in ended if outcome is Outcome.DECLINED) == pytest.approx(80, abs=3)


def test_a_gateway_with_too_few_servers_queues_first_come_first_served() -> None:
    ended = lone_gateway(200, servers=1, spacing=0.3)
    waits = [seconds for seconds, outcome in ended if outcome in {Outcome.APPROVED, Outcome.DECLINED}]
    assert waits == sorted(waits)
    assert max(seconds for seconds, _ in ended) == pytest.approx(TIMEOUT_SECONDS)


def test_a_late_answer_occupies_no_server_and_a_slow_one_does() -> None:
    """One attempt every 0.35 s on two servers: 0.6 s each are no queue, and 1.8 s each would be one."""
    late, slow = (
        [seconds for seconds, _ in lone_gateway(200, Fault(kind, "alder", 0, 100, 3.0), servers=2, spacing=0.35)]
        for kind in ("late", "slow")
    )
    assert sum(1 for seconds in late if seconds == pytest.approx(1.8)) >= 190
    assert max(slow) == pytest.approx(TIMEOUT_SECONDS)


def test_an_answer_later_than_the_timeout_is_unknown_and_charged() -> None:
    ended = lone_gateway(100, Fault("late", "alder", 0, 100, 20.0))
    assert {outcome for _, outcome in ended} == {Outcome.UNKNOWN}
    assert all(seconds == pytest.approx(TIMEOUT_SECONDS) for seconds, _ in ended)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_partial_hang_leaves_its_share_in_doubt(share: float) -> None:
    ended = lone_gateway(1000, Fault("hang", "alder", 0, 100, share))
    doubtful = [seconds for seconds, outcome in ended if outcome is Outcome.UNKNOWN]
    assert len(doubtful) == pytest.approx(1000 * share, abs=5)
    assert all(seconds == pytest.approx(TIMEOUT_SECONDS) for seconds in doubtful)


def test_lost_packets_are_sent_again_after_a_second_and_then_later() -> None:
    ended = lone_gateway(1000, Fault("loss", "alder", 0, 100, 0.2))
    assert sum(1 for seconds, _ in ended if seconds > 1) == pytest.approx(200, abs=10)
    assert sum(1 for seconds, _ in ended if seconds > 3) == pytest.approx(40, abs=10)


def test_a_ramp_grows_by_the_same_factor_in_the_same_time() -> None:
    ramp = Fault("slow", "alder", 100, 400, 16.0, "ramp", ramp_seconds=200)
    assert ramp.at(99) is None
    assert ramp.at(150) == pytest.approx(2.0)
    assert ramp.at(300) == ramp.at(399) == 16.0
    assert ramp.at(200) == pytest.approx(math.sqrt(16.0))
