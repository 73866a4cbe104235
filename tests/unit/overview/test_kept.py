"""What is not in the outbox's stream: replays and conflicts, open breaks, doubts, failing endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.durations import DAY_MS, MINUTE_MS
from payonce.domain.errors import KeyExpired, KeyInProgress, KeyReused, Throttled
from payonce.overview.breaks import add_move, moved, open_by_day
from payonce.overview.doubts import MOST_MERCHANTS, keep_doubts
from payonce.overview.failing import keep_failing
from payonce.overview.from_log import LOG_SHARDS, add_lines, counts_of_line
from payonce.overview.minutes import MinuteCounts, minute_of
from payonce.overview.request_counts import (
    COUNTED_MESSAGE,
    LINE_EVERY_MS,
    REPLAYED,
    RequestCounts,
)
from payonce.overview.request_counts import (
    MOST_MERCHANTS as MOST_OF_A_LINE,
)
from payonce.overview.scopes import EVERYBODY
from payonce.ports import Item, Table
from payonce.stores.memory import MemoryDatabase
from tests.support.routing_world import Lines
from tests.support.world import ManualClock

T0 = 1_795_526_278_000


def counts(database: MemoryDatabase, scope: str) -> dict[str, int]:
    found = MinuteCounts(database).read(scope, minute_of(T0), minute_of(T0))
    return dict(found.counts[minute_of(T0)])


def test_the_first_is_told_at_once_and_the_others_together() -> None:
    """Fails when each replay is a line, or when one that is alone is not told."""
    clock, log = ManualClock(T0), Lines()
    seen = RequestCounts(clock, log)
    seen.note("mer_a", REPLAYED)
    assert log.said(COUNTED_MESSAGE) == [{"counts": {"mer_a": {"replayed": 1}}}]
    for number in range(1_000):
        clock.ms += LINE_EVERY_MS // 1_001
        seen.note(f"mer_{number % 2}", REPLAYED)
    seen.refused("mer_a", KeyReused("reused"))
    seen.refused("mer_a", Throttled("not a conflict"))
    assert len(log.lines) == 1
    clock.ms += LINE_EVERY_MS
    seen.refused("mer_a", KeyInProgress("in progress"))
    assert log.said(COUNTED_MESSAGE)[1:] == [
        {
            "counts": {
                "mer_0": {"replayed": 500},
                "mer_1": {"replayed": 500},
                "mer_a": {"conflict:KeyReused": 1, "conflict:KeyInProgress": 1},
            }
        }
    ]


def test_a_line_names_so_many_merchants_and_the_rest_as_one() -> None:
    clock, log = ManualClock(T0), Lines()
    seen = RequestCounts(clock, log)
    seen.note("mer_first", REPLAYED)
    for number in range(MOST_OF_A_LINE + 7):
        seen.refused(f"mer_{number}", KeyExpired("expired"))
    clock.ms += LINE_EVERY_MS
    seen.note("mer_0", REPLAYED)
    told = log.said(COUNTED_MESSAGE)[1]["counts"]
    assert len(told) == MOST_OF_A_LINE + 1
    assert told[EVERYBODY] == {"conflict:KeyExpired": 7}
    assert counts_of_line({"message": COUNTED_MESSAGE, "counts": told}) == told


LINES = [
    ("id-1", T0, {"mer_a": {"replayed": 2}, EVERYBODY: {"conflict:KeyReused": 1}}),
    ("id-2", T0, {"mer_b": {"replayed": 1}}),
]


def test_a_message_of_the_log_is_added_once() -> None:
    """Fails when a message that comes again is added again, or what is of no merchant is counted twice."""
    database = MemoryDatabase()
    assert add_lines(database, LINES) == 1
    assert add_lines(database, LINES) == 0
    assert counts(database, EVERYBODY) == {"replayed": 3, "conflict:KeyReused": 1}
    assert counts(database, "mer_a") == {"replayed": 2}
    add_lines(database, [("id-3", T0, {"mer_a": {"replayed": 5}})])
    assert counts(database, "mer_a") == {"replayed": 7}
    assert LOG_SHARDS > 1


def test_a_message_of_many_merchants_is_added_whole() -> None:
    database = MemoryDatabase()
    many = [(f"id-{n}", T0, {f"mer_{n}": {"replayed": 1}}) for n in range(130)]
    assert add_lines(database, many) == 4
    assert add_lines(database, many) == 0
    assert counts(database, EVERYBODY) == {"replayed": 130}


@pytest.mark.parametrize(
    "counts",
    [
        None,
        [],
        {"mer": {"replayed": 0}},
        {"mer": {"replayed": True}},
        {"mer": {"n": 1}},
        {"": {"replayed": 1}},
        {"m": 3},
    ],
)
def test_a_line_that_is_not_ours_counts_nothing(counts: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        counts_of_line({"message": COUNTED_MESSAGE, "counts": counts})
    assert counts_of_line({"message": "refused", "counts": counts}) is None


def case(status: str, version: int, **more: Any) -> Item:
    return {
        "break_id": "brk_1",
        "break_class": "double_charge",
        "case_status": status,
        "version": version,
        "opened_at_ms": T0,
        "merchant_id": "mer_a",
        **more,
    }


def test_open_breaks_are_counted_up_and_down_once_by_their_day() -> None:
    """Fails when a change that the stream brings again is counted again."""
    database = MemoryDatabase()
    steps = [(None, case("open", 1)), (case("open", 1), case("closed", 2)), (case("closed", 2), case("open", 3))]
    day = T0 // DAY_MS
    for after, (before, now) in zip((1, 0, 1), steps, strict=True):
        move = moved(before, now)
        assert move is not None
        assert add_move(database, move, now_ms=T0) is True
        assert add_move(database, move, now_ms=T0) is False
        assert open_by_day(database, "mer_a") == open_by_day(database, EVERYBODY) == ({day: 1} if after else {})


def test_what_moves_no_case_is_not_counted() -> None:
    assert moved(case("open", 1), case("open", 2, assignee="ann")) is None
    assert moved(None, {"pk": "RUN#1", "sk": "RUN", "version": 1}) is None
    assert moved(None, case("closed", 1)) is None
    nobodys = moved(None, case("open", 1, merchant_id=None))
    assert nobodys is not None
    database = MemoryDatabase()
    add_move(database, nobodys, now_ms=T0)
    assert list(open_by_day(database, EVERYBODY).values()) == [1]


def test_doubts_are_set_by_merchant_and_age() -> None:
    database = MemoryDatabase()
    ages_minutes = {"mer_a": [2, 10, 100], "mer_b": [3_000]}
    claims = [(who, T0 - age * MINUTE_MS) for who, ages in ages_minutes.items() for age in ages]
    keep_doubts(database, claims, T0, complete=True)
    gauge = MinuteCounts(database).read("mer_a", minute_of(T0), minute_of(T0)).gauges["doubts"][minute_of(T0)]
    assert gauge["ages"] == [1, 1, 0, 1, 0, 0]
    assert gauge["oldest_at_ms"] == T0 - 100 * MINUTE_MS
    everybody = MinuteCounts(database).read(EVERYBODY, minute_of(T0), minute_of(T0)).gauges["doubts"][minute_of(T0)]
    assert everybody["ages"] == [1, 1, 0, 1, 0, 1]
    assert everybody["complete"] is True
    keep_doubts(database, [], T0, complete=False)
    again = MinuteCounts(database).read(EVERYBODY, minute_of(T0), minute_of(T0)).gauges["doubts"][minute_of(T0)]
    assert (sum(again["ages"]), again["complete"]) == (0, False)


def test_however_many_merchants_have_doubts_so_many_are_written() -> None:
    database = MemoryDatabase()
    keep_doubts(database, [(f"mer_{n}", T0) for n in range(MOST_MERCHANTS + 50)], T0, complete=True)
    assert len(database._tables[Table.OVERVIEW]) == MOST_MERCHANTS + 1
    gauge = MinuteCounts(database).read(EVERYBODY, minute_of(T0), minute_of(T0)).gauges["doubts"][minute_of(T0)]
    assert (sum(gauge["ages"]), gauge["complete"]) == (MOST_MERCHANTS + 50, False)


def test_failing_endpoints_are_set_by_merchant() -> None:
    database = MemoryDatabase()
    keep_failing(database, {"mer_a": 2, "mer_b": 1}, T0, True)
    read = MinuteCounts(database).read
    now = minute_of(T0)
    assert read("mer_a", now, now).gauges["failing"][now]["failing"] == 2
    assert read(EVERYBODY, now, now).gauges["failing"][now]["failing"] == 3
