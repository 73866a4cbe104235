"""Follows a capture, void or refund that the gateway has received and has not decided: see ``settlement``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import Declined, Succeeded
from payonce.payments.follow_up import FollowUp
from payonce.payments.operations import FollowUpPlan
from payonce.payments.rules import NeverExecuted
from payonce.payments.settlement import next_look_ms, parked, report_lost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.domain.gateway import Instruction
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord, InDoubt
    from payonce.payments.operations import AttemptedPlan
    from payonce.payments.payment_work import Services
    from payonce.ports import Gateway, Write


class OperationSettlement(FollowUp):
    """The work of an operation's settlement. It asks, and sends nothing again."""

    def __init__(
        self, data: Mapping[str, Any], gateway_named: Callable[[GatewayAddress], Gateway], services: Services
    ) -> None:
        super().__init__(FollowUpPlan.from_data(data["operation"]), gateway_named, services)
        self._requested_by = data.get("requested_by")
        self._gateway_operation_id = data.get("gateway_operation_id")

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``."""
        gateway, instruction = super().prepare()
        return gateway, replace(instruction, gateway_operation_id=self._gateway_operation_id)

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        self._record_id = self._requested_by
        gateway, instruction = self.prepare()
        found = self._find(gateway, instruction, claim)
        if isinstance(found, Succeeded | Declined):
            return self._settled(gateway, instruction, found, claim)
        plan, now_ms = self._plan, self._clock.now_ms()
        named = {"payment_id": plan.payment_id, "operation_id": plan.operation_id, "merchant_id": plan.merchant_id}
        named["account"] = "" if self._payment is None else self._payment.account
        report_lost(found, named, gateway.name, since_ms=plan.created_at_ms, now_ms=now_ms)
        return self._doubted(claim, submitted=False)

    def abandon_writes(self, record: IdempotencyRecord) -> Sequence[Write]:
        """Return the writes that end the operation as failed: people have found that the gateway does not know it."""
        return self.draft(NeverExecuted()).writes

    def _doubted(
        self, claim: Claim, *, submitted: bool, at_ms: int | None = None, plan: AttemptedPlan | None = None
    ) -> InDoubt:
        del claim, submitted, at_ms, plan
        return parked(next_look_ms(self._clock.now_ms(), self._plan.created_at_ms))
