"""The payment: its states, the table of their transitions, and its amounts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.gateway import PaymentMethodType
from payonce.domain.gateway_address import PLATFORM, address_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import CaptureMethod
    from payonce.domain.gateway_address import GatewayAddress


class PaymentStatus(StrEnum):
    """The states of a payment.

    ``REQUIRES_ACTION``: the gateway waits for the payer. ``PROCESSING``: the gateway has accepted it, and its outcome
    takes minutes or days. ``EXPIRED``: the payer did not act in time. ``REVERSED``: captured, and all of it was taken
    back by the payer's bank.
    """

    IN_DOUBT = "in_doubt"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    VOIDED = "voided"
    DECLINED = "declined"
    FAILED = "failed"
    EXPIRED = "expired"
    REVERSED = "reversed"


class Change(StrEnum):
    """The changes of a payment. Each change has exactly one event."""

    DOUBTED = "payment.in_doubt"
    ACTION_REQUIRED = "payment.requires_action"
    PROCESSED = "payment.processing"
    EXPIRED = "payment.expired"
    AUTHORIZED = "payment.authorized"
    CHARGED = "payment.captured"
    DECLINED = "payment.declined"
    FAILED = "payment.failed"
    CAPTURE_PART = "capture.succeeded_in_part"
    CAPTURE_REST = "capture.succeeded"
    CAPTURE_DOUBTED = "capture.in_doubt"
    CAPTURE_PROCESSED = "capture.processing"
    CAPTURE_DECLINED = "capture.declined"
    CAPTURE_FAILED = "capture.failed"
    VOID_REST = "void.succeeded_in_part"
    VOID = "void.succeeded"
    VOID_DOUBTED = "void.in_doubt"
    VOID_PROCESSED = "void.processing"
    VOID_DECLINED = "void.declined"
    VOID_FAILED = "void.failed"
    REFUND_PART = "refund.succeeded_in_part"
    REFUND_ALL = "refund.succeeded"
    REFUND_DOUBTED = "refund.in_doubt"
    REFUND_PROCESSED = "refund.processing"
    REFUND_DECLINED = "refund.declined"
    REFUND_FAILED = "refund.failed"
    # Changes made at the gateway and not through this API: in the gateway's dashboard, or by letting the charge expire.
    CAPTURED_ELSEWHERE_PART = "payment.captured_at_gateway_in_part"
    CAPTURED_ELSEWHERE = "payment.captured_at_gateway"
    VOIDED_ELSEWHERE = "payment.voided_at_gateway"
    REFUNDED_ELSEWHERE_PART = "payment.refunded_at_gateway_in_part"
    REFUNDED_ELSEWHERE = "payment.refunded_at_gateway"
    # What the payer's bank does after a capture.
    REVERSED_PART = "payment.reversed_in_part"
    REVERSED = "payment.reversed"
    # A refund that had succeeded comes back: one of ours, or one that was made at the gateway.
    RETURNED_PART = "refund.returned_in_part"
    RETURNED = "refund.returned"
    RETURNED_ELSEWHERE_PART = "payment.refund_returned_in_part"
    RETURNED_ELSEWHERE = "payment.refund_returned"
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_EVIDENCE_DUE = "dispute.evidence_due"
    DISPUTE_UNDER_REVIEW = "dispute.under_review"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"


_S, _C = PaymentStatus, Change

_CREATION: Mapping[tuple[PaymentStatus | None, Change], PaymentStatus] = {
    (None, _C.DOUBTED): _S.IN_DOUBT,
    (None, _C.AUTHORIZED): _S.AUTHORIZED,
    (None, _C.CHARGED): _S.CAPTURED,
    (None, _C.DECLINED): _S.DECLINED,
    (None, _C.FAILED): _S.FAILED,
    (_S.IN_DOUBT, _C.AUTHORIZED): _S.AUTHORIZED,
    (_S.IN_DOUBT, _C.CHARGED): _S.CAPTURED,
    (_S.IN_DOUBT, _C.DECLINED): _S.DECLINED,
    (_S.IN_DOUBT, _C.FAILED): _S.FAILED,
    (None, _C.ACTION_REQUIRED): _S.REQUIRES_ACTION,
    (None, _C.PROCESSED): _S.PROCESSING,
    (_S.IN_DOUBT, _C.ACTION_REQUIRED): _S.REQUIRES_ACTION,
    (_S.IN_DOUBT, _C.PROCESSED): _S.PROCESSING,
}
# The gateway holds the payment, and only the gateway decides it.
WAITING = frozenset({_S.REQUIRES_ACTION, _S.PROCESSING})
_DECIDED: Mapping[tuple[PaymentStatus | None, Change], PaymentStatus] = {
    (status, change): after
    for status in sorted(WAITING)
    for change, after in {
        _C.ACTION_REQUIRED: _S.REQUIRES_ACTION,
        _C.PROCESSED: _S.PROCESSING,
        _C.AUTHORIZED: _S.AUTHORIZED,
        _C.CHARGED: _S.CAPTURED,
        _C.DECLINED: _S.DECLINED,
        _C.EXPIRED: _S.EXPIRED,
        _C.FAILED: _S.FAILED,  # by people: the gateway knows nothing of it any more
        _C.VOID: _S.VOIDED,
        _C.VOIDED_ELSEWHERE: _S.VOIDED,
    }.items()
}
# On a payment that is captured in parts, a capture and a refund can be in flight together; each was reserved before it
# was sent. Whichever commits last must find its row here: once an effect has happened, it can't be "not allowed".
_MONEY: Mapping[tuple[PaymentStatus | None, Change], PaymentStatus] = {
    (_S.AUTHORIZED, _C.CAPTURE_PART): _S.PARTIALLY_CAPTURED,
    (_S.AUTHORIZED, _C.CAPTURE_REST): _S.CAPTURED,
    (_S.PARTIALLY_CAPTURED, _C.CAPTURE_PART): _S.PARTIALLY_CAPTURED,
    (_S.PARTIALLY_CAPTURED, _C.CAPTURE_REST): _S.CAPTURED,
    # Unexpected where the first capture releases the remainder; but what a gateway has done must be recorded.
    (_S.CAPTURED, _C.CAPTURE_PART): _S.CAPTURED,
    (_S.CAPTURED, _C.CAPTURE_REST): _S.CAPTURED,
    (_S.PARTIALLY_REFUNDED, _C.CAPTURE_PART): _S.PARTIALLY_REFUNDED,
    (_S.PARTIALLY_REFUNDED, _C.CAPTURE_REST): _S.PARTIALLY_REFUNDED,
    (_S.REFUNDED, _C.CAPTURE_PART): _S.PARTIALLY_REFUNDED,
    (_S.REFUNDED, _C.CAPTURE_REST): _S.PARTIALLY_REFUNDED,
    (_S.AUTHORIZED, _C.VOID): _S.VOIDED,
    (_S.PARTIALLY_CAPTURED, _C.REFUND_PART): _S.PARTIALLY_REFUNDED,
    (_S.PARTIALLY_CAPTURED, _C.REFUND_ALL): _S.REFUNDED,
    (_S.CAPTURED, _C.REFUND_PART): _S.PARTIALLY_REFUNDED,
    (_S.CAPTURED, _C.REFUND_ALL): _S.REFUNDED,
    (_S.PARTIALLY_REFUNDED, _C.REFUND_PART): _S.PARTIALLY_REFUNDED,
    (_S.PARTIALLY_REFUNDED, _C.REFUND_ALL): _S.REFUNDED,
}
# Nothing was taken of the payer, as far as is known here.
NOT_EXECUTED = frozenset({_S.DECLINED, _S.FAILED, _S.EXPIRED})
# The same movements of money, initiated outside payonce.
ELSEWHERE: Mapping[Change, Change] = MappingProxyType(
    {
        _C.CAPTURE_PART: _C.CAPTURED_ELSEWHERE_PART,
        _C.CAPTURE_REST: _C.CAPTURED_ELSEWHERE,
        _C.VOID: _C.VOIDED_ELSEWHERE,
        _C.REFUND_PART: _C.REFUNDED_ELSEWHERE_PART,
        _C.REFUND_ALL: _C.REFUNDED_ELSEWHERE,
    }
)
_MONEY_ELSEWHERE: Mapping[tuple[PaymentStatus | None, Change], PaymentStatus] = {
    (status, ELSEWHERE[change]): after for (status, change), after in _MONEY.items()
}
# The payer's bank may take a captured charge back, while operations on it are in flight, or after it was refunded.
_CAPTURED_STATES = (_S.PARTIALLY_CAPTURED, _S.CAPTURED, _S.PARTIALLY_REFUNDED)
_AFTER_CAPTURE = (*_CAPTURED_STATES, _S.REFUNDED, _S.REVERSED)
_TAKEN_BACK: Mapping[tuple[PaymentStatus | None, Change], PaymentStatus] = {
    **{(status, _C.REVERSED): _S.REVERSED for status in _AFTER_CAPTURE},
    **{(status, _C.REVERSED_PART): status for status in _AFTER_CAPTURE},
    **{
        (_S.REVERSED, told): _S.REVERSED
        for change in (_C.CAPTURE_PART, _C.CAPTURE_REST, _C.REFUND_PART, _C.REFUND_ALL)
        for told in (change, ELSEWHERE[change])
    },
    **{
        (status, change): status
        for status in _AFTER_CAPTURE
        for change in (
            _C.DISPUTE_OPENED,
            _C.DISPUTE_EVIDENCE_DUE,
            _C.DISPUTE_UNDER_REVIEW,
            _C.DISPUTE_WON,
            _C.DISPUTE_LOST,
        )
    },
}
# Money that was refunded comes back, and can be refunded again. What the payer's bank has taken back stays so.
_RETURNED: Mapping[tuple[PaymentStatus | None, Change], PaymentStatus] = {
    (status, told): _S.REVERSED if status is _S.REVERSED else after
    for status in (_S.PARTIALLY_REFUNDED, _S.REFUNDED, _S.REVERSED)
    for told, after in {
        _C.RETURNED_PART: _S.PARTIALLY_REFUNDED,
        _C.RETURNED: _S.CAPTURED,
        _C.RETURNED_ELSEWHERE_PART: _S.PARTIALLY_REFUNDED,
        _C.RETURNED_ELSEWHERE: _S.CAPTURED,
    }.items()
}
# What is not captured is released, while refunds may be in flight: no more can be captured.
_RELEASED: Mapping[tuple[PaymentStatus | None, Change], PaymentStatus] = {
    **{(status, _C.VOID_REST): status for status in _AFTER_CAPTURE},
    (_S.PARTIALLY_CAPTURED, _C.VOID_REST): _S.CAPTURED,
}
# A second capture may be in flight although the first one releases the remainder; the gateway then declines it. So it
# does when the cancellation of a payment that has just been authorized was faster.
_CAPTURES_IN_FLIGHT = (_S.AUTHORIZED, *_CAPTURED_STATES, _S.REFUNDED, _S.REVERSED, _S.VOIDED)
_REFUNDS_IN_FLIGHT = (*_CAPTURED_STATES, _S.REVERSED)
# While a payment that waits is cancelled, the payer may finish it, or the gateway may decide it.
_VOIDS_IN_FLIGHT = (
    *sorted(WAITING),
    *_CAPTURES_IN_FLIGHT,
    _S.DECLINED,
    _S.EXPIRED,
)
_WITHOUT_MONEY: Mapping[tuple[PaymentStatus | None, Change], PaymentStatus] = {
    (status, change): status
    for change, statuses in {
        _C.CAPTURE_DOUBTED: _CAPTURES_IN_FLIGHT,
        _C.CAPTURE_DECLINED: _CAPTURES_IN_FLIGHT,
        _C.CAPTURE_FAILED: _CAPTURES_IN_FLIGHT,
        _C.CAPTURE_PROCESSED: _CAPTURES_IN_FLIGHT,
        _C.VOID_DOUBTED: _VOIDS_IN_FLIGHT,
        _C.VOID_PROCESSED: _VOIDS_IN_FLIGHT,
        _C.VOID_DECLINED: _VOIDS_IN_FLIGHT,
        _C.VOID_FAILED: _VOIDS_IN_FLIGHT,
        _C.VOID: (_S.VOIDED, _S.DECLINED, _S.EXPIRED),
        _C.REFUND_PROCESSED: _REFUNDS_IN_FLIGHT,
        _C.REFUND_DOUBTED: _REFUNDS_IN_FLIGHT,
        _C.REFUND_DECLINED: _REFUNDS_IN_FLIGHT,
        _C.REFUND_FAILED: _REFUNDS_IN_FLIGHT,
    }.items()
    for status in statuses
}
TRANSITIONS: Mapping[tuple[PaymentStatus | None, Change], PaymentStatus] = MappingProxyType(
    {**_CREATION, **_DECIDED, **_MONEY, **_MONEY_ELSEWHERE, **_TAKEN_BACK, **_RETURNED, **_RELEASED, **_WITHOUT_MONEY}
)


class TransitionError(Exception):
    """The table of transitions does not allow this change in this state: a defect of payonce, not of the caller."""


def next_status(status: PaymentStatus | None, change: Change) -> PaymentStatus:
    """Return the status after ``change``. Raises ``TransitionError`` when the table has no such row."""
    try:
        return TRANSITIONS[status, change]
    except KeyError:
        raise TransitionError(f"{change} is not possible in state {status}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment at one version. Amounts are integer minor units of ``currency``; times are epoch milliseconds.

    ``capturable_minor`` and ``refundable_minor`` exclude what operations in flight have reserved. ``version`` counts
    committed changes, and is the sequence number of the payment's events. ``attempts`` counts the references under
    which the payment was sent; ``gateway_reference`` is the one that was executed.
    ``passed_over`` names the gateways that certainly took nothing of it before ``gateway`` was asked. ``account`` is
    the account at the gateway to which it was sent, the platform's where it is empty; it never changes.
    ``next_action`` is what the payer has to do, present while the payment requires action.
    ``reversed_minor`` is what the payer's bank took back, ``disputed_minor`` what the gateway has withdrawn for
    disputes, lost ones included. Both are no longer refundable. They may take what was refunded already, or what a
    refund in flight has reserved: ``refundable_minor`` is below 0 by as much.
    """

    payment_id: str
    merchant_id: str
    status: PaymentStatus
    amount_minor: int
    currency: str
    capture_method: CaptureMethod
    payment_method: str
    gateway: str
    gateway_reference: str
    created_at_ms: int
    updated_at_ms: int
    version: int
    gateway_charge_id: str | None = None
    captured_minor: int = 0
    refunded_minor: int = 0
    capturable_minor: int = 0
    refundable_minor: int = 0
    reference: str | None = None
    customer: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    decline_code: str | None = None
    attempts: int = 1
    passed_over: tuple[str, ...] = ()
    payment_method_type: PaymentMethodType = PaymentMethodType.CARD
    next_action: Mapping[str, str | int] | None = None
    reversed_minor: int = 0
    disputed_minor: int = 0
    account: str = PLATFORM

    @property
    def address(self) -> GatewayAddress:
        """Where the payment is: whoever asks the gateway about it asks there."""
        return address_of(self.gateway, self.merchant_id, self.account)

    @property
    def is_open_to_disputes(self) -> bool:
        """Whether a dispute can be booked: something was captured."""
        return self.status in _AFTER_CAPTURE

    def changed(self, change: Change, *, at_ms: int) -> Payment:
        """Return the next version of the payment, after ``change``, with the same amounts."""
        return replace(self, status=next_status(self.status, change), updated_at_ms=at_ms, version=self.version + 1)


class OperationStatus(StrEnum):
    """The states of a capture, void or refund. ``RETURNED``: a refund had succeeded, and its money came back."""

    IN_DOUBT = "in_doubt"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    RETURNED = "returned"
    DECLINED = "declined"
    FAILED = "failed"
