"""Recovery: carries on what crashed owners left open and asks again about what is in doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import MisconfiguredError
from payonce.domain.gateway import OperationKind
from payonce.idempotency.items import OPEN_LEASE_SHARDS
from payonce.idempotency.release import ReleaseDesk
from payonce.payments.create import CreatePayment
from payonce.payments.follow_up import FollowUp
from payonce.payments.operations import FollowUpPlan, PaymentPlan
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.idempotency.engine import IdempotencyEngine
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.idempotency.store import IdempotencyStore
    from payonce.payments.work import GatewayWork, Services
    from payonce.ports import Gateway, Write

# One claim may need an inquiry, a submission and a commit, each with its own timeout; it gets the time of a request.
RECOVERY_TIMEOUT_PER_CLAIM_MS = 20_000
RUN_INTERVAL_MS = 60_000  # the schedule in template.yaml
MAX_CLAIMS_PER_SHARD = 50  # a run is bounded; the next one is a minute away and starts with the oldest


@dataclass(slots=True)
class RecoveryReport:
    """What one run did: claims looked at, concluded, still in doubt, and failed with an error (all counts)."""

    seen: int = 0
    concluded: int = 0
    still_open: int = 0
    failed: int = 0


# Claims whose whole work is in their commit: webhooks.work.ManagementWork.
COMMIT_ONLY_PREFIXES = ("webhook_endpoint.", "webhook_delivery.", "webhook_replay.")


def work_for(
    record: IdempotencyRecord, gateway_named: Callable[[str], Gateway], services: Services
) -> GatewayWork | None:
    """Return the work that a stored claim describes, or ``None`` when all of it is in its commit.

    Raises ``MisconfiguredError`` for a claim of another program, of which nothing is known: giving it back would let
    its effect happen twice.
    """
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
    """Resolves open claims whose lease ran out. Safe to run any number of times, in parallel, killed anywhere."""

    def __init__(
        self,
        *,
        store: IdempotencyStore,
        engine: IdempotencyEngine,
        services: Services,
        gateway_named: Callable[[str], Gateway],
        report_error: Callable[[str, Exception], None],
    ) -> None:
        self._store = store
        self._engine = engine
        self._services = services
        self._gateway_named = gateway_named
        self._report_error = report_error

    def run(self, deadline: Deadline) -> RecoveryReport:
        """Look at every shard, oldest claims first, until done or until no whole claim fits before ``deadline``."""
        report = RecoveryReport()
        # Where there are more claims than a run can look at, each run starts with another shard: none is always last.
        first = self._services.clock.now_ms() // RUN_INTERVAL_MS
        for shard in ((first + offset) % OPEN_LEASE_SHARDS for offset in range(OPEN_LEASE_SHARDS)):
            open_ids = self._store.open_claims(
                shard, lease_expired_at_ms=self._services.clock.now_ms(), limit=MAX_CLAIMS_PER_SHARD
            )
            for open_id in open_ids:
                claim_deadline_ms = self._services.clock.now_ms() + RECOVERY_TIMEOUT_PER_CLAIM_MS
                if claim_deadline_ms > deadline.at_ms:
                    return report
                self._recover(open_id, Deadline(claim_deadline_ms), report)
        return report

    def _recover(self, open_id: str, deadline: Deadline, report: RecoveryReport) -> None:
        report.seen += 1
        try:
            concluded = self._engine.recover(
                open_id, lambda record: work_for(record, self._gateway_named, self._services), deadline
            )
        except Exception as error:
            # One claim that can't be carried on must not keep the others waiting; its lease brings it back.
            report.failed += 1
            self._report_error(open_id, error)
            return
        if concluded:
            report.concluded += 1
        else:
            report.still_open += 1


def release_desk(store: IdempotencyStore, gateway_named: Callable[[str], Gateway], services: Services) -> ReleaseDesk:
    """Return the desk where operators release claims of this API."""

    def undo(record: IdempotencyRecord) -> Sequence[Write]:
        work = work_for(record, gateway_named, services)
        return () if work is None else work.abandon_writes(record)

    def may_have_charged(record: IdempotencyRecord) -> bool:
        # Also the first owner's: it may have died between sending and writing, and nothing would tell.
        return work_for(record, gateway_named, services) is not None

    return ReleaseDesk(store=store, clock=services.clock, undo=undo, may_have_happened=may_have_charged)
