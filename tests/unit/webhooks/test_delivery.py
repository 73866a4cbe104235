"""From the outbox to the receiver: every promise about one delivery, in memory and with a clock that stands still."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.delivery import Answer, NoAnswer, NoAnswerReason
from payonce.domain.endpoint import DisabledReason, EndpointChange, EndpointStatus
from payonce.domain.errors import StoreUnavailable
from payonce.domain.webhooks import (
    BREAKER_FAILURES,
    FIRST_COOLDOWN_MS,
    MAX_ATTEMPTS,
    MOST_DIRECT,
    RETRY_HORIZON_SECONDS,
    DeliveryStatus,
    Health,
)
from payonce.ports import Deadline, Table
from payonce.webhooks.attempts import MAX_MESSAGE_DELAY_MS, Dispatched
from payonce.webhooks.deliveries import DIRECT_LEASE_MS
from payonce.webhooks.endpoints import delete_writes, load_endpoint
from payonce.webhooks.gate import GATE_SHARDS, GATES_INDEX
from payonce.webhooks.messages import parse_message, wake
from payonce.webhooks.signing import webhook_headers
from payonce.webhooks.sweeper import SWEEP_AFTER_MS
from tests.support.webhooks import MERCHANT, SECRET, WebhookWorld, ids_and_bytes, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Item, Page

TIMED_OUT = NoAnswer(reason=NoAnswerReason.TIMED_OUT, latency_ms=15_000, detail="timed out")
REFUSED = Answer(status=500, latency_ms=5, excerpt="oops")


@pytest.fixture
def world() -> WebhookWorld:
    return WebhookWorld()


def test_an_event_reaches_every_endpoint_that_wants_it_with_the_outboxs_bytes(world: WebhookWorld) -> None:
    one, two = world.endpoint("one"), world.endpoint("two", event_types=["payment.*"])
    refunds = world.endpoint("refunds", event_types=["refund.*"])
    other = world.endpoint("other", merchant_id="mer_2")
    event = world.event()
    world.relay_events(event)
    assert world.dispatch() == [Dispatched.DELIVERED] * 2
    assert {received.url for received in world.receivers.received} == {one.url, two.url}
    assert ids_and_bytes(world.receivers.received) == {(event["event_id"], event["body"])}
    assert world.deliveries(refunds) == world.deliveries(other) == []


def test_the_signature_is_standard_webhooks_over_these_bytes(world: WebhookWorld) -> None:
    world.endpoint("one")
    event = world.event()
    world.relay_events(event)
    world.dispatch()
    headers = world.receivers.received[0].headers
    expected = webhook_headers(event["event_id"], world.clock.ms // 1000, event["body"], [SECRET])
    assert {name: headers[name] for name in expected} == expected


def test_what_the_queue_refused_is_asked_for_once_its_message_counts_as_lost(world: WebhookWorld) -> None:
    """Fails when the relay does not report what the queue refused: the stream would not bring it again."""
    endpoint = world.endpoint("one")
    event = world.event()
    world.queue.down = True
    assert list(world.relay_events(event).failed) == [0]
    world.queue.down = False
    world.clock.ms += DIRECT_LEASE_MS + 1
    assert world.schedule().woken == 1
    world.dispatch()
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]


def test_an_event_read_twice_from_the_stream_is_one_delivery(world: WebhookWorld) -> None:
    """Fails when delivery ids are drawn instead of derived."""
    endpoint = world.endpoint("one")
    event = world.event()
    world.relay_events(event, event)
    world.relay_events(event)
    assert world.dispatch() == [Dispatched.DELIVERED]
    world.clock.ms += DIRECT_LEASE_MS + 1_000
    assert world.dispatch() == [Dispatched.NOT_ASKED_FOR] * 2  # in case that its message had been lost
    assert len(world.deliveries(endpoint)) == len(world.receivers.received) == 1
    world.relay_events(event)
    assert world.queue.take() == []


def test_an_event_that_comes_again_queues_no_delivery_that_was_tried(world: WebhookWorld) -> None:
    """Fails when the relay queues what waits for its next attempt: the pause of the schedule would be jumped over.

    ::

        relay ─ queued ─ attempt 1: 500, the next in a while ───────────────────▶ attempt 2
        stream                                             the same event again: nothing
    """
    endpoint = world.endpoint("one")
    world.receivers.scripts[endpoint.url] = [REFUSED]
    event = world.event()
    world.relay_events(event)
    assert world.dispatch() == [Dispatched.RETRYING]
    waiting = list(world.queue.sent)
    report = world.relay_events(event)
    assert (report.deliveries, world.queue.sent) == (0, waiting)


def test_an_event_that_comes_again_queues_no_delivery_that_is_held(world: WebhookWorld) -> None:
    """Fails when the relay asks for what waits until its endpoint is enabled again."""
    endpoint = world.endpoint("one")
    world.change(endpoint, EndpointChange.DISABLED, status=EndpointStatus.DISABLED)
    event = world.event()
    for _ in range(2):
        world.relay_events(event)
        assert world.queue.sent == []
    assert world.statuses(endpoint) == [DeliveryStatus.HELD]


def test_a_poisoned_event_does_not_hold_up_the_others(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    event = world.event()
    report = world.relay_events({"event_id": "evt_broken"}, event)
    assert list(report.failed) == [0]
    world.dispatch()
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]


def test_an_event_for_one_endpoint_goes_to_no_other(world: WebhookWorld) -> None:
    one, two = world.endpoint("one", event_types=["refund.*"]), world.endpoint("two")
    world.relay_events(world.event(only_endpoint_id=one.endpoint_id))
    world.dispatch()
    assert [received.url for received in world.receivers.received] == [one.url]
    assert world.deliveries(two) == []


def test_retries_carry_the_same_id_and_bytes_and_a_fresh_time(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    event = world.event()
    world.receivers.scripts[endpoint.url] = [REFUSED, TIMED_OUT]
    world.relay_events(event)
    world.run_until(world.clock.ms + 120_000)
    assert ids_and_bytes(world.receivers.received) == {(event["event_id"], event["body"])}
    times = [int(received.headers["webhook-timestamp"]) for received in world.receivers.received]
    assert len(times) == len(set(times)) == 3
    delivery = world.deliveries(endpoint)[0]
    assert delivery.status is DeliveryStatus.DELIVERED
    assert [attempt.get("status") or attempt["error"] for attempt in delivery.attempts] == [500, "timed_out", 200]
    assert delivery.attempts[0]["response_excerpt"] == "oops"


def test_a_delivery_is_tried_over_three_days_and_then_failed(world: WebhookWorld) -> None:
    """The breaker's rests may put attempts off, but take none away. Fails when a deferral counts as an attempt."""
    endpoint = world.endpoint("one")
    world.receivers.always[endpoint.url] = REFUSED
    world.relay_events(world.event())
    began = world.clock.ms
    world.run_until(began + RETRY_HORIZON_SECONDS * 1000 + 7_200_000, step_ms=5_000)
    delivery = world.deliveries(endpoint)[0]
    assert delivery.attempt_count == len(world.receivers.received) == MAX_ATTEMPTS
    assert delivery.status in {DeliveryStatus.FAILED, DeliveryStatus.HELD}
    assert world.receivers.received[-1].at_ms - began <= RETRY_HORIZON_SECONDS * 1000


