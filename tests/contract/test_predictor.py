"""Predictors on DynamoDB: what two of them write at the same time, and what one leaves for the next."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import WriteConflict
from payonce.ports import Table
from payonce.routing.control.control_store import ControlStore
from payonce.routing.control.document import EVERYTHING, ControlDocument, parse_document
from payonce.routing.control.routing_settings import Mode
from payonce.routing.decision.predictor_store import (
    MAX_STATE_BYTES,
    STATE_KEY,
    PredictorStore,
    RecordTaken,
    decision_partition,
    decision_write,
)
from payonce.routing.decision.state import State, restore
from payonce.routing.signals.packed import unpacked
from payonce.routing.signals.signal_store import SignalBatch, signals_between
from payonce.stores.memory import MemoryDatabase
from tests.support.aws import create_tables, dynamo_database, dynamodb_client
from tests.support.routing_world import RoutingWorld

if TYPE_CHECKING:
    from payonce.ports import Database

RACERS = 3
RACE_EPOCHS, RACE_CONFLICTS, RACE_READS = 100, 20, 100  # what makes a race of it
PATIENCE_SECONDS = 120
T0 = 1_800_000_000_000
_prefixes = itertools.count()


@pytest.fixture(params=["memory", "dynamodb_local"])
def shared_database(request: pytest.FixtureRequest) -> Database:
    """Every database but moto's, whose conditions don't hold between threads."""
    if request.param == "memory":
        return MemoryDatabase()
    client = dynamodb_client(request.getfixturevalue("dynamodb_local"))
    return dynamo_database(client, create_tables(client, f"p{next(_prefixes)}-"))


def document(epoch: int, reason: str) -> ControlDocument:
    return ControlDocument(
        mode=Mode.ON,
        epoch=epoch,
        issued_at_ms=T0,
        expires_at_ms=T0 + 30_000,
        reason=reason,
        weights={},
        limits={},
        admission=EVERYTHING,
    )


class Race:
    """Racers that read, decide on the next epoch and write, and one who reads what payments would."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._done = threading.Event()
        self._lock = threading.Lock()
        self.published: Counter[int] = Counter()
        self.conflicts = 0
        self.seen: list[tuple[int, str]] = []

    def run(self) -> None:
        threads = [threading.Thread(target=self._race, args=(f"run_{number}",)) for number in range(RACERS)]
        threads.append(threading.Thread(target=self._watch))
        for thread in threads:
            thread.start()
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not self._is_enough() and time.monotonic() < give_up:
            time.sleep(0.05)
        self._done.set()
        for thread in threads:
            thread.join()

    def _is_enough(self) -> bool:
        with self._lock:
            raced = len(self.published) >= RACE_EPOCHS and self.conflicts >= RACE_CONFLICTS
        return raced and len(self.seen) >= RACE_READS

    def _race(self, name: str) -> None:
        store = PredictorStore(self._database, name)
        while not self._done.is_set():
            before = store.read()
            epoch = before.epoch + 1 if before else 1
            record = decision_write(name.encode(), epoch=epoch, at_ms=T0)
            try:
                store.publish(before, State(epoch=epoch).to_bytes(), document(epoch, name), record, T0)
            except WriteConflict:
                with self._lock:
                    self.conflicts += 1
                continue
            with self._lock:
                self.published[epoch] += 1

    def _watch(self) -> None:
        control = ControlStore(self._database)
        while not self._done.is_set():
            raw = control.read().document
            if raw is not None:
                read = parse_document(raw, frozenset())
                self.seen.append((read.epoch, read.reason))


def test_of_racing_predictors_each_epoch_has_one_and_they_only_rise(shared_database: Database) -> None:
    """Fails when a document is written without the condition, or in another transaction than the state: an epoch would
    be published twice, or go back.
    """
    race = Race(shared_database)
    race.run()
    assert race.conflicts >= RACE_CONFLICTS, "they met"
    assert set(race.published.values()) == {1}
    assert sorted(race.published) == list(range(1, len(race.published) + 1))
    assert [epoch for epoch, _ in race.seen] == sorted(epoch for epoch, _ in race.seen)
    page = shared_database.query(Table.ROUTING, partition=("pk", decision_partition(T0)), limit=1000)
    by_epoch = {int(item["sk"]): unpacked(item["record"], MAX_STATE_BYTES).decode() for item in page.items}
    known = [(epoch, leader) for epoch, leader in race.seen if epoch in by_epoch]
    assert known
    assert all(by_epoch[epoch] == leader for epoch, leader in known), "a document is by who decided it"
    last, stored = ControlStore(shared_database).read(), PredictorStore(shared_database, "").read()
    assert stored is not None
    assert last.epoch == stored.epoch == max(race.published)


def test_what_one_publishes_is_what_the_next_one_reads(database: Database) -> None:
    store = PredictorStore(database, "run_1")
    assert store.read() is None
    held = store.publish(None, State(epoch=3, at_ms=T0).to_bytes(), document(3, "x"), None, T0 + 12_000)
    assert store.read() == held
    assert restore(held.state) == State(epoch=3, at_ms=T0)
    held = store.publish(held, State(epoch=5).to_bytes(), document(5, "y"), None, T0 + 24_000)
    store.resign(held)
    left = PredictorStore(database, "run_2").read()
    assert left is not None
    assert (left.epoch, left.leader, left.leader_until_ms) == (5, "run_1", 0)


def test_a_deposed_leader_writes_nothing(database: Database) -> None:
    """Fails when the condition is not on what was read: it would put an old document in force."""
    first, second = PredictorStore(database, "run_1"), PredictorStore(database, "run_2")
    held = first.publish(None, State(epoch=1).to_bytes(), document(1, "run_1"), None, T0)
    second.publish(second.read(), State(epoch=2).to_bytes(), document(2, "run_2"), None, T0)
    record = decision_write(b"x", epoch=9, at_ms=T0)
    with pytest.raises(WriteConflict):
        first.publish(held, State(epoch=9).to_bytes(), document(9, "run_1"), record, T0)
    with pytest.raises(WriteConflict):
        first.publish(None, State(epoch=9).to_bytes(), document(9, "run_1"), record, T0)
    first.resign(held)
    control, stored = ControlStore(database).read(), second.read()
    assert stored is not None
    assert (control.epoch, stored.epoch, stored.leader_until_ms) == (2, 2, T0)
    assert not database.query(Table.ROUTING, partition=("pk", decision_partition(T0)), limit=9).items


def test_a_record_is_never_written_over(database: Database) -> None:
    """Fails when an operator's question about a decision could be answered by another one."""
    store = PredictorStore(database, "run_1")
    old = decision_write(b"old", epoch=1, at_ms=T0)
    assert old is not None
    database.write([old])
    with pytest.raises(RecordTaken):
        store.publish(None, b"{}", document(1, "x"), decision_write(b"new", epoch=1, at_ms=T0), T0)
    assert database.get(Table.ROUTING, STATE_KEY) is None
    assert ControlStore(database).read().document is None


def test_the_whole_way_on_a_database(shared_database: Database) -> None:
    """Observed, read, decided, published. Fails when a query or a write means something else there than in memory."""
    world = RoutingWorld(shared_database)
    world.warm_up()
    world.start_predictor("run_1", seconds=14)
    world.slow["alder"] = 6
    world.start_traffic(14)
    world.run_until(16)
    assert world.share() < 0.25
    batches = list(signals_between(shared_database, 0, world.time.now_ms()))
    assert batches
    assert all(isinstance(batch, SignalBatch) for batch in batches)
