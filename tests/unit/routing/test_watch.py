"""The watch on routes' latencies: per quarter of an hour, beside the route's own past, and for people alone."""

from __future__ import annotations

import random

import pytest

from payonce.routing.signals.observation import Cell
from payonce.routing.watch.route_watch import MAX_ROUTES, MIN_ANSWERS, PERIOD_MS, RouteWatch, Unusual

ALDER = Cell("alder", "card")
START_MS = 1_772_323_200_000 // PERIOD_MS * PERIOD_MS
DAY = 96


def feed(
    watch: RouteWatch, periods: range, median_ms: float, *, cell: Cell = ALDER, answers: int = 50
) -> list[Unusual]:
    """Return what is found while ``periods`` pass with latencies about ``median_ms``."""
    found = []
    for period in periods:
        draw = random.Random(period)
        for index in range(answers):
            at_ms = START_MS + period * PERIOD_MS + index * 1000
            unusual = watch.saw(cell, round(median_ms * draw.lognormvariate(0, 0.2)), at_ms)
            found += [unusual] if unusual else []
    return found


def test_a_route_that_becomes_half_as_slow_again_is_named_within_the_hour() -> None:
    """Fails when a period is never judged, or the detector starts anew with every period."""
    watch = RouteWatch()
    feed(watch, range(4 * DAY), 400)
    found = feed(watch, range(4 * DAY, 4 * DAY + 5), 600)
    assert [each.cell for each in found] == [ALDER]
    assert found[0].p95_ms > 600
    assert found[0].score.deviation > 0


def test_a_route_as_usual_is_hardly_ever_named() -> None:
    """Fails when a sample is taken for every answer, or when the periods overlap: alarms by the dozen."""
    watch = RouteWatch()
    assert len(feed(watch, range(8 * DAY), 400)) <= 2


def test_a_period_with_few_answers_is_not_judged() -> None:
    """Fails without MIN_ANSWERS: the p95 of three answers is the slowest of them."""
    watch = RouteWatch()
    feed(watch, range(4 * DAY), 400)
    assert feed(watch, range(4 * DAY, 4 * DAY + 5), 4000, answers=MIN_ANSWERS - 1) == []


def test_a_late_answer_changes_no_period() -> None:
    """Fails when an answer from the past opens its period again: it would be judged twice."""
    watch = RouteWatch()
    feed(watch, range(10), 400)
    before = watch.to_bytes(ALDER)
    assert watch.saw(ALDER, 9000, START_MS) is None
    assert watch.to_bytes(ALDER) == before


def test_a_restored_watch_goes_on_as_if_nothing_had_happened() -> None:
    """Fails when the open period or the detector is not in the state, or what was counted is counted again."""
    whole, first, second = RouteWatch(), RouteWatch(), RouteWatch()
    feed(whole, range(DAY), 400)
    feed(first, range(DAY), 400)
    second.restore(ALDER, first.to_bytes(ALDER), at_ms=START_MS + 100 * PERIOD_MS)
    feed(second, range(DAY - 1, DAY), 400)  # what was read before is read again
    for watch in (whole, second):
        feed(watch, range(DAY, DAY + 20), 500)
    assert second.to_bytes(ALDER) == whole.to_bytes(ALDER)
    assert second.routes == [ALDER]


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b'{"version":1}', b'{"version":1,"period":"x"}', b"[" * 100_000])
def test_a_damaged_state_is_refused(raw: bytes) -> None:
    watch = RouteWatch()
    with pytest.raises(ValueError):
        watch.restore(ALDER, raw, at_ms=START_MS)
    assert watch.routes == []


def test_routes_are_bounded() -> None:
    watch = RouteWatch()
    for number in range(MAX_ROUTES + 5):
        watch.saw(Cell(f"g{number}", "card"), 100, START_MS)
    assert len(watch.routes) == MAX_ROUTES
