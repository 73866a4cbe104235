"""How a charge stands by what its gateway's events have told, where the gateway can't be asked. Pure functions.

Events come late, in any order, or not at all. So what they add up to is the least that was done: it may lag behind our
own books, and where it is ahead of them, somebody else has acted (``elsewhere``), or a bank has (``taken_back``).

::

    CAPTURE, CAPTURE, REFUND            captured: the sum; refunded: the sum
    CAPTURE, then CAPTURE_FAILED        reversed: what our books hold as captured beyond what is left of the sum
    REFUND and REFUND_FAILED            the refund came back: it had succeeded, whichever of the two came first
    REFUND_FAILED alone                 nothing: nobody has said that it had ever succeeded
    CHARGEBACK, then CHARGEBACK_REVERSED   one dispute, by the event of the highest stage, whichever came last
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    CaptureMethod,
    ChargeRefund,
    ChargeState,
    DisputeState,
    DisputeStatus,
    OperationKind,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.domain.gateway import ChargeTold, DisputeNotice, NoticeOutcome
    from payonce.domain.payment import Payment


def state_told(payment: Payment, told: ChargeTold) -> ChargeState:
    """Return the state of ``payment``'s charge, as far as it was told. Amounts in other currencies are left out."""
    outcomes = [outcome for outcome in told.outcomes if outcome.currency == payment.currency]
    captured_minor, uncaptured_minor = _moved(outcomes, OperationKind.CAPTURE)
    if payment.capture_method is CaptureMethod.AUTOMATIC:
        captured_minor = payment.captured_minor  # no event of its own tells of it
    refunds = _refunds(outcomes)
    left_minor = captured_minor - uncaptured_minor
    return ChargeState(
        # A capture that failed before our books had it was never booked: only what they hold can be taken back. What
        # they have taken back by now was captured as well, and what is left was captured beside it.
        captured_minor=max(left_minor + payment.reversed_minor, payment.captured_minor),
        refunded_minor=sum(refund.amount_minor for refund in refunds if not refund.came_back),
        reversed_minor=min(uncaptured_minor, max(payment.reversed_minor, payment.captured_minor - left_minor)),
        voided=not captured_minor and any(each.kind is OperationKind.VOID and each.executed for each in outcomes),
        currency=payment.currency,
        disputes=_disputes(told.disputes),
        refunds=refunds,
    )


def _refunds(outcomes: Iterable[NoticeOutcome]) -> tuple[ChargeRefund, ...]:
    """Return the refunds that were told to have been executed, each once, and whether they were undone."""
    of_refunds = [outcome for outcome in outcomes if outcome.kind is OperationKind.REFUND]
    undone = {each.gateway_operation_id for each in of_refunds if each.undone}
    return tuple(
        ChargeRefund(
            gateway_refund_id=identity,
            amount_minor=each.amount_minor,
            gateway_reference=each.gateway_reference,
            came_back=identity in undone,
        )
        for identity, each in {each.gateway_operation_id: each for each in of_refunds if each.executed}.items()
    )


def _moved(outcomes: Iterable[NoticeOutcome], kind: OperationKind) -> tuple[int, int]:
    """Return what operations of this kind moved, and what of that was undone. An operation counts once."""
    of_kind = [outcome for outcome in outcomes if outcome.kind is kind]
    done = {each.gateway_operation_id: each.amount_minor for each in of_kind if each.executed or each.undone}
    undone = {each.gateway_operation_id: each.amount_minor for each in of_kind if each.undone}
    return sum(done.values()), sum(undone.values())


def _disputes(events: Iterable[DisputeNotice]) -> tuple[DisputeState, ...]:
    by_dispute: dict[str, list[DisputeNotice]] = {}
    for event in events:
        by_dispute.setdefault(event.gateway_dispute_id, []).append(event)
    return tuple(_dispute(told) for told in by_dispute.values())


def _dispute(events: list[DisputeNotice]) -> DisputeState:
    """Return one dispute: its status by the highest stage, its money by the highest stage that speaks of money."""
    in_order = sorted(events, key=lambda event: event.stage)
    last, money = in_order[-1], [event for event in in_order if event.taken is not None]
    return DisputeState(
        gateway_dispute_id=last.gateway_dispute_id,
        status=last.status,
        amount_minor=last.amount_minor,
        withdrawn_minor=money[-1].amount_minor if money and money[-1].taken else 0,
        currency=last.currency,
        reason=last.reason,
        evidence_due_at_ms=last.evidence_due_at_ms if last.status is DisputeStatus.EVIDENCE_DUE else None,
    )
