"""Recovery of one claim: finishes what a crashed owner left open, and asks again about an operation in doubt.

Which claims, when and how many at a time: ``payonce.recovery``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError
from payonce.domain.gateway import OperationKind
from payonce.idempotency.claim_recovery import carried_on_by
from payonce.idempotency.release import ReleaseDesk
from payonce.payments.cancel_waiting import follow_up_work
from payonce.payments.confirm import ConfirmPayment
from payonce.payments.corrective import corrective_work
from payonce.payments.corrective_plan import CorrectivePlan
from payonce.payments.counted_gateway import CountedGateway
from payonce.payments.create import CreatePayment
from payonce.payments.operation_settlement import OperationSettlement
from payonce.payments.operations import CONFIRMATION, ConfirmationPlan, FollowUpPlan, PaymentPlan
from payonce.payments.settlement import SETTLEMENT, PaymentSettlement
from payonce.payments.setup_plans import SETUP_STEP, RevocationPlan, SetupPlan, SetupStepPlan
from payonce.payments.setups.create_setup import CreateSetup
from payonce.payments.setups.revoke import RevokeMethod
from payonce.payments.setups.settlement import SetupSettlement
from payonce.payments.setups.steps import setup_step_work
from payonce.recovery.asker import Tally
from payonce.recovery.messages import AskMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.engine import IdempotencyEngine
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.payments.payment_work import GatewayWork, Services
    from payonce.ports import Deadline, Gateway, Write

UNKNOWN_LANES = AskMessage(lane="", claims=())  # of a claim that no feeder has released

# Claims whose whole effect is in their commit: see webhooks.commit_work.ManagementWork. A decision about a correction
# has effects beyond it, but they are idempotent (corrections.requests).
COMMIT_ONLY_PREFIXES = ("webhook_endpoint.", "webhook_delivery.", "webhook_replay.", "break.")


def work_for(
    record: IdempotencyRecord, gateway_named: Callable[[GatewayAddress], Gateway], services: Services
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
    if kind == SETTLEMENT:
        return _settlement_of(record, gateway_named, services)
    if kind == CONFIRMATION:
        return ConfirmPayment(ConfirmationPlan.from_data(record.plan), gateway_named, services)
    if kind == SETUP_STEP:
        return setup_step_work(SetupStepPlan.from_data(record.plan), gateway_named, services)
    if kind not in OperationKind:
        raise MisconfiguredError(
            f"The claim is of the kind {kind!r}, unknown to this API. Other programs need a table of their own."
        )
    return _operation_of(OperationKind(kind), record, gateway_named, services)


def _settlement_of(
    record: IdempotencyRecord, gateway_named: Callable[[GatewayAddress], Gateway], services: Services
) -> GatewayWork:
    if "setup_id" in record.plan:
        return SetupSettlement(record.plan, gateway_named, services)
    settlement = OperationSettlement if "operation" in record.plan else PaymentSettlement
    return settlement(record.plan, gateway_named, services)


def _operation_of(
    kind: OperationKind,
    record: IdempotencyRecord,
    gateway_named: Callable[[GatewayAddress], Gateway],
    services: Services,
) -> GatewayWork:
    match kind:
        case OperationKind.PAYMENT:
            return CreatePayment(PaymentPlan.from_data(record.plan), gateway_named, services)
        case OperationKind.SETUP:
            return CreateSetup(SetupPlan.from_data(record.plan), gateway_named, services)
        case OperationKind.REVOCATION:
            return RevokeMethod(RevocationPlan.from_data(record.plan), gateway_named, services)
    return follow_up_work(FollowUpPlan.from_data(record.plan), gateway_named, services)


class Recovery:
    """Settles open claims of payments and endpoints. Idempotent, and safe to run in parallel."""

    def __init__(
        self,
        *,
        engine: IdempotencyEngine,
        services: Services,
        gateway_named: Callable[[GatewayAddress], Gateway],
    ) -> None:
        self._engine = engine
        self._services = services
        self._gateway_named = gateway_named

    def recover(
        self,
        open_id: str,
        deadline: Deadline,
        message: AskMessage = UNKNOWN_LANES,
        tally: Tally | None = None,
        *,
        early: bool = False,
    ) -> bool | None:
        """See ``Recover``. A claim whose gateway is known to be silent is left alone, without a takeover.

        ``early``: see ``IdempotencyEngine.recover``.
        """
        foreign = False
        counted = Tally() if tally is None else tally

        def concerns(record: IdempotencyRecord) -> bool:
            nonlocal foreign
            foreign = carried_on_by(record) != ""
            return not foreign and not (message.silent and self._asks_one_of(message.silent, record))

        def work_of(record: IdempotencyRecord) -> GatewayWork | None:
            work = work_for(record, lambda at: CountedGateway(self._gateway_named(at), counted), self._services)
            if work is not None:
                work.answering_since_ms = message.answering_since_ms
            return work

        concluded = self._engine.recover(open_id, work_of, deadline, concerns=concerns, early=early)
        return None if foreign else concluded

    def _asks_one_of(self, silent: AbstractSet[str], record: IdempotencyRecord) -> bool:
        """Return whether the claim's gateway is silent. A claim that does not name its gateway costs a read."""
        if record.lane:
            return record.lane in silent
        work = work_for(record, self._gateway_named, self._services)
        return work is not None and work.prepare()[0].name in silent


def release_desk(
    store: IdempotencyStore, gateway_named: Callable[[GatewayAddress], Gateway], services: Services
) -> ReleaseDesk:
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
