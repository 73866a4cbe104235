"""Payments that end by chance and follow the weights: gateways that fail alike, and one that fails alone."""

from __future__ import annotations

from random import Random

import pytest

from payonce.routing.control.routing_settings import Mode, RoutingSettings
from payonce.routing.decision.decide import decide
from payonce.routing.decision.state import State
from payonce.routing.signals.observation import Cell, CellSignals, GatewaySignals, Observation
from tests.support.route_courses import CALM, T0

SECONDS = 400


def moved(neutral: dict[str, float], per_second: int, failing: dict[str, float], seed: int) -> float:
    """Return the share of payments (0..1) that went elsewhere than by the neutral weights, on average."""
    settings, state, luck, distance = RoutingSettings(neutral=neutral, mode=Mode.ON), State(), Random(seed), 0.0
    for second in range(1, SECONDS + 1):
        weights = state.weights.get("card", neutral)
        good, bad = dict.fromkeys(neutral, 0), dict.fromkeys(neutral, 0)
        for gateway in luck.choices(list(neutral), list(weights.values()), k=per_second):
            counts = bad if luck.random() < failing.get(gateway, 0.0) else good
            counts[gateway] += 1
        cells = {Cell(name, "card"): CellSignals(CALM, False, good[name], bad[name], bad[name]) for name in neutral}
        gateways = {name: GatewaySignals(30, 30, 0, 0, 8, 0) for name in neutral}
        demand = {"card": float(per_second)}
        observed = Observation(T0 + 1000 * second, 3.0, cells, gateways, demand, {}, {})
        state = decide(state, observed, settings, observed.at_ms).state
        distance += sum(abs(state.weights["card"][name] - neutral[name]) for name in neutral) / 2
    return distance / SECONDS


def even(count: int) -> dict[str, float]:
    return {f"gateway_{number}": 1 / count for number in range(count)}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_gateways_that_never_fail_keep_what_they_have(count: int) -> None:
    assert moved(even(count), 10, {}, 1) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_of_two_that_fails_a_tenth_loses_nearly_everything(seed: int) -> None:
    assert moved(even(2), 10, {"gateway_0": 0.1}, seed) > 0.4


def test_what_befalls_all_alike_moves_little_by_chance() -> None:
    """Fails when chance decides: in an incident of all, routes swing and nothing is won."""
    failing = dict.fromkeys(even(4), 0.1)
    assert sum(moved(even(4), 10, failing, seed) for seed in (1, 2, 3)) / 3 < 0.05
