"""Recovery: carries on what crashed owners left open and asks again about what is in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import OperationKind
from payonce.idempotency.recovery import (
    MAX_CLAIMS_PER_SHARD,
    RECOVERY_TIMEOUT_PER_CLAIM_MS,
    RUN_INTERVAL_MS,
    RecoveryReport,
    Sweep,
    carried_on_by,
)
from payonce.payments.create import CreatePayment
from payonce.payments.follow_up import FollowUp
from payonce.payments.operations import FollowUpPlan, PaymentPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.engine import IdempotencyEngine, Work
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.idempotency.store import IdempotencyStore
    from payonce.payments.work import Services
    from payonce.ports import Deadline, Gateway

__all__ = ["MAX_CLAIMS_PER_SHARD", "RECOVERY_TIMEOUT_PER_CLAIM_MS", "RUN_INTERVAL_MS", "Recovery", "RecoveryReport"]


def work_for(record: IdempotencyRecord, gateway_named: Callable[[str], Gateway], services: Services) -> Work | None:
    """Return the work that a stored claim describes, or ``None`` when no gateway has part in it."""
    if record.plan["kind"] not in OperationKind:
        return None
    if record.plan["kind"] == OperationKind.PAYMENT.value:
        return CreatePayment(PaymentPlan.from_data(record.plan), gateway_named, services)
    return FollowUp(FollowUpPlan.from_data(record.plan), gateway_named, services)


class Recovery:
    """Resolves the open claims of payments and endpoints. Safe to run any number of times, in parallel."""

    def __init__(
        self,
        *,
        store: IdempotencyStore,
        engine: IdempotencyEngine,
        services: Services,
        gateway_named: Callable[[str], Gateway],
        report_error: Callable[[str, Exception], None],
    ) -> None:
        self._engine = engine
        self._services = services
        self._gateway_named = gateway_named
        self._sweep = Sweep(store=store, clock=services.clock, recover=self._recover, report_error=report_error)

    def run(self, deadline: Deadline) -> RecoveryReport:
        """See ``Sweep.run``."""
        return self._sweep.run(deadline)

    def _recover(self, open_id: str, deadline: Deadline) -> bool | None:
        foreign = False

        def concerns(record: IdempotencyRecord) -> bool:
            nonlocal foreign
            foreign = carried_on_by(record) != ""
            return not foreign

        concluded = self._engine.recover(
            open_id,
            lambda record: work_for(record, self._gateway_named, self._services),
            deadline,
            concerns=concerns,
        )
        return None if foreign else concluded
