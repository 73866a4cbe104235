"""Creates a payment: authorizes it, or authorizes and captures it in one step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.errors import NotFound
from payonce.domain.gateway import (
    MAX_CLIENT_SECRET_CHARACTERS,
    MAX_URL_CHARACTERS,
    Declined,
    Instruction,
    OperationKind,
    Pending,
)
from payonce.domain.gateway_address import PLATFORM
from payonce.domain.money import MAX_AMOUNT_MINOR, Money
from payonce.domain.payment import Payment, PaymentStatus
from payonce.idempotency.records import Draft, Plan, StoredResponse
from payonce.payments.booking import first_writes, next_writes
from payonce.payments.charging import action_expires_at_ms, after, charged_by, entry_of_charge
from payonce.payments.operations import NewPayment, PaymentPlan
from payonce.payments.payment_work import GatewayWork, Result, Services
from payonce.payments.representation import payment_path, payment_response
from payonce.payments.settlement import settlement_write
from payonce.payments.setup_items import is_active, method_from, saved_by_payment
from payonce.payments.setup_views import method_conflict
from payonce.payments.stored_payments import find_first, find_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.errors import PayonceError, WriteConflict
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.ports import Gateway, Write

LONGEST_TEXT = "x" * 256  # longer than any code or secret a gateway adapter returns
LONGEST_URL = "x" * MAX_URL_CHARACTERS
LONGEST_SECRET = "x" * MAX_CLIENT_SECRET_CHARACTERS


def plan_payment(
    new: NewPayment,
    *,
    merchant_id: str,
    route: Callable[[str], str],
    services: Services,
    passed_over: tuple[str, ...] = (),
    account_at: Callable[[str], str] = lambda _gateway: PLATFORM,
) -> PaymentPlan:
    """Return the plan of a new payment. Its identity is decided here, once, and survives every takeover.

    ``route`` returns the gateway for the payment's id. The choice is part of that identity and is never made again. A
    payment that a gateway took nothing of is planned anew, ``passed_over`` naming that gateway: with an identity of its
    own, because a late repetition of the first claim's release must not match the second claim. ``account_at`` returns
    the merchant's account at that gateway, which becomes a part of the identity too.
    """
    payment_id = services.ids.new("pay")
    gateway = route(payment_id)
    return PaymentPlan(
        merchant_id=merchant_id,
        payment_id=payment_id,
        gateway=gateway,
        account=new.account if new.account is not None else account_at(gateway) if gateway else PLATFORM,
        amount_minor=new.money.amount_minor,
        currency=new.money.currency,
        payment_method=new.payment_method,
        capture_method=new.capture_method,
        created_at_ms=services.clock.now_ms(),
        payment_method_type=new.payment_method_type,
        payer=new.payer,
        return_url=new.return_url,
        customer=new.customer,
        saves_method=new.saves_method,
        description=new.description,
        statement_descriptor=new.statement_descriptor,
        priority=new.priority,
        reference=new.reference,
        metadata=new.metadata,
        passed_over=passed_over,
        token=new.token,
    )


class CreatePayment(GatewayWork):
    """The work of ``POST /payments``."""

    _plan: PaymentPlan

    def __init__(
        self, plan: PaymentPlan, gateway_named: Callable[[GatewayAddress], Gateway], services: Services
    ) -> None:
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
        """See ``Work``. It writes only the claim: one conditional put, and a transaction for a saved payment method."""
        plan = self._plan
        saved = plan.token is not None
        return Plan(
            claim_id=plan.payment_id,
            resource=payment_path(plan.payment_id),
            data=plan.to_data(),
            writes=[is_active(plan.merchant_id, plan.payment_method)] if saved else (),
            on_conflict=self._not_active if saved else None,
            lane=plan.gateway,
        )

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        widest = replace(
            self._payment(version=1),
            decline_code=LONGEST_TEXT,
            captured_minor=MAX_AMOUNT_MINOR,
            refunded_minor=MAX_AMOUNT_MINOR,
            next_action={"type": LONGEST_TEXT, "url": LONGEST_URL, "client_secret": LONGEST_SECRET},
        )
        return payment_response(widest, Declined(LONGEST_TEXT, LONGEST_TEXT))

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``. The plan has everything, so nothing is read."""
        plan = self._plan
        return self._gateway_named(plan.address), Instruction(
            kind=OperationKind.PAYMENT,
            gateway_reference=plan.gateway_reference,
            merchant_id=plan.merchant_id,
            payment_id=plan.payment_id,
            money=Money(plan.amount_minor, plan.currency),
            capture_method=plan.capture_method,
            payment_method=plan.token or plan.payment_method,
            payment_method_type=plan.payment_method_type,
            payer=plan.payer,
            return_url=plan.return_url,
            customer=plan.customer,
            saves_method=plan.saves_method,
            description=plan.description,
            statement_descriptor=plan.statement_descriptor,
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
        stored, now_ms = self._stored, self._clock.now_ms()
        base = self._payment(1 if stored is None else stored.version)
        if stored is not None:
            base = replace(base, status=stored.status)
        expires_at_ms = action_expires_at_ms(plan.payment_method_type, now_ms)
        charged = charged_by(result, base, action_expires_at_ms=expires_at_ms)
        payment = after(base, charged, first=stored is None, at_ms=now_ms)
        entry = entry_of_charge(payment, charged, self._record_id)
        response = payment_response(payment, result)
        more = saved_by_payment(result, payment, at_ms=now_ms)
        if isinstance(result, Pending):
            more.append(settlement_write(payment, self._record_id, at_ms=now_ms))
        if stored is None:
            return Draft(response, [*first_writes(payment, charged.change, entry), *more])
        return Draft(response, [*next_writes(payment, charged.change, entry, head=head), *more])

    def _not_active(self, conflict: WriteConflict) -> PayonceError:
        if conflict.current is None:
            return NotFound(f"There is no payment method {self._plan.payment_method}.")
        return method_conflict(method_from(conflict.current), "Nothing was charged.")

    def _payment(self, version: int) -> Payment:
        """Return the payment as the plan describes it, before any answer."""
        plan = self._plan
        return Payment(
            payment_id=plan.payment_id,
            merchant_id=plan.merchant_id,
            status=PaymentStatus.IN_DOUBT,
            amount_minor=plan.amount_minor,
            currency=plan.currency,
            capture_method=plan.capture_method,
            payment_method=plan.payment_method,
            payment_method_type=plan.payment_method_type,
            gateway=plan.gateway,
            account=plan.account,
            gateway_reference=self.reference,
            attempts=plan.submission,
            reference=plan.reference,
            customer=plan.customer,
            description=plan.description,
            metadata=plan.metadata,
            passed_over=plan.passed_over,
            created_at_ms=plan.created_at_ms,
            updated_at_ms=plan.created_at_ms,
            version=version,
        )
