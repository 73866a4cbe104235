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
from payonce.payments.effects import RESERVED_FROM, Effect, effect_of

if TYPE_CHECKING:
    from payonce.domain.gateway import ChargeState
    from payonce.domain.payment import Payment


def unknown_to_us(payment: Payment, state: ChargeState, *, multiple_captures: bool) -> list[tuple[OperationKind, int]]:
    """Return the operations certainly made outside payonce on ``payment``'s charge, in order, with their amounts.

    Of the refunds that came back, ``state`` has those that ``returned_refunds.counted`` leaves.
    """
    found: list[tuple[OperationKind, int]] = []
    captured_minor = 0
    if multiple_captures or payment.status is PaymentStatus.AUTHORIZED:
        in_flight_minor = payment.amount_minor - payment.captured_minor - payment.capturable_minor
        captured_minor = state.captured_minor - payment.captured_minor - in_flight_minor
        captured_minor = max(0, min(captured_minor, payment.capturable_minor))
        if in_flight_minor and not multiple_captures:
            # There is one capture. It is ours or it is not, and once it is booked no part of it can be added.
            captured_minor = 0
    if captured_minor:
        found.append((OperationKind.CAPTURE, captured_minor))
    elif state.voided and _is_untouched(payment):
        found.append((OperationKind.VOID, payment.amount_minor))
    taken_back_minor = payment.reversed_minor + payment.disputed_minor
    in_flight_minor = payment.captured_minor - payment.refunded_minor - payment.refundable_minor - taken_back_minor
    # With what came back on both sides: a lookup that is behind, and does not show a return that is booked, would else
    # show a refund that nobody has made.
    ever_minor = state.refunded_minor + sum(refund.amount_minor for refund in state.returned)
    refunded_minor = ever_minor - payment.refunded_minor - payment.returned_minor - in_flight_minor
    # What was reversed or is disputed may be refunded at the gateway nevertheless: then it has gone twice.
    refunded_minor = max(0, min(refunded_minor, payment.refundable_minor + taken_back_minor + captured_minor))
    if refunded_minor:
        found.append((OperationKind.REFUND, refunded_minor))
    return found


def effects_of(
    payment: Payment, found: list[tuple[OperationKind, int]], *, at_ms: int, multiple_captures: bool
) -> list[Effect]:
    """Return the effects of what ``unknown_to_us`` found, in order. Each makes one version of the payment."""
    effects: list[Effect] = []
    for kind, amount_minor in found:
        attribute = RESERVED_FROM[kind]
        # Our own operations reserve their amount first; this one did not, so take it off here.
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
