"""Weights are weights: they add up, nobody is without a route, and no step moves more than it may."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.control.routing_settings import RoutingSettings
from payonce.routing.decision.weights import aim, apply_limits, shift, wanted_rates

GATEWAYS = ("alder", "birch", "cedar", "dogwood")


@st.composite
def shares(draw: st.DrawFn, count: int | None = None) -> dict[str, float]:
    count = count or draw(st.integers(1, 4))
    raw = [draw(st.floats(0.001, 1)) for _ in range(count)]
    return {name: value / sum(raw) for name, value in zip(GATEWAYS, raw, strict=False)}


def is_whole(weights: dict[str, float]) -> bool:
    return all(0 <= weight <= 1 + 1e-9 for weight in weights.values()) and abs(sum(weights.values()) - 1) < 1e-6


@given(shares(), st.lists(st.floats(0.001, 1), min_size=4, max_size=4), st.floats(0, 1000), st.floats(0.25, 1))
def test_any_levels_make_whole_weights_with_probes_for_all(
    neutral: dict[str, float], raw: list[float], offered: float, probing: float
) -> None:
    settings = RoutingSettings(neutral=neutral)
    weights = aim(dict(zip(GATEWAYS, raw, strict=False)), offered, dict.fromkeys(GATEWAYS, probing), settings)
    assert is_whole(weights)
    assert all(weight > 0 for weight in weights.values()), "the floor of real first attempts"


def test_all_demoted_is_neutral() -> None:
    """Fails when the least bad of the bad gets everything."""
    settings = RoutingSettings(neutral={"alder": 0.5, "birch": 0.5})
    assert aim({"alder": 0.001, "birch": 0.4}, 10, {}, settings) == settings.neutral


@given(shares(4), shares(4), st.floats(0.01, 1), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_no_step_moves_more_than_it_may_nor_where_there_is_no_room(
    before: dict[str, float], target: dict[str, float], most: float, raw: list[float]
) -> None:
    """Fails when the shift or the room is not bounded."""
    room = dict(zip(GATEWAYS, raw, strict=True))
    after = shift(before, target, room, most)
    assert is_whole(after)
    gained = sum(max(0.0, after[name] - before[name]) for name in GATEWAYS)
    assert gained <= most + 1e-9
    assert all(after[name] <= max(room[name], before[name]) + 1e-9 for name in GATEWAYS)


@given(shares(4), shares(4), st.floats(0.01, 1))
def test_with_room_it_arrives_in_the_end(before: dict[str, float], target: dict[str, float], most: float) -> None:
    for _ in range(math.ceil(1 / most) + 1):
        before = shift(before, target, {}, most)
    assert all(abs(before[name] - target[name]) < 1e-6 for name in GATEWAYS)


limits = st.dictionaries(st.sampled_from(GATEWAYS), st.floats(0.1, 100))


@given(shares(4), shares(4), st.floats(0, 100), st.floats(0, 100), limits, limits)
def test_limits_leave_whole_weights(
    card: dict[str, float],
    wallet: dict[str, float],
    card_rate: float,
    wallet_rate: float,
    limited: dict[str, float],
    headroom: dict[str, float],
) -> None:
    demand = {"card": card_rate, "wallet": wallet_rate}
    weights, share = apply_limits({"card": card, "wallet": wallet}, demand, limited, headroom)
    assert 0 <= share <= 1
    assert all(is_whole(each) for each in weights.values())


@given(shares(4), st.floats(0, 100), limits, limits)
def test_no_limited_gateway_gets_more_than_its_rate(
    card: dict[str, float], rate: float, limited: dict[str, float], headroom: dict[str, float]
) -> None:
    """Fails when what is over a limit is sent all the same."""
    weights, share = apply_limits({"card": card}, {"card": rate}, limited, headroom)
    sent = wanted_rates(weights, {"card": rate * share})
    assert all(sent.get(gateway, 0.0) <= most + 1e-6 for gateway, most in limited.items())


def test_what_a_limited_gateway_may_not_take_goes_where_there_is_room() -> None:
    weights, share = apply_limits(
        {"card": {"alder": 0.5, "birch": 0.5}}, {"card": 40.0}, {"alder": 5.0}, {"birch": 100.0}
    )
    assert weights["card"] == pytest.approx({"alder": 0.125, "birch": 0.875})
    assert share == 1.0


def test_what_fits_nowhere_is_refused() -> None:
    weights, share = apply_limits(
        {"card": {"alder": 0.5, "birch": 0.5}}, {"card": 40.0}, {"alder": 5.0}, {"birch": 25.0}
    )
    assert share == pytest.approx(30 / 40)
    assert weights["card"] == pytest.approx({"alder": 5 / 30, "birch": 25 / 30})
