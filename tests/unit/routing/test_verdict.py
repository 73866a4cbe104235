"""A route is judged against the others of its method: by how many payments fail, and by how many are late."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.routing.decision.levels import CUT, DEMOTED, WHOLE
from payonce.routing.detection.trust import DRAWS
from payonce.routing.detection.trust import LATE as LATE_QUESTION
from payonce.routing.detection.verdict import Forecast
from payonce.routing.signals.observation import Cell, CellSignals
from tests.support.route_courses import (
    ALDER,
    ALDERS_WALLET,
    BIRCH,
    BIRCHS_WALLET,
    FAILING,
    LATE,
    USUAL_MS,
    WELL,
    Shop,
    ended,
    sketch_of,
)

GIVEN_UP = 0.05  # of its share: what next to nothing is for people


@given(st.integers(0, 20), st.booleans(), st.sampled_from([1.0, 2.0, 4.0, 20.0]), st.integers(1, 10))
def test_what_befalls_all_alike_moves_nothing(bad: int, are_failed: bool, factor: float, steps: int) -> None:
    """Fails when a route is compared with its past, or with a standard."""
    shop = Shop()
    shop.see({ALDER: WELL, BIRCH: WELL}, 20)
    seen = ended(20 - bad, bad, bad if are_failed else 0, sketch_of(USUAL_MS * factor))
    forecasts = shop.see({ALDER: seen, BIRCH: seen}, steps)
    assert all(known.trusted >= WHOLE for known in forecasts.values())
    assert not any(known.drivers for known in forecasts.values())


@pytest.mark.parametrize("seen", [FAILING, LATE, ended(0, 20, 20)], ids=["failing", "late", "down"])
def test_a_lone_gateway_is_never_demoted(seen: CellSignals) -> None:
    """Fails when a route is judged though there is none to be preferred to it."""
    shop = Shop(neutral={"alder": 1.0, "birch": 0.0}, hanging={"alder"})
    for told in ({ALDER: seen}, {ALDER: seen, BIRCH: WELL}):
        forecasts = shop.see(told, 50)
        assert forecasts.keys() == {ALDER}, "a gateway without a weight is no other route"
        assert forecasts[ALDER].trusted == 1


def test_a_slower_route_that_keeps_the_slo_is_as_good_as_any() -> None:
    """Fails when latency itself is judged."""
    shop = Shop()
    shop.see({ALDER: WELL, BIRCH: WELL}, 60)
    forecasts = shop.see({ALDER: ended(20, sketch=sketch_of(2.2 * USUAL_MS)), BIRCH: WELL}, 30)
    assert forecasts[ALDER].trusted == 1


@pytest.mark.parametrize(("seen", "driver"), [(FAILING, "failing"), (LATE, "late")])
def test_a_route_that_was_bad_from_the_first_payment_is_found_within_a_few_steps(
    seen: CellSignals, driver: str
) -> None:
    """Fails when a route has to be known before it can be judged: a predictor that starts in an incident is blind."""
    shop = Shop()
    steps = 1
    while (forecasts := shop.see({ALDER: seen, BIRCH: WELL}))[ALDER].trusted >= DEMOTED:
        steps += 1
        assert steps <= 5
    assert forecasts[ALDER].drivers == (driver,)
    assert (forecasts[BIRCH].trusted, forecasts[BIRCH].drivers) == (1, ())
    forecasts = shop.see({ALDER: seen, BIRCH: WELL}, 20)
    assert forecasts[ALDER].trusted < GIVEN_UP
    assert forecasts[ALDER].bad_share == pytest.approx(3 / 20, rel=0.05)
    assert forecasts[ALDER].others_share == 0


@pytest.mark.parametrize("failed", [0, 1])
def test_one_bad_answer_gives_no_route_up(failed: int) -> None:
    shop = Shop()
    shop.see({ALDER: ended(50), BIRCH: ended(50)})
    assert shop.see({ALDER: ended(4, 1, failed), BIRCH: ended(5)})[ALDER].trusted >= DEMOTED


def test_a_difference_that_is_sure_and_small_moves_nothing() -> None:
    """Fails when certainty alone decides: with enough payments, any two gateways differ."""
    late = round(1000 * LATE_QUESTION.margin / 2)
    forecasts = Shop().see({ALDER: ended(1000 - late, late), BIRCH: ended(1000)}, 60)
    assert forecasts[ALDER].bad_share > forecasts[ALDER].others_share
    assert forecasts[ALDER].trusted == 1


def test_a_new_route_is_neither_trusted_nor_given_up() -> None:
    """Fails when what nobody has seen counts as good, or as bad, against a gateway that fails now and then."""
    shop = Shop()
    failing = ended(190, 10, 10)
    forecasts = shop.see({ALDER: failing}, 10)
    assert forecasts[BIRCH].bad_share == 0
    assert forecasts[BIRCH].trusted > GIVEN_UP
    assert forecasts[ALDER].trusted > GIVEN_UP
    assert Shop().see({ALDER: WELL}, 50)[BIRCH].trusted == 1, "nothing is wrong anywhere"
    assert shop.see({ALDER: failing, BIRCH: ended(200)}, 10)[ALDER].trusted < GIVEN_UP, "once it has shown to be well"


def test_one_method_that_fails_is_demoted_and_its_gateways_other_methods_are_not() -> None:
    """Fails when failures are pooled without a look at a method's own answers, which acquit it."""
    seen = {ALDER: ended(10, 10, 10), BIRCH: WELL, ALDERS_WALLET: ended(100), BIRCHS_WALLET: ended(100)}
    forecasts = Shop().see(seen, 20)
    assert forecasts[ALDER].drivers == ("failing",)
    assert forecasts[ALDER].trusted < GIVEN_UP
    assert forecasts[ALDERS_WALLET].trusted == 1


