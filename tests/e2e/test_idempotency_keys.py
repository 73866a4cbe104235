"""Looking at keys, releasing claims and the audit trail, on the deployed stack with every function's own role."""

from __future__ import annotations

import csv
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from payonce.idempotency.audit_items import entries_from, month_of
from payonce.idempotency.keys import record_id
from payonce.stores.dynamodb_requests import from_attributes
from tests.e2e.conftest import Client, as_role

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from local.stack import Stack

PAYMENT = {"amount_minor": 1050, "currency": "EUR", "payment_method": "pm_sandbox_visa"}
PATIENCE_SECONDS = 250
# The local cloud runs a few environments at once; what it throttles is asked again with the same key.
RETRIED = {429, 500, 502, 503, 504}


class Merchant:
    """A merchant of its own, and the operator's command for it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.merchant_id, api_key = stack.create_merchant("Keys")
        self.client = Client(stack, api_key)

    def send(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Send one request until it is answered."""
        for _ in range(60):
            answer = self.client.call(method, path, body, key=key)
            if answer.status not in RETRIED:
                break
            time.sleep(0.5)
        return answer

    def pay(self, key: str, **changes: Any) -> Any:
        """Create a payment."""
        return self.send("POST", "/payments", {**PAYMENT, **changes}, key=key)

    def look(self, key: str, operation: str = "") -> Any:
        """Look at a key; return the answer."""
        return self.send("GET", f"/idempotency-keys/{key}" + (f"?operation={operation}" if operation else ""))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the operator's command with the stack's tables."""
        return self.stack.operator(*arguments, check=False)

    def history(self, key: str, operation: str = "create_payment") -> list[str]:
        """Return the transitions of a key's record, as the stream has brought them so far."""
        answer = self.stack.client("dynamodb").query(
            TableName=self.stack.outputs["AuditTableName"],
            KeyConditionExpression="record_id = :r",
            ExpressionAttributeValues={":r": {"S": record_id(self.merchant_id, operation, key)}},
            ConsistentRead=True,
        )
        entries = [entry for item in answer["Items"] for entry in entries_from(from_attributes(item))]
        return [entry.transition.value for entry in entries]

    def history_when(self, key: str, length: int) -> list[str]:
        """Return the transitions as soon as there are ``length``."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            if len(self.history(key)) >= length:
                break
            time.sleep(0.5)
        return self.history(key)


@pytest.fixture
def merchant(stack: Stack) -> Merchant:
    return Merchant(stack)


def open_claim(merchant: Merchant, key: str) -> dict[str, Any]:
    """Store the claim of a payment whose owner died before anything was sent; return its item."""
    payment_id = "pay_" + uuid.uuid4().hex[:26].upper().translate(str.maketrans("ILOU", "0000"))
    now_ms = int(time.time() * 1000)
    item: dict[str, Any] = {
        "id": {"S": record_id(merchant.merchant_id, "create_payment", key)},
        "status": {"S": "INPROGRESS"},
        "claim_id": {"S": payment_id},
        "fence": {"N": "1"},
        "fingerprint": {"S": "f"},
        "created_at_ms": {"N": str(now_ms)},
        "expires_at_ms": {"N": str(now_ms + 86_400_000)},
        # Not listed among the open leases, so that recovery leaves it to this test.
        "lease_expires_at_ms": {"N": str(now_ms - 60_000)},
        "submit_horizon_ms": {"N": "0"},
        "resource": {"S": f"/payments/{payment_id}"},
        "plan": {
            "M": {
                "kind": {"S": "payment"},
                "merchant_id": {"S": merchant.merchant_id},
                "payment_id": {"S": payment_id},
                "gateway": {"S": "sandbox_bank"},
                "gateway_references": {"L": [{"S": f"{payment_id}-1"}]},
                "amount_minor": {"N": "1050"},
                "currency": {"S": "EUR"},
                "payment_method": {"S": "pm_sandbox_visa"},
                "capture_method": {"S": "automatic"},
                "created_at_ms": {"N": str(now_ms)},
                "reference": {"NULL": True},
                "metadata": {"M": {}},
            }
        },
    }
    merchant.stack.client("dynamodb").put_item(TableName=merchant.stack.outputs["IdempotencyTableName"], Item=item)
    return item


def test_a_merchant_sees_its_own_key_and_nobody_elses(stack: Stack, merchant: Merchant) -> None:
    """Fails when the function's role can't read, or the scope is not the API key's."""
    key = str(uuid.uuid4())
    payment = merchant.pay(key).json()
    answer = merchant.look(key)
    assert answer.status == 200, answer.body
    (record,) = answer.json()["data"]
    assert (record["operation"], record["state"], record["attempts"]) == ("create_payment", "completed", 1)
    assert record["resource"] == f"/payments/{payment['id']}"
    assert b"pm_sandbox" not in answer.body
    assert merchant.look(key, "create_payment").json() == answer.json()
    assert Merchant(stack).look(key).status == 404
    without = Client(stack, stack.create_merchant("No scope", scopes=["payments:read"])[1])
    assert without.call("GET", f"/idempotency-keys/{key}").status == 403


