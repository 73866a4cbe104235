"""Cancels a payment that waits for its payer.

Nothing is reserved on such a payment, so the cancellation has nothing to give back; what it needs is the gateway's word
that the payer can no longer pay. The payer may be faster, and the settlement may see either first::

    payer      ───────── authenticates ─────────▶
    merchant   ── claim ─ withdraw ─┬ withdrawn: voided, even if the settlement has told of it before
                                    ├ the payer was faster: declined; the settlement books what was paid
                                    └ no answer: in doubt, withdrawn again later, which is harmless
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import AwaitsPayer, Declined, NeverSent, OperationKind, Pending, Succeeded, Unknown
from payonce.payments.follow_up import FollowUp
from payonce.payments.held import instruction_of
from payonce.payments.operations import FollowUpPlan
from payonce.payments.payment_items import still_waits
from payonce.payments.payment_work import COMMIT_RESERVE_MS, MIN_SUBMIT_MS
from payonce.payments.planning import load_payment
from payonce.payments.settlement import settlement_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import Claim, IdempotencyRecord
    from payonce.payments.payment_work import Services
    from payonce.ports import Gateway, Write

PAYER_WAS_FASTER = "payer_was_faster"
NOT_CANCELABLE = "not_cancelable"


def follow_up_work(
    plan: FollowUpPlan, gateway_named: Callable[[GatewayAddress], Gateway], services: Services
) -> FollowUp:
    """Return the work of a capture, void or refund."""
    if plan.kind is not OperationKind.VOID:
        return FollowUp(plan, gateway_named, services)
    return (CancelWaiting if plan.awaits_payer else Cancel)(plan, gateway_named, services)


class Cancel(FollowUp):
    """The work of ``POST /payments/{id}/cancellations``."""

    @property
    def settlement_id(self) -> str:
        """The record id of the payment's settlement."""
        return settlement_id(self._plan.merchant_id, self._plan.payment_id)

    def adopt(self, record: IdempotencyRecord) -> FollowUp:
        """See ``Work``. What the payment was when it was claimed decides, and not what it is now."""
        return follow_up_work(FollowUpPlan.from_data(record.plan), self._gateway_named, self._services)


class CancelWaiting(Cancel):
    """The work of ``POST /payments/{id}/cancellations`` while the payment requires action."""

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``. The instruction is the payment's own: that is what is withdrawn."""
        self._payment = payment = load_payment(self._services, self._plan.merchant_id, self._plan.payment_id)
        return self._gateway_named(payment.address), instruction_of(payment)

    def undo_writes(self) -> Sequence[Write]:
        """See ``GatewayWork``."""
        return ()

    def reservation(self) -> Write:
        """Return the condition that the payment still waits for its payer."""
        return still_waits(self._plan.merchant_id, self._plan.payment_id)

    def _submit(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> SubmitOutcome:
        if claim.deadline.at_ms - COMMIT_RESERVE_MS - self._clock.now_ms() < MIN_SUBMIT_MS:
            return NeverSent("too little time was left to wait for an answer")
        return self._withdraw(gateway, instruction, claim)

    def _find(
        self, gateway: Gateway, instruction: Instruction, claim: Claim, *, withdrawing: bool = False
    ) -> LookupOutcome:
        return self._withdraw(gateway, instruction, claim)

    def _withdraw(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> Succeeded | Declined | Unknown:
        charge_id = instruction.gateway_charge_id or ""
        waiting = AwaitsPayer(charge_id, "the merchant cancels it")
        outcome = gateway.withdraw(instruction, waiting, self._inquiry_deadline(claim))
        match outcome:
            case Declined():
                return Succeeded(charge_id, charge_id)
            case Succeeded():
                return Declined(PAYER_WAS_FASTER, "The payer had paid before the payment could be canceled.")
            # Shown as waiting again, it can be withdrawn again: a challenge that failed may be followed by another.
            case Pending() if not isinstance(outcome, AwaitsPayer):
                return Declined(NOT_CANCELABLE, "The gateway processes the payment by now, and can't cancel it.")
            case _:
                return Unknown("the gateway did not say whether it is canceled", repeatable=True)
