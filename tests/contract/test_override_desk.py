"""Overriding by hand, on every database: the override and its entry in the trail are written together, or neither."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import OverrideConflict, OverrideRefused
from payonce.ports import Delete, Table
from payonce.routing.control import override_desk
from payonce.routing.control.control_store import CONTROL_KEY, Control, ControlStore, document_write, override_write
from payonce.routing.control.document import EVERYTHING, ControlDocument
from payonce.routing.control.override import MAX_LIFE_MS, USUAL_LIFE_MS, Override, parse_override
from payonce.routing.control.override_desk import OverrideDesk
from payonce.routing.control.routing_settings import Mode
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from payonce.ports import Database

WEIGHTS = {"alder": 0.5, "birch": 0.5, "spare": 0.0}
OPERATORS = [f"operator-{number}" for number in range(5)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def desk(database: Database, clock: ManualClock) -> OverrideDesk:
    return OverrideDesk(database, clock, WEIGHTS)


def stored(database: Database) -> Override:
    raw = ControlStore(database).read().override
    assert raw is not None
    return parse_override(raw, frozenset(WEIGHTS))


def a_document(now_ms: int, mode: Mode = Mode.ON, **weights: float) -> ControlDocument:
    return ControlDocument(
        mode=mode,
        epoch=7,
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + 30_000,
        reason="birch is slow",
        weights={"card": weights},
        limits={},
        admission=EVERYTHING,
    )


def test_an_override_is_in_force_and_on_record(database: Database, clock: ManualClock, desk: OverrideDesk) -> None:
    """Fails when the trail lacks who, when, why, or what was there before."""
    first = desk.set(operator=" ann ", reason="maintenance", shares={"alder": 0})
    assert stored(database) == first
    assert (first.version, first.operator, first.shares) == (1, "ann", {"alder": 0})
    assert (first.issued_at_ms, first.expires_at_ms) == (clock.now_ms(), clock.now_ms() + USUAL_LIFE_MS)
    clock.sleep(5)
    released = desk.release(operator="bob", reason="over")
    assert stored(database) == released
    assert released.is_release()
    last, one = desk.history()
    assert (one.version, one.operator, one.reason, one.before) == (1, "ann", "maintenance", None)
    assert (last.version, last.operator, last.reason, last.at_ms) == (2, "bob", "over", clock.now_ms())
    assert json.loads(one.weights) == WEIGHTS
    assert (one.after, last.before, last.after) == (first.to_bytes(), first.to_bytes(), released.to_bytes())
    assert ControlStore(database).read().override_version == 2


def test_a_second_one_adds_to_what_is_in_force_and_to_nothing_else(
    database: Database, clock: ManualClock, desk: OverrideDesk
) -> None:
    """Fails when forcing a mode gives a drained gateway its traffic back, or when what has run out returns."""
    desk.set(operator="ann", reason="maintenance", shares={"alder": 0.0})
    both = desk.set(operator="ann", reason="see what it says", mode=Mode.SHADOW, life_ms=60_000)
    assert (both.mode, both.shares, both.mode_end_ms) == (Mode.SHADOW, {"alder": 0.0}, clock.now_ms() + 60_000)
    assert desk.set(operator="ann", reason="less", shares={"birch": 0.5}).shares == {"alder": 0.0, "birch": 0.5}
    clock.sleep(USUAL_LIFE_MS / 1000)
    alone = desk.set(operator="ann", reason="anew", mode=Mode.OFF)
    assert (alone.mode, alone.shares) == (Mode.OFF, {})
    assert stored(database) == alone


def test_each_part_keeps_its_own_end(database: Database, clock: ManualClock, desk: OverrideDesk) -> None:
    """Fails when a drain of five minutes shortens another gateway's of two hours, or lengthens a shorter one."""
    hour_ms, began_ms = 3_600_000, clock.now_ms()
    desk.set(operator="ann", reason="maintenance", shares={"alder": 0.0}, life_ms=2 * hour_ms)
    desk.set(operator="bob", reason="a blip", shares={"birch": 0.5}, life_ms=300_000)
    desk.set(operator="cyd", reason="see", mode=Mode.SHADOW, life_ms=hour_ms)
    now = stored(database)
    ends = (now.end_of("alder"), now.end_of("birch"), now.mode_end_ms, now.expires_at_ms)
    assert ends == tuple(began_ms + life_ms for life_ms in (2 * hour_ms, 300_000, hour_ms, 2 * hour_ms))
    clock.sleep(301)
    longer = desk.set(operator="bob", reason="less", shares={"spare": 0.5}, life_ms=3 * hour_ms)
    assert (longer.mode, longer.shares) == (Mode.SHADOW, {"alder": 0.0, "spare": 0.5}), "what has ended is gone"
    assert longer.end_of("alder") == began_ms + 2 * hour_ms
    clock.sleep(3_600)
    assert stored(database).left_at(clock.now_ms()).mode is None
    anew = desk.set(operator="ann", reason="done soon", shares={"alder": 0.0}, life_ms=60_000)
    assert anew.end_of("alder") == clock.now_ms() + 60_000, "of the same gateway the last word counts"
    clock.sleep(3_600)
    assert stored(database).left_at(clock.now_ms()).shares == {"spare": 0.5}
    assert desk.release(operator="ann", reason="over").is_release()


