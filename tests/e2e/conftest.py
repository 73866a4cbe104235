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
from local.stack import STACK_NAME, Ports
from tests.e2e.trails import check_trails
from tests.support.leaks import (
    MARKED_GATEWAY_KEY,
    buckets_leaks,
    leaks_in,
    logs_leaks,
    queues_leaks,
    tables_leaks,
)
from tests.support.roles import function_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from tests.support.leaks import Leak

REQUEST_TIMEOUT_SECONDS = 120
FIRST_ERROR = 400  # of HTTP's statuses
DECLINED = 402  # no refusal: the answer has the payment, with the token that the merchant sent
OURS = STACK_NAME  # beside the stack's buckets there is SAM's, with the code


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
        stack = cloud.deploy()
        bound(stack)
        mark(stack)
        yield stack
        check_trails(stack)
        assert list(leaks_of(stack)) == []
    finally:
        cloud.stop()


def bound(stack: Stack) -> None:
    """Give every function's role its boundary, as CloudFormation does on AWS: the local cloud's leaves it out."""
    iam = stack.client("iam")
    arns = [
        policy["Arn"]
        for page in iam.get_paginator("list_policies").paginate(Scope="Local")
        for policy in page["Policies"]
    ]
    (boundary,) = [arn for arn in arns if "FunctionsBoundary" in arn]
    functions = function_names().values()
    for role in iam.list_roles()["Roles"]:
        if any(function in role["RoleName"] for function in functions):
            iam.put_role_permissions_boundary(RoleName=role["RoleName"], PermissionsBoundary=boundary)


def mark(stack: Stack) -> None:
    """Mark the gateways' keys, which have no form of their own."""
    keys = {"stripe_api_key": "", "sandbox_bank_api_key": MARKED_GATEWAY_KEY}
    stack.client("secretsmanager").put_secret_value(
        SecretId=stack.outputs["GatewaySecretArn"], SecretString=json.dumps(keys)
    )


# The bodies of all answers that refused something, of the whole session.
REFUSALS: list[bytes] = []


def leaks_of(stack: Stack) -> Iterator[Leak]:
    """Yield each secret, and each payer's data, that is after all tests where it must not be.

    Scanned are every line that a function logged, every table, every message in queues and dead-letter queues, every
    object, and the body of every refusal.
    """
    yield from logs_leaks(stack.client("logs"))
    yield from tables_leaks(stack.client("dynamodb"), stack.table_names)
    sqs, s3 = stack.client("sqs"), stack.client("s3")
    yield from queues_leaks(sqs, sqs.list_queues().get("QueueUrls", []))
    yield from buckets_leaks(s3, [name for each in s3.list_buckets()["Buckets"] if OURS in (name := each["Name"])])
    yield from leaks_in("an answer that refuses", "\n".join(body.decode(errors="replace") for body in REFUSALS))


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
        if answer.status >= FIRST_ERROR and answer.status != DECLINED:
            REFUSALS.append(answer.data)
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
