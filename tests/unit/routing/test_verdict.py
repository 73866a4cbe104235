"""A route is judged against the others of its method: by how many payments are bad, and by where latencies lead."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.detection import verdict
from payonce.routing.detection.memory import (
    ENOUGH_SAMPLES,
    KEPT_WINDOWS,
    LEARN_SECONDS,
    LONG_SECONDS,
    SHORT_SECONDS,
    SPARSE_SECONDS,
    WARM_SAMPLES,
    WINDOW_MS,
    Counts,
    RouteMemory,
    follow,
    forgotten,
)
from payonce.routing.detection.verdict import EVIDENCE, MARGIN, Field, Verdict
from payonce.routing.signals.observation import Cell, CellSignals
from payonce.routing.signals.sketch import LatencySketch

T0 = 1_000_000_000_000
STEP_MS = 2_000
SLO_MS = 3_000.0
ALDER, BIRCH = Cell("alder", "card"), Cell("birch", "card")
EVEN = {"alder": 0.5, "birch": 0.5}
USUAL_MS = 600.0


def sketch_of(median_ms: float, samples: int = 2 * ENOUGH_SAMPLES, spread: float = 0.35) -> LatencySketch:
    """Return a window of lognormal latencies, always the same ones."""
    sketch, draw = LatencySketch(), Random(7)
    for _ in range(samples):
        sketch.add(median_ms * draw.lognormvariate(0, spread))
    return sketch


CALM = sketch_of(USUAL_MS)
NONE = CellSignals(LatencySketch())


def ended(good: int, bad: int = 0, failed: int = 0, sketch: LatencySketch = CALM) -> CellSignals:
    return CellSignals(sketch, False, good, bad, failed)


@dataclass
class Shop:
    """Routes whose attempts end as told, a step each time."""

    neutral: dict[str, float] = field(default_factory=lambda: dict(EVEN))
    demoted: dict[Cell, float] = field(default_factory=dict)
    limited: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    memories: dict[Cell, RouteMemory] = field(default_factory=dict)
    at_ms: int = T0

    def see(self, seen: dict[Cell, CellSignals], steps: int = 1) -> dict[Cell, Verdict]:
        """Return the verdicts of the last step."""
        for _ in range(steps):
            self.at_ms += STEP_MS
            for cell, signals in seen.items():
                self.memories[cell] = follow(self.memories.get(cell, RouteMemory()), signals, self.at_ms)
        routes = Field(
            memories=self.memories,
            demoted=self.demoted,
            limited=self.limited,
            hanging=self.hanging,
            neutral=self.neutral,
            slo_ms=SLO_MS,
        )
        return {cell: routes.judge(cell, signals) for cell, signals in seen.items()}


WELL = ended(20)
FAILING = ended(17, bad=3, failed=3)
LATE = ended(17, bad=3)


@given(st.integers(0, 20), st.booleans(), st.sampled_from([1.0, 2.0, 4.0, 20.0]), st.integers(1, 10))
def test_what_befalls_all_alike_makes_none_worse(bad: int, are_failed: bool, factor: float, steps: int) -> None:
    """Fails when a route is compared with its past, or with a standard."""
    shop = Shop()
    shop.see({ALDER: WELL, BIRCH: WELL}, 20)
    seen = ended(20 - bad, bad, bad if are_failed else 0, sketch_of(USUAL_MS * factor))
    verdicts = shop.see({ALDER: seen, BIRCH: seen}, steps)
    assert not any(judged.worse for judged in verdicts.values())


@pytest.mark.parametrize("seen", [FAILING, LATE], ids=["failing", "late"])
def test_a_single_route_is_never_worse(seen: CellSignals) -> None:
    """Fails when a route is judged though there is none to be preferred to it."""
    shop = Shop(neutral={"alder": 1.0, "birch": 0.0})
    assert not shop.see({ALDER: seen}, 50)[ALDER].worse
    assert not shop.see({ALDER: seen, BIRCH: WELL}, 50)[ALDER].worse, "a gateway without a weight is no other route"


def test_a_slower_route_that_keeps_the_slo_is_as_good_as_any() -> None:
    """Fails when latency itself is judged."""
    shop = Shop()
    shop.see({ALDER: WELL, BIRCH: WELL}, 60)
    verdicts = shop.see({ALDER: ended(20, sketch=sketch_of(2.2 * USUAL_MS)), BIRCH: WELL}, 30)
    assert not verdicts[ALDER].worse


def test_a_route_that_was_bad_from_the_first_payment_is_found_within_a_few_steps() -> None:
    """Fails when a route has to be known before it can be judged: a predictor that starts in an incident is blind."""
    shop = Shop()
    steps = 0
    while not (verdicts := shop.see({ALDER: FAILING, BIRCH: WELL}))[ALDER].worse:
        steps += 1
        assert steps < 3
    assert verdicts[ALDER].forecast.drivers == ("failing",)
    assert not verdicts[BIRCH].worse


def test_a_few_bad_answers_are_no_evidence() -> None:
    shop = Shop()
    verdicts = shop.see({ALDER: ended(4, 1, 1), BIRCH: ended(5)})
    assert not verdicts[ALDER].worse
    assert verdicts[ALDER].forecast.evidence < EVIDENCE


def test_a_difference_that_is_proved_and_small_moves_nothing() -> None:
    """Fails when significance alone decides: with enough payments, any two gateways differ."""
    shop = Shop()
    verdicts = shop.see({ALDER: ended(990, 12), BIRCH: ended(1000)}, 60)
    assert verdicts[ALDER].forecast.evidence >= EVIDENCE
    assert verdicts[ALDER].forecast.bad_share - verdicts[ALDER].forecast.others_share < MARGIN
    assert not verdicts[ALDER].worse


def test_one_method_that_fails_is_worse_and_its_gateways_other_methods_are_not() -> None:
    """Fails when failures are pooled without a look at a method's own answers, which acquit it."""
    wallet, other = Cell("alder", "wallet"), Cell("birch", "wallet")
    verdicts = Shop().see({ALDER: ended(10, 10, 10), BIRCH: WELL, wallet: WELL, other: WELL}, 5)
    assert verdicts[ALDER].forecast.drivers[0] == "failing"
    assert not verdicts[wallet].worse