def test_a_short_pause_is_a_delayed_message_and_a_long_one_is_found_by_the_scheduler(world: WebhookWorld) -> None:
    """Fails when the scheduler does not look at the lists, or a long pause is left to the queue's delay."""
    endpoint = world.endpoint("one")
    world.receivers.scripts[endpoint.url] = [Answer(status=503, latency_ms=1, retry_after_seconds=3600)]
    world.relay_events(world.event())
    assert world.dispatch() == [Dispatched.RETRYING]
    assert world.queue.sent == []
    due = world.clock.ms + 3_600_000
    world.clock.ms = due - 120_000
    assert world.schedule().woken == 0
    world.clock.ms = due - 30_000
    assert world.schedule().woken == 1
    assert world.queue.take() == []
    world.clock.ms = due
    assert world.dispatch() == [Dispatched.DRAINED]
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]
    assert MAX_MESSAGE_DELAY_MS == 900_000


def test_a_failing_receiver_is_told_to_the_overview_also_while_nothing_is_due(world: WebhookWorld) -> None:
    """Fails when only what is due soon is looked at, or a receiver that answers again still counts."""
    endpoint, other = world.endpoint("one"), world.endpoint("other")
    world.receivers.scripts[endpoint.url] = [Answer(status=503, latency_ms=1, retry_after_seconds=7200)]
    world.relay_events(world.event())
    world.dispatch()
    assert world.statuses(other) == [DeliveryStatus.DELIVERED]
    assert world.schedule().failing == 1
    assert world.kept[-1] == ({endpoint.merchant_id: 1}, True)
    world.clock.ms += 7_200_000
    world.schedule()
    world.dispatch()
    assert world.schedule().failing == 0
    assert world.kept[-1] == ({}, True)


