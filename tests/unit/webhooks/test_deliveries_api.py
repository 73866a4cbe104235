"""What a merchant sees of deliveries, and how one is sent again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.delivery import MAX_EXCERPT_CHARACTERS, Answer, NoAnswer, NoAnswerReason
from payonce.domain.errors import StoreUnavailable
from payonce.domain.webhooks import DeliveryStatus
from payonce.entrypoints.webhook_models import DeliveriesQuery
from payonce.webhooks import webhook_reads
from tests.support.events import call
from tests.support.webhook_api import (
    MERCHANT,
    an_id,
    attempt,
    document,
    load_delivery,
    new_endpoint,
    store_delivery,
    store_event,
)

if TYPE_CHECKING:
    from payonce.stores.memory import MemoryDatabase
    from payonce.stores.memory_queue import MemoryQueue
    from payonce.webhooks.deliveries import Delivery
    from payonce.wiring.application import Application
    from tests.support.world import ManualClock

KEY = "redeliver-------"


@pytest.fixture
def endpoint_id(application: Application) -> str:
    identity: str = new_endpoint(application)["id"]
    return identity


def listed(application: Application, endpoint_id: str, **query: str) -> Any:
    answer = call(application, "list_webhook_deliveries", None, path={"endpoint_id": endpoint_id}, query=query)
    assert answer["statusCode"] == 200, answer["body"]
    return document(answer)


def fill(database: MemoryDatabase, endpoint_id: str, statuses: list[DeliveryStatus], now_ms: int) -> list[str]:
    """Store one delivery of each status, oldest event first; return their ids, newest first."""
    ids = []
    for number, status in enumerate(statuses):
        event = store_event(database, number, created_at_ms=now_ms + number)
        ids.append(store_delivery(database, event, endpoint_id, status, now_ms=now_ms).delivery_id)
    return ids[::-1]


def redeliver(application: Application, delivery: Delivery, key: str = KEY, **options: Any) -> dict[str, Any]:
    path = {"endpoint_id": delivery.endpoint_id, "delivery_id": delivery.delivery_id}
    return call(application, "redeliver_webhook", None, key=key, path=path, **options)


def test_pages_are_newest_first_and_meet_each_delivery_once(
    application: Application, database: MemoryDatabase, endpoint_id: str, clock: ManualClock
) -> None:
    ids = fill(database, endpoint_id, [DeliveryStatus.DELIVERED] * 7, clock.ms)
    found, query = [], {"limit": "3"}
    while True:
        page = listed(application, endpoint_id, **query)
        found += [delivery["id"] for delivery in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == ids


def test_a_filter_looks_at_a_bounded_number_and_says_how_to_go_on(
    application: Application,
    database: MemoryDatabase,
    endpoint_id: str,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fails when a filter reads on until the page is full: a merchant's whole history for one page."""
    monkeypatch.setattr(webhook_reads, "FILTER_ITEMS", 4)
    statuses = [DeliveryStatus.FAILED, *[DeliveryStatus.DELIVERED] * 5, *[DeliveryStatus.FAILED] * 3]
    ids = fill(database, endpoint_id, statuses, clock.ms)
    pages, query = [], {"limit": "2", "status": "failed"}
    while True:
        page = listed(application, endpoint_id, **query)
        pages.append([delivery["id"] for delivery in page["data"]])
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert pages == [ids[:2], [ids[2]], [ids[8]]]


def test_the_query_knows_every_status() -> None:
    for status in DeliveryStatus:
        assert DeliveriesQuery(status=status.value).status == status.value


@pytest.mark.parametrize(
    "query", [{"status": "lost"}, {"limit": "0"}, {"limit": "101"}, {"cursor": "nonsense"}, {"x": "1"}]
)
def test_an_odd_query_is_refused(application: Application, endpoint_id: str, query: dict[str, str]) -> None:
    answer = call(application, "list_webhook_deliveries", None, path={"endpoint_id": endpoint_id}, query=query)
    assert answer["statusCode"] == 400


def test_a_cursor_of_another_list_is_refused(
    application: Application, database: MemoryDatabase, endpoint_id: str, clock: ManualClock
) -> None:
    """Another endpoint's, another merchant's, another list's. Fails when a cursor is a bare position."""
    fill(database, endpoint_id, [DeliveryStatus.DELIVERED] * 3, clock.ms)
    cursor = listed(application, endpoint_id, limit="1")["next_cursor"]
    mine = new_endpoint(application, "another")["id"]
    yours = new_endpoint(application, "yours", merchant_id="mer_2")["id"]
    for merchant_id, other in ((MERCHANT, mine), ("mer_2", yours)):
        answer = call(
            application,
            "list_webhook_deliveries",
            None,
            path={"endpoint_id": other},
            query={"cursor": cursor},
            merchant_id=merchant_id,
        )
        assert (answer["statusCode"], "Start again" in answer["body"]) == (400, True)
    clock.ms += 60_000
    assert call(application, "list_events", None, query={"after": cursor})["statusCode"] == 400


