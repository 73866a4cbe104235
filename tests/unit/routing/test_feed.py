"""The signals as they are stored and read: once each, in the stream's order, by the store's time."""

from __future__ import annotations

import random
from typing import Any

import pytest

from payonce.ports import Insert, Page, Table
from payonce.routing.control.admission import Priority
from payonce.routing.signals import signal_store
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.events import Claimed, Ended, Refused, SignalEvent, attempt_id
from payonce.routing.signals.feed import LONG_OVERLAP_MS, SignalFeed
from payonce.routing.signals.observation import Cell
from payonce.routing.signals.signal_store import (
    REFUSALS_SHARD,
    SignalBatch,
    add_signals,
    newest_signal_ms,
    signals_between,
)
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

CELL = Cell("alder", "card")
T0 = ManualClock().ms


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def feed(database: MemoryDatabase, clock: ManualClock) -> SignalFeed:
    return SignalFeed(database, clock, frozenset({"alder"}), lambda _event: None)


def claimed(at_ms: int, name: str, cell: Cell = CELL) -> SignalEvent:
    return Claimed(at_ms, attempt_id(name), cell, "mer_1", Priority.AUTHORIZATION)


def ended(at_ms: int, name: str, latency_ms: int = 400) -> SignalEvent:
    return Ended(at_ms, attempt_id(name), CELL, latency_ms, Outcome.APPROVED)


def add(database: MemoryDatabase, *events: SignalEvent, shard: str = "a", written_ms: int = 500) -> None:
    """Store a batch that was written some time after its newest event."""
    newest_ms = max(event.at_ms for event in events)
    numbered = [(f"{event.at_ms}-{number}", event) for number, event in enumerate(events)]
    add_signals(database, shard, numbered, now_ms=newest_ms + written_ms)


def started(feed: SignalFeed) -> float:
    return feed.book.observe(feed.newest_ms).gateways["alder"].started


def test_a_batch_that_comes_again_is_one_item(database: MemoryDatabase) -> None:
    """Fails when the key holds anything that the stream does not say: a clock, or a random number."""
    add(database, claimed(T0, "1"))
    add(database, claimed(T0, "1"), written_ms=9_000)
    assert len(list(signals_between(database, T0, T0))) == 1


def test_nothing_is_stored_for_nothing(database: MemoryDatabase) -> None:
    add_signals(database, "a", [], now_ms=T0)
    assert newest_signal_ms(database, until_ms=T0) is None


