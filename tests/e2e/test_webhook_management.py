"""The webhooks' routes on the deployed stack: every function with its own role, on real tables, KMS and SQS."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from payonce.domain.webhooks import DeliveryStatus
from payonce.outbox import SETTLING_MS
from payonce.ports import Insert, Table
from payonce.stores.dynamodb_requests import from_attributes
from payonce.stores.memory import MemoryDatabase
from tests.e2e.conftest import Client
from tests.support.webhook_api import holds_secret, items_of, store_delivery, store_event

if TYPE_CHECKING:
    from local.cloud import Stack

URL = "https://hooks.example.com/payonce"


def new_key() -> str:
    return str(uuid.uuid4())


def done(client: Client, method: str, path: str, body: Any = None) -> Any:
    """Call an unsafe route twice with one key; return the document once both answers are the same."""
    key = new_key()
    first, again = (client.call(method, path, body, key=key) for _ in range(2))
    assert first.status in {200, 201, 202}, first.body
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    return first.json()


@pytest.fixture
def merchant(stack: Stack) -> tuple[Client, str]:
    """A merchant of its own, and its id."""
    merchant_id, api_key = stack.create_merchant("Webhooks")
    return Client(stack, api_key), merchant_id


def test_an_endpoint_from_its_creation_to_its_end(merchant: tuple[Client, str], stack: Stack) -> None:
    """Fails when a role lacks a right that its function needs, or when any table holds a secret."""
    client, _ = merchant
    created = done(client, "POST", "/webhook_endpoints", {"url": URL})
    path = f"/webhook_endpoints/{created['id']}"
    rotated = done(client, "POST", f"{path}/secret_rotations", {"overlap_seconds": 60})
    assert created["secret"] != rotated["secret"]
    tested = done(client, "POST", f"{path}/test_events")
    assert done(client, "PATCH", path, {"status": "disabled"})["status"] == "disabled"
    enabled = done(client, "PATCH", path, {"status": "enabled"})
    # How often the receiver, which is not there, has failed again since says how busy the machine is.
    assert client.call("GET", path).json()["health"].keys() == {
        "consecutive_failures",
        "failing_since_ms",
        "breaker_open_until_ms",
    }
    assert [one["version"] for one in client.call("GET", "/webhook_endpoints").json()["data"]] == [enabled["version"]]
    event = client.call("GET", f"/events/{tested['event_id']}")
    assert (event.status, event.json()["type"], event.json()["sequence"]) == (200, "webhook_endpoint.test", 3)
    assert done(client, "DELETE", path)["deleted"] is True
    assert client.call("GET", path).status == 404
    scan = stack.client("dynamodb").scan
    for table in (Table.IDEMPOTENCY, Table.OUTBOX, Table.ENDPOINTS, Table.DELIVERIES):
        for item in scan(TableName=stack.outputs[f"{table.value.capitalize()}TableName"])["Items"]:
            plain = from_attributes(item)
            assert not any(holds_secret(plain, view["secret"]) for view in (created, rotated))


def test_a_delivery_is_seen_and_sent_again_and_a_range_replayed(merchant: tuple[Client, str], stack: Stack) -> None:
    client, merchant_id = merchant
    endpoint_id = done(client, "POST", "/webhook_endpoints", {"url": URL, "event_types": ["payment.*"]})["id"]
    database = stack.database()
    now_ms = time.time_ns() // 1_000_000 - SETTLING_MS - 1000
    made = MemoryDatabase()
    event = store_event(made, 1, created_at_ms=now_ms, merchant_id=merchant_id)
    # The delivery before its event: the relay makes one for every event that it finds without.
    delivery = store_delivery(database, event, endpoint_id, DeliveryStatus.FAILED, now_ms=now_ms)
    database.write([Insert(Table.OUTBOX, item) for item in items_of(made, Table.OUTBOX)])
    path = f"/webhook_endpoints/{endpoint_id}"
    assert client.call("GET", f"{path}/deliveries?status=failed").json()["data"][0]["id"] == delivery.delivery_id
    one = f"{path}/deliveries/{delivery.delivery_id}"
    assert done(client, "POST", f"{one}/redeliveries")["status"] == "pending"
    assert client.call("GET", one).json()["status"] == "pending"
    replay = done(client, "POST", f"{path}/replays", {"from_ms": now_ms, "until_ms": now_ms})
    assert client.call("GET", f"{path}/replays/{replay['id']}").json()["only"] == "undelivered"
    listed = client.call("GET", "/events?limit=1&type=payment.captured")
    assert event["body"] in listed.body
    assert json.loads(event["body"]) == listed.json()["data"][0]


def test_a_role_opens_no_secret_it_does_not_need(stack: Stack) -> None:
    """Fails when the key of the secrets, or the queue, is open to whoever reads endpoints."""
    import boto3

    iam, sts = stack.client("iam"), stack.client("sts")

    def as_role(part: str, service: str) -> Any:
        arn = next(role["Arn"] for role in iam.list_roles()["Roles"] if part in role["RoleName"])
        got = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=stack.endpoint_url,
            region_name="eu-central-1",
            aws_access_key_id=got["AccessKeyId"],
            aws_secret_access_key=got["SecretAccessKey"],
            aws_session_token=got["SessionToken"],
        )

    key_arn, queue_url = stack.outputs["SecretsKeyArn"], stack.outputs["DeliveryQueueUrl"]
    for role in ("GetWebhookEndpointFunction", "UpdateWebhookEndpointFunction", "CreatePaymentFunction"):
        with pytest.raises(ClientError, match="AccessDenied"):
            as_role(role, "kms").generate_data_key(KeyId=key_arn, NumberOfBytes=32)
    for role in ("ReplayWebhooksFunction", "CreatePaymentFunction"):
        with pytest.raises(ClientError, match="AccessDenied"):
            as_role(role, "sqs").send_message(QueueUrl=queue_url, MessageBody="{}")
