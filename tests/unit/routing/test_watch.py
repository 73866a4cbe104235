"""The watch on routes: three series per quarter of an hour, beside the route's own past, and for people alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.durations import HOUR_MS
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.observation import Cell
from payonce.routing.watch.episodes import ADOPT_HOURS, CAP_HOURS, RECOVERED_SAMPLES, Episode
from payonce.routing.watch.route_watch import MAX_ROUTES, MIN_ANSWERS, PERIOD_MS, RouteWatch, Unusual, Watched

if TYPE_CHECKING:
    from collections.abc import Iterable

ALDER = Cell("alder", "card")
START_MS = 1_772_323_200_000 // PERIOD_MS * PERIOD_MS
DAY, HOUR = 96, 4
SLOW: dict[str, Any] = {"median_ms": 2_000}


def feed(
    watch: RouteWatch,
    periods: Iterable[int],
    *,
    median_ms: float = 400,
    approval: float = 0.85,
    technical: float = 0.005,
    answers: int = 60,
) -> list[tuple[int, Unusual]]:
    """Return what is found, with the period in which it is told: the one after that in which it was."""
    found = []
    for period in periods:
        draw = random.Random(period)
        for index in range(answers):
            kind = draw.random()
            outcome = Outcome.APPROVED if draw.random() < approval else Outcome.DECLINED
            outcome = Outcome.UNKNOWN if kind < technical else outcome
            latency_ms = round(median_ms * draw.lognormvariate(0, 0.2))
            at_ms = START_MS + period * PERIOD_MS + index * 1000
            found += [(period, unusual) for unusual in watch.saw(ALDER, outcome, latency_ms, at_ms)]
    return found


@pytest.fixture(scope="module")
def usual_state() -> bytes:
    """The state of a route that was watched for four days, in which nothing was unusual."""
    watch = RouteWatch()
    assert feed(watch, range(4 * DAY)) == []
    return watch.to_bytes(ALDER)


@pytest.fixture
def watch(usual_state: bytes) -> RouteWatch:
    restored = RouteWatch()
    restored.restore(ALDER, usual_state, at_ms=START_MS + 4 * DAY * PERIOD_MS)
    return restored


NOW = 4 * DAY


def test_a_route_that_becomes_slow_is_named_within_the_hour(watch: RouteWatch) -> None:
    """Fails when a period is never judged, or the detector starts anew with every period."""
    ((period, unusual),) = feed(watch, range(NOW, NOW + 2 * HOUR), **SLOW)
    assert period - NOW <= HOUR
    assert (unusual.cell, unusual.watched) == (ALDER, Watched.LATENCY)
    low, high = unusual.usual
    assert low < 560 < high < 800 < unusual.value
    assert unusual.answers == 60


def test_a_fall_of_approval_is_named(watch: RouteWatch) -> None:
    """Fails when only latencies are watched, or declines do not count against the approval."""
    ((_, unusual),) = feed(watch, range(NOW, NOW + 2 * HOUR), approval=0.4)
    assert unusual.watched is Watched.APPROVAL
    assert unusual.value < 0.6 < unusual.usual[0] < 0.85 < unusual.usual[1]


def test_a_rise_of_unknown_outcomes_is_named(watch: RouteWatch) -> None:
    """Fails when only latencies are watched: these are as fast as ever."""
    ((_, unusual),) = feed(watch, range(NOW, NOW + 2 * HOUR), technical=0.3)
    assert unusual.watched is Watched.TECHNICAL
    assert unusual.usual[1] < 0.05 < unusual.value


def test_a_gateway_that_refuses_connections_fails_and_is_not_fast(watch: RouteWatch) -> None:
    """Fails when an attempt that was never sent has a latency, or does not count as a technical failure."""
    found = []
    for period in range(NOW, NOW + HOUR):
        for index in range(60):
            at_ms = START_MS + period * PERIOD_MS + index * 1000
            found += watch.saw(ALDER, Outcome.NEVER_SENT, 1, at_ms)
    assert [unusual.watched for unusual in found] == [Watched.TECHNICAL]


def test_more_approvals_and_fewer_failures_are_no_alarm(watch: RouteWatch) -> None:
    assert feed(watch, range(NOW, NOW + 2 * HOUR), approval=1.0, technical=0.0) == []


def test_a_gap_is_no_alarm_and_fills_nothing(watch: RouteWatch) -> None:
    """Fails when a period without answers is judged or interpolated, or a short one ends an episode."""
    assert feed(watch, range(NOW + DAY, NOW + DAY + 2 * HOUR)) == []
    assert len(feed(watch, range(NOW + 2 * DAY, NOW + 2 * DAY + 4), **SLOW)) == 1
    later = NOW + 2 * DAY + 5 * HOUR
    assert feed(watch, range(later, later + 4), **SLOW) == []


def test_a_period_with_few_answers_is_a_gap(watch: RouteWatch) -> None:
    """Fails without MIN_ANSWERS: the p95 of three answers is the slowest of them."""
    odd = {"median_ms": 9_000, "approval": 0.0, "technical": 0.5}
    assert feed(watch, range(NOW, NOW + 3 * HOUR), answers=MIN_ANSWERS - 1, **odd) == []
    assert feed(watch, range(NOW + 3 * HOUR, NOW + 4 * HOUR)) == []


@pytest.mark.parametrize("odd", [SLOW, {"approval": 0.3}, {"technical": 0.4}], ids=["slow", "declines", "unknown"])
@pytest.mark.parametrize("hours", [4, 10, 30])
def test_a_second_incident_is_named_hours_after_the_first(watch: RouteWatch, odd: dict[str, Any], hours: int) -> None:
    """Fails when an alarm is followed by a rest, or when the first incident is learned as usual."""
    second = NOW + 2 * HOUR + hours * HOUR
    found = feed(watch, range(NOW, NOW + 2 * HOUR), **odd)
    found += feed(watch, range(NOW + 2 * HOUR, second))
    found += feed(watch, range(second, second + 2 * HOUR), **odd)
    assert [period >= second for period, _ in found] == [False, True]


def test_an_episode_alarms_once_until_it_has_recovered() -> None:
    """Fails when every unusual sample alarms, or an episode ends by a single usual one, or never."""
    episode, alarms = Episode(), []
    flags = [True] * 3 + [False] * (RECOVERED_SAMPLES - 1) + [True] + [False] * RECOVERED_SAMPLES + [True]
    alarms = [i for i, unusual in enumerate(flags) if episode.update(i * PERIOD_MS, unusual=unusual)]
    assert alarms == [0, len(flags) - 1]


def test_an_episode_alarms_again_after_a_day() -> None:
    """Fails without the cap: what lasts is told once, and whoever comes on duty never hears of it."""
    episode = Episode()
    alarms = [hour for hour in range(3 * CAP_HOURS) if episode.update(hour * HOUR_MS, unusual=True)]
    assert alarms == [0, CAP_HOURS, 2 * CAP_HOURS]


def test_a_usual_sample_after_the_cap_is_no_alarm() -> None:
    """Fails when the cap alone alarms: the series may be about to recover."""
    episode = Episode()
    alarms = [hour for hour in range(CAP_HOURS) if episode.update(hour * HOUR_MS, unusual=True)]
    assert alarms == [0]
    assert not episode.update(CAP_HOURS * HOUR_MS, unusual=False)


def test_a_day_without_answers_ends_an_episode() -> None:
    """Fails when it goes on: the next incident would be adopted as usual at once, because it seems to last."""
    episode = Episode()
    later_ms = ADOPT_HOURS * HOUR_MS
    assert episode.update(0, unusual=True)
    assert episode.update(later_ms, unusual=True)
    assert not episode.adopted(later_ms)
    assert not episode.update(later_ms + PERIOD_MS, unusual=True)


@pytest.mark.parametrize("odd", [SLOW, {"approval": 0.3}, {"technical": 0.4}], ids=["slow", "declines", "unknown"])
def test_what_has_lasted_for_three_days_is_usual(watch: RouteWatch, odd: dict[str, Any]) -> None:
    """Fails when an unusual level is never learned: it would alarm every day for good."""
    last = NOW + (ADOPT_HOURS + 72) * HOUR
    periods = [period for period, _ in feed(watch, range(NOW, last), **odd)]
    assert len(periods) in {3, 4}
    assert max(periods) <= NOW + ADOPT_HOURS * HOUR + 1
    assert feed(watch, range(last, last + 1)) == []


def test_a_late_answer_changes_no_period() -> None:
    """Fails when an answer from the past opens its period again: it would be judged twice."""
    watch = RouteWatch()
    feed(watch, range(10))
    before = watch.to_bytes(ALDER)
    assert watch.saw(ALDER, Outcome.APPROVED, 9000, START_MS) == []
    assert watch.to_bytes(ALDER) == before


def test_a_restored_watch_goes_on_as_if_nothing_had_happened(usual_state: bytes) -> None:
    """Amid an incident in all three series. Fails when a part of the state is not kept, or answers count twice."""
    odd: dict[str, Any] = {"median_ms": 2_000, "approval": 0.3, "technical": 0.3}
    whole, first, second = RouteWatch(), RouteWatch(), RouteWatch()
    for watch in (whole, first):
        watch.restore(ALDER, usual_state, at_ms=START_MS + NOW * PERIOD_MS)
        feed(watch, range(NOW, NOW + 5), **odd)
        feed(watch, range(NOW + 5, NOW + 6))
    second.restore(ALDER, first.to_bytes(ALDER), at_ms=START_MS + (NOW + 6) * PERIOD_MS)
    feed(second, range(NOW + 5, NOW + 6))  # what was read before is read again
    later = [
        feed(watch, range(NOW + 6, NOW + 10), **odd) + feed(watch, range(NOW + 10, NOW + 20))
        for watch in (whole, second)
    ]
    assert later[0] == later[1]
    assert second.to_bytes(ALDER) == whole.to_bytes(ALDER)
    assert second.routes == [ALDER]


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'{"version":2}', b'{"version":2,"period":"x"}', b"[" * 100_000])
def test_a_malformed_state_is_refused(raw: bytes) -> None:
    watch = RouteWatch()
    with pytest.raises(ValueError):
        watch.restore(ALDER, raw, at_ms=START_MS)
    assert watch.routes == []


def test_routes_are_bounded() -> None:
    watch = RouteWatch()
    for number in range(MAX_ROUTES + 5):
        watch.saw(Cell(f"g{number}", "card"), Outcome.APPROVED, 100, START_MS)
    assert len(watch.routes) == MAX_ROUTES
