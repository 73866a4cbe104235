"""The process that is killed: it submits one payment and would print the outcome."""

from __future__ import annotations

import sys

from local.localstripe_server import TEST_KEY
from payonce.domain.gateway import CaptureMethod, Instruction, OperationKind
from payonce.domain.money import Money
from payonce.gateways.stripe_gateway import KEYLESS_STRIPE_CAPABILITIES, StripeGateway
from payonce.ports import Deadline
from tests.support.world import RealClock

SUBMIT_MS = 20_000


def payment(reference: str, payment_method: str, first_submitted_at_ms: int) -> Instruction:
    """Return the payment that the killed process and its successor both mean."""
    return Instruction(
        kind=OperationKind.PAYMENT,
        gateway_reference=reference,
        merchant_id="mer_1",
        payment_id="pay_1",
        money=Money(1000, "EUR"),
        capture_method=CaptureMethod.AUTOMATIC,
        payment_method=payment_method,
        first_submitted_at_ms=first_submitted_at_ms,
    )


def main(url: str, reference: str, payment_method: str, first_submitted_at_ms: str) -> None:
    """Submit it."""
    clock = RealClock()
    gateway = StripeGateway("stripe", TEST_KEY, url, KEYLESS_STRIPE_CAPABILITIES, clock=clock)
    instruction = payment(reference, payment_method, int(first_submitted_at_ms))
    outcome = gateway.submit(instruction, Deadline(clock.now_ms() + SUBMIT_MS))
    sys.stdout.write(repr(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
