"""The override: an end, a name and a reason, read strictly, and never a payment without a route."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.control.override import MAX_LIFE_MS, MAX_REASON, Override, mode_of, overridden, parse_override
from payonce.routing.control.routing_settings import Mode

GATEWAYS = frozenset({"alder", "birch", "cedar"})
T0 = 1_000_000_000_000


def override(**changes: Any) -> Override:
    fields: dict[str, Any] = {
        "version": 4,
        "mode": Mode.SHADOW,
        "shares": {"birch": 0.5, "alder": 0.0},
        "operator": "ann",
        "reason": "alder maintains its hosts",
        "issued_at_ms": T0,
        "expires_at_ms": T0 + 60_000,
    }
    return Override(**{**fields, **changes})


SEVERAL = override(ends_at_ms={"alder": T0 + 5_000}, mode_ends_at_ms=T0 + 10_000)


def stored(**changes: Any) -> bytes:
    return json.dumps({**json.loads(override().to_bytes()), **changes}).encode()


def test_written_and_read_it_is_the_same() -> None:
    for one in (override(), override(mode=None), override(shares={}), override(mode=None, shares={}), SEVERAL):
        assert parse_override(one.to_bytes(), GATEWAYS) == one


def test_the_same_override_is_the_same_bytes() -> None:
    """Fails when keys are written in the order in which they were named, or 0 and 0.0 differ."""
    assert override(shares={"alder": 0, "birch": 0.5}).to_bytes() == override().to_bytes()
    assert b" " not in override(reason="why").to_bytes()


def test_one_end_is_written_as_it_was_before_there_were_several() -> None:
    """Fails when an override that an older function can obey is written so that it can't."""
    assert json.loads(override().to_bytes())["format"] == 1
    assert json.loads(SEVERAL.to_bytes())["format"] == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 1},
        {"ends_at_ms": {"cedar": T0 + 1}},
        {"ends_at_ms": {"alder": T0}},
        {"ends_at_ms": {"alder": T0 + 60_000}},
        {"ends_at_ms": {"alder": 1.5}},
        {"ends_at_ms": []},
        {"ends_at_ms": {"alder": T0 + 1, "birch": T0 + 2}},
        {"mode_ends_at_ms": T0},
        {"mode_ends_at_ms": T0 + 60_001},
        {"mode_ends_at_ms": "soon"},
        {"mode": None},
    ],
    ids=str,
)
def test_an_end_of_its_own_is_read_as_strictly(changes: dict[str, Any]) -> None:
    whole = json.loads(SEVERAL.to_bytes())
    assert parse_override(json.dumps(whole).encode(), GATEWAYS) == SEVERAL
    with pytest.raises(ValueError, match=r"."):
        parse_override(json.dumps({**whole, **changes}).encode(), GATEWAYS)


def test_what_has_ended_counts_no_more_and_the_rest_does() -> None:
    """Fails when a gateway stays drained until the last part of the override ends."""
    weights = {"alder": 0.5, "birch": 0.3, "cedar": 0.2}
    assert SEVERAL.left_at(T0) is SEVERAL
    assert overridden(weights, SEVERAL, T0 + 4_999)["alder"] == 0
    later = overridden(weights, SEVERAL, T0 + 5_000)
    assert later == pytest.approx({"alder": 0.5 / 0.85, "birch": 0.15 / 0.85, "cedar": 0.2 / 0.85})
    assert (mode_of(Mode.ON, SEVERAL, T0 + 9_999), mode_of(Mode.ON, SEVERAL, T0 + 10_000)) == (Mode.SHADOW, Mode.ON)
    left = SEVERAL.left_at(T0 + 10_000)
    assert (left.shares, left.mode, left.ends_at_ms) == ({"birch": 0.5}, None, {})
    forced = override(shares={"alder": 0.0}, ends_at_ms={"alder": T0 + 5_000})
    assert overridden(weights, forced, T0 + 5_000) is weights, "a mode alone changes no weight by a bit"


WRONG: list[dict[str, Any]] = [
    {"format": 2},
    {"extra": 1},
    {"version": 0},
    {"version": True},
    {"version": 1.5},
    {"mode": "full"},
    {"mode": []},
    {"shares": []},
    {"shares": {"alder": 1.1}},
    {"shares": {"alder": -0.1}},
    {"shares": {"alder": True}},
    {"shares": {"alder": "0"}},
    {"shares": {"alder": float("nan")}},
    {"shares": {"alder": 10**400}},
    {"shares": {"dogwood": 0.5}},
    {"shares": {f"g{number}": 0.5 for number in range(17)}},
    {"operator": ""},
    {"operator": " ann"},
    {"operator": 7},
    {"operator": "a" * 101},
    {"reason": ""},
    {"reason": " "},
    {"reason": "clear\x1b[2J"},
    {"reason": "x" * (MAX_REASON + 1)},
    {"issued_at_ms": -1},
    {"issued_at_ms": 1.5},
    {"expires_at_ms": None},
    {"expires_at_ms": T0},
    {"expires_at_ms": T0 + MAX_LIFE_MS + 1},
]


