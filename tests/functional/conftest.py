"""The functions' own handlers with a test's application: DynamoDB, SQS and KMS are moto's."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from payonce.wiring.delivery import DeliveryApplication
from payonce.wiring.recovery import RecoveryApplication
from payonce.wiring.settings import load_settings
from tests.support.aws import REGION, REPOSITORY, create_tables, dynamo_database, dynamodb_client, load_template
from tests.support.world import RealClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# Port 9 takes no connection: certainly nothing is sent.
PROXY_CONFIG = {
    "upstreams": {"shop": {"url": "http://127.0.0.1:9"}},
    "routes": [{"name": "orders", "path": "/orders", "upstream": "shop", "scope": {"claim": "merchant_id"}}],
}


@pytest.fixture
def application() -> Iterator[DeliveryApplication]:
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
                    "PAYONCE_GATEWAYS": '[{"name":"bank","kind":"sandbox_bank","url":"http://127.0.0.1:9"}]',
                    "PAYONCE_DEFAULT_GATEWAY": "bank",
                    "PAYONCE_SECRETS_KEY_ARN": key_arn,
                    "PAYONCE_DELIVERY_QUEUE_URL": queue_url,
                    "PAYONCE_RECOVERY_QUEUE_URL": sqs.create_queue(QueueName="recovery")["QueueUrl"],
                }
            ),
            clock=clock,
            database=database,
            gateways={"bank": ScriptedGateway(clock)},
        )


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
    spec = importlib.util.spec_from_file_location(f"app_{function}", folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)
