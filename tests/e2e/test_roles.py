"""Each function's role, tried: what its statements name is allowed, and everything else is denied.

Generated from template.yaml: every role is tried with every action on every table and index, and with the stack's other
services. What is allowed changes nothing: its own condition fails. The local cloud does not evaluate the conditions on
keys and attributes, which tests/functional holds each handler to (conftest.within_its_role).
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from payonce.ports import Table
from payonce.stores.schema import SCHEMAS
from tests.support.aws import load_template
from tests.support.roles import Call, function_names, grants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack

POLLED = ("DeliveryQueue", "EventInbox", "RecoveryQueue", "GatewayEventQueue")
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


@dataclass(frozen=True, slots=True)
class Trial:
    """A call, and what IAM is asked for it."""

    service: str
    method: str
    request: dict[str, Any]
    call: Call


class Role:
    """The credentials of a function's role."""

    def __init__(self, stack: Stack, function: str) -> None:
        roles = {role["RoleName"]: role["Arn"] for role in stack.client("iam").list_roles()["Roles"]}
        (arn,) = [arn for name, arn in roles.items() if f"-{function}Role-" in name]
        self._credentials = stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="trial")["Credentials"]
        self._endpoint_url = stack.endpoint_url
        self._clients: dict[str, Any] = {}

    def may(self, trial: Trial) -> bool:
        """Return whether the call is let through, whatever becomes of it then."""
        if trial.service not in self._clients:
            self._clients[trial.service] = boto3.client(
                trial.service,  # type: ignore[call-overload]
                endpoint_url=self._endpoint_url,
                region_name="eu-central-1",
                aws_access_key_id=self._credentials["AccessKeyId"],
                aws_secret_access_key=self._credentials["SecretAccessKey"],
                aws_session_token=self._credentials["SessionToken"],
            )
        try:
            getattr(self._clients[trial.service], trial.method)(**trial.request)
        except ClientError as error:
            return error.response["Error"]["Code"] not in DENIED
        return True


def on_a_table(name: str, table: Table) -> Iterator[Trial]:
    """Yield each action on a table and its indexes. Writes ask for an attribute that no item has."""
    resource, schema = f"{table.value.capitalize()}Table", SCHEMAS[table]
    only = {"TableName": name, "ConditionExpression": "attribute_exists(never)"}
    key: dict[str, Any] = {attribute: {"S": "nobody"} for attribute in schema.key}
    update = {**only, "Key": key, "UpdateExpression": "REMOVE never"}
    batch = {"RequestItems": {name: {"Keys": [key]}}}
    for method, request in (
        ("get_item", {"TableName": name, "Key": key}),
        ("batch_get_item", batch),
        ("put_item", {**only, "Item": key}),
        ("update_item", update),
        ("delete_item", {**only, "Key": key}),
        ("query", query(name, schema.key[0], "nobody")),
        ("scan", {"TableName": name}),
        ("delete_table", {"TableName": name}),
    ):
        action = "".join(map(str.capitalize, method.split("_")))
        yield Trial("dynamodb", method, request, Call(f"dynamodb:{action}", resource))
    for index, keys in schema.indexes.items():
        request = {**query(name, keys[0], "nobody"), "IndexName": index}
        yield Trial("dynamodb", "query", request, Call("dynamodb:Query", f"{resource}/index/{index}"))


def query(name: str, attribute: str, value: str) -> dict[str, Any]:
    return {
        "TableName": name,
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": attribute},
        "ExpressionAttributeValues": {":p": {"S": value}},
    }


