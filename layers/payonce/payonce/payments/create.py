"""Creates a payment: authorizes it, or authorizes and captures it in one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import CaptureMethod, Declined, Instruction, OperationKind, Succeeded
from payonce.domain.ledger import MovementKind, charge, hold
from payonce.domain.money import MAX_AMOUNT_MINOR, Money
from payonce.domain.payment import Change, Payment, PaymentStatus, next_status
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Draft, Plan, StoredResponse
from payonce.payments.booking import change_write, first_writes, payment_entry, payment_event, payment_movement
from payonce.payments.journal import balance_write
from payonce.payments.operations import NewPayment, PaymentPlan
from payonce.payments.payment_items import head_insert, replace_payment
from payonce.payments.payment_work import Doubted, GatewayWork, Result, Services
from payonce.payments.representation import (
    declined_response,
    not_executed_response,
    payment_path,
    payment_view,
)
from payonce.payments.rules import NeverExecuted
from payonce.payments.stored_payments import find_first, find_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.ledger import JournalEntry, Posting
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.ports import Gateway, Write

LONGEST_TEXT = "x" * 256  # longer than any code a gateway adapter returns


def plan_payment(new: NewPayment, *, merchant_id: str, route: Callable[[str], str], services: Services) -> PaymentPlan:
    """Return the plan of a new payment. Its identity is decided here, once, and survives every takeover.

    ``route`` returns the gateway for the payment's id. The choice is part of that identity and is never made again.
    """
    payment_id = services.ids.new("pay")
    return PaymentPlan(
        merchant_id=merchant_id,
        payment_id=payment_id,
        gateway=route(payment_id),
        amount_minor=new.money.amount_minor,
        currency=new.money.currency,
        payment_method=new.payment_method,
        capture_method=new.capture_method,
        created_at_ms=services.clock.now_ms(),
        payment_method_type=new.payment_method_type,
        priority=new.priority,
        reference=new.reference,
        metadata=new.metadata,
    )


@dataclass(frozen=True, slots=True)
class _Charge:
    """The effect of a gateway's answer on a payment."""

    change: Change
    charge_id: str | None = None
    code: str | None = None
    postings: tuple[Posting, ...] = ()


