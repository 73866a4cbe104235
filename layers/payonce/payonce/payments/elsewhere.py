"""Finds out what was done to a charge outside payonce, and brings it into our payment. Pure functions.

A gateway's dashboard captures, voids and refunds too, and an authorization can expire. payonce learns of this when the
gateway refuses an operation because the charge is in another state. The difference is booked under changes of its own
(``ELSEWHERE``), in the commit that answers the refused request.

::

    reserved here by operations in flight  │██████│
    done at the gateway, unknown to us     │██████████│
                                            may be ours│ certainly not ours: this is booked

What the gateway shows may include an operation of ours that is in doubt. That operation books itself once its outcome
is known, so the reserved amount is left to it: better to book too little here than anything twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import OperationKind, Succeeded
from payonce.domain.payment import ELSEWHERE, PaymentStatus
from payonce.payments.effects import RESERVED_FROM, Effect, OperationElsewhere, effect_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.gateway import ChargeState
    from payonce.domain.payment import Payment


def unknown_to_us(payment: Payment, state: ChargeState, *, multiple_captures: bool) -> list[OperationElsewhere]:
    """Return the operations certainly made outside payonce on ``payment``'s charge, in order, with their amounts.

    Of refunds it is the difference of the sums, where the gateway tells no more. Those that it names are booked each by
    its id: see ``charge_refunds``.
    """
    found: list[OperationElsewhere] = []
    captured_minor = 0
    if multiple_captures or payment.status is PaymentStatus.AUTHORIZED:
        in_flight_minor = payment.amount_minor - payment.captured_minor - payment.capturable_minor
        captured_minor = state.captured_minor - payment.captured_minor - in_flight_minor
        captured_minor = max(0, min(captured_minor, payment.capturable_minor))
        if in_flight_minor and not multiple_captures:
            # There is one capture. It is ours or it is not, and once it is booked no part of it can be added.
            captured_minor = 0
    if captured_minor:
        found.append(OperationElsewhere(OperationKind.CAPTURE, captured_minor))
    elif state.voided and is_untouched(payment):
        found.append(OperationElsewhere(OperationKind.VOID, payment.amount_minor))
    if not state.refunds:
        refunded_minor = state.refunded_minor - payment.refunded_minor - refunds_in_flight_minor(payment)
        refunded_minor = max(0, min(refunded_minor, refund_room_minor(payment) + captured_minor))
        if refunded_minor:
            found.append(OperationElsewhere(OperationKind.REFUND, refunded_minor))
    return found


def refunds_in_flight_minor(payment: Payment) -> int:
    """Return what refunds of ours in flight have reserved."""
    return payment.captured_minor - payment.refunded_minor - refund_room_minor(payment)


def refund_room_minor(payment: Payment) -> int:
    """Return what a refund at the gateway can have taken, beside what is refunded and reserved.

    What was reversed or is disputed may be refunded there nevertheless: then it has gone twice.
    """
    return payment.refundable_minor + payment.reversed_minor + payment.disputed_minor


def effects_of(
    payment: Payment, found: Sequence[OperationElsewhere], *, at_ms: int, multiple_captures: bool
) -> list[Effect]:
    """Return the effects of what was found outside payonce, in order. Each makes one version of the payment."""
    effects: list[Effect] = []
    for operation in found:
        kind, amount_minor = operation.kind, operation.amount_minor
        attribute = RESERVED_FROM[kind]
        # Our own operations reserve their amount first; this one did not, so take it off here.
        taken = replace(payment, **{attribute: getattr(payment, attribute) - amount_minor})
        effect = effect_of(
            kind, Succeeded("", ""), taken, amount_minor, at_ms=at_ms, multiple_captures=multiple_captures
        )
        effects.append(replace(effect, change=ELSEWHERE[effect.change], elsewhere=operation))
        payment = effect.payment
    return effects


def is_untouched(payment: Payment) -> bool:
    """Return whether a payment is authorized, and nothing of it is captured or reserved by an operation of ours."""
    return payment.status is PaymentStatus.AUTHORIZED and payment.capturable_minor == payment.amount_minor
