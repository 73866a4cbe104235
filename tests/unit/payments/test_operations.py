"""What a claim says of a payment, and that older claims still say it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.gateway import CaptureMethod, Payer, PaymentMethodType
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
    data = json.loads(json.dumps(plan.to_data()))
    assert PaymentPlan.from_data(data) == plan


@pytest.mark.parametrize(
    "changes",
    [
        {"payer": Payer.ABSENT},
        {"return_url": "https://shop.example/"},
        {"customer": "cus_1", "saves_method": True},
        {"description": "Two cups", "statement_descriptor": "CUPS 17"},
        {"reference": "order-1", "metadata": {"a": "b"}},
        {"passed_over": ("bank_a", "bank_b")},
        {"submission": 2, "spent": True},
    ],
)
def test_what_is_unusual_is_stored(changes: dict[str, Any]) -> None:
    """Fails (a resubmission that the gateway takes for another request) when a member is lost on the way."""
    plan = replace(PLAN, **changes)
    assert PaymentPlan.from_data(json.loads(json.dumps(plan.to_data()))) == plan


def test_what_is_usual_is_not_stored() -> None:
    """A claim over 1 KB costs twice as many units, three times. Fails when each new member is stored as nothing."""
    told = {"kind", "gateway_references", "merchant_id", "payment_id", "gateway", "amount_minor", "currency"}
    assert set(PLAN.to_data()) == told | {"payment_method", "capture_method", "created_at_ms", "metadata"}
