"""Recovery: finishes what crashed owners left open, and asks again about operations in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError
from payonce.domain.gateway import OperationKind
from payonce.idempotency.claim_recovery import (
    MAX_CLAIMS_PER_SHARD,
    RECOVERY_TIMEOUT_PER_CLAIM_MS,
    RUN_INTERVAL_MS,
    RecoveryReport,
    Sweep,
    carried_on_by,
)
from payonce.idempotency.release import ReleaseDesk
from payonce.payments.corrective import corrective_work
from payonce.payments.corrective_plan import CorrectivePlan
from payonce.payments.create import CreatePayment
from payonce.payments.follow_up import FollowUp
from payonce.payments.operations import FollowUpPlan, PaymentPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.idempotency.engine import IdempotencyEngine
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.payments.payment_work import GatewayWork, Services
    from payonce.ports import Deadline, Gateway, Write

__all__ = ["MAX_CLAIMS_PER_SHARD", "RECOVERY_TIMEOUT_PER_CLAIM_MS", "RUN_INTERVAL_MS", "Recovery", "RecoveryReport"]


# Claims whose whole effect is in their commit: see webhooks.commit_work.ManagementWork. A decision about a correction
# has effects beyond it, but they are idempotent (corrections.requests).
COMMIT_ONLY_PREFIXES = ("webhook_endpoint.", "webhook_delivery.", "webhook_replay.", "break.")


def work_for(
    record: IdempotencyRecord, gateway_named: Callable[[str], Gateway], services: Services
) -> GatewayWork | None:
    """Return the work that a stored claim describes, or ``None`` when its whole effect is in its commit.

    Raises ``MisconfiguredError`` for another program's claim, about which nothing is known: releasing it would allow
    a second effect.
    """
    if "correction" in record.plan:
        return corrective_work(CorrectivePlan.from_data(record.plan), gateway_named, services)
    kind = str(record.plan.get("kind", ""))
    if kind.startswith(COMMIT_ONLY_PREFIXES):
        return None
    if kind not in OperationKind:
        raise MisconfiguredError(
            f"The claim is of the kind {kind!r}, unknown to this API. Other programs need a table of their own."
        )
    if record.plan["kind"] == OperationKind.PAYMENT.value:
        return CreatePayment(PaymentPlan.from_data(record.plan), gateway_named, services)
    return FollowUp(FollowUpPlan.from_data(record.plan), gateway_named, services)


class Recovery:
    """Resolves the open claims of payments and endpoints. Idempotent, and safe to run in parallel."""

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


def release_desk(store: IdempotencyStore, gateway_named: Callable[[str], Gateway], services: Services) -> ReleaseDesk:
    """Return the desk at which operators release this API's claims."""

    def undo(record: IdempotencyRecord) -> Sequence[Write]:
        if carried_on_by(record):
            return ()  # a request to an upstream reserves nothing here
        work = work_for(record, gateway_named, services)
        return () if work is None else work.abandon_writes(record)

    def may_have_charged(record: IdempotencyRecord) -> bool:
        # This holds for the first owner too: it may have died between sending and writing, without a trace.
        return carried_on_by(record) != "" or work_for(record, gateway_named, services) is not None

    def settles_after_seconds(record: IdempotencyRecord) -> float | None:
        work = None if carried_on_by(record) else work_for(record, gateway_named, services)
        if work is None:
            return 0.0
        try:
            gateway, _ = work.prepare()
        except (GatewayUnavailable, MisconfiguredError):
            return None  # a gateway that is gone for good may not be configured any more
        return gateway.capabilities.lookup_authoritative_after_seconds

    return ReleaseDesk(
        store=store,
        clock=services.clock,
        undo=undo,
        may_have_happened=may_have_charged,
        settles_after_seconds=settles_after_seconds,
    )
