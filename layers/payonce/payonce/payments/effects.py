"""The effect of a capture's, void's or refund's outcome on its payment. Pure, and defined for every possible state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.gateway import Declined, OperationKind, Pending, Succeeded
from payonce.domain.ledger import charge, refund, release_hold
from payonce.domain.payment import Change, OperationStatus, Payment, PaymentStatus
from payonce.payments.payment_work import Doubted
from payonce.payments.rules import NeverExecuted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.dispute import Dispute
    from payonce.domain.ledger import Posting
    from payonce.payments.booked_refunds import BookedRefund
    from payonce.payments.payment_work import Result

RESERVED_FROM: Mapping[OperationKind, str] = MappingProxyType(
    {
        OperationKind.CAPTURE: "capturable_minor",
        OperationKind.VOID: "capturable_minor",
        OperationKind.REFUND: "refundable_minor",
    }
)
_WITHOUT_MONEY: Mapping[tuple[OperationKind, type], tuple[Change, OperationStatus]] = MappingProxyType(
    {
        (OperationKind.CAPTURE, Declined): (Change.CAPTURE_DECLINED, OperationStatus.DECLINED),
        (OperationKind.CAPTURE, NeverExecuted): (Change.CAPTURE_FAILED, OperationStatus.FAILED),
        (OperationKind.CAPTURE, Doubted): (Change.CAPTURE_DOUBTED, OperationStatus.IN_DOUBT),
        (OperationKind.CAPTURE, Pending): (Change.CAPTURE_PROCESSED, OperationStatus.PROCESSING),
        (OperationKind.VOID, Declined): (Change.VOID_DECLINED, OperationStatus.DECLINED),
        (OperationKind.VOID, NeverExecuted): (Change.VOID_FAILED, OperationStatus.FAILED),
        (OperationKind.VOID, Doubted): (Change.VOID_DOUBTED, OperationStatus.IN_DOUBT),
        (OperationKind.VOID, Pending): (Change.VOID_PROCESSED, OperationStatus.PROCESSING),
        (OperationKind.REFUND, Declined): (Change.REFUND_DECLINED, OperationStatus.DECLINED),
        (OperationKind.REFUND, NeverExecuted): (Change.REFUND_FAILED, OperationStatus.FAILED),
        (OperationKind.REFUND, Doubted): (Change.REFUND_DOUBTED, OperationStatus.IN_DOUBT),
        (OperationKind.REFUND, Pending): (Change.REFUND_PROCESSED, OperationStatus.PROCESSING),
    }
)


_WITHOUT = (Declined, NeverExecuted, Doubted, Pending)
_UNDER_WAY = frozenset({OperationStatus.IN_DOUBT, OperationStatus.PROCESSING})


@dataclass(frozen=True, slots=True)
class OperationElsewhere:
    """An operation that was made outside payonce. ``gateway_refund_id``: the gateway's id of a refund that it names."""

    kind: OperationKind
    amount_minor: int
    gateway_refund_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The payment after the outcome, the change with its event type, and the postings.

    ``dispute`` is the dispute after a change of one; ``is_first_of_dispute`` where nothing was stored of it before.

    ``returned`` is the refund that came back, whose entry is reversed; ``elsewhere`` an operation outside payonce.

    ``exact`` names the amounts that are overwritten rather than moved, and that must not have changed meanwhile.
    """

    payment: Payment
    change: Change
    status: OperationStatus
    postings: tuple[Posting, ...] = ()
    exact: tuple[str, ...] = ()
    dispute: Dispute | None = None
    is_first_of_dispute: bool = False
    returned: BookedRefund | None = None
    elsewhere: OperationElsewhere | None = None


def effect_of(
    kind: OperationKind, result: Result, payment: Payment, amount_minor: int, *, at_ms: int, multiple_captures: bool
) -> Effect:
    """Return the effect of ``result`` on ``payment``, on which ``amount_minor`` is reserved for this operation.

    A void of a payment that awaits its payer has reserved nothing, and its ``amount_minor`` is 0.
    """
    if not isinstance(result, Succeeded):
        return _without_money(kind, result, payment, amount_minor, at_ms, multiple_captures=multiple_captures)
    match kind:
        case OperationKind.CAPTURE:
            return _captured(payment, amount_minor, at_ms, multiple_captures=multiple_captures)
        case OperationKind.VOID:
            return _voided(payment, amount_minor, at_ms)
        case _:
            return _refunded(payment, amount_minor, at_ms)


def _without_money(
    kind: OperationKind, result: Result, payment: Payment, amount_minor: int, at_ms: int, *, multiple_captures: bool
) -> Effect:
    change, status = _WITHOUT_MONEY[kind, next(kind_of for kind_of in _WITHOUT if isinstance(result, kind_of))]
    changed = payment.changed(change, at_ms=at_ms)
    # When the first capture has released the remainder, or a void all of it, there is no hold left to return to.
    remainder_freed = kind is OperationKind.CAPTURE and not multiple_captures and payment.captured_minor > 0
    hold_freed = remainder_freed or (payment.status is PaymentStatus.VOIDED and kind is not OperationKind.REFUND)
    if status not in _UNDER_WAY and not hold_freed:
        attribute = RESERVED_FROM[kind]
        changed = replace(changed, **{attribute: getattr(payment, attribute) + amount_minor})
    return Effect(payment=changed, change=change, status=status)


def _voided(payment: Payment, amount_minor: int, at_ms: int) -> Effect:
    if payment.captured_minor:
        return Effect(
            payment=payment.changed(Change.VOID_REST, at_ms=at_ms),
            change=Change.VOID_REST,
            status=OperationStatus.SUCCEEDED,
            postings=release_hold(amount_minor),
        )
    held = payment.status is PaymentStatus.AUTHORIZED
    voided = payment.changed(Change.VOID, at_ms=at_ms)
    if held and not amount_minor:
        # The payer was authorized while the void was under way, and the gateway has voided that too.
        voided = replace(voided, capturable_minor=0)
    return Effect(
        payment=replace(voided, next_action=None),
        change=Change.VOID,
        status=OperationStatus.SUCCEEDED,
        postings=release_hold(payment.amount_minor) if held else (),
        exact=("capturable_minor",) if held and not amount_minor else (),
    )


def _captured(payment: Payment, amount_minor: int, at_ms: int, *, multiple_captures: bool) -> Effect:
    captured_minor = payment.captured_minor + amount_minor
    final = captured_minor == payment.amount_minor or not multiple_captures
    change = Change.CAPTURE_REST if final else Change.CAPTURE_PART
    freed_minor = amount_minor
    if not multiple_captures:
        # The first capture releases the whole hold; if the gateway accepts a second one nevertheless, none is left.
        freed_minor = 0 if payment.captured_minor else payment.amount_minor
    captured = replace(
        payment.changed(change, at_ms=at_ms),
        captured_minor=captured_minor,
        refundable_minor=payment.refundable_minor + amount_minor,
        capturable_minor=payment.capturable_minor if multiple_captures else 0,
    )
    return Effect(
        payment=captured,
        change=change,
        status=OperationStatus.SUCCEEDED,
        postings=charge(payment.gateway, amount_minor) + (release_hold(freed_minor) if freed_minor else ()),
        exact=() if multiple_captures else ("capturable_minor",),
    )


def _refunded(payment: Payment, amount_minor: int, at_ms: int) -> Effect:
    refunded_minor = payment.refunded_minor + amount_minor
    change = Change.REFUND_ALL if refunded_minor == payment.captured_minor else Change.REFUND_PART
    refunded = replace(payment.changed(change, at_ms=at_ms), refunded_minor=refunded_minor)
    return Effect(
        payment=refunded,
        change=change,
        status=OperationStatus.SUCCEEDED,
        postings=refund(payment.gateway, amount_minor),
    )
