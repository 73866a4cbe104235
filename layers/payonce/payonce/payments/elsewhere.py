"""What somebody else has done to a charge at the gateway, brought into our payment: pure.

A dashboard captures, voids and refunds too, and an authorization expires. payonce learns of it when the gateway refuses
an operation whose charge is in another state. What is found is booked under changes of its own (``ELSEWHERE``), in the
commit that answers the refused request.

::

    reserved here by operations in flight  │██████│
    done at the gateway, unknown to us     │██████████│
                                            may be ours│ certainly not: this is what is booked

An operation of ours that is in doubt may be what the gateway shows. It books itself once it is known, so that as much
as is reserved is left to it: too little is booked here rather than anything twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import OperationKind, Succeeded
from payonce.domain.payment import ELSEWHERE, PaymentStatus
from payonce.payments.effects import RESERVED_FROM, Effect, effect_of

if TYPE_CHECKING:
    from payonce.domain.gateway import ChargeState
    from payonce.domain.payment import Payment


def unknown_to_us(payment: Payment, state: ChargeState, *, multiple_captures: bool) -> list[tuple[OperationKind, int]]:
    """Return what was certainly done elsewhere to the charge of ``payment``, in the order of events, with amounts."""
    found: list[tuple[OperationKind, int]] = []
    captured_minor = 0
    if multiple_captures or payment.status is PaymentStatus.AUTHORIZED:
        in_flight_minor = payment.amount_minor - payment.captured_minor - payment.capturable_minor
        captured_minor = state.captured_minor - payment.captured_minor - in_flight_minor
        captured_minor = max(0, min(captured_minor, payment.capturable_minor))
    if captured_minor:
        found.append((OperationKind.CAPTURE, captured_minor))
    elif state.voided and _is_untouched(payment):
        found.append((OperationKind.VOID, payment.amount_minor))
    in_flight_minor = payment.captured_minor - payment.refunded_minor - payment.refundable_minor
    refunded_minor = state.refunded_minor - payment.refunded_minor - in_flight_minor
    refunded_minor = max(0, min(refunded_minor, payment.refundable_minor + captured_minor))
    if refunded_minor:
        found.append((OperationKind.REFUND, refunded_minor))
    return found


def effects_of(
    payment: Payment, found: list[tuple[OperationKind, int]], *, at_ms: int, multiple_captures: bool
) -> list[Effect]:
    """Return the effects of what ``unknown_to_us`` found, one after the other, each a version of the payment."""
    effects: list[Effect] = []
    for kind, amount_minor in found:
        attribute = RESERVED_FROM[kind]
        # An operation of ours has reserved its amount before; this one did not ask.
        taken = replace(payment, **{attribute: getattr(payment, attribute) - amount_minor})
        effect = effect_of(
            kind, Succeeded("", ""), taken, amount_minor, at_ms=at_ms, multiple_captures=multiple_captures
        )
        change = ELSEWHERE[effect.change]
        effects.append(replace(effect, change=change))
        payment = effect.payment
    return effects


def _is_untouched(payment: Payment) -> bool:
    return payment.status is PaymentStatus.AUTHORIZED and payment.capturable_minor == payment.amount_minor
