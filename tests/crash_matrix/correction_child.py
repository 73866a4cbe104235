"""The correction driver that is killed, with a kill point between two calls of its ports."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from payonce.corrections.policy import Policy
from payonce.corrections.workflow import Corrections
from payonce.ports import Deadline
from payonce.reconciliation.model import Break
from payonce.reconciliation.taxonomy import BreakClass
from payonce.stores.memory_workflows import MemoryWorkflows
from tests.crash_matrix import child

REQUEST_MS = 25_000
POLICY = Policy(automatic={(BreakClass.DUPLICATE_CAPTURE, "EUR"): 5000, (BreakClass.DOUBLE_CHARGE, "EUR"): 5000})


def kill(_how: str) -> None:
    """End this process as the kernel does: nothing of it runs after this."""
    os.kill(os.getpid(), signal.SIGKILL)


def found_of(task: dict[str, Any]) -> Break:
    """Return the break that the task is about."""
    return Break(
        break_class=BreakClass(task["break_class"]),
        subject=tuple(task["subject"]),
        amount_minor=1000,
        currency="EUR",
        occurred_at_ms=0,
        merchant_id=child.MERCHANT,
        payment_id=task["payment_id"],
        gateway="bank",
        surplus_gateway_payment_id=task["surplus"],
    )


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Drive the correction as far as it goes."""
    app = child.application(task)
    corrections = Corrections(
        services=app.services,
        engine=app.engine,
        gateway_named=app.gateway,
        policy=lambda: POLICY,
        notifier=MemoryWorkflows(),
    )
    step = corrections.advance(found_of(task), Deadline(app.clock.now_ms() + REQUEST_MS))
    return {"status": step.correction.status.value, "retry_later": step.retry_later}


if __name__ == "__main__":
    child.strike = kill
    sys.stdout.write(json.dumps(run(json.loads(sys.argv[1]))))
