"""Webhooks as a merchant sees them: real HTTP to the deployed stack, and a receiver on loopback."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from payonce.webhooks.verify import Verifier
from tests.e2e.conftest import Client, as_role

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.receiver import Received
    from local.stack import Stack

PAYMENT = {"amount_minor": 1050, "currency": "EUR", "payment_method": "pm_sandbox_visa"}
PATIENCE_SECONDS = 250
# The local cloud runs a few environments at once; what it throttles is asked again with the same key.
RETRIED = {429, 500, 502, 503, 504}


class Shop:
    """A merchant of its own with one endpoint."""

    def __init__(self, stack: Stack, **endpoint: Any) -> None:
        self.stack = stack
        self.merchant_id, api_key = stack.create_merchant("Webhooks")
        self.client = Client(stack, api_key)
        self.path = f"/{uuid.uuid4().hex}"
        self.created = self.post("/webhook_endpoints", {"url": stack.receiver.url + self.path, **endpoint})
        self.endpoint = f"/webhook_endpoints/{self.created['id']}"

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Send one keyed request until it is answered; return the answer."""
        key = key or str(uuid.uuid4())
        for _ in range(60):
            answer = self.client.call(method, path, body, key=None if method == "GET" else key)
            if answer.status not in RETRIED:
                break
            time.sleep(0.5)
        return answer

    def post(self, path: str, body: Any = None) -> Any:
        """Post and return the document of a success."""
        answer = self.send("POST", path, {} if body is None else body)
        assert answer.status < 300, answer.body
        return answer.json()

    def get(self, path: str) -> Any:
        """Read a document."""
        answer = self.send("GET", path)
        assert answer.status == 200, answer.body
        return answer.json()

    def received(self, event_type: str | None = None) -> list[Received]:
        """Return what has come, of one type or all."""
        came = self.stack.receiver.received(self.path)
        return [one for one in came if event_type in (None, json.loads(one.body)["type"])]

    def deliveries(self) -> list[dict[str, Any]]:
        """Return the endpoint's deliveries."""
        listed: list[dict[str, Any]] = self.get(f"{self.endpoint}/deliveries")["data"]
        return listed


def eventually[T](look: Callable[[], T], what: str) -> T:
    """Return what ``look`` returns as soon as it is something."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        found = look()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Shop:
    """A merchant whose endpoint wants every event."""
    return Shop(stack)


def test_an_event_is_delivered_signed_and_as_it_is_stored(shop: Shop) -> None:
    payment = shop.post("/payments", PAYMENT)
    came = eventually(
        lambda: [one for one in shop.received("payment.captured") if payment["id"] in one.body.decode()], "a webhook"
    )[0]
    verified = Verifier([shop.created["secret"]]).verify(came.headers, came.body)
    assert verified.event["data"]["id"] == payment["id"]
    assert verified.event["sequence"] == payment["version"]
    stored = shop.send("GET", f"/events/{verified.id}")
    assert stored.body == came.body
    delivery = eventually(
        lambda: [d for d in shop.deliveries() if (d["event_id"], d["status"]) == (verified.id, "delivered")],
        "its delivery",
    )[0]
    attempts = shop.get(f"{shop.endpoint}/deliveries/{delivery['id']}")["attempts"]
    assert [attempt["status"] for attempt in attempts] == [200]


def test_a_failing_receiver_gets_the_same_event_again(shop: Shop, stack: Stack) -> None:
    stack.receiver.answer(shop.path, 500)
    payment = shop.post("/payments", PAYMENT)

    def copies() -> list[Received]:
        return [one for one in shop.received() if payment["id"] in one.body.decode()]

    eventually(lambda: len(copies()) >= 2, "a second attempt")
    assert len({(one.headers["webhook-id"], one.body) for one in copies()}) == 1
    assert len({one.headers["webhook-signature"] for one in copies()}) >= 2


def test_a_redelivery_is_the_same_event(shop: Shop) -> None:
    event_id = eventually(lambda: [d for d in shop.deliveries() if d["status"] == "delivered"], "a delivery")[0]
    before = [one for one in shop.received() if one.headers["webhook-id"] == event_id["event_id"]]
    shop.post(f"{shop.endpoint}/deliveries/{event_id['id']}/redeliveries")
    copies = eventually(
        lambda: (
            (found := [o for o in shop.received() if o.headers["webhook-id"] == event_id["event_id"]])
            and len(found) > len(before)
            and found
        ),
        "a redelivery",
    )
    assert len({one.body for one in copies}) == 1


def test_a_test_event_and_a_rotated_secret(stack: Stack) -> None:
    shop = Shop(stack, event_types=["refund.*"])
    rotated = shop.post(f"{shop.endpoint}/secret_rotations", {"overlap_seconds": 3600})
    event_id = shop.post(f"{shop.endpoint}/test_events")["event_id"]
    came = eventually(lambda: shop.received("webhook_endpoint.test"), "the test event")[0]
    for secret in (shop.created["secret"], rotated["secret"]):
        assert Verifier([secret]).verify(came.headers, came.body).id == event_id
    assert len(shop.received()) == 1


def test_410_disables_and_enabling_sends_what_was_held(stack: Stack) -> None:
    shop = Shop(stack, event_types=["payment.*"])
    stack.receiver.answer(shop.path, 410)
    first = shop.post("/payments", PAYMENT)
    eventually(lambda: shop.get(shop.endpoint)["status"] == "disabled", "disabled")
    assert shop.get(shop.endpoint)["disabled_reason"] == "gone"
    second = shop.post("/payments", PAYMENT)
    eventually(lambda: [d["status"] for d in shop.deliveries()] == ["held", "held"], "both held")
    told = [event["type"] for event in shop.get("/events?limit=100")["data"]]
    assert told.count("webhook_endpoint.disabled") <= 1  # the list stays a few seconds behind
    answer = shop.send("PATCH", shop.endpoint, {"status": "enabled"})
    assert (answer.status, answer.json()["status"]) == (200, "enabled")

    def schedule() -> bool:
        name = stack.outputs["ScheduleDeliveriesFunctionName"]
        stack.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        ids = {json.loads(one.body)["data"]["id"] for one in shop.received() if one.headers}
        delivered = [d["status"] for d in shop.deliveries()].count("delivered")
        return ids >= {first["id"], second["id"]} and delivered == 2

    eventually(schedule, "what was held")


def test_an_event_of_another_system_is_stamped_once(stack: Stack) -> None:
    """Fails when the id comes from the queue's message: three copies would be three events."""
    shop = Shop(stack, event_types=["custom.*"])
    message = {"merchant_id": shop.merchant_id, "type": "custom.order.shipped", "data": {"order": 7}}
    sqs = stack.client("sqs")
    for _ in range(3):
        sqs.send_message(QueueUrl=stack.outputs["EventInboxUrl"], MessageBody=json.dumps(message))
    sqs.send_message(QueueUrl=stack.outputs["EventInboxUrl"], MessageBody=json.dumps({**message, "data": {"order": 8}}))
    eventually(lambda: len({one.headers["webhook-id"] for one in shop.received()}) == 2, "two events")
    time.sleep(2)
    assert len({one.headers["webhook-id"] for one in shop.received()}) == 2
    assert sorted(json.loads(one.body)["data"]["order"] for one in shop.received()) == [7, 8]


