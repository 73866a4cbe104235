"""The shares that Thompson sampling trusts gateways with: as a plain simulation of the posteriors has them."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from payonce.routing.control.routing_settings import MAX_GATEWAYS
from payonce.routing.decision.levels import WHOLE
from payonce.routing.detection import trust
from payonce.routing.detection.memory import Counts
from payonce.routing.detection.trust import FAILED, LATE, NOTHING, PRIOR, Question, levels, pooled

Both = dict[str, tuple[float, float]]
NAMES = [f"gateway_{number:02}" for number in range(MAX_GATEWAYS)]
SAMPLES = 1_500
ACCURACY = 0.1  # of all payments: 64 draws instead of many; 0.047 was the most in 600 random cases
MODEL_ACCURACY = 0.15  # the same against beta posteriors, which the gamma ones approximate; 0.083 was the most
QUESTIONS = [FAILED, LATE]
amounts = st.sampled_from([0.0, 0.3, 1.0, 2.0, 7.5, 40.0, 300.0, 5_000.0])
whatever = st.one_of(st.just(0.0), st.just(1.0), st.just(1e6), st.floats(0, 1e6))


def even_names(*names: str) -> dict[str, float]:
    return dict.fromkeys(names, 1 / len(names))


def even(count: int) -> dict[str, float]:
    return even_names(*NAMES[:count])


def skewed(raw: list[float]) -> dict[str, float]:
    return {name: weight / sum(raw) for name, weight in zip(NAMES, raw, strict=False)}


@st.composite
def cases(draw: st.DrawFn, amount: st.SearchStrategy[float] = amounts) -> tuple[Both, dict[str, float]]:
    raw = draw(st.lists(st.floats(0.05, 1), min_size=1, max_size=MAX_GATEWAYS))
    neutral = skewed(raw)
    return {name: (draw(amount), draw(amount)) for name in neutral}, neutral


def usual_share(counts: Both) -> float:
    """Return the bad share of the last route of the better half: so much more is tolerated of all."""
    shares = sorted(bad / max(1.0, good + bad) for good, bad in counts.values())
    better_half = shares[: len(shares) // 2]
    return better_half[-1] if better_half else shares[0]


def simulated(counts: Both, neutral: dict[str, float], asked: Question, *, is_beta: bool) -> dict[str, float]:
    """Return the share of all payments that each gateway gets.

    Thompson's method: in each round a bad share is drawn for every gateway from its posterior, and the payments go
    where it is least, here also to those within the tolerance, which grows with the share
    that was counted of the better half. With ``is_beta`` the posterior is that of a Bernoulli
    trial with a uniform prior, Beta(1 + bad, 1 + good). Otherwise it is that of a Poisson count of bad payments,
    Gamma(1 + bad), beside as many good ones as there were.
    """
    luck = Random(20)
    found = dict.fromkeys(counts, 0.0)
    tolerated = asked.margin + usual_share(counts)
    for _ in range(SAMPLES):
        shares = {}
        for name, (good, bad) in counts.items():
            if is_beta:
                shares[name] = luck.betavariate(PRIOR + bad, PRIOR + good)
            else:
                rate = luck.gammavariate(PRIOR + bad, 1.0)
                shares[name] = rate / (rate + PRIOR + good)
        most = min(shares.values()) + tolerated
        chosen = [name for name, share in shares.items() if share <= most]
        for name in chosen:
            found[name] += neutral[name] / sum(neutral[one] for one in chosen) / SAMPLES
    return found


@settings(max_examples=60)
@given(cases(), st.sampled_from(QUESTIONS), st.booleans())
def test_the_shares_are_those_of_a_plain_simulation(
    case: tuple[Both, dict[str, float]], asked: Question, is_beta: bool
) -> None:
    """Fails when two gateways are drawn together, a quantile is wrong, or the tolerance is another one."""
    counts, neutral = case
    assume(max(bad for _, bad in counts.values()) >= NOTHING)
    found = levels(counts, neutral, asked)
    expected = simulated(counts, neutral, asked, is_beta=is_beta)
    for name, level in found.items():
        share = min(neutral[name], expected[name])
        assert neutral[name] * level == pytest.approx(share, abs=MODEL_ACCURACY if is_beta else ACCURACY)


@given(cases(whatever), st.sampled_from(QUESTIONS))
@example(({NAMES[0]: (0.0, 1e6), NAMES[1]: (1e6, 0.0)}, even(2)), FAILED)
@example((dict.fromkeys(NAMES, (0.0, 1.0)), even(MAX_GATEWAYS)), FAILED)
@example(({NAMES[0]: (0.0, 0.0), NAMES[1]: (0.0, 1e6)}, skewed([1e-9, 1.0])), LATE)
def test_whatever_was_counted_each_level_is_a_share_and_one_gateway_has_a_good_part_of_it(
    case: tuple[Both, dict[str, float]], asked: Question
) -> None:
    """Fails with a division by zero, with NaN, or when all lose at once and the weights say nothing any more."""
    found = levels(*case, asked)
    assert list(found) == list(case[0])
    assert all(math.isfinite(level) and 0 <= level <= 1 for level in found.values())
    assert max(found.values()) >= 0.9, (
        "shares add up to 1, so that the least trusted of all alike has nearly all of its own"
    )


@given(cases(whatever), st.sampled_from(QUESTIONS), st.integers(0, MAX_GATEWAYS - 1), st.floats(0.001, 1e5))
def test_more_bad_payments_never_mean_more_trust(
    case: tuple[Both, dict[str, float]], asked: Question, number: int, more: float
) -> None:
    """Fails when the draws of a step are others than those of the step before: the level would jump with no reason."""
    counts, neutral = case
    name = list(counts)[number % len(counts)]
    good, bad = counts[name]
    assume(max(other for _, other in counts.values()) >= NOTHING)
    before = levels(counts, neutral, asked)[name]
    for worse in (counts | {name: (good, bad + more)}, counts | {name: (max(0.0, good - more), bad + more)}):
        if usual_share(worse) == usual_share(counts):  # where a well route gets worse, more is tolerated
            assert levels(worse, neutral, asked)[name] <= before + 1e-9


@given(st.integers(1, MAX_GATEWAYS), whatever, whatever, st.sampled_from(QUESTIONS))
def test_equal_gateways_with_equal_counts_keep_what_they_have(
    count: int, good: float, bad: float, asked: Question
) -> None:
    """Fails when a gateway is judged by a standard: what befalls all alike would move payments."""
    found = levels(dict.fromkeys(NAMES[:count], (good, bad)), even(count), asked)
    assert min(found.values()) >= WHOLE


@given(st.lists(st.floats(0.2, 1), min_size=2, max_size=4), whatever, whatever, st.sampled_from(QUESTIONS))
def test_gateways_of_several_sizes_with_equal_counts_keep_what_they_have(
    raw: list[float], good: float, bad: float, asked: Question
) -> None:
    neutral = skewed(raw)
    assert min(levels(dict.fromkeys(neutral, (good, bad)), neutral, asked).values()) >= WHOLE


@given(whatever, whatever, st.sampled_from(QUESTIONS))
def test_a_lone_gateway_is_trusted_whatever_it_does(good: float, bad: float, asked: Question) -> None:
    assert levels({"alder": (good, bad)}, {"alder": 1.0}, asked) == {"alder": 1.0}


@pytest.mark.parametrize("asked", QUESTIONS)
def test_a_route_without_payments_is_neither_trusted_nor_given_up(asked: Question) -> None:
    """Fails without a prior: nothing seen would be nothing bad, or nothing good."""
    counts = {"alder": (0.0, 0.0), "birch": (480.0, 20.0)}
    assert 0 < levels(counts, {"alder": 0.5, "birch": 0.5}, asked)["alder"] < 1


@pytest.mark.parametrize("asked", QUESTIONS)
def test_few_answers_leave_more_open_than_many(asked: Question) -> None:
    """Fails when the share alone decides, and not how often it was seen."""
    of_few, of_many = (
        levels({"alder": (9.0 * times, times), "birch": (500.0, 1.0)}, {"alder": 0.5, "birch": 0.5}, asked)
        for times in (1.0, 30.0)
    )
    assert of_few["alder"] > 3 * of_many["alder"]
    assert of_many["alder"] < 0.05


@pytest.mark.parametrize("asked", QUESTIONS)
def test_where_nothing_is_bad_a_new_gateway_has_its_whole_share(asked: Question) -> None:
    """Fails when it is drawn for all the same: few good answers would count against many."""
    counts = {"alder": (3.0, 0.0), "birch": (5_000.0, 0.0)}
    assert levels(counts, {"alder": 0.5, "birch": 0.5}, asked) == {"alder": 1.0, "birch": 1.0}
    assert levels(counts | {"birch": (5_000.0, 2 * NOTHING)}, {"alder": 0.5, "birch": 0.5}, asked)["alder"] < 1


@pytest.mark.parametrize("asked", QUESTIONS)
def test_a_small_difference_moves_nothing_however_sure_it_is(asked: Question) -> None:
    """Fails when being the best is what counts: with enough payments, any two gateways differ."""
    worse = (1e6 * (1 - asked.margin / 2), 1e6 * asked.margin / 2)
    assert set(levels({"alder": worse, "birch": (1e6, 0.0)}, {"alder": 0.5, "birch": 0.5}, asked).values()) == {1.0}
    much_worse = (1e6 * (1 - 2 * asked.margin), 1e6 * 2 * asked.margin)
    assert levels({"alder": much_worse, "birch": (1e6, 0.0)}, {"alder": 0.5, "birch": 0.5}, asked)["alder"] == 0


@pytest.mark.parametrize("asked", QUESTIONS)
def test_where_all_are_bad_what_is_tolerated_grows_with_it(asked: Question) -> None:
    """Fails without the ratio: in an incident of all, one of 40 % would lose everything to one of 35 %."""
    counts = {"alder": (6e5, 4e5), "birch": (6.5e5, 3.5e5)}
    assert levels(counts, {"alder": 0.5, "birch": 0.5}, asked)["alder"] == 1


def test_the_luckiest_of_many_routes_is_not_what_all_are_measured_by() -> None:
    """Fails when the best share alone sets what is tolerated: of many equal routes, one is always lucky."""
    equal = {"alder": (95.0, 5.0), "birch": (94.0, 6.0), "cedar": (96.0, 4.0)}
    found = levels(equal | {"dogwood": (100.0, 0.0)}, even_names(*equal, "dogwood"), LATE)
    assert min(found.values()) >= WHOLE


@pytest.mark.parametrize("asked", QUESTIONS)
def test_half_of_the_routes_may_be_ill(asked: Question) -> None:
    """Fails when what most routes have is tolerated: two ill gateways would excuse each other."""
    ill = {"alder": (60.0, 40.0), "birch": (60.0, 40.0)}
    for well in (["cedar"], ["cedar", "dogwood"]):
        found = levels(ill | dict.fromkeys(well, (100.0, 0.0)), even_names(*ill, *well), asked)
        assert [found[name] for name in ill] == [0, 0]


def test_less_is_tolerated_of_what_fails_than_of_what_is_late() -> None:
    """Fails when both questions are one: somebody has to look for each payment without an answer."""
    neutral = {"alder": 0.5, "birch": 0.5}
    for bad in (2.0, 4.0, 8.0, 16.0, 32.0):
        counts = {"alder": (300.0, bad), "birch": (300.0, 1.0)}
        assert levels(counts, neutral, FAILED)["alder"] <= levels(counts, neutral, LATE)["alder"]


@given(st.integers(0, 200), st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(QUESTIONS))
def test_a_gateways_other_methods_make_up_for_attempts_that_a_route_has_not_had(
    own_good: int, good: int, failed: int, asked: Question
) -> None:
    """Fails when a busy method decides for one that is well by its own answers."""
    own, others = Counts(float(own_good), 1.0, 2.0), Counts(float(good), float(failed))
    known = pooled(own, others, asked)
    assert known.total - own.total == pytest.approx(min(others.total, max(0.0, asked.pooled - own.total)))
    if others.total:
        assert known.failed - own.failed == pytest.approx((known.total - own.total) * failed / others.total)


def test_the_draws_of_a_process_are_those_of_any() -> None:
    """Fails when the order of the draws is by chance: a decision would not be made again to the same bytes."""
    again = [trust._shuffled(number) for number in range(MAX_GATEWAYS)]
    assert again == trust._QUANTILES
    assert len({tuple(quantiles) for quantiles in again}) == MAX_GATEWAYS, "each gateway its own order"
    assert len({tuple(sorted(quantiles)) for quantiles in again}) == 1