@pytest.mark.parametrize(
    "wrong",
    [
        {"operator": " "},
        {"reason": ""},
        {"reason": "two\nlines"},
        {"life_ms": 0},
        {"life_ms": MAX_LIFE_MS + 1},
        {"shares": {"alder": 1.5}},
        {"shares": {"dogwood": 0.5}},
        {"shares": {}},
        {"shares": {"alder": 0.0, "birch": 0.0}},
    ],
    ids=str,
)
def test_what_is_refused_changes_nothing(database: Database, desk: OverrideDesk, wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"operator": "ann", "reason": "why", "shares": {"alder": 0.5}}
    with pytest.raises(OverrideRefused):
        desk.set(**{**right, **wrong})
    assert ControlStore(database).read().override is None
    assert list(desk.history()) == []


def test_the_last_gateway_is_not_drained_in_two_steps(database: Database, desk: OverrideDesk) -> None:
    """Fails when only the shares named now are looked at. ``spare`` has no weight, so it takes nobody's place."""
    desk.set(operator="ann", reason="maintenance", shares={"alder": 0.0})
    with pytest.raises(OverrideRefused, match="Leave one of them a share"):
        desk.set(operator="bob", reason="maintenance", shares={"birch": 0.0})
    assert stored(database).shares == {"alder": 0.0}


def test_nor_is_the_one_that_the_document_has_left(database: Database, clock: ManualClock, desk: OverrideDesk) -> None:
    """Fails when the static weights alone are asked: the drain would be stored, and payments would ignore it."""
    database.write([document_write(a_document(clock.now_ms(), alder=1.0, birch=0.0, spare=0.0))])
    drain: dict[str, Any] = {"operator": "ann", "reason": "maintenance", "shares": {"alder": 0.0}}
    with pytest.raises(OverrideRefused, match="left for card"):
        desk.set(**drain)
    assert desk.set(**drain, mode=Mode.OFF).mode is Mode.OFF, "then the static weights count"
    desk.release(operator="ann", reason="over")
    database.write([document_write(a_document(clock.now_ms(), Mode.SHADOW, alder=1.0, birch=0.0, spare=0.0))])
    assert desk.set(**drain).mode is None, "a shadow's weights are nobody's"
    desk.release(operator="ann", reason="over")
    database.write([document_write(a_document(clock.now_ms(), alder=1.0, birch=0.0, spare=0.0))])
    clock.sleep(31)
    assert desk.set(**drain).shares == {"alder": 0.0}, "the document has expired"


def test_there_is_nothing_to_release_twice(clock: ManualClock, desk: OverrideDesk) -> None:
    with pytest.raises(OverrideRefused, match="no override"):
        desk.release(operator="ann", reason="over")
    desk.set(operator="ann", reason="maintenance", mode=Mode.OFF)
    desk.release(operator="ann", reason="over")
    with pytest.raises(OverrideRefused, match="no override"):
        desk.release(operator="ann", reason="over")
    desk.set(operator="ann", reason="maintenance", mode=Mode.OFF, life_ms=1_000)
    clock.sleep(1)
    with pytest.raises(OverrideRefused, match="no override"):
        desk.release(operator="ann", reason="over")


def test_garbage_counts_for_nothing_is_kept_on_record_and_can_be_released(
    database: Database, desk: OverrideDesk
) -> None:
    database.write([override_write(b"garbage", 3)])
    assert desk.release(operator="ann", reason="garbage").version == 4
    database.write([override_write(b"garbage", 4)])
    assert desk.set(operator="ann", reason="maintenance", shares={"alder": 0.5}).version == 5
    assert [entry.before for entry in desk.history()] == [b"garbage", b"garbage"]


