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
A gateway that does not know any more what it has held is named to people: they ask it, and release the claim.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_MS
from payonce.domain.gateway import (
    AwaitsPayer,
    Declined,
    Instruction,
    NotFound,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.gateway_address import parts_of
from payonce.idempotency.json_response import json_response
from payonce.idempotency.keys import record_id
from payonce.idempotency.record_items import to_item, waiting_shard_of
from payonce.idempotency.records import Completed, Draft, IdempotencyRecord, InDoubt, RecordStatus
from payonce.observability import get_logger
from payonce.payments.charging import Expired
from payonce.payments.held import Held
from payonce.payments.payment_work import GatewayWork
from payonce.payments.representation import payment_path
from payonce.payments.rules import NeverExecuted
from payonce.ports import Insert, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.domain.gateway import LookupOutcome, WithdrawOutcome
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.domain.payment import Payment
    from payonce.idempotency.records import Claim, Conclusion, Plan, StoredResponse
    from payonce.payments.held import HeldAtGateway
    from payonce.payments.operations import FollowUpPlan
    from payonce.payments.payment_work import Result, Services
    from payonce.ports import Gateway, Write

SETTLEMENT = "settlement"  # the kind of the claim's plan
OPERATION = "settle_payment"
# The gateway is asked again after a quarter of the time that has passed: a payer who takes two minutes is seen half a
# minute late, and a debit of four days costs some forty questions. An event of the gateway's makes all of it moot.
PAUSE_SHARE = 4
MIN_PAUSE_MS = 5_000
MAX_PAUSE_MS = DAY_MS // 4
# A gateway shows what it holds within seconds or minutes; what is not there after a day was lost, or never was.
LOST_AFTER_MS = DAY_MS
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
    return settlement_claim_write(
        payment.merchant_id,
        payment.payment_id,
        data,
        resource=payment_path(payment.payment_id),
        gateway=payment.gateway,
        at_ms=at_ms,
    )


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
    return settlement_claim_write(
        plan.merchant_id,
        plan.operation_id,
        data,
        resource=payment_path(payment.payment_id),
        gateway=payment.gateway,
        at_ms=at_ms,
    )


def settlement_claim_write(
    merchant_id: str, identity: str, data: Mapping[str, Any], *, resource: str, gateway: str, at_ms: int
) -> Write:
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
        resource=resource,
        plan=data,
        lane=gateway,
    )
    return Insert(Table.IDEMPOTENCY, {**to_item(record), "open_shard": waiting_shard_of(record.record_id)})


def next_look_ms(now_ms: int, since_ms: int) -> int:
    """Return when to ask again about what the gateway has held since ``since_ms``."""
    return now_ms + min(max((now_ms - since_ms) // PAUSE_SHARE, MIN_PAUSE_MS), MAX_PAUSE_MS)


def report_lost(found: LookupOutcome, named: Mapping[str, str], gateway: str, *, since_ms: int, now_ms: int) -> None:
    """Name to people what the gateway has held since ``since_ms`` and does not know any more: there is an alarm.

    ``named`` is what it is and whose: its id, by what it is the id of, and the merchant's.
    """
    if isinstance(found, NotFound) and now_ms - since_ms >= LOST_AFTER_MS:
        get_logger().error("gateway lost what it held", extra={**named, "gateway": gateway})


def parked(at_ms: int, draft: Callable[[], Draft] | None = None) -> InDoubt:
    """Return the conclusion of a settlement that is not decided yet."""
    return InDoubt(draft or _nothing, at_ms, submitted=False)


def _nothing() -> Draft:
    return Draft(_NOBODY_READS_IT, ())


class PaymentSettlement(GatewayWork):
    """The work of a payment's settlement. A set-up's overrides what is read, and how an answer is understood."""

    _id_name = "payment_id"  # in the log

    def __init__(
        self, data: Mapping[str, Any], gateway_named: Callable[[GatewayAddress], Gateway], services: Services
    ) -> None:
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
        held = self._held()
        return self._gateway_named(held.address), held.instruction

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. Asks, withdraws what the payer has let expire, and sends nothing again."""
        held = self._held()
        if not held.waits and not held.may_be_released:
            return Completed(_nothing)
        gateway, instruction = self._gateway_named(held.address), held.instruction
        if not held.waits:
            return self._released(gateway, instruction, claim)
        outcome = self._ask(gateway, instruction, claim)
        now_ms, expires_at_ms = self._clock.now_ms(), held.expires_at_ms
        if isinstance(outcome, AwaitsPayer) and now_ms >= expires_at_ms:
            outcome = self._withdraw(gateway, instruction, outcome, claim)
            if isinstance(outcome, Declined):
                return Completed(partial(self.draft, Expired()))
        if isinstance(outcome, Succeeded | Declined):
            return Completed(partial(self.draft, outcome))
        named = {self._id_name: self._payment_id, "merchant_id": self._merchant_id}
        named["account"] = parts_of(held.address).account
        report_lost(outcome, named, gateway.name, since_ms=held.created_at_ms, now_ms=now_ms)
        at_ms = next_look_ms(now_ms, held.created_at_ms)
        if now_ms < expires_at_ms:
            at_ms = min(at_ms, expires_at_ms)
        changed = partial(self.draft, outcome) if isinstance(outcome, Pending) else None
        return parked(at_ms, changed)

    def _released(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> Conclusion:
        """Conclude what somebody else has told to be authorized: is it still?

        ::

            confirmation  authorized ─────────────────────── told
            settlement               └ withdrawn: canceled ──────── ✗ killed, or told of it too late
        """
        outcome = self._ask(gateway, instruction, claim)
        if isinstance(outcome, Unknown):
            now_ms = self._clock.now_ms()
            return parked(next_look_ms(now_ms, now_ms))
        if isinstance(outcome, Declined):
            return Completed(partial(self.draft, Expired()))
        return Completed(_nothing)

    def draft(self, result: Result | Expired) -> Draft:
        """See ``GatewayWork``. A payment that is decided by now, or that has not changed, gets no write.

        Only one that was authorized in the moment in which it was withdrawn is voided: its payer will not be charged.
        """
        writes, _ = self._held().decided(result, self._requested_by, at_ms=self._clock.now_ms())
        return Draft(_NOBODY_READS_IT, writes)

    def abandon_writes(self, record: IdempotencyRecord) -> Sequence[Write]:
        """Return the writes that end the payment as failed: people have found that the gateway does not know it."""
        return self.draft(NeverExecuted()).writes

    def _ask(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> LookupOutcome:
        return gateway.find(instruction, self._inquiry_deadline(claim))

    def _withdraw(
        self, gateway: Gateway, instruction: Instruction, waiting: AwaitsPayer, claim: Claim
    ) -> WithdrawOutcome | Unknown:
        return gateway.withdraw(instruction, waiting, self._inquiry_deadline(claim))

    def _held(self) -> HeldAtGateway:
        return Held.read(self._database, self._merchant_id, self._payment_id)