def test_failures_are_pooled_over_the_methods_of_a_gateway() -> None:
    """Fails when each method has to prove them alone: of twelve with a payment every few seconds, none could."""
    methods = [f"m{number}" for number in range(12)]
    seen = {Cell("alder", method): ended(1, 1, 1) for method in methods}
    seen |= {Cell("birch", method): ended(2) for method in methods}
    verdicts = Shop().see(seen)
    alone = verdict._evidence(1.0, 2.0, verdict.LEAST_SHARE)
    assert alone < EVIDENCE, "alone it is not enough"
    assert all(verdicts[Cell("alder", method)].forecast.drivers == ("failing",) for method in methods)
    late = {cell: ended(1, 1) if cell.gateway == "alder" else ended(2) for cell in seen}
    assert not any(judged.worse for judged in Shop().see(late).values()), "what is late is a matter of the method"


def test_hanging_is_told_from_late() -> None:
    """Fails when all that is late is called one: what a smaller load mends, and what none does, are cut differently."""
    hanging = Shop(hanging={"alder"}).see({ALDER: ended(14, 6), BIRCH: WELL}, 4)
    late = Shop().see({ALDER: ended(14, 6), BIRCH: WELL}, 4)
    assert hanging[ALDER].forecast.drivers == ("hanging",)
    assert late[ALDER].forecast.drivers == ("late",)


def test_a_full_gateway_is_not_worse_for_its_queue_if_the_others_are_full_too() -> None:
    """Fails when it is demoted: what one loses makes the other's queue longer."""
    both = {"alder", "birch"}
    seen = {ALDER: ended(150, 50), BIRCH: ended(200)}
    assert Shop(limited={"alder"}).see(seen, 10)[ALDER].worse, "the other one has room"
    assert not Shop(limited=both).see(seen, 10)[ALDER].worse
    failing = {ALDER: ended(195, 5, 5), BIRCH: ended(200)}
    assert "failing" in Shop(limited=both).see(failing, 10)[ALDER].forecast.drivers, "no queue fails"


def test_a_demoted_route_is_as_bad_as_it_was_when_it_was_demoted() -> None:
    """Fails when its few probes make it the better one: the other, as bad, would be cut, and the routes swing."""
    shop = Shop(demoted={ALDER: 0.15})
    seen = {ALDER: ended(1), BIRCH: ended(17, 3, 3)}
    assert not shop.see(seen, 10)[BIRCH].worse
    assert Shop().see(seen, 10)[BIRCH].worse


