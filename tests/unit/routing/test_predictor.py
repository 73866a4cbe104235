"""Decisions as a whole, on random observations: whatever they see, they leave payments a valid document."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.routing.control.document import EVERYTHING, canonical, parse_document
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from payonce.routing.decision.decide import OVERDUE_FACTOR, UNKNOWN_USUAL_SHARE, decide, expectations
from payonce.routing.decision.levels import PROBED
from payonce.routing.decision.record import record, replay
from payonce.routing.decision.reflex import Limit
from payonce.routing.decision.state import VERSION, State, parse_state, restore
from payonce.routing.detection.memory import WARM_SAMPLES, Counts, RouteMemory
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
        bad = draw(counts)
        cells[cell] = CellSignals(sketch, draw(st.booleans()), draw(counts), bad, draw(st.integers(0, bad)))
    gateways = {
        gateway: GatewaySignals(draw(counts), draw(counts), draw(counts), draw(counts), draw(counts), draw(counts))
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
def test_whatever_is_seen_the_document_is_valid_and_made_again(seen: list[Observation], warm: bool) -> None:
    """Fails when any observation leaves payments without a route, or a decision is made from more than its record."""
    state = State()
    if warm:
        state.memories = {cell: RouteMemory(log_p95=7.0, learned=10**4, at_ms=T0) for cell in CELLS}
    for step, observed in enumerate(seen):
        observed.at_ms = T0 + STEP_MS * (step + 1)
        before = state
        decision = decide(state, observed, ROUTING, observed.at_ms + 700)
        state = decision.state
        read = parse_document(decision.document.to_bytes(), frozenset(ROUTING.neutral))
        assert read.epoch == step + 1
        for weights in read.weights.values():
            assert sum(weights.values()) == pytest.approx(1)
            assert any(weight > 0 for weight in weights.values())
        for weights in state.weights.values():
            assert sum(weights.values()) == pytest.approx(1)
            assert all(0 < weight <= 1 for weight in weights.values()), "each goes on being probed"
        written = record(before, observed, ROUTING, observed.at_ms + 700, decision)
        assert replay(written) == written
        assert restore(state.to_bytes()) == state


def test_a_decision_depends_on_its_record_alone() -> None:
    """Fails when a decision is made from anything that is not in its record."""
    state, observed = State(), observation(T0)
    decision = decide(state, observed, ROUTING, T0)
    written = record(state, observed, ROUTING, T0, decision)
    changed = json.loads(written)
    changed["observation"]["demand"]["card"] = 31.0
    with pytest.raises(ValueError, match="another version"):
        replay(json.dumps({**changed, "version": changed["version"] - 1}).encode())
    assert replay(written) == written
    assert replay(json.dumps(changed).encode()) != json.dumps(changed).encode()


def test_the_state_given_is_not_changed() -> None:
    state = State()
    before = state.to_bytes()
    for step in range(10):
        decide(state, observation(T0 + step), ROUTING, T0)
    assert state.to_bytes() == before


@pytest.mark.parametrize("garbage", [b"", b"{}", b"null", b'{"version":1}', b'{"version":2}', b'{"version":3}'])
def test_what_is_no_record_is_refused(garbage: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        replay(garbage)


STEP_MS = 2_000
EACH = 24  # attempts of a route that end in a step


def observation(
    at_ms: int, *, slow: float = 1.0, bad_share: float = 0.0, failed: bool = False, samples: int = 120
) -> Observation:
    cells, gateways = {}, {}
    for cell in CELLS:
        sketch = LatencySketch()
        for number in range(samples):
            factor = slow if cell.gateway == "alder" else 1.0
            sketch.add((500 + 5 * number) * factor)
        bad = round(EACH * bad_share) if cell.gateway == "alder" else 0
        cells[cell] = CellSignals(sketch, False, EACH - bad, bad, bad if failed else 0)
        gateways[cell.gateway] = GatewaySignals(36, 36, 0, 0, 8, 0)
    demand = {"card": 18.0, "wallet": 18.0}
    return Observation(at_ms, 3.0, cells, gateways, demand, {"m": 36.0}, {"authorization": 36.0})


def course(state: State, steps: int, *, first: int, **trouble: Any) -> State:
    for step in range(first, first + steps):
        at_ms = T0 + STEP_MS * step
        state = decide(state, observation(at_ms, **trouble), ROUTING, at_ms).state
    return state


HANG = {"bad_share": 1.0, "slow": 6.0}
ALDER = Cell("alder", "card")


def test_a_gateway_in_trouble_loses_its_traffic_and_gets_it_back() -> None:
    state = course(State(), 60, first=1)
    assert state.weights["card"] == pytest.approx(ROUTING.neutral)
    state = course(state, 30, first=61, **HANG)
    assert state.weights["card"]["alder"] < 0.02
    assert state.weights["card"]["alder"] > 0, "it goes on being probed"
    state = course(state, 200, first=91)
    assert state.weights["card"] == pytest.approx(ROUTING.neutral)


def test_without_any_history_it_acts_within_a_few_steps() -> None:
    """Fails when what is usual has to be learned first: a predictor that starts inside an incident would learn that."""
    state = course(State(), 3, first=1, bad_share=0.25, failed=True)
    assert state.weights["card"]["alder"] < 0.1


def test_evidence_is_used_once() -> None:
    """Fails when a cut's counts are counted on: a trouble that is over would be cut for again at the first probe."""
    state = course(State(), 30, first=1)
    cut = course(state, 1, first=31, bad_share=1.0, slow=3.5)
    assert cut.levels[ALDER].level == PROBED
    assert (cut.memories[ALDER].long, cut.memories[ALDER].short) == (Counts(), Counts())
    assert cut.memories[Cell("birch", "card")].long.ended > 0