def test_what_does_not_fit_an_item_is_two(database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a large batch is refused by the database: it would be lost, as its repeat is as large."""
    monkeypatch.setattr(signal_store, "MAX_ITEM_BYTES", 2_000)
    names = random.Random(1)
    made = [claimed(T0 + number, str(names.random())) for number in range(500)]
    add(database, *made)
    batches = [batch for batch in signals_between(database, T0, T0 + 500) if isinstance(batch, SignalBatch)]
    assert len(batches) > 2
    read = [event for batch in batches for event in batch.events]
    assert sorted(read, key=lambda event: event.at_ms) == made


def test_items_are_forgotten_after_ten_minutes(database: MemoryDatabase) -> None:
    add(database, claimed(T0, "1"), written_ms=0)
    [item] = database.query(Table.ROUTING, partition=("pk", "SIGNALS"), limit=9).items
    assert item["purge_at"] == T0 // 1000 + 600


def test_the_last_minute_is_read_at_the_start(database: MemoryDatabase, feed: SignalFeed) -> None:
    for second in range(-120, 1):
        add(database, claimed(T0 + 1000 * second, str(second)))
    assert feed.read()
    assert feed.newest_ms == T0
    assert feed.book.observe(T0).gateways["alder"].in_flight == 61


def test_an_answer_that_comes_again_in_another_batch_is_heard_once(
    database: MemoryDatabase, clock: ManualClock
) -> None:
    """Fails when the watch counts it twice. A reader that goes on from an older place may cut batches differently."""
    heard: list[str] = []
    feed = SignalFeed(database, clock, frozenset({"alder"}), lambda event: heard.append(event.attempt_id))
    add(database, claimed(T0, "1"), ended(T0 + 400, "1"))
    feed.read()
    add(database, claimed(T0, "1"), ended(T0 + 400, "1"), claimed(T0 + 500, "2"), ended(T0 + 900, "2"))
    clock.ms += 1_000
    feed.read()
    assert heard == [attempt_id("1"), attempt_id("2")]


@pytest.mark.parametrize("old_ms", [0, 3_600_000])
def test_where_nothing_is_new_nothing_old_is_read(
    database: MemoryDatabase, clock: ManualClock, old_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the last seconds before a pause are read in every second of it."""
    for number in range(40):
        add(database, claimed(T0 - old_ms - 500 * number, str(number)))
    feed = SignalFeed(database, clock, frozenset({"alder"}), lambda _event: None)
    assert feed.read()
    clock.ms += 0 if old_ms else LONG_OVERLAP_MS + 1
    read: list[int] = []
    query = database.query

    def counted(*what: Any, **how: Any) -> Page:
        page = query(*what, **how)
        read.append(len(page.items))
        return page

    monkeypatch.setattr(database, "query", counted)
    assert not feed.read(overlap_ms=LONG_OVERLAP_MS)
    assert read == [1]
    # And after the pause everything is as before.
    now_ms = clock.ms
    add(database, claimed(now_ms, "new"))
    assert feed.read()
    add(database, claimed(now_ms - 3_000, "late"), shard="b")
    feed.read()
    assert feed.book.observe(feed.newest_ms).gateways["alder"].started == 2


def test_every_batch_is_read_once(database: MemoryDatabase, feed: SignalFeed, clock: ManualClock) -> None:
    """Fails when the overlap is read into the book again: refusals have no id to be known by."""
    add(database, claimed(T0, "1"))
    add(database, Refused(T0, CELL, "mer_1", Priority.BATCH), shard=REFUSALS_SHARD)
    assert feed.read()
    for _ in range(3):
        clock.ms += 1000
        assert not feed.read()
    assert feed.book.observe(T0).demand["card"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("late_ms", "overlap_ms", "seen"), [(4_000, 5_000, 2), (9_000, 5_000, 1), (9_000, 20_000, 2)])
def test_a_late_shard_is_read_within_the_overlap(
    database: MemoryDatabase, feed: SignalFeed, late_ms: int, overlap_ms: int, seen: int
) -> None:
    add(database, claimed(T0, "1"))
    feed.read()
    add(database, claimed(T0 - late_ms, "2"), shard="b")
    assert not feed.read(overlap_ms=overlap_ms), "nothing is newer"
    assert started(feed) == seen
    assert overlap_ms <= LONG_OVERLAP_MS


def test_a_claim_of_a_late_shard_is_not_overdue(database: MemoryDatabase, feed: SignalFeed) -> None:
    """Fails when the shard's name is not handed on: what a late shard has not yet told counts as hanging."""
    feed.book.expect({CELL: 1_000})
    add(database, claimed(T0, "late"), shard="b")
    for second in range(1, 5):
        add(database, claimed(T0 + 1000 * second, str(second)), ended(T0 + 1000 * second + 400, str(second)))
    feed.read()
    assert feed.book.observe(feed.newest_ms).gateways["alder"].overdue == 0
    add(database, claimed(T0 + 4_000, "later"), shard="b")
    feed.read()
    assert feed.book.observe(feed.newest_ms).gateways["alder"].overdue == 1


def test_events_are_taken_in_the_order_of_their_time(database: MemoryDatabase, feed: SignalFeed) -> None:
    """Fails when a batch's older events are taken after another batch's newer ones: their second would get them."""
    add(database, claimed(T0, "1"))
    add(database, claimed(T0 - 8_000, "2"), claimed(T0 + 500, "3"), shard="b")
    feed.read()
    assert started(feed) == 2


def test_a_refusal_from_the_future_is_of_now(database: MemoryDatabase, feed: SignalFeed) -> None:
    """Fails when a function's clock is believed by the book or for the cursor: what follows would be the past."""
    add(database, claimed(T0, "1"))
    add(database, Refused(T0 + 4_900, CELL, "mer_1", Priority.BATCH), shard=REFUSALS_SHARD)
    assert feed.read()
    assert feed.newest_ms == T0
    assert feed.book.observe(T0).demand["card"] == pytest.approx(2 / 3)


def test_refusals_alone_are_no_observation(database: MemoryDatabase, feed: SignalFeed) -> None:
    add(database, Refused(T0, CELL, "mer_1", Priority.BATCH), shard=REFUSALS_SHARD)
    assert not feed.read()
    assert feed.newest_ms == 0


@pytest.mark.parametrize("skew_ms", [-30_000, 0, 30_000])
def test_the_time_is_the_stores_whatever_our_clock_says(
    database: MemoryDatabase, feed: SignalFeed, clock: ManualClock, skew_ms: int
) -> None:
    """Fails when only one of the two clocks is asked how old a batch is."""
    clock.ms = T0 + skew_ms
    feed.read()
    for second in range(1, 4):
        add(database, claimed(T0 + 1000 * second, str(second)))
        clock.ms = T0 + 1000 * second + 700 + skew_ms
        assert feed.read()
        # Half a second from the event to its item, and then up to the reader's last look.
        assert abs(feed.now_ms() - (clock.ms - skew_ms)) <= 1_500
        assert feed.lag_ms() <= 2_500


def test_a_batch_that_was_written_late_is_late(database: MemoryDatabase, feed: SignalFeed, clock: ManualClock) -> None:
    clock.ms = T0
    feed.read()
    add(database, claimed(T0 - 60_000, "1"), written_ms=59_500)
    assert feed.read()
    assert feed.lag_ms() >= 59_500


def test_the_lag_grows_while_nothing_comes(database: MemoryDatabase, feed: SignalFeed, clock: ManualClock) -> None:
    add(database, claimed(T0, "1"))
    clock.ms = T0 + 700
    feed.read()
    clock.ms += 20_000
    feed.read()
    assert feed.lag_ms() >= 20_000


def test_a_batch_of_an_unknown_gateway_is_passed_over(database: MemoryDatabase, feed: SignalFeed) -> None:
    add(database, claimed(T0, "1", Cell("gone", "card")), claimed(T0, "2"))
    feed.read()
    assert list(feed.book.observe(T0).gateways) == ["alder"]


def test_an_item_that_is_no_batch_is_counted(feed: SignalFeed, database: MemoryDatabase) -> None:
    for number, more in enumerate([{}, {"events": b"x", "observed_at_ms": 1}, {"events": b"x", "observed_at_ms": "1"}]):
        database.write([Insert(Table.ROUTING, {"pk": "SIGNALS", "sk": f"{T0}#a#{number}", **more})])
    add(database, claimed(T0, "1"))
    assert feed.read()
    assert (feed.unreadable, started(feed)) == (3, 1)
