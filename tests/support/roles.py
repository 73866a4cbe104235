"""What each function's role allows, as template.yaml says it, and what a handler asked AWS for while it ran.

IAM decides a transaction by the actions of its parts (PutItem, UpdateItem, DeleteItem), a batch of messages by
SendMessage, and HeadObject by GetObject:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
"""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from botocore.client import BaseClient

from payonce.ports import Adjust, Delete, Insert, Table
from payonce.stores.memory import MemoryDatabase
from payonce.stores.schema import SCHEMAS
from tests.support.aws import load_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

KEYS_CONDITION, ATTRIBUTES_CONDITION = "dynamodb:LeadingKeys", "dynamodb:Attributes"
PURPOSE_CONDITION = "kms:EncryptionContext:purpose"  # a call without a purpose is not allowed by it
OPERATORS = {"ForAllValues:StringEquals", "ForAllValues:StringLike", "StringEquals"}
WRITES = {"Put": "dynamodb:PutItem", "Update": "dynamodb:UpdateItem", "Delete": "dynamodb:DeleteItem"}


@dataclass(frozen=True, slots=True)
class Grant:
    """One action on one resource. ``keys`` and ``attributes`` are patterns; empty for any. KMS's key is the purpose.

    ``resource`` is the logical name, with what follows its ARN: ``OutboxTable/index/events-by-merchant``.
    """

    action: str
    resource: str
    keys: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()

    def allows(self, call: Call) -> bool:
        """Return whether the call is one of these."""
        return (
            call.action == self.action
            and fnmatchcase(call.resource, self.resource)
            and (not self.keys or any(fnmatchcase(call.key, pattern) for pattern in self.keys))
            and (not self.attributes or call.attributes <= set(self.attributes))
        )


@dataclass(frozen=True, slots=True)
class Call:
    """What IAM is asked: an action on a resource, the partition it touches and the attributes it names."""

    action: str
    resource: str
    key: str = ""
    attributes: frozenset[str] = frozenset()


def listed(value: Any) -> list[Any]:
    """Return a statement's value as a list."""
    return value if isinstance(value, list) else [value]


def statements(function: str) -> list[dict[str, Any]]:
    """Return the statements of a function's role, those under a condition included."""
    policies = load_template()["Resources"][function]["Properties"].get("Policies", [])
    return [
        statement for policy in policies for statement in (policy["If"][1] if "If" in policy else policy)["Statement"]
    ]


def resource_name(resource: Any) -> str:
    """Return the logical name of a statement's resource. Raises ``ValueError`` for a form that is not known."""
    match resource:
        case {"If": ["IsLocal", "*", on_aws]}:
            return resource_name(on_aws)
        case {"GetAtt": text}:
            return str(text).removesuffix(".Arn")
        case {"Sub": [text, _]} | {"Sub": text}:
            for pattern, name in (
                (r"\$\{(\w+)\.Arn\}(/.*)", r"\1\2"),
                (r"arn:.*:table/\$\{AWS::StackName\}-\*/index/\*", "Tables/index/*"),
                (r"arn:.*:s3:::\$\{Bucket\}(/.*)?", r"ReconciliationBucket\1"),
                (r"arn:.*:secret:\$\{AWS::StackName\}-gateways-\?{6}", "GatewaySecret"),
                (r"arn:.*:parameter/\$\{AWS::StackName\}(/.*)", r"parameter\1"),
                (r"arn:.*:stateMachine:\$\{AWS::StackName\}-corrections", "CorrectionsWorkflow"),
            ):
                if re.fullmatch(pattern, text):
                    return re.sub(pattern, name, text)
    raise ValueError(f"no name is known for {resource}")


@cache
def grants(function: str) -> frozenset[Grant]:
    """Return what the role of the function (its logical name) allows. Raises ``ValueError`` for an unknown form."""
    found = set()
    for statement in statements(function):
        if statement.keys() - {"Effect", "Action", "Resource", "Condition"} or statement["Effect"] != "Allow":
            raise ValueError(f"the statement has another form: {statement}")
        condition = statement.get("Condition", {})
        known = {KEYS_CONDITION, ATTRIBUTES_CONDITION, PURPOSE_CONDITION}
        if condition.keys() - OPERATORS or any(names.keys() - known for names in condition.values()):
            raise ValueError(f"the condition has another form: {condition}")
        limits = {name: tuple(listed(values)) for names in condition.values() for name, values in names.items()}
        keys = limits.get(KEYS_CONDITION, limits.get(PURPOSE_CONDITION, ()))
        found |= {
            Grant(action, resource_name(resource), keys, limits.get(ATTRIBUTES_CONDITION, ()))
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        }
    return frozenset(found)