def test_the_probes_of_a_gateways_demoted_methods_count_together() -> None:
    """Fails when each method waits for its own: the rare one would be demoted for minutes longer."""
    state = course(course(State(), 30, first=1), 2, first=31, **HANG)
    before = {method: state.levels[Cell("alder", method)].good for method in ("card", "wallet")}
    observed = observation(T0 + STEP_MS * 33)
    for method, good in (("card", 3), ("wallet", 1)):
        observed.cells[Cell("alder", method)] = replace(observed.cells[Cell("alder", method)], good=good)
    state = decide(state, observed, ROUTING, observed.at_ms).state
    assert {method: state.levels[Cell("alder", method)].good - before[method] for method in before} == {
        "card": 4,
        "wallet": 4,
    }


def test_a_gateway_that_everything_is_needed_for_is_cut_for_failing_alone() -> None:
    """Fails when what is late is demoted while payments are refused: it waits for a server, which the limit is for."""
    state = course(State(), 30, first=1)
    for failed, refusing, cut in [(False, False, True), (False, True, False), (True, True, True)]:
        following = state
        for step in (31, 32, 33):
            following = replace(following, refusing=refusing)
            following = course(following, 1, first=step, bad_share=0.5, slow=3.0, failed=failed)
        assert (following.levels[ALDER].level < 1) == cut


def test_full_gateways_are_judged_by_the_larger_margin() -> None:
    """Fails when the verdict does not know of the limits: it would cut what they have already cut."""
    state = course(State(), 30, first=1)
    limits = dict.fromkeys(ROUTING.neutral, Limit(rate=5.0, concurrency=5.0))
    cut = []
    for known in ({}, limits):
        following = state
        for step in range(31, 61):
            following = course(replace(following, limits=known), 1, first=step, bad_share=0.05, slow=2.5)
        cut.append(following.levels[ALDER].level < 1)
    assert cut == [True, False]


def full(seen: Observation, *gateways: str) -> Observation:
    """Return the observation with gateways at which 30 s of payments wait."""
    for gateway in gateways:
        seen.gateways[gateway] = GatewaySignals(36, 36, 0, 36, 360, 350)
    return replace(seen, cells={})


def test_payments_are_refused_only_when_all_gateways_are_surely_full() -> None:
    """Fails when a limit alone, or two of three, refuse."""
    surely = Limit(rate=3.0, concurrency=5.0, is_sure=True, began_at_ms=T0, full_at_ms=T0, full_rate=3.0)
    for names, refused in [(["alder"], False), (["alder", "birch"], False), (["alder", "birch", "cedar"], True)]:
        state = replace(course(State(), 3, first=1), limits=dict.fromkeys(names, surely))
        at_ms = T0 + STEP_MS * 4
        decision = decide(state, full(observation(at_ms), *names), ROUTING, at_ms)
        assert (decision.document.admission != EVERYTHING) == refused
        assert decision.state.refusing == refused
        assert set(decision.document.limits) == set(names)
        assert ("shedding" in decision.document.reason) == refused


def test_restarted_in_the_middle_it_goes_on_where_it_was() -> None:
    """Fails when any of the state is not stored."""
    state = course(State(), 30, first=1)
    state = replace(course(state, 4, first=31, **HANG), refusing=True)
    again = restore(state.to_bytes())
    assert again == state
    assert course(again, 10, first=35, **HANG).to_bytes() == course(state, 10, first=35, **HANG).to_bytes()