def test_numbers_go_on_though_the_control_item_is_lost(database: Database, desk: OverrideDesk) -> None:
    """Fails when they are counted there alone: every later override would meet an old entry and be refused."""
    for reason in ("one", "two"):
        desk.set(operator="ann", reason=reason, shares={"alder": 0.5})
    database.write([Delete(table=Table.ROUTING, key=CONTROL_KEY, require={"override_version": 2})])
    assert desk.set(operator="ann", reason="three", shares={"alder": 0.5}).version == 3


def test_the_document_stays_as_it_is(database: Database, clock: ManualClock, desk: OverrideDesk) -> None:
    document = a_document(clock.now_ms(), alder=0.5, birch=0.5)
    database.write([document_write(document)])
    desk.set(operator="ann", reason="maintenance", shares={"alder": 0.5})
    read = ControlStore(database).read()
    assert (read.document, read.epoch) == (document.to_bytes(), 7)


def test_the_history_is_whole_and_the_newest_first(desk: OverrideDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages. Fails when a page is left out, or version 10 is sorted before version 2."""
    monkeypatch.setattr(override_desk, "PAGE_SIZE", 3)
    for number in range(11):
        desk.set(operator="ann", reason=f"number {number}", shares={"alder": 0.5})
    assert [entry.version for entry in desk.history()] == list(range(11, 0, -1))


def test_of_two_operators_one_is_told_to_look_again(
    database: Database, desk: OverrideDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob reads, ann writes, bob writes. Fails when the entry is put without a condition: ann's drain would be lost."""
    real = OverrideDesk._write
    done: list[bool] = []

    def ann_first(self: OverrideDesk, *arguments: Any) -> None:
        if not done:
            done.append(True)
            desk.set(operator="ann", reason="alder burns", shares={"alder": 0.0})
        real(self, *arguments)

    monkeypatch.setattr(OverrideDesk, "_write", ann_first)
    with pytest.raises(OverrideConflict, match=r"ann was faster.*payonce routing show"):
        desk.set(operator="bob", reason="birch burns", shares={"birch": 0.0})
    assert stored(database).shares == {"alder": 0.0}
    assert [entry.operator for entry in desk.history()] == ["ann"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whoever_writes_between_two_reads_is_seen_or_met(
    database: Database, desk: OverrideDesk, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Ann writes just before or just after bob reads the control item. Fails when bob then counts on from her entry.

    ::

        bob   reads control: version 0 ─────────────── reads trail: entry 1, so his is 2 ─ writes over what he never saw
        ann                            writes entry 1
    """
    real = ControlStore.read
    done: list[bool] = []

    def read(self: ControlStore) -> Control:
        first = not done
        done.append(True)
        if first and moment == "before":
            desk.set(operator="ann", reason="alder burns", shares={"alder": 0.0})
        found = real(self)
        if first and moment == "after":
            desk.set(operator="ann", reason="alder burns", shares={"alder": 0.0})
        return found

    monkeypatch.setattr(ControlStore, "read", read)
    if moment == "after":
        with pytest.raises(OverrideConflict, match="ann was faster"):
            desk.set(operator="bob", reason="less", shares={"birch": 0.5})
        assert stored(database).shares == {"alder": 0.0}
    else:
        desk.set(operator="bob", reason="less", shares={"birch": 0.5})
        assert stored(database).shares == {"alder": 0.0, "birch": 0.5}


def test_operators_at_the_same_time_each_win_or_are_told(
    request: pytest.FixtureRequest, database: Database, clock: ManualClock
) -> None:
    """Fails when an override comes into force without its entry, or an entry without having been in force."""
    moto = request.node.callspec.params["database"] == "moto"  # its transactions are not isolated from each other
    barrier = threading.Barrier(1 if moto else len(OPERATORS))

    def act(operator: str) -> str | None:
        desk = OverrideDesk(database, clock, WEIGHTS)
        barrier.wait()
        try:
            desk.set(operator=operator, reason="race", shares={"alder": 0.5})
        except OverrideConflict:
            return None
        return operator

    with ThreadPoolExecutor(1 if moto else len(OPERATORS)) as pool:
        winners = [operator for operator in pool.map(act, OPERATORS) if operator is not None]
    entries = list(OverrideDesk(database, clock, WEIGHTS).history())
    assert sorted(entry.operator for entry in entries) == sorted(winners)
    assert [entry.version for entry in entries] == list(range(len(winners), 0, -1))
    assert winners
    for newer, older in pairwise(entries):
        assert newer.before == older.after
    assert stored(database).to_bytes() == entries[0].after