def test_a_lost_message_is_made_good_when_its_lease_is_over(world: WebhookWorld) -> None:
    """Fails when a delivery is in no list while its message is out; or when its lane takes it before the lease ends."""
    endpoint = world.endpoint("one")
    world.relay_events(world.event())
    world.queue.take()  # lost
    world.clock.ms += 1_000
    world.schedule()
    assert world.queue.take() == []
    [waiting] = world.queue.sent
    assert world.handle(waiting[1]) is Dispatched.NOT_ASKED_FOR
    world.clock.ms += DIRECT_LEASE_MS
    assert world.dispatch() == [Dispatched.DRAINED]
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]


def test_a_late_message_sends_its_delivery_once_more_or_not_at_all(world: WebhookWorld) -> None:
    """Fails when a copy that comes between two attempts adds one to the schedule."""
    endpoint = world.endpoint("one")
    world.receivers.scripts[endpoint.url] = [REFUSED]
    world.relay_events(world.event())
    [message] = world.queue.take()
    assert world.handle(message) is Dispatched.RETRYING
    world.clock.ms += 2_000
    assert world.handle(message) is Dispatched.NOT_ASKED_FOR
    assert len(world.receivers.received) == 1
    world.clock.ms += 4_000
    assert world.dispatch() == [Dispatched.DRAINED]
    assert world.handle(message) is Dispatched.NOT_ASKED_FOR
    assert len(world.receivers.received) == 2


def test_a_message_that_comes_late_for_an_attempt_renews_its_lease(world: WebhookWorld) -> None:
    """Fails when the lane may take the delivery while it is being sent: both would post at once."""
    endpoint = world.endpoint("one")
    world.relay_events(world.event())
    [message] = world.queue.take()
    world.clock.ms += DIRECT_LEASE_MS - 1_000
    found: list[object] = []

    def meanwhile() -> None:
        world.clock.ms += 10_000
        found.append(world.handle(wake(MERCHANT, endpoint.endpoint_id, 0).body))
        found.append(world.handle(message))

    world.receivers.before_answer = meanwhile
    assert world.handle(message) is Dispatched.DELIVERED
    assert found == [Dispatched.NOT_ASKED_FOR] * 2
    assert len(world.receivers.received) == 1


def test_a_copy_of_a_message_in_flight_carries_the_same_bytes_and_one_is_recorded(world: WebhookWorld) -> None:
    """SQS hides a message that was taken, so a copy at the same time is rare; that it is harmless has to be enough."""
    endpoint = world.endpoint("one")
    event = world.event()
    world.relay_events(event)
    [message] = world.queue.take()
    inner: list[Dispatched] = []
    world.receivers.before_answer = _once(lambda: inner.append(world.handle(message)))
    assert world.handle(message) is Dispatched.OVERTAKEN
    assert inner == [Dispatched.DELIVERED]
    assert ids_and_bytes(world.receivers.received) == {(event["event_id"], event["body"])}
    [delivery] = world.deliveries(endpoint)
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.DELIVERED, 1)


