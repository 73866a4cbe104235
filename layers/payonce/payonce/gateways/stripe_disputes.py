"""Reads the disputes of a payment intent: what was disputed, taken and charged for it, and until when to answer.

::

    Stripe                                                  payonce
    warning_needs_response, needs_response, appeal_…        EVIDENCE_DUE; OPENED where Stripe asks for nothing
    warning_under_review, under_review, appeal_…            UNDER_REVIEW
    won                                                     WON
    lost                                                    LOST
    warning_closed, prevented                               LOST if money was taken, else WON
    a status of next year                                   UNDER_REVIEW: not decided, as far as we can tell

A ``warning_…`` is an inquiry: the bank asks, and nothing is taken. An inquiry that is closed has not become a dispute.
What is prevented is settled before it becomes a dispute, by a refund or without.
https://docs.stripe.com/api/disputes/object, https://docs.stripe.com/disputes/how-disputes-work.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.gateway import DisputeState, DisputeStatus
from payonce.gateways.stripe_money import amount_from_stripe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.gateways.stripe_objects import StripeDocument

_STATUSES: Mapping[str, DisputeStatus] = MappingProxyType(
    {
        "warning_needs_response": DisputeStatus.EVIDENCE_DUE,
        "needs_response": DisputeStatus.EVIDENCE_DUE,
        "appeal_needs_response": DisputeStatus.EVIDENCE_DUE,
        "warning_under_review": DisputeStatus.UNDER_REVIEW,
        "under_review": DisputeStatus.UNDER_REVIEW,
        "appeal_under_review": DisputeStatus.UNDER_REVIEW,
        "won": DisputeStatus.WON,
        "lost": DisputeStatus.LOST,
    }
)
_CLOSED_EARLY = frozenset({"warning_closed", "prevented"})


def read_dispute(dispute: StripeDocument) -> DisputeState | None:
    """Return the state of a dispute, or ``None`` when payonce can't read amounts in its currency.

    The amounts taken are the sum of the dispute's ``balance_transactions``: what was withdrawn and, if it came to that,
    given back. They are in the currency in which Stripe pays out. Where that is not the dispute's, the whole amount
    counts as withdrawn unless it was given back, and the fee is 0: the balance report has both, at their rates.
    """
    currency = str(dispute.get("currency", "")).upper()
    amount_minor = amount_from_stripe(int(dispute["amount"]), currency)
    if amount_minor is None:
        return None
    rows = dispute.get("balance_transactions") or []
    if any(str(row.get("currency", "")).upper() != currency for row in rows):
        withdrawals = sum(1 if int(row["amount"]) < 0 else -1 for row in rows)
        withdrawn_minor, fee_minor = (amount_minor if withdrawals > 0 else 0), 0
    else:
        taken, fee = -sum(int(row["amount"]) for row in rows), sum(int(row["fee"]) for row in rows)
        withdrawn_minor = amount_from_stripe(max(taken, 0), currency) or 0
        fee_minor = amount_from_stripe(fee, currency) or 0
    due_by = _due_by(dispute)
    return DisputeState(
        gateway_dispute_id=str(dispute["id"]),
        status=_status(str(dispute.get("status")), taken=withdrawn_minor > 0, asked=due_by is not None),
        amount_minor=amount_minor,
        withdrawn_minor=withdrawn_minor,
        currency=currency,
        reason=str(dispute.get("reason", "")),
        evidence_due_at_ms=None if due_by is None else due_by * 1000,
        fee_minor=fee_minor,
    )


def _status(said: str, *, taken: bool, asked: bool) -> DisputeStatus:
    if said in _CLOSED_EARLY:
        return DisputeStatus.LOST if taken else DisputeStatus.WON
    status = _STATUSES.get(said, DisputeStatus.UNDER_REVIEW)
    return DisputeStatus.OPENED if status is DisputeStatus.EVIDENCE_DUE and not asked else status


def _due_by(dispute: StripeDocument) -> int | None:
    """Return until when the merchant can answer, in epoch seconds. Stripe says 0 where the bank hears nobody."""
    details = dispute.get("evidence_details")
    due_by = details.get("due_by") if isinstance(details, dict) else None
    waits = _STATUSES.get(str(dispute.get("status"))) is DisputeStatus.EVIDENCE_DUE
    return due_by if waits and isinstance(due_by, int) and due_by > 0 else None
