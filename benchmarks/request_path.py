"""The request path beside Powertools' stock stack, in one run on DynamoDB Local: round trips, write units, overhead.

Both get API Gateway's proxy event. Compared are payonce; (a) the same charge and one put of the payment, without a key;
(b) what Powertools' documentation shows: its event handler with a validated body, its idempotency decorator on its
DynamoDB layer, a put of the payment, an SQS message. The cases take turns, so that they meet the same machine, and
"CPU" is this process's processor time. Read the ratios: the times are this machine's, and DynamoDB Local takes 2 to 3
ms for a transaction. Cold starts: ``benchmarks/cold_start.py``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import uuid
import warnings
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyValidationError
from pydantic import BaseModel, Field
from rich.console import Console
from rich.table import Table as TextTable

from benchmarks.meter import Meter, Row
from local.dynamodb_local import running_dynamodb_local
from payonce.domain.gateway import CaptureMethod, Succeeded
from payonce.domain.money import Money
from payonce.payments.charging import after, charged_by
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.payment_items import payment_item
from payonce.payments.representation import payment_view
from payonce.ports import Table
from payonce.stores.dynamodb import DynamoDatabase
from payonce.stores.dynamodb_requests import to_attributes
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.aws import FAKE_CREDENTIALS, REGION, create_tables, dynamodb_client, http_client
from tests.support.events import PAYMENT, Context, call, event
from tests.support.world import RealClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUESTS = int(os.environ.get("PAYONCE_BENCH_REQUESTS", "300"))
OTHER = {**PAYMENT, "amount_minor": 2}
BARE, STOCK, OURS = "(a) one put, no key", "(b) stock + put + SQS", "payonce"
console = Console()


class FakeQueue(BaseHTTPRequestHandler):
    """Answers SendMessage, so that the send costs what a request on loopback costs."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one write per answer, or the acknowledgement of the first half is waited for

    def do_POST(self) -> None:
        """Acknowledge one message."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        digest = hashlib.md5(request["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        body = json.dumps({"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": digest}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class StockPayment(BaseModel):
    """The body as a user of the stock stack declares it."""

    amount_minor: int = Field(ge=1)
    currency: str = Field(pattern="^[A-Z]{3}$")
    payment_method: str = Field(max_length=100)


class Bare:
    """What a plain handler does: one charge, one put of the same payment."""

    def __init__(self, application: Application, client: Any, table: str) -> None:
        self._application = application
        self._client = client
        self._table = table

    def pay(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the payment's view."""
        new = NewPayment(
            money=Money(data["amount_minor"], data["currency"]),
            payment_method=data["payment_method"],
            capture_method=CaptureMethod.AUTOMATIC,
        )
        services = self._application.services
        plan = plan_payment(new, merchant_id="mer_1", route=lambda _id: "bank", services=services)
        # The same payment, without the protocol around it.
        work = CreatePayment(plan, self._application.gateway, services)
        planned = work._payment(version=1)
        charged = charged_by(Succeeded("ch_1", "op_1"), planned, action_expires_at_ms=0)
        payment = after(planned, charged, first=True, at_ms=plan.created_at_ms)
        self._client.put_item(TableName=self._table, Item=to_attributes(payment_item(payment)))
        return dict(payment_view(payment))


def stock_handler(bare: Bare, client: Any, sqs: Any, queue_url: str) -> Callable[[dict[str, Any], Any], Any]:
    """Return the Lambda handler of the stock stack."""
    resolver = APIGatewayRestResolver(enable_validation=True)

    @resolver.post("/payments")
    def create(payment: StockPayment) -> dict[str, Any]:
        view = bare.pay(payment.model_dump())
        sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps(view))
        return view

    layer = DynamoDBPersistenceLayer(table_name="stock", boto3_client=client)
    config = IdempotencyConfig(
        event_key_jmespath='headers."X-Idempotency-Key"',
        payload_validation_jmespath="body",
        raise_on_no_idempotency_key=True,
    )

    @idempotent(persistence_store=layer, config=config)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return resolver.resolve(event, context)

    return handler  # type: ignore[no-any-return]


