"""Decisions as a whole, on random observations: whatever they see, they leave payments a valid document."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.routing.control.document import EVERYTHING, canonical, parse_document
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from payonce.routing.decision.decide import FADE_HOLDS, OVERDUE_FACTOR, UNKNOWN_USUAL_SHARE, decide, expectations
from payonce.routing.decision.levels import is_demoted
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
            assert all(0 < weight <= 1 for weight in weights.values()), "each keeps a way"
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


@pytest.mark.parametrize("garbage", [b"", b"{}", b"null", b'{"version":1}', b'{"version":3}', b'{"version":4}'])
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


def course(state: State, steps: int, *, first: int, settings: RoutingSettings = ROUTING, **trouble: Any) -> State:
    for step in range(first, first + steps):
        at_ms = T0 + STEP_MS * step
        state = decide(state, observation(at_ms, **trouble), settings, at_ms).state
    return state


HANG = {"bad_share": 1.0, "slow": 6.0}
ALDER = Cell("alder", "card")


def test_a_gateway_in_trouble_loses_its_traffic_and_gets_it_back() -> None:
    state = course(State(), 60, first=1)
    assert state.weights["card"] == pytest.approx(ROUTING.neutral)
    state = course(state, 30, first=61, **HANG)
    assert state.weights["card"]["alder"] < 0.02
    assert state.weights["card"]["alder"] > 0, "it keeps a way"
    state = course(state, 200, first=91)
    assert state.weights["card"] == pytest.approx(ROUTING.neutral)


def test_without_any_history_it_acts_within_a_few_steps() -> None:
    """Fails when what is usual has to be learned first: a predictor that starts inside an incident would learn that."""
    state = course(State(), 3, first=1, bad_share=0.25, failed=True)
    assert state.weights["card"]["alder"] < 0.1


def test_a_route_that_gets_no_payments_is_tried_again() -> None:
    """Fails when only answers bring trust back: a demoted route gets so few that it would never be asked again."""
    state = course(course(State(), 30, first=1), 10, first=31, **HANG)
    assert is_demoted(state.levels[ALDER])
    for step in range(41, 41 + 10 * ROUTING.hold_seconds):
        observed = observation(T0 + STEP_MS * step)
        alder = {cell: CellSignals(LatencySketch()) for cell in CELLS if cell.gateway == "alder"}
        state = decide(state, replace(observed, cells=observed.cells | alder), ROUTING, observed.at_ms).state
        if not is_demoted(state.levels[ALDER]):
            break
    assert not is_demoted(state.levels[ALDER])
    assert step > 41 + ROUTING.hold_seconds // 4, "and not at once"


@pytest.mark.parametrize("hold_seconds", [60, 240])
def test_a_gateway_that_is_well_again_is_held_to_what_it_did_as_the_operator_has_set(hold_seconds: int) -> None:
    """Fails when what is known of a demoted gateway fades as all else: one that is down now and then would flip."""
    settings = replace(ROUTING, hold_seconds=hold_seconds)
    state = course(State(), 30, first=1, settings=settings)
    state = course(state, 5, first=31, settings=settings, **HANG)
    failed = state.memories[ALDER].counts.failed + state.memories[ALDER].counts.late
    state = course(state, hold_seconds // 4, first=36, settings=settings)
    left = (state.memories[ALDER].counts.failed + state.memories[ALDER].counts.late) / failed
    assert is_demoted(state.levels[ALDER])
    assert left == pytest.approx(math.exp(-STEP_MS / 1000 / FADE_HOLDS / 4), rel=0.01)


@pytest.mark.parametrize(("seconds_between", "step_seconds"), [(1, 1), (90, 60)])
def test_a_gateway_that_never_answers_is_found_however_few_payments_there_are(
    seconds_between: int, step_seconds: int
) -> None:
    """Fails when counts fade by the clock alone: with a payment in ninety seconds there would be nothing to compare."""
    state, sent, lost = State(), 0, 0
    for at in range(step_seconds, 40 * seconds_between, step_seconds):
        cells = {cell: CellSignals(LatencySketch()) for cell in CELLS if cell.method == "card"}
        if at % seconds_between < step_seconds:
            gateway = sorted(ROUTING.neutral)[sent % 3]
            bad = int(gateway == "alder")
            cells[Cell(gateway, "card")] = CellSignals(LatencySketch(), False, 1 - bad, bad, bad)
            sent, lost = sent + 1, lost + bad
        seen = Observation(T0 + 1_000 * at, 3.0, cells, {}, {"card": 1 / seconds_between}, {}, {})
        state = decide(state, seen, ROUTING, seen.at_ms).state
    assert lost >= 10
    assert is_demoted(state.levels[ALDER])
    assert min(state.levels[cell] for cell in cells if cell != ALDER) == 1


def limited_state(full_at_ms: int, *gateways: str) -> State:
    limits = {name: Limit(rate=50.0, concurrency=50.0, full_at_ms=full_at_ms, full_rate=50.0) for name in gateways}
    return replace(course(State(), 30, first=1), limits=limits)


LATE = {"bad_share": 0.5, "slow": 3.0}


@pytest.mark.parametrize(("failed", "moved"), [(False, False), (True, True)])
def test_late_answers_count_for_nothing_while_every_gateway_is_full(failed: bool, moved: bool) -> None:
    """Fails when a queue demotes a route: what one full gateway loses makes the others' queues longer."""
    state = limited_state(T0 + STEP_MS * 30, *ROUTING.neutral)
    state = course(state, 3, first=31, failed=failed, **LATE)
    assert (state.levels[ALDER] < 1) == moved
    assert (state.memories[ALDER].counts.late == 0) != failed or moved


