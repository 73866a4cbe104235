"""Weights are weights: they add up, nobody is without a route, and what exceeds a limit goes where there is room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.decision.levels import LEAST
from payonce.routing.decision.weights import aim, apply_limits, wanted_rates

GATEWAYS = ("alder", "birch", "cedar", "dogwood")


@st.composite
def shares(draw: st.DrawFn, count: int | None = None) -> dict[str, float]:
    count = count or draw(st.integers(1, 4))
    raw = [draw(st.floats(0.001, 1)) for _ in range(count)]
    return {name: value / sum(raw) for name, value in zip(GATEWAYS, raw, strict=False)}


def is_whole(weights: dict[str, float]) -> bool:
    return all(0 <= weight <= 1 + 1e-9 for weight in weights.values()) and abs(sum(weights.values()) - 1) < 1e-6


@given(shares(), st.lists(st.floats(LEAST, 1), min_size=4, max_size=4))
def test_any_levels_make_whole_weights_and_leave_each_gateway_a_way(
    neutral: dict[str, float], raw: list[float]
) -> None:
    weights = aim(dict(zip(GATEWAYS, raw, strict=False)), neutral)
    assert is_whole(weights)
    assert all(weight > 0 for weight in weights.values())


@given(shares(), st.floats(0.001, 1))
def test_levels_are_shares_of_one_another(neutral: dict[str, float], level: float) -> None:
    """All gateways equally demoted are neutral: nobody is sent away from where it is as bad as elsewhere."""
    assert aim(dict.fromkeys(GATEWAYS, level), neutral) == pytest.approx(neutral)


def test_a_gateway_that_is_left_out_is_not_brought_back_by_a_level() -> None:
    """Fails when a drained gateway has a level of 1 and gets a weight from it, or what is not judged gets none."""
    assert aim({"birch": 0.5}, {"alder": 0.0, "birch": 1.0}) == {"alder": 0.0, "birch": 1.0}
    assert aim({"birch": LEAST}, {"alder": 0.5, "birch": 0.5})["alder"] > 0.99


limits = st.dictionaries(st.sampled_from(GATEWAYS), st.floats(0.1, 100))


@given(shares(4), shares(4), st.floats(0, 100), st.floats(0, 100), limits, limits)
def test_limits_leave_whole_weights(
    card: dict[str, float],
    wallet: dict[str, float],
    card_rate: float,
    wallet_rate: float,
    limited: dict[str, float],
    rooms: dict[str, float],
) -> None:
    demand = {"card": card_rate, "wallet": wallet_rate}
    weights, share = apply_limits({"card": card, "wallet": wallet}, demand, limited, rooms)
    assert 0 <= share <= 1
    assert all(is_whole(each) for each in weights.values())


@given(shares(4), st.floats(0, 100), limits)
def test_no_limited_gateway_gets_more_than_its_rate(
    card: dict[str, float], rate: float, limited: dict[str, float]
) -> None:
    """Fails when what is over a limit is sent all the same."""
    weights, share = apply_limits({"card": card}, {"card": rate}, limited, {})
    sent = wanted_rates(weights, {"card": rate * share})
    assert all(sent.get(gateway, 0.0) <= most * (1 + 1e-6) + 1e-5 for gateway, most in limited.items())


@given(shares(4), shares(4), st.floats(0, 100), st.floats(0, 100), limits, limits)
def test_nothing_is_refused_while_a_gateway_has_no_limit(
    card: dict[str, float],
    wallet: dict[str, float],
    card_rate: float,
    wallet_rate: float,
    limited: dict[str, float],
    rooms: dict[str, float],
) -> None:
    """Fails when a share below 1 comes from the limits of some, or of rounding."""
    demand = {"card": card_rate, "wallet": wallet_rate}
    some = {gateway: rate for gateway, rate in limited.items() if gateway != "alder"}
    rooms = {gateway: rate for gateway, rate in rooms.items() if gateway != "alder"}
    assert apply_limits({"card": card, "wallet": wallet}, demand, some, rooms)[1] == 1.0


def test_what_a_limited_gateway_may_not_take_goes_where_there_is_room() -> None:
    weights, share = apply_limits({"card": {"alder": 0.5, "birch": 0.5}}, {"card": 40.0}, {"alder": 5.0}, {})
    assert weights["card"] == pytest.approx({"alder": 0.125, "birch": 0.875})
    assert share == 1.0


def test_the_excess_fills_the_room_below_a_limit_too() -> None:
    """Fails when only a gateway without a limit takes it: payments would be refused beside room."""
    even = {"card": {"alder": 0.5, "birch": 0.5}}
    weights, share = apply_limits(even, {"card": 40.0}, {"alder": 5.0}, {"birch": 50.0})
    assert share == 1.0
    assert weights["card"] == pytest.approx({"alder": 0.125, "birch": 0.875})


def test_what_fills_one_gateways_room_goes_on_to_the_next() -> None:
    """Fails when the excess is shared out once: birch has room for 2 of it, and cedar for the other 8."""
    weights, share = apply_limits(
        {"card": {"alder": 0.5, "birch": 0.25, "cedar": 0.25}}, {"card": 40.0}, {"alder": 10.0}, {"birch": 12.0}
    )
    assert share == 1.0
    assert wanted_rates(weights, {"card": 40.0}) == pytest.approx({"alder": 10.0, "birch": 12.0, "cedar": 18.0})


def test_what_fits_nowhere_is_refused() -> None:
    weights, share = apply_limits(
        {"card": {"alder": 0.5, "birch": 0.5}}, {"card": 40.0}, {"alder": 5.0, "birch": 25.0}, {}
    )
    assert share == pytest.approx(30 / 40)
    assert weights["card"] == pytest.approx({"alder": 5 / 30, "birch": 25 / 30})


def test_a_gateway_without_a_weight_takes_no_excess() -> None:
    """Fails when a drained gateway gets what the others may not take."""
    weights, share = apply_limits({"card": {"alder": 1.0, "birch": 0.0}}, {"card": 40.0}, {"alder": 10.0}, {})
    assert weights["card"] == {"alder": 1.0, "birch": 0.0}
    assert share == pytest.approx(0.25)
