"""Counts per minute: every record of a stream is counted once, however its batches come."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from payonce.domain.errors import OutcomeUnknown
from payonce.overview.minutes import EVERYBODY, KEPT_SECONDS, MinuteCounts, Told, gauge_write, purge_at
from payonce.ports import Table, Write
from payonce.stores.memory import MemoryDatabase

MINUTE = 29_925_437


class Counting(MemoryDatabase):
    """A database that counts its writes by item, and of which some answers are lost."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: Counter[tuple[str, str]] = Counter()
        self.lose = False

    def write(self, writes: list[Write]) -> None:  # type: ignore[override]
        for one in writes:
            key = one.item if hasattr(one, "item") else one.key
            self.writes[key["pk"], key["sk"]] += 1
        super().write(writes)
        if self.lose:
            self.lose = False
            raise OutcomeUnknown("the answer was lost")


def told(number: int, merchant: str = "mer_a", minute: int = MINUTE, *names: str) -> Told:
    return Told(str(number), merchant, minute, names or ("payment.captured", "made"))


def seen(database: MemoryDatabase, scope: str) -> dict[int, dict[str, int]]:
    found = MinuteCounts(database).read(scope, MINUTE - 5, MINUTE + 5)
    return {minute: dict(counts) for minute, counts in found.counts.items()}


def test_a_batch_is_counted_for_its_merchants_and_for_all() -> None:
    database = Counting()
    batch = [told(1), told(2, "mer_b"), told(3, "mer_a", MINUTE + 1), told(4, "mer_a", MINUTE, "payment.declined")]
    assert MinuteCounts(database).add("shard-1", batch) == 5
    assert seen(database, "mer_a") == {
        MINUTE: {"payment.captured": 1, "made": 1, "payment.declined": 1},
        MINUTE + 1: {"payment.captured": 1, "made": 1},
    }
    assert seen(database, EVERYBODY)[MINUTE] == {"payment.captured": 2, "made": 2, "payment.declined": 1}
    assert set(database.writes.values()) == {1}


@pytest.mark.parametrize("fresh", [True, False], ids=["another environment", "the same environment"])
def test_a_repeated_batch_is_not_counted_again(fresh: bool) -> None:
    """Fails when a batch that comes again, whole, cut in two or with more after it, is added once more."""
    database = Counting()
    counts = MinuteCounts(database)
    batch = [told(number) for number in range(1, 8)]
    counts.add("shard-1", batch)
    for again in (batch, batch[:3], batch[3:], [*batch, told(8)]):
        (MinuteCounts(database) if fresh else counts).add("shard-1", again)
    assert seen(database, "mer_a")[MINUTE]["made"] == 8
    assert seen(database, EVERYBODY)[MINUTE]["made"] == 8


def test_a_lost_answer_is_counted_once() -> None:
    database = Counting()
    counts = MinuteCounts(database)
    counts.add("shard-1", [told(1)])
    database.lose = True
    with pytest.raises(OutcomeUnknown):
        counts.add("shard-1", [told(2), told(3)])
    counts.add("shard-1", [told(2), told(3), told(4)])
    assert seen(database, "mer_a")[MINUTE]["made"] == seen(database, EVERYBODY)[MINUTE]["made"] == 4


def test_numbers_are_compared_as_numbers_and_shards_have_their_own() -> None:
    """Fails when 10 is below 9, or when what one shard has counted hides what another one tells."""
    database = Counting()
    counts = MinuteCounts(database)
    counts.add("shard-1", [told(9)])
    counts.add("shard-1", [told(10)])
    counts.add("shard-2", [told(1), told(2)])
    assert seen(database, "mer_a")[MINUTE]["made"] == 4


def test_whatever_the_batches_each_record_is_counted_once() -> None:
    """A thousand records of three shards, cut, repeated and overlapped at random."""
    draw = random.Random(7)
    database = Counting()
    expected: Counter[tuple[str, int]] = Counter()
    for shard in ("a", "b", "c"):
        records = [told(n, f"mer_{draw.randrange(5)}", MINUTE + draw.randrange(2)) for n in range(1, 334)]
        expected.update((one.merchant_id, one.minute) for one in records)
        at = 0
        while at < len(records):
            size, back = draw.randrange(1, 60), draw.randrange(0, 30)
            MinuteCounts(database).add(shard, records[max(0, at - back) : at + size])
            at += size
    for (merchant, minute), count in expected.items():
        assert seen(database, merchant)[minute]["made"] == count
    assert sum(counts["made"] for counts in seen(database, EVERYBODY).values()) == 999


def test_ten_thousand_payments_a_second_of_one_merchant_make_no_hot_item() -> None:
    """Fails when an item is written more often than once a batch.

    10,000 payments a second are at least 20 shards, of 500 records a second each, because a partition takes 1,000 write
    units and an event is two. A batch is up to 1,000 records: a minute of a shard is 30 of them.
    """
    database = Counting()
    shards, seconds, per_second, batch = 20, 60, 500, 1_000
    for shard in range(shards):
        counts = MinuteCounts(database)
        for first in range(1, seconds * per_second, batch):
            counts.add(f"shard-{shard}", [told(number) for number in range(first, first + batch)])
    assert seen(database, "mer_a")[MINUTE]["made"] == shards * seconds * per_second
    assert max(database.writes.values()) <= seconds * per_second / batch  # half a write a second for the busiest item
    assert sum(database.writes.values()) == 2 * shards * seconds * per_second / batch  # one write for 500 payments
    assert len(database.writes) == 2 * shards


def test_items_are_forgotten_after_two_days_and_are_small() -> None:
    database = MemoryDatabase()
    MinuteCounts(database).add("shardId-00000001414576573621-f55eea83", [told(21 * 10**38, "mer_" + "x" * 26)])
    for item in database._tables[Table.OVERVIEW].values():
        assert item["purge_at"] == purge_at(MINUTE) == MINUTE * 60 + KEPT_SECONDS
        assert len(repr(item)) < 300


def test_a_gauge_is_set_and_read_apart_from_the_counts() -> None:
    database = MemoryDatabase()
    MinuteCounts(database).add("shard-1", [told(1)])
    for value in (3, 2):
        database.write([gauge_write("mer_a", MINUTE, "failing", {"failing": value})])
    found = MinuteCounts(database).read("mer_a", MINUTE, MINUTE)
    assert found.gauges["failing"][MINUTE]["failing"] == 2
    assert found.counts[MINUTE] == {"payment.captured": 1, "made": 1}


def test_two_environments_that_take_turns_count_nothing_twice() -> None:
    """Fails when an environment adds to what it remembers, and not to what is stored."""
    database = Counting()
    one, other = MinuteCounts(database), MinuteCounts(database)
    one.add("shard-1", [told(1)])
    other.add("shard-1", [told(2), told(3)])
    one.add("shard-1", [told(2), told(3), told(4)])
    assert seen(database, "mer_a")[MINUTE]["made"] == seen(database, EVERYBODY)[MINUTE]["made"] == 4
