"""What the claim of a capture, void or refund takes off its payment: no two operations are for the same money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import AmountExceedsAvailable, PaymentStateConflict
from payonce.domain.gateway import OperationKind
from payonce.domain.payment import PaymentStatus
from payonce.payments.effects import RESERVED_FROM
from payonce.payments.payment_items import payment_key
from payonce.payments.planning import NOTHING_LEFT_MINOR
from payonce.payments.representation import payment_path
from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from payonce.domain.errors import PayonceError
    from payonce.domain.payment import Payment
    from payonce.payments.operations import FollowUpPlan
    from payonce.ports import Write


def reserved(plan: FollowUpPlan) -> Write:
    """Return the write that takes the operation's amount off what is left on the payment, if as much is left."""
    attribute = RESERVED_FROM[plan.kind]
    require: dict[str, str | int] = {}
    if plan.kind is OperationKind.VOID:
        # A void covers all that is not captured: a capture in flight has reserved a part, so it would not match.
        require = {
            "capturable_minor": plan.amount_minor,
            "captured_minor": plan.captured_minor,
            "amount_minor": plan.amount_minor + plan.captured_minor,
        }
        if not plan.captured_minor:
            require["status"] = PaymentStatus.AUTHORIZED.value
    return Adjust(
        table=Table.PAYMENTS,
        key=payment_key(plan.merchant_id, plan.payment_id),
        require=require,
        minimum={attribute: plan.amount_minor},
        add={attribute: -plan.amount_minor},
    )


def returned(plan: FollowUpPlan) -> Write:
    """Return the write that gives back what ``reserved`` took."""
    return Adjust(
        table=Table.PAYMENTS,
        key=payment_key(plan.merchant_id, plan.payment_id),
        add={RESERVED_FROM[plan.kind]: plan.amount_minor},
    )


def nothing_reserved(plan: FollowUpPlan, payment: Payment) -> PayonceError:
    """Return the refusal of an operation for which ``payment``, as it is stored now, has not enough left."""
    available_minor = max(0, getattr(payment, RESERVED_FROM[plan.kind]))
    resource = payment_path(plan.payment_id)
    if available_minor > 0 and plan.amount_minor == NOTHING_LEFT_MINOR:
        return PaymentStateConflict(
            f"The payment has just become {payment.status.value}, with {available_minor} left. Nothing was "
            f"executed; send the {plan.kind.value} again.",
            payment_status=payment.status.value,
            resource=resource,
        )
    if available_minor > 0 and plan.kind is not OperationKind.VOID:
        return AmountExceedsAvailable(
            f"{plan.amount_minor} is more than the {available_minor} left for a {plan.kind.value}.",
            available_minor=available_minor,
            resource=resource,
        )
    return PaymentStateConflict(
        f"The payment is {payment.status.value}, with {available_minor} left: no {plan.kind.value} is possible.",
        payment_status=payment.status.value,
        resource=resource,
    )