def test_the_failures_of_demoted_methods_are_not_pooled() -> None:
    """Fails when the probes of a method in trouble speak against the others."""
    wallet, other = Cell("alder", "wallet"), Cell("birch", "wallet")
    seen = {ALDER: ended(0, 10, 10), BIRCH: WELL, wallet: ended(9, 1, 1), other: WELL}
    assert Shop().see(seen)[wallet].worse
    assert not Shop(demoted={ALDER: 1.0}).see(seen)[wallet].worse


def test_what_begins_suddenly_is_not_hidden_by_the_minutes_before() -> None:
    """Fails when one window has to show both: in the long one a hang of seconds is a small share of many."""
    shop = Shop()
    shop.see({ALDER: ended(60), BIRCH: ended(60)}, 60)
    sudden = shop.see({ALDER: ended(51, 9), BIRCH: ended(60)})[ALDER]
    assert sudden.worse
    long = shop.memories[ALDER].long
    assert (long.bad + verdict.PRIOR_ENDED * verdict.PRIOR_SHARE) / (long.ended + verdict.PRIOR_ENDED) < MARGIN


def test_a_route_with_few_payments_is_judged_by_minutes() -> None:
    """Fails when every route's counts fade within half a minute: of a payment in twenty seconds nothing adds up."""
    shop = Shop()
    for _ in range(12):
        judged = shop.see({ALDER: ended(0, 1), BIRCH: ended(1)})[ALDER]
        shop.see({ALDER: NONE, BIRCH: NONE}, 9)
    assert judged.worse
    assert shop.memories[ALDER].short.ended < 1


def test_a_verdict_tells_what_was_counted_in_its_step_and_what_is_usual() -> None:
    shop = Shop()
    judged = shop.see({ALDER: ended(18, 2), BIRCH: ended(300)}, 10)[ALDER]
    assert (judged.good, judged.bad, judged.usual) == (18, 2, verdict.LEAST_SHARE)
    birch = shop.see({ALDER: ended(18, 2), BIRCH: ended(300)})[BIRCH]
    assert birch.usual > 0.05, "the other one's"


def rise(medians: list[float], *, steps_each: int = 3, others: CellSignals = WELL, **how: object) -> Verdict:
    """Return alder's verdict after windows with these medians, of which every third step begins one."""
    shop = Shop(**how)  # type: ignore[arg-type]
    shop.see({ALDER: WELL, BIRCH: others}, 20)
    for median_ms in medians:
        verdicts = shop.see({ALDER: ended(20, sketch=sketch_of(median_ms)), BIRCH: others}, steps_each)
    return verdicts[ALDER]


RAMP = [USUAL_MS * 1.12**number for number in range(KEPT_WINDOWS)]  # doubles in 36 s
STEP = [USUAL_MS] * (KEPT_WINDOWS - 3) + [1.9 * USUAL_MS] * 3


def test_a_rise_through_four_windows_projects_a_miss_and_a_step_does_not() -> None:
    """Fails when the slope of two windows is believed, or none: one cuts at every plateau, one waits for the breach."""
    ramp, step = rise(RAMP), rise(STEP)
    assert ramp.forecast.drivers == ("rising",)
    assert ramp.worse
    assert ramp.forecast.bad_share > 0.5
    assert not step.worse


def test_a_slow_rise_will_not_matter() -> None:
    slope = [USUAL_MS * (1 + 0.5 * verdict.LEAST_RISE) ** number for number in range(KEPT_WINDOWS)]
    assert not rise(slope).worse


def test_a_rise_with_few_answers_is_noise() -> None:
    """Fails when a window of a few answers counts."""
    shop = Shop()
    for number, median_ms in enumerate(RAMP * 2):
        few = ended(3, sketch=sketch_of(median_ms * (1 + number / 20), ENOUGH_SAMPLES - 1))
        judged = shop.see({ALDER: few, BIRCH: WELL}, 3)[ALDER]
        assert "rising" not in judged.forecast.drivers
    assert not shop.memories[ALDER].at_ms_of


