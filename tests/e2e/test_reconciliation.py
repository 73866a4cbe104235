"""Reconciliation on the deployed stack: a report in the bucket becomes cases, under the function's own role."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from local.stack import CREDENTIALS, REPOSITORY
from tests.e2e.conftest import Client

if TYPE_CHECKING:
    from local.stack import Stack

HEADER = "kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id"
PATIENCE_SECONDS = 90  # a cold start with DuckDB, on a machine that does other things too


def cents(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def report_of(rows: list[dict[str, Any]]) -> bytes:
    """Return the bank's booked charges as a gateway's report."""
    lines = [HEADER]
    for row in rows:
        at = datetime.fromtimestamp(row["created_at_ms"] / 1000, UTC).isoformat()
        amount = cents(row["amount_minor"])
        lines.append(f"charge,{row['operation_id']},{row['reference']},{amount},0.00,{amount},EUR,{at},,")
    total = cents(sum(row["amount_minor"] for row in rows))
    lines.append(f"total,{len(rows)},,{total},0.00,{total},EUR,,,")
    return ("\n".join(lines) + "\n").encode()


def breaks(stack: Stack, *arguments: str) -> str:
    """Run the operator's command."""
    environment = {
        **os.environ,
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        "PAYONCE_RECONCILIATION_TABLE": stack.outputs["ReconciliationTableName"],
        "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"),
    }
    command = [sys.executable, "-m", "payonce.cli", "breaks", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def manifests(stack: Stack) -> list[str]:
    found = stack.client("s3").list_objects_v2(Bucket=stack.outputs["ReconciliationBucketName"], Prefix="runs/")
    return [item["Key"] for item in found.get("Contents", [])]


@pytest.mark.timeout(400)
def test_a_report_in_the_bucket_becomes_a_case(stack: Stack) -> None:
    """Fails when the bucket's event, the layer with DuckDB, a permission or an index of the template is missing."""
    _, api_key = stack.create_merchant("Reconciled")
    client = Client(stack, api_key)
    body = {"amount_minor": 1234, "currency": "EUR", "payment_method": "pm_sandbox_visa"}
    answer = client.call("POST", "/payments", body, key=str(uuid.uuid4()))
    assert answer.status == 201, answer.body
    reference = answer.json()["id"] + "-1"
    (charge,) = [row for row in stack.bank.charges(bank="forgetful") if row["reference"] == reference]
    stranger = {**charge, "operation_id": f"op_{uuid.uuid4().hex}", "reference": f"stranger-{uuid.uuid4().hex}"}

    bucket = stack.outputs["ReconciliationBucketName"]
    name = f"incoming/gateway/sandbox_bank/{uuid.uuid4().hex} first.csv"
    stack.client("s3").put_object(Bucket=bucket, Key=name, Body=report_of([charge, stranger]))
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up and not manifests(stack):
        time.sleep(1)
    assert manifests(stack), "no run has ended"

    # Both charges are younger than a day: one is matched, and what is on one side alone may still be on its way.
    listed = breaks(stack, "list", "--limit", "500")
    assert reference not in listed
    run = json.loads(
        stack.client("lambda")
        .invoke(FunctionName=stack.outputs["ReconcileFunctionName"], Payload=b"{}")["Payload"]
        .read()
    )
    assert run["run"]["files"] == 1, run
    assert len(run["run"]["digest"]) == 64

    # A bank that charged the reference twice is told at once.
    twice = {**charge, "operation_id": f"op_{uuid.uuid4().hex}"}
    again = f"incoming/gateway/sandbox_bank/{uuid.uuid4().hex}.csv"
    stack.client("s3").put_object(Bucket=bucket, Key=again, Body=report_of([twice]))
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up and "duplicate_capture" not in breaks(stack, "list", "--limit", "500"):
        time.sleep(1)
    (line,) = [each for each in breaks(stack, "list").splitlines() if "duplicate_capture" in each]
    shown = breaks(stack, "show", line.split()[0])
    assert reference in shown
    assert "1234 EUR" in shown
