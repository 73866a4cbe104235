"""Refunds that come back after they succeeded: the payer's account is closed, or a card scheme rejects them.

A gateway that had executed a refund gives its amount back to the merchant, days later
(https://docs.stripe.com/api/refunds/object, https://docs.adyen.com/api-explorer/Webhooks/1/post/REFUNDED_REVERSED,
https://docs.mollie.com/docs/refunds). It is booked as the reversal of that refund's own entry:

::

    the gateway says: this refund came back
          │
          ├─ one of ours   booked ────────────▶ reversed, once
          │                undecided ─────────▶ not yet: its own end has to be booked first
          │                never booked ──────▶ nothing: it failed before it had succeeded
          └─ no one of ours ──────────────────▶ first booked as made at the gateway, then reversed, once

Only what the gateway says of a refund counts. That its total is less than ours proves nothing: a lookup may be behind.
What is booked is told by the journal, so that it does not matter how often or in which order a return is seen.
Pure functions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.ids import journal_entry_id
from payonce.domain.ledger import refund_returned
from payonce.domain.payment import Change, OperationStatus
from payonce.payments.booked_refunds import BookedRefund
from payonce.payments.effects import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.domain.gateway import ChargeState, RefundReturned
    from payonce.domain.payment import Payment
    from payonce.payments.booked_refunds import KnownRefunds

_REFUNDED_ELSEWHERE = frozenset({Change.REFUNDED_ELSEWHERE, Change.REFUNDED_ELSEWHERE_PART})


def counted(state: ChargeState, known: KnownRefunds) -> ChargeState:
    """Return ``state`` with those returned refunds alone that are, or will be, booked as refunds.

    A refund of ours that was never booked was never part of what is refunded here, and is none of what came back.
    """
    returned = [each for each in state.returned if known.ours.get(each.gateway_refund_id, each) is not None]
    return replace(state, returned=tuple(returned))


def to_be_booked(state: ChargeState, known: KnownRefunds) -> list[RefundReturned]:
    """Return the returned refunds of a ``counted`` state that no entry has reversed so far."""
    found = list(_unbooked(state, known))
    for refund in state.returned:
        booked = known.ours.get(refund.gateway_refund_id)
        if booked is not None and not booked.returned_minor:
            found.append(refund)
    return found


def our_returns(payment: Payment, state: ChargeState, known: KnownRefunds, *, at_ms: int) -> list[Effect]:
    """Return the effects of refunds of ours that came back and are not booked so, each a version of the payment."""
    effects: list[Effect] = []
    for refund in state.returned:
        booked = known.ours.get(refund.gateway_refund_id)
        # A refund comes back as a whole, and the journal has reversed it at most once, whoever did that.
        if booked is None or booked.returned_minor or booked.amount_minor != refund.amount_minor:
            continue
        if any(effect.returned == booked for effect in effects):
            continue
        effect = _returned(payment, booked, refund.amount_minor, at_ms)
        if effect is not None:
            effects.append(effect)
            payment = effect.payment
    return effects


def other_returns(
    payment: Payment, state: ChargeState, known: KnownRefunds, before: Sequence[Effect], *, at_ms: int
) -> list[Effect]:
    """Return the effects of refunds that were made at the gateway, came back, and are not booked so.

    ``before``: what is about to be booked with them, such as these very refunds. Several may have been booked in one
    entry; then a part of it is reversed.
    """
    effects: list[Effect] = []
    booked = [*known.elsewhere, *_about_to_be_booked(payment, before)]
    left = {refund.entry_id: refund.amount_minor - refund.returned_minor for refund in booked}
    for amount_minor in (refund.amount_minor for refund in _unbooked(state, known)):
        possible = [refund for refund in booked if left[refund.entry_id] >= amount_minor]
        if not possible:
            continue  # its refund is not booked yet: an operation in flight may be what the gateway shows
        reversed_ = min(possible, key=lambda refund: refund.amount_minor != amount_minor)
        effect = _returned(payment, reversed_, amount_minor, at_ms)
        if effect is not None:
            left[reversed_.entry_id] -= amount_minor
            effects.append(effect)
            payment = effect.payment
    return effects


def _unbooked(state: ChargeState, known: KnownRefunds) -> Iterable[RefundReturned]:
    """Yield the returned refunds elsewhere that no entry tells of. Those of equal amount can stand for each other."""
    told = Counter(known.returns_minor)
    for refund in sorted(state.returned, key=lambda each: each.gateway_refund_id):
        if refund.gateway_refund_id in known.ours:
            continue
        if told[refund.amount_minor]:
            told[refund.amount_minor] -= 1
        else:
            yield refund


def _about_to_be_booked(payment: Payment, before: Sequence[Effect]) -> list[BookedRefund]:
    return [
        BookedRefund(
            entry_id=journal_entry_id(payment.merchant_id, payment.payment_id, effect.payment.version),
            reference=payment.gateway_reference,
            amount_minor=sum(posting.amount_minor for posting in effect.postings if posting.amount_minor > 0),
        )
        for effect in before
        if effect.change in _REFUNDED_ELSEWHERE
    ]


def _returned(payment: Payment, booked: BookedRefund, amount_minor: int, at_ms: int) -> Effect | None:
    """Return the effect of a return; ``None`` where the payment does not hold as much as refunded."""
    refunded_minor = payment.refunded_minor - amount_minor
    if refunded_minor < 0:
        return None
    if booked.operation is None:
        change = Change.RETURNED_ELSEWHERE_PART if refunded_minor else Change.RETURNED_ELSEWHERE
    else:
        change = Change.RETURNED_PART if refunded_minor else Change.RETURNED
    after = replace(
        payment.changed(change, at_ms=at_ms),
        refunded_minor=refunded_minor,
        refundable_minor=payment.refundable_minor + amount_minor,
        returned_minor=payment.returned_minor + amount_minor,
    )
    return Effect(
        payment=after,
        change=change,
        status=OperationStatus.SUCCEEDED,
        postings=refund_returned(payment.gateway, amount_minor),
        returned=booked,
    )