def test_a_delivery_is_shown_with_its_attempts(
    application: Application, database: MemoryDatabase, endpoint_id: str, clock: ManualClock
) -> None:
    event = store_event(database, 1, created_at_ms=clock.ms)
    delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.PENDING, now_ms=clock.ms)
    excerpt = "x" * MAX_EXCERPT_CHARACTERS
    lost = NoAnswer(reason=NoAnswerReason.TIMED_OUT, latency_ms=10_000, detail="No answer within 10 s.")
    delivery = attempt(database, delivery, lost, DeliveryStatus.PENDING)
    attempt(database, delivery, Answer(status=500, latency_ms=12, excerpt=excerpt), DeliveryStatus.FAILED)
    path = {"endpoint_id": endpoint_id, "delivery_id": delivery.delivery_id}
    view = document(call(application, "get_webhook_delivery", None, path=path))
    assert (view["status"], view["attempt_count"], view["next_attempt_at_ms"]) == ("failed", 2, None)
    assert (view["event_id"], view["event_type"]) == (event["event_id"], event["event_type"])
    assert view["attempts"] == [
        {
            "number": 1,
            "at_ms": clock.ms,
            "latency_ms": 10_000,
            "status": None,
            "response_excerpt": None,
            "error": "timed_out",
            "detail": "No answer within 10 s.",
        },
        {
            "number": 2,
            "at_ms": clock.ms,
            "latency_ms": 12,
            "status": 500,
            "response_excerpt": excerpt,
            "error": None,
            "detail": None,
        },
    ]
    assert "attempts" not in listed(application, endpoint_id)["data"][0]


@pytest.mark.parametrize("status", [DeliveryStatus.DELIVERED, DeliveryStatus.FAILED, DeliveryStatus.HELD])
def test_a_redelivery_is_a_new_round_of_the_same_event_queued_once(
    application: Application,
    database: MemoryDatabase,
    queue: MemoryQueue,
    endpoint_id: str,
    clock: ManualClock,
    status: DeliveryStatus,
) -> None:
    """Fails when the message is not sent, is sent again by a replay, or when the round starts with no attempt left."""
    event = store_event(database, 1, created_at_ms=clock.ms)
    delivery = store_delivery(database, event, endpoint_id, status, now_ms=clock.ms, attempt_count=13)
    clock.ms += 1000
    answer = redeliver(application, delivery)
    assert answer["statusCode"] == 202
    after = load_delivery(database, delivery)
    assert (after.status, after.round_attempts, after.attempt_count) == (DeliveryStatus.PENDING, 0, 13)
    assert after.event_id == event["event_id"]
    # If its message is lost, the scheduler finds it in the list of its lane.
    assert (after.not_before_ms, after.due_at_ms) == (clock.ms, clock.ms)
    path = {"endpoint_id": endpoint_id, "delivery_id": delivery.delivery_id}
    view = document(call(application, "get_webhook_delivery", None, path=path))
    assert document(answer) == {name: value for name, value in view.items() if name != "attempts"}
    again = redeliver(application, delivery)
    assert (again["body"], again["headers"]["Idempotency-Replayed"]) == (answer["body"], "true")
    assert [json.loads(message.body) for message in queue.messages] == [
        {"merchant_id": MERCHANT, "endpoint_id": endpoint_id, "lane": 0}
    ]


def test_the_message_follows_the_write(
    application: Application, database: MemoryDatabase, queue: MemoryQueue, endpoint_id: str, clock: ManualClock
) -> None:
    """Fails when it is sent first: a sender would find nothing to do, and drop it."""
    event = store_event(database, 1, created_at_ms=clock.ms)
    delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.FAILED, now_ms=clock.ms)
    send, seen = queue.send, []

    def look(messages: Any) -> None:
        seen.append(load_delivery(database, delivery).status)
        send(messages)

    queue.send = look  # type: ignore[method-assign]
    redeliver(application, delivery)
    assert seen == [DeliveryStatus.PENDING]


