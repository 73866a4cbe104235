"""The steps of a correction. Each is idempotent and may be killed at any point: it continues from the stored state.

``start`` ▶ ``reread`` ▶ ``decide`` ▶ (``wait`` ▶ ``approve`` | ``reject`` | too late) ▶ ``execute``. Here a correction
becomes *corrected*; only a later run closes the break.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.corrections.actions import Action, action_for
from payonce.corrections.execution import Execution
from payonce.corrections.outlook import Outlook, Switch, outlook_of
from payonce.corrections.record import (
    FINAL,
    MAX_ATTEMPTS,
    Correction,
    CorrectionStatus,
    Identity,
    find_correction,
    insert_correction,
    was_claimed,
)
from payonce.corrections.rereading import Rereading, Step
from payonce.domain.errors import CorrectionStateConflict, MisconfiguredError, StoreUnavailable
from payonce.payments.planning import load_payment
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.why import WhyReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.corrections.policy import Policy
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.audit import AuditEntry
    from payonce.idempotency.engine import IdempotencyEngine
    from payonce.payments.payment_work import Services
    from payonce.ports import ApprovalNotifier, Deadline, Gateway, Write
    from payonce.reconciliation.model import Break

__all__ = [
    "BY_POLICY",
    "BY_RECONCILIATION",
    "MAX_ATTEMPTS",
    "Corrections",
    "Identity",
    "Step",
    "may_begin_anew",
]

BY_RECONCILIATION = "reconciliation"
BY_POLICY = "policy"
_S = CorrectionStatus


def may_begin_anew(correction: Correction) -> bool:
    """Return whether another attempt may start: this one has certainly ended, and something may be left to correct."""
    return correction.status in {_S.REJECTED, _S.EXPIRED, _S.FAILED} or correction.rest_minor > 0


class Corrections(Rereading):
    """The use cases of corrections. ``policy`` returns the present policy.

    ``reads_policy`` tells whether this process has permission to read it, which only the worker needs.
    """

    def __init__(
        self,
        *,
        services: Services,
        engine: IdempotencyEngine,
        gateway_named: Callable[[GatewayAddress], Gateway],
        policy: Callable[[], Policy],
        notifier: ApprovalNotifier,
        reads_policy: Callable[[], bool] = lambda: True,
        audited: Callable[[AuditEntry], Sequence[Write]] = lambda _entry: (),
    ) -> None:
        super().__init__(services, gateway_named, notifier, audited)
        self._policy = policy
        self._reads_policy = reads_policy
        self._execution = Execution(services, engine, gateway_named)

    def start(self, found: Break, *, attempt: int = 1) -> Correction:
        """Store the correction of a break, or return the stored one. Idempotent per ``attempt``.

        A higher ``attempt`` restarts a correction that was rejected, failed or has expired, or continues one that gave
        back only a part, for the rest. Raises ``CorrectionStateConflict`` if the break names no payment: that is left
        to a person.
        """
        if not (found.merchant_id and found.payment_id):
            raise CorrectionStateConflict(f"{found.break_id} names no payment of ours: correct it by hand.")
        new = self._new(found, found.merchant_id, found.payment_id)
        stored = find_correction(self._database, new.merchant_id, new.payment_id, new.break_id)
        if stored is None:
            stored = insert_correction(self._database, new)
        if may_begin_anew(stored) and stored.attempt < attempt <= MAX_ATTEMPTS:
            # proposal_version is not reset, so that an approval of an earlier attempt does not apply to this one.
            return self._change(
                stored,
                status=_S.OPEN,
                attempt=attempt,
                amount_minor=stored.surplus_minor - stored.corrected_minor,
                ceiling_minor=0,
                given_back=stored.parts,
                gateway_charge_id=new.gateway_charge_id,
                proposed_by=BY_RECONCILIATION,
                decided_by="",
                outcome="",
                task_token="",
                expires_at_ms=0,
            )
        return stored

    def decide(self, identity: Identity) -> Step:
        """Approve the correction if the policy allows it, else ask a person; also while the kill switch is set."""
        correction = self.load(identity)
        if correction.status is not _S.CHECKED:
            return Step(correction)
        policy = self._policy()
        if policy.enabled and self._lets_pass(policy, correction):
            return Step(self._change(correction, status=_S.APPROVED, decided_by=BY_POLICY))
        return self._ask(correction, policy)

    def wait(self, identity: Identity, task_token: str) -> Step:
        """Store the token that wakes the workflow after a decision; if it is decided already, wake it now."""
        correction = self.load(identity)
        if correction.status is _S.AWAITING_APPROVAL:
            if correction.task_token != task_token:
                correction = self._change(correction, quiet=True, task_token=task_token)
        else:
            self._notifier.decided(task_token)
        return Step(correction)

    def reconsider(self, identity: Identity) -> Step:
        """Poll for a decision, in case the wake-up was lost, and expire the correction if it is too late for one."""
        correction = self.load(identity)
        if correction.status is not _S.AWAITING_APPROVAL:
            return Step(correction)
        if correction.expires_at_ms < self._clock.now_ms():
            return Step(self._expire(correction))
        return Step(correction, retry_later=True)

    def execute(self, identity: Identity, deadline: Deadline) -> Step:
        """Execute an approved correction, at most once per attempt, even if an earlier execution was killed.

        A correction that the policy approved and no longer allows goes back to a person, unless it was claimed: its
        money may be on the way.
        """
        correction = self.load(identity)
        if correction.status is not _S.APPROVED:
            return Step(correction)
        policy = self._policy()
        correction = self._noted(correction, held=not policy.enabled)
        if not policy.enabled:
            return Step(correction, retry_later=True)
        by_policy = correction.decided_by == BY_POLICY
        if by_policy and not self._lets_pass(policy, correction) and not was_claimed(self._database, correction):
            return self._ask(correction, policy)
        after = self._execution.carry_out(correction, deadline)
        return Step(after, retry_later=after.status not in FINAL)

    def outlook(self, correction: Correction) -> Outlook:
        """Return what happens to the correction next, and what holds it up."""
        try:
            switch = Switch.ON if self._policy().enabled else Switch.OFF
        except MisconfiguredError:
            switch = Switch.UNREADABLE if self._reads_policy() else Switch.UNKNOWN
        except StoreUnavailable:
            switch = Switch.UNKNOWN
        claimed = correction.status is _S.APPROVED and was_claimed(self._database, correction)
        return outlook_of(correction, switch, claimed=claimed, now_ms=self._clock.now_ms())

    def advance(self, found: Break, deadline: Deadline, *, attempt: int = 1) -> Step:
        """Run the steps as far as they lead without a person. The workflow does the same in separate executions."""
        started = self.start(found, attempt=attempt)
        identity = Identity(started.merchant_id, started.payment_id, started.break_id)
        step = self.reread(identity, deadline)
        if step.retry_later:
            return step
        self.decide(identity)
        return self.execute(identity, deadline)

    def _noted(self, correction: Correction, *, held: bool) -> Correction:
        """Store on the correction whether the kill switch holds it, for readers without access to the policy."""
        if held == (correction.held_since_ms > 0):
            return correction
        return self._change(correction, quiet=True, held_since_ms=self._clock.now_ms() if held else 0)

    def _lets_pass(self, policy: Policy, correction: Correction) -> bool:
        # A person has decided for a part, so a person decides for the rest as well. The limit is per break, not per
        # part.
        if correction.given_back:
            return False
        if not policy.is_automatic(correction.break_class, correction.currency, correction.amount_minor):
            return False
        # Charges of two orders may be two sales, whatever the amount: only a person can tell.
        why_reason = CaseStore(self._database).get(correction.break_id).why_reason
        return why_reason != WhyReason.DIFFERENT_ORDERS.value

    def _ask(self, correction: Correction, policy: Policy) -> Step:
        expires_at_ms = self._clock.now_ms() + policy.approval_seconds * 1000
        return Step(self._change(correction, status=_S.AWAITING_APPROVAL, decided_by="", expires_at_ms=expires_at_ms))

    def _new(self, found: Break, merchant_id: str, payment_id: str) -> Correction:
        action = action_for(found.break_class)
        charge_id = found.surplus_gateway_payment_id or ""
        if action is Action.REFUND_PAYMENT:
            charge_id = load_payment(self._services, merchant_id, payment_id).gateway_charge_id or ""
        now_ms = self._clock.now_ms()
        return Correction(
            break_id=found.break_id,
            break_class=found.break_class,
            action=action,
            merchant_id=merchant_id,
            payment_id=payment_id,
            gateway=found.gateway or "",
            gateway_charge_id=charge_id,
            currency=found.currency,
            amount_minor=found.amount_minor,
            surplus_minor=found.amount_minor,
            charge_reference=found.subject[1] if action is Action.GIVE_BACK_SURPLUS else "",
            entry_id=found.subject[2] if action is Action.REVERSE_POSTING else "",
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            proposed_by=BY_RECONCILIATION,
        )
