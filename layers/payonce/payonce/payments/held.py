"""A payment that a gateway holds: how it is asked about, and what an answer makes of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from payonce.domain.durations import DAY_MS
from payonce.domain.errors import NotFound
from payonce.domain.gateway import CANCELED, PAYMENT_EXPIRED, ActionType, AwaitsPayer, Instruction, OperationKind
from payonce.domain.money import Money
from payonce.domain.payment import WAITING, Change, Payment, PaymentStatus
from payonce.idempotency.json_response import json_response
from payonce.payments.booking import elsewhere_writes, next_writes
from payonce.payments.charging import Charged, Expired, action_expires_at_ms, after, charged_by, entry_of_charge
from payonce.payments.effects import OperationElsewhere
from payonce.payments.elsewhere import effects_of, is_untouched
from payonce.payments.representation import declined_response, payment_path, payment_response, payment_view
from payonce.payments.setup_items import saved_by_payment
from payonce.payments.stored_payments import find_first, find_head

if TYPE_CHECKING:
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import StoredResponse
    from payonce.payments.payment_work import Result
    from payonce.ports import Database, Write

# What is paid in time at a counter or by a transfer reaches the gateway a business day later, over a long weekend four
# days: a voucher of Boleto's "can take up to 1 business day" (https://docs.stripe.com/payments/boleto).
PAID_ELSEWHERE_MS = 4 * DAY_MS


class HeldAtGateway(Protocol):
    """What a gateway may hold, as it is stored now: a payment, or a set-up."""

    @property
    def waits(self) -> bool:
        """Whether the gateway holds it."""
        ...

    @property
    def awaits_payer(self) -> bool:
        """Whether its payer has to act."""
        ...

    @property
    def may_be_released(self) -> bool:
        """Whether its payer was faster than its expiry, and a withdrawal can have released what it authorized."""
        ...

    @property
    def address(self) -> GatewayAddress:
        """The account at the gateway that holds it."""
        ...

    @property
    def created_at_ms(self) -> int:
        """When it was made, epoch milliseconds."""
        ...

    @property
    def instruction(self) -> Instruction:
        """The instruction with which it is looked up, confirmed and withdrawn."""
        ...

    @property
    def expires_at_ms(self) -> int:
        """When it is withdrawn, epoch milliseconds; what is being processed does not expire."""
        ...

    def answer(self) -> StoredResponse:
        """Return the final answer that shows it as it is: a decline, or 201."""
        ...

    def provisional(self) -> StoredResponse:
        """Return the 202 of a claim in doubt, whatever has been decided meanwhile: another answer will replace it."""
        ...

    def decided(
        self, result: Result | Expired, requested_by: str | None, *, at_ms: int
    ) -> tuple[list[Write], StoredResponse]:
        """Return the writes of ``result`` and the answer after them; none when it is decided, or does not change."""
        ...


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

    @property
    def waits(self) -> bool:
        """See ``HeldAtGateway``."""
        return self.payment.status in WAITING

    @property
    def awaits_payer(self) -> bool:
        """See ``HeldAtGateway``."""
        return self.payment.status is PaymentStatus.REQUIRES_ACTION

    @property
    def may_be_released(self) -> bool:
        """See ``HeldAtGateway``."""
        return is_untouched(self.payment)

    @property
    def address(self) -> GatewayAddress:
        """See ``HeldAtGateway``."""
        return self.payment.address

    @property
    def created_at_ms(self) -> int:
        """See ``HeldAtGateway``."""
        return self.payment.created_at_ms

    @property
    def instruction(self) -> Instruction:
        """See ``HeldAtGateway``."""
        return instruction_of(self.payment)

    @property
    def expires_at_ms(self) -> int:
        """See ``HeldAtGateway``."""
        return expiry_of(self.payment)

    def answer(self) -> StoredResponse:
        """See ``HeldAtGateway``."""
        location = payment_path(self.payment.payment_id)
        view = payment_view(self.payment)
        if self.payment.status is PaymentStatus.DECLINED:
            code = self.payment.decline_code or "declined"
            return declined_response("The payment was declined.", location=location, code=code, payment=view)
        return json_response(201, view, location=location)

    def provisional(self) -> StoredResponse:
        """See ``HeldAtGateway``."""
        return json_response(202, payment_view(self.payment), location=payment_path(self.payment.payment_id))

    def decided(
        self, result: Result | Expired, requested_by: str | None, *, at_ms: int
    ) -> tuple[list[Write], StoredResponse]:
        """See ``HeldAtGateway``."""
        before = self.payment
        if isinstance(result, Expired) and self.may_be_released:
            return self._released(at_ms)
        if before.status not in WAITING or (isinstance(result, AwaitsPayer) and result.action is None):
            return [], self.answer()  # a lookup need not repeat what the payer has to do
        expires_at_ms = action_expires_at_ms(before.payment_method_type, at_ms)
        charged = charged_by(result, before, action_expires_at_ms=expires_at_ms)
        if charged.change is Change.DECLINED and charged.code in {CANCELED, PAYMENT_EXPIRED}:
            # After its time it was we who canceled it, perhaps an owner that could not tell of it any more.
            expired = charged.code == PAYMENT_EXPIRED or at_ms >= expiry_of(before)
            charged = replace(charged, change=Change.EXPIRED if expired else Change.VOIDED_ELSEWHERE)
        if _says_nothing_new(before, charged):
            return [], self.answer()
        payment = after(before, charged, at_ms=at_ms)
        entry = entry_of_charge(payment, charged, requested_by)
        writes = next_writes(payment, charged.change, entry, head=self.head)
        writes += saved_by_payment(result, payment, at_ms=at_ms)
        if isinstance(result, Expired):
            return writes, Held(payment, payment).answer()
        return writes, payment_response(payment, result)

    def _released(self, at_ms: int) -> tuple[list[Write], StoredResponse]:
        void = OperationElsewhere(OperationKind.VOID, self.payment.amount_minor)
        [effect] = effects_of(self.payment, [void], at_ms=at_ms, multiple_captures=False)
        return elsewhere_writes(self.payment, [effect]), Held(effect.payment, effect.payment).answer()


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
