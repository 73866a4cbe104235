"""What a gateway's answer to a payment means for the payment: its change, amounts and journal entry. Pure functions.

::

    (new) ─┬──────────────┬───────────▶ authorized, captured, declined, failed
           ├─ in doubt ───┤
           ├─ processing ─┤  the gateway holds it and decides in seconds or days
           └─ requires action ─▶ the payer acts ─▶ processing, authorized, captured, declined
                               └ the payer does not act in time ─▶ expired
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS
from payonce.domain.gateway import AwaitsPayer, CaptureMethod, Declined, PaymentMethodType, Pending, Succeeded
from payonce.domain.ledger import MovementKind, charge, hold
from payonce.domain.payment import Change, Payment, next_status
from payonce.payments.booking import payment_entry, payment_movement
from payonce.payments.payment_work import Doubted
from payonce.payments.rules import NeverExecuted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import NextAction
    from payonce.domain.ledger import JournalEntry, Posting
    from payonce.payments.payment_work import Result

# How long the payer may take, where the gateway does not say. A bank's authentication page lives for minutes, and an
# order that is not paid within the hour blocks its goods; a voucher is carried to a shop.
HOUR_MS = 3_600_000
ACTION_WINDOWS_MS: Mapping[PaymentMethodType, int] = MappingProxyType(
    {PaymentMethodType.VOUCHER: 14 * DAY_MS, PaymentMethodType.BANK_TRANSFER: 14 * DAY_MS}
)


@dataclass(frozen=True, slots=True)
class Expired:
    """The payer has not acted in time, and the gateway has confirmed that the payment can't be executed any more."""


@dataclass(frozen=True, slots=True)
class Charged:
    """The effect of a gateway's answer on a payment."""

    change: Change
    charge_id: str | None = None
    code: str | None = None
    postings: tuple[Posting, ...] = ()
    next_action: Mapping[str, str | int] | None = None


def charged_by(result: Result | Expired, payment: Payment, *, action_expires_at_ms: int) -> Charged:
    """Return the effect of ``result`` on ``payment``. ``action_expires_at_ms``: where the gateway names no time."""
    match result:
        case Succeeded(charge_id, _) if payment.capture_method is CaptureMethod.AUTOMATIC:
            return Charged(Change.CHARGED, charge_id, postings=charge(payment.gateway, payment.amount_minor))
        case Succeeded(charge_id, _):
            return Charged(Change.AUTHORIZED, charge_id, postings=hold(payment.amount_minor))
        case Declined(code, _):
            return Charged(Change.DECLINED, payment.gateway_charge_id, code=code)
        case Expired():
            return Charged(Change.EXPIRED, payment.gateway_charge_id)
        case NeverExecuted():
            return Charged(Change.FAILED, payment.gateway_charge_id, code="not_executed")
        case AwaitsPayer(object_id, _, action) if action is not None:
            next_action = shown_action(action, action_expires_at_ms)
            return Charged(Change.ACTION_REQUIRED, object_id, next_action=next_action)
        case Pending(object_id, _):
            return Charged(Change.PROCESSED, object_id)
        case Doubted():
            return Charged(Change.DOUBTED)


def shown_action(action: NextAction, expires_at_ms: int) -> dict[str, str | int]:
    """Return the action as it is stored and shown. ``expires_at_ms``: where the gateway names no time."""
    told = {"url": action.url, "client_secret": action.client_secret}
    return {
        "type": action.type.value,
        **{name: text for name, text in told.items() if text is not None},
        "expires_at_ms": action.expires_at_ms or expires_at_ms,
    }


def action_expires_at_ms(method_type: PaymentMethodType, asked_at_ms: int) -> int:
    """Return until when a payer who was asked at ``asked_at_ms`` may act, where the gateway does not say."""
    return asked_at_ms + ACTION_WINDOWS_MS.get(method_type, HOUR_MS)


def after(payment: Payment, charged: Charged, *, first: bool = False, at_ms: int) -> Payment:
    """Return the payment after ``charged``. ``first``: ``payment`` is not stored yet, and this makes it."""
    captured_minor = payment.amount_minor if charged.change is Change.CHARGED else 0
    return replace(
        payment,
        status=next_status(None if first else payment.status, charged.change),
        gateway_charge_id=charged.charge_id,
        captured_minor=captured_minor,
        refundable_minor=captured_minor,
        capturable_minor=payment.amount_minor if charged.change is Change.AUTHORIZED else 0,
        decline_code=charged.code,
        next_action=charged.next_action,
        updated_at_ms=at_ms,
        version=1 if first else payment.version + 1,
    )


def entry_of_charge(payment: Payment, charged: Charged, record_id: str | None) -> JournalEntry | None:
    """Return the journal entry of ``charged``, whose payment afterwards is ``payment``; ``None`` if no money moved."""
    if not charged.postings:
        return None
    moved = None
    if charged.change is Change.CHARGED:
        moved = payment_movement(payment, MovementKind.CHARGE, reference=payment.gateway_reference, record_id=record_id)
    return payment_entry(payment, charged.change, charged.postings, moved)
