"""The predictor's loop in virtual time: who leads, what is published, and what happens when everything goes wrong."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable
from payonce.ports import Adjust, Insert, Table
from payonce.routing.control.control_store import CONTROL_KEY, ControlStore, override_write
from payonce.routing.control.override import Override, overridden
from payonce.routing.control.routing_settings import Mode
from payonce.routing.decision.changes import content
from payonce.routing.decision.leader import LEASE_MS, REPEAT_MS
from payonce.routing.decision.predictor_store import (
    MAX_STATE_BYTES,
    STATE_KEY,
    PredictorStore,
    decision_partition,
    decision_write,
)
from payonce.routing.decision.record import replay
from payonce.routing.decision.reflex import Limit
from payonce.routing.decision.state import VERSION, State, restore
from payonce.routing.detection.memory import RouteMemory
from payonce.routing.signals.observation import Cell
from payonce.routing.signals.packed import packed, unpacked
from tests.support.routing_world import ROUTING, Faulty, Killed, RoutingWorld, is_publication

if TYPE_CHECKING:
    from collections.abc import Callable


LIFE_SECONDS = ROUTING.life_seconds
STEP_SECONDS = 1.0


@pytest.fixture
def world() -> RoutingWorld:
    made = RoutingWorld()
    made.warm_up()
    return made


def trouble(world: RoutingWorld, *, seconds: float = 200, at: float = 10) -> None:
    """Let traffic run, and one gateway become slow after a while."""
    world.start_traffic(seconds)
    world.run_until(at)
    world.slow["alder"] = 6


def stored_epoch(world: RoutingWorld) -> int:
    item = world.database.get(Table.ROUTING, STATE_KEY)
    assert item is not None
    epoch: int = item["epoch"]
    return epoch


def decisions(world: RoutingWorld) -> list[dict[str, Any]]:
    partition = decision_partition(world.time.now_ms())
    page = world.database.query(Table.ROUTING, partition=("pk", partition), limit=1000)
    return page.items


def test_a_slow_gateway_loses_its_traffic_within_seconds_and_gets_it_back(world: RoutingWorld) -> None:
    """The whole way, from the stream's records to the document that payments read."""
    world.start_predictor("run_1", seconds=300)
    trouble(world, seconds=300)
    world.run_until(22)
    assert world.share() < 0.25
    world.slow.clear()
    world.run_until(299)
    assert world.share() == pytest.approx(0.5)
    assert [line["gateway"] for line in world.log.said("gateway demoted")] == ["alder"]
    assert [line["gateway"] for line in world.log.said("gateway restored")] == ["alder"]


def test_every_published_decision_is_on_record_and_can_be_made_again(world: RoutingWorld) -> None:
    """Fails when a document comes into force without its record, or the record is not what it was made from."""
    world.start_predictor("run_1", seconds=40)
    trouble(world, seconds=60)
    world.run_until(50)
    kept = decisions(world)
    assert len(kept) == world.reports[0].published > 10
    for item in kept:
        recorded = unpacked(item["record"], MAX_STATE_BYTES)
        assert replay(recorded) == recorded
        assert json.loads(recorded)["document"]["epoch"] == int(item["sk"])
        assert item["purge_at"] > world.time.now_ms() // 1000 + 13 * 86_400
    last = ControlStore(world.database).read()
    assert last.document is not None
    assert json.loads(unpacked(kept[-1]["record"], MAX_STATE_BYTES))["document"] == json.loads(last.document)


def test_a_gateway_that_was_limited_and_is_configured_no_longer_is_forgotten() -> None:
    """Fails when its limit stays: every document would name it, and payments refuse one that names an unknown one."""
    world = RoutingWorld()
    state, at_ms, gone = world.warm_up_state(), world.time.now_ms(), Cell("gone", "card")
    state.limits["gone"] = Limit(1.0, 2.0, at_ms, at_ms, is_sure=True)
    state.levels[gone], state.memories[gone] = 0.15, RouteMemory()
    item = {"epoch": 1, "leader": "", "leader_until_ms": 0, "state": packed(state.to_bytes())}
    world.database.write([Insert(Table.ROUTING, {**STATE_KEY, **item})])
    world.start_traffic(30)
    world.start_predictor("run_1", seconds=20)
    world.run_until(15)
    document = world.document()
    assert document is not None
    assert (document.limits, document.reason) == ({}, "nothing unusual")
    stored = PredictorStore(world.database, "looks").read()
    assert stored is not None
    assert b"gone" not in (stored.state or b"gone")


