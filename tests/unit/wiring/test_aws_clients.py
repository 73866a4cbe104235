"""Which client a service of AWS is reached with, and with whose credentials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from payonce.domain.errors import GatewayUnavailable
from payonce.gateways.secrets import read_secrets
from payonce.network.kept_connections import Answer
from payonce.stores.dynamodb_client import HttpDynamoDB
from payonce.wiring.application import Application
from payonce.wiring.aws_clients import UNUSUAL_VARIABLES, client_config, dynamodb_client, secret_reader
from payonce.wiring.settings import load_settings
from tests.support.aws import FAKE_CREDENTIALS, REGION

if TYPE_CHECKING:
    from payonce.network.kept_connections import Connections

USUAL = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}


def connections_of(client: Any) -> Connections:
    found: Connections = client.service._connections
    return found


@pytest.fixture(autouse=True)
def _of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FAKE_CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "ap-southeast-7"])
def test_a_functions_environment_gets_a_client_of_ours(region: str) -> None:
    client = dynamodb_client(None, environment={**USUAL, "AWS_REGION": region})
    assert isinstance(client, HttpDynamoDB)
    assert connections_of(client).host == f"dynamodb.{region}.amazonaws.com"
    assert connections_of(client)._address[1] == 443
    assert os.path.exists(str(connections_of(client)._ca_file))  # noqa: PTH110
    local, variable = "http://127.0.0.1:4566", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4567"}
    assert connections_of(dynamodb_client(local, environment=USUAL)).host == "127.0.0.1:4566"
    assert connections_of(dynamodb_client(local, environment=USUAL | variable)).host == "127.0.0.1:4566"
    assert connections_of(dynamodb_client(None, environment=USUAL | variable)).host == "127.0.0.1:4567"


@pytest.mark.parametrize(
    "change",
    [
        *({name: "x"} for name in UNUSUAL_VARIABLES),
        {"AWS_REGION": "cn-north-1"},
        {"AWS_REGION": "us-iso-east-1"},
        {"AWS_REGION": ""},
        {"AWS_ACCESS_KEY_ID": ""},
    ],
)
def test_what_ours_does_not_follow_is_left_to_the_sdk(monkeypatch: pytest.MonkeyPatch, change: dict[str, str]) -> None:
    """Fails when a proxy, a profile, a FIPS endpoint or another partition that the SDK follows is passed over."""
    asked: list[tuple[str, Any]] = []
    monkeypatch.setattr("boto3.client", lambda service, **options: asked.append((service, options["endpoint_url"])))
    assert dynamodb_client("http://127.0.0.1:1", environment={**USUAL, **change}) is None
    secret_reader(None, {**USUAL, **change})
    assert asked == [("dynamodb", "http://127.0.0.1:1"), ("secretsmanager", None)]


def test_the_credentials_of_a_container_are_asked_for_and_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that was restored from a snapshot gets its credentials from an address, and they expire."""
    times = iter(["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
    asked: list[str] = []

    def retrieve(_self: object, full_url: str, headers: object = None) -> dict[str, str]:
        asked.append(full_url)
        return {
            "AccessKeyId": f"A{len(asked)}",
            "SecretAccessKey": "s",
            "Token": "t",
            "Expiration": next(times),
        }

    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.retrieve_full_uri", retrieve)
    url = "http://127.0.0.1:9001/2021-04-23/credentials"
    environment = {"AWS_REGION": REGION, "AWS_CONTAINER_CREDENTIALS_FULL_URI": url}
    client: Any = dynamodb_client(None, environment=environment)
    assert asked == []  # what a snapshot would hold is not asked for before it
    credentials = client.service._signer._credentials
    assert [credentials().access_key for _ in range(3)] == ["A2", "A2", "A2"]
    assert asked == [url, url]


def test_a_secret_is_read_without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the request is not Secrets Manager's, or an error tells what the secret is."""
    sent: list[tuple[dict[str, str], bytes]] = []
    body = [json.dumps({"SecretString": '{"stripe_api_key":"sk"}'}).encode()]

    def post(_self: object, headers: dict[str, str], request: bytes) -> Answer:
        sent.append((headers, request))
        return Answer(200, {}, body[0])

    monkeypatch.setattr("payonce.network.kept_connections.Connections.post", post)
    read = secret_reader(None, USUAL)
    assert read_secrets(read, "arn:1") == {"stripe_api_key": "sk"}
    [(headers, request)] = sent
    assert headers["host"] == f"secretsmanager.{REGION}.amazonaws.com"
    assert (headers["x-amz-target"], headers["content-type"]) == (
        "secretsmanager.GetSecretValue",
        "application/x-amz-json-1.1",
    )
    assert json.loads(request) == {"SecretId": "arn:1"}
    body[0] = b'{"SecretString":"no json: sk_live_1"}'
    with pytest.raises(GatewayUnavailable) as raised:
        read_secrets(read, "arn:1")
    assert "sk_live" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_sdks_clients_share_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when an adapter makes a session of its own: each reads the partitions and its services' models again."""
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    made: list[object] = []
    make = botocore.session.Session.__init__

    def counted(self: botocore.session.Session, *args: Any, **options: Any) -> None:
        made.append(self)
        make(self, *args, **options)

    monkeypatch.setattr("botocore.session.Session.__init__", counted)
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "false")  # so that the SDK reaches DynamoDB too
    monkeypatch.setenv("PAYONCE_RECONCILIATION_BUCKET", "b")
    arn = f"arn:aws:kms:{REGION}:1:key/1"
    url = f"https://sqs.{REGION}.amazonaws.com/1/q"
    settings = load_settings({"PAYONCE_SECRETS_KEY_ARN": arn, "PAYONCE_DELIVERY_QUEUE_URL": url})
    application = Application(settings)
    for adapter in ("database", "cipher", "delivery_queue", "files", "workflows"):
        assert getattr(application, adapter)
    assert len(made) == 1
    assert client_config().retries == {"mode": "standard", "total_max_attempts": 3}


STOCK_AFTER_OURS = """
import sys
import payonce.idempotency.engine
assert "boto3" not in sys.modules
import aws_lambda_powertools.utilities.idempotency as package
try:
    package.Nothing
except AttributeError:
    pass
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, idempotent
from aws_lambda_powertools.utilities.idempotency.persistence.dynamodb import DynamoDBPersistenceLayer as by_its_module
assert DynamoDBPersistenceLayer is by_its_module
assert issubclass(DynamoDBPersistenceLayer, package.BasePersistenceLayer)
print(DynamoDBPersistenceLayer.__init__.__qualname__)
"""
OURS_AFTER_STOCK = """
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer as first
import payonce.idempotency.engine
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
assert first is DynamoDBPersistenceLayer
print(DynamoDBPersistenceLayer.__init__.__qualname__)
"""


@pytest.mark.parametrize("program", [STOCK_AFTER_OURS, OURS_AFTER_STOCK])
def test_powertools_own_layer_can_be_used_beside_ours(program: str) -> None:
    """Fails when ours loads boto3, or leaves its stand-in to who uses the stock utility in the same function."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "DynamoDBPersistenceLayer.__init__"