def main() -> int:
    """Print the table."""
    os.environ.update(FAKE_CREDENTIALS, POWERTOOLS_LOG_LEVEL="ERROR")
    warnings.simplefilter("ignore")
    queue = ThreadingHTTPServer(("127.0.0.1", 0), FakeQueue)
    threading.Thread(target=queue.serve_forever, daemon=True).start()
    with running_dynamodb_local() as endpoint_url:
        rows = compare(endpoint_url, f"http://127.0.0.1:{queue.server_address[1]}")
    queue.shutdown()
    show(rows)
    return 0


def show(rows: list[Row]) -> None:
    """Print each row, and the overhead over the bare put beside the stock stack's."""
    table = TextTable("case", "round trips", "write units", "p50 ms", "p99 ms", "CPU p50 ms")
    for row in rows:
        counts = (f"{row.round_trips:.2f}", f"{row.write_units:.2f}")
        table.add_row(row.label, *counts, *(f"{ms:.2f}" for ms in (row.p50_ms, row.p99_ms, row.cpu_p50_ms)))
    console.print(table)
    found = {row.label: row for row in rows}
    bare = found[BARE]
    ratios = TextTable("payonce / stock", "p50", "CPU p50")
    ours, stock = found[f"{OURS}: fresh"], found[f"{STOCK}: fresh"]
    ratios.add_row(
        "overhead over (a), fresh payment",
        f"{(ours.p50_ms - bare.p50_ms) / (stock.p50_ms - bare.p50_ms):.2f}",
        f"{(ours.cpu_p50_ms - bare.cpu_p50_ms) / (stock.cpu_p50_ms - bare.cpu_p50_ms):.2f}",
    )
    for case in ("fresh", "replay", "key reused"):
        ours, stock = found[f"{OURS}: {case}"], found[f"{STOCK}: {case}"]
        ratios.add_row(case, f"{ours.p50_ms / stock.p50_ms:.2f}", f"{ours.cpu_p50_ms / stock.cpu_p50_ms:.2f}")
    console.print(ratios)


def compare(endpoint_url: str, queue_url: str) -> list[Row]:
    """Return the rows, the bare put first."""
    meter = Meter()
    client, own = dynamodb_client(endpoint_url, plain=True), http_client(endpoint_url)
    names = create_tables(client)
    client.create_table(
        TableName="stock",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    sqs = boto3.client("sqs", endpoint_url=queue_url, region_name=REGION)
    for one in (client, sqs):
        meter.watch(one)
    meter.watch_own(own)
    clock = RealClock()
    database = DynamoDatabase(own, names)
    application = Application(
        load_settings({}), clock=clock, database=database, gateways={"bank": ScriptedGateway(clock)}
    )
    bare = Bare(application, client, names[Table.PAYMENTS])
    handler = stock_handler(bare, client, sqs, f"{queue_url}/000000000000/events")

    def stock(key: str, body: Mapping[str, Any] = PAYMENT) -> object:
        route = {"path": "/payments", "resource": "/payments", "httpMethod": "POST"}
        given = event(body, key=key) | route
        given["requestContext"] |= {"stage": "test", "identity": {"sourceIp": "127.0.0.1"}}
        return handler(given, Context())

    def stock_conflict(_: int) -> None:
        with suppress(IdempotencyValidationError):
            stock("stock-bench-key-replayed", OTHER)
            raise AssertionError("the stock stack took another body under a used key")

    def ours(key: str, body: Mapping[str, Any] = PAYMENT) -> dict[str, Any]:
        return call(application, "create_payment", body, key=key)

    return meter.interleaved(
        {
            BARE: lambda _: bare.pay(PAYMENT),
            f"{STOCK}: fresh": lambda n: stock(f"stock-bench-key-{n:09d}"),
            f"{OURS}: fresh": lambda n: ours(f"payonce-bench-key-{n:09d}"),
            f"{STOCK}: replay": lambda _: stock("stock-bench-key-replayed"),
            f"{OURS}: replay": lambda _: ours("payonce-bench-replayed"),
            f"{STOCK}: key reused": stock_conflict,
            f"{OURS}: key reused": lambda _: ours("payonce-bench-replayed", OTHER),
        },
        REQUESTS,
    )


if __name__ == "__main__":
    sys.exit(main())
