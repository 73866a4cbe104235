"""The model of partition limits and conflicts, by cases that are counted by hand."""

from __future__ import annotations

import pytest

from benchmarks.units.charges import Charge
from benchmarks.units.meter import Metered
from benchmarks.units.partitions import READ_UNITS_PER_SECOND, TRANSACTION_MS, WRITE_UNITS_PER_SECOND, Model, Outcome
from benchmarks.units.traffic import Timed, Traffic

ITEM = ("Items", '{"id": {"S": "k"}}')


def written(partition: str = "p", *, index: str = "", units: float = 1, read: float = 0) -> Metered:
    """Return a single write or read."""
    return Metered("PutItem", "", (Charge("Items", index, partition, write=units, read=read),))


def transaction(*items: tuple[str, str]) -> Metered:
    """Return a transaction on ``items``, each in a partition of its own."""
    charges = tuple(Charge(table, "", key, write=2) for table, key in items)
    return Metered("TransactWriteItems", "", charges, items)


def ran(requests: list[tuple[float, Metered]], *, rate: int = 1_000, seconds: float = 0.0) -> Outcome:
    """Return what became of requests, each for a payment."""
    sent = tuple(Timed(at_ms, request) for at_ms, request in requests)
    return Model().run(Traffic(rate, 1, len(sent), webhooks=False, sent=sent), seconds)


def steady(per_second: int, seconds: int, request: Metered) -> list[tuple[float, Metered]]:
    """Return ``request`` sent at a rate."""
    return [(number * 1000 / per_second, request) for number in range(per_second * seconds)]


def test_a_partition_takes_its_limit() -> None:
    """Fails when a partition refuses 1,000 writes a second, or takes 1,200 for longer than it saved up."""
    assert ran(steady(WRITE_UNITS_PER_SECOND, 4, written())).throttled == {}
    found = ran(steady(1_200, 10, written()))
    assert found.throttled["Items"] > 0
    assert not found.is_met


def test_a_partition_saves_up_a_second() -> None:
    """Fails when a partition that was idle takes more at once than one second's units."""
    idle = [(0.0, written()), *[(60_000.0, written()) for _ in range(WRITE_UNITS_PER_SECOND + 1)]]
    assert ran(idle, rate=1).throttled["Items"] > 0
    assert ran(idle[:-1], rate=1).throttled == {}


def test_reads_have_a_limit_of_their_own() -> None:
    """Fails when reads take from what is left for writes, or have no limit."""
    reads = written(units=0, read=3)
    assert ran(steady(READ_UNITS_PER_SECOND // 3, 3, reads)).throttled == {}
    assert ran(steady(READ_UNITS_PER_SECOND // 2, 4, reads)).throttled["Items"] > 0


def test_partitions_are_apart() -> None:
    """Fails when a hot partition refuses what goes to another one."""
    mixed = [*steady(1_200, 5, written("hot")), *steady(100, 5, written("cold"))]
    model = Model()
    sent = tuple(Timed(at_ms, request) for at_ms, request in sorted(mixed, key=lambda one: one[0]))
    refused = [timed for timed in sent if not model.send(timed.request, timed.at_ms)]
    assert refused
    assert {charge.partition for timed in refused for charge in timed.request.charges} == {"hot"}


def test_a_throttled_index_refuses_the_write() -> None:
    """Fails when a write goes through whose index can't take it."""
    both = Metered("PutItem", "", (Charge("Items", "", "own", write=1), Charge("Items", "by-day", "today", write=2)))
    found = ran([(number * 1000 / 800, both) for number in range(800 * 5)])
    assert found.throttled["by-day"] > 0
    assert found.throttled["Items"] == 0


def test_transactions_meet_on_an_item() -> None:
    """Fails when two transactions at once on one item both go through, or two on different items meet."""
    other = ("Items", "other")
    assert ran([(0, transaction(ITEM)), (1, transaction(other))]).conflicts == {}
    assert ran([(0, transaction(ITEM)), (TRANSACTION_MS, transaction(ITEM))]).conflicts == {}
    found = ran([(0, transaction(ITEM, other)), (TRANSACTION_MS - 1, transaction(ITEM))])
    assert found.conflicts == {"Items": 1}
    assert (found.again, found.given_up) == (1, 0)  # ten milliseconds later the first one has ended


def test_a_single_write_meets_a_transaction_and_no_single_write() -> None:
    """Fails when a put goes through beside a transaction on its item, or is refused beside another put."""
    put = Metered("PutItem", "", (Charge("Items", "", "k", write=1),), (ITEM,))
    assert ran([(0, transaction(ITEM)), (1, put)]).conflicts == {"Items": 1}
    assert ran([(0, put), (1, put)]).conflicts == {}


def test_what_is_refused_has_taken_its_units() -> None:
    """Fails when a cancelled transaction is free: its partition then holds more than AWS's does."""
    model = Model()
    model.send(transaction(ITEM), 0)
    for _ in range(WRITE_UNITS_PER_SECOND // 2 - 1):
        assert not model.send(transaction(ITEM), 0)
    assert model.outcome.throttled == {}
    assert not model.send(transaction(ITEM), 0)
    assert model.outcome.throttled == {"Items": 1}


def test_it_gives_up_as_the_adapter_does() -> None:
    """Fails when a request is sent again for ever."""
    found = ran([(0, written(units=WRITE_UNITS_PER_SECOND + 1))])
    assert (found.given_up, found.throttled["Items"]) == (1, 9)


@pytest.mark.parametrize(("again", "throttled", "met"), [(9, {}, True), (10, {}, False), (0, {"Items": 1}, False)])
def test_the_goal(again: int, throttled: dict[str, int], *, met: bool) -> None:
    """Fails when a throttled request or one payment in a hundred is within the goal."""
    outcome = Outcome(payments=1_000, again=again)
    outcome.throttled.update(throttled)
    assert outcome.is_met is met


def test_an_environment_that_has_met_another_spreads() -> None:
    """Fails when those that have met meet again in the same place, or one that has met nobody spreads."""
    wide = ("Items", '{"id": {"S": "wide"}}')
    counted = Metered("TransactWriteItems", "", (), (ITEM,), ((ITEM, wide),))
    model = Model()
    assert model.send(counted, 0, environment=1)
    assert not model.send(counted, 1, environment=2), "the first one has it in hand"
    assert model.send(counted, 2, environment=2), "among the many it meets nobody"
    assert not model.send(counted, 3, environment=2), "but itself"
    assert not model.send(counted, 4, environment=3)
    assert model.send(counted, 4 + TRANSACTION_MS, environment=1), "nobody has met it"
