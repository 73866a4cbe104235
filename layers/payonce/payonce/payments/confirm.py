"""Hands the gateway what the payer came back with, where the gateway needs such a second step.

A confirmation charges nothing by itself: the payment has one object at the gateway, which is executed at most once,
whoever confirms it how often. So an owner that does not know what became of an earlier one asks, and confirms again
while the gateway still waits. Whichever commits first decides the payment: this, the settlement or a cancellation.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from payonce.domain.errors import (
    BodyMalformed,
    GatewayUnavailable,
    NotFound,
    NotStarted,
    PaymentStateConflict,
    StoreUnavailable,
)
from payonce.domain.gateway import AwaitsPayer, Declined, NeverSent, Pending, ResultRefused, Succeeded
from payonce.idempotency.records import Completed, Draft, InDoubt, Plan, Released
from payonce.payments.held import Held
from payonce.payments.operations import ConfirmationPlan
from payonce.payments.payment_items import payment_from, still_waits
from payonce.payments.payment_work import DEFAULT_RETRY_AFTER_SECONDS, GatewayWork
from payonce.payments.representation import declined_response, payment_path
from payonce.payments.rules import MAX_RESUBMIT_AGE_MS, next_inquiry_ms
from payonce.payments.stored_payments import keep_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.errors import PayonceError, WriteConflict
    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord, StoredResponse
    from payonce.payments.held import HeldAtGateway
    from payonce.payments.payment_work import Result, Services
    from payonce.payments.setup_plans import SetupStepPlan
    from payonce.ports import Gateway, Write

LONGEST_TEXT = "x" * 256
NOTHING_TO_CONFIRM = "Only a payment that requires action can be confirmed."


def plan_confirmation(*, merchant_id: str, payment_id: str, result: str, services: Services) -> ConfirmationPlan:
    """Return the plan of a confirmation with the ``result`` that the payer came back with."""
    return ConfirmationPlan(
        merchant_id=merchant_id,
        payment_id=payment_id,
        confirmation_id=services.ids.new("conf"),
        result=result,
        created_at_ms=services.clock.now_ms(),
    )


class Confirmation(GatewayWork):
    """The work of a confirmation, of a payment or of a set-up."""

    _plan: ConfirmationPlan | SetupStepPlan

    def __init__(
        self,
        plan: ConfirmationPlan | SetupStepPlan,
        gateway_named: Callable[[GatewayAddress], Gateway],
        services: Services,
    ) -> None:
        super().__init__(services)
        self._plan = plan
        self._services = services
        self._gateway_named = gateway_named

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``."""
        held = self._held()
        return self._gateway_named(held.address), held.instruction

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        if self._started:
            return self._later(claim)
        self._started = True
        self._record_id = claim.record.record_id
        try:
            gateway, instruction = self.prepare()
        except NotStarted as error:
            return Released(error)
        outcome = self._confirm(gateway, instruction, claim)
        if isinstance(outcome, NeverSent):
            return Released(
                GatewayUnavailable(
                    f"The gateway took no request ({outcome.reason}). Retry with the same key.",
                    retry_after_seconds=outcome.retry_after_seconds or DEFAULT_RETRY_AFTER_SECONDS,
                )
            )
        if isinstance(outcome, ResultRefused):
            return Released(BodyMalformed(f"/payment_result: {outcome.message}"))
        if isinstance(outcome, Succeeded | Declined | Pending):
            return Completed(lambda: self.draft(outcome))
        found = self._look(gateway, instruction, claim)
        # What still waits may be about to be executed: the confirmation was sent a moment ago.
        if isinstance(found, Succeeded | Declined) or (isinstance(found, Pending) and not _waits(found)):
            return Completed(lambda: self.draft(found))
        return self._later(claim)

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. Asks first, and confirms again what still waits."""
        self._record_id = claim.record.record_id
        held = self._held()
        if not held.awaits_payer:
            return Completed(lambda: self._as_it_is())
        gateway, instruction = self._gateway_named(held.address), held.instruction
        outcome: LookupOutcome | SubmitOutcome = self._look(gateway, instruction, claim)
        if _waits(outcome):
            outcome = self._confirm(gateway, instruction, claim)
        if isinstance(outcome, ResultRefused):
            return Completed(lambda: self._as_it_is())  # an earlier owner may have handed in the payer's genuine one
        if isinstance(outcome, Succeeded | Declined | Pending):
            decided = outcome
            return Completed(lambda: self.draft(decided))
        if self._clock.now_ms() - self._plan.created_at_ms >= MAX_RESUBMIT_AGE_MS:
            return Completed(lambda: self._as_it_is())  # the settlement goes on asking
        return self._later(claim)

    def draft(self, result: Result) -> Draft:
        """See ``GatewayWork``. What was decided meanwhile is answered as it is."""
        writes, answer = self._held().decided(result, self._record_id, at_ms=self._clock.now_ms())
        return Draft(answer, writes)

    def abandon_writes(self, record: IdempotencyRecord) -> Sequence[Write]:
        """See ``GatewayWork``. A confirmation has reserved nothing, and the settlement goes on asking."""
        del record
        return ()

    def _confirm(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> SubmitOutcome:
        waiting = AwaitsPayer(instruction.gateway_charge_id or "", "the payer has come back")
        return gateway.confirm(instruction, waiting, self._plan.result, self._inquiry_deadline(claim))

    def _look(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> LookupOutcome:
        return gateway.find(instruction, self._inquiry_deadline(claim))

    def _as_it_is(self) -> Draft:
        return Draft(self._held().answer(), ())

    def _later(self, claim: Claim) -> InDoubt:
        at_ms = next_inquiry_ms(self._clock.now_ms(), claim.record.fence)
        answer = self._held().provisional()
        return InDoubt(lambda: Draft(claim.record.response or answer, ()), at_ms, submitted=True)

    @abstractmethod
    def _held(self) -> HeldAtGateway:
        """Return what is confirmed, as it is stored now."""


class ConfirmPayment(Confirmation):
    """The work of ``POST /payments/{id}/confirmations``."""

    _plan: ConfirmationPlan

    def __init__(
        self, plan: ConfirmationPlan, gateway_named: Callable[[GatewayAddress], Gateway], services: Services
    ) -> None:
        super().__init__(plan, gateway_named, services)
        self._head_unknown: StoreUnavailable | None = None

    def plan(self) -> Plan:
        """See ``Work``. The claim requires that the payment waits for its payer."""
        plan = self._plan
        try:
            keep_head(self._database, plan.merchant_id, plan.payment_id)
        except StoreUnavailable as error:
            self._head_unknown = error  # only the claim can tell whether the key is known
        return Plan(
            claim_id=plan.confirmation_id,
            resource=payment_path(plan.payment_id),
            data=plan.to_data(),
            writes=[still_waits(plan.merchant_id, plan.payment_id)],
            on_conflict=self._refusal,
        )

    def largest_response(self) -> StoredResponse:
        """See ``Work``. The payment's largest response was stored before."""
        return declined_response(LONGEST_TEXT, location=payment_path(self._plan.payment_id), code=LONGEST_TEXT)

    def adopt(self, record: IdempotencyRecord) -> ConfirmPayment:
        """See ``Work``."""
        return ConfirmPayment(ConfirmationPlan.from_data(record.plan), self._gateway_named, self._services)

    def _held(self) -> Held:
        return Held.read(self._database, self._plan.merchant_id, self._plan.payment_id)

    def _refusal(self, conflict: WriteConflict) -> PayonceError:
        if conflict.current is None:
            return self._head_unknown or NotFound(f"There is no payment {self._plan.payment_id}.")
        payment = payment_from(conflict.current)
        return PaymentStateConflict(
            f"The payment is {payment.status.value}. {NOTHING_TO_CONFIRM}",
            payment_status=payment.status.value,
            resource=payment_path(payment.payment_id),
        )


def _waits(outcome: LookupOutcome | SubmitOutcome) -> bool:
    return isinstance(outcome, AwaitsPayer)
