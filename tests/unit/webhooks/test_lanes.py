"""Lanes: one sender at a time works through what waits for an endpoint, many deliveries at once, and loses none."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.delivery import Answer, NoAnswer, NoAnswerReason
from payonce.domain.endpoint import EndpointChange, EndpointStatus
from payonce.domain.errors import BodyMalformed, OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.domain.ids import event_place
from payonce.domain.webhooks import MOST_DIRECT, MOST_LANES, DeliveryStatus
from payonce.outbox import event_key
from payonce.ports import Adjust, Page, Table
from payonce.webhooks.attempts import LEASE_MARGIN_MS, Dispatched
from payonce.webhooks.crew import ThreadCrew
from payonce.webhooks.deliveries import DUE_INDEX, key_of, new_delivery
from payonce.webhooks.delivery_writes import attempt_write, insert_write
from payonce.webhooks.endpoints import delete_writes
from payonce.webhooks.gate import gate_key
from payonce.webhooks.messages import parse_message, wake
from payonce.webhooks.pace import FIRST_WIDTH
from tests.support.webhooks import MERCHANT, REQUEST_MS, WebhookWorld, ids_and_bytes, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.endpoint import Endpoint
    from payonce.ports import Write
    from payonce.webhooks.deliveries import Delivery


REFUSED = Answer(status=500, latency_ms=5)
TIMED_OUT = NoAnswer(reason=NoAnswerReason.TIMED_OUT, latency_ms=15_000, detail="timed out")


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def world() -> WebhookWorld:
    return WebhookWorld()


@pytest.fixture
def endpoint(world: WebhookWorld) -> Endpoint:
    return world.endpoint("one")


def store(world: WebhookWorld, endpoint: Endpoint, count: int, *, start: int = 0) -> list[Delivery]:
    """Store deliveries that wait, without a message."""
    made = [
        new_delivery(
            world.event(f"{endpoint.endpoint_id}_{start + number:04d}"),
            endpoint.endpoint_id,
            DeliveryStatus.PENDING,
            now_ms=world.clock.ms,
        )
        for number in range(count)
    ]
    for delivery in made:
        world.database.write([insert_write(delivery)])
    return made


def drain(world: WebhookWorld, endpoint: Endpoint, lane: int = 0) -> Dispatched:
    return world.handle(wake(endpoint.merchant_id, endpoint.endpoint_id, lane).body)


def watched(world: WebhookWorld, monkeypatch: pytest.MonkeyPatch) -> list[Write]:
    """Return the list of all writes from now on."""
    writes: list[Write] = []
    original = world.database.write

    def write(made: Sequence[Write]) -> None:
        writes.extend(made)
        original(made)

    monkeypatch.setattr(world.database, "write", write)
    return writes


def on_answer(world: WebhookWorld, act: Callable[[], object], *, number: int = 1) -> None:
    """Do ``act`` while the receiver is asked for the time with this number."""
    calls: list[None] = []

    def run() -> None:
        calls.append(None)
        if len(calls) == number:
            act()

    world.receivers.before_answer = run


def test_many_deliveries_cost_two_writes_together_and_one_each(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a delivery needs a lease, a slot or a new time of its own."""
    store(world, endpoint, 250)
    writes = watched(world, monkeypatch)
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 250
    assert [write.table for write in writes].count(Table.ENDPOINTS) == 2
    assert len(writes) == 252
    assert len(ids_and_bytes(world.receivers.received)) == len(world.receivers.received) == 250


