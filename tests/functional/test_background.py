"""The handlers behind the outbox, fed with events/: streams, queues and the schedule."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from payonce.outbox import events_of_merchant, opened
from payonce.ports import Insert, Table
from payonce.stores.dynamodb_requests import from_stream_image
from payonce.webhooks.endpoints import create_writes
from tests.functional.conftest import load_handler
from tests.support.aws import REGION, REPOSITORY
from tests.support.events import Context
from tests.support.webhook_api import stored_endpoint

if TYPE_CHECKING:
    from payonce.wiring.delivery import DeliveryApplication

MERCHANT = "mer_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
ENDPOINT = "we_01K8X3Q5ZC4T9V7W2M6N8P0R1S"


@pytest.fixture
def run(application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return how a function is run on one of its events."""
    application.database.write(
        [
            *create_writes(stored_endpoint(MERCHANT, ENDPOINT))[:2],
            Insert(Table.MERCHANTS, {"pk": f"MERCHANT#{MERCHANT}", "sk": "MERCHANT"}),
        ]
    )

    def call(function: str, case: str) -> Any:
        return load_handler(function, application, monkeypatch)(event(function, case), Context())

    return call


def event(function: str, case: str) -> Any:
    return json.loads((REPOSITORY / "events" / function / f"{case}.json").read_text())


def queued(application: DeliveryApplication) -> list[dict[str, Any]]:
    sqs = boto3.client("sqs", region_name=REGION)
    answer = sqs.receive_message(QueueUrl=application.settings.delivery_queue_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_the_streams_events_become_deliveries_with_their_bytes(run: Any, application: DeliveryApplication) -> None:
    """Fails when the stream's base64 is taken for the body."""
    images = [record["dynamodb"]["NewImage"] for record in event("relay_events", "two_events")["Records"]]
    application.database.write([Insert(Table.OUTBOX, from_stream_image(image)) for image in images])
    assert failed(run("relay_events", "two_events")) == []
    assert {(message["endpoint_id"], message["fence"]) for message in queued(application)} == {(ENDPOINT, 1)}
    for image in images:
        stored = application.database.get(Table.OUTBOX, {name: image[name]["S"] for name in ("pk", "sk")})
        assert stored is not None
        assert json.loads(opened(stored)["body"])["data"]["note"] == "ö☃"


def test_a_record_that_is_no_event_comes_again_and_the_first_does_not(
    run: Any, application: DeliveryApplication
) -> None:
    records = event("relay_events", "one_is_no_event")["Records"]
    application.database.write([Insert(Table.OUTBOX, from_stream_image(records[0]["dynamodb"]["NewImage"]))])
    assert failed(run("relay_events", "one_is_no_event")) == [records[1]["dynamodb"]["SequenceNumber"]]
    assert len(queued(application)) == 1


def test_a_changed_item_is_not_relayed(run: Any, application: DeliveryApplication) -> None:
    assert failed(run("relay_events", "a_changed_item")) == []
    assert queued(application) == []


def test_a_message_of_no_delivery_is_done_with(run: Any) -> None:
    assert failed(run("dispatch_deliveries", "unknown_delivery")) == []
    assert failed(run("dispatch_deliveries", "unknown_endpoint")) == []


def test_only_what_is_no_message_comes_again(run: Any) -> None:
    """Fails when one poisoned message brings its whole batch back."""
    ids = [record["messageId"] for record in event("dispatch_deliveries", "one_is_no_message")["Records"]]
    assert failed(run("dispatch_deliveries", "one_is_no_message")) == ids[1:]


def test_an_empty_schedule_does_nothing(run: Any) -> None:
    assert run("schedule_deliveries", "scheduled") == {
        "endpoints": 1,
        "woken": 0,
        "swept": 0,
        "sweep_failed": 0,
        "sweep_behind_ms": 0,
        "replays": 0,
        "failed": 0,
        "failing": 0,
    }


def test_copies_of_a_message_are_one_event(run: Any, application: DeliveryApplication) -> None:
    """Fails when the id comes from the queue, a clock or a random number."""
    assert failed(run("accept_events", "copies")) == []
    page = events_of_merchant(application.database, MERCHANT, after="", until="~", limit=10)
    assert [item["event_type"] for item in page.items] == ["custom.order.shipped"] * 2
    assert len({item["event_id"] for item in page.items}) == 2
    assert failed(run("accept_events", "copies")) == []
    again = events_of_merchant(application.database, MERCHANT, after="", until="~", limit=10)
    assert again.items == page.items


def test_what_is_refused_goes_to_the_dead_letters_alone(run: Any, application: DeliveryApplication) -> None:
    ids = [record["messageId"] for record in event("accept_events", "some_are_refused")["Records"]]
    assert failed(run("accept_events", "some_are_refused")) == ids[1:]
    page = events_of_merchant(application.database, MERCHANT, after="", until="~", limit=10)
    assert len(page.items) == 1
