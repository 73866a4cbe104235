"""The loops as a whole, on random observations: whatever they see, they leave payments a valid document."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.routing.control.document import parse_document
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from payonce.routing.decision.loops import decide, expectations
from payonce.routing.decision.record import record, replay
from payonce.routing.decision.reflex import Limit
from payonce.routing.decision.state import State, parse_state, restore
from payonce.routing.detection.baseline import Baseline
from payonce.routing.detection.forecast import Model, shipped_model
from payonce.routing.signals.observation import Cell, CellSignals, GatewaySignals, Observation
from payonce.routing.signals.sketch import LatencySketch

T0 = 1_000_000_000_000
ROUTING = RoutingSettings(neutral={"alder": 0.4, "birch": 0.4, "cedar": 0.2}, mode=Mode.ON)
CELLS = [Cell(gateway, method) for gateway in ROUTING.neutral for method in ("card", "wallet")]
counts = st.integers(0, 300)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    cells = {}
    for cell in draw(st.lists(st.sampled_from(CELLS), unique=True)):
        sketch = LatencySketch()
        slow = draw(st.sampled_from([1, 1, 1, 3, 20]))
        for number in range(draw(st.integers(0, 60))):
            sketch.add((300 + 20 * number) * slow)
        cells[cell] = CellSignals(
            10,
            sketch,
            sketch.total,
            draw(st.integers(0, 40)),
            sketch.total,
            draw(counts),
            draw(st.integers(0, 20)),
            draw(counts),
            draw(counts),
        )
    gateways = {
        gateway: GatewaySignals(
            draw(counts), draw(counts), draw(counts), draw(counts), draw(counts), draw(counts), True
        )
        for gateway in draw(st.lists(st.sampled_from(sorted(ROUTING.neutral)), unique=True))
    }
    demand = {
        method: draw(st.floats(0, 100)) for method in draw(st.lists(st.sampled_from(["card", "wallet"]), unique=True))
    }
    merchants = {f"m{number}": draw(st.floats(0.1, 50)) for number in range(draw(st.integers(0, 3)))}
    priorities = {"authorization": sum(merchants.values()), "protected": draw(st.floats(0, 5))}
    return Observation(0, 3.5, cells, gateways, demand, merchants, priorities)


@settings(max_examples=60)
@given(st.lists(observations(), min_size=1, max_size=15), st.booleans())
def test_whatever_is_seen_the_document_is_valid_and_shifts_are_bounded(seen: list[Observation], warm: bool) -> None:
    state = State()
    if warm:
        usual = Baseline(log_p95=7.0, log_mean=6.4, learned_seconds=1e4, learned_samples=10**4, rate=10.0, at_ms=T0)
        state.baselines = dict.fromkeys(CELLS, usual)
    for step, observed in enumerate(seen):
        observed.at_ms = T0 + 5000 * (step + 1)
        before = state
        decision = decide(state, observed, ROUTING, shipped_model(), observed.at_ms + 700)
        state = decision.state
        if decision.document is not None:
            read = parse_document(decision.document.to_bytes(), frozenset(ROUTING.neutral))
            assert read.epoch == step + 1
            assert all(any(weight > 0 for weight in weights.values()) for weights in read.weights.values())
        for method, weights in state.weights.items():
            earlier = before.weights.get(method, ROUTING.neutral)
            assert sum(max(0.0, weights[g] - earlier[g]) for g in weights) <= ROUTING.max_shift + 1e-9
            assert sum(weights.values()) == pytest.approx(1)
        written = record(before, observed, ROUTING, shipped_model(), observed.at_ms + 700, decision)
        assert replay(written) == written


def test_a_decision_depends_on_its_record_alone() -> None:
    """Fails when a decision is made from anything that is not in its record."""
    state, observed = State(), observation(T0)
    decision = decide(state, observed, ROUTING, shipped_model(), T0)
    written = record(state, observed, ROUTING, shipped_model(), T0, decision)
    changed = json.loads(written)
    changed["observation"]["demand"]["card"] = 31.0
    assert replay(written) == written
    assert replay(json.dumps(changed).encode()) != json.dumps(changed).encode()


def test_the_state_given_is_not_changed() -> None:
    state = State()
    before = state.to_bytes()
    for step in range(10):
        decide(state, observation(T0 + step), ROUTING, shipped_model(), T0)
    assert state.to_bytes() == before


@pytest.mark.parametrize("garbage", [b"", b"{}", b"null", b'{"version":1}', b'{"version":2}'])
def test_what_is_no_record_is_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        replay(garbage)


def observation(at_ms: int, *, slow: float = 1.0, samples: int = 120) -> Observation:
    cells, gateways = {}, {}
    for cell in CELLS:
        sketch = LatencySketch()
        for number in range(samples):
            factor = slow if cell.gateway == "alder" else 1.0
            sketch.add((500 + 5 * number) * factor)
        cells[cell] = CellSignals(10, sketch, samples, 0, samples, 8, 0, samples // 2)
        gateways[cell.gateway] = GatewaySignals(36, 36, 0, 0, 8, 0, True)
    demand = {"card": 18.0, "wallet": 18.0}
    return Observation(at_ms, 3.0, cells, gateways, demand, {"m": 36.0}, {"authorization": 36.0})


def course(state: State, steps: int, *, slow: float, first: int) -> State:
    for step in range(first, first + steps):
        at_ms = T0 + 5000 * step
        state = decide(state, observation(at_ms, slow=slow), ROUTING, shipped_model(), at_ms).state
    return state


def test_a_gateway_that_gets_slow_loses_its_traffic_and_gets_it_back() -> None:
    state = course(State(), 60, slow=1.0, first=1)
    assert state.weights["card"] == pytest.approx(ROUTING.neutral)
    state = course(state, 12, slow=6.0, first=61)
    assert state.weights["card"]["alder"] < 0.02
    assert state.weights["card"]["alder"] > 0, "it goes on being probed"
    state = course(state, 40, slow=1.0, first=73)
    assert state.weights["card"] == pytest.approx(ROUTING.neutral)


def slow_once(state: State, at_ms: int, *, samples: int = 120) -> State:
    return decide(state, observation(at_ms, slow=6.0, samples=samples), ROUTING, shipped_model(), at_ms).state


def test_a_gateway_that_everything_is_needed_for_is_limited_and_not_demoted() -> None:
    """Fails when a level is cut in scarcity: payments are refused while the gateway could do some of them."""
    state = course(State(), 60, slow=1.0, first=1)
    limits = {"alder": Limit(rate=5.0, concurrency=5.0, proven_rate=12.0)}
    for scarce in (False, True):
        following = replace(state, scarce=scarce, limits=limits)
        for step in (61, 62):
            following = replace(slow_once(following, T0 + 5000 * step), scarce=scarce, limits=limits)
        assert (following.levels[Cell("alder", "card")].level == 1) == scarce


def test_a_limit_confirms_what_the_forecast_holds_for_unlikely() -> None:
    """Fails when only the model may cut: the limit comes and goes with every period of a square wave."""
    state = course(State(), 60, slow=1.0, first=1)
    never, levels = Model(-20.0, {}, 60), []
    for limits in ({}, {"alder": Limit(rate=5.0, concurrency=5.0, proven_rate=12.0)}):
        following = state
        for step in (61, 62):
            at_ms = T0 + 5000 * step
            following = decide(
                replace(following, limits=limits), observation(at_ms, slow=6.0), ROUTING, never, at_ms
            ).state
        levels.append(following.levels[Cell("alder", "card")].level)
    assert levels[0] == 1
    assert levels[1] < 1


def test_the_probes_of_a_gateways_demoted_methods_count_together() -> None:
    """Fails when each method waits for its own: the rare one would be demoted for minutes longer."""
    state = course(course(State(), 60, slow=1.0, first=1), 12, slow=6.0, first=61)
    state.levels = {cell: replace(level, good=0) for cell, level in state.levels.items()}
    observed = observation(T0 + 5000 * 80)
    observed.cells[Cell("alder", "card")].good = 3
    observed.cells[Cell("alder", "wallet")].good = 1
    state = decide(state, observed, ROUTING, shipped_model(), observed.at_ms).state
    assert {state.levels[Cell("alder", method)].good for method in ("card", "wallet")} == {4}


def test_the_answers_of_a_method_that_got_trust_back_are_no_probes_of_the_others() -> None:
    """Fails when they count: three slow ones among its many took all trust from the other's probes, again and again."""
    state = course(course(State(), 60, slow=1.0, first=1), 12, slow=6.0, first=61)
    card, wallet = Cell("alder", "card"), Cell("alder", "wallet")
    state.levels[card] = replace(state.levels[card], good=9)
    state.levels[wallet] = replace(state.levels[wallet], level=0.6, risen=True)
    before = state.levels[card].bad_at_ms
    observed = observation(T0 + 5000 * 80)
    observed.cells[card].good = 1
    observed.cells[wallet].good, observed.cells[wallet].bad = 14, 3
    following = decide(state, observed, ROUTING, shipped_model(), observed.at_ms).state
    assert following.levels[card].good == 10
    assert following.levels[card].bad_at_ms == before


