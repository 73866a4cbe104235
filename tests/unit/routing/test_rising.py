"""A ramp is acted on before its first late payment; a step, a slow rise, and noise are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.routing.decision.levels import DEMOTED
from payonce.routing.detection.memory import ENOUGH_SAMPLES, KEPT_WINDOWS
from payonce.routing.detection.rising import LEAST_RISE, late_ahead
from payonce.routing.signals.observation import CellSignals
from tests.support.route_courses import ALDER, BIRCH, CALM, LATE, SLO_MS, USUAL_MS, WELL, Shop, ended, sketch_of

if TYPE_CHECKING:
    from payonce.routing.detection.verdict import Forecast

STEPS_EACH = 3  # of a window: every third step begins one
RAMP = [USUAL_MS * 1.12**number for number in range(KEPT_WINDOWS)]  # doubles in 36 s
STEP = [USUAL_MS] * (KEPT_WINDOWS - 3) + [1.9 * USUAL_MS] * 3


def rise(
    medians: list[float], *, others: CellSignals = WELL, bad: int = 0, samples: int = 2 * ENOUGH_SAMPLES, **how: object
) -> Forecast:
    """Return alder's forecast after windows with these medians; ``bad`` of its payments are late in each step."""
    shop = Shop(**how)  # type: ignore[arg-type]
    shop.see({ALDER: WELL, BIRCH: others}, 20)
    for median_ms in medians:
        seen = ended(20 - bad, bad, sketch=sketch_of(median_ms, samples))
        forecasts = shop.see({ALDER: seen, BIRCH: others}, STEPS_EACH)
    return forecasts[ALDER]


def test_a_rise_is_acted_on_before_the_first_late_payment() -> None:
    """Fails when late payments are waited for: a decision arrives seconds after they have begun."""
    known = rise(RAMP)
    assert known.drivers == ("rising",)
    assert known.trusted < DEMOTED
    assert known.bad_share > 0.5
    assert rise([USUAL_MS] * KEPT_WINDOWS).trusted == 1


def test_a_step_is_no_rise() -> None:
    """Fails when the slope of two windows is believed: every plateau would be cut, however far below the SLO."""
    assert rise(STEP).trusted == 1


def test_a_rise_that_ends_below_the_slo_moves_nothing() -> None:
    """Fails when a rise itself is a fault, and not where it leads."""
    slope = [USUAL_MS / 6 * (1 + 1.3 * LEAST_RISE) ** number for number in range(KEPT_WINDOWS)]
    assert rise(slope).trusted == 1


def test_a_slow_rise_will_not_matter() -> None:
    slope = [USUAL_MS * (1 + 0.5 * LEAST_RISE) ** number for number in range(KEPT_WINDOWS)]
    assert rise(slope).trusted == 1


def test_a_rise_with_few_answers_is_noise() -> None:
    """Fails when a window of a few answers counts."""
    assert rise(RAMP, samples=ENOUGH_SAMPLES - 1).trusted == 1
    assert rise(RAMP, samples=ENOUGH_SAMPLES).trusted < 1


def test_a_lengthened_window_is_no_window_of_ten_seconds() -> None:
    shop = Shop()
    shop.see({ALDER: WELL, BIRCH: WELL}, 20)
    assert shop.memories[ALDER].at_ms_of
    shop.see({ALDER: CellSignals(CALM, True, 20), BIRCH: WELL}, 3)
    assert not shop.memories[ALDER].at_ms_of


def test_what_rises_everywhere_moves_nothing() -> None:
    """Fails when all rise and one is sent away from: the others rise the faster."""
    shop = Shop()
    shop.see({ALDER: WELL, BIRCH: WELL}, 20)
    for median_ms in RAMP:
        seen = ended(20, sketch=sketch_of(median_ms))
        forecasts = shop.see({ALDER: seen, BIRCH: seen}, STEPS_EACH)
        assert all(known.trusted == 1 for known in forecasts.values())
    memory = shop.memories[ALDER]
    assert late_ahead(memory, [memory], SLO_MS) == 0, "not more than the other"
    assert late_ahead(memory, [], SLO_MS) == 0, "no other to go to"


def test_a_rise_moves_payments_only_to_a_route_that_is_well() -> None:
    """Fails when payments leave what may be late for what is."""
    assert rise(RAMP, demoted={BIRCH}).trusted == 1
    assert rise(RAMP, others=ended(2, 18)).trusted == 1
    assert rise(RAMP, neutral={"alder": 1.0, "birch": 0.0}).trusted == 1


def test_the_rise_of_a_limited_gateway_is_the_reflexs_affair() -> None:
    """Fails when what the limit already cuts is cut twice."""
    assert rise(RAMP, limited={"alder"}).trusted == 1


def test_a_rise_that_has_arrived_is_told_by_its_late_answers() -> None:
    known = rise([*RAMP, *[RAMP[-1]] * KEPT_WINDOWS], bad=LATE.bad)
    assert known.drivers == ("late",)
    assert known.bad_share == pytest.approx(LATE.bad / 20, rel=0.05)
