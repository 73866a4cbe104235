"""The step of a correction that asks what the gateway or the journal holds now, before anybody decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.corrections.actions import Action
from payonce.corrections.approval import Approvals
from payonce.corrections.record import Correction, CorrectionStatus, Identity
from payonce.corrections.reversal import REVERSAL, find_booked
from payonce.domain.gateway import ChargeState, OperationKind
from payonce.domain.gateway import NotFound as ChargeNotFound
from payonce.domain.payment import PaymentStatus
from payonce.payments.corrective_plan import ALREADY_GIVEN_BACK, DISPUTED, address_beside, is_undecided, left_minor
from payonce.payments.planning import load_payment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.audit import AuditEntry
    from payonce.payments.payment_work import Services
    from payonce.ports import ApprovalNotifier, Deadline, Gateway, Write

READ_TIMEOUT_MS = 4_000  # the same as for a payment's inquiry at the gateway
_S = CorrectionStatus


@dataclass(frozen=True, slots=True)
class Step:
    """The result of a step: the correction, and whether the same step has to be repeated later."""

    correction: Correction
    retry_later: bool = False


class Rereading(Approvals):
    """What people do with a correction, and the reread before it."""

    def __init__(
        self,
        services: Services,
        gateway_named: Callable[[GatewayAddress], Gateway],
        notifier: ApprovalNotifier,
        audited: Callable[[AuditEntry], Sequence[Write]],
    ) -> None:
        super().__init__(services.database, services.clock, notifier, audited)
        self._services = services
        self._gateway_named = gateway_named

    def reread(self, identity: Identity, deadline: Deadline) -> Step:
        """Read the gateway or the journal again. Money given back already is corrected; no answer is retried later."""
        correction = self.load(identity)
        if correction.status is not _S.OPEN:
            return Step(correction)
        if correction.action is Action.REVERSE_POSTING:
            return self._reread_journal(correction)
        if correction.action is Action.MANUAL or not correction.gateway_charge_id:
            return Step(self._change(correction, status=_S.MANUAL, outcome="no_automatic_action"))
        if correction.action is Action.GIVE_BACK_SURPLUS:
            payment = load_payment(self._services, correction.merchant_id, correction.payment_id)
            if payment.status is PaymentStatus.IN_DOUBT:
                # It is not known yet which of the charges is the payment's own, and that one must not be given back.
                return Step(correction, retry_later=True)
            if payment.gateway_charge_id == correction.gateway_charge_id:
                return Step(self._change(correction, status=_S.MANUAL, outcome="not_a_surplus"))
        return self._reread_charge(correction, deadline)

    def _checked(self, correction: Correction, kind: str, amount_minor: int) -> Step:
        version = correction.proposal_version + 1
        return Step(
            self._change(
                correction,
                status=_S.CHECKED,
                kind=kind,
                amount_minor=amount_minor,
                ceiling_minor=amount_minor,
                proposal_version=version,
            )
        )

    def _reread_charge(self, correction: Correction, deadline: Deadline) -> Step:
        payment = load_payment(self._services, correction.merchant_id, correction.payment_id)
        gateway = self._gateway_named(address_beside(payment, correction.gateway))
        if not gateway.capabilities.reads_charges:
            return Step(self._change(correction, status=_S.MANUAL, outcome="charge_not_readable"))
        state = gateway.read_charge(
            correction.gateway_charge_id, deadline.earlier(self._clock.now_ms() + READ_TIMEOUT_MS)
        )
        if isinstance(state, ChargeNotFound):
            return Step(self._change(correction, status=_S.MANUAL, outcome="charge_not_found"))
        if not isinstance(state, ChargeState):
            return Step(correction, retry_later=True)
        if state.currency != correction.currency:
            return Step(self._change(correction, status=_S.MANUAL, outcome="currency_differs"))
        if left_minor(state) < correction.amount_minor and is_undecided(state):
            # Whoever decides the dispute may give the money to the payer, and a refund would give it twice.
            return Step(self._change(correction, status=_S.MANUAL, outcome=DISPUTED))
        if state.voided or (state.captured_minor > 0 and left_minor(state) <= 0):
            return Step(self._change(correction, status=_S.CORRECTED, outcome=ALREADY_GIVEN_BACK))
        kind = OperationKind.REFUND if state.captured_minor else OperationKind.VOID
        if kind is OperationKind.VOID and correction.action is Action.REFUND_PAYMENT:
            return Step(self._change(correction, status=_S.MANUAL, outcome="not_captured"))
        amount_minor = correction.amount_minor
        if kind is OperationKind.REFUND:
            amount_minor = min(amount_minor, left_minor(state))
        return self._checked(correction, kind.value, amount_minor)

    def _reread_journal(self, correction: Correction) -> Step:
        booked = find_booked(self._database, correction, correction.entry_id)
        if booked is None:
            return Step(self._change(correction, status=_S.MANUAL, outcome="entry_not_found"))
        if booked.is_reversed:
            return Step(self._change(correction, status=_S.CORRECTED, outcome="already_reversed"))
        return self._checked(correction, REVERSAL, abs(booked.entry.moved_minor))