def test_restarted_in_the_middle_it_goes_on_where_it_was() -> None:
    """Fails when any of the state is not stored."""
    state = course(State(), 65, slow=1.0, first=1)
    state = replace(course(state, 4, slow=6.0, first=66), scarce=True)
    again = restore(state.to_bytes())
    assert again == state
    assert course(again, 10, slow=6.0, first=70).to_bytes() == course(state, 10, slow=6.0, first=70).to_bytes()


@pytest.mark.parametrize(
    "corrupt",
    [None, b"", b"\x00\xff", b"[]", b"{}", b"7", b'{"version":1}', b"[" * 10**5],
    ids=lambda raw: repr(raw)[:12],
)
def test_a_state_that_cannot_be_read_is_a_fresh_one(corrupt: bytes | None) -> None:
    state = restore(corrupt, epoch=41)
    assert state == State(epoch=41)
    assert decide(state, observation(T0), ROUTING, shipped_model(), T0).document is not None


@given(st.data())
def test_a_state_with_one_wrong_value_is_never_half_read(data: st.DataObject) -> None:
    stored = course(State(), 8, slow=1.0, first=1).to_json()
    field = data.draw(st.sampled_from(sorted(stored)))
    wrong = data.draw(st.none() | st.text(max_size=3) | st.lists(st.integers(), min_size=1, max_size=2))
    if field in {"baselines", "levels", "limits", "weights"} and data.draw(st.booleans()):
        inner = data.draw(st.sampled_from(sorted(stored[field])))
        name = data.draw(st.sampled_from(sorted(stored[field][inner])))
        stored[field][inner][name] = {"not": wrong}
    else:
        stored[field] = wrong
    if field == "scarce":
        return  # anything is true or false
    with pytest.raises(ValueError, match=r"."):
        parse_state(stored)