def beside_tables(stack: Stack) -> Iterator[Trial]:
    """Yield calls of the stack's other services. They would have effects: only those that must be denied are made."""
    queues = stack.client("sqs").list_queues()["QueueUrls"]
    for url in queues:
        name = next(iter(url.rpartition("/")[2].removeprefix("payonce-local-").split("-")))
        for method, action, more in (
            ("send_message", "SendMessage", {"MessageBody": "trial"}),
            ("receive_message", "ReceiveMessage", {}),
            ("purge_queue", "PurgeQueue", {}),
        ):
            yield Trial("sqs", method, {"QueueUrl": url, **more}, Call(f"sqs:{action}", name))
    key_arn, bucket = stack.outputs["SecretsKeyArn"], stack.outputs["ReconciliationBucketName"]
    secret = {"SecretId": stack.outputs["GatewaySecretArn"]}
    generate = {"KeyId": key_arn, "KeySpec": "AES_256"}
    yield Trial("secretsmanager", "get_secret_value", secret, Call("secretsmanager:GetSecretValue", "GatewaySecret"))
    yield Trial("kms", "generate_data_key", generate, Call("kms:GenerateDataKey", "SecretsKey"))
    yield Trial("kms", "decrypt", {"KeyId": key_arn, "CiphertextBlob": b"x" * 64}, Call("kms:Decrypt", "SecretsKey"))
    for path in ("incoming/x", "files/x", "rows/x", "runs/x", "policy/corrections.toml", "policy/run.toml", "other/x"):
        at = {"Bucket": bucket, "Key": path}
        yield Trial("s3", "get_object", at, Call("s3:GetObject", f"ReconciliationBucket/{path}"))
        yield Trial("s3", "put_object", {**at, "Body": b""}, Call("s3:PutObject", f"ReconciliationBucket/{path}"))
    arn = {"stateMachineArn": stack.outputs["CorrectionsArn"]}
    yield Trial("stepfunctions", "start_execution", arn, Call("states:StartExecution", "CorrectionsWorkflow"))
    yield Trial("ssm", "get_parameter", {"Name": "/payonce-local/proxy"}, Call("ssm:GetParameter", "parameter/proxy"))
    function = {"FunctionName": stack.outputs["ReconcileFunctionName"], "Payload": b"{}"}
    yield Trial("lambda", "invoke", function, Call("lambda:InvokeFunction", "ReconcileFunction"))
    yield Trial("iam", "list_users", {}, Call("iam:ListUsers", "*"))


def lambdas_own(function: str) -> set[Call]:
    """Return what Lambda does with the function's role by policies that SAM attaches.

    It polls queues of the stack, and sends to the function's dead-letter queue.
    """
    properties = load_template()["Resources"][function]["Properties"]
    polls = any(event["Type"] == "SQS" for event in properties.get("Events", {}).values())
    found = {Call("sqs:ReceiveMessage", queue) for queue in POLLED if polls}
    if "DeadLetterQueue" in properties:
        found.add(Call("sqs:SendMessage", properties["DeadLetterQueue"]["TargetArn"]["GetAtt"].removesuffix(".Arn")))
    return found


def differences(stack: Stack, function: str) -> list[tuple[Call, str]]:
    """Return what the role may do though its statements do not name it, and what it may not though they do."""
    role, own = Role(stack, function), lambdas_own(function)
    named = {(grant.action, grant.resource) for grant in grants(function)}

    def is_named(call: Call) -> bool:
        return any(call.action == action and fnmatchcase(call.resource, resource) for action, resource in named)

    found = []
    for trial in [trial for table in Table for trial in on_a_table(stack.table_names[table], table)]:
        if role.may(trial) != is_named(trial.call):
            found.append((trial.call, "should be allowed" if is_named(trial.call) else "should be denied"))
    for trial in beside_tables(stack):
        if not is_named(trial.call) and trial.call not in own and role.may(trial):
            found.append((trial.call, "should be denied"))
    return found


@pytest.mark.parametrize("function", sorted(function_names().values()))
def test_a_role_is_denied_everything_that_its_statements_do_not_name(stack: Stack, function: str) -> None:
    """Fails when a role may do more than the template says, a condition does not hold, or a right is missing."""
    assert differences(stack, function) == []


@pytest.mark.parametrize(
    "function",
    ["DispatchDeliveriesFunction", "AcceptEventsFunction", "AskGatewaysFunction", "ApplyGatewayEventsFunction"],
)
def test_who_reads_one_queue_reads_no_other_of_the_account(stack: Stack, function: str) -> None:
    """Fails without the boundary: AWS's policy for whoever polls a queue names every queue."""
    url = stack.client("sqs").create_queue(QueueName="of-another-service")["QueueUrl"]
    foreign = Trial("sqs", "receive_message", {"QueueUrl": url}, Call("sqs:ReceiveMessage", "of-another-service"))
    assert not Role(stack, function).may(foreign)
