"""Recovery without a queue: every open claim that is due is settled, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.idempotency.claim_recovery import RecoveryReport, Sweep
from payonce.observability import get_logger
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.wiring.application import Application

RUN_MS = 10_000_000


def recover(
    application: Application, *, report_error: Callable[[str, Exception], None] | None = None, run_ms: int = RUN_MS
) -> RecoveryReport:
    """Settle what is due now."""

    def log(open_id: str, error: Exception) -> None:
        get_logger().error("claim not recovered", extra={"record_id": open_id, "error": repr(error)})

    sweep = Sweep(
        store=application.store,
        clock=application.clock,
        recover=application.recovery.recover,
        report_error=report_error or log,
    )
    return sweep.run(Deadline(application.clock.now_ms() + run_ms))
