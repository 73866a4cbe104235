"""The refunds that a gateway names: those made outside payonce, and those that came back after they succeeded.

A gateway that had executed a refund may give its amount back to the merchant, days later
(https://docs.stripe.com/api/refunds/object, https://docs.adyen.com/api-explorer/Webhooks/1/post/REFUNDED_REVERSED,
https://docs.mollie.com/docs/refunds). It is booked as the reversal of that refund's own entry:

::

    the gateway says: this refund was made, and perhaps: it came back
          │
          ├─ booked, by its id ───────▶ came back: its entry is reversed, once; else nothing
          ├─ ours ─┬─ undecided ──────▶ not yet: its own end has to be booked first
          │        └─ never booked ───▶ came back: nothing, it had failed before it had succeeded
          └─ nobody has asked us ─────▶ booked as made at the gateway, whole; came back: and reversed

Each refund is held against our books by its own id, never by a sum. What is said of a refund is only ever added to: it
was made, then it came back. So a lookup that is behind tells a part of what a later one tells, each part of it leads to
the same entry, and it does not matter how often, how late or in which order the lookups are seen. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import OperationKind
from payonce.domain.ids import journal_entry_id
from payonce.domain.ledger import refund_returned
from payonce.domain.payment import Change, OperationStatus
from payonce.payments.booked_refunds import BookedRefund
from payonce.payments.effects import Effect, OperationElsewhere
from payonce.payments.elsewhere import effects_of, refund_room_minor, refunds_in_flight_minor

if TYPE_CHECKING:
    from payonce.domain.gateway import ChargeRefund, ChargeState
    from payonce.domain.payment import Payment
    from payonce.payments.booked_refunds import KnownRefunds


@dataclass(frozen=True, slots=True)
class RefundChanges:
    """What is to be booked of a charge's refunds, in order, each a version of the payment.

    ``left_open``: the gateway's ids of those of which something may have to be booked later.
    """

    effects: tuple[Effect, ...]
    left_open: frozenset[str]


def refund_changes(payment: Payment, state: ChargeState, known: KnownRefunds, *, at_ms: int) -> RefundChanges:
    """Return what ``payment`` lacks of the refunds in ``state``.

    What is booked comes back first, so that its amount is free for the refunds that were made with it.
    """
    effects, left_open = _returns_of_booked(payment, state, known, at_ms)
    left_open |= known.undecided
    payment = effects[-1].payment if effects else payment
    unknown, in_a_sum = _unknown(state, known)
    left_open |= in_a_sum
    # A refund that is told under no reference of its own may be one of ours in flight: as much is left to those.
    certain_minor = sum(refund.amount_minor for refund in unknown)
    certain_minor -= max(0, refunds_in_flight_minor(payment) - known.undecided_minor)
    # Those that came back leave all of the amount to the others.
    for refund in sorted(unknown, key=lambda each: not each.came_back):
        if refund.amount_minor > certain_minor:
            left_open.add(refund.gateway_refund_id)
        elif refund.amount_minor <= refund_room_minor(payment):
            certain_minor -= refund.amount_minor
            effects += _made_at_gateway(payment, refund, at_ms)
            payment = effects[-1].payment
        elif not refund.came_back:
            left_open.add(refund.gateway_refund_id)
        # Else it came back before we knew of it, and others were made with its amount: our books never lacked it.
    return RefundChanges(tuple(effects), frozenset(left_open))


def _returns_of_booked(
    payment: Payment, state: ChargeState, known: KnownRefunds, at_ms: int
) -> tuple[list[Effect], set[str]]:
    effects: list[Effect] = []
    left_open = set()
    for refund in state.refunds:
        booked = known.booked.get(refund.gateway_refund_id)
        if booked is None or booked.is_reversed or not refund.came_back:
            continue
        # A refund comes back as a whole: people look at one that did not.
        if refund.amount_minor == booked.amount_minor <= payment.refunded_minor:
            effects.append(_returned(payment, booked, at_ms))
            payment = effects[-1].payment
        else:
            left_open.add(refund.gateway_refund_id)
    return effects, left_open


def _unknown(state: ChargeState, known: KnownRefunds) -> tuple[list[ChargeRefund], set[str]]:
    """Return the refunds that nobody has asked us for and that are not booked, oldest first.

    The gateway's ids beside them are of refunds that are booked in a sum, and came back: people look at those.
    """
    unnamed_minor = known.unnamed_minor
    found: list[ChargeRefund] = []
    in_a_sum = set()
    for refund in state.refunds:
        identity = refund.gateway_refund_id
        if identity in known.booked or identity in known.undecided or identity in known.never_booked:
            continue
        if refund.amount_minor > unnamed_minor:
            found.append(refund)
            continue
        unnamed_minor -= refund.amount_minor
        if refund.came_back:
            in_a_sum.add(identity)
    return found, in_a_sum


def _made_at_gateway(payment: Payment, refund: ChargeRefund, at_ms: int) -> list[Effect]:
    """Return the effects of a refund that was made at the gateway, and of its return if it came back."""
    made = OperationElsewhere(OperationKind.REFUND, refund.amount_minor, refund.gateway_refund_id)
    effects = effects_of(payment, [made], at_ms=at_ms, multiple_captures=False)
    if refund.came_back:
        payment = effects[-1].payment
        booked = BookedRefund(
            entry_id=journal_entry_id(payment.merchant_id, payment.payment_id, payment.version),
            reference=payment.gateway_reference,
            amount_minor=refund.amount_minor,
            gateway_refund_id=refund.gateway_refund_id,
        )
        effects.append(_returned(payment, booked, at_ms))
    return effects


def _returned(payment: Payment, booked: BookedRefund, at_ms: int) -> Effect:
    refunded_minor = payment.refunded_minor - booked.amount_minor
    if booked.operation is None:
        change = Change.RETURNED_ELSEWHERE_PART if refunded_minor else Change.RETURNED_ELSEWHERE
    else:
        change = Change.RETURNED_PART if refunded_minor else Change.RETURNED
    after = replace(
        payment.changed(change, at_ms=at_ms),
        refunded_minor=refunded_minor,
        refundable_minor=payment.refundable_minor + booked.amount_minor,
    )
    return Effect(
        payment=after,
        change=change,
        status=OperationStatus.SUCCEEDED,
        postings=refund_returned(payment.gateway, booked.amount_minor),
        returned=booked,
    )
