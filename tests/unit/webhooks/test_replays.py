"""Replays: what they send again, step by step, killed anywhere and run twice."""

from __future__ import annotations

import itertools
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.delivery import Answer
from payonce.domain.endpoint import EndpointChange
from payonce.domain.webhooks import DeliveryStatus
from payonce.outbox import SETTLING_MS
from payonce.ports import Table
from payonce.webhooks import replays
from payonce.webhooks.deliveries import DELIVERY_PREFIX, DUE_INDEX, RETENTION_SECONDS, delivery_from, list_of
from payonce.webhooks.delivery_writes import status_write
from payonce.webhooks.replay_items import HELD_FIRST_PASS_MS, REPLAY_LISTS, replay_key, replay_list
from payonce.webhooks.replays import NEXT_PASS_MS, advance_replay
from tests.support.events import call
from tests.support.webhook_api import (
    MERCHANT,
    an_id,
    attempt,
    document,
    items_of,
    load_delivery,
    new_endpoint,
    store_delivery,
    store_event,
)

if TYPE_CHECKING:
    from payonce.ports import Item, Key
    from payonce.stores.memory import MemoryDatabase
    from payonce.stores.memory_queue import MemoryQueue
    from payonce.webhooks.deliveries import Delivery
    from payonce.wiring.application import Application
    from tests.support.world import ManualClock

KEY = "replay----------"


@pytest.fixture
def endpoint_id(application: Application) -> str:
    identity: str = new_endpoint(application, event_types=["payment.*"])["id"]
    return identity


class Killed(BaseException):
    """The process is gone."""


def ask(application: Application, endpoint_id: str, key: str = KEY, **body: Any) -> dict[str, Any]:
    return call(application, "replay_webhooks", body, key=key, path={"endpoint_id": endpoint_id})


def shown(application: Application, endpoint_id: str, replay_id: str) -> Any:
    path = {"endpoint_id": endpoint_id, "replay_id": replay_id}
    return document(call(application, "get_webhook_replay", None, path=path))


def due_replays(database: MemoryDatabase, now_ms: int) -> list[Key]:
    """Return what the scheduler finds due that is a replay."""
    found: list[Key] = []
    for number in range(REPLAY_LISTS):
        page = database.query(
            Table.DELIVERIES,
            index=DUE_INDEX,
            partition=("due_list", replay_list(number)),
            sort_at_most=("due_at_ms", now_ms),
            limit=100,
        )
        found += [{"pk": item["pk"], "sk": item["sk"]} for item in page.items]
    return found


def run(application: Application, *, steps: int = 100) -> None:
    """Do as the scheduler does."""
    for key in due_replays(application.database, application.clock.now_ms()):  # type: ignore[arg-type]
        for _ in range(steps):
            if advance_replay(application.database, application.delivery_queue, application.clock, key):
                break


def deliveries(database: MemoryDatabase) -> dict[str, Delivery]:
    """Return all deliveries by event id."""
    items = [item for item in items_of(database, Table.DELIVERIES) if item["sk"].startswith(DELIVERY_PREFIX)]
    return {item["event_id"]: delivery_from(item) for item in items}


def queued(database: MemoryDatabase, queue: MemoryQueue) -> list[str]:
    """Return the deliveries that whoever was woken finds in the list, and nothing if nobody was."""
    lanes = {(value["endpoint_id"], value["lane"]) for value in (json.loads(one.body) for one in queue.messages)}
    return [
        item["delivery_id"]
        for endpoint_id, lane in sorted(lanes)
        for item in items_of(database, Table.DELIVERIES)
        if item.get("due_list") == list_of(MERCHANT, endpoint_id, lane)
    ]


def fill(database: MemoryDatabase, endpoint_id: str, start: int) -> dict[str, Item]:
    """Store an event for each state that its delivery can be in, one of them without any; by name."""
    events = {}
    for number, status in enumerate([*DeliveryStatus, None]):
        event = store_event(database, number, created_at_ms=start + number)
        events[status.value if status else "missing"] = event
        if status is not None:
            store_delivery(database, event, endpoint_id, status, now_ms=start, attempt_count=3)
    return events