def test_a_state_whose_numbers_can_not_be_is_begun_anew() -> None:
    """Fails when it ends the run: the next one would read the same state, and end, until somebody deleted it."""
    world = RoutingWorld()
    state = world.warm_up_state()
    state.memories[Cell("alder", "card")].log_p95 = 1e308
    item = {"epoch": 40, "leader": "", "leader_until_ms": 0, "state": packed(state.to_bytes())}
    world.database.write([Insert(Table.ROUTING, {**STATE_KEY, **item})])
    world.start_traffic(30)
    world.start_predictor("run_1", seconds=20)
    world.run_until(25)
    assert len(world.log.said("routing state restarted")) == 1
    assert world.document() is not None
    assert stored_epoch(world) > 40


def test_an_error_that_is_not_the_states_is_seen(world: RoutingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a defect of the decision is taken for a damaged state again and again, and no run ever fails."""

    def defect(*_given: Any) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr("payonce.routing.decision.leader.decide", defect)
    failures: list[str] = []

    def run() -> None:
        try:
            world.run_predictor("run_1", seconds=10)
        except ValueError as error:
            failures.append(str(error))

    world.start_traffic(20)
    world.time.start(run, after_seconds=5)
    world.run_until(20)
    assert failures == ["a defect"]
    assert world.document() is None


def test_without_traffic_nothing_is_written(world: RoutingWorld) -> None:
    """Fails when a run writes for its lease alone: a day without payments would cost 86,400 writes."""

    def fault(_writes: list[Any]) -> None:
        raise AssertionError("written")

    world.start_predictor("run_1", seconds=60, database=Faulty(world.database, fault, lambda _: None))
    world.run_until(70)
    assert world.reports[0].decisions == 0
    assert world.reports[0].steps == 60
    assert world.document() is None


def test_after_the_last_payment_the_document_expires_and_nothing_more_is_written(world: RoutingWorld) -> None:
    """Fails when an observation without anything new is decided on again and again."""
    world.start_traffic(20)
    world.start_predictor("run_1", seconds=120)
    world.run_until(30)
    epoch = stored_epoch(world)
    assert world.document() is not None
    world.run_until(55)
    assert stored_epoch(world) == epoch
    assert world.document() is None
    assert world.log.said("routing signals are late") == []


def publications(world: RoutingWorld, until: int) -> list[tuple[float, tuple[Any, ...]]]:
    """Return when a new document was in force, by the second, and what payments act on in it."""
    seen: list[tuple[float, tuple[Any, ...]]] = []
    epoch = before.epoch if (before := world.document()) is not None else 0
    for tenth in range(int(world.time.seconds * 10) + 1, until * 10):
        world.run_until(tenth / 10)
        document = world.document()
        if document is not None and document.epoch != epoch:
            epoch = document.epoch
            seen.append((tenth / 10, content(document)))
    return seen


def test_an_unchanged_document_is_published_rarely_and_a_changed_one_at_once(world: RoutingWorld) -> None:
    """Fails when every decision is published, or a change waits for its turn."""
    world.start_predictor("run_1", seconds=40)
    world.start_traffic(50)
    calm = publications(world, 20)
    assert all(what == calm[0][1] for _, what in calm)
    gaps = [later - sooner for (sooner, _), (later, _) in pairwise(calm)]
    assert min(gaps) >= REPEAT_MS / 1000 - STEP_SECONDS
    assert max(gaps) <= REPEAT_MS / 1000 + 2 * STEP_SECONDS, "well before it expires"
    world.slow["alder"] = 6
    changed = publications(world, 38)
    assert sum(one != other for (_, one), (_, other) in pairwise(changed)) > 2
    for (sooner, one), (later, other) in pairwise(changed):
        assert one != other or later - sooner >= REPEAT_MS / 1000 - STEP_SECONDS
    world.run_until(42)
    assert world.reports[0].published < world.reports[0].decisions / 1.5


def test_the_next_run_stands_by_and_takes_over_within_a_step_of_the_end(world: RoutingWorld) -> None:
    """Fails when a run does not give up the lead at its end (the next waits for the lease), or two lead at once."""
    world.start_traffic(150)
    world.start_predictor("run_1", seconds=65)
    world.start_predictor("run_2", after=60, seconds=65)
    published: list[tuple[float, int]] = []
    for second in range(1, 124):
        world.run_until(second)
        epoch = ControlStore(world.database).read().epoch
        if not published or published[-1][1] != epoch:
            published.append((second, epoch))
    assert world.reports[0].conflicts == 0
    assert max(later[0] - earlier[0] for earlier, later in pairwise(published)) <= 7
    world.run_until(140)
    second_run = world.reports[1]
    assert second_run.conflicts == 0
    assert 4 <= second_run.standby_steps <= 6


@pytest.mark.parametrize("nth", [1, 2, 5])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_a_write_in_a_demotion_it_goes_on_where_it_was(world: RoutingWorld, nth: int, when: str) -> None:
    """Fails when state and document are not written together, or the next run begins with a fresh state.

    ``after``: the write was done, and nobody heard of it.
    """
    count = 0

    def strike(writes: list[Any]) -> None:
        nonlocal count
        if world.slow and is_publication(writes):
            count += 1
            if count == nth:
                raise Killed

    nothing: Callable[[list[Any]], None] = lambda _: None  # noqa: E731
    faulty = Faulty(world.database, strike, nothing) if when == "before" else Faulty(world.database, nothing, strike)
    world.start_predictor("run_1", seconds=65, database=faulty)
    trouble(world)
    world.run_until(30)
    assert count == nth, "it was killed"
    item = world.database.get(Table.ROUTING, STATE_KEY)
    control = ControlStore(world.database).read()
    assert item is not None
    assert control.document is not None
    assert item["epoch"] == control.epoch == json.loads(control.document)["epoch"]
    world.run_until(30 + LIFE_SECONDS)
    assert world.document() is None, "neutral once the document has expired"
    before = restore(unpacked(item["state"], MAX_STATE_BYTES))
    world.start_predictor("run_2", seconds=20)
    world.run_until(30 + LIFE_SECONDS + LEASE_MS / 1000 + 2)
    assert world.log.said("routing state restarted") == []
    first = next(item for item in decisions(world) if int(item["sk"]) > before.epoch)
    recorded = json.loads(unpacked(first["record"], MAX_STATE_BYTES))
    assert recorded["state_before"]["memories"] == before.to_json()["memories"]
    assert world.share() < 0.25


@pytest.mark.parametrize("skew_ms", [0, -30_000])
def test_a_killed_leader_is_replaced_after_its_lease_at_the_latest(world: RoutingWorld, skew_ms: int) -> None:
    """Fails when the lead is held for longer than the lease, or a lease is measured by the reader's clock alone."""

    def strike(writes: list[Any]) -> None:
        if world.time.seconds >= 20 and is_publication(writes):
            raise Killed

    world.start_traffic(100)
    world.start_predictor("run_1", database=Faulty(world.database, strike, lambda _: None))
    world.start_predictor("run_2", after=15, seconds=60, skew_ms=skew_ms)
    world.run_until(20)
    epoch = stored_epoch(world)
    world.run_until(20 + LEASE_MS / 1000 + 2)
    item = world.database.get(Table.ROUTING, STATE_KEY)
    assert item is not None
    assert (item["leader"], item["epoch"] > epoch) == ("run_2", True)


def corrupted(world: RoutingWorld, change: dict[str, Any], remove: tuple[str, ...] = ()) -> None:
    world.database.write([Adjust(table=Table.ROUTING, key=STATE_KEY, set=change, remove=remove)])


@pytest.mark.parametrize(
    "change",
    [
        {"state": b"garbage"},
        {"state": packed(b"{}")},
        {"state": packed(State(epoch=9).to_bytes().replace(f'"version":{VERSION}'.encode(), b'"version":999'))},
        {"state": "text"},
        {"epoch": "text", "state": b""},
        {"leader": 7, "leader_until_ms": "soon", "state": b""},
    ],
    ids=["garbage", "not_a_state", "another_version", "text", "epoch", "leader"],
)
def test_a_state_that_can_not_be_read_is_begun_anew_above_the_epoch_in_force(
    world: RoutingWorld, change: dict[str, Any]
) -> None:
    """Fails when the run ends by an exception, or publishes at or below an epoch that payments have seen."""
    world.start_predictor("run_1", seconds=15)
    world.start_traffic(120)
    world.run_until(16)
    epoch = ControlStore(world.database).read().epoch
    corrupted(world, change)
    world.start_predictor("run_2", seconds=30)
    world.run_until(30)
    control = ControlStore(world.database).read()
    assert control.epoch > epoch
    assert world.document() is not None
    assert len(world.log.said("routing state restarted")) == 1
    assert world.log.said("routing state restarted")[0]["epoch"] == epoch


def test_a_state_from_the_future_does_not_wait_for_its_time(world: RoutingWorld) -> None:
    """Fails when nothing is decided until the time of a state that lies an hour ahead."""
    state = world.warm_up_state()
    state.at_ms = world.time.now_ms() + 3_600_000
    corrupted(world, {"state": packed(state.to_bytes())})
    world.start_traffic(20)
    world.start_predictor("run_1", seconds=10)
    world.run_until(12)
    assert world.document() is not None


def test_what_lay_there_since_the_last_payment_is_not_called_late(world: RoutingWorld) -> None:
    """Fails when every run of a quiet night warns of signals that are late."""
    world.start_traffic(20)
    world.run_until(120)
    world.start_predictor("run_1", seconds=30)
    world.run_until(155)
    assert world.reports[0].published == 0
    assert world.log.said("routing signals are late") == []


def test_without_any_state_it_begins(world: RoutingWorld) -> None:
    world.database.write([Adjust(table=Table.ROUTING, key=CONTROL_KEY, set={"epoch": 41}, upsert=True)])
    world.database._tables[Table.ROUTING].pop(("PREDICTOR", "STATE"))  # type: ignore[attr-defined]
    world.start_traffic(20)
    world.start_predictor("run_1", seconds=10)
    world.run_until(12)
    assert stored_epoch(world) > 41
    assert world.log.said("routing state restarted") == []


@pytest.mark.parametrize(
    ("predictor_ms", "observer_ms"), [(0, 0), (-30_000, 0), (30_000, 0), (0, -30_000), (0, 30_000)]
)
def test_signals_that_are_late_by_a_minute_decide_nothing(
    world: RoutingWorld, predictor_ms: int, observer_ms: int
) -> None:
    """Fails when a stale observation is decided on: what was true a minute ago would be in force now.

    Also where one of the clocks is half a minute wrong.
    """
    world.stream_seconds = 60
    world.observer_skew_ms = observer_ms
    world.start_predictor("run_1", seconds=150, skew_ms=predictor_ms)
    trouble(world)
    for second in range(1, 150):
        world.run_until(second)
        assert world.document() is None
    world.run_until(151)
    assert world.reports[0].published == 0
    assert world.reports[0].stale_steps > 50
    assert len(world.log.said("routing signals are late")) == 1


def test_a_stream_that_falls_behind_leaves_payments_neutral_and_catches_up(world: RoutingWorld) -> None:
    world.start_predictor("run_1", seconds=190)
    trouble(world)
    world.run_until(30)
    assert world.share() < 0.25
    world.stream_seconds = 60
    world.run_until(30 + 15 + LIFE_SECONDS + 1)
    assert world.document() is None
    world.stream_seconds = 0.5
    world.run_until(100)
    assert world.share() < 0.25


@pytest.mark.parametrize("skew_ms", [-30_000, 30_000])
@pytest.mark.parametrize("whose", ["predictor", "function", "observer"])
def test_a_clock_that_is_half_a_minute_wrong_costs_milliseconds(world: RoutingWorld, whose: str, skew_ms: int) -> None:
    """Fails when a time is believed that is not the store's: the document would be in force too long, or never.

    Payments go by the right clock.
    """
    world.function_skew_ms = skew_ms if whose == "function" else 0
    world.observer_skew_ms = skew_ms if whose == "observer" else 0
    world.start_predictor("run_1", seconds=60, skew_ms=skew_ms if whose == "predictor" else 0)
    trouble(world, seconds=60)
    world.run_until(25)
    document = world.document()
    assert document is not None
    assert document.weights["card"]["alder"] < 0.25
    assert abs(document.issued_at_ms - world.time.now_ms()) < 5_000
    world.run_until(130)
    assert world.document() is None
    assert world.log.said("routing signals are late") == []


@pytest.mark.parametrize("skew_ms", [-30_000, 30_000])
def test_a_standby_with_a_wrong_clock_disturbs_no_document(world: RoutingWorld, skew_ms: int) -> None:
    """Fails when a deposed leader goes on publishing: epochs would go back, or two would take turns for ever."""
    world.start_traffic(100)
    world.start_predictor("run_1", seconds=65)
    world.start_predictor("run_2", after=30, seconds=50, skew_ms=skew_ms)
    epochs = []
    for second in range(5, 80):
        world.run_until(second)
        epochs.append(ControlStore(world.database).read().epoch)
        assert world.document() is not None
    assert epochs == sorted(epochs)
    world.run_until(90)
    assert sum(report.conflicts for report in world.reports) <= 1


@pytest.mark.parametrize("error", [StoreUnavailable("busy"), OutcomeUnknown("lost")])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_store_that_fails_for_a_while_is_tried_again(world: RoutingWorld, error: Exception, when: str) -> None:
    """Fails when a write that was done all the same is taken for another predictor's, or an error ends the run."""
    failed = 0

    def strike(writes: list[Any]) -> None:
        nonlocal failed
        if 10 <= world.time.seconds < 20 and is_publication(writes):
            failed += 1
            raise error

    if when == "after" and isinstance(error, StoreUnavailable):
        return  # certainly not written, so there is no such case
    nothing: Callable[[list[Any]], None] = lambda _: None  # noqa: E731
    faulty = Faulty(world.database, strike, nothing) if when == "before" else Faulty(world.database, nothing, strike)
    world.start_predictor("run_1", seconds=40, database=faulty)
    world.start_traffic(60)
    world.run_until(45)
    assert failed
    assert world.reports[0].conflicts == 0
    assert (world.reports[0].failures == 0) == (when == "after")
    assert world.document() is not None


def test_a_poisoned_batch_is_skipped_and_counted(world: RoutingWorld) -> None:
    """Fails when one item that can't be read ends the loop, or one from the future hides all others."""
    at_ms = world.time.now_ms()
    for sk, events in [
        (f"{at_ms}#shard-1#1", b"garbage"),
        (f"{at_ms}#shard-1#2", packed(b"[" * 100_000)),
        (f"{at_ms}#shard-1#3", packed(b'{"v":1,"at":1,"names":[],"events":[[0]]}')),
        ("9999999999999#shard-1#1", b"garbage"),
        ("garbage", b"garbage"),
    ]:
        item = {"pk": "SIGNALS", "sk": sk, "events": events, "observed_at_ms": at_ms, "purge_at": 0}
        world.database.write([Insert(Table.ROUTING, item)])
    world.start_predictor("run_1", seconds=30)
    trouble(world)
    world.run_until(28)
    assert world.share() < 0.25
    world.run_until(32)
    assert world.reports[0].unreadable >= 3
    assert world.reports[0].failures == 0


def test_events_of_a_gateway_that_is_not_configured_are_not_believed(world: RoutingWorld) -> None:
    """Fails when such a gateway gets into a document: payments would refuse the whole of it."""

    def more() -> None:
        for number in range(200):
            world.add_payment(f"pay_gone_{number}", "gone", 60_000)
            world.time.sleep(0.1)

    world.time.start(more)
    world.start_predictor("run_1", seconds=60)
    trouble(world)
    world.run_until(30)
    assert world.share() < 0.25


def test_a_decision_is_made_and_recorded_with_the_operators_override(world: RoutingWorld) -> None:
    """Fails when the override is left to payments alone: what is drained would have traffic moved to it."""
    override = Override(
        version=1,
        mode=Mode.SHADOW,
        shares={"alder": 0.0},
        operator="ann",
        reason="maintenance",
        issued_at_ms=world.time.now_ms(),
        expires_at_ms=world.time.now_ms() + 30_000,
    )
    world.database.write([override_write(override.to_bytes(), 1)])
    world.start_traffic(60)
    world.start_predictor("run_1", seconds=60)
    world.run_until(20)
    document = world.document()
    assert document is not None
    assert document.mode is Mode.SHADOW
    assert document.weights["card"]["alder"] == 0
    recorded = unpacked(decisions(world)[-1]["record"], MAX_STATE_BYTES)
    assert json.loads(recorded)["settings"]["neutral"]["alder"] == 0
    assert replay(recorded) == recorded
    world.run_until(58)
    document = world.document()
    assert document is not None
    assert (document.mode, document.weights["card"]["alder"]) == (Mode.ON, pytest.approx(0.5))


def test_a_share_is_taken_of_a_documents_weight_once(world: RoutingWorld) -> None:
    """What payments make of the document is the share that was ordered. Fails when decisions take it too: half of
    alder's weight would be left of a quarter.
    """
    now_ms = world.time.now_ms()
    override = Override(
        version=1,
        shares={"alder": 0.5},
        operator="ann",
        reason="maintenance",
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + 60_000,
    )
    world.database.write([override_write(override.to_bytes(), 1)])
    world.start_traffic(30)
    world.start_predictor("run_1", seconds=30)
    world.run_until(20)
    document = world.document()
    assert document is not None
    assert document.mode is Mode.ON
    for weights in (document.weights["card"], ROUTING.neutral):
        assert overridden(weights, override, world.time.now_ms())["alder"] == pytest.approx(1 / 3)


def test_an_override_that_can_not_be_read_is_none(world: RoutingWorld) -> None:
    world.database.write([override_write(b"garbage", 1)])
    world.start_traffic(20)
    world.start_predictor("run_1", seconds=10)
    world.run_until(12)
    document = world.document()
    assert document is not None
    assert document.mode is Mode.ON


def test_a_record_that_is_there_already_does_not_stop_the_predictor(world: RoutingWorld) -> None:
    """Fails when state and document were removed by hand and every decision meets an old record for an hour."""
    for epoch in range(2, 5):
        write = decision_write(b"old", epoch=epoch, at_ms=world.time.now_ms())
        assert write is not None
        world.database.write([write])
    world.start_traffic(60)
    world.start_predictor("run_1", seconds=40)
    world.run_until(45)
    assert world.document() is not None
    assert stored_epoch(world) > 4
    assert world.log.said("decision is on record already")


def test_a_record_that_fits_no_item_is_left_out_and_the_decision_holds() -> None:
    """Fails when a decision is held up by its own record."""
    assert decision_write(random.Random(1).randbytes(381_000), epoch=1, at_ms=0) is None
    assert decision_write(b"x", epoch=1, at_ms=0) is not None


def test_resigning_what_another_one_holds_changes_nothing(world: RoutingWorld) -> None:
    store = PredictorStore(world.database, "run_1")
    before = store.read()
    assert before is not None
    corrupted(world, {"leader": "run_2", "leader_until_ms": 99})
    store.resign(before)
    after = store.read()
    assert after is not None
    assert (after.leader, after.leader_until_ms) == ("run_2", 99)