@pytest.mark.parametrize("field", ["demand", "at_ms"])
def test_a_number_beyond_any_float_is_no_state(field: str) -> None:
    """Fails with an OverflowError, which is raised before anything could begin anew."""
    stored = {**State().to_json(), field: 10**400}
    with pytest.raises(ValueError, match="not a stored state"):
        parse_state(stored)


@given(st.data())
def test_a_state_with_one_damaged_byte_is_a_fresh_one(data: st.DataObject) -> None:
    """Fails when the digest is not asked."""
    raw = bytearray(STORED)
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 6))
    state = restore(bytes(raw))
    assert state == State() or state.to_bytes() == STORED


STORED = course(State(), 8, slow=1.0, first=1).to_bytes()


def test_what_is_usual_becomes_what_is_expected() -> None:
    state = course(State(), 60, slow=1.0, first=1)
    assert set(expectations(state)) == set(CELLS)
    assert all(1200 < milliseconds < 1500 for milliseconds in expectations(state).values())


def test_the_reason_names_the_gateway_the_probability_and_what_drove_it() -> None:
    state = course(State(), 60, slow=1.0, first=1)
    at_ms = T0 + 5000 * 61
    state = decide(state, observation(at_ms, slow=6.0), ROUTING, shipped_model(), at_ms).state
    decision = decide(state, observation(at_ms + 5000, slow=6.0), ROUTING, shipped_model(), at_ms + 5000)
    assert decision.document is not None
    assert decision.document.reason.startswith("alder for card: at 15% of its share, ")
    assert "likely to miss the SLO within 60 s (" in decision.document.reason
    forecast = decision.forecasts[Cell("alder", "card")]
    assert forecast.probability > 0.5
    assert forecast.horizon_seconds == 60
    assert forecast.drivers


def test_the_shipped_model_names_its_features_and_never_falls_as_they_rise() -> None:
    model = shipped_model()
    state = course(State(), 2, slow=1.0, first=1)
    decision = decide(state, observation(T0 + 20_000), ROUTING, model, T0)
    features = decision.forecasts[Cell("alder", "card")].features
    assert set(model.weights) <= set(features)
    assert all(weight >= 0 for weight in model.weights.values())
    assert Model(0.0, {}, 60).probability({}) == 0.5
