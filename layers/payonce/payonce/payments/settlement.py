"""Follows what the gateway holds until the gateway has decided it: a payment that waits for its payer or for days, a
capture or refund that the gateway has only received.

The client's claim is concluded at once, and the same transaction makes a claim of payonce's own, the settlement. Nobody
holds it while nothing is to be done: it lies in doubt, and whoever has something to do takes it over with the next
fencing token, as recovery does with any claim. Nothing is ever sent again::

    create_payment   CLAIM ─ SUBMIT ─ "the payer has to act" ─ COMMIT: 201, settlement made
    settlement                             ASK ─ park ─ ASK ─ park ─ … ─ ASK ─ decided ─ COMMIT
    who asks         recovery at a growing pause; at once when the gateway posts an event about the payment
    meanwhile        a confirmation or a cancellation may decide it: whichever commits first counts, the others find it
                     decided and write nothing

A payment whose payer does not act in time is withdrawn at the gateway first, and is expired only once that is certain.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_MS
from payonce.domain.errors import NotFound, PaymentStateConflict
from payonce.domain.gateway import (
    CANCELED,
    PAYMENT_EXPIRED,
    ActionType,
    AwaitsPayer,
    Declined,
    Instruction,
    OperationKind,
    Pending,
    Succeeded,
)
from payonce.domain.money import Money
from payonce.domain.payment import WAITING, Change, Payment, PaymentStatus
from payonce.idempotency.json_response import json_response
from payonce.idempotency.keys import record_id
from payonce.idempotency.record_items import to_item, waiting_shard_of
from payonce.idempotency.records import Completed, Draft, IdempotencyRecord, InDoubt, RecordStatus
from payonce.payments.booking import change_write, payment_event
from payonce.payments.charging import Charged, Expired, action_expires_at_ms, after, charged_by, entry_of_charge
from payonce.payments.journal import balance_write
from payonce.payments.payment_items import head_insert, replace_payment
from payonce.payments.payment_work import GatewayWork
from payonce.payments.representation import payment_path, payment_view
from payonce.payments.stored_payments import find_first, find_head
from payonce.ports import Insert, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.domain.gateway import LookupOutcome
    from payonce.idempotency.records import Claim, Conclusion, Plan, StoredResponse
    from payonce.payments.operations import FollowUpPlan
    from payonce.payments.payment_work import Result, Services
    from payonce.ports import Database, Gateway, Write

SETTLEMENT = "settlement"  # the kind of the claim's plan
OPERATION = "settle_payment"
# The gateway is asked again after a quarter of the time that has passed: a payer who takes two minutes is seen half a
# minute late, and a debit of four days costs some forty questions. An event of the gateway's makes all of it moot.
PAUSE_SHARE = 4
MIN_PAUSE_MS = 5_000
MAX_PAUSE_MS = DAY_MS // 4
# What is paid in time at a counter or by a transfer reaches the gateway a business day later, over a long weekend four
# days: a voucher of Boleto's "can take up to 1 business day" (https://docs.stripe.com/payments/boleto).
PAID_ELSEWHERE_MS = 4 * DAY_MS
_NOBODY_READS_IT = json_response(200, {}, location="/")


def settlement_id(merchant_id: str, identity: str) -> str:
    """Return the record id of the settlement of a payment, or of a capture, void or refund, by its own id."""
    return record_id(merchant_id, OPERATION, identity)


def settlement_write(payment: Payment, requested_by: str | None, *, at_ms: int) -> Write:
    """Return the write that makes the settlement of a payment. ``requested_by``: the record of the payment's key."""
    data = {
        "kind": SETTLEMENT,
        "merchant_id": payment.merchant_id,
        "payment_id": payment.payment_id,
        "requested_by": requested_by,
    }
    return _claim_write(payment.merchant_id, payment.payment_id, data, payment, at_ms=at_ms)


def operation_settlement_write(
    plan: FollowUpPlan, payment: Payment, pending: Pending, requested_by: str | None, *, at_ms: int
) -> Write:
    """Return the write that makes the settlement of a capture, void or refund that the gateway holds."""
    data = {
        "kind": SETTLEMENT,
        "operation": plan.to_data(),
        "requested_by": requested_by,
        "gateway_operation_id": pending.gateway_object_id,
    }
    return _claim_write(plan.merchant_id, plan.operation_id, data, payment, at_ms=at_ms)