def test_a_lengthened_window_is_no_window_of_ten_seconds() -> None:
    shop = Shop()
    shop.see({ALDER: WELL, BIRCH: WELL}, 20)
    assert shop.memories[ALDER].at_ms_of
    shop.see({ALDER: CellSignals(CALM, True, 20), BIRCH: WELL}, 3)
    assert not shop.memories[ALDER].at_ms_of


def test_a_rise_moves_payments_only_where_another_route_is_well() -> None:
    """Fails when all rise and one is sent away from: the others rise the faster."""
    shop = Shop()
    shop.see({ALDER: WELL, BIRCH: WELL}, 20)
    for median_ms in RAMP:
        seen = ended(20, sketch=sketch_of(median_ms))
        assert not any(judged.worse for judged in shop.see({ALDER: seen, BIRCH: seen}, 3).values())
    assert not rise(RAMP, demoted={BIRCH: 0.0}).worse, "a demoted one is not well, however few its probes were bad"
    assert not rise(RAMP, others=ended(2, 18)).worse


def test_the_rise_of_a_limited_gateway_is_the_reflexs_affair() -> None:
    assert not rise(RAMP, limited={"alder"}).worse


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_counts_decay_and_are_never_negative(steps: list[tuple[int, int, int]]) -> None:
    memory, at_ms = RouteMemory(), T0
    for good, bad, failed in steps:
        memory = follow(memory, ended(good, bad, min(failed, bad)), at_ms)
        at_ms += STEP_MS
        for counts in (memory.long, memory.short):
            assert counts.ended + 1e-9 >= counts.bad >= counts.failed >= 0
    later = follow(memory, NONE, at_ms - STEP_MS + 6_000)
    long_seconds = LONG_SECONDS if memory.long.ended > ENOUGH_SAMPLES else SPARSE_SECONDS
    assert later.long.ended == pytest.approx(memory.long.ended * math.exp(-6 / long_seconds))
    assert later.short.ended == pytest.approx(memory.short.ended * math.exp(-6 / SHORT_SECONDS))
    gone = forgotten(later)
    assert (gone.long, gone.short) == (Counts(), Counts())
    assert gone.log_p95 == later.log_p95


def test_the_usual_p95_is_warm_after_enough_answers_and_follows_the_time_of_day() -> None:
    """Fails when the first window is believed for ten minutes, or a new level of the day never."""
    memory, at_ms, seconds = RouteMemory(), T0, 0.0
    slow = ended(10, sketch=sketch_of(2 * USUAL_MS))
    for _ in range(WARM_SAMPLES // 10):
        assert not memory.warm
        memory, at_ms = follow(memory, ended(10), at_ms), at_ms + STEP_MS
    assert memory.warm
    assert memory.p95_ms == pytest.approx(CALM.quantile_ms(0.95), rel=0.01)
    while seconds < 3 * LEARN_SECONDS:
        memory, at_ms, seconds = follow(memory, slow, at_ms), at_ms + STEP_MS, seconds + STEP_MS / 1000
    assert memory.p95_ms == pytest.approx(slow.sketch.quantile_ms(0.95), rel=0.05)


def test_a_ramp_of_minutes_is_not_followed() -> None:
    memory, at_ms = RouteMemory(), T0
    for _ in range(1000):
        memory, at_ms = follow(memory, ended(10), at_ms), at_ms + STEP_MS
    before = memory.p95_ms
    for step in range(60):
        memory, at_ms = follow(memory, ended(10, sketch=sketch_of(USUAL_MS * 2 ** (step / 60))), at_ms), at_ms + STEP_MS
    assert memory.p95_ms < 1.25 * before, "though it has doubled"


def test_windows_overlap_by_half_at_most_and_are_bounded() -> None:
    memory, at_ms = RouteMemory(), T0
    for _ in range(100):
        memory, at_ms = follow(memory, WELL, at_ms), at_ms + STEP_MS
    assert len(memory.at_ms_of) == len(memory.typical_of) == len(memory.error_of) == KEPT_WINDOWS
    steps = [later - sooner for sooner, later in zip(memory.at_ms_of, memory.at_ms_of[1:], strict=False)]
    assert min(steps) >= WINDOW_MS


def test_a_clock_that_goes_back_costs_nothing() -> None:
    """Fails with an overflow, or with counts that grow."""
    memory = follow(RouteMemory(), ended(10, 5, 5), T0)
    assert follow(memory, NONE, T0 - 10**9).long == memory.long
