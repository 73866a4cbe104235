"""Captures, cancellations and refunds: operations on an existing payment.

The claim reserves the amount on the payment in its own transaction, so that concurrent operations with different keys
can't exceed what is left. A release or a decline returns the amount.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.errors import (
    CredentialsUnavailable,
    NotFound,
    PayonceError,
    StoreUnavailable,
    WriteConflict,
)
from payonce.domain.gateway import ChargeState, Declined, Instruction, OperationKind, Overtaken, Pending, Succeeded
from payonce.domain.gateway_address import PLATFORM, address_of
from payonce.domain.money import Money
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Completed, Draft, Plan, StoredResponse
from payonce.payments.at_gateway import changes_of, known_of
from payonce.payments.booking import References, follow_up_writes
from payonce.payments.effects import Effect, effect_of
from payonce.payments.operations import FollowUpPlan
from payonce.payments.payment_items import payment_from
from payonce.payments.payment_work import Doubted, GatewayWork, Result, Services
from payonce.payments.planning import load_payment
from payonce.payments.representation import (
    declined_response,
    not_executed_response,
    operation_view,
    overtaken_response,
    payment_path,
)
from payonce.payments.reservation import nothing_reserved, reserved, returned
from payonce.payments.rules import NeverExecuted
from payonce.payments.settlement import operation_settlement_write
from payonce.payments.stored_payments import keep_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.gateway_address import GatewayAddress
    from payonce.domain.payment import Payment
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.payments.effects import OperationElsewhere
    from payonce.ports import Gateway, Write

DONE = {OperationKind.CAPTURE: "captured", OperationKind.VOID: "voided", OperationKind.REFUND: "refunded"}
LONGEST_TEXT = "x" * 256  # longer than any code a gateway adapter returns


class FollowUp(GatewayWork):
    """The work of ``POST /payments/{id}/captures``, ``/cancellations`` and ``/refunds``."""

    _plan: FollowUpPlan

    def __init__(
        self, plan: FollowUpPlan, gateway_named: Callable[[GatewayAddress], Gateway], services: Services
    ) -> None:
        super().__init__(services)
        self._plan = plan
        self._services = services
        self._gateway_named = gateway_named
        self._payment: Payment | None = None
        self._found: OperationElsewhere | None = None
        self._head_unknown: StoreUnavailable | None = None

    def plan(self) -> Plan:
        """See ``Work``. Claim and reservation are one transaction, for which the payment needs a head."""
        try:
            keep_head(self._database, self._plan.merchant_id, self._plan.payment_id)
        except StoreUnavailable as error:
            # Not raised yet: only the claim can tell whether an earlier request with this key has executed something.
            self._head_unknown = error
        return Plan(
            claim_id=self._plan.operation_id,
            resource=payment_path(self._plan.payment_id),
            data=self._plan.to_data(),
            writes=[self.reservation()],
            on_conflict=self._refusal,
        )

    def largest_response(self) -> StoredResponse:
        """See ``Work``. The payment's largest response was stored before; an operation adds a bounded amount."""
        return declined_response(LONGEST_TEXT, location=payment_path(self._plan.payment_id), code=LONGEST_TEXT)

    def adopt(self, record: IdempotencyRecord) -> FollowUp:
        """See ``Work``. The operation id, reference and amount are the claim's."""
        return FollowUp(FollowUpPlan.from_data(record.plan), self._gateway_named, self._services)

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``. Reads the payment: its gateway, currency and charge."""
        plan = self._plan
        self._payment = payment = load_payment(self._services, plan.merchant_id, plan.payment_id)
        instruction = Instruction(
            kind=plan.kind,
            gateway_reference=plan.gateway_reference,
            merchant_id=plan.merchant_id,
            payment_id=plan.payment_id,
            money=Money(plan.amount_minor, payment.currency),
            capture_method=payment.capture_method,
            payment_method=payment.payment_method,
            gateway_charge_id=payment.gateway_charge_id,
            first_submitted_at_ms=plan.created_at_ms,
        )
        return self._gateway_named(payment.address), instruction

    def undo_writes(self) -> Sequence[Write]:
        """See ``GatewayWork``."""
        return [returned(self._plan)]

    def draft(self, result: Result) -> Draft:
        """See ``GatewayWork``. The first draft uses the payment that ``prepare`` read; later ones read it again."""
        plan = self._plan
        payment = self._payment or load_payment(self._services, plan.merchant_id, plan.payment_id)
        self._payment = None
        effect = replace(self._effect(payment, result), elsewhere=self._found)
        code = result.code if isinstance(result, Declined) else None
        at_gateway = result.gateway_operation_id if isinstance(result, Succeeded) else ""
        writes = self._writes(payment, [effect], code, at_gateway=at_gateway)
        if isinstance(result, Pending):
            now_ms = self._clock.now_ms()
            writes.append(operation_settlement_write(plan, payment, result, self._record_id, at_ms=now_ms))
        return Draft(self._response(effect, result, code), writes)

    def _settled(
        self, gateway: Gateway, instruction: Instruction, result: Succeeded | Declined, claim: Claim
    ) -> Conclusion:
        """See ``GatewayWork``. If the charge was changed outside payonce, our payment is updated too."""
        charge_id = instruction.gateway_charge_id
        if not isinstance(result, Overtaken) or charge_id is None:
            return self._completed(result)
        seen = load_payment(self._services, self._plan.merchant_id, self._plan.payment_id)
        state = gateway.read_charge(charge_id, self._inquiry_deadline(claim))
        if not isinstance(state, ChargeState):
            return self._doubted(claim, submitted=True)
        if state.currency != instruction.money.currency:
            return self._completed(result)
        return Completed(partial(self._draft_overtaken, result, state, seen.version))

    def _draft_overtaken(self, refused: Overtaken, state: ChargeState, seen_version: int) -> Draft:
        """Return the answer to a request that came too late, together with what was done to the charge outside payonce.

        If what was done is what the request asks for, the answer is a success. The payment is read before ``state`` and
        after it: where it has changed meanwhile, what the charge showed may be older, so nothing is concluded from it.
        """
        plan = self._plan
        before = load_payment(self._services, plan.merchant_id, plan.payment_id)
        if before.version != seen_version:
            return self.draft(refused)
        self._payment = before  # what is found holds for this version alone
        ours = next((each for each in state.refunds if each.gateway_reference in plan.references()), None)
        if ours is not None and not ours.came_back:
            # An earlier submission, of which no lookup knew, has taken what the gateway now lacks.
            self._executed_as = ours.gateway_reference
            return self.draft(Succeeded(before.gateway_charge_id or "", ours.gateway_refund_id))
        multiple_captures = self._captures_in_parts(before)
        declined = self._effect(before, refused)
        elsewhere, _ = changes_of(
            declined.payment,
            state,
            known_of(self._database, before, state),
            multiple_captures=multiple_captures,
            at_ms=self._clock.now_ms(),
        )
        found = [effect.elsewhere for effect in elsewhere if effect.elsewhere is not None]
        returned_minor = sum(effect.returned.amount_minor for effect in elsewhere if effect.returned is not None)
        asked = (plan.kind, plan.amount_minor)
        if not returned_minor and [(each.kind, each.amount_minor) for each in found] == [asked]:
            self._found = found[0]
            return self.draft(Succeeded(before.gateway_charge_id or "", found[0].gateway_refund_id or ""))
        if not elsewhere:
            return self.draft(refused)
        payment = elsewhere[-1].payment
        done = [f"somebody has {DONE[each.kind]} {each.amount_minor} of the payment" for each in found]
        if payment.reversed_minor > before.reversed_minor:
            done.append(f"the payer's bank has taken {payment.reversed_minor - before.reversed_minor} back")
        if returned_minor:
            done.append(f"{returned_minor} of what was refunded has come back")
        if any(effect.dispute is not None for effect in elsewhere):
            done.append(f"the payment is disputed, and {payment.disputed_minor} of it withdrawn")
        return Draft(
            overtaken_response(
                payment,
                f"No {plan.kind.value} was executed: at the gateway, and not through this API, {' and '.join(done)}.",
                location=payment_path(plan.payment_id),
                operation=operation_view(plan, payment, declined.status, refused.code),
            ),
            self._writes(before, [declined, *elsewhere], refused.code),
        )

    def _effect(self, payment: Payment, result: Result) -> Effect:
        plan = self._plan
        return effect_of(
            plan.kind,
            result,
            payment,
            plan.reserved_minor,
            at_ms=self._clock.now_ms(),
            # Evaluated for captures only: an operator may release a refund without its gateway being configured.
            multiple_captures=plan.kind is OperationKind.CAPTURE and self._captures_in_parts(payment),
        )

    def _captures_in_parts(self, payment: Payment) -> bool:
        """Return whether the gateway takes several captures, which is the same at each of its accounts.

        A capture at an account whose credentials were forgotten can still be released.
        """
        try:
            gateway = self._gateway_named(payment.address)
        except CredentialsUnavailable:
            gateway = self._gateway_named(address_of(payment.gateway, payment.merchant_id, PLATFORM))
        return gateway.capabilities.multiple_captures

    def _writes(
        self, before: Payment, effects: Sequence[Effect], code: str | None, *, at_gateway: str = ""
    ) -> list[Write]:
        # Its own marks are missing on what was found at the gateway, which reports that under the payment's reference.
        moved_as = self.reference if self._found is None else before.gateway_reference
        references = References(self.reference, moved_as=moved_as, at_gateway=at_gateway)
        return follow_up_writes(self._plan, before, effects, code, references=references, record_id=self._record_id)

    def _response(self, effect: Effect, result: Result, code: str | None) -> StoredResponse:
        location = payment_path(self._plan.payment_id)
        view = operation_view(self._plan, effect.payment, effect.status, code)
        match result:
            case Declined(_, message):
                return declined_response(message, location=location, code=code, operation=view)
            case NeverExecuted():
                return not_executed_response(location=location, operation=view)
            case Doubted():
                return json_response(202, view, location=location)
            case Succeeded() | Pending():
                return json_response(201, view, location=location)

    def reservation(self) -> Write:
        """Return the write that takes the operation's amount off what is left on the payment."""
        return reserved(self._plan)

    def _refusal(self, conflict: WriteConflict) -> PayonceError:
        if conflict.current is None:
            return self._head_unknown or NotFound(f"There is no payment {self._plan.payment_id}.")
        return nothing_reserved(self._plan, payment_from(conflict.current))