def function_names() -> dict[str, str]:
    """Return the functions' logical names by the name that its events' folder has."""
    names = {}
    for logical, resource in load_template()["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            handler = resource["Properties"].get("Handler", "app.handler").removeprefix("app.")
            folder = resource["Properties"]["CodeUri"].removeprefix("functions/")
            names[folder if handler == "handler" else handler] = logical
    return names


def calls_of(service: str, operation: str, request: Mapping[str, Any]) -> list[Call]:
    """Return what IAM is asked for one call of an SDK client. Raises ``KeyError`` for an unknown operation."""
    match service, operation:
        case "dynamodb", "TransactWriteItems":
            return [
                _dynamodb_call(WRITES[action], part)
                for each in request["TransactItems"]
                for action, part in each.items()
            ]
        case "dynamodb", "BatchGetItem":
            return [
                _dynamodb_call("dynamodb:BatchGetItem", {"TableName": name, "Key": key})
                for name, asked in request["RequestItems"].items()
                for key in asked["Keys"]
            ]
        case "dynamodb", _:
            return [_dynamodb_call(f"dynamodb:{operation}", request)]
        case "s3", _:
            action = {"HeadObject": "GetObject"}.get(operation, operation)
            return [Call(f"s3:{action}", f"{_bucket(request['Key'])}/{request['Key']}")]
        case "sqs", "SendMessage" | "SendMessageBatch":
            return [Call("sqs:SendMessage", _queue(request["QueueUrl"]))]
        case "kms", _:
            return [Call(f"kms:{operation}", "SecretsKey", request["EncryptionContext"].get("purpose", ""))]
        case "secretsmanager", _:
            return [Call(f"secretsmanager:{operation}", "GatewaySecret")]
        case "stepfunctions", _:
            return [Call(f"states:{operation}", "CorrectionsWorkflow")]
    raise KeyError(f"{service}:{operation}")


def _queue(url: str) -> str:
    names = {"deliveries": "DeliveryQueue", "recovery": "RecoveryQueue", "gateway-events": "GatewayEventQueue"}
    return names[url.rpartition("/")[2]]


def _bucket(key: str) -> str:
    return "ProxyAnswers" if key.startswith("responses/") else "ReconciliationBucket"


def _dynamodb_call(action: str, request: Mapping[str, Any]) -> Call:
    table = Table(request["TableName"])
    resource = f"{table.value.capitalize()}Table"
    if "IndexName" in request:
        return Call(action, f"{resource}/index/{request['IndexName']}")
    if action == "dynamodb:Query":
        return Call(action, resource, request["ExpressionAttributeValues"][":p"]["S"])
    item = request.get("Item") or request["Key"]
    named = set(item) | set(request.get("ExpressionAttributeNames", {}).values())
    return Call(action, resource, item[SCHEMAS[table].key[0]]["S"], frozenset(named))


def _memory_calls(method: str, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Iterable[Call]:
    """Return what DynamoDB's adapter would ask for instead of this call of the database in memory."""
    table = f"{arguments[0].value.capitalize()}Table" if isinstance(arguments[0], Table) else ""
    match method:
        case "query" if named.get("index"):
            yield Call("dynamodb:Query", f"{table}/index/{named['index']}")
        case "query":
            yield Call("dynamodb:Query", table, named["partition"][1])
        case "get" | "get_many":
            action = "dynamodb:GetItem" if method == "get" else "dynamodb:BatchGetItem"
            for key in [arguments[1]] if method == "get" else arguments[1]:
                yield Call(action, table, key[SCHEMAS[arguments[0]].key[0]])
        case "write":
            for write in arguments[0]:
                key = write.item if isinstance(write, Insert) else write.key
                word = {Insert: "Put", Adjust: "Update", Delete: "Delete"}[type(write)]
                attributes = {*key, *write.require, *write.set, *write.add} if isinstance(write, Adjust) else set(key)
                name = f"{write.table.value.capitalize()}Table"
                yield Call(WRITES[word], name, key[SCHEMAS[write.table].key[0]], frozenset(attributes))


@contextmanager
def recorded() -> Iterator[set[Call]]:
    """Collect what is asked of AWS by any client, and of a database in memory in its place, in any thread."""
    seen: set[Call] = set()
    make_call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def called(client: Any, operation: str, request: Any) -> Any:
        service = client.meta.service_model.service_name
        seen.update(calls_of(service, operation, request))
        return make_call(client, operation, request)

    def in_memory(method: str) -> Any:
        original = getattr(MemoryDatabase, method)

        def called(database: Any, *arguments: Any, **named: Any) -> Any:
            seen.update(_memory_calls(method, arguments, named))
            return original(database, *arguments, **named)

        return patch.object(MemoryDatabase, method, called)

    with ExitStack() as patched:
        patched.enter_context(patch.object(BaseClient, "_make_api_call", called))
        for method in ("get", "get_many", "query", "write"):
            patched.enter_context(in_memory(method))
        yield seen