def test_the_list_of_events_has_no_gaps(shop: Shop) -> None:
    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = shop.get(f"/events?limit=2{after}")
            found += page["data"]
            if not page["data"] or page["next_after"] is None:
                return found
            after = f"&after={page['next_after']}"

    ids = {one.headers["webhook-id"] for one in shop.received()}
    eventually(lambda: ids <= {event["id"] for event in listed()}, "every delivered event in the list")
    assert len(listed()) == len({event["id"] for event in listed()})


def test_two_merchants_do_not_meet(shop: Shop, stack: Stack) -> None:
    other = Shop(stack)
    event_id = shop.received()[0].headers["webhook-id"]
    delivery = shop.deliveries()[0]["id"]
    for path in (
        shop.endpoint,
        f"{shop.endpoint}/deliveries",
        f"{shop.endpoint}/deliveries/{delivery}",
        f"/events/{event_id}",
    ):
        assert other.send("GET", path).status == 404, path
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/secret_rotations"), ("POST", "/test_events")):
        body = {"description": "mine"} if method == "PATCH" else {}
        assert other.send(method, shop.endpoint + path, body).status == 404
    assert all(json.loads(one.body)["data"].get("id") != shop.created["id"] for one in other.received())


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data", "https://10.0.0.1/", "ftp://example.com/", "https://user@example.com/"],
)
def test_a_url_that_is_not_public_is_refused(shop: Shop, url: str) -> None:
    answer = shop.send("POST", "/webhook_endpoints", {"url": url})
    assert (answer.status, answer.json()["type"]) == (400, "urn:payonce:problem:invalid-request")


def test_a_dead_letter_is_redriven_by_the_command(stack: Stack, shop: Shop) -> None:
    payment = shop.post("/payments", PAYMENT)
    delivery = eventually(
        lambda: [d for d in shop.deliveries() if d["status"] == "delivered" and d["event_type"] == "payment.captured"],
        "a delivery",
    )[0]
    sqs = stack.client("sqs")
    dead = {
        "merchant_id": shop.merchant_id,
        "endpoint_id": shop.created["id"],
        "delivery_id": delivery["id"],
        "fence": 1,
    }
    sqs.send_message(QueueUrl=stack.outputs["DeliveryFailuresUrl"], MessageBody=json.dumps(dead))
    queues = ["--from", stack.outputs["DeliveryFailuresUrl"], "--to", stack.outputs["DeliveryQueueUrl"]]
    done = stack.operator("redrive", *queues, check=False)
    assert (done.returncode, done.stdout) == (0, "1 message redriven\n"), done.stderr
    assert payment["id"]


def test_the_roles_of_the_webhook_functions_allow_only_what_they_need(stack: Stack) -> None:
    """IAM as the local cloud enforces it. Fails when a policy is widened."""
    outbox, endpoints = stack.outputs["OutboxTableName"], stack.outputs["EndpointsTableName"]
    payments, key = stack.outputs["PaymentsTableName"], {"pk": {"S": "x"}, "sk": {"S": "y"}}
    forged = {"UpdateExpression": "SET body = :b", "ExpressionAttributeValues": {":b": {"S": "forged"}}}
    refused: list[tuple[str, str, dict[str, Any]]] = [
        ("RelayEventsFunction", "put_item", {"TableName": outbox, "Item": key}),
        ("RelayEventsFunction", "delete_item", {"TableName": outbox, "Key": key}),
        ("RelayEventsFunction", "update_item", {"TableName": outbox, "Key": key, **forged}),
        ("DispatchDeliveriesFunction", "update_item", {"TableName": outbox, "Key": key, **forged}),
        ("DispatchDeliveriesFunction", "delete_item", {"TableName": endpoints, "Key": key}),
        ("DispatchDeliveriesFunction", "put_item", {"TableName": payments, "Item": key}),
        ("AcceptEventsFunction", "get_item", {"TableName": endpoints, "Key": key}),
        ("CreatePaymentFunction", "get_item", {"TableName": endpoints, "Key": key}),
    ]
    for role, action, request in refused:
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(as_role(stack, role), action)(**request)
