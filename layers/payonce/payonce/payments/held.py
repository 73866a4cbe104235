"""A payment that a gateway holds: how it is asked about, and what an answer makes of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS
from payonce.domain.errors import NotFound
from payonce.domain.gateway import CANCELED, PAYMENT_EXPIRED, ActionType, AwaitsPayer, Instruction, OperationKind
from payonce.domain.money import Money
from payonce.domain.payment import WAITING, Change, Payment, PaymentStatus
from payonce.payments.booking import next_writes
from payonce.payments.charging import Charged, Expired, action_expires_at_ms, after, charged_by, entry_of_charge
from payonce.payments.stored_payments import find_first, find_head

if TYPE_CHECKING:
    from payonce.payments.payment_work import Result
    from payonce.ports import Database, Write

# What is paid in time at a counter or by a transfer reaches the gateway a business day later, over a long weekend four
# days: a voucher of Boleto's "can take up to 1 business day" (https://docs.stripe.com/payments/boleto).
PAID_ELSEWHERE_MS = 4 * DAY_MS


@dataclass(frozen=True, slots=True)
class Held:
    """A payment that a gateway may hold, as it is stored now. ``head`` is ``None`` while only the first version is."""

    payment: Payment
    head: Payment | None

    @classmethod
    def read(cls, database: Database, merchant_id: str, payment_id: str) -> Held:
        """Return the payment. Raises ``NotFound``."""
        head = find_head(database, merchant_id, payment_id)
        payment = head or find_first(database, merchant_id, payment_id)
        if payment is None:
            raise NotFound(f"There is no payment {payment_id}.")
        return cls(payment, head)

    def decided(self, result: Result | Expired, requested_by: str | None, *, at_ms: int) -> tuple[list[Write], Payment]:
        """Return the writes of ``result`` and the payment after them; none when it is decided, or does not change."""
        before = self.payment
        if before.status not in WAITING or (isinstance(result, AwaitsPayer) and result.action is None):
            return [], before  # a lookup need not repeat what the payer has to do
        expires_at_ms = action_expires_at_ms(before.payment_method_type, at_ms)
        charged = charged_by(result, before, action_expires_at_ms=expires_at_ms)
        if charged.change is Change.DECLINED and charged.code in {CANCELED, PAYMENT_EXPIRED}:
            # After its time it was we who canceled it, perhaps an owner that could not tell of it any more.
            expired = charged.code == PAYMENT_EXPIRED or at_ms >= expiry_of(before)
            charged = replace(charged, change=Change.EXPIRED if expired else Change.VOIDED_ELSEWHERE)
        if _says_nothing_new(before, charged):
            return [], before
        payment = after(before, charged, at_ms=at_ms)
        entry = entry_of_charge(payment, charged, requested_by)
        return next_writes(payment, charged.change, entry, head=self.head), payment


def instruction_of(payment: Payment) -> Instruction:
    """Return the instruction with which a held payment is looked up, confirmed and withdrawn."""
    return Instruction(
        kind=OperationKind.PAYMENT,
        gateway_reference=payment.gateway_reference,
        merchant_id=payment.merchant_id,
        payment_id=payment.payment_id,
        money=Money(payment.amount_minor, payment.currency),
        capture_method=payment.capture_method,
        payment_method=payment.payment_method,
        payment_method_type=payment.payment_method_type,
        gateway_charge_id=payment.gateway_charge_id,
        first_submitted_at_ms=payment.created_at_ms,
    )


def expiry_of(payment: Payment) -> int:
    """Return when a payment is withdrawn, epoch milliseconds; what is being processed does not expire."""
    if payment.next_action is None:
        return sys.maxsize
    paid_elsewhere = payment.next_action["type"] == ActionType.DISPLAY
    return int(payment.next_action["expires_at_ms"]) + (PAID_ELSEWHERE_MS if paid_elsewhere else 0)


def _says_nothing_new(before: Payment, charged: Charged) -> bool:
    """Return whether the gateway holds the payment as it did. Its action is compared without our own deadline of it."""
    if charged.change is Change.PROCESSED:
        return before.status is PaymentStatus.PROCESSING
    if charged.change is not Change.ACTION_REQUIRED or before.next_action is None or charged.next_action is None:
        return False
    return {**charged.next_action, "expires_at_ms": 0} == {**before.next_action, "expires_at_ms": 0}
