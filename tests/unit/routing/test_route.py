"""A payment has one route, given by its id and the weights in force."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import MisconfiguredError
from payonce.routing.control.choice import admission_for, applies, choose_route, weights_for
from payonce.routing.control.document import EVERYTHING
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from tests.unit.routing.test_document import document

NEUTRAL = {"alder": 0.5, "birch": 0.3, "cedar": 0.2}
IDS = [f"pay_{number}" for number in range(20_000)]
weights = st.dictionaries(st.sampled_from("abcdefg"), st.floats(0, 1), min_size=1)


def test_shares_are_those_of_the_weights() -> None:
    shares = Counter(choose_route(NEUTRAL, name) for name in IDS)
    assert all(abs(shares[gateway] / len(IDS) - weight) < 0.015 for gateway, weight in NEUTRAL.items())


@given(weights, st.text())
def test_there_is_always_a_route_and_always_the_same(given_weights: dict[str, float], name: str) -> None:
    route = choose_route(given_weights, name)
    assert route in given_weights
    assert choose_route(dict(reversed(given_weights.items())), name) == route


@given(weights, st.text(), st.frozensets(st.sampled_from("abcdefg")))
def test_an_excluded_gateway_is_never_chosen(
    given_weights: dict[str, float], name: str, excluding: frozenset[str]
) -> None:
    route = choose_route(given_weights, name, excluding)
    if given_weights.keys() <= excluding:
        assert route is None
    else:
        assert route in given_weights.keys() - excluding


def test_a_small_shift_moves_few_payments() -> None:
    shifted = {"alder": 0.4, "birch": 0.3, "cedar": 0.3}
    moved = sum(choose_route(NEUTRAL, name) != choose_route(shifted, name) for name in IDS)
    assert moved / len(IDS) < 0.25


def test_a_gateway_without_weight_gets_nothing() -> None:
    assert {choose_route({"alder": 0.0, "birch": 1.0}, name) for name in IDS[:2000]} == {"birch"}


def settings(mode: Mode, **more: float) -> RoutingSettings:
    return RoutingSettings(neutral={"alder": 0.5, "birch": 0.5}, mode=mode, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.SHADOW])
@pytest.mark.parametrize("whose", ["operator", "document"])
def test_off_and_shadow_route_as_if_there_were_no_document(mode: Mode, whose: str) -> None:
    """Fails when only one of the two modes is asked."""
    own = settings(mode if whose == "operator" else Mode.ON)
    told = document(mode=mode if whose == "document" else Mode.ON)
    for name in IDS[:2000]:
        assert choose_route(weights_for(told, name, "card", own), name) == choose_route(own.neutral, name)
        assert admission_for(told, name, own) is EVERYTHING


def test_on_follows_the_document_for_the_methods_in_it() -> None:
    own = settings(Mode.ON)
    assert weights_for(document(), "pay_1", "card", own) == {"alder": 0.2, "birch": 0.8}
    assert weights_for(document(), "pay_1", "wallet", own) == own.neutral
    assert weights_for(None, "pay_1", "card", own) == own.neutral


def test_a_canary_is_a_fixed_share_of_payments() -> None:
    own = settings(Mode.CANARY, canary_share=0.1)
    chosen = [name for name in IDS if applies(document(), name, own)]
    assert abs(len(chosen) / len(IDS) - 0.1) < 0.01
    assert chosen == [name for name in IDS if applies(document(), name, own)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"neutral": {}},
        {"neutral": {"alder": 0.5}},
        {"neutral": {"alder": 1.5, "birch": -0.5}},
        {"neutral": {"alder": 1.0}, "canary_share": 2},
        {"neutral": {"alder": 1.0}, "life_seconds": 0},
        {"neutral": {"alder": 1.0}, "hold_seconds": 0},
    ],
    ids=str,
)
def test_settings_that_could_leave_no_route_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(MisconfiguredError):
        RoutingSettings(**wrong)  # type: ignore[arg-type]
