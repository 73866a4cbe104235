"""Executes approved corrections: at most once per attempt, and only while the break is open.

The claim's transaction requires that the correction is approved and that no run has closed the break. It also changes
the case, so that a run that read the case earlier can't close it. For a double charge the transaction requires as well
that the other payment has not been given back, because that would already have corrected the break.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.corrections.actions import Action
from payonce.corrections.record import Correction, CorrectionStatus, change, load_correction
from payonce.corrections.reversal import REVERSAL, find_booked, reversing_writes
from payonce.domain.errors import (
    AmountExceedsAvailable,
    CorrectionStateConflict,
    KeyExpired,
    KeyInProgress,
    LeaseLost,
    NotStarted,
    OutcomeUnknown,
    PaymentStateConflict,
)
from payonce.domain.gateway import OperationKind
from payonce.idempotency.fingerprint import canonical_json, fingerprint
from payonce.idempotency.records import KeyedRequest
from payonce.payments.corrective import corrective_work
from payonce.payments.corrective_plan import EXECUTED, OPERATION, PARTLY_GIVEN_BACK, CorrectivePlan, case_key
from payonce.payments.payment_items import payment_key
from payonce.payments.planning import load_payment
from payonce.payments.stored_payments import keep_head
from payonce.ports import Adjust, Insert, Table
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_evidence import payments_named
from payonce.reconciliation.cases.case_items import correcting_writes
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.charge_proof import nothing_left

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.gateway_address import GatewayAddress
    from payonce.domain.payment import Payment
    from payonce.idempotency.engine import IdempotencyEngine
    from payonce.payments.payment_work import Services
    from payonce.ports import Deadline, Gateway, Write
    from payonce.reconciliation.cases.case import Case

_S = CorrectionStatus


class Execution:
    """Executes corrections, one at a time."""

    def __init__(
        self, services: Services, engine: IdempotencyEngine, gateway_named: Callable[[GatewayAddress], Gateway]
    ) -> None:
        self._services = services
        self._database = services.database
        self._clock = services.clock
        self._engine = engine
        self._gateway_named = gateway_named

    def carry_out(self, correction: Correction, deadline: Deadline) -> Correction:
        """Execute an approved correction and return it as stored afterwards: still approved if it must be retried.

        Raises ``NotFound`` without a case, ``StoreUnavailable`` and ``CorrectionStateConflict``.
        """
        case = CaseStore(self._database).get(correction.break_id)
        if correction.kind == REVERSAL:
            return self._reverse(correction, case)
        guards = [*self._guards(case, correction), *map(_stands, self._others(case, correction))]
        try:
            work = corrective_work(self._plan(correction), self._gateway_named, self._services, guards)
            self._engine.execute(self._request(correction, deadline), work)
        except AmountExceedsAvailable:
            # The merchant has refunded a part meanwhile: nothing was sent, because nobody has approved the rest alone.
            return self._ended(correction, status=_S.FAILED, outcome=PARTLY_GIVEN_BACK)
        except PaymentStateConflict:
            # The merchant has refunded all of it meanwhile: nothing was sent, and nothing is left to correct.
            return self._ended(correction, status=_S.FAILED, outcome="nothing_left")
        except CorrectionStateConflict:
            # There is no earlier claim, because the engine would have taken it over.
            if (over := _over(case)) is not None:
                return self._ended(correction, status=_S.REJECTED, outcome=over)
            if any(nothing_left(payment) for payment in self._others(case, correction)):
                return self._ended(correction, status=_S.REJECTED, outcome="other_given_back")
        except (NotStarted, KeyInProgress, KeyExpired, LeaseLost, OutcomeUnknown):
            pass
        return self._again(correction)

    def _ended(self, correction: Correction, *, status: CorrectionStatus, outcome: str) -> Correction:
        """End the correction without an effect, unless it was claimed since it was read."""
        after = self._again(correction)
        if after.revision != correction.revision:
            return after
        return change(self._database, after, status=status, outcome=outcome, updated_at_ms=self._clock.now_ms())

    def _reverse(self, correction: Correction, case: Case) -> Correction:
        now_ms = self._clock.now_ms()
        entry_id = correction.entry_id
        booked = find_booked(self._database, correction, entry_id)
        if booked is None or booked.is_reversed:
            return self._ended(correction, status=_S.FAILED, outcome="nothing_left")
        if (over := _over(case)) is not None:
            return self._ended(correction, status=_S.REJECTED, outcome=over)
        return change(
            self._database,
            correction,
            beside=[*reversing_writes(booked, correction, entry_id, now_ms), *self._guards(case, correction)],
            status=_S.CORRECTED,
            outcome=EXECUTED,
            updated_at_ms=now_ms,
        )

    def _guards(self, case: Case, correction: Correction) -> list[Write]:
        if _over(case) is not None:
            # The case is stored, so the claim's own transaction is refused; an earlier claim does not come to it. The
            # refusal holds if the case is reopened meanwhile: without the writes below, a run could close it again.
            return [Insert(Table.RECONCILIATION, {**case_key(case.break_id)})]
        note = f"{correction.kind} of {correction.amount_minor} {correction.currency}"
        return correcting_writes(case, by=correction.decided_by, note=note, at_ms=self._clock.now_ms())

    def _others(self, case: Case, correction: Correction) -> list[Payment]:
        """Return the other payments of a double charge, as stored now."""
        if correction.action is not Action.REFUND_PAYMENT:
            return []
        others = sorted({*payments_named(case)} - {correction.payment_id})
        for payment_id in others:
            keep_head(self._database, correction.merchant_id, payment_id)  # which ``_stands`` puts a condition on
        return [load_payment(self._services, correction.merchant_id, payment_id) for payment_id in others]

    def _plan(self, correction: Correction) -> CorrectivePlan:
        return CorrectivePlan(
            kind=OperationKind(correction.kind),
            break_id=correction.break_id,
            merchant_id=correction.merchant_id,
            payment_id=correction.payment_id,
            gateway=correction.gateway,
            gateway_charge_id=correction.gateway_charge_id,
            amount_minor=correction.amount_minor,
            currency=correction.currency,
            known=correction.action is Action.REFUND_PAYMENT,
            proposal_version=correction.proposal_version,
            attempt=correction.attempt,
            # The first part that is given back recognises the whole charge, because the gateway reports all of it.
            recognised_minor=0 if correction.given_back else max(correction.surplus_minor, correction.amount_minor),
            charge_reference=correction.charge_reference,
            created_at_ms=self._clock.now_ms(),
        )

    def _request(self, correction: Correction, deadline: Deadline) -> KeyedRequest:
        said = {
            "amount_minor": correction.amount_minor,
            "kind": correction.kind,
            "charge": correction.gateway_charge_id,
        }
        return KeyedRequest(
            scope=correction.merchant_id,
            operation=OPERATION,
            key=f"{correction.break_id}-{correction.attempt}",
            fingerprint=fingerprint("POST", OPERATION, {}, canonical_json(said)),
            deadline=deadline,
        )

    def _again(self, correction: Correction) -> Correction:
        return load_correction(self._database, correction.merchant_id, correction.payment_id, correction.break_id)


def _over(case: Case) -> str | None:
    """Return why nothing is to be corrected any more: the break is gone, or a person says that it is none."""
    if case.status is not CaseStatus.OPEN:
        return f"break_{case.status.value}"
    return None if case.match_id is None else "break_matched"


def _stands(payment: Payment) -> Write:
    """Return the condition that some of the payment can still be refunded; else it is no double charge any more."""
    return Adjust(
        table=Table.PAYMENTS,
        key=payment_key(payment.merchant_id, payment.payment_id),
        minimum={"refundable_minor": 1},
        set={"merchant_id": payment.merchant_id},
    )
