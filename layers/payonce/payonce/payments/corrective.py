"""The effects of corrections, by the payment protocol: at most one per attempt, whatever is killed or repeated.

The claim's key and the gateway's reference are derived from the break and the attempt. A new attempt is made only when
the previous one's effect is certain, so no part is refunded twice. The claim requires that the correction is approved
and the break still open. The commit marks the correction as corrected and records the refund on the case. Each happens
in the claim's own transaction.

The first partial refund of a surplus charge books the whole charge, as the gateway reports it. What is not refunded
yet stays in suspense, owed to the payer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.errors import GatewayUnavailable
from payonce.domain.gateway import ChargeState, Declined, Instruction, OperationKind, Pending, Succeeded
from payonce.domain.ledger import JournalEntry, Movement, MovementKind, recognition, reversed_postings
from payonce.domain.money import Money
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Completed, Draft, Plan, Released, StoredResponse
from payonce.payments.corrective_plan import (
    ALREADY_GIVEN_BACK,
    DISPUTED,
    PARTLY_GIVEN_BACK,
    SUBMISSION,
    CorrectivePlan,
    address_beside,
    is_undecided,
    left_minor,
    not_approved,
)
from payonce.payments.corrective_refund import CorrectiveRefund
from payonce.payments.journal import correction_writes
from payonce.payments.payment_work import Doubted, GatewayWork, Result, Services
from payonce.payments.planning import load_payment
from payonce.payments.representation import payment_path
from payonce.ports import Adjust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.gateway_address import GatewayAddress
    from payonce.domain.payment import Payment
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.ports import Gateway, Write

LONGEST_TEXT = "x" * 256
RECOGNISED_VERSION = 1  # version of the entry that books a surplus charge; the attempts' refunds count up from it


def corrective_work(
    plan: CorrectivePlan,
    gateway_named: Callable[[GatewayAddress], Gateway],
    services: Services,
    guards: Sequence[Write] = (),
) -> GatewayWork:
    """Return the work of a correction. ``guards``: more writes of its claim, for instance that the break is still open.

    A takeover needs no guards: the claim was made with them.
    """
    kind = CorrectiveRefund if plan.known else GiveBackSurplus
    return kind(plan, gateway_named, services, guards)


class GiveBackSurplus(GatewayWork):
    """Voids or refunds a charge missing from our books, and books both the charge and its reversal."""

    _plan: CorrectivePlan
    max_submissions = SUBMISSION

    def __init__(
        self,
        plan: CorrectivePlan,
        gateway_named: Callable[[GatewayAddress], Gateway],
        services: Services,
        guards: Sequence[Write] = (),
    ) -> None:
        super().__init__(services)
        self._plan = plan
        self._guards = guards
        self._services = services
        self._gateway_named = gateway_named

    def plan(self) -> Plan:
        """See ``Work``.

        The claim's id is fresh. If it were derived from the break, a restarted driver would take its dead predecessor's
        claim for its own, and submit without asking first.
        """
        return Plan(
            claim_id=self._services.ids.new("cor"),
            resource=payment_path(self._plan.payment_id),
            data=self._plan.to_data(),
            writes=[self._plan.claim_write(), *self._guards],
            on_conflict=lambda _conflict: not_approved(self._plan),
            lane=self._plan.gateway,
        )

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return self._response(Declined(LONGEST_TEXT, LONGEST_TEXT))

    def adopt(self, record: IdempotencyRecord) -> GiveBackSurplus:
        """See ``Work``. The claim's plan replaces this request's."""
        return GiveBackSurplus(CorrectivePlan.from_data(record.plan), self._gateway_named, self._services)

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``."""
        plan = self._plan
        payment = load_payment(self._services, plan.merchant_id, plan.payment_id)
        return self._gateway_of(payment), Instruction(
            kind=plan.kind,
            gateway_reference=plan.gateway_reference,
            merchant_id=plan.merchant_id,
            payment_id=plan.payment_id,
            money=Money(plan.amount_minor, plan.currency),
            capture_method=payment.capture_method,
            payment_method=payment.payment_method,
            gateway_charge_id=plan.gateway_charge_id,
            first_submitted_at_ms=plan.created_at_ms,
        )

    def start(self, claim: Claim) -> Conclusion:
        """See ``GatewayWork``. Reads the charge again: somebody may have refunded it while the approval was pending.

        Only before the first submission: afterwards a refund may be our own, and only the reference can tell.
        """
        if not self._started:
            payment = load_payment(self._services, self._plan.merchant_id, self._plan.payment_id)
            state = self._gateway_of(payment).read_charge(self._plan.gateway_charge_id, self._inquiry_deadline(claim))
            if not isinstance(state, ChargeState):
                return Released(GatewayUnavailable("The charge could not be read again. Nothing was executed."))
            if left_minor(state) < self._plan.amount_minor and is_undecided(state):
                disputed = Declined(DISPUTED, "The charge is disputed: its money may be the payer's by then.")
                return Completed(lambda: self.draft(disputed))
            if state.voided or (state.captured_minor > 0 and left_minor(state) <= 0):
                return Completed(lambda: self._given_back())
            if self._plan.kind is OperationKind.REFUND and left_minor(state) < self._plan.amount_minor:
                # Nobody was asked to approve the rest, so nobody has approved it.
                partly = Declined(PARTLY_GIVEN_BACK, f"Only {left_minor(state)} of the charge are left.")
                return Completed(lambda: self.draft(partly))
        return super().start(claim)

    def follows(self, pending: Pending, instruction: Instruction) -> bool:
        """See ``GatewayWork``. A correction ends once: one that is only received is asked about until it is decided."""
        del pending, instruction
        return False

    def draft(self, result: Result) -> Draft:
        """See ``GatewayWork``. A doubt writes nothing: the correction stays approved until the doubt is resolved."""
        if isinstance(result, Doubted):
            return Draft(self._response(result), ())
        now_ms = self._clock.now_ms()
        writes = [self._plan.mark_write(result, now_ms)]
        if isinstance(result, Succeeded):
            writes.append(self._plan.case_write(now_ms))
        if isinstance(result, Succeeded) and self._plan.kind is OperationKind.REFUND:
            writes += correction_writes(*self._entries(now_ms))
        return Draft(self._response(result), writes)

    def _gateway_of(self, payment: Payment) -> Gateway:
        return self._gateway_named(address_beside(payment, self._plan.gateway))

    def _given_back(self) -> Draft:
        now_ms = self._clock.now_ms()
        mark = self._plan.mark_write(Succeeded(self._plan.gateway_charge_id, ""), now_ms)
        assert isinstance(mark, Adjust)  # noqa: S101 - narrows the type
        settled = replace(mark, set={**mark.set, "outcome": ALREADY_GIVEN_BACK})
        return Draft(self._response(Succeeded(self._plan.gateway_charge_id, "")), [settled])

    def _entries(self, now_ms: int) -> list[JournalEntry]:
        plan = self._plan
        # A later run compares these with the gateway's report: the whole charge, under the reference that was charged
        # twice, and each refund of it under its attempt's reference.
        charged = Movement(
            kind=MovementKind.CHARGE,
            gateway=plan.gateway,
            gateway_reference=plan.charge_reference,
            gateway_payment_id=plan.gateway_charge_id,
            # No payer: with one, this entry would look like the duplicate of a sale made at the same moment.
            payer=None,
            idempotency_record_id=self._record_id,
        )
        went = JournalEntry(
            merchant_id=plan.merchant_id,
            payment_id=plan.payment_id,
            version=RECOGNISED_VERSION + plan.attempt,
            currency=plan.currency,
            description="correction.reversed",
            booked_at_ms=now_ms,
            postings=reversed_postings(recognition(plan.gateway, plan.amount_minor)),
            break_id=plan.break_id,
            movement=replace(charged, kind=MovementKind.REFUND, gateway_reference=plan.gateway_reference),
        )
        if not plan.recognised_minor:
            return [went]
        came = replace(
            went,
            version=RECOGNISED_VERSION,
            description="correction.recognised",
            postings=recognition(plan.gateway, plan.recognised_minor),
            movement=charged,
        )
        return [came, went]

    def _response(self, result: Result) -> StoredResponse:
        status = 202 if isinstance(result, Doubted) else 201 if isinstance(result, Succeeded) else 402
        document = {
            "break_id": self._plan.break_id,
            "kind": self._plan.kind.value,
            "amount_minor": self._plan.amount_minor,
        }
        if isinstance(result, Declined):
            document |= {"code": result.code, "message": result.message}
        return json_response(status, document, location=payment_path(self._plan.payment_id))
