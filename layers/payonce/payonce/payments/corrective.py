"""The effects of corrections, by the payment protocol: at most one per attempt, whatever is killed or repeated.

The claim's key and the gateway's reference are derived from the break and the attempt. A new attempt is made only when
the previous one's effect is certain, so no part is refunded twice. The claim requires that the correction is approved
and the break still open. The commit marks the correction as corrected and records the refund on the case. Each happens
in the claim's own transaction.

The first partial refund of a surplus charge books the whole charge, as the gateway reports it. What is not refunded
yet stays in suspense, owed to the payer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import CorrectionStateConflict, GatewayUnavailable, PayonceError, WriteConflict
from payonce.domain.gateway import ChargeState, Declined, Instruction, OperationKind, Succeeded
from payonce.domain.ids import content_id, gateway_reference
from payonce.domain.ledger import JournalEntry, Movement, MovementKind, recognition, reversed_postings
from payonce.domain.money import Money
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Completed, Draft, Plan, Released, StoredResponse
from payonce.outbox import partition_of
from payonce.payments.follow_up import FollowUp, load_payment
from payonce.payments.operations import REFERENCES, AttemptedPlan, FollowUpPlan
from payonce.payments.payment_items import journal_writes
from payonce.payments.payment_work import Doubted, GatewayWork, Result, Services
from payonce.payments.representation import payment_path
from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.ports import Gateway, Key, Write

OPERATION = "correct_break"
APPROVED, CORRECTED, FAILED = "approved", "corrected", "failed"
EXECUTED, ALREADY_GIVEN_BACK, PARTLY_GIVEN_BACK = "executed", "already_given_back", "partly_given_back"
FIRST_ATTEMPT = 1
# The number of the only submission of an operation: another attempt is another operation.
SUBMISSION = 1
OPERATION_NAMESPACE = "payonce/corrective/v1"
OPERATION_ID_CHARACTERS = 44  # "cor_" and 160 bits: with the attempt, far below a gateway reference's 64 characters
LONGEST_TEXT = "x" * 256
RECOGNISED_VERSION = 1  # version of the entry that books a surplus charge; the attempts' refunds count up from it


def correction_key(merchant_id: str, payment_id: str, break_id: str) -> Key:
    """Return the key of a correction. It is in its payment's partition, which keeps merchants apart."""
    return {"pk": partition_of(merchant_id, payment_id), "sk": f"CORRECTION#{break_id}"}


def case_key(break_id: str) -> Key:
    """Return the key of a break's case."""
    return {"pk": f"BREAK#{break_id}", "sk": "CASE"}


