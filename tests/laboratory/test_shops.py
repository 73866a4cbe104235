"""Any trouble can befall any shop: few payments, uneven weights, other latencies, late streams, weeks."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from laboratory.deliveries import Deliveries
from laboratory.demand import draw_demand
from laboratory.figures import routing_figures
from laboratory.policies.none import NoProtection
from laboratory.policies.predictive import Predictive
from laboratory.scenarios import Stream
from laboratory.simulation import Trial
from laboratory.split import REPORT, TUNING, TUNING_SEEDS, scenario
from tests.laboratory.unprotected import SEED, unprotected


@pytest.mark.parametrize("name", [name for name in TUNING if name.startswith("sparse")])
def test_sparse_is_less_than_a_payment_a_second(name: str) -> None:
    for group in (REPORT, TUNING):
        assert 0.05 <= group[name].rate <= 1
    ran = unprotected(name)
    assert len(ran.at) < ran.drawn.seconds


@pytest.mark.parametrize("name", [name for name in TUNING if name.startswith("uneven")])
def test_uneven_weights_are_the_shares_of_who_changes_nothing(name: str) -> None:
    ran = unprotected(name)
    assert len(set(ran.drawn.weights.values())) > 1
    for gateway, weight in ran.drawn.weights.items():
        assert (ran.gateway[ran.before] == gateway).mean() == pytest.approx(weight, abs=0.02)


def test_without_one_gateway_the_others_keep_their_proportions() -> None:
    ran = unprotected("uneven_late")
    policy = ran.trial.policy
    assert isinstance(policy, NoProtection)
    left = [name for name in policy.names if name != policy.names[0]]
    chosen = [policy.preferred(payment, left) for payment in range(4000)]
    weights = ran.drawn.weights
    share = weights[left[0]] / sum(weights[name] for name in left)
    assert chosen.count(left[0]) / len(chosen) == pytest.approx(share, abs=0.03)


def test_tails_are_heavier_and_medians_differ() -> None:
    beyond = {
        name: (unprotected(name).seconds > 3).mean() for name in ("pareto_quiet", "mixture_quiet", "lagging_quiet")
    }
    assert beyond["pareto_quiet"] > 2 * beyond["mixture_quiet"] > 2 * beyond["lagging_quiet"]
    ran = unprotected("fast_and_slow_late")
    for spec in ran.drawn.gateways:
        mine = ran.seconds[ran.before & (ran.gateway == spec.name)]
        assert np.median(mine) == pytest.approx(spec.median_ms / 1000, rel=0.1)
    assert len({spec.median_ms for spec in ran.drawn.gateways}) > 1


def test_fees_and_the_gateway_in_trouble_differ_from_seed_to_seed() -> None:
    draws = [scenario(TUNING, "unknown_15", seed) for seed in TUNING_SEEDS]
    assert len({drawn.ailing for drawn in draws}) > 1
    assert len({drawn.gateways[0].fee_basis_points for drawn in draws}) > 1


def test_a_week_has_two_busy_times_a_day_and_less_at_the_weekend() -> None:
    drawn = scenario(TUNING, "peaks", SEED)
    at = np.asarray(draw_demand(drawn, SEED).at)
    days, hours = (at // 86_400).astype(int), (at % 86_400 // 3600).astype(int)
    by_hour = np.bincount(hours[days < 5], minlength=24)
    assert by_hour[12] > 1.5 * by_hour[16] < by_hour[19] / 1.5
    assert by_hour[3] < 0.3 * by_hour[12]
    by_day = np.bincount(days, minlength=7)
    assert by_day[5:].max() < 0.85 * by_day[:5].min()


def test_a_stream_without_bursts_is_always_as_late() -> None:
    deliveries = Deliveries(Stream())
    assert all(deliveries.seen_until(float(now)) == now - 0.6 for now in range(100))


def test_a_stream_with_bursts_stands_still_between_them_and_never_goes_back() -> None:
    stream = Stream(2.0, 3.0, 1.0, seed=1)
    deliveries, times = Deliveries(stream), [number / 10 for number in range(3000)]
    seen = [deliveries.seen_until(now) for now in times]
    assert seen == sorted(seen)
    assert len(set(seen)) < len(seen) / 5, "it moves with a delivery, and not with the time"
    behind = [now - one for now, one in zip(times, seen, strict=True)]
    assert 2.0 <= min(behind[50:]) < 2.5
    assert 5.0 < max(behind) < 2.0 + 3.0 + 2 * 1.5
    again = Deliveries(stream)
    assert [again.seen_until(now) for now in times] == seen


def test_a_policy_that_reads_a_late_stream_acts_later() -> None:
    """Fails when it reads what has not been delivered."""
    acted = []
    for stream in (Stream(), Stream(8.0, 0.0, 1.0)):
        drawn = replace(scenario(TUNING, "hang", SEED), stream=stream)
        policy = Predictive()
        Trial(drawn, draw_demand(drawn, SEED), policy, Random(SEED)).run()
        acted.append(routing_figures(drawn, policy.published, None)["acted_after"])
    assert acted[1] - acted[0] > 5