@pytest.mark.parametrize(
    ("only", "opened"),
    [("undelivered", {"failed", "held", "missing"}), ("all", {"failed", "held", "missing", "delivered"})],
)
def test_a_replay_sends_what_fits_and_nothing_else(
    application: Application,
    database: MemoryDatabase,
    queue: MemoryQueue,
    endpoint_id: str,
    clock: ManualClock,
    only: str,
    opened: set[str],
) -> None:
    """Fails when one under way is begun anew, a canceled one revived, or an event sent that is not subscribed to."""
    start = clock.ms
    events = fill(database, endpoint_id, start)
    fits = {events[name]["event_id"] for name in opened}
    before = deliveries(database)
    late = store_event(database, 90, created_at_ms=start + 1001)
    early = store_event(database, 91, created_at_ms=start - 1)
    store_event(database, 92, created_at_ms=start + 5, merchant_id="mer_2")
    store_event(database, 93, created_at_ms=start + 5, change=EndpointChange.UPDATED)
    elsewhere = store_event(database, 94, created_at_ms=start + 5, only_endpoint_id=an_id("we", 1))
    mine = store_event(
        database, 95, created_at_ms=start + 5, change=EndpointChange.UPDATED, only_endpoint_id=endpoint_id
    )
    clock.ms += 1000 + SETTLING_MS
    answer = ask(application, endpoint_id, from_ms=start, until_ms=start + 1000, only=only)
    assert (answer["statusCode"], document(answer)["status"]) == (202, "running")
    run(application)
    after = deliveries(database)
    changed = {identity for identity, delivery in after.items() if delivery != before.get(identity)}
    assert changed == fits | {mine["event_id"]}
    assert {after[identity].status for identity in changed} == {DeliveryStatus.PENDING}
    assert {after[identity].round_attempts for identity in changed} == {0}
    under_way = {events["pending"]["event_id"]}
    assert sorted(queued(database, queue)) == sorted(after[identity].delivery_id for identity in changed | under_way)
    assert not {late["event_id"], early["event_id"], elsewhere["event_id"]} & after.keys()
    view = shown(application, endpoint_id, document(answer)["id"])
    # The range also holds the creation of the endpoint itself, which it does not subscribe to.
    assert (view["status"], view["queued_count"]) == ("completed", len(changed))
    assert due_replays(database, clock.ms + 10**9) == []


