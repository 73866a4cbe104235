"""The stock stack: Powertools' DynamoDB layer, a put of the payment, and an event sent to SQS.

Its payments have two indexes, by merchant and by the gateway's reference, because a payments API lists them and has to
find what a gateway reports; they are stored as the API shows them. It has no journal, no balances, no outbox, no audit
trail and no recovery.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from boto3.dynamodb.types import TypeSerializer

from benchmarks.units.template import schema_of
from tests.support.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.units.stage import Stage

PHASE = "stock"
RECORDS, PAYMENTS, QUEUE = "StockIdempotency", "StockPayments", "StockEvents"
TABLES: dict[str, dict[str, Any]] = {
    RECORDS: {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    },
    PAYMENTS: {
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "merchant_id", "AttributeType": "S"},
            {"AttributeName": "created_at_ms", "AttributeType": "N"},
            {"AttributeName": "gateway_reference", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "stock-by-merchant",
                "KeySchema": [
                    {"AttributeName": "merchant_id", "KeyType": "HASH"},
                    {"AttributeName": "created_at_ms", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            },
            {
                "IndexName": "stock-by-gateway-reference",
                "KeySchema": [{"AttributeName": "gateway_reference", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
    },
}


class UnansweredError(Exception):
    """The gateway did not answer: nothing is known."""


@dataclass
class Stock:
    """A handler on the stock stack, beside payonce's on the same stage."""

    stage: Stage
    _run: Callable[..., Any] = field(init=False)

    def __post_init__(self) -> None:
        client = boto3.client("dynamodb", endpoint_url=self.stage.endpoint_url, region_name=REGION)
        self._sqs = boto3.client("sqs", endpoint_url=self.stage.endpoint_url, region_name=REGION)
        self._client = client
        self.memory_gb = self.stage.functions[0].memory_gb  # the same memory on both sides
        config = IdempotencyConfig(event_key_jmespath="key", payload_validation_jmespath="body")
        layer = DynamoDBPersistenceLayer(table_name=RECORDS, boto3_client=client)
        self._run = idempotent_function(
            self._handle, data_keyword_argument="event", persistence_store=layer, config=config
        )

    def serve(
        self, key: str, body: Any, payment: dict[str, Any] | None, during: Callable[[], object] | None = None
    ) -> Any:
        """Serve one request whose effect is ``payment``, as payonce shows it; ``None``: the gateway does not answer.

        ``during`` is called while the gateway works.
        """
        self._payment, self._during = payment, during
        with self.stage.billed(PHASE, self.memory_gb, self.stage.services.waits.gateway), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._run(event={"key": key, "body": body})

    def _handle(self, *, event: dict[str, Any]) -> dict[str, Any]:
        del event
        payment, during = self._payment, self._during
        if during is not None:
            during()
        if payment is None:
            raise UnansweredError
        stored = {name: value for name, value in payment.items() if value is not None}
        stored["gateway_reference"] = f"{payment['id']}-1"
        self._client.put_item(TableName=PAYMENTS, Item={name: _attribute(value) for name, value in stored.items()})
        url = f"{self.stage.endpoint_url}/000000000000/{QUEUE}"
        self._sqs.send_message(QueueUrl=url, MessageBody=json.dumps(payment))
        return payment


def add_stock(stage: Stage) -> Stock:
    """Create the stock stack's tables on the stage and return it."""
    client = boto3.client("dynamodb", endpoint_url=stage.dynamodb_url, region_name=REGION)
    for name, properties in TABLES.items():
        client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **properties)
    added = {name: schema_of(name, properties) for name, properties in TABLES.items()}
    stage.meter.schemas = {**stage.meter.schemas, **added}
    return Stock(stage)


def _attribute(value: Any) -> Any:
    return TypeSerializer().serialize(value)
