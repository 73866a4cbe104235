"""Stored payments for tests."""

from __future__ import annotations

from dataclasses import replace

from payonce.domain.gateway import CaptureMethod
from payonce.domain.payment import Payment, PaymentStatus


def waiting_payment(merchant_id: str, payment_id: str) -> Payment:
    """Return a payment of 10.50 EUR that waits for its payer."""
    action = {"type": "redirect", "url": "https://bank.example/authenticate", "expires_at_ms": 1_795_529_878_524}
    payment = stored_payment(merchant_id, payment_id, captured=True)
    return replace(
        payment, status=PaymentStatus.REQUIRES_ACTION, captured_minor=0, refundable_minor=0, next_action=action
    )


def stored_payment(merchant_id: str, payment_id: str, *, captured: bool) -> Payment:
    """Return a payment of 10.50 EUR, authorized or captured, as it would be stored."""
    amount_minor = 1050
    return Payment(
        payment_id=payment_id,
        merchant_id=merchant_id,
        status=PaymentStatus.CAPTURED if captured else PaymentStatus.AUTHORIZED,
        amount_minor=amount_minor,
        currency="EUR",
        capture_method=CaptureMethod.AUTOMATIC if captured else CaptureMethod.MANUAL,
        payment_method="pm_visa",
        gateway="bank",
        gateway_reference=f"{payment_id}-1",
        gateway_charge_id="ch_1",
        captured_minor=amount_minor if captured else 0,
        refundable_minor=amount_minor if captured else 0,
        capturable_minor=0 if captured else amount_minor,
        created_at_ms=1_795_526_278_524,
        updated_at_ms=1_795_526_278_524,
        version=1,
    )
