"""What the payer's bank takes back after a capture: late reversals and disputes. Pure functions.

A dispute's money is booked as the difference between what is withdrawn now and what was booked before, so that it does
not matter which of its states payonce has seen, or in which order they came:

::

    opened, evidence_due, under_review      withdrawn: gateway_receivable ─▶ gateway_disputed
    won                                     given back: gateway_disputed ─▶ gateway_receivable
    lost                                    gateway_disputed ─▶ merchant_payable

A dispute that is first seen in a later state is opened and then brought there. A gateway may take a decision back (a
second chargeback after one that was won, an appeal after one that was lost): that is a change like the others.
https://docs.stripe.com/disputes/how-disputes-work, https://docs.adyen.com/risk-management/disputes-api/dispute-notifications
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.dispute import CHANGES, Dispute, dispute_id_of
from payonce.domain.gateway import DisputeStatus
from payonce.domain.ledger import charge_reversal, dispute_postings
from payonce.domain.payment import Change, OperationStatus, PaymentStatus
from payonce.payments.effects import Effect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import ChargeState, DisputeState
    from payonce.domain.payment import Payment


def reversal_effects(payment: Payment, state: ChargeState, *, at_ms: int) -> list[Effect]:
    """Return what the payer's bank has taken back of ``payment`` and is not booked: one effect, or none.

    No more is booked than was captured. What is beyond it belongs to a capture of ours that is not committed yet.
    """
    most_minor = payment.captured_minor - payment.reversed_minor
    amount_minor = min(state.reversed_minor - payment.reversed_minor, most_minor)
    if amount_minor <= 0:
        return []
    reversed_minor = payment.reversed_minor + amount_minor
    nothing_left = payment.captured_minor <= payment.refunded_minor + reversed_minor
    more_to_come = payment.status is PaymentStatus.PARTIALLY_CAPTURED
    change = Change.REVERSED if nothing_left and not more_to_come else Change.REVERSED_PART
    after = replace(
        payment.changed(change, at_ms=at_ms),
        reversed_minor=reversed_minor,
        refundable_minor=payment.refundable_minor - amount_minor,
    )
    postings = charge_reversal(payment.gateway, amount_minor)
    return [Effect(payment=after, change=change, status=OperationStatus.SUCCEEDED, postings=postings)]


def dispute_effects(payment: Payment, state: ChargeState, known: Mapping[str, Dispute], *, at_ms: int) -> list[Effect]:
    """Return what is not booked of the charge's disputes, in order. ``known``: those that are stored, by our id.

    A payment of which we hold nothing captured has no disputes yet: its capture has to be booked first.
    """
    effects: list[Effect] = []
    for seen in state.disputes if payment.is_open_to_disputes else ():
        dispute = known.get(dispute_id_of(payment.payment_id, seen.gateway_dispute_id))
        for step in _steps(dispute, seen):
            effect = _dispute_effect(payment, dispute, step, at_ms)
            effects.append(effect)
            payment, dispute = effect.payment, effect.dispute
    return effects


def _steps(dispute: Dispute | None, seen: DisputeState) -> list[DisputeState]:
    """Return the states to book. The same state with another amount or another time for evidence is one, too."""
    if dispute is not None:
        return [] if dispute.state == seen else [seen]
    opened = replace(seen, status=DisputeStatus.OPENED)
    return [opened] if seen == opened else [opened, seen]


def _dispute_effect(payment: Payment, before: Dispute | None, seen: DisputeState, at_ms: int) -> Effect:
    change = CHANGES[seen.status]
    after = Dispute(
        dispute_id=dispute_id_of(payment.payment_id, seen.gateway_dispute_id),
        merchant_id=payment.merchant_id,
        payment_id=payment.payment_id,
        state=seen,
        opened_at_ms=at_ms if before is None else before.opened_at_ms,
        updated_at_ms=at_ms,
    )
    before_minor = 0 if before is None else before.withdrawn_in(payment.currency)
    after_minor = after.withdrawn_in(payment.currency)
    changed = replace(
        payment.changed(change, at_ms=at_ms),
        disputed_minor=payment.disputed_minor + after_minor - before_minor,
        refundable_minor=payment.refundable_minor - after_minor + before_minor,
    )
    postings = dispute_postings(
        payment.gateway,
        before_minor=before_minor,
        was_lost=before is not None and before.state.status is DisputeStatus.LOST,
        after_minor=after_minor,
        is_lost=seen.status is DisputeStatus.LOST,
    )
    return Effect(
        payment=changed,
        change=change,
        status=OperationStatus.SUCCEEDED,
        postings=postings,
        dispute=after,
        is_first_of_dispute=before is None,
    )
