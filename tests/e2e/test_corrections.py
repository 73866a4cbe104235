"""A double capture on the deployed stack: found, approved by a second person, refunded once, proved gone.

Real HTTP, Step Functions with task tokens, and every function and the state machine under its own role.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from payonce.corrections.correction_lists import corrections_with_status
from payonce.corrections.record import Correction, CorrectionStatus
from payonce.payments.corrective_plan import corrective_reference
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_store import CaseStore
from tests.e2e.conftest import Client
from tests.e2e.test_breaks import pay, send, wait_for

if TYPE_CHECKING:
    from local.stack import Stack
    from payonce.reconciliation.cases.case import Case

APPROVER = ("breaks:read", "breaks:write", "breaks:approve")
BANK = "forgetful"


def report(stack: Stack) -> None:
    """The bank's report of everything that it did arrives."""
    key = f"incoming/gateway/sandbox_bank/{uuid.uuid4().hex}.csv"
    bucket = stack.outputs["ReconciliationBucketName"]
    stack.client("s3").put_object(Bucket=bucket, Key=key, Body=stack.bank.report(BANK))


def key_of(stack: Stack, merchant_id: str, holder: str) -> tuple[str, Client]:
    """Return the principal of a further key of the person, and a client with it."""
    scopes = [word for scope in APPROVER for word in ("--scope", scope)]
    words = stack.operator("keys", "create", merchant_id, "--holder", holder, *scopes).stdout.split()
    return f"{words[3]}/{holder}", Client(stack, words[5])


def waiting(stack: Stack, payment_id: str) -> Correction | None:
    found = corrections_with_status(stack.database(), CorrectionStatus.AWAITING_APPROVAL)
    return next((each for each in found if each.payment_id == payment_id and each.task_token), None)


def execution(stack: Stack, name: str) -> dict[str, Any]:
    arn = stack.outputs["CorrectionsArn"].replace(":stateMachine:", ":execution:") + ":" + name
    answer: dict[str, Any] = stack.client("stepfunctions").describe_execution(executionArn=arn)
    return answer


def case_of(stack: Stack, break_id: str) -> Case:
    return CaseStore(stack.database()).get(break_id)


@pytest.mark.timeout(600)
def test_a_double_capture_is_approved_refunded_once_and_proved_gone(stack: Stack) -> None:
    """Fails when a run starts no workflow, a token wakes none, a role lacks a right, or a refund closes nothing."""
    merchant_id, api_key = stack.create_merchant("Corrected")
    payment_id, _ = pay(Client(stack, api_key))
    reference = f"{payment_id}-1"
    stack.bank.fault(BANK, "duplicate_capture", reference=reference)
    report(stack)

    correction = wait_for(lambda: waiting(stack, payment_id))
    break_id = correction.break_id
    name = f"{break_id}-1"
    assert execution(stack, name)["status"] == "RUNNING"
    charges = {row["charge_id"] for row in stack.bank.charges(reference=reference)}
    assert len(charges) == 2
    assert correction.gateway_charge_id in charges

    maker_id, maker = key_of(stack, merchant_id, "ann")
    _, maker_again = key_of(stack, merchant_id, "ann")
    _, checker = key_of(stack, merchant_id, "ben")
    path = f"/breaks/{break_id}/correction"
    body = {"proposal_version": 1, "amount_minor": correction.amount_minor}
    proposed = send(maker, "POST", f"{path}/proposals", body)
    assert (proposed.status, proposed.json()["proposed_by"]) == (201, maker_id), proposed.body
    for hers in (maker, maker_again):
        own = send(hers, "POST", f"{path}/approvals", {"proposal_version": 2})
        assert (own.status, own.json()["type"]) == (403, "urn:payonce:problem:self-approval")
    assert stack.bank.books(kind="refund", reference=corrective_reference(break_id)) == []
    for _ in range(2):  # the second one is a no-op
        approved = send(checker, "POST", f"{path}/approvals", {"proposal_version": 2})
        assert approved.status == 200, approved.body

    wait_for(lambda: execution(stack, name)["status"] == "SUCCEEDED")
    refunds = [row for row in stack.bank.books(kind="refund") if row["charge_id"] in charges]
    assert [(row["amount_minor"], row["reference"]) for row in refunds] == [(1234, corrective_reference(break_id))]
    assert case_of(stack, break_id).status is CaseStatus.OPEN

    stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.outputs["CorrectionsArn"],
        name=f"{name}-again",
        input=json.dumps({"break_id": break_id, "attempt": 1}),
    )
    wait_for(lambda: execution(stack, f"{name}-again")["status"] == "SUCCEEDED")
    assert len(stack.bank.books(kind="refund", reference=corrective_reference(break_id))) == 1

    time.sleep(1.1)  # the report counts in seconds
    report(stack)
    wait_for(lambda: case_of(stack, break_id).status is CaseStatus.CLOSED)
    changes = [entry["change"] for entry in CaseStore(stack.database()).history(break_id)]
    assert changes == ["found", "correcting", "proved"]
