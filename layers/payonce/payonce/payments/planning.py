"""Loads payments, and plans the operations on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import NotFound
from payonce.domain.gateway import OperationKind
from payonce.domain.money import MAX_AMOUNT_MINOR
from payonce.domain.payment import PaymentStatus
from payonce.payments.effects import RESERVED_FROM
from payonce.payments.operations import FollowUpPlan
from payonce.payments.stored_payments import find_payment

if TYPE_CHECKING:
    from payonce.domain.payment import Payment
    from payonce.payments.payment_work import Services

ID_PREFIXES = {OperationKind.CAPTURE: "cap", OperationKind.VOID: "void", OperationKind.REFUND: "re"}
# No payment has as much, so no reservation takes it, whatever the payment becomes before its claim.
NOTHING_LEFT_MINOR = MAX_AMOUNT_MINOR + 1


def load_payment(services: Services, merchant_id: str, payment_id: str) -> Payment:
    """Return the merchant's payment as it is stored now. Raises ``NotFound``."""
    payment = find_payment(services.database, merchant_id, payment_id)
    if payment is None:
        raise NotFound(f"There is no payment {payment_id}.")
    return payment


def plan_follow_up(
    kind: OperationKind, *, merchant_id: str, payment_id: str, amount_minor: int | None, services: Services
) -> FollowUpPlan:
    """Return the plan of a capture, void or refund. Without an amount, it covers all that is left.

    Raises ``NotFound`` when the amount has to be read and the payment does not exist.
    """
    awaits_payer, captured_minor = False, 0
    if amount_minor is None:
        payment = load_payment(services, merchant_id, payment_id)
        awaits_payer = kind is OperationKind.VOID and payment.status is PaymentStatus.REQUIRES_ACTION
        # With nothing left, the reservation refuses; a finished operation is replayed before that.
        left_minor = getattr(payment, RESERVED_FROM[kind]) or NOTHING_LEFT_MINOR
        amount_minor = payment.amount_minor if awaits_payer else left_minor
        captured_minor = payment.captured_minor if kind is OperationKind.VOID else 0
    operation_id = services.ids.new(ID_PREFIXES[kind])
    return FollowUpPlan(
        kind=kind,
        merchant_id=merchant_id,
        payment_id=payment_id,
        operation_id=operation_id,
        amount_minor=amount_minor,
        created_at_ms=services.clock.now_ms(),
        awaits_payer=awaits_payer,
        captured_minor=captured_minor,
    )