def test_they_are_read_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when each delivery, or each event, is a read of its own."""
    world = WebhookWorld(crew=ThreadCrew, sleep=time.sleep)
    endpoint = world.endpoint("one")
    store(world, endpoint, 100)
    reads: list[object] = []
    for name in ("get", "get_many", "query"):
        original = getattr(world.database, name)
        monkeypatch.setattr(
            world.database, name, lambda *args, of=original, **more: reads.append(args) or of(*args, **more)
        )
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 100
    # Four reads for each batch of twenty and more: the endpoint, the list, the deliveries, the events.
    assert len(reads) < 40


def test_as_many_are_sent_at_once_as_the_lane_is_wide(world: WebhookWorld) -> None:
    """Fails when one waits for the other: nobody would come through this barrier."""
    world = WebhookWorld(crew=ThreadCrew, sleep=time.sleep)
    endpoint = world.endpoint("one")
    store(world, endpoint, 2 * FIRST_WIDTH)
    barrier = threading.Barrier(FIRST_WIDTH, timeout=20)
    world.receivers.before_answer = lambda: barrier.wait() and None
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert not barrier.broken
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 2 * FIRST_WIDTH


def test_one_at_a_time_while_the_receiver_fails(world: WebhookWorld) -> None:
    """Fails when the width alone decides."""
    world = WebhookWorld(crew=ThreadCrew, sleep=time.sleep)
    endpoint = world.endpoint("one")
    store(world, endpoint, 10)
    world.receivers.scripts[endpoint.url] = [REFUSED]
    now, most, lock = [0], [0], threading.Lock()
    world.database.write(
        [
            Adjust(
                table=Table.ENDPOINTS,
                key=gate_key(MERCHANT, endpoint.endpoint_id),
                set={"consecutive_failures": 1, "failing_since_ms": world.clock.ms, "last_failure_at_ms": 1},
            )
        ]
    )
    seen: list[int] = []

    def count() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            seen.append(now[0])
        threading.Event().wait(0.01)
        with lock:
            now[0] -= 1

    world.receivers.before_answer = count
    drain(world, endpoint)
    assert seen[:2] == [1, 1]


def test_a_lane_that_somebody_works_through_is_left_to_him(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a message that finds the lane held writes, sends, or comes again by itself."""
    store(world, endpoint, 3)
    found: list[Dispatched] = []

    def meanwhile() -> None:
        sent, writes = len(world.queue.sent), watched(world, monkeypatch)
        found.append(drain(world, endpoint))
        assert writes == []
        assert len(world.queue.sent) == sent

    on_answer(world, meanwhile)
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert found == [Dispatched.LEFT]
    assert len(world.receivers.received) == 3


def test_the_relay_wakes_nobody_while_the_lane_is_held_and_the_holder_sends_it(
    world: WebhookWorld, endpoint: Endpoint
) -> None:
    """Fails when each event of a busy endpoint is a message that finds nothing to do."""
    store(world, endpoint, 2)
    on_answer(world, lambda: world.relay_events(world.event("pay_9999")))
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert world.queue.sent == []
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 3


@pytest.mark.parametrize("late", [False, True])
def test_what_comes_just_before_the_lane_is_given_back_is_not_forgotten(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Fails without the second look: nobody was woken for it. With ``late`` the index shows it only afterwards.

    ::

        holder  nothing waits ─────────── gives back ─ [index] ─ looks again
        relay                  stores: held, no wake
    """
    store(world, endpoint, 1)
    original, hidden = world.gates.give_back, []

    def give_back(*args: Any, **more: Any) -> None:
        if not hidden:
            world.relay_events(world.event("pay_9999"))
            hidden.append(late)
        original(*args, **more)

    monkeypatch.setattr(world.gates, "give_back", give_back)
    query = world.database.query

    def lagging(table: Table, **request: Any) -> Page:
        return Page([], None) if hidden == [True] and request.get("index") == DUE_INDEX else query(table, **request)

    monkeypatch.setattr(world.database, "query", lagging)
    object.__setattr__(world.dispatcher._tools, "sleep", lambda _seconds: hidden and hidden.__setitem__(0, False))
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert world.queue.sent == []
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 2


def test_an_index_that_is_behind_sends_nothing_twice(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the list is believed: what was delivered is still in it."""
    store(world, endpoint, 30)
    before = world.database.query(Table.DELIVERIES, index=DUE_INDEX, partition=("due_list", "mer_1#one#0"), limit=99)
    query = world.database.query
    monkeypatch.setattr(
        world.database,
        "query",
        lambda table, **request: before if request.get("index") == DUE_INDEX else query(table, **request),
    )
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert len(world.receivers.received) == 30
    assert drain(world, endpoint) is Dispatched.NOT_ASKED_FOR
    assert len(world.receivers.received) == 30


def test_a_killed_senders_lane_comes_back_and_what_he_had_is_leased_first(
    world: WebhookWorld, endpoint: Endpoint
) -> None:
    """Fails when the lane is held for ever, or when a sender that froze could record over a newer one (P5)."""
    old = store(world, endpoint, 3)

    def die() -> None:
        raise Killed

    on_answer(world, die, number=2)
    with pytest.raises(Killed):
        drain(world, endpoint)
    assert drain(world, endpoint) is Dispatched.LEFT
    world.clock.ms += REQUEST_MS + LEASE_MARGIN_MS + 1
    world.clock.ms += 60_000
    world.schedule()
    world.clock.ms += 10_000
    new = store(world, endpoint, 2, start=10)
    world.receivers.before_answer = lambda: None
    assert Dispatched.DRAINED in world.dispatch()
    fences = {delivery.delivery_id: delivery.fence for delivery in world.deliveries(endpoint)}
    assert sorted(fences[delivery.delivery_id] for delivery in old) == [0, 1, 1]  # one had been recorded
    # Stored within the clocks' margin of the takeover, so they may have been read by the older sender as well.
    assert {fences[delivery.delivery_id] for delivery in new} == {1}
    world.clock.ms += 10_000
    [newest] = store(world, endpoint, 1, start=20)
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert {delivery.delivery_id: delivery.fence for delivery in world.deliveries(endpoint)}[newest.delivery_id] == 0
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 6


def test_a_sender_that_wakes_while_the_newer_one_is_sending_changes_nothing(
    world: WebhookWorld, endpoint: Endpoint
) -> None:
    """Fails without the lease of what an abandoned session may hold (P5): nothing else has been written yet.

    ::

        A  takes the lane ─ post ─ frozen ············· 500: record ─ refused
        B                            takes it over ─ lease ─ post ─────────── 200: record
    """
    [stale] = store(world, endpoint, 1)

    def wake_up() -> None:
        world.receivers.before_answer = lambda: None
        with pytest.raises(WriteConflict):
            world.database.write([attempt_write(stale, {}, DeliveryStatus.FAILED, at_ms=world.clock.ms)])

    def overtake() -> None:
        world.receivers.before_answer = wake_up
        world.clock.ms += REQUEST_MS + LEASE_MARGIN_MS + 1
        assert drain(world, endpoint) is Dispatched.DRAINED

    world.receivers.before_answer = overtake
    drain(world, endpoint)
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]


