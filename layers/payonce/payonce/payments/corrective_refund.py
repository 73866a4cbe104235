"""The refund of a payment of ours that corrects a break."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import Declined, OperationKind, Succeeded
from payonce.idempotency.records import Draft, Plan
from payonce.payments.corrective_plan import SUBMISSION, CorrectivePlan, not_approved, operation_id_of
from payonce.payments.follow_up import FollowUp
from payonce.payments.operations import FollowUpPlan
from payonce.payments.payment_work import Doubted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.domain.errors import PayonceError, WriteConflict
    from payonce.domain.gateway import Instruction, Pending
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.payments.operations import AttemptedPlan
    from payonce.payments.payment_work import Result, Services
    from payonce.ports import Gateway, Write


class CorrectiveRefund(FollowUp):
    """Refunds a payment of ours: reserved and booked like any refund, keyed by the break and the attempt."""

    max_submissions = SUBMISSION

    def __init__(
        self,
        plan: CorrectivePlan,
        gateway_named: Callable[[GatewayAddress], Gateway],
        services: Services,
        guards: Sequence[Write] = (),
    ) -> None:
        self._corrective = plan
        self._guards = guards
        follow_up = FollowUpPlan(
            kind=OperationKind.REFUND,
            merchant_id=plan.merchant_id,
            payment_id=plan.payment_id,
            operation_id=operation_id_of(plan.break_id, plan.attempt),
            amount_minor=plan.amount_minor,
            created_at_ms=plan.created_at_ms,
            spent=plan.spent,
        )
        super().__init__(follow_up, gateway_named, services)

    def plan(self) -> Plan:
        """See ``Work``."""
        reserved = super().plan()

        def refused(conflict: WriteConflict) -> PayonceError:
            return self._refusal(conflict) if conflict.index == 0 else not_approved(self._corrective)

        return replace(
            reserved,
            claim_id=self._services.ids.new("cor"),  # fresh, as in payments.corrective
            data=self._corrective.to_data(),
            writes=[*reserved.writes, self._corrective.claim_write(), *self._guards],
            on_conflict=refused,
            lane=self._corrective.gateway,
        )

    def adopt(self, record: IdempotencyRecord) -> CorrectiveRefund:
        """See ``Work``."""
        return CorrectiveRefund(CorrectivePlan.from_data(record.plan), self._gateway_named, self._services)

    def _settled(
        self, gateway: Gateway, instruction: Instruction, result: Succeeded | Declined, claim: Claim
    ) -> Conclusion:
        # It was refunded outside payonce meanwhile: the correction fails, and the next run compares again.
        del gateway, instruction, claim
        return self._completed(result)

    def _stored_form(self, plan: AttemptedPlan) -> Mapping[str, Any]:
        return replace(self._corrective, submission=plan.submission, spent=plan.spent).to_data()

    def follows(self, pending: Pending, instruction: Instruction) -> bool:
        """See ``GatewayWork``. A correction ends once: one that is only received is asked about until it is decided."""
        del pending, instruction
        return False

    def draft(self, result: Result) -> Draft:
        """See ``FollowUp``."""
        draft = super().draft(result)
        if isinstance(result, Doubted):
            return draft
        now_ms = self._clock.now_ms()
        writes = [*draft.writes, self._corrective.mark_write(result, now_ms)]
        if isinstance(result, Succeeded):
            writes.append(self._corrective.case_write(now_ms))
        return Draft(draft.response, writes)
