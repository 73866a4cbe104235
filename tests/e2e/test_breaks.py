"""A merchant's breaks on the deployed stack: real HTTP, every function under its own role."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.ids import UlidSource
from payonce.idempotency.keys import record_id
from payonce.reconciliation.cases.case_store import CaseStore
from tests.e2e.conftest import Client
from tests.e2e.test_reconciliation import report_of
from tests.support.breaks import store_proposal

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case

PATIENCE_SECONDS = 250  # a cold start with DuckDB, on a machine that does other things too
DAY_MS = 86_400_000
# The local cloud runs a few environments at once; what it throttles is asked again with the same key.
RETRIED = {429, 500, 502, 503, 504}
PAYMENT = {"amount_minor": 1234, "currency": "EUR", "payment_method": "pm_sandbox_visa"}


def wait_for[T](look: Callable[[], T]) -> T:
    """Look until there is something."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()) and time.monotonic() < give_up:
        time.sleep(1)
    assert found
    return found


def send(client: Client, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
    """Send one request until it is answered; a POST under a new key unless one is given."""
    key = key or (str(uuid.uuid4()) if method == "POST" else None)
    for _ in range(60):
        answer = client.call(method, path, body, key=key)
        if answer.status not in RETRIED:
            break
        time.sleep(0.5)
    return answer


@dataclass(frozen=True)
class Found:
    """A merchant whose payment the bank has charged twice, says a report; and what became of it."""

    stack: Stack
    merchant_id: str
    client: Client
    payment_id: str
    declined_id: str
    break_id: str
    stranger: str

    def key(self, *scopes: str) -> Client:
        """Return a client with a key of another person of the merchant."""
        return Client(self.stack, self.stack.create_key(self.merchant_id, scopes=scopes, holder="ben"))

    @property
    def database(self) -> Database:
        """The stack's tables, with the operator's rights."""
        return self.stack.database()

    def case(self) -> Case:
        """Return the case as it is stored."""
        return CaseStore(self.database).get(self.break_id)


def pay(client: Client, **changes: Any) -> tuple[str, str]:
    """Pay, and return the payment's id and the key."""
    key = str(uuid.uuid4())
    answer = send(client, "POST", "/payments", {**PAYMENT, **changes}, key=key)
    document = answer.json()
    return str(document.get("payment", document)["id"]), key


def audited(stack: Stack, merchant_id: str, key: str) -> bool:
    """Return whether the trail has the claim with its end."""
    answer = stack.client("dynamodb").query(
        TableName=stack.outputs["AuditTableName"],
        KeyConditionExpression="record_id = :r",
        ExpressionAttributeValues={":r": {"S": record_id(merchant_id, "create_payment", key)}},
    )
    return bool(answer["Items"])


@pytest.fixture(scope="module")
def found(stack: Stack) -> Found:
    """One report makes three breaks: a charge made twice, one of a payment that was declined, and a stranger's."""
    merchant_id, api_key = stack.create_merchant("Breaks", holder="ann")
    client = Client(stack, api_key)
    payment_id, key = pay(client)
    declined_id, declined_key = pay(client, payment_method="pm_sandbox_declined")
    for one in (key, declined_key):
        wait_for(lambda one=one: audited(stack, merchant_id, one))  # type: ignore[misc]
    (charge,) = [row for row in stack.bank.charges(bank="forgetful") if row["reference"] == f"{payment_id}-1"]
    old_ms = int(time.time() * 1000) - 3 * DAY_MS
    # Looks like an id of ours, made in that time: it is looked for in the trail of that day.
    stranger = UlidSource(lambda: old_ms, os.urandom).new("pay") + "-1"
    rows = [
        charge,
        {**charge, "operation_id": f"op_{uuid.uuid4().hex}"},
        {**charge, "operation_id": f"op_{uuid.uuid4().hex}", "reference": f"{declined_id}-1"},
        {**charge, "operation_id": f"op_{uuid.uuid4().hex}", "reference": stranger, "created_at_ms": old_ms},
    ]
    bucket = stack.outputs["ReconciliationBucketName"]
    name = f"incoming/gateway/sandbox_bank/{uuid.uuid4().hex}.csv"
    stack.client("s3").put_object(Bucket=bucket, Key=name, Body=report_of(rows))

    def listed() -> list[str]:
        data = send(client, "GET", "/breaks?class=duplicate_capture").json()["data"]
        return [view["id"] for view in data]

    (break_id,) = wait_for(listed)
    return Found(stack, merchant_id, client, payment_id, declined_id, break_id, stranger)


@pytest.mark.timeout(600)
def test_a_merchant_lists_its_breaks_and_reads_why_they_arose(found: Found) -> None:
    """Fails when a role may not read what a break is shown by, or the run's role not what it is explained by."""
    page = send(found.client, "GET", "/breaks?limit=1").json()
    rest = send(found.client, "GET", f"/breaks?limit=5&cursor={page['next_cursor']}").json()
    both = {view["class"]: view for view in (*page["data"], *rest["data"])}
    assert set(both) == {"duplicate_capture", "status_mismatch"}
    assert both["status_mismatch"]["payment_id"] == found.declined_id
    assert {view["why"]["reason"] for view in both.values()} == {"at_gateway"}
    view = send(found.client, "GET", f"/breaks/{found.break_id}").json()
    assert (view["status"], view["payment_id"], view["amount_minor"]) == ("open", found.payment_id, 1234)
    rows = [(row["source"], row["fields"]["reference"]) for row in view["evidence"]]
    assert sorted(rows) == [("gateway", f"{found.payment_id}-1")] * 2 + [("ledger", f"{found.payment_id}-1")]
    assert view["overdue"] is False
    for path in (view["links"]["history"], view["links"]["payment"]):
        assert send(found.client, "GET", path).status == 200
    # The stranger's break is the operator's alone.
    operator = found.stack.operator
    every = operator("breaks", "list", "--limit", "500", "--class", "missing_in_ledger").stdout.splitlines()
    shown = [operator("breaks", "show", line.split()[0]).stdout for line in every if line.startswith("brk_")]
    (strangers,) = [text for text in shown if found.stranger in text]
    assert "why        forgotten:" in strangers


@pytest.mark.timeout(600)
def test_a_comment_and_an_assignment_are_made_once(found: Found) -> None:
    path = f"/breaks/{found.break_id}"
    key = str(uuid.uuid4())
    first = send(found.client, "POST", f"{path}/comments", {"text": "Order 4711 was paid once."}, key=key)
    again = send(found.client, "POST", f"{path}/comments", {"text": "Order 4711 was paid once."}, key=key)
    assert (first.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assigned = send(found.client, "POST", f"{path}/assignments", {"assignee": "anna"})
    assert (assigned.status, assigned.json()["assignee"]) == (201, "anna")
    found.stack.operator("breaks", "comment", found.break_id, "Under review.", "--operator", "ben")
    found.stack.operator("breaks", "comment", found.break_id, "Looking.", "--operator", "ben", "--for-merchant")
    history = send(found.client, "GET", f"{path}/history").json()["data"]
    made = [(entry["by"], entry.get("text") or entry["note"]) for entry in history[-3:]]
    key_id = first.json()["by"]
    assert key_id.startswith("key_")
    assert made == [(key_id, "Order 4711 was paid once."), (key_id, "to anna"), ("operator", "Looking.")]
    assert "Order 4711 was paid once." in found.stack.operator("breaks", "show", found.break_id).stdout


@pytest.mark.timeout(600)
def test_two_keys_decide_about_a_correction(found: Found) -> None:
    """Fails when the function does not learn which key acts, or its role may not write the decision. A proposal that
    a workflow made, and its approval, are in test_corrections.
    """
    (view,) = send(found.client, "GET", "/breaks?class=status_mismatch").json()["data"]
    path = view["links"]["correction"]
    assert send(found.client, "GET", path).status == 404
    case = CaseStore(found.database).get(view["id"])
    store_proposal(found.database, case, task_token="", expires_at_ms=int(time.time() * 1000) + DAY_MS)
    shown = send(found.client, "GET", path).json()
    assert (shown["status"], shown["proposal_version"]) == ("awaiting_approval", 1)
    proposed = send(found.client, "POST", f"{path}/proposals", {"proposal_version": 1, "amount_minor": 500})
    assert (proposed.status, proposed.json()["proposal_version"]) == (201, 2)
    seen = {"proposal_version": 2}
    own = send(found.client, "POST", f"{path}/rejections", seen)
    assert (own.status, own.json()["type"]) == (403, "urn:payonce:problem:self-approval")
    second = found.key("breaks:read", "breaks:approve")
    assert send(second, "POST", f"{path}/rejections", {"proposal_version": 1}).status == 409
    rejected = send(second, "POST", f"{path}/rejections", seen)
    assert (rejected.status, rejected.json()["status"], rejected.json()["amount_minor"]) == (200, "rejected", 500)
    again = send(second, "POST", f"{path}/rejections", seen)
    assert (again.status, again.body) == (200, rejected.body)
    assert send(second, "POST", f"{path}/approvals", seen).status == 409
    assert send(found.client, "GET", f"/breaks/{view['id']}").json()["correction"] == rejected.json()
    history = send(found.client, "GET", view["links"]["history"]).json()["data"]
    assert [entry["status"] for entry in history if entry["object"] == "correction_step"][-1] == "rejected"


@pytest.mark.timeout(600)
def test_a_surplus_that_the_bank_does_not_know_is_for_a_person(found: Found) -> None:
    """The report of the fixture has invented its second charge. Fails when the run starts no workflow for a break, or
    a decision is possible about what nobody proposes.
    """

    def correction() -> Any:
        answer = send(found.client, "GET", f"/breaks/{found.break_id}/correction")
        return answer.json() if answer.status == 200 and answer.json()["status"] not in ("open", "checked") else None

    view = wait_for(correction)
    assert (view["status"], view["outcome"]) == ("manual", "charge_not_found")
    second = found.key("breaks:approve")
    answer = send(second, "POST", f"/breaks/{found.break_id}/correction/approvals", {"proposal_version": 1})
    assert (answer.status, answer.json()["type"]) == (409, "urn:payonce:problem:correction-state")


ROUTES = (
    ("GET", "", None, "breaks:read"),
    ("GET", "/history", None, "breaks:read"),
    ("GET", "/correction", None, "breaks:read"),
    ("POST", "/comments", {"text": "x"}, "breaks:write"),
    ("POST", "/assignments", {"assignee": None}, "breaks:write"),
    ("POST", "/correction/proposals", {"proposal_version": 1, "amount_minor": 1}, "breaks:write"),
    ("POST", "/correction/approvals", {"proposal_version": 1}, "breaks:approve"),
    ("POST", "/correction/rejections", {"proposal_version": 1}, "breaks:approve"),
)


@pytest.mark.timeout(600)
def test_a_break_is_its_merchants_alone_and_each_route_needs_its_scope(found: Found) -> None:
    _, other_key = found.stack.create_merchant("Other")
    other = Client(found.stack, other_key)
    assert send(other, "GET", "/breaks").json()["data"] == []
    unscoped = found.key("payments:read", "payments:write")
    assert send(unscoped, "GET", "/breaks").status == 403
    version = found.case().version
    for method, path, body, scope in ROUTES:
        assert send(other, method, f"/breaks/{found.break_id}{path}", body).status == 404, path
        refused = send(unscoped, method, f"/breaks/{found.break_id}{path}", body)
        assert (refused.status, scope in refused.json()["detail"]) == (403, True), path
    assert found.case().version == version
