"""The stack, built and deployed to a local cloud of its own, with IAM enforced."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import urllib3

from local.cloud import LocalCloud
from local.stack import Ports
from tests.e2e.trails import check_trails

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack

REQUEST_TIMEOUT_SECONDS = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One deployment for the session, on free ports."""
    folder = tmp_path_factory.mktemp("cloud")
    cloud = LocalCloud(folder, Ports(free_port(), free_port(), free_port()))
    try:
        cloud.start()
        deployed = cloud.deploy()
        yield deployed
        check_trails(deployed)
    finally:
        cloud.stop()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the document."""
        return json.loads(self.body)


class Client:
    """A merchant's HTTP client, without any retries."""

    def __init__(self, stack: Stack, api_key: str) -> None:
        self.url = stack.api_url
        self.api_key = api_key
        self.pool = urllib3.PoolManager(maxsize=256, retries=False)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request; ``body`` is a document or raw bytes."""
        answer = self.send(method, path, body, key, headers)
        return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)

    def send(
        self, method: str, path: str, body: Any = None, key: str | None = None, headers: dict[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        """Send one request and return the answer as it came."""
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {self.api_key}", **(headers or {})}
        if key is not None:
            sent["X-Idempotency-Key"] = key
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return self.pool.request(method, self.url + path, body=raw, headers=sent, timeout=REQUEST_TIMEOUT_SECONDS)


@pytest.fixture(scope="session")
def client(stack: Stack) -> Client:
    """A merchant of the default gateway, the bank that ignores keys."""
    return Client(stack, stack.create_merchant("Acme")[1])


def as_role(stack: Stack, function: str) -> Any:
    """Return a DynamoDB client with the credentials of a function's role."""
    roles = {role["RoleName"]: role["Arn"] for role in stack.client("iam").list_roles()["Roles"]}
    arn = next(arn for name, arn in roles.items() if function in name)
    got = stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "dynamodb",
        endpoint_url=stack.endpoint_url,
        region_name="eu-central-1",
        aws_access_key_id=got["AccessKeyId"],
        aws_secret_access_key=got["SecretAccessKey"],
        aws_session_token=got["SessionToken"],
    )