def test_late_answers_count_while_one_gateway_has_room() -> None:
    state = limited_state(T0 + STEP_MS * 30, "alder", "birch")
    assert is_demoted(course(state, 3, first=31, **LATE).levels[ALDER])


def test_a_demoted_gateway_is_no_room() -> None:
    """Fails when the only one that is not full is one that fails: the others' queues would be taken for a fault."""
    cedars = {Cell("cedar", method) for method in ("card", "wallet")}
    state = limited_state(T0 + STEP_MS * 30, "alder", "birch")
    demoted = dict.fromkeys(cedars, 0.001)
    failing = RouteMemory(at_ms=T0 + STEP_MS * 30, log_p95=6.5, learned=10**4)
    failing.counts.failed = 500.0
    state.levels, state.memories = state.levels | demoted, state.memories | dict.fromkeys(cedars, failing)
    state = course(state, 3, first=31, **LATE)
    assert state.levels[ALDER] == 1
    assert is_demoted(state.levels[Cell("cedar", "card")])


def test_a_gateway_that_is_full_is_no_excuse_where_another_serves_the_method() -> None:
    """Fails when what is well is asked of whole gateways: each is bad for one method, so nothing would be well.

    alder fails wallets and is well for cards, birch is slow and full. Late cards are birch's fault, late wallets not.
    """
    routing = RoutingSettings(neutral={"alder": 0.5, "birch": 0.5}, mode=Mode.ON)
    state = course(State(), 30, first=1, settings=routing)
    state.limits = {"birch": Limit(rate=50.0, concurrency=50.0, full_at_ms=T0 + STEP_MS * 30, full_rate=50.0)}
    state.levels = {Cell("alder", "wallet"): 0.001, Cell("birch", "card"): 0.1}
    for cell in (Cell("alder", "wallet"), Cell("birch", "card")):
        state.memories[cell] = replace(state.memories[cell], counts=Counts(good=100.0, failed=100.0))
    for step in (31, 32, 33):
        observed = observation(T0 + STEP_MS * step)
        for method in ("card", "wallet"):
            observed.cells[Cell("birch", method)] = CellSignals(LatencySketch(), False, 10, 10, 0)
        state = decide(state, observed, routing, observed.at_ms).state
    assert state.memories[Cell("birch", "card")].counts.late > 20
    assert state.memories[Cell("birch", "wallet")].counts.late == 0


def test_what_was_full_long_ago_is_no_excuse() -> None:
    """Fails when a limit that is still there excuses late answers though nothing has queued for minutes."""
    state = limited_state(T0 + STEP_MS * 30 - 120_000, *ROUTING.neutral)
    assert is_demoted(course(state, 3, first=31, **LATE).levels[ALDER])


def test_a_gateway_that_hangs_is_not_excused_by_being_full() -> None:
    """Fails when overdue attempts are taken for a queue while the answers that come are as fast as ever."""
    levels = []
    for slow in (0, 36):
        state = limited_state(T0 + STEP_MS * 30, *ROUTING.neutral)
        for step in (31, 32, 33):
            observed = observation(T0 + STEP_MS * step, bad_share=0.5)
            observed.gateways["alder"] = GatewaySignals(36, 36, 0, slow, 60, 50)
            state = decide(state, observed, ROUTING, observed.at_ms).state
        levels.append(state.levels[ALDER])
    assert levels[0] < levels[1] == 1


def test_while_payments_are_refused_late_answers_count_for_nothing() -> None:
    """Fails when what is late is demoted while every gateway is needed."""
    state = course(State(), 30, first=1)
    for failed, refusing, moved in [(False, False, True), (False, True, False), (True, True, True)]:
        following = state
        for step in (31, 32, 33):
            following = replace(following, refusing=refusing)
            following = course(following, 1, first=step, bad_share=0.5, slow=3.0, failed=failed)
        assert (following.levels[ALDER] < 1) == moved


def test_a_rise_moves_payments_before_the_first_is_late() -> None:
    """Fails when the forecast is made and not acted on."""
    state = course(State(), 30, first=1)
    for step in range(31, 61):
        state = course(state, 1, first=step, slow=1.04 ** (step - 30))
        assert state.memories[ALDER].counts.late == 0
        if is_demoted(state.levels[ALDER]):
            break
    assert is_demoted(state.levels[ALDER])
    assert state.weights["card"]["alder"] < ROUTING.neutral["alder"] / 2


