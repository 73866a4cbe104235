"""The functions' own handlers with a test's application: DynamoDB, SQS and KMS are moto's."""

from __future__ import annotations

import importlib.util
import json
import logging
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from payonce.ports import Table
from payonce.wiring.delivery import DeliveryApplication
from payonce.wiring.notices import NoticeApplication
from payonce.wiring.recovery import RecoveryApplication
from payonce.wiring.settings import load_settings
from tests.support.aws import REGION, REPOSITORY, create_tables, dynamo_database, dynamodb_client, load_template
from tests.support.leaks import Listening, leaks_in, queues_leaks, tables_leaks
from tests.support.notices import SECRETS
from tests.support.roles import function_names, grants, recorded
from tests.support.world import RealClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


FIRST_ERROR = 400  # of HTTP's statuses
# Port 9 takes no connection: certainly nothing is sent.
PROXY_CONFIG = {
    "upstreams": {"shop": {"url": "http://127.0.0.1:9"}},
    "routes": [{"name": "orders", "path": "/orders", "upstream": "shop", "scope": {"claim": "merchant_id"}}],
}


@pytest.fixture(autouse=True)
def said() -> Iterator[Listening]:
    """Listens to all logs of a test, which fails at its end when one says a secret or a payer's data."""
    listening = Listening()
    logging.getLogger().addHandler(listening)
    try:
        yield listening
    finally:
        logging.getLogger().removeHandler(listening)
    assert leaks_in("the logs of this test", "\n".join(listening.lines)) == []


@pytest.fixture
def application() -> Iterator[DeliveryApplication]:
    """The application on moto; at its end neither its tables nor its queue may hold a secret."""
    clock = RealClock()
    with mock_aws():
        client = dynamodb_client()
        database = dynamo_database(client, create_tables(client))
        key_arn = boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["Arn"]
        sqs = boto3.client("sqs", region_name=REGION)
        queue_url = sqs.create_queue(QueueName="deliveries")["QueueUrl"]
        yield DeliveryApplication(
            load_settings(
                {
                    "PAYONCE_GATEWAYS": '[{"name":"bank","kind":"sandbox_bank","url":"http://127.0.0.1:9"},'
                    '{"name":"adyen","kind":"adyen","merchant_account":"ShopECOM"}]',
                    "PAYONCE_DEFAULT_GATEWAY": "bank",
                    "PAYONCE_SECRETS_KEY_ARN": key_arn,
                    "PAYONCE_DELIVERY_QUEUE_URL": queue_url,
                    "PAYONCE_RECOVERY_QUEUE_URL": sqs.create_queue(QueueName="recovery")["QueueUrl"],
                    "PAYONCE_GATEWAY_EVENT_QUEUE_URL": sqs.create_queue(QueueName="gateway-events")["QueueUrl"],
                }
            ),
            clock=clock,
            database=database,
            gateways={"bank": ScriptedGateway(clock)},
        )
        names = {table: table.value for table in Table}
        sqs = boto3.client("sqs", region_name=REGION)
        assert [*tables_leaks(client, names), *queues_leaks(sqs, [queue_url])] == []


@cache
def handlers() -> dict[str, tuple[Path, str]]:
    """Return each function's folder and handler: a route's by its operation, the others by their folder."""
    found: dict[str, tuple[Path, str]] = {}
    for resource in load_template()["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            folder = REPOSITORY / resource["Properties"]["CodeUri"]
            name = resource["Properties"].get("Handler", "app.handler").removeprefix("app.")
            found[folder.name if name == "handler" else name] = (folder, name)
    return found


def load_handler(function: str, application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the function's app.py as the runtime does, with the test's application as its composition root."""
    folder, name = handlers()[function]
    monkeypatch.setattr("payonce.wiring.application.bootstrap", lambda: application)
    monkeypatch.setenv("PAYONCE_PROXY_CONFIG", json.dumps(PROXY_CONFIG))
    monkeypatch.setattr("payonce.wiring.delivery.bootstrap_delivery", lambda: application)
    recovering = RecoveryApplication(
        application.settings,
        clock=application.clock,
        database=application.database,
        gateways=application._gateways,
    )
    monkeypatch.setattr("payonce.wiring.recovery.bootstrap_recovery", lambda: recovering)
    taking = NoticeApplication(
        application.settings,
        clock=application.clock,
        database=application.database,
        gateways=application._gateways,
    )
    taking.read_event_secrets = lambda: SECRETS  # type: ignore[method-assign]
    monkeypatch.setattr("payonce.wiring.notices.bootstrap_notices", lambda: taking)
    spec = importlib.util.spec_from_file_location(f"app_{function}", folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return within_its_role(function, getattr(module, name))


def within_its_role(function: str, handler: Any) -> Any:
    """Return the handler as its role lets it run: the test fails when it asks AWS for what the role does not allow."""
    allowed = grants(function_names()[function])

    @wraps(handler)
    def guarded(event: Any, context: Any) -> Any:
        with recorded() as calls:
            try:
                answer = handler(event, context)
                if isinstance(answer, dict) and answer.get("statusCode", 0) >= FIRST_ERROR:
                    assert leaks_in(f"an error's answer of {function}", json.dumps(answer, ensure_ascii=False)) == []
                return answer
            finally:
                refused = [call for call in calls if not any(grant.allows(call) for grant in allowed)]
                assert not refused, f"the role of {function} does not allow {refused}"

    return guarded
