"""The request path, side by side in one run on DynamoDB Local: round trips, write units, overhead, import times.

Compared: payonce; (a) the same handler without idempotency; (b) Powertools' stock DynamoDB layer, a separate payment
put and an SQS send. Read the ratios: the absolute times are this machine's.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import threading
import uuid
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from rich.console import Console
from rich.table import Table as TextTable

from benchmarks.meter import Meter, Row
from local.dynamodb_local import running_dynamodb_local
from payonce.payments.create import plan_payment
from payonce.payments.operations import NewPayment
from payonce.ports import Table
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.aws import FAKE_CREDENTIALS, REGION, create_tables, dynamo_database, dynamodb_client
from tests.support.events import ALL_SCOPES, PAYMENT, call
from tests.support.world import RealClock, ScriptedGateway

REQUESTS = int(os.environ.get("PAYONCE_BENCH_REQUESTS", "300"))
WARM_UP = 30
IMPORT_RUNS = 7
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


def main() -> int:
    """Print both tables."""
    os.environ.update(FAKE_CREDENTIALS, POWERTOOLS_LOG_LEVEL="ERROR")
    warnings.simplefilter("ignore")
    queue = ThreadingHTTPServer(("127.0.0.1", 0), FakeQueue)
    threading.Thread(target=queue.serve_forever, daemon=True).start()
    with running_dynamodb_local() as endpoint_url:
        rows = compare(endpoint_url, f"http://127.0.0.1:{queue.server_address[1]}")
    queue.shutdown()
    base = rows[0].p50_ms
    table = TextTable("case", "round trips", "write units", "p50 ms", "p99 ms", "p50 / (a)")
    for row in rows:
        cells = (f"{row.round_trips:.2f}", f"{row.write_units:.2f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}")
        table.add_row(row.label, *cells, f"{row.p50_ms / base:.2f}")
    console.print(table)
    imports = TextTable("import", "median ms", "/ boto3")
    bare = import_ms("import boto3; boto3.client('dynamodb', region_name='eu-central-1')")
    imports.add_row("boto3 and a DynamoDB client", f"{bare:.0f}", "1.00")
    for label, code in {
        "create_payment (everything but Stripe)": "from payonce.entrypoints.payment_routes import ROUTES\n"
        "from payonce.wiring.application import bootstrap\na = bootstrap(); a.engine; a.database",
        "get_payment": "from payonce.entrypoints.payment_routes import ROUTES\n"
        "from payonce.wiring.application import bootstrap\na = bootstrap(); a.database",
    }.items():
        taken = import_ms(code)
        imports.add_row(label, f"{taken:.0f}", f"{taken / bare:.2f}")
    console.print(imports)
    return 0


def import_ms(code: str) -> float:
    """Return the median time of ``code`` in fresh processes: a cold start's share that is ours."""
    program = f"import time\nt = time.perf_counter()\n{code}\nprint((time.perf_counter() - t) * 1000)"
    samples = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for _ in range(IMPORT_RUNS)
    ]
    return statistics.median(samples)


def compare(endpoint_url: str, queue_url: str) -> list[Row]:
    """Return the rows, the plain handler first."""
    meter = Meter()
    client, plain = dynamodb_client(endpoint_url), dynamodb_client(endpoint_url, plain=True)
    names = create_tables(client)
    client.create_table(
        TableName="stock",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    sqs = boto3.client("sqs", endpoint_url=queue_url, region_name=REGION)
    meter.watch(client)
    meter.watch(plain)
    meter.watch(sqs)
    clock = RealClock()
    application = Application(
        load_settings({}),
        clock=clock,
        database=dynamo_database(client, names),
        gateways={"bank": ScriptedGateway(clock)},
    )

    def put_payment(data: dict[str, Any]) -> dict[str, Any]:
        # What a plain handler does: one charge, one put of the same payment.
        from payonce.domain.gateway import CaptureMethod
        from payonce.domain.money import Money
        from payonce.domain.payment import Change
        from payonce.payments.create import (
            CreatePayment,
            _Charge,  # the same payment, without the protocol around it
        )
        from payonce.payments.payment_items import payment_item
        from payonce.payments.representation import payment_view
        from payonce.stores.dynamodb_requests import to_attributes

        new = NewPayment(
            money=Money(data["amount_minor"], data["currency"]),
            payment_method=data["payment_method"],
            capture_method=CaptureMethod.AUTOMATIC,
        )
        plan = plan_payment(new, merchant_id="mer_1", route=lambda _id: "bank", services=application.services)
        payment = CreatePayment(plan, application.gateway, application.services)._payment(
            _Charge(Change.CHARGED, "ch_1"), None
        )
        plain.put_item(TableName=names[Table.PAYMENTS], Item=to_attributes(payment_item(payment)))
        return payment_view(payment)

    layer = DynamoDBPersistenceLayer(table_name="stock", boto3_client=plain)
    config = IdempotencyConfig(event_key_jmespath="key", payload_validation_jmespath="body")

    def stock_handler(*, event: dict[str, Any]) -> dict[str, Any]:
        view = put_payment(event["body"])
        sqs.send_message(QueueUrl=f"{queue_url}/000000000000/events", MessageBody=json.dumps(view))
        return view

    stock = idempotent_function(stock_handler, data_keyword_argument="event", persistence_store=layer, config=config)

    def stock_conflict(_: int) -> None:
        try:
            stock(event={"key": "stock-replay", "body": {**PAYMENT, "amount_minor": 2}})
        except Exception:
            return

    def ours(key: str, body: Any = PAYMENT) -> object:
        return call(application, "create_payment", body, key=key, scopes=ALL_SCOPES)

    return [
        meter.measure(lambda _: put_payment(PAYMENT), "(a) no idempotency: one put"),
        meter.measure(
            lambda n: stock(event={"key": f"stock-{n}", "body": PAYMENT}), "(b) stock + put + SQS: fresh payment"
        ),
        meter.measure(lambda n: ours(f"payonce-bench-key-{n:09d}"), "payonce: fresh payment (ledger, event too)"),
        meter.measure(lambda _: stock(event={"key": "stock-replay", "body": PAYMENT}), "(b) stock: replay"),
        meter.measure(lambda _: ours("payonce-bench-replay"), "payonce: replay"),
        meter.measure(stock_conflict, "(b) stock: key reused"),
        meter.measure(lambda _: ours("payonce-bench-replay", {**PAYMENT, "amount_minor": 2}), "payonce: key reused"),
    ]


if __name__ == "__main__":
    sys.exit(main())