class CreatePayment(GatewayWork):
    """The work of ``POST /payments``."""

    _plan: PaymentPlan

    def __init__(self, plan: PaymentPlan, gateway_named: Callable[[str], Gateway], services: Services) -> None:
        super().__init__(services)
        self._plan = plan
        self._services = services
        self._gateway_named = gateway_named
        self._stored: Payment | None = None
        self._look_up_stored = False

    @property
    def payment_plan(self) -> PaymentPlan:
        """The plan of the payment to be made."""
        return self._plan

    def plan(self) -> Plan:
        """See ``Work``. It writes only the claim: one conditional put."""
        return Plan(
            claim_id=self._plan.payment_id,
            resource=payment_path(self._plan.payment_id),
            data=self._plan.to_data(),
            lane=self._plan.gateway,
        )

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        widest = replace(
            self._payment(_Charge(Change.DECLINED, code=LONGEST_TEXT), None),
            captured_minor=MAX_AMOUNT_MINOR,
            refunded_minor=MAX_AMOUNT_MINOR,
        )
        return self._response(widest, Declined(LONGEST_TEXT, LONGEST_TEXT))

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``. The plan has everything, so nothing is read."""
        plan = self._plan
        return self._gateway_named(plan.gateway), Instruction(
            kind=OperationKind.PAYMENT,
            gateway_reference=plan.gateway_reference,
            merchant_id=plan.merchant_id,
            payment_id=plan.payment_id,
            money=Money(plan.amount_minor, plan.currency),
            capture_method=plan.capture_method,
            payment_method=plan.payment_method,
            first_submitted_at_ms=plan.created_at_ms,
        )

    def adopt(self, record: IdempotencyRecord) -> CreatePayment:
        """See ``Work``. The payment id, gateway and reference are the claim's."""
        return CreatePayment(PaymentPlan.from_data(record.plan), self._gateway_named, self._services)

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. Looks the payment up, because an earlier owner may have stored it in doubt."""
        self._look_up_stored = True
        return super().resume(claim)

    def abandon_writes(self, record: IdempotencyRecord) -> Sequence[Write]:
        """See ``GatewayWork``. The payment is stored if it was in doubt."""
        self._look_up_stored = True
        return super().abandon_writes(record)

    def draft(self, result: Result) -> Draft:
        """See ``GatewayWork``. The first draft of a new payment reads nothing: none can be stored yet."""
        plan, head = self._plan, None
        if self._look_up_stored:
            head = find_head(self._database, plan.merchant_id, plan.payment_id)
            self._stored = head or find_first(self._database, plan.merchant_id, plan.payment_id)
        self._look_up_stored = True  # a second draft means that the first met something stored
        stored = self._stored
        charged = self._charge(result)
        payment = self._payment(charged, stored)
        entry = self._entry(payment, charged) if charged.postings else None
        response = self._response(payment, result)
        if stored is None:
            return Draft(response, first_writes(payment, charged.change, entry))
        event = payment_event(payment, charged.change, payment_view(payment))
        writes: list[Write] = [
            head_insert(payment) if head is None else replace_payment(payment, expected=head),
            change_write(event, entry),
        ]
        return Draft(response, writes if entry is None else [*writes, balance_write(entry)])

    def _entry(self, payment: Payment, charged: _Charge) -> JournalEntry:
        moved = None
        if charged.change is Change.CHARGED:
            moved = payment_movement(
                payment, MovementKind.CHARGE, reference=payment.gateway_reference, record_id=self._record_id
            )
        return payment_entry(payment, charged.change, charged.postings, moved)

    def _charge(self, result: Result) -> _Charge:
        plan = self._plan
        match result:
            case Succeeded(charge_id, _) if plan.capture_method is CaptureMethod.AUTOMATIC:
                return _Charge(Change.CHARGED, charge_id, postings=charge(plan.gateway, plan.amount_minor))
            case Succeeded(charge_id, _):
                return _Charge(Change.AUTHORIZED, charge_id, postings=hold(plan.amount_minor))
            case Declined(code, _):
                return _Charge(Change.DECLINED, code=code)
            case NeverExecuted():
                return _Charge(Change.FAILED, code="not_executed")
            case Doubted():
                return _Charge(Change.DOUBTED)

    def _payment(self, charged: _Charge, stored: Payment | None) -> Payment:
        plan = self._plan
        captured = plan.amount_minor if charged.change is Change.CHARGED else 0
        return Payment(
            payment_id=plan.payment_id,
            merchant_id=plan.merchant_id,
            status=next_status(None if stored is None else stored.status, charged.change),
            amount_minor=plan.amount_minor,
            currency=plan.currency,
            capture_method=plan.capture_method,
            payment_method=plan.payment_method,
            gateway=plan.gateway,
            gateway_reference=self.reference,
            attempts=plan.submission,
            gateway_charge_id=charged.charge_id,
            captured_minor=captured,
            refundable_minor=captured,
            capturable_minor=plan.amount_minor if charged.change is Change.AUTHORIZED else 0,
            reference=plan.reference,
            metadata=plan.metadata,
            decline_code=charged.code,
            created_at_ms=plan.created_at_ms,
            updated_at_ms=self._clock.now_ms(),
            version=1 if stored is None else stored.version + 1,
        )

    def _response(self, payment: Payment, result: Result) -> StoredResponse:
        location = payment_path(payment.payment_id)
        if isinstance(result, Declined):
            return declined_response(result.message, location=location, code=result.code, payment=payment_view(payment))
        if isinstance(result, NeverExecuted):
            return not_executed_response(location=location, payment=payment_view(payment))
        status = 202 if payment.status is PaymentStatus.IN_DOUBT else 201
        return json_response(status, payment_view(payment), location=location)