@pytest.mark.parametrize(
    "corrupt",
    [None, b"", b"\x00\xff", b"[]", b"{}", b"7", b'{"version":1}', b"[" * 10**5],
    ids=lambda raw: repr(raw)[:12],
)
def test_a_state_that_cannot_be_read_is_a_fresh_one(corrupt: bytes | None) -> None:
    state = restore(corrupt, epoch=41)
    assert state == State(epoch=41)
    assert decide(state, observation(T0), ROUTING, T0).document.weights


@given(st.data())
def test_a_state_with_one_wrong_value_is_never_half_read(data: st.DataObject) -> None:
    stored = course(State(), 8, first=1).to_json()
    field = data.draw(st.sampled_from(sorted(stored)))
    wrong = data.draw(st.none() | st.text(max_size=3) | st.lists(st.integers(), min_size=1, max_size=2))
    if field in {"memories", "levels", "limits", "weights"} and data.draw(st.booleans()):
        inner = data.draw(st.sampled_from(sorted(stored[field])))
        name = data.draw(st.sampled_from(sorted(stored[field][inner])))
        stored[field][inner][name] = {"not": wrong}
    else:
        stored[field] = wrong
    with pytest.raises(ValueError, match=r"."):
        parse_state(stored)


@pytest.mark.parametrize("field", ["refusing", "at_ms"])
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


STORED = course(State(), 8, first=1).to_bytes()


@pytest.mark.parametrize("version", [1, 2, VERSION + 1])
def test_the_state_of_another_version_is_begun_anew(version: int) -> None:
    """Fails when a state is read by names that mean something else now."""
    stored = {**State(epoch=7).to_json(), "version": version}
    raw = canonical({"sha256": sha256(canonical(stored)).hexdigest(), "state": stored})
    assert restore(raw, epoch=41) == State(epoch=41)
    stored["version"] = VERSION
    assert restore(canonical({"sha256": sha256(canonical(stored)).hexdigest(), "state": stored})) == State(epoch=7)


def test_what_is_usual_becomes_what_is_expected() -> None:
    state = course(State(), 60, first=1)
    expected = expectations(state, ROUTING)
    assert set(expected) == set(CELLS)
    p95_ms = 500 + 5 * 0.95 * 119
    assert all(milliseconds == pytest.approx(OVERDUE_FACTOR * p95_ms, rel=0.03) for milliseconds in expected.values())


def test_what_is_usual_is_never_later_than_the_slo_and_assumed_at_first() -> None:
    """Fails when nothing is slow before enough is known, or everything keeps what is usual in a long incident."""
    slow = RouteMemory(log_p95=math.log(9 * ROUTING.slo_ms), learned=WARM_SAMPLES)
    new = RouteMemory(log_p95=math.log(200), learned=WARM_SAMPLES - 1)
    expected = expectations(State(memories={CELLS[0]: slow, CELLS[1]: new}), ROUTING)
    assert expected == {
        CELLS[0]: round(OVERDUE_FACTOR * ROUTING.slo_ms),
        CELLS[1]: round(OVERDUE_FACTOR * UNKNOWN_USUAL_SHARE * ROUTING.slo_ms),
    }


def test_the_reason_names_the_gateway_the_shares_and_what_drove_it() -> None:
    state = course(State(), 30, first=1)
    at_ms = T0 + STEP_MS * 31
    decision = decide(state, observation(at_ms, bad_share=1.0, slow=3.5), ROUTING, at_ms)
    forecast = decision.forecasts[ALDER]
    assert forecast.drivers == ("late",)
    assert forecast.bad_share > forecast.others_share
    assert decision.document.reason.startswith(
        f"alder for card: at {PROBED:.0%} of its share, {forecast.bad_share:.0%} bad payments within "
    )
    assert f"against {forecast.others_share:.0%} (late)" in decision.document.reason


def test_a_method_in_doubt_says_nothing_of_another_that_is_well() -> None:
    """Gray failure: one method of a gateway hangs, and only that one is moved."""
    state = course(State(), 10, first=1)
    for step in range(11, 16):
        at_ms = T0 + STEP_MS * step
        seen = observation(at_ms)
        seen.cells[ALDER] = replace(seen.cells[ALDER], good=0, bad=EACH, failed=EACH)
        state = decide(state, seen, ROUTING, at_ms).state
    assert state.weights["card"]["alder"] < 0.02
    assert state.weights["wallet"] == pytest.approx(ROUTING.neutral)