def test_failures_are_pooled_over_the_methods_of_a_gateway() -> None:
    """Fails when each method has to prove them alone: of twelve with a payment every few seconds, none could."""
    methods = [f"m{number}" for number in range(12)]
    seen = {Cell("alder", method): ended(1, 1, 1) for method in methods}
    seen |= {Cell("birch", method): ended(2) for method in methods}
    forecasts = Shop().see(seen)
    alone = Shop().see({cell: signals for cell, signals in seen.items() if cell.method == "m0"})
    assert alone[Cell("alder", "m0")].trusted > forecasts[Cell("alder", "m0")].trusted
    assert all(forecasts[Cell("alder", method)].trusted < DEMOTED for method in methods)
    assert all(forecasts[Cell("birch", method)].trusted == 1 for method in methods)


def test_a_method_without_payments_of_its_own_is_moved_from_a_gateway_that_fails() -> None:
    """Fails without pooling: its first payments would find out again what the others know."""
    shop = Shop()
    shop.see({ALDER: FAILING, BIRCH: WELL}, 20)
    assert shop.forecasts({"wallet"})[ALDERS_WALLET].trusted < DEMOTED
    assert shop.forecasts({"wallet"})[BIRCHS_WALLET].trusted == 1


def test_what_is_late_is_more_a_matter_of_the_method_than_what_fails() -> None:
    """Fails when both are pooled alike: a method that takes long, by its nature, would demote the others."""
    quarter = 5
    late = {ALDER: ended(20 - quarter, quarter), BIRCH: WELL}
    failing = {ALDER: ended(20 - quarter, quarter, quarter), BIRCH: WELL}
    own = {ALDERS_WALLET: ended(10), BIRCHS_WALLET: ended(10)}
    by_late, by_failing = (Shop().see({**seen, **own}, 2)[ALDERS_WALLET] for seen in (late, failing))
    assert by_late.trusted > by_failing.trusted


@given(st.integers(1, 19))
def test_what_hangs_counts_as_failing(bad: int) -> None:
    """Fails when all that has no answer yet is called late: what hangs will end without one, and soon is too late."""
    seen = {ALDER: ended(20 - bad, bad), BIRCH: WELL}
    hanging, late = Shop(hanging={"alder"}).see(seen, 4)[ALDER], Shop().see(seen, 4)[ALDER]
    failing = Shop().see({ALDER: ended(20 - bad, bad, bad), BIRCH: WELL}, 4)[ALDER]
    assert hanging.drivers in ((), ("hanging",))
    assert late.drivers in ((), ("late",))
    assert hanging.trusted == failing.trusted
    # Where more is tolerated, birch takes part in draws that it would have lost: those alder would have had alone.
    assert failing.trusted <= late.trusted + 1 / DRAWS
    assert hanging.bad_share == pytest.approx(late.bad_share)


def test_a_hang_is_found_where_as_many_late_answers_are_tolerated() -> None:
    """Fails when a hang is judged by the question for late answers."""
    shares = [(Shop(hanging={"alder"}).see(seen, 3)[ALDER], Shop().see(seen, 3)[ALDER]) for seen in _few_bad()]
    assert any(hanging.trusted < CUT and late.trusted >= WHOLE for hanging, late in shares)


def _few_bad() -> list[dict[Cell, CellSignals]]:
    return [{ALDER: ended(100 - bad, bad), BIRCH: ended(100)} for bad in range(1, 12)]


def test_a_failing_route_may_be_a_late_one_as_well() -> None:
    """Fails when one question hides the other's answer: people would look for a queue, or for none."""
    forecasts = Shop().see({ALDER: ended(10, 10, 5), BIRCH: WELL}, 10)
    assert forecasts[ALDER].drivers == ("failing", "late")


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 10), st.booleans())
def test_a_worse_end_of_a_payment_never_means_more_trust(failed: int, late: int, more: int, fails: bool) -> None:
    """Fails when a bad payment counts for a route in one of the questions and in the other not against it."""
    birch = ended(38, 2, 1)
    before = Shop().see({ALDER: ended(80, failed + late, failed), BIRCH: birch})[ALDER]
    worse = ended(80 - more, failed + late + more, failed + more * fails)
    assert Shop().see({ALDER: worse, BIRCH: birch})[ALDER].trusted <= before.trusted + 1e-9


def test_a_route_with_few_payments_is_judged_by_minutes() -> None:
    """Fails when every route's counts fade within half a minute: of a payment in ten seconds nothing adds up."""
    shop = Shop()
    for _ in range(12):
        found = shop.see({ALDER: ended(0, 1, 1), BIRCH: ended(1)})[ALDER]
        shop.see({ALDER: ended(0), BIRCH: ended(0)}, 4)
    assert found.trusted < DEMOTED


def test_the_order_in_which_routes_were_met_changes_nothing() -> None:
    one, other = Shop(), Shop()
    seen = {ALDER: FAILING, BIRCH: WELL, ALDERS_WALLET: LATE, BIRCHS_WALLET: ended(9, 1, 1)}
    assert one.see(seen, 5) == other.see(dict(reversed(seen.items())), 5)


def test_a_forecast_is_recorded_with_all_that_it_says() -> None:
    known = Forecast(0.123456, 0.01, 0.256789, ("failing", "late"))
    stored = {"bad_share": 0.1235, "others_share": 0.01, "trusted": 0.2568, "drivers": ["failing", "late"]}
    assert json.loads(json.dumps(known.to_json())) == stored
