"""What all cells share: DynamoDB Local, the proxy before it, the clients, the clock."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from payonce.ports import Table
from payonce.stores.dynamodb import DynamoDatabase
from tests.support.aws import REGION, create_tables, dynamodb_client, http_client
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.dynamodb_faults import DynamoFaults

PATIENT_SECONDS, HASTY_SECONDS = 20, 0.25


class RawTables:
    """Reads and empties whole tables with bare requests: the SDK would take most of a cell's time for it.

    DynamoDB Local looks at no signature. Binary attributes are left out.
    """

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=PATIENT_SECONDS)

    def scan(self, name: str) -> list[dict[str, Any]]:
        """Return the items of a table in DynamoDB's own form."""
        items: list[dict[str, Any]] = self._post("Scan", {"TableName": name, "ConsistentRead": True})["Items"]
        return items

    def empty(self, name: str, key: Sequence[str]) -> None:
        """Delete every item of a table."""
        requests = [{"DeleteRequest": {"Key": {part: item[part] for part in key}}} for item in self.scan(name)]
        for start in range(0, len(requests), 25):
            self._post("BatchWriteItem", {"RequestItems": {name: requests[start : start + 25]}})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _post(self, action: str, document: dict[str, Any]) -> dict[str, Any]:
        credential = f"testing/20270101/{REGION}/dynamodb/aws4_request"
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{action}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0",
        }
        self._connection.request("POST", "/", json.dumps(document), headers)
        response = self._connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer


@dataclass
class Servers:
    """What all cells share."""

    proxy: DynamoFaults
    clock: ManualClock
    tables: RawTables
    names: dict[Table, str]
    patient: DynamoDatabase
    hasty: DynamoDatabase
    direct: DynamoDatabase
    refill: Callable[[], None]


def make_servers(url: str, proxy: DynamoFaults, refill: Callable[[], None]) -> Servers:
    """Create the tables and the clients: production's, but for the seconds that they wait.

    ``refill`` gives the clients their quota of retries back, as a fresh process has it.
    """

    clock = ManualClock()
    names = create_tables(dynamodb_client(url), "faults-")

    def database(endpoint: str, seconds: float) -> DynamoDatabase:
        made = http_client(endpoint, read_seconds=seconds, sleep=clock.sleep)
        return DynamoDatabase(made, names, sleep=clock.sleep, jitter=lambda: 1.0)

    return Servers(
        proxy=proxy,
        clock=clock,
        tables=RawTables(url),
        names=names,
        patient=database(proxy.url, PATIENT_SECONDS),
        hasty=database(proxy.url, HASTY_SECONDS),
        direct=database(url, PATIENT_SECONDS),
        refill=refill,
    )


def wipe(servers: Servers, tables: Sequence[Table]) -> None:
    """Empty the tables."""
    for table in tables:
        servers.tables.empty(servers.names[table], ["id"] if table is Table.IDEMPOTENCY else ["pk", "sk"])
