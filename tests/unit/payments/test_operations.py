"""What a claim says of a payment, and that older claims still say it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payonce.domain.gateway import CaptureMethod, PaymentMethodType
from payonce.payments.operations import PaymentPlan
from payonce.routing.control.admission import Priority

PLAN = PaymentPlan(
    merchant_id="mer_1",
    payment_id="pay_1",
    gateway="bank",
    amount_minor=1050,
    currency="EUR",
    payment_method="pm_visa",
    capture_method=CaptureMethod.MANUAL,
    created_at_ms=7,
)


@pytest.mark.parametrize("kind", PaymentMethodType)
@pytest.mark.parametrize("priority", [Priority.AUTHORIZATION, Priority.BATCH])
def test_a_plan_comes_back_from_its_claim(kind: PaymentMethodType, priority: Priority) -> None:
    """Fails when either is not stored, or is stored as a member and not as its word."""
    plan = replace(PLAN, payment_method_type=kind, priority=priority)
    data = plan.to_data()
    assert (type(data["payment_method_type"]), type(data["priority"])) == (str, str)
    assert PaymentPlan.from_data(data) == plan


def test_a_claim_from_before_routing_is_a_card_payment() -> None:
    """A takeover may meet one for days after a deployment. Fails when the new members are required."""
    data = PLAN.to_data()
    old = {name: value for name, value in data.items() if name not in {"payment_method_type", "priority"}}
    assert len(old) == len(data) - 2
    assert PaymentPlan.from_data(old) == PLAN