def test_a_queue_that_fails_takes_nothing_back(
    application: Application, database: MemoryDatabase, queue: MemoryQueue, endpoint_id: str, clock: ManualClock
) -> None:
    """Fails when the merchant is told that it failed although the round has begun: the scheduler will send it."""
    event = store_event(database, 1, created_at_ms=clock.ms)
    delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.FAILED, now_ms=clock.ms)

    def fail(_messages: Any) -> None:
        raise StoreUnavailable("The queue did not confirm the messages.")

    queue.send = fail  # type: ignore[method-assign]
    assert redeliver(application, delivery)["statusCode"] == 202
    assert load_delivery(database, delivery).status is DeliveryStatus.PENDING


@pytest.mark.parametrize("status", [DeliveryStatus.PENDING, DeliveryStatus.CANCELED])
def test_what_can_not_be_sent_again_is_refused(
    application: Application,
    database: MemoryDatabase,
    queue: MemoryQueue,
    endpoint_id: str,
    clock: ManualClock,
    status: DeliveryStatus,
) -> None:
    """Fails when a round is begun over a sender that is at work."""
    event = store_event(database, 1, created_at_ms=clock.ms)
    delivery = store_delivery(database, event, endpoint_id, status, now_ms=clock.ms)
    answer = redeliver(application, delivery)
    assert (answer["statusCode"], document(answer)["type"]) == (409, "urn:payonce:problem:delivery-state")
    assert document(answer)["delivery_status"] == status.value
    assert load_delivery(database, delivery) == delivery
    assert queue.messages == []


def test_to_a_disabled_endpoint_nothing_is_sent_again(
    application: Application, database: MemoryDatabase, queue: MemoryQueue, endpoint_id: str, clock: ManualClock
) -> None:
    event = store_event(database, 1, created_at_ms=clock.ms)
    delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.FAILED, now_ms=clock.ms)
    path = {"endpoint_id": endpoint_id}
    call(application, "update_webhook_endpoint", {"status": "disabled"}, key="disable---------", path=path)
    answer = redeliver(application, delivery)
    assert (answer["statusCode"], document(answer)["type"]) == (409, "urn:payonce:problem:endpoint-state")
    assert "Enable it first" in document(answer)["detail"]
    assert (load_delivery(database, delivery), queue.messages) == (delivery, [])


def test_with_its_endpoint_a_delivery_is_gone(
    application: Application, database: MemoryDatabase, endpoint_id: str, clock: ManualClock
) -> None:
    event = store_event(database, 1, created_at_ms=clock.ms)
    delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.FAILED, now_ms=clock.ms)
    path = {"endpoint_id": endpoint_id, "delivery_id": delivery.delivery_id}
    call(application, "delete_webhook_endpoint", None, key="delete----------", path=path)
    for operation in ("get_webhook_delivery", "list_webhook_deliveries", "redeliver_webhook"):
        assert call(application, operation, None, path=path)["statusCode"] == 404


def test_a_sender_that_finishes_in_between_is_seen(
    application: Application, database: MemoryDatabase, queue: MemoryQueue, endpoint_id: str, clock: ManualClock
) -> None:
    """Another redelivery comes between look and write. Fails when the round is begun twice."""
    event = store_event(database, 1, created_at_ms=clock.ms)
    delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.FAILED, now_ms=clock.ms)
    write, pending = database.write, [True]

    def interleave(writes: Any) -> None:
        if len(writes) > 1 and pending:
            pending.clear()
            assert redeliver(application, delivery, key="another-client--")["statusCode"] == 202
        write(writes)

    database.write = interleave  # type: ignore[method-assign]
    assert redeliver(application, delivery)["statusCode"] == 409
    assert len(queue.messages) == 1


def test_another_merchant_sees_and_touches_no_delivery(
    application: Application, database: MemoryDatabase, queue: MemoryQueue, endpoint_id: str, clock: ManualClock
) -> None:
    """By its own endpoint's path too. Fails when a delivery is found by its id alone."""
    event = store_event(database, 1, created_at_ms=clock.ms)
    delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.FAILED, now_ms=clock.ms)
    own = new_endpoint(application, merchant_id="mer_2")["id"]
    sibling = new_endpoint(application, "sibling")["id"]
    for merchant_id, endpoint in (("mer_2", endpoint_id), ("mer_2", own), (MERCHANT, sibling)):
        path = {"endpoint_id": endpoint, "delivery_id": delivery.delivery_id}
        read = call(application, "get_webhook_delivery", None, path=path, merchant_id=merchant_id)
        sent = call(application, "redeliver_webhook", None, path=path, merchant_id=merchant_id, key="cross-path------")
        assert (read["statusCode"], sent["statusCode"]) == (404, 404)
    missing = {"endpoint_id": endpoint_id, "delivery_id": an_id("whd", 9)}
    assert call(application, "get_webhook_delivery", None, path=missing)["statusCode"] == 404
    assert (load_delivery(database, delivery), queue.messages) == (delivery, [])