def operation_id_of(break_id: str, attempt: int = FIRST_ATTEMPT) -> str:
    """Return the id of the single operation that an attempt to correct a break makes."""
    return content_id("cor", OPERATION_NAMESPACE, break_id, str(attempt))[:OPERATION_ID_CHARACTERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectivePlan(AttemptedPlan):
    """A correction about to be submitted, as the claim stores it.

    ``known``: the charge belongs to a payment of ours and is refunded in its books. Otherwise it is a surplus charge,
    missing from our books and made under ``charge_reference``. ``recognised_minor``: the amount with which that charge
    is booked, as the gateway reports it; 0 when an earlier attempt has booked it.
    """

    kind: OperationKind
    break_id: str
    merchant_id: str
    payment_id: str
    gateway: str
    gateway_charge_id: str
    amount_minor: int
    currency: str
    known: bool
    proposal_version: int
    created_at_ms: int
    attempt: int = FIRST_ATTEMPT
    recognised_minor: int = 0
    charge_reference: str = ""

    @property
    def identity(self) -> str:
        """See ``AttemptedPlan``. The id depends on the break and the attempt alone."""
        return operation_id_of(self.break_id, self.attempt)

    def to_data(self) -> dict[str, Any]:
        """See ``AttemptedPlan``."""
        return {**asdict(self), "kind": self.kind.value, REFERENCES: self.references(), "correction": True}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> CorrectivePlan:
        """Return the plan of a stored claim."""
        fields = {name: value for name, value in data.items() if name not in {"correction", REFERENCES}}
        return cls(**{**fields, "kind": OperationKind(data["kind"])})

    def claim_write(self) -> Write:
        """Return the write that makes the claim conditional: exactly this proposal must be approved."""
        return Adjust(
            table=Table.PAYMENTS,
            key=correction_key(self.merchant_id, self.payment_id, self.break_id),
            require={
                "correction_status": APPROVED,
                "proposal_version": self.proposal_version,
                "attempt": self.attempt,
            },
            add={"revision": 1},
            set={"claimed_at_ms": self.created_at_ms, "claimed_attempt": self.attempt},
        )

    def mark_write(self, result: Result, now_ms: int) -> Write:
        """Return the write that ends the correction."""
        succeeded = isinstance(result, Succeeded)
        return Adjust(
            table=Table.PAYMENTS,
            key=correction_key(self.merchant_id, self.payment_id, self.break_id),
            require={"correction_status": APPROVED},
            set={
                "correction_status": CORRECTED if succeeded else FAILED,
                "outcome": EXECUTED if succeeded else getattr(result, "code", "not_executed"),
                "updated_at_ms": now_ms,
            },
        )

    def case_write(self, now_ms: int) -> Write:
        """Return the write that records the refunded amount on the break's case.

        It is a change of the case, so that a run which read the case earlier can't close it.
        """
        return Adjust(
            table=Table.RECONCILIATION,
            key=case_key(self.break_id),
            add={"corrected_minor": self.amount_minor, "version": 1},
            set={"updated_at_ms": now_ms},
        )


def corrective_work(
    plan: CorrectivePlan, gateway_named: Callable[[str], Gateway], services: Services, guards: Sequence[Write] = ()
) -> GatewayWork:
    """Return the work of a correction. ``guards``: more writes of its claim, for instance that the break is still open.

    A takeover needs no guards: the claim was made with them.
    """
    kind = CorrectiveRefund if plan.known else GiveBackSurplus
    return kind(plan, gateway_named, services, guards)


def corrective_reference(break_id: str, attempt: int = FIRST_ATTEMPT) -> str:
    """Return the reference under which the gateway reports an attempt's refund."""
    return gateway_reference(operation_id_of(break_id, attempt), SUBMISSION)


def _refusal(plan: CorrectivePlan) -> PayonceError:
    return CorrectionStateConflict(
        f"The correction of {plan.break_id} is not approved, or its proposal has changed. Read it and decide again."
    )


class GiveBackSurplus(GatewayWork):
    """Voids or refunds a charge missing from our books, and books both the charge and its reversal."""

    _plan: CorrectivePlan
    max_submissions = SUBMISSION

    def __init__(
        self,
        plan: CorrectivePlan,
        gateway_named: Callable[[str], Gateway],
        services: Services,
        guards: Sequence[Write] = (),
    ) -> None:
        super().__init__(services)
        self._plan = plan
        self._guards = guards
        self._services = services
        self._gateway_named = gateway_named

    def plan(self) -> Plan:
        """See ``Work``.

        The claim's id is fresh. If it were derived from the break, a restarted driver would take its dead predecessor's
        claim for its own, and submit without asking first.
        """
        return Plan(
            claim_id=self._services.ids.new("cor"),
            resource=payment_path(self._plan.payment_id),
            data=self._plan.to_data(),
            writes=[self._plan.claim_write(), *self._guards],
            on_conflict=lambda _conflict: _refusal(self._plan),
        )

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return self._response(Declined(LONGEST_TEXT, LONGEST_TEXT))

    def adopt(self, record: IdempotencyRecord) -> GiveBackSurplus:
        """See ``Work``. The claim's plan replaces this request's."""
        return GiveBackSurplus(CorrectivePlan.from_data(record.plan), self._gateway_named, self._services)

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``."""
        plan = self._plan
        payment = load_payment(self._services, plan.merchant_id, plan.payment_id)
        return self._gateway_named(plan.gateway), Instruction(
            kind=plan.kind,
            gateway_reference=plan.gateway_reference,
            merchant_id=plan.merchant_id,
            payment_id=plan.payment_id,
            money=Money(plan.amount_minor, plan.currency),
            capture_method=payment.capture_method,
            payment_method=payment.payment_method,
            gateway_charge_id=plan.gateway_charge_id,
            first_submitted_at_ms=plan.created_at_ms,
        )

    def start(self, claim: Claim) -> Conclusion:
        """See ``GatewayWork``. Reads the charge again: somebody may have refunded it while the approval was pending.

        Only before the first submission: afterwards a refund may be our own, and only the reference can tell.
        """
        if not self._started:
            state = self._gateway_named(self._plan.gateway).read_charge(
                self._plan.gateway_charge_id, self._inquiry_deadline(claim)
            )
            if not isinstance(state, ChargeState):
                return Released(GatewayUnavailable("The charge could not be read again. Nothing was executed."))
            if state.voided or (state.captured_minor > 0 and left_minor(state) <= 0):
                return Completed(lambda: self._given_back())
            if self._plan.kind is OperationKind.REFUND and left_minor(state) < self._plan.amount_minor:
                # Nobody was asked to approve the rest, so nobody has approved it.
                partly = Declined(PARTLY_GIVEN_BACK, f"Only {left_minor(state)} of the charge are left.")
                return Completed(lambda: self.draft(partly))
        return super().start(claim)

    def draft(self, result: Result) -> Draft:
        """See ``GatewayWork``. A doubt writes nothing: the correction stays approved until the doubt is resolved."""
        if isinstance(result, Doubted):
            return Draft(self._response(result), ())
        now_ms = self._clock.now_ms()
        writes = [self._plan.mark_write(result, now_ms)]
        if isinstance(result, Succeeded):
            writes.append(self._plan.case_write(now_ms))
        if isinstance(result, Succeeded) and self._plan.kind is OperationKind.REFUND:
            writes += journal_writes(*self._entries(now_ms))
        return Draft(self._response(result), writes)

    def _given_back(self) -> Draft:
        now_ms = self._clock.now_ms()
        mark = self._plan.mark_write(Succeeded(self._plan.gateway_charge_id, ""), now_ms)
        assert isinstance(mark, Adjust)  # noqa: S101 - narrows the type
        settled = replace(mark, set={**mark.set, "outcome": ALREADY_GIVEN_BACK})
        return Draft(self._response(Succeeded(self._plan.gateway_charge_id, "")), [settled])

    def _entries(self, now_ms: int) -> list[JournalEntry]:
        plan = self._plan
        # A later run compares these with the gateway's report: the whole charge, under the reference that was charged
        # twice, and each refund of it under its attempt's reference.
        charged = Movement(
            kind=MovementKind.CHARGE,
            gateway=plan.gateway,
            gateway_reference=plan.charge_reference,
            gateway_payment_id=plan.gateway_charge_id,
            # No payer: with one, this entry would look like the duplicate of a sale made at the same moment.
            payer=None,
            idempotency_record_id=self._record_id,
        )
        went = JournalEntry(
            merchant_id=plan.merchant_id,
            payment_id=plan.payment_id,
            version=RECOGNISED_VERSION + plan.attempt,
            currency=plan.currency,
            description="correction.reversed",
            booked_at_ms=now_ms,
            postings=reversed_postings(recognition(plan.gateway, plan.amount_minor)),
            break_id=plan.break_id,
            movement=replace(charged, kind=MovementKind.REFUND, gateway_reference=plan.gateway_reference),
        )
        if not plan.recognised_minor:
            return [went]
        came = replace(
            went,
            version=RECOGNISED_VERSION,
            description="correction.recognised",
            postings=recognition(plan.gateway, plan.recognised_minor),
            movement=charged,
        )
        return [came, went]

    def _response(self, result: Result) -> StoredResponse:
        status = 202 if isinstance(result, Doubted) else 201 if isinstance(result, Succeeded) else 402
        document = {
            "break_id": self._plan.break_id,
            "kind": self._plan.kind.value,
            "amount_minor": self._plan.amount_minor,
        }
        if isinstance(result, Declined):
            document |= {"code": result.code, "message": result.message}
        return json_response(status, document, location=payment_path(self._plan.payment_id))


class CorrectiveRefund(FollowUp):
    """Refunds a payment of ours: reserved and booked like any refund, keyed by the break and the attempt."""

    max_submissions = SUBMISSION

    def __init__(
        self,
        plan: CorrectivePlan,
        gateway_named: Callable[[str], Gateway],
        services: Services,
        guards: Sequence[Write] = (),
    ) -> None:
        self._corrective = plan
        self._guards = guards
        follow_up = FollowUpPlan(
            kind=OperationKind.REFUND,
            merchant_id=plan.merchant_id,
            payment_id=plan.payment_id,
            operation_id=operation_id_of(plan.break_id, plan.attempt),
            amount_minor=plan.amount_minor,
            created_at_ms=plan.created_at_ms,
            spent=plan.spent,
        )
        super().__init__(follow_up, gateway_named, services)

    def plan(self) -> Plan:
        """See ``Work``."""
        reserved = super().plan()

        def refused(conflict: WriteConflict) -> PayonceError:
            return self._refusal(conflict) if conflict.index == 0 else _refusal(self._corrective)

        return replace(
            reserved,
            claim_id=self._services.ids.new("cor"),  # fresh, as above
            data=self._corrective.to_data(),
            writes=[*reserved.writes, self._corrective.claim_write(), *self._guards],
            on_conflict=refused,
        )

    def adopt(self, record: IdempotencyRecord) -> CorrectiveRefund:
        """See ``Work``."""
        return CorrectiveRefund(CorrectivePlan.from_data(record.plan), self._gateway_named, self._services)

    def _settled(
        self, gateway: Gateway, instruction: Instruction, result: Succeeded | Declined, claim: Claim
    ) -> Conclusion:
        # It was refunded outside payonce meanwhile: the correction fails, and the next run compares again.
        del gateway, instruction, claim
        return self._completed(result)

    def _stored_form(self, plan: AttemptedPlan) -> Mapping[str, Any]:
        return replace(self._corrective, submission=plan.submission, spent=plan.spent).to_data()

    def draft(self, result: Result) -> Draft:
        """See ``FollowUp``."""
        draft = super().draft(result)
        if isinstance(result, Doubted):
            return draft
        now_ms = self._clock.now_ms()
        writes = [*draft.writes, self._corrective.mark_write(result, now_ms)]
        if isinstance(result, Succeeded):
            writes.append(self._corrective.case_write(now_ms))
        return Draft(draft.response, writes)


def left_minor(state: ChargeState) -> int:
    """Return the amount of a charge that has not been refunded, in minor units."""
    return 0 if state.voided else state.captured_minor - state.refunded_minor