def test_a_key_with_percent_signs_is_found(merchant: Merchant) -> None:
    """However API Gateway hands the path on."""
    key = f"order:{uuid.uuid4()}%41+~"
    assert merchant.pay(key).status == 201
    assert merchant.look(key.replace("%", "%25").replace("+", "%2B")).status == 200


def test_transitions_reach_the_trail_without_a_write_of_the_request(merchant: Merchant) -> None:
    key = str(uuid.uuid4())
    assert merchant.pay(key).status == 201
    assert merchant.history_when(key, 2) == ["claimed", "completed"]


def test_an_operator_releases_a_dead_claim_and_the_key_works_again(merchant: Merchant, tmp_path: Path) -> None:
    """The whole way: show, the refusals, release, the same key again, the trail with who and why, the export."""
    key = str(uuid.uuid4())
    claim = open_claim(merchant, key)
    claim_id = claim["claim_id"]["S"]
    shown = merchant.command("key", "show", "--merchant", merchant.merchant_id, key)
    assert shown.returncode == 0, shown.stderr
    assert f"claim id       {claim_id}" in shown.stdout
    assert f"at gateway     {claim_id}-1" in shown.stdout
    assert "its owner is gone since" in shown.stdout

    base = [
        "key",
        "release",
        "--merchant",
        merchant.merchant_id,
        "--operation",
        "create_payment",
        "--claim-id",
        claim_id,
    ]
    who = ["--operator", "ada", "--reason", "=1+1 ticket 7", key]
    unchecked = merchant.command(*base, "--fence", "1", *who)
    assert (unchecked.returncode, unchecked.stdout) == (2, "")
    assert "may have charged" in unchecked.stderr
    newer = merchant.command(*base, "--fence", "2", "--checked-at-gateway", "nothing", *who)
    assert newer.returncode == 2
    assert "somebody else has taken it" in newer.stderr
    released = merchant.command(*base, "--fence", "1", "--checked-at-gateway", "nothing", *who)
    assert released.returncode == 0, released.stderr
    assert merchant.look(key, "create_payment").json()["data"][0]["state"] == "released"

    assert merchant.pay(key).status == 201
    assert sorted(merchant.history_when(key, 4)) == ["claimed", "claimed", "completed", "released"]
    completed = merchant.command(*base, "--fence", "1", "--force", "--checked-at-gateway", "nothing", *who)
    assert completed.returncode == 2
    assert "second charge" in completed.stderr

    today = datetime.now(UTC)
    window = ["--from", (today - timedelta(hours=1)).isoformat(), "--to", (today + timedelta(hours=1)).isoformat()]
    file = tmp_path / "trail.csv"
    exported = merchant.command(
        "audit", "export", *window, "--merchant", merchant.merchant_id, "--format", "csv", "--output", str(file)
    )
    assert exported.returncode == 0, exported.stderr
    assert "4 entries" in exported.stderr
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    (row,) = [row for row in rows if row["transition"] == "released"]
    assert (row["principal"], row["reason"], row["finding"]) == ("operator:ada", "'=1+1 ticket 7", "nothing")
    lines = merchant.command("audit", "export", *window, "--format", "jsonl").stdout.splitlines()
    entries = [json.loads(line) for line in lines]
    assert {row["entry_id"] for row in rows} <= {entry["entry_id"] for entry in entries}
    listed = [(month_of(entry["at_ms"]), entry["scope"]) for entry in entries]
    assert listed == sorted(listed)


def test_the_audit_functions_role_adds_and_nothing_else(stack: Stack) -> None:
    """Fails when the role of the trail's writer can read, change or delete an entry, or touch a claim."""
    client = as_role(stack, "AuditIdempotency")
    audit, claims = stack.outputs["AuditTableName"], stack.outputs["IdempotencyTableName"]
    item = {"record_id": {"S": "role-test"}, "entry_key": {"S": "1"}}
    client.put_item(TableName=audit, Item=item)
    for forbidden in (
        lambda: client.get_item(TableName=audit, Key=item),
        lambda: client.delete_item(TableName=audit, Key=item),
        lambda: client.update_item(TableName=audit, Key=item),
        lambda: client.put_item(TableName=claims, Item={"id": {"S": "role-test"}}),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            forbidden()
