"""The baselines that learn, driven by hand: each does what it is there for."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from laboratory.demand import draw_demand
from laboratory.figures import SLO_SECONDS, measure
from laboratory.gateway import TIMEOUT_SECONDS, SimulatedGateway
from laboratory.policies import POLICIES, judged
from laboratory.policies.breaker import WINDOW_CALLS, SlowCallBreaker
from laboratory.policies.ejector import BASE_EJECTION_SECONDS, CONSECUTIVE_FAILURES, INTERVAL_SECONDS, Ejector
from laboratory.policies.failure_breaker import FailureRateBreaker
from laboratory.policies.gradient2 import WINDOW_SAMPLES, ExactGradient2
from laboratory.policies.success_rate import BUCKET_SIZE, HEDGING_SHARE, SuccessRate
from laboratory.policies.thompson import HALF_LIFE_SECONDS, Thompson
from laboratory.scenarios import GatewaySpec, Scenario
from laboratory.simulation import Trial
from laboratory.split import TUNING, scenario
from payonce.routing.signals.book import Outcome

if TYPE_CHECKING:
    from laboratory.simulation import Policy

GOOD, UNKNOWN = Outcome.APPROVED, Outcome.UNKNOWN


class Hand:
    """Drives a policy by hand: a trial that does not run, whose attempts end as the test says."""

    def __init__(self, policy: Policy, gateways: int = 2) -> None:
        names = ("alder", "birch", "cedar")[:gateways]
        drawn = Scenario("by hand", tuple(GatewaySpec(name, 10, 100) for name in names), rate=20, seconds=300)
        self.policy = policy
        self.trial = Trial(drawn, draw_demand(drawn, 1), policy, Random(1))
        for spec in drawn.gateways:
            self.trial.gateways[spec.name] = SimulatedGateway(spec, [], self.trial.demand, self.trial.clockwork)
        self._next = 0
        policy.start(self.trial)

    def send(self, gateway: str, method: str = "card") -> int:
        """Send the next payment of this method; return it."""
        demand = self.trial.demand
        payment = next(number for number in range(self._next, len(demand)) if demand.method[number] == method)
        self._next = payment + 1
        self.policy.dispatched(payment, 0, gateway)
        return payment

    def end(self, gateway: str, *outcomes: Outcome, latency: float = 0.6, method: str = "card") -> None:
        """Send and end one attempt per outcome, now."""
        for outcome in outcomes:
            self.policy.ended(self.send(gateway, method), 0, gateway, latency, outcome)

    def until(self, seconds: float) -> None:
        """Let time pass until ``seconds``."""
        self.trial.clockwork.run(seconds)

    def shares(self, method: str = "card") -> dict[str | float, float]:
        """What share of 2,000 choices each gateway gets."""
        demand = self.trial.demand
        payments = [number for number in range(len(demand)) if demand.method[number] == method][:1000] * 2
        counts = Counter(self.policy.choose(payment, frozenset()) for payment in payments)
        return {name: counts[name] / len(payments) for name in {*self.trial.gateways, *counts}}


@pytest.mark.parametrize(
    ("outcome", "latency", "opens"),
    [(UNKNOWN, 0.1, True), (Outcome.NEVER_SENT, 0.1, True), (Outcome.DECLINED, 0.1, False), (GOOD, 9.0, False)],
)
def test_the_failure_breaker_counts_failures_and_no_slow_calls(outcome: Outcome, latency: float, opens: bool) -> None:
    hand, slow = Hand(FailureRateBreaker()), Hand(SlowCallBreaker())
    for one in (hand, slow):
        one.end("alder", *[outcome, GOOD] * (WINDOW_CALLS // 2), latency=latency)
    assert (hand.shares()["alder"] == 0) is opens
    assert (slow.shares()["alder"] == 0) is (opens or latency > 2)


def test_an_attempt_is_judged_once_and_as_soon_as_it_is_late() -> None:
    assert judged.LATE_SECONDS == SLO_SECONDS
    hand, seen = Hand(Ejector()), []
    hand.policy.judged = lambda payment, gateway, *, good: seen.append((payment, gateway, good))  # type: ignore[attr-defined]
    late, timely = hand.send("alder"), hand.send("birch")
    hand.until(1.0)
    hand.policy.ended(timely, 0, "birch", 1.0, Outcome.DECLINED)
    hand.until(SLO_SECONDS + 0.1)
    hand.policy.choose(0, frozenset())
    assert seen[1:] == [(late, "alder", False)], "it is judged while it is still open"
    hand.policy.ended(late, 0, "alder", 3.2, GOOD)
    assert seen == [(timely, "birch", True), (late, "alder", False)]


def test_the_ejector_ejects_takes_back_and_the_second_time_ejects_for_longer() -> None:
    hand = Hand(Ejector())
    hand.end("alder", *[UNKNOWN] * (CONSECUTIVE_FAILURES - 1), GOOD, UNKNOWN)
    assert hand.shares()["alder"] > 0.4
    hand.end("alder", *[UNKNOWN] * (CONSECUTIVE_FAILURES - 1))
    assert hand.shares()["alder"] == 0
    hand.until(BASE_EJECTION_SECONDS + 0.1)
    assert hand.shares()["alder"] > 0.4
    again = hand.trial.now
    hand.end("alder", *[UNKNOWN] * CONSECUTIVE_FAILURES)
    hand.until(again + 1.9 * BASE_EJECTION_SECONDS)
    assert hand.shares()["alder"] == 0
    hand.until(again + 2 * BASE_EJECTION_SECONDS + INTERVAL_SECONDS)
    assert hand.shares()["alder"] > 0.4


@pytest.mark.parametrize(("outcome", "ejected"), [(UNKNOWN, True), (Outcome.DECLINED, False)])
def test_the_ejector_ejects_by_the_share_of_failures_and_declines_are_none(outcome: Outcome, ejected: bool) -> None:
    hand = Hand(Ejector())
    hand.end("alder", *[outcome, *[GOOD] * 9] * 10)
    assert hand.shares()["alder"] > 0.4, "the share is looked at once an interval"
    hand.until(INTERVAL_SECONDS + 0.1)
    assert (hand.shares()["alder"] == 0) is ejected


def test_the_ejector_in_panic_uses_all() -> None:
    hand = Hand(Ejector(), gateways=3)
    hand.end("alder", *[UNKNOWN] * CONSECUTIVE_FAILURES)
    assert hand.shares()["alder"] == 0
    hand.end("birch", *[UNKNOWN] * CONSECUTIVE_FAILURES)
    assert min(hand.shares().values()) > 0.25, "one of three is fewer than half"


def test_the_posterior_of_thompson_moves_and_forgets() -> None:
    hand = Hand(Thompson())
    for gateway in ("alder", "birch"):
        hand.end(gateway, *[GOOD] * 100)
    assert hand.shares()["alder"] > 0.4
    hand.end("alder", *[UNKNOWN] * 20)
    assert hand.shares()["alder"] < 0.02
    hand.until(8 * HALF_LIFE_SECONDS)
    assert hand.shares()["alder"] > 0.1


def test_thompson_keeps_the_weights_where_nothing_fails() -> None:
    hand, none = Hand(Thompson()), Hand(POLICIES["none"]())
    for gateway in ("alder", "birch"):
        hand.end(gateway, *[GOOD] * 500)
    payments = range(1000)
    kept = sum(hand.policy.choose(p, frozenset()) == none.policy.choose(p, frozenset()) for p in payments)
    assert kept > 800, "without indifference it would be about half"


def test_thompson_knows_a_gateway_by_method_and_learns_from_the_other_where_it_knows_nothing() -> None:
    hand = Hand(Thompson())
    for gateway in ("alder", "birch"):
        hand.end(gateway, *[GOOD] * 50)
        hand.end(gateway, *[GOOD] * 50, method="wallet")
    hand.end("alder", *[UNKNOWN] * 5, method="wallet")
    assert hand.shares("wallet")["alder"] < 0.05
    assert hand.shares("card")["alder"] > 0.1
    fresh = Hand(Thompson())
    fresh.end("alder", *[UNKNOWN] * 20)
    assert fresh.shares("wallet")["alder"] < 0.1


def test_success_rate_routing_hedges_with_its_share_and_no_more() -> None:
    hand = Hand(SuccessRate())
    hand.end("alder", *[UNKNOWN] * 40)
    assert hand.shares()["alder"] == pytest.approx(HEDGING_SHARE, abs=0.01)
    hand.end("alder", *[GOOD] * BUCKET_SIZE)
    assert hand.shares()["alder"] > 0.4, "the bucket holds the recent attempts alone"


def test_success_rate_routing_does_not_leave_a_gateway_for_one_failure() -> None:
    hand = Hand(SuccessRate())
    hand.end("alder", UNKNOWN)
    assert hand.shares()["alder"] > 0.1


def test_success_rate_routing_puts_a_gateway_that_is_down_behind_a_worse_one() -> None:
    hand = Hand(SuccessRate())
    hand.end("birch", *[UNKNOWN, GOOD] * (BUCKET_SIZE // 2))
    hand.end("alder", *[UNKNOWN] * 32)
    assert hand.shares()["alder"] == pytest.approx(HEDGING_SHARE, abs=0.01)


def test_gradient2_hands_out_whole_permits() -> None:
    policy = ExactGradient2()
    hand = Hand(policy)
    policy.limits["alder"].limit = 4.9
    for _ in range(3):
        hand.send("alder")
    assert hand.shares()["alder"] > 0.4
    hand.send("alder")
    assert hand.shares()["alder"] == 0


def test_refused_connections_are_no_samples_for_gradient2() -> None:
    policy = ExactGradient2()
    hand = Hand(policy)
    hand.until(1.0)
    hand.end("alder", *[Outcome.NEVER_SENT] * 20, latency=0.05)
    hand.end("alder", *[GOOD] * (WINDOW_SAMPLES - 1))
    assert policy.limits["alder"].long == 0.0
    hand.end("alder", UNKNOWN, latency=TIMEOUT_SECONDS)
    assert policy.limits["alder"].long == pytest.approx(0.6 * 0.9 + TIMEOUT_SECONDS * 0.1)
    assert policy.in_flight["alder"] == 0


def cliff(name: str) -> dict[str, float]:
    drawn = scenario(TUNING, "cliff", 1030)
    return measure(Trial(drawn, draw_demand(drawn, 1030), POLICIES[name](), Random(1030)).run())


@pytest.fixture(scope="module")
def unprotected() -> dict[str, float]:
    return cliff("none")


@pytest.mark.parametrize("name", ["breaker", "failure_breaker", "ejector", "thompson", "success_rate", "gradient2"])
def test_a_baseline_is_better_than_nothing_when_a_gateway_loses_its_servers(
    name: str, unprotected: dict[str, float]
) -> None:
    protected = cliff(name)
    assert protected["goodput"] > unprotected["goodput"] + 0.02
    assert protected["in_doubt"] < unprotected["in_doubt"] / 2
    assert protected["double_charges"] == 0