def test_after_a_quiet_night_it_goes_on_where_it_was() -> None:
    """Fails with an OverflowError, after which the predictor begins anew and has forgotten what is usual."""
    state = course(course(State(), 30, first=1), 3, first=31, **HANG)
    state = course(state, 1, first=31 + 12 * 3_600_000 // STEP_MS)
    assert state.memories[ALDER].warm
    assert 0 < state.levels[ALDER] <= 1


@pytest.mark.parametrize("count", [1, 2, 5, 16])
@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_the_order_in_which_anything_is_told_changes_no_byte(count: int, luck: Random) -> None:
    """Fails when a sum or a draw depends on the order of a dictionary: a decision could not be made again."""
    names = [f"gateway_{number:02}" for number in range(count)]
    raw = [luck.uniform(0.1, 1) for _ in names]
    neutral = {name: weight / sum(raw) for name, weight in zip(names, raw, strict=True)}
    neutral[names[-1]] = 1 - sum(neutral[name] for name in names[:-1])
    cells = [Cell(name, method) for name in names for method in ("card", "wallet", "debit")]
    states, one, other = [State(), State()], Random(luck.random()), Random(luck.random())
    for step in range(1, 7):
        told = {cell: CellSignals(LatencySketch(), False, luck.randint(0, 40), 3, luck.randint(0, 3)) for cell in cells}
        gateways = {name: GatewaySignals(36, 36, luck.randint(0, 9), 0, 8, 0) for name in names}
        demand = {method: luck.uniform(0, 30) for method in ("card", "wallet", "debit")}
        decisions = []
        for state, order in zip(states, (one, other), strict=True):
            seen = Observation(
                T0 + STEP_MS * step, 3.0, mixed(told, order), mixed(gateways, order), mixed(demand, order), {}, {}
            )
            given_settings = RoutingSettings(neutral=mixed(neutral, order), mode=Mode.ON)
            decisions.append(decide(state, seen, given_settings, seen.at_ms))
        first, second = decisions
        assert first.document.to_bytes() == second.document.to_bytes()
        assert first.state.to_bytes() == second.state.to_bytes()
        assert list(first.state.memories) == list(second.state.memories), "floating-point sums go over them"
        assert sum(first.document.weights["card"].values()) == pytest.approx(1)
        states = [decision.state for decision in decisions]


def mixed(told: dict[Any, Any], order: Random) -> dict[Any, Any]:
    return dict(order.sample(sorted(told.items()), len(told)))


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
    state = restore(corrupt)
    assert state == State()
    assert decide(state, observation(T0), ROUTING, T0).document.weights


@given(st.data())
def test_a_state_with_one_wrong_value_is_never_half_read(data: st.DataObject) -> None:
    stored = course(State(), 8, first=1).to_json()
    field = data.draw(st.sampled_from(sorted(stored)))
    wrong = data.draw(st.none() | st.text(max_size=3) | st.lists(st.integers(), min_size=1, max_size=2))
    if field in {"memories", "levels", "limits", "weights"} and data.draw(st.booleans()):
        inner = data.draw(st.sampled_from(sorted(stored[field])))
        if field == "levels":
            stored[field][inner] = wrong
        else:
            stored[field][inner][data.draw(st.sampled_from(sorted(stored[field][inner])))] = {"not": wrong}
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
    assert restore(raw) == State()
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
        f"alder for card: at {decision.state.levels[ALDER]:.0%} of its share, {forecast.bad_share:.0%} bad "
    )
    assert f"against {forecast.others_share:.0%} (late)" in decision.document.reason


def wallet_weight(each: int, steps: int) -> float:
    """Return the wallet's weight at alder, where cards fail and wallets are well. ``each`` attempts a method and step.

    Payments follow the weights, so that few cards fail there once they are moved.
    """
    state, carried = State(), dict.fromkeys(CELLS, 0.0)
    for step in range(1, steps + 61):
        observed = observation(T0 + STEP_MS * step)
        for cell in CELLS:
            weights = state.weights.get(cell.method, ROUTING.neutral)
            carried[cell] += each * weights[cell.gateway]
            made = int(carried[cell])
            carried[cell] -= made
            bad = made if cell == ALDER and step > 60 else 0
            observed.cells[cell] = replace(observed.cells[cell], good=made - bad, bad=bad, failed=bad)
        state = decide(state, observed, ROUTING, observed.at_ms).state
    assert state.weights["card"]["alder"] < 0.05
    return state.weights["wallet"]["alder"]


def test_a_method_in_doubt_says_nothing_of_another_that_is_well() -> None:
    """Gray failure: one method of a gateway fails, and only that one is moved."""
    assert wallet_weight(50, 60) == pytest.approx(ROUTING.neutral["alder"])