@pytest.mark.parametrize("changes", WRONG, ids=str)
def test_one_thing_wrong_and_all_of_it_is_refused(changes: dict[str, Any]) -> None:
    parse_override(stored(), GATEWAYS)
    with pytest.raises(ValueError, match=r"."):
        parse_override(stored(**changes), GATEWAYS)


@pytest.mark.parametrize("missing", sorted(json.loads(override().to_bytes())))
def test_nothing_may_be_missing(missing: str) -> None:
    whole = json.loads(override().to_bytes())
    del whole[missing]
    with pytest.raises(ValueError, match="not an override"):
        parse_override(json.dumps(whole).encode(), GATEWAYS)


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 8_000, b" " * 9_000 + b"{}"])
def test_garbage_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_override(raw, GATEWAYS)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"operator": " "},
        {"reason": ""},
        {"reason": "two\nlines"},
        {"expires_at_ms": T0},
        {"expires_at_ms": T0 + MAX_LIFE_MS + 1},
        {"shares": {"alder": 1.5}},
        {"shares": {"alder": float("nan")}},
        {"shares": {f"g{number}": 0.5 for number in range(17)}},
    ],
    ids=str,
)
def test_what_could_not_be_read_again_is_not_made(changes: dict[str, Any]) -> None:
    """Fails when only the reader looks: an operator's mistake would be stored, and then ignored by every payment."""
    with pytest.raises(ValueError, match=r"."):
        override(**changes)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(json.loads(override().to_bytes()))), json_values)
def test_any_value_anywhere_is_read_or_refused_and_nothing_else(field: str, value: Any) -> None:
    try:
        read = parse_override(stored(**{field: value}), GATEWAYS)
    except ValueError:
        return
    assert parse_override(read.to_bytes(), GATEWAYS) == read
    assert read.issued_at_ms < read.expires_at_ms <= read.issued_at_ms + MAX_LIFE_MS


def test_it_counts_until_it_expires_and_not_long_before_its_issue() -> None:
    assert override().is_in_force(T0 - 30_000), "the operator's clock is 30 s ahead"
    assert override().is_in_force(T0 + 59_999)
    assert not override().is_in_force(T0 + 60_000)
    assert not override().is_in_force(T0 - 600_000)
    assert not override(mode=None, shares={}).is_in_force(T0), "a release says nothing"
    assert override(shares={}).is_in_force(T0)
    assert override(mode=None).is_in_force(T0)


def test_the_mode_is_the_overrides_while_it_is_in_force() -> None:
    assert mode_of(Mode.ON, override(), T0) is Mode.SHADOW
    assert mode_of(Mode.ON, override(), T0 + 60_000) is Mode.ON
    assert mode_of(Mode.ON, override(mode=None), T0) is Mode.ON
    assert mode_of(Mode.ON, None, T0) is Mode.ON


def test_a_share_is_of_the_gateways_own_weight() -> None:
    weights = {"alder": 0.5, "birch": 0.3, "cedar": 0.2}
    assert overridden(weights, override(), T0) == pytest.approx({"alder": 0, "birch": 0.15 / 0.35, "cedar": 0.2 / 0.35})


def test_whoever_is_left_without_any_route_keeps_those_there_were() -> None:
    """Fails when the last gateway can be drained: the payment would have no route, or a division by zero."""
    weights = {"alder": 1.0, "birch": 0.0}
    assert overridden(weights, override(), T0) == weights
    assert overridden(weights, override(shares=dict.fromkeys(GATEWAYS, 0.0)), T0) == weights


@pytest.mark.parametrize("absent", [None, override(shares={}), override(expires_at_ms=T0 + 1)], ids=repr)
def test_without_one_in_force_the_weights_are_those_to_the_bit(absent: Override | None) -> None:
    """Fails when weights are normalised all the same: shadow would route a payment otherwise than off."""
    weights = {"alder": 0.1 + 0.2, "birch": 0.69999999}
    assert overridden(weights, absent, T0 + 1) is weights


shares = st.floats(0, 1)
names = st.sampled_from(sorted(GATEWAYS))


@given(
    st.dictionaries(names, shares, min_size=1).filter(lambda weights: sum(weights.values()) > 0),
    st.dictionaries(names, shares),
)
def test_some_route_is_always_left_and_a_drained_gateway_gets_nothing(
    raw: dict[str, float], shares: dict[str, float]
) -> None:
    weights = {gateway: weight / sum(raw.values()) for gateway, weight in raw.items()}
    after = overridden(weights, override(shares=shares), T0)
    assert set(after) == set(weights)
    assert sum(after.values()) == pytest.approx(1)
    assert all(weight >= 0 for weight in after.values())
    if any(weight * shares.get(gateway, 1) > 0 for gateway, weight in weights.items()):
        assert all(after[gateway] == 0 for gateway, share in shares.items() if share == 0 and gateway in after)