@pytest.mark.parametrize("newer", [Answer(status=200, latency_ms=1), TIMED_OUT])
def test_a_sender_that_froze_with_a_lane_changes_nothing(
    world: WebhookWorld, endpoint: Endpoint, newer: Answer | NoAnswer
) -> None:
    """Fails without the lease of what an abandoned session may hold (P5).

    ::

        A  takes the lane ─ post ─ frozen ·················· 500: record ─ refused; the lane is not given back
        B                            takes it over ─ lease ─ post ─ 200, or no answer: record
    """
    store(world, endpoint, 1)
    after_newer: list[Any] = []

    def overtake() -> None:
        world.receivers.before_answer = lambda: None
        world.clock.ms += REQUEST_MS + LEASE_MARGIN_MS + 1
        assert drain(world, endpoint) is Dispatched.DRAINED
        after_newer.extend((world.deliveries(endpoint), world.gate(endpoint).lanes))

    world.receivers.scripts[endpoint.url] = [newer, REFUSED]
    world.receivers.before_answer = overtake
    drain(world, endpoint)
    assert [world.deliveries(endpoint), world.gate(endpoint).lanes] == after_newer
    assert after_newer[0][0].attempt_count == 1
    assert len(ids_and_bytes(world.receivers.received)) == 1


def test_a_sender_that_read_after_its_time_sends_nothing(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the time is looked at before the list is read, and not afterwards."""
    store(world, endpoint, 1)
    get_many = world.database.get_many

    def freeze(table: Table, keys: Any) -> Any:
        if table is Table.OUTBOX:
            world.clock.ms += REQUEST_MS + LEASE_MARGIN_MS + 1
        return get_many(table, keys)

    monkeypatch.setattr(world.database, "get_many", freeze)
    drain(world, endpoint)
    assert world.receivers.received == []


def fail_first_record(world: WebhookWorld, monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[Adjust]:
    """Raise ``error`` instead of writing the first end of an attempt, which is returned once it has failed."""
    failed: list[Adjust] = []
    original = world.database.write

    def fail(writes: Sequence[Write]) -> None:
        [write] = writes
        if isinstance(write, Adjust) and "attempt_count" in write.set and not failed:
            failed.append(write)
            raise error
        original(writes)

    monkeypatch.setattr(world.database, "write", fail)
    return failed


def test_a_record_that_may_be_written_yet_counts_as_an_abandoned_session(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the next session sends without a lease what an unanswered write may still end (P5)."""
    store(world, endpoint, 1)
    late = fail_first_record(world, monkeypatch, OutcomeUnknown("no answer"))
    with pytest.raises(OutcomeUnknown):
        drain(world, endpoint)
    assert drain(world, endpoint) is Dispatched.DRAINED
    [delivery] = world.deliveries(endpoint)
    assert (delivery.fence, delivery.status, delivery.attempt_count) == (1, DeliveryStatus.DELIVERED, 1)
    assert late[0].require["fence"] == 0


def test_one_that_can_not_be_sent_does_not_hold_up_the_others(world: WebhookWorld, endpoint: Endpoint) -> None:
    """Fails when an event that is missing ends the session."""
    broken, *others = store(world, endpoint, 4)
    del world.database._tables[Table.OUTBOX][tuple(event_key(*event_place(broken.event_id)).values())]  # type: ignore[attr-defined]
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert len(world.receivers.received) == len(others)
    assert [type(error) for error in world.errors] == [StoreUnavailable]


def test_when_time_is_up_the_next_one_goes_on_and_a_quick_receiver_gets_another_lane(
    world: WebhookWorld, endpoint: Endpoint
) -> None:
    """Fails when what is left waits for the scheduler; or when a lane that can't keep up stays alone."""
    store(world, endpoint, 30)
    on_answer(world, lambda: setattr(world.clock, "ms", world.clock.ms + REQUEST_MS - 20_000), number=5)
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert len(world.receivers.received) == 5
    [message] = world.queue.take()
    assert parsed(message) == {"merchant_id": MERCHANT, "endpoint_id": "one", "lane": 0}
    assert world.gate(endpoint).lane_count == 2
    assert world.handle(message) is Dispatched.DRAINED
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 30
    # New ones are spread over both, and each lane is woken.
    world.relay_events(*(world.event(f"more_{number}") for number in range(40)))
    lanes = {parsed(message)["lane"] for message in world.queue.take() if "lane" in parsed(message)}
    assert lanes == {0, 1}
    assert world.schedule().woken == 2


def test_a_slow_receiver_gets_no_more_lanes(world: WebhookWorld, endpoint: Endpoint) -> None:
    """Fails when a lane that is behind because of its receiver makes others."""
    store(world, endpoint, 30)
    slow = [Answer(status=200, latency_ms=latency) for latency in (10, 10, 5_000, 5_000)]
    world.receivers.scripts[endpoint.url] = list(slow)
    on_answer(world, lambda: setattr(world.clock, "ms", world.clock.ms + REQUEST_MS - 20_000), number=5)
    drain(world, endpoint)
    assert world.gate(endpoint).lane_count == 1


def test_lanes_are_bounded_and_never_fewer(world: WebhookWorld, endpoint: Endpoint) -> None:
    gate = world.gate(endpoint)
    for _ in range(5):
        world.gates.add_lanes(world.gate(endpoint))
    assert world.gate(endpoint).lane_count == MOST_LANES
    world.gates.add_lanes(gate)  # read long ago
    assert world.gate(endpoint).lane_count == MOST_LANES


def test_the_breaker_ends_a_session_and_nothing_is_rewritten(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a session goes on with an open breaker, or puts each delivery off by a write."""
    store(world, endpoint, 50)
    world.receivers.always[endpoint.url] = REFUSED
    writes = watched(world, monkeypatch)
    drain(world, endpoint)
    assert len(world.receivers.received) == 5
    # Five records, five failures, and the lane, taken and given back.
    assert len(writes) == 12
    assert drain(world, endpoint) is Dispatched.DEFERRED
    assert len(writes) == 12


def test_failures_that_were_under_way_together_count_once(world: WebhookWorld, endpoint: Endpoint) -> None:
    """Fails when a receiver that is restarted is paused for the longer, the more it was being sent."""
    gate = world.gate(endpoint)
    health = gate.health
    began_ms = world.clock.ms
    for number in range(64):
        health = health.failed(began_ms=began_ms, now_ms=began_ms + 1_000 + number)
    assert health.consecutive_failures == 1
    assert health.failed(began_ms=began_ms + 1_001, now_ms=began_ms + 5_000).consecutive_failures == 2


def test_an_endpoint_that_is_disabled_holds_its_lane_even_in_the_middle(
    world: WebhookWorld, endpoint: Endpoint
) -> None:
    """Fails when a session goes on for half a minute after the merchant has disabled the endpoint."""
    store(world, endpoint, 50)
    on_answer(world, lambda: world.change(endpoint, EndpointChange.DISABLED, status=EndpointStatus.DISABLED), number=3)
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert len(world.receivers.received) <= 10  # those that had been read
    assert world.dispatch() == [Dispatched.HELD]
    assert set(world.statuses(endpoint)) == {DeliveryStatus.DELIVERED, DeliveryStatus.HELD}


def test_a_deleted_endpoints_lane_is_canceled_with_what_is_due_later(world: WebhookWorld, endpoint: Endpoint) -> None:
    """Fails when what waits for its next attempt stays pending for ever: nobody looks at its list any more."""
    store(world, endpoint, 3)
    world.receivers.scripts[endpoint.url] = [Answer(status=503, latency_ms=1, retry_after_seconds=7200)]
    drain(world, endpoint)
    world.database.write(delete_writes(endpoint, at_ms=world.clock.ms)[:2])
    assert drain(world, endpoint) is Dispatched.CANCELED
    assert sorted(world.statuses(endpoint)) == ["canceled", "delivered", "delivered"]


def test_an_error_of_the_database_ends_the_session_gives_the_lane_back_and_is_raised(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the message counts as handled although some delivery was not recorded."""
    store(world, endpoint, 3)
    fail_first_record(world, monkeypatch, StoreUnavailable("busy"))
    with pytest.raises(StoreUnavailable):
        drain(world, endpoint)
    assert world.gate(endpoint).lanes[0].held_until_ms == 0
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 3


def test_a_defect_in_a_worker_is_raised_and_leaves_no_thread_behind(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = WebhookWorld(crew=ThreadCrew, sleep=time.sleep)
    endpoint = world.endpoint("one")
    store(world, endpoint, 20)
    threads = threading.active_count()

    def break_down(*_args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.attempts, "make", break_down)
    with pytest.raises(ZeroDivisionError):
        drain(world, endpoint)
    assert threading.active_count() == threads


def test_two_that_want_the_lane_at_the_same_moment_do_not_both_get_it(world: WebhookWorld, endpoint: Endpoint) -> None:
    """Fails without the condition on what was read."""
    gate = world.gate(endpoint)
    take = partial(world.gates.take, gate, 0, now_ms=world.clock.ms)
    assert take(until_ms=world.clock.ms + 70_000) is not None
    assert take(until_ms=world.clock.ms + 70_001) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"merchant_id":"mer_1","endpoint_id":"one","lane":4}',
        '{"merchant_id":"mer_1","endpoint_id":"one","lane":-1}',
        '{"merchant_id":"mer_1","endpoint_id":"one","lane":true}',
        '{"merchant_id":"","endpoint_id":"one","lane":0}',
        '{"merchant_id":"mer_1","endpoint_id":"one","delivery_id":"whd_1"}',
        "[]",
    ],
)
def test_what_is_no_message_is_refused(text: str) -> None:
    """Fails when a lane that does not exist is looked for: such a message would never be handled."""
    with pytest.raises(BodyMalformed):
        parse_message(text)


def test_a_retry_within_a_session_is_sent_in_it_when_it_is_due(world: WebhookWorld, endpoint: Endpoint) -> None:
    """Fails when what was given once is never given again: its message finds the lane held, and is lost."""
    store(world, endpoint, 3)
    world.receivers.scripts[endpoint.url] = [REFUSED]

    def pass_time() -> None:
        world.clock.ms += 6_000

    on_answer(world, pass_time, number=3)
    assert drain(world, endpoint) is Dispatched.DRAINED
    assert len(world.receivers.received) == 4
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 3


def test_a_deliverys_key_and_its_list_belong_to_its_endpoint_alone(world: WebhookWorld, endpoint: Endpoint) -> None:
    other = world.endpoint("two")
    [mine] = store(world, endpoint, 1)
    store(world, other, 1)
    drain(world, endpoint)
    assert world.statuses(other) == [DeliveryStatus.PENDING]
    assert key_of(mine)["pk"].startswith("mer_1#one#")
    assert MOST_DIRECT < FIRST_WIDTH
