"""Reconciliation on the deployed stack: a report in the bucket becomes cases, under the function's own role."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import Client

if TYPE_CHECKING:
    from local.stack import Stack

HEADER = "kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id"
BANK = "forgetful"
PATIENCE_SECONDS = 250  # a cold start with DuckDB, on a machine that does other things too


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
    return stack.operator("breaks", *arguments).stdout


def manifests(stack: Stack) -> list[str]:
    found = stack.client("s3").list_objects_v2(Bucket=stack.outputs["ReconciliationBucketName"], Prefix="runs/")
    return [item["Key"] for item in found.get("Contents", []) if "/anomalies/" not in item["Key"]]


@pytest.mark.timeout(900)
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
    ended, files = len(manifests(stack)), run_now(stack)["files"]
    stack.client("s3").put_object(Bucket=bucket, Key=name, Body=report_of([charge, stranger]))
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up and len(manifests(stack)) < ended + 2:
        time.sleep(1)
    assert len(manifests(stack)) >= ended + 2, "no run has ended"

    # Both charges are younger than a day: one is matched, and what is on one side alone may still be on its way.
    listed = breaks(stack, "list", "--limit", "500")
    assert reference not in listed
    run = run_now(stack)
    assert run["files"] == files + 1, run
    assert len(run["digest"]) == 64

    # A bank that charged the reference twice is told at once.
    twice = {**charge, "operation_id": f"op_{uuid.uuid4().hex}"}
    again = f"incoming/gateway/sandbox_bank/{uuid.uuid4().hex}.csv"
    stack.client("s3").put_object(Bucket=bucket, Key=again, Body=report_of([twice]))
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up and not about(stack, "duplicate_capture", reference):
        time.sleep(1)
    (shown,) = about(stack, "duplicate_capture", reference)
    assert "1234 EUR" in shown


def about(stack: Stack, break_class: str, text: str) -> list[str]:
    """Return the open breaks of a class that show the text: the stack is shared, and others' breaks are in it."""
    listed = breaks(stack, "list", "--class", break_class, "--limit", "500").splitlines()
    shown = [breaks(stack, "show", line.split()[0]) for line in listed if line.startswith("brk_")]
    return [one for one in shown if text in one]


def pay(client: Client, amount_minor: int) -> str:
    """Pay and return the reference that the bank was given."""
    body = {"amount_minor": amount_minor, "currency": "EUR", "payment_method": "pm_sandbox_visa"}
    answer = client.call("POST", "/payments", body, key=str(uuid.uuid4()))
    assert answer.status == 201, answer.body
    return str(answer.json()["id"]) + "-1"


def run_now(stack: Stack) -> dict[str, Any]:
    """Run, and return what the run says of itself."""
    name = stack.outputs["ReconcileFunctionName"]
    answer = json.loads(stack.client("lambda").invoke(FunctionName=name, Payload=b"{}")["Payload"].read())
    run: dict[str, Any] = answer["run"]
    return run


def put(stack: Stack, key: str, data: bytes) -> None:
    stack.client("s3").put_object(Bucket=stack.outputs["ReconciliationBucketName"], Key=key, Body=data)


def settled_until_now(stack: Stack) -> None:
    """What was booked until now is paid out and no part of what follows."""
    booked = [row["created_at_ms"] for row in stack.bank.books(bank=BANK)]
    if booked:
        stack.bank.settle(BANK, max(booked))


@pytest.mark.timeout(900)
def test_the_banks_own_report_and_statement_agree_and_a_double_charge_is_seen(stack: Stack) -> None:
    """The whole way: the sandbox bank's report and camt.053, a policy, a charge that was made twice under two keys.

    Fails when a permission for rows/ or policy/ is missing, when the bank's payout is not matched with its line, or
    when runs in the stack look for what the rules see alone.
    """
    _, api_key = stack.create_merchant("Reconciled twice")
    client = Client(stack, api_key)
    settled_until_now(stack)
    start_ms = max((row["created_at_ms"] for row in stack.bank.books(bank=BANK)), default=0) + 1
    single = pay(client, 7_001)
    first, second = pay(client, 4_200), pay(client, 4_200)
    settled_until_now(stack)
    report, statement = stack.bank.report(BANK, from_ms=start_ms), stack.bank.statement(BANK, from_ms=start_ms)
    assert all(reference.encode() in report for reference in (single, first, second))
    files = run_now(stack)["files"]
    put(stack, f"incoming/gateway/sandbox_bank/{uuid.uuid4().hex}.csv", report)
    put(stack, f"incoming/bank/{uuid.uuid4().hex}.xml", statement)
    give_up = time.monotonic() + PATIENCE_SECONDS
    while (run := run_now(stack))["files"] < files + 2:
        assert time.monotonic() < give_up, run
        time.sleep(1)

    listed = breaks(stack, "list", "--limit", "500").splitlines()
    assert not [line for line in listed if "payout" in line or "statement_gap" in line or "balance_break" in line]
    (shown,) = about(stack, "double_charge", second.removesuffix("-1"))
    assert "two keys charged the same payer the same amount" in shown
    assert run["double_charges"] >= 1
    assert (run["policy_id"], run["policy_refused"]) == ("", None)

    # The fee that this policy agrees to is not the bank's: the same rows are judged anew.
    policy = b'[[fees]]\ngateway = "sandbox_bank"\ncurrency = "EUR"\nfixed_minor = 1\ntolerance_minor = 0\n'
    put(stack, "policy/run.toml", policy)
    give_up = time.monotonic() + PATIENCE_SECONDS
    while "fee_mismatch" not in breaks(stack, "list", "--limit", "500"):
        assert time.monotonic() < give_up
        time.sleep(1)
    put(stack, "policy/run.toml", b"in_transit_hour = 1\n")
    refused = run_now(stack)
    assert (len(refused["policy_id"]), "there is no such setting" in refused["policy_refused"]) == (64, True)
    stack.client("s3").delete_object(Bucket=stack.outputs["ReconciliationBucketName"], Key="policy/run.toml")

    folder = stack.client("s3").list_objects_v2(Bucket=stack.outputs["ReconciliationBucketName"], Prefix="rows/")
    kept = {item["Key"].split(".")[1] for item in folder["Contents"] if "/files/" in item["Key"]}
    assert kept == {"gateway_row", "bank_line", "bank_statement"}
