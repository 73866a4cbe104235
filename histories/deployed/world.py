"""The deployed stack with the proxy between its functions and their services, and merchants of it."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from histories.deployed.points import BANK, FUNCTIONS, RECEIVER
from histories.deployed.proxy import FaultProxy, fault_proxy
from local.stack import STACK_NAME
from payonce.aws.envelope import EnvelopeCipher
from payonce.clock import SystemClock
from payonce.wiring.application import Application
from payonce.wiring.settings import LOCAL_ENVIRONMENT, load_settings
from tests.support.events import call as handled
from tests.support.http import Answer, call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from histories.deployed.wire import Address
    from local.receiver import Received
    from local.stack import Stack

ENDPOINT_VARIABLE = "PAYONCE_ENDPOINT_URL"
GENERATION_VARIABLE = "PAYONCE_TRIAL"  # of no meaning to the functions: a change of it makes their environments new
GATEWAYS_VARIABLE = "PAYONCE_GATEWAYS"
EVENTS = "payment.*"
PATIENCE_SECONDS = 120.0  # of a client for an answer
FIRST_REFUSAL = 300  # of HTTP's statuses


@dataclass(frozen=True, slots=True)
class Shop:
    """A merchant of its own, with a webhook endpoint at ``path`` of the receiver, behind the proxy."""

    world: Deployed
    merchant_id: str
    api_key: str
    path: str
    endpoint_id: str = ""

    def send(self, method: str, path: str, body: Any = None, *, key: str = "") -> Answer:
        """Send one request. Raises what the network does."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.api_key}"}
        if key:
            headers["X-Idempotency-Key"] = key
        raw = None if body is None else json.dumps(body).encode()
        url = self.world.stack.api_url
        return call(url, method, urlsplit(url).path + path, raw, headers, timeout_seconds=PATIENCE_SECONDS)

    def known(self, operation: str, **options: Any) -> Any:
        """Return the document of a success of an operation that is served in this process, on the stack's tables.

        What is stored is looked at without the functions: they are busy with what is tried.
        """
        body = options.pop("body", None)
        key = str(uuid.uuid4()) if body is not None else None
        answer = handled(
            self.world.application, operation, body, key=key, merchant_id=self.merchant_id, gateway="", **options
        )
        if answer["statusCode"] >= FIRST_REFUSAL:
            raise RuntimeError(f"{operation}: {answer['statusCode']} {answer['body']}")
        return json.loads(answer["body"])

    def received(self, event_type: str) -> list[Received]:
        """Return the webhooks of a type that have come."""
        came = self.world.stack.receiver.received(self.path)
        return [one for one in came if json.loads(one.body)["type"] == event_type]

    def delivered(self, event_type: str) -> bool:
        """Return whether an event of a type was delivered, and no delivery of such an event is under way."""
        listed = self.known("list_webhook_deliveries", path={"endpoint_id": self.endpoint_id})["data"]
        statuses = {one["status"] for one in listed if one["event_type"] == event_type}
        return statuses == {"delivered"}


@dataclass(slots=True)
class Deployed:
    """A stack behind a proxy."""

    stack: Stack
    proxy: FaultProxy
    names: dict[str, str]
    application: Application
    generations: int = 0
    _variables: dict[str, dict[str, str]] = field(default_factory=dict)

    def shop(self) -> Shop:
        """Make a merchant with an endpoint."""
        merchant_id = self.application.merchants.create_merchant("Faults")
        _, api_key = self.application.merchants.create_api_key(merchant_id)
        made = Shop(self, merchant_id, api_key, f"/{uuid.uuid4().hex}")
        url = self.proxy.url(RECEIVER) + made.path
        endpoint = made.known("create_webhook_endpoint", body={"url": url, "event_types": [EVENTS]})
        return replace(made, endpoint_id=endpoint["id"])

    def renew(self, door: str) -> None:
        """Let the next invocation of a function find a new execution environment."""
        self.generations += 1
        variables = {**self._variables[door], GENERATION_VARIABLE: str(self.generations)}
        self._configure(door, variables)

    def interpose(self) -> None:
        """Let each function of a payment reach its services through a door of its own."""
        cloud, bank = _address(self.stack.endpoint_url), _address(self.stack.bank.url)
        for door, target in {**dict.fromkeys(FUNCTIONS, cloud), BANK: bank}.items():
            self.proxy.open(door, target)
        self.proxy.open(RECEIVER, _address(self.stack.receiver.url))
        for door in FUNCTIONS:
            found = self._client.get_function_configuration(FunctionName=self.names[door])
            variables = dict(found["Environment"]["Variables"])
            gateways = variables[GATEWAYS_VARIABLE].replace(self.stack.bank.url, self.proxy.url(BANK))
            self._configure(door, {**variables, ENDPOINT_VARIABLE: self.proxy.url(door), GATEWAYS_VARIABLE: gateways})

    def restore(self) -> None:
        """Let the functions reach their services as deployed."""
        for door, variables in self._variables.items():
            gateways = variables[GATEWAYS_VARIABLE].replace(self.proxy.url(BANK), self.stack.bank.url)
            self._configure(door, {**variables, ENDPOINT_VARIABLE: "", GATEWAYS_VARIABLE: gateways})

    @property
    def _client(self) -> Any:
        return self.stack.client("lambda")

    def _configure(self, door: str, variables: dict[str, str]) -> None:
        self._variables[door] = variables
        self._client.update_function_configuration(FunctionName=self.names[door], Environment={"Variables": variables})


def application_of(stack: Stack) -> Application:
    """Return the stack's application in this process, with the local root credentials and past the proxy."""
    key_arn = stack.outputs["SecretsKeyArn"]
    settings = load_settings({"PAYONCE_ENVIRONMENT": LOCAL_ENVIRONMENT, "PAYONCE_SECRETS_KEY_ARN": key_arn})
    clock = SystemClock()
    cipher = EnvelopeCipher(stack.client("kms"), key_arn, clock, os.urandom)
    return Application(settings, clock=clock, database=stack.database(), cipher=cipher)


def _address(url: str) -> Address:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80


@contextmanager
def behind_proxy(stack: Stack) -> Iterator[Deployed]:
    """Yield the stack with the proxy before its services; at the end its functions are as they were deployed."""
    resources = stack.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    physical = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    with fault_proxy() as proxy:
        names = {door: physical[function] for door, function in FUNCTIONS.items()}
        world = Deployed(stack, proxy, names, application_of(stack))
        world.interpose()
        try:
            yield world
        finally:
            world.restore()
