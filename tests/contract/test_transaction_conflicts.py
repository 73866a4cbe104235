"""Whether DynamoDB Local shows the conflicts that benchmarks/units/partitions.py models: it does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tests.support.aws import dynamodb_client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

THREADS = 8
TRANSACTIONS = 48
ITEMS = 25  # such a transaction takes DynamoDB Local some 20 ms, twice what a conflict needs
TABLE = "conflicts"


def _transact(client: DynamoDBClient, number: int) -> str:
    """Add one to the shared item and to others in one transaction; return why it was refused, or ""."""
    names = [*(f"own-{number}-{item}" for item in range(ITEMS - 1)), "shared"]
    updates: list[Any] = [
        {
            "Update": {
                "TableName": TABLE,
                "Key": {"id": {"S": name}},
                "UpdateExpression": "ADD n :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
            }
        }
        for name in names
    ]
    try:
        client.transact_write_items(TransactItems=updates)
    except ClientError as error:
        return str(error)
    return ""


def test_dynamodb_local_makes_transactions_wait(dynamodb_local: str) -> None:
    """Fails when DynamoDB Local cancels transactions that meet: from then on the model can be compared with it.

    It carries them out one after the other. So the model rests on AWS's page alone ("Transaction conflict handling").
    """
    client = dynamodb_client(dynamodb_local)
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    with ThreadPoolExecutor(THREADS) as pool:
        assert set(pool.map(lambda number: _transact(client, number), range(TRANSACTIONS))) == {""}
    stored = client.get_item(TableName=TABLE, Key={"id": {"S": "shared"}}, ConsistentRead=True)["Item"]
    assert stored["n"]["N"] == str(TRANSACTIONS)