def _claim_write(merchant_id: str, identity: str, data: Mapping[str, Any], payment: Payment, *, at_ms: int) -> Write:
    """Return the write of a settlement's claim. Its lease is over already, so that anybody may take it over."""
    record = IdempotencyRecord(
        record_id=settlement_id(merchant_id, identity),
        status=RecordStatus.IN_PROGRESS,
        claim_id=f"settle_{identity}",
        fence=1,
        fingerprint="",
        created_at_ms=at_ms,
        expires_at_ms=at_ms,
        lease_expires_at_ms=at_ms,
        resource=payment_path(payment.payment_id),
        plan=data,
        lane=payment.gateway,
    )
    return Insert(Table.IDEMPOTENCY, {**to_item(record), "open_shard": waiting_shard_of(record.record_id)})


def next_look_ms(now_ms: int, since_ms: int) -> int:
    """Return when to ask again about what the gateway has held since ``since_ms``."""
    return now_ms + min(max((now_ms - since_ms) // PAUSE_SHARE, MIN_PAUSE_MS), MAX_PAUSE_MS)


def parked(at_ms: int, draft: Callable[[], Draft] | None = None) -> InDoubt:
    """Return the conclusion of a settlement that is not decided yet."""
    return InDoubt(draft or (lambda: Draft(_NOBODY_READS_IT, ())), at_ms, submitted=False)


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
        writes = [
            head_insert(payment) if self.head is None else replace_payment(payment, expected=self.head),
            change_write(payment_event(payment, charged.change, payment_view(payment)), entry),
        ]
        return (writes if entry is None else [*writes, balance_write(entry)]), payment


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


class PaymentSettlement(GatewayWork):
    """The work of a payment's settlement."""

    def __init__(self, data: Mapping[str, Any], gateway_named: Callable[[str], Gateway], services: Services) -> None:
        super().__init__(services)
        self._merchant_id, self._payment_id = str(data["merchant_id"]), str(data["payment_id"])
        self._requested_by = data.get("requested_by")
        self._gateway_named = gateway_named

    def plan(self) -> Plan:
        """A settlement is made by ``settlement_write``, and never requested."""
        raise NotImplementedError

    def largest_response(self) -> StoredResponse:
        """See ``plan``."""
        raise NotImplementedError

    def adopt(self, record: IdempotencyRecord) -> PaymentSettlement:
        """See ``plan``."""
        raise NotImplementedError

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``."""
        payment = self._held().payment
        return self._gateway_named(payment.gateway), instruction_of(payment)

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. Asks, withdraws what the payer has let expire, and sends nothing again."""
        payment = self._held().payment
        if payment.status not in WAITING:
            return Completed(lambda: Draft(_NOBODY_READS_IT, ()))
        gateway, instruction = self._gateway_named(payment.gateway), instruction_of(payment)
        outcome: LookupOutcome = gateway.find(instruction, self._inquiry_deadline(claim))
        now_ms, expires_at_ms = self._clock.now_ms(), expiry_of(payment)
        if isinstance(outcome, AwaitsPayer) and now_ms >= expires_at_ms:
            outcome = gateway.withdraw(instruction, outcome, self._inquiry_deadline(claim))
            if isinstance(outcome, Declined):
                return Completed(partial(self.draft, Expired()))
        if isinstance(outcome, Succeeded | Declined):
            return Completed(partial(self.draft, outcome))
        at_ms = next_look_ms(now_ms, payment.created_at_ms)
        if now_ms < expires_at_ms:
            at_ms = min(at_ms, expires_at_ms)
        changed = partial(self.draft, outcome) if isinstance(outcome, Pending) else None
        return parked(at_ms, changed)

    def draft(self, result: Result | Expired) -> Draft:
        """See ``GatewayWork``. A payment that is decided by now, or that has not changed, gets no write."""
        writes, _ = self._held().decided(result, self._requested_by, at_ms=self._clock.now_ms())
        return Draft(_NOBODY_READS_IT, writes)

    def abandon_writes(self, record: IdempotencyRecord) -> Sequence[Write]:
        """Refuse an operator's release: the gateway holds the payment, so nobody can say that it was not executed."""
        raise PaymentStateConflict(
            "The gateway holds this payment and will decide it. Cancel the payment, or wait for the gateway.",
            resource=record.resource,
        )

    def _held(self) -> Held:
        return Held.read(self._database, self._merchant_id, self._payment_id)