def test_both_ends_of_the_range_are_in_it(
    application: Application, database: MemoryDatabase, endpoint_id: str, clock: ManualClock
) -> None:
    """Also with several events at one moment. Fails when an end is left out."""
    events = [store_event(database, n, created_at_ms=clock.ms + n // 2) for n in range(8)]
    start = clock.ms
    clock.ms += SETTLING_MS + 10
    ask(application, endpoint_id, from_ms=start + 1, until_ms=start + 2)
    run(application)
    assert deliveries(database).keys() == {event["event_id"] for event in events[2:6]}


@pytest.mark.parametrize(("only", "sent"), [("undelivered", {2}), ("all", {1, 2})])
def test_what_is_older_than_deliveries_are_kept_is_not_taken_for_undelivered(
    application: Application, database: MemoryDatabase, endpoint_id: str, clock: ManualClock, only: str, sent: set[int]
) -> None:
    """Fails when a missing delivery is always one that was never made: a replay would send years again."""
    start = clock.ms
    old = store_event(database, 1, created_at_ms=start)
    young = store_event(database, 2, created_at_ms=start + 1)
    clock.ms += RETENTION_SECONDS * 1000
    ask(application, endpoint_id, from_ms=start, until_ms=start + 1, only=only)
    run(application)
    events = {1: old["event_id"], 2: young["event_id"]}
    assert deliveries(database).keys() == {events[number] for number in sent}


def test_a_range_that_is_not_settled_yet_waits(
    application: Application, database: MemoryDatabase, endpoint_id: str, clock: ManualClock
) -> None:
    """Fails when a replay up to now passes an event that is committed late."""
    start = clock.ms
    answer = ask(application, endpoint_id, from_ms=0, until_ms=start)
    run(application)
    assert shown(application, endpoint_id, document(answer)["id"])["status"] == "running"
    late = store_event(database, 1, created_at_ms=start)
    clock.ms += SETTLING_MS
    run(application)
    assert deliveries(database).keys() == {late["event_id"]}


# Five deliveries are opened, in three steps that each queue messages and move the cursor.
CALLS = 5 + 3 + 3


@pytest.mark.parametrize("only", ["undelivered", "all"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("killed_at", range(CALLS))
def test_a_replay_that_is_killed_anywhere_begins_each_round_once(
    application: Application,
    database: MemoryDatabase,
    queue: MemoryQueue,
    endpoint_id: str,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    only: str,
    when: str,
    killed_at: int,
) -> None:
    """Killed before or after each write and each sending; a sender delivers what is queued before it goes on.

    Fails when a step that is made again begins a second round (the receiver would be sent the event once more), or when
    it forgets the message of a round that it finds begun.
    """
    monkeypatch.setattr(replays, "STEP_ITEMS", 2)
    start = clock.ms
    for number in range(5):
        event = store_event(database, number, created_at_ms=start + number)
        if number % 2:
            delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.PENDING, now_ms=start)
            attempt(database, delivery, Answer(status=500, latency_ms=1), DeliveryStatus.FAILED)
    clock.ms += SETTLING_MS + 10
    replay_id = document(ask(application, endpoint_id, from_ms=start, until_ms=start + 9, only=only))["id"]
    key = replay_key(MERCHANT, endpoint_id, replay_id)
    calls = itertools.count()

    def strike(port: Any, argument: Any) -> None:
        struck = next(calls) == killed_at
        if struck and when == "before":
            raise Killed
        port(argument)
        if struck:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", partial(strike, database.write))
        patch.setattr(queue, "send", partial(strike, queue.send))
        with pytest.raises(Killed):
            while not advance_replay(database, queue, clock, key):
                pass
    deliver_queued(database, queue)
    while not advance_replay(database, queue, clock, key):
        pass
    deliver_queued(database, queue)
    found = sorted(deliveries(database).values(), key=lambda delivery: delivery.event_created_at_ms)
    assert [delivery.attempt_count for delivery in found] == [1, 2, 1, 2, 1]
    assert {delivery.status for delivery in found} == {DeliveryStatus.DELIVERED}
    assert shown(application, endpoint_id, replay_id)["queued_count"] == 5


def deliver_queued(database: MemoryDatabase, queue: MemoryQueue) -> None:
    """Do as the senders do."""
    asked = set(queued(database, queue))
    for delivery in deliveries(database).values():
        if delivery.status is DeliveryStatus.PENDING and delivery.delivery_id in asked:
            attempt(database, delivery, Answer(status=200, latency_ms=1), DeliveryStatus.DELIVERED)
    queue.messages.clear()


def test_two_steps_at_once_begin_each_round_once(
    application: Application, database: MemoryDatabase, queue: MemoryQueue, endpoint_id: str, clock: ManualClock
) -> None:
    """A whole second step runs between the first one's messages and its cursor."""
    start = clock.ms
    event = store_event(database, 1, created_at_ms=start)
    delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.DELIVERED, now_ms=start)
    clock.ms += SETTLING_MS
    replay_id = document(ask(application, endpoint_id, from_ms=start, until_ms=start, only="all"))["id"]
    key = replay_key(MERCHANT, endpoint_id, replay_id)
    send, pending = queue.send, [True]

    def interleave(messages: Any) -> None:
        send(messages)
        if pending:
            pending.clear()
            attempt(
                database, load_delivery(database, delivery), Answer(status=200, latency_ms=1), DeliveryStatus.DELIVERED
            )
            assert advance_replay(database, queue, clock, key)

    queue.send = interleave  # type: ignore[method-assign]
    assert advance_replay(database, queue, clock, key)
    assert load_delivery(database, delivery).attempt_count == 1
    assert (shown(application, endpoint_id, replay_id)["queued_count"], len(queue.messages)) == (1, 1)


def test_a_step_that_was_frozen_does_not_move_the_replay_back(
    application: Application,
    database: MemoryDatabase,
    queue: MemoryQueue,
    endpoint_id: str,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It wakes up when others have gone on by two pages. Fails when the cursor is moved without its condition."""
    monkeypatch.setattr(replays, "STEP_ITEMS", 1)
    start = clock.ms
    for number in range(4):
        store_event(database, number, created_at_ms=start + 1 + number)
    clock.ms += SETTLING_MS + 10
    replay_id = document(ask(application, endpoint_id, from_ms=start + 1, until_ms=start + 9))["id"]
    key = replay_key(MERCHANT, endpoint_id, replay_id)
    send, pending = queue.send, [True]

    def freeze(messages: Any) -> None:
        send(messages)
        if pending:
            pending.clear()
            assert [advance_replay(database, queue, clock, key) for _ in range(2)] == [False, False]

    queue.send = freeze  # type: ignore[method-assign]
    assert advance_replay(database, queue, clock, key)
    assert shown(application, endpoint_id, replay_id)["queued_count"] == 2
    run(application)
    view = shown(application, endpoint_id, replay_id)
    assert (view["status"], view["seen_count"], view["queued_count"]) == ("completed", 4, 4)


def test_a_step_is_bounded(
    application: Application,
    database: MemoryDatabase,
    queue: MemoryQueue,
    endpoint_id: str,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replays, "STEP_ITEMS", 3)
    start = clock.ms
    for number in range(7):
        store_event(database, number, created_at_ms=start + 1 + number)
    clock.ms += SETTLING_MS + 10
    replay_id = document(ask(application, endpoint_id, from_ms=start + 1, until_ms=start + 9))["id"]
    key = replay_key(MERCHANT, endpoint_id, replay_id)
    progress = []
    for expected in (False, False, True, True):
        assert advance_replay(database, queue, clock, key) is expected
        progress.append(shown(application, endpoint_id, replay_id)["queued_count"])
    assert progress == [3, 6, 7, 7]


def test_a_sender_that_changes_a_delivery_at_the_same_time_is_seen(
    application: Application, database: MemoryDatabase, queue: MemoryQueue, endpoint_id: str, clock: ManualClock
) -> None:
    """The relay makes the delivery between our look and our insert. Fails when the step gives up or inserts twice."""
    start = clock.ms
    event = store_event(database, 1, created_at_ms=start)
    clock.ms += SETTLING_MS
    ask(application, endpoint_id, from_ms=start, until_ms=start)
    write, pending = database.write, [True]

    def interleave(writes: Any) -> None:
        if pending:
            pending.clear()
            store_delivery(database, event, endpoint_id, DeliveryStatus.PENDING, now_ms=clock.ms)
        write(writes)

    database.write = interleave  # type: ignore[method-assign]
    run(application)
    assert deliveries(database)[event["event_id"]].opened_by is None
    assert queue.messages == []


@pytest.mark.parametrize("how", ["disable", "delete"])
def test_an_endpoint_that_goes_away_ends_its_replay(
    application: Application,
    database: MemoryDatabase,
    queue: MemoryQueue,
    endpoint_id: str,
    clock: ManualClock,
    how: str,
) -> None:
    start = clock.ms
    store_event(database, 1, created_at_ms=start)
    clock.ms += SETTLING_MS
    replay_id = document(ask(application, endpoint_id, from_ms=start, until_ms=start))["id"]
    path = {"endpoint_id": endpoint_id}
    if how == "disable":
        call(application, "update_webhook_endpoint", {"status": "disabled"}, key="disable---------", path=path)
    else:
        call(application, "delete_webhook_endpoint", None, key="delete----------", path=path)
    queue.messages.clear()
    run(application)
    item = database.get(Table.DELIVERIES, replay_key(MERCHANT, endpoint_id, replay_id))
    assert item is not None
    assert (item["status"], "due_at_ms" in item, item["purge_at"] > clock.ms // 1000) == ("canceled", False, True)
    assert (deliveries(database), queue.messages) == ({}, [])


def test_enabling_sends_what_was_held_also_of_events_from_before(
    application: Application, database: MemoryDatabase, queue: MemoryQueue, endpoint_id: str, clock: ManualClock
) -> None:
    """::

        event e1 ─ attempts fail ─ DISABLED ─ e1 held ─ e2 held ─ ENABLED ─ first pass ─ e3 held late ─ second pass

    Fails when only events since the disabling are looked at (e1 is lost), or with one pass (e3 is lost).
    """
    path = {"endpoint_id": endpoint_id}
    first = store_event(database, 1, created_at_ms=clock.ms - 1000)
    waiting = store_delivery(database, first, endpoint_id, DeliveryStatus.PENDING, now_ms=clock.ms, attempt_count=4)
    failed = store_delivery(
        database,
        store_event(database, 9, created_at_ms=clock.ms - 2000),
        endpoint_id,
        DeliveryStatus.FAILED,
        now_ms=clock.ms,
    )
    call(application, "update_webhook_endpoint", {"status": "disabled"}, key="disable---------", path=path)
    database.write([status_write(waiting, DeliveryStatus.HELD, at_ms=clock.ms)])
    second = store_event(database, 2, created_at_ms=clock.ms + 1)
    store_delivery(database, second, endpoint_id, DeliveryStatus.HELD, now_ms=clock.ms)
    clock.ms += 60_000
    third = store_event(database, 3, created_at_ms=clock.ms)
    assert due_replays(database, clock.ms + 10**9) == []
    call(application, "update_webhook_endpoint", {"status": "enabled"}, key="enable----------", path=path)
    (key,) = due_replays(database, clock.ms + 10**9)
    run(application)
    assert queue.messages == []  # not before the first pass is due
    clock.ms += HELD_FIRST_PASS_MS
    run(application)
    found = deliveries(database)
    sent = {found[event["event_id"]].delivery_id for event in (first, second)}
    assert set(queued(database, queue)) == sent
    assert found[first["event_id"]].round_attempts == 0
    late = store_delivery(database, third, endpoint_id, DeliveryStatus.HELD, now_ms=clock.ms)
    # One that the first pass had opened was held again, by a sender that had read the endpoint before.
    again = found[second["event_id"]]
    database.write([status_write(again, DeliveryStatus.HELD, at_ms=clock.ms)])
    run(application)
    assert len(queue.messages) == 1
    clock.ms += NEXT_PASS_MS
    run(application)
    assert len(queue.messages) == 2
    assert set(queued(database, queue)) == {*sent, late.delivery_id, again.delivery_id}
    assert load_delivery(database, failed) == failed
    item = database.get(Table.DELIVERIES, key)
    assert item is not None
    assert (item["status"], item["only"], item["queued_count"]) == ("completed", "held", 4)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"from_ms": 2, "until_ms": 1}, "from_ms is after until_ms"),
        ({"from_ms": 0, "until_ms": 4_102_444_800_000}, "until_ms is in the future"),
        ({"from_ms": 0, "until_ms": 1, "only": "held"}, "/only"),
        ({"from_ms": -1, "until_ms": 1}, "/from_ms"),
        ({"from_ms": 0, "until_ms": 10**13}, "/until_ms"),
        ({"from_ms": 0}, "/until_ms"),
        ({"from_ms": True, "until_ms": 1}, "/from_ms"),
    ],
)
def test_an_odd_range_is_refused(
    application: Application, database: MemoryDatabase, endpoint_id: str, body: dict[str, Any], says: str
) -> None:
    answer = ask(application, endpoint_id, **body)
    assert answer["statusCode"] == 400
    assert says in document(answer)["detail"]
    assert items_of(database, Table.DELIVERIES) == []


def test_a_replay_is_asked_for_once_and_seen_by_its_merchant_alone(
    application: Application, database: MemoryDatabase, endpoint_id: str
) -> None:
    answer = ask(application, endpoint_id, from_ms=0, until_ms=1)
    assert ask(application, endpoint_id, from_ms=0, until_ms=1)["body"] == answer["body"]
    assert len(items_of(database, Table.DELIVERIES)) == 1
    replay_id = document(answer)["id"]
    own = new_endpoint(application, merchant_id="mer_2")["id"]
    for endpoint in (endpoint_id, own):
        path = {"endpoint_id": endpoint, "replay_id": replay_id}
        assert call(application, "get_webhook_replay", None, path=path, merchant_id="mer_2")["statusCode"] == 404


def test_to_a_disabled_endpoint_nothing_is_replayed(application: Application, endpoint_id: str) -> None:
    path = {"endpoint_id": endpoint_id}
    call(application, "update_webhook_endpoint", {"status": "disabled"}, key="disable---------", path=path)
    answer = ask(application, endpoint_id, from_ms=0, until_ms=1)
    assert (answer["statusCode"], document(answer)["type"]) == (409, "urn:payonce:problem:endpoint-state")


def test_a_replay_that_is_gone_is_over(application: Application, queue: MemoryQueue, clock: ManualClock) -> None:
    key = replay_key(MERCHANT, an_id("we", 1), an_id("rpl", 1))
    assert advance_replay(application.database, queue, clock, key)
