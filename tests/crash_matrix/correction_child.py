"""The correction worker that is killed, with a kill point before and after every call of a port.

A task is killed by SIGKILL, as the kernel does when a machine is taken away: nothing of it runs after that.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.corrections.policy import POLICY_FILE
from payonce.corrections.record import CorrectionStatus
from payonce.corrections.workflow import Identity
from payonce.domain.errors import PayonceError
from payonce.domain.ledger import JournalEntry, Movement, MovementKind, charge
from payonce.entrypoints.corrections import correct
from payonce.gateways.sandbox_bank import sandbox_bank_from_options
from payonce.payments.journal import correction_writes
from payonce.payments.planning import load_payment
from payonce.ports import Deadline, Table
from payonce.reconciliation.cases.case import CaseChange, opened
from payonce.reconciliation.cases.case_items import case_writes
from payonce.reconciliation.model import Break
from payonce.reconciliation.taxonomy import BreakClass
from payonce.stores.dynamodb import DynamoDatabase
from payonce.stores.memory_files import MemoryFiles
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.crash_matrix import child
from tests.support.aws import http_client

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_MS = 25_000
CORRECTED_MINOR = 1_000
AUTOMATIC = b"".join(
    b"[automatic.%s]\nEUR = 5000\n" % name for name in (b"duplicate_capture", b"double_charge", b"duplicate_posting")
)
CHECKER = "key_checker"


class Fuse:
    """Kills this process before or after the n-th call of all ports; 0 for never."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after = at, after
        self.calls: list[str] = []

    def around(self, name: str, call: Callable[[], Any]) -> Any:
        """Make the call, or die at it."""
        self.calls.append(name)
        if len(self.calls) == self.at and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call()
        if len(self.calls) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


class Fused:
    """A port with the fuse around each of its calls."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in {"name", "capabilities"}:
            return found
        return lambda *given, **named: self._fuse.around(name, lambda: found(*given, **named))


def application(task: dict[str, Any], fuse: Fuse) -> Application:
    """Return the real application, with the fuse around its adapters."""
    clock = child.FileClock(Path(task["clock_file"]))
    names = {Table(name): value for name, value in task["tables"].items()}
    files = MemoryFiles()
    if task["automatic"]:
        files.stored[POLICY_FILE] = AUTOMATIC
    gateway = sandbox_bank_from_options("bank", task["gateway"], {"sandbox_bank_api_key": "x"}, clock)
    return Application(
        load_settings({}),
        clock=clock,
        database=Fused(DynamoDatabase(http_client(task["dynamodb_url"]), names), fuse),  # type: ignore[arg-type]
        gateways={"bank": Fused(gateway, fuse)},  # type: ignore[dict-item]
        workflows=Fused(MemoryWorkflows(), fuse),  # type: ignore[arg-type]
        files=Fused(files, fuse),  # type: ignore[arg-type]
    )


def drive(task: dict[str, Any]) -> dict[str, Any]:
    """Make the steps of the state machine, and a person's approval where one is needed, as far as they lead."""
    fuse = Fuse(task.get("at", 0), after=task.get("after", False))
    app = application(task, fuse)
    identity = Identity(child.MERCHANT, task["payment_id"], task["break_id"])

    def step(name: str, **values: Any) -> Any:
        deadline = Deadline(app.clock.now_ms() + REQUEST_MS)
        return correct(app, {"step": name, "break_id": task["break_id"], **values}, deadline)

    try:
        step("start", attempt=1)
        step("reread")
        if step("decide")["status"] == CorrectionStatus.AWAITING_APPROVAL.value:
            step("wait", task_token=f"token-{os.getpid()}")
            version = app.corrections.load(identity).proposal_version
            app.corrections.approve(identity, proposal_version=version, actor=CHECKER)
        answer = step("execute")
    except PayonceError as error:
        return {"status": type(error).__name__, "calls": fuse.calls}
    return {"status": answer["status"], "calls": fuse.calls}


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Make the payment that something happened to twice, and the case that a run opens of it."""
    keys = ("first", "second") if task["break_class"] == BreakClass.DOUBLE_CHARGE else ("only",)
    for key in keys:
        made = child.run({**task, "do": "payment", "key": f"key-{task['number']}-{key}-of-the-client"})
    payment_id = json.loads(made["body"])["id"]
    app = application({**task, "automatic": True}, Fuse(0, after=False))
    payment = load_payment(app.services, child.MERCHANT, payment_id)
    reference, surplus, third = payment.gateway_reference, None, "none"
    if task["break_class"] == BreakClass.DUPLICATE_CAPTURE:
        # The gateway's own fault: it charged the same reference twice, and only one of the two is in our books.
        surplus = third = child.charge_again(task, reference)
    if task["break_class"] == BreakClass.DUPLICATE_POSTING:
        entry = JournalEntry(
            merchant_id=child.MERCHANT,
            payment_id=payment_id,
            version=99,
            currency="EUR",
            description="imported",
            break_id="brk_imported",
            booked_at_ms=app.clock.now_ms(),
            postings=charge("bank", CORRECTED_MINOR),
            movement=Movement(
                kind=MovementKind.CHARGE,
                gateway="bank",
                gateway_reference=reference,
                gateway_payment_id=payment.gateway_charge_id,
                payer=task["token"],
            ),
        )
        app.database.write(correction_writes(entry))
        third = entry.entry_id
    found = Break(
        break_class=BreakClass(task["break_class"]),
        subject=("bank", reference, third),
        amount_minor=CORRECTED_MINOR,
        currency="EUR",
        occurred_at_ms=app.clock.now_ms(),
        merchant_id=child.MERCHANT,
        payment_id=payment_id,
        gateway="bank",
        surplus_gateway_payment_id=surplus,
    )
    case = opened(found, run_id="run_1", at_ms=app.clock.now_ms())
    app.database.write(case_writes(None, case, CaseChange.FOUND, by="run:run_1", note=None))
    return {"payment_id": payment_id, "break_id": found.break_id}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do the task."""
    return prepare(task) if task["do"] == "prepare" else drive(task)
