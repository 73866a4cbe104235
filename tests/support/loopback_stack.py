"""A stack on loopback for the command: AWS's services as moto has them, CloudFormation's description, and the API.

It is a process's thread with a real port, so that the command can be run as people run it, and meets what they meet: a
clock that is off, credentials that are refused, a stack that is half deployed.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.request import Request
from moto.dynamodb.responses import DynamoHandler
from moto.sqs.responses import SQSResponse
from moto.sts.responses import TokenResponse
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from payonce.cli.local_stack import CREDENTIALS, STACK
from payonce.cli.stack import EXPECTED_OUTPUTS
from payonce.domain.errors import Unauthenticated
from payonce.entrypoints.api_responses import problem
from payonce.entrypoints.http import serve
from payonce.entrypoints.routes import ROUTES
from payonce.idempotency.record_items import WAITING_SHARDS
from payonce.ports import Deadline, Table
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_queue import MemoryQueue
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.aws import create_tables, dynamo_database, dynamodb_client
from tests.support.events import Context, event
from tests.support.holding import HoldingGateway
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SERVICES = {
    "cloudformation": CloudFormationResponse,
    "dynamodb": DynamoHandler,
    "sqs": SQSResponse,
    "sts": TokenResponse,
}
GATEWAYS = [{"name": "bank", "kind": "sandbox_bank", "url": "http://127.0.0.1:9"}]
_API = re.compile(r"/_aws/execute-api/\w+/\w+(/.*)")


class _Handler(WSGIRequestHandler):
    stack: LoopbackStack

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the ``Date`` of an answer."""
        return formatdate(time.time() + self.stack.clock_off_seconds, usegmt=True)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log nothing."""


class LoopbackStack:
    """The server. ``clock_off_seconds`` shifts the ``Date`` of its answers, and ``refusals`` are by service: a status,
    an error's code and its message. ``asked`` holds each request to the API with its answer.
    """

    def __init__(self) -> None:
        self.clock_off_seconds = 0.0
        self.refusals: dict[str, tuple[int, str, str]] = {}
        self.api_statuses: list[int] = []
        self.asked: list[tuple[str, str, int, Any]] = []
        self.clock = RealClock()
        self.gateway = HoldingGateway(self.clock)
        self._application: Application | None = None
        handler = type("Handler", (_Handler,), {"stack": self})
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """The endpoint for AWS clients."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """The API's base URL."""
        return f"{self.url}/_aws/execute-api/api1/local"

    def environment(self) -> dict[str, str]:
        """Return what a person exports to use the stack, and nothing else that leads anywhere."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PAYONCE_"))}
        kept["AWS_EC2_METADATA_DISABLED"] = "true"
        return {**kept, "PAYONCE_CLOUD_PORT": str(self.port), "PAYONCE_STACK": STACK}

    def client(self, service: str) -> Any:
        """Return the SDK's client of a service."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.url,
            region_name=CREDENTIALS["AWS_REGION"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def deploy(self, *, without: frozenset[str] = frozenset()) -> Application:
        """Make the tables and the stack's description, and serve the API. Return its application."""
        names = create_tables(self.client("dynamodb"), "shop-")
        outputs = {name: name for name in sorted(EXPECTED_OUTPUTS)}
        outputs |= {f"{table.value.capitalize()}TableName": name for table, name in names.items()}
        outputs |= {"ApiId": "api1", "StageName": "local", "ApiUrl": "https://api1.execute-api.invalid/local"}
        parameters = {"Gateways": json.dumps(GATEWAYS), "DefaultGateway": "bank", "RoutingMode": "shadow"}
        template = {
            "Parameters": {name: {"Type": "String"} for name in parameters},
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {name: {"Value": value} for name, value in outputs.items() if name not in without},
        }
        self.client("cloudformation").create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        )
        self._application = Application(
            load_settings({"PAYONCE_ENVIRONMENT": "local"}),
            clock=self.clock,
            database=dynamo_database(dynamodb_client(self.url), names),
            gateways={"bank": self.gateway},
            cipher=MemoryCipher(self.clock, os.urandom),
            delivery_queue=MemoryQueue(),
        )
        return self._application

    @property
    def application(self) -> Application:
        """The application behind the API, once it is deployed."""
        assert self._application is not None, "the stack is not deployed"
        return self._application

    def settle(self) -> None:
        """Let two minutes pass, and ask the gateway about all that it holds."""
        self.clock.offset_ms += 120_000
        now_ms = self.clock.now_ms()
        for shard in WAITING_SHARDS:
            for open_id in self.application.store.open_claims(shard, lease_expired_at_ms=now_ms, limit=99):
                self.application.recovery.recover(open_id, Deadline(now_ms + 60_000))

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        api = _API.fullmatch(request.path)
        response = self._api(request, api[1]) if api else self._aws(request)
        return response(environ, start_response)

    def _aws(self, request: Request) -> Response:
        found = re.search(r"/(\w+)/aws4_request", request.headers.get("Authorization", ""))
        if found is None:
            return Response("{}", 403)
        service = found[1]
        if service in self.refusals:
            status, code, message = self.refusals[service]
            if service == "dynamodb":
                return Response(json.dumps({"__type": f"com.amazon#{code}", "message": message}), status)
            error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            xml = f"<ErrorResponse>{error}</ErrorResponse>"
            return Response(xml, status, content_type="text/xml")
        status, headers, body = SERVICES[service].dispatch(request, request.url, dict(request.headers))
        return Response(body, status, headers)

    def _api(self, request: Request, path: str) -> Response:
        body = request.get_data(as_text=True) or None
        if self.api_statuses:
            answer: Mapping[str, Any] = {"statusCode": self.api_statuses.pop(0), "headers": {}, "body": "{}"}
        else:
            answer = self._answer(request, path, body)
        self.asked.append((request.method, path, answer["statusCode"], json.loads(answer.get("body") or "null")))
        headers = {name: values[0] for name, values in (answer.get("multiValueHeaders") or {}).items()}
        return Response(answer.get("body") or "", answer["statusCode"], headers | dict(answer.get("headers") or {}))

    def _answer(self, request: Request, path: str, body: str | None) -> Mapping[str, Any]:
        try:
            who = self.application.merchants.authenticate(request.headers.get("Authorization", ""))
        except Unauthenticated as refused:
            return problem(refused)
        for route in ROUTES.values():
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
            if route.method == request.method and (found := re.fullmatch(pattern, path)):
                asked = event(
                    body,
                    key=None,
                    headers=dict(request.headers),
                    path=found.groupdict(),
                    query=request.args.to_dict(),
                    merchant_id=who.merchant_id,
                    scopes=" ".join(who.scopes),
                    gateway=who.gateway or "bank",
                    key_id=who.key_id,
                )
                return serve(route, self.application, asked, Context())
        return {"statusCode": 404, "body": "{}"}


@contextmanager
def loopback_stack() -> Iterator[LoopbackStack]:
    """Run a stack on a free port of this process, with an empty cloud."""
    with mock_aws():
        stack = LoopbackStack()
        try:
            yield stack
        finally:
            stack.stop()


def all_tables() -> list[str]:
    """Return the names of the tables that ``deploy`` makes."""
    return [f"shop-{table.value}" for table in Table]