@pytest.mark.parametrize("newer", [Answer(status=200, latency_ms=1), TIMED_OUT])
def test_a_stale_sender_changes_nothing(world: WebhookWorld, newer: Answer | NoAnswer) -> None:
    """Fails without the fence in the record's condition (P5).

    ::

        A  (leased to its message) post ─ frozen ································ 500: record ─ refused
        B                                   lease over ─ lease ─ post ─ 200, or no answer: record
    """
    endpoint = world.endpoint("one")
    world.relay_events(world.event())
    [message] = world.queue.take()
    after_newer = []

    def overtake() -> None:
        world.receivers.before_answer = lambda: None
        world.clock.ms += DIRECT_LEASE_MS + 1
        world.handle(message)
        after_newer.extend(world.deliveries(endpoint))

    world.receivers.scripts[endpoint.url] = [newer, REFUSED]
    world.receivers.before_answer = overtake
    assert world.handle(message) is Dispatched.OVERTAKEN
    assert world.deliveries(endpoint) == after_newer
    assert after_newer[0].attempt_count == 1
    assert len(ids_and_bytes(world.receivers.received)) == 1


def test_what_was_queued_before_the_merchant_disabled_the_endpoint_is_held(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    world.relay_events(world.event())
    world.change(endpoint, EndpointChange.DISABLED, status=EndpointStatus.DISABLED)
    assert world.dispatch() == [Dispatched.HELD]
    assert world.receivers.received == []
    assert world.statuses(endpoint) == [DeliveryStatus.HELD]


def test_410_disables_the_endpoint_says_so_and_holds_what_comes(world: WebhookWorld) -> None:
    endpoint, witness = world.endpoint("one"), world.endpoint("witness", event_types=["webhook_endpoint.*"])
    world.receivers.always[endpoint.url] = Answer(status=410, latency_ms=1)
    world.relay_events(world.event())
    world.dispatch()
    stored = load_endpoint(world.database, MERCHANT, endpoint.endpoint_id)
    assert stored is not None
    assert (stored.status, stored.disabled_reason) == (EndpointStatus.DISABLED, DisabledReason.GONE)
    assert world.disabled == [(endpoint.endpoint_id, DisabledReason.GONE)]
    world.clock.ms += SWEEP_AFTER_MS + 1
    world.schedule()  # no stream here: the sweeper relays the endpoint's own event
    world.relay_events(world.event("pay_2"))
    world.dispatch()
    assert world.statuses(endpoint) == [DeliveryStatus.HELD] * len(world.deliveries(endpoint))
    assert len(world.deliveries(endpoint)) == 3
    told = [received for received in world.receivers.received if received.url == witness.url]
    assert [parsed(one.body.decode())["type"] for one in told] == ["webhook_endpoint.disabled"]
    assert [received.url for received in world.receivers.received].count(endpoint.url) == 1


def test_days_of_failure_disable_the_endpoint_once(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    world.receivers.always[endpoint.url] = TIMED_OUT
    for number in range(3):
        world.relay_events(world.event(f"pay_{number}"))
    world.run_until(world.clock.ms + 4 * 86_400_000, step_ms=20_000)
    assert world.disabled == [(endpoint.endpoint_id, DisabledReason.FAILING)]
    assert DeliveryStatus.PENDING not in world.statuses(endpoint)


def test_a_deleted_endpoints_deliveries_are_canceled(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    world.relay_events(world.event())
    world.database.write(delete_writes(endpoint, at_ms=world.clock.ms)[:2])
    assert world.dispatch() == [Dispatched.CANCELED]
    assert world.receivers.received == []


def test_the_breaker_defers_probes_and_drops_nothing(world: WebhookWorld) -> None:
    """Fails when an open breaker lets attempts through, or when what it deferred is forgotten."""
    endpoint = world.endpoint("one")
    world.receivers.always[endpoint.url] = TIMED_OUT
    for number in range(40):
        world.relay_events(world.event(f"pay_{number:02d}"))
    outcomes = []
    began = world.clock.ms
    while world.clock.ms < began + 10 * 60_000:
        outcomes += world.dispatch()
        world.clock.ms += 1_000
        if world.clock.ms % 60_000 == 0:
            world.schedule()
    assert Dispatched.DEFERRED in outcomes
    attempts_while_down = len(world.receivers.received)
    # Five failures open it; in ten minutes come probes after 1, 2 and 4 minutes of rest.
    assert attempts_while_down <= BREAKER_FAILURES + 4
    world.receivers.always.clear()
    world.run_until(world.clock.ms + 3_600_000, step_ms=5_000)
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 40
    assert len(ids_and_bytes(world.receivers.received)) == 40
    assert FIRST_COOLDOWN_MS == 60_000


def test_a_killed_senders_delivery_comes_back(world: WebhookWorld) -> None:
    """Fails when a lease is for ever."""
    endpoint = world.endpoint("one")
    world.relay_events(world.event())

    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    world.receivers.before_answer = die
    with pytest.raises(Killed):
        world.dispatch()
    world.receivers.before_answer = lambda: None
    world.run_until(world.clock.ms + DIRECT_LEASE_MS + 120_000)
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]
    assert len(ids_and_bytes(world.receivers.received)) == 1


def test_without_time_for_an_attempt_the_message_comes_again(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    world.relay_events(world.event())
    [message] = world.queue.take()
    with pytest.raises(StoreUnavailable):
        world.dispatcher.handle(parse_message(message), Deadline(world.clock.ms + 6_000))
    assert world.receivers.received == []
    assert world.handle(message) is Dispatched.DELIVERED
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]


def test_a_secret_that_can_not_be_opened_is_an_attempt_that_sends_nothing_and_blames_nobody(
    world: WebhookWorld,
) -> None:
    endpoint = world.endpoint("one")
    good = load_endpoint(world.database, MERCHANT, endpoint.endpoint_id)
    assert good is not None
    broken = tuple(replace(key, key_id="another") for key in good.keys)
    world.change(endpoint, EndpointChange.KEY_ROTATED, keys=broken)
    world.relay_events(world.event())
    assert world.dispatch() == [Dispatched.RETRYING]
    assert world.receivers.received == []
    assert world.deliveries(endpoint)[0].attempts[0]["error"] == "signing_failed"
    gate = world.gates.load(MERCHANT, endpoint.endpoint_id)
    assert gate is not None
    assert gate.health.consecutive_failures == 0
    world.change(endpoint, EndpointChange.KEY_ROTATED, keys=good.keys)
    world.clock.ms += 6_000
    assert world.dispatch() == [Dispatched.DRAINED]
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]


def test_a_queue_outage_after_a_failed_attempt_loses_nothing(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    world.receivers.scripts[endpoint.url] = [REFUSED]
    world.relay_events(world.event())
    [message] = world.queue.take()
    world.queue.down = True
    assert world.handle(message) is Dispatched.RETRYING
    world.queue.down = False
    world.run_until(world.clock.ms + DIRECT_LEASE_MS + 120_000)
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]


def test_the_scheduler_looks_at_every_endpoint_and_goes_on_after_an_error(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a shard or a page of gates is left out, or when one endpoint's error ends the run."""
    monkeypatch.setattr("payonce.webhooks.scheduler.PAGE_SIZE", 2)
    endpoints = [world.endpoint(f"e{number:02d}", merchant_id=f"mer_{number:02d}") for number in range(40)]
    for number in range(40):
        world.relay_events(world.event(f"pay_{number:02d}", merchant_id=f"mer_{number:02d}"))
    world.queue.take()  # all lost
    world.clock.ms += DIRECT_LEASE_MS + 1
    query = world.database.query

    def fail_once(table: Table, **request: Any) -> Page:
        if request["partition"] == ("due_list", "mer_07#e07#0") and not world.errors:
            raise StoreUnavailable("busy")
        return query(table, **request)

    monkeypatch.setattr(world.database, "query", fail_once)
    report = world.schedule()
    assert (report.endpoints, report.woken, report.failed) == (40, 39, 1)
    world.dispatch()
    assert world.schedule().woken == 1
    world.dispatch()
    assert {status for endpoint in endpoints for status in world.statuses(endpoint)} == {DeliveryStatus.DELIVERED}
    assert len({item["gate_shard"] for item in _gates(world)}) == GATE_SHARDS


def test_few_are_leased_to_messages_of_their_own_and_the_others_wait(world: WebhookWorld) -> None:
    """Fails without the bound: a receiver that hangs would hold as many senders as there are messages."""
    world.endpoint("one")
    world.relay_events(*(world.event(f"pay_{number:02d}") for number in range(MOST_DIRECT + 3)))
    kinds = ["direct" if "delivery_id" in parsed(message) else "wake" for message in world.queue.take()]
    assert sorted(kinds) == ["direct"] * MOST_DIRECT + ["wake"]
    world.relay_events(world.event("pay_99"))
    assert [parsed(message).get("delivery_id") for message in world.queue.take()] == [None]


def test_while_a_receiver_fails_nothing_is_leased_to_a_message_of_its_own(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a failing receiver gets more than one at a time: by new messages, or by those that are out."""
    monkeypatch.setattr("payonce.webhooks.relay.MOST_DIRECT", 9)  # so that it is not the room that is missing
    endpoint = world.endpoint("one")
    world.receivers.scripts[endpoint.url] = [REFUSED]
    world.relay_events(world.event("pay_1"), world.event("pay_2"))
    first, second = world.queue.take()
    assert world.handle(first) is Dispatched.RETRYING
    world.relay_events(world.event("pay_3"))
    [third] = world.queue.take()
    assert "delivery_id" not in parsed(third)
    at_once: list[int] = []

    def count() -> None:
        at_once.append(len(world.queue.sent))
        assert world.handle(third) is Dispatched.LEFT

    world.receivers.before_answer = _once(count)
    assert world.handle(second) is Dispatched.DRAINED
    assert len(at_once) == 1
    assert sorted(world.statuses(endpoint)) == [
        DeliveryStatus.DELIVERED,
        DeliveryStatus.DELIVERED,
        DeliveryStatus.PENDING,
    ]


def test_a_message_waits_for_the_breaker_without_a_write(world: WebhookWorld) -> None:
    """Fails when what comes while the breaker is open is sent, or rewritten."""
    endpoint = world.endpoint("one")
    world.relay_events(world.event("pay_1"))
    [message] = world.queue.take()
    gate = world.gates.load(MERCHANT, endpoint.endpoint_id)
    assert gate is not None
    now_ms = world.clock.ms
    for _ in range(BREAKER_FAILURES):
        world.gates.failed(gate, Health(failing_since_ms=now_ms, last_failure_at_ms=now_ms))
    before = world.deliveries(endpoint)
    assert world.handle(message) is Dispatched.DEFERRED
    assert (world.deliveries(endpoint), world.receivers.received) == (before, [])
    world.relay_events(world.event("pay_2"))
    assert world.queue.sent == []  # the scheduler wakes the lane when it is time
    world.run_until(world.clock.ms + FIRST_COOLDOWN_MS + 120_000)
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 2


def _once(act: Callable[[], object]) -> Callable[[], None]:
    left = [act]

    def run() -> None:
        if left:
            left.pop()()

    return run


def _gates(world: WebhookWorld) -> list[Item]:
    pages = (
        world.database.query(Table.ENDPOINTS, index=GATES_INDEX, partition=("gate_shard", str(shard)), limit=100)
        for shard in range(GATE_SHARDS)
    )
    return [item for page in pages for item in page.items]
