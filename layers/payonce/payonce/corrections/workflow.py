"""The steps of a correction. Each may be repeated, and killed anywhere: it looks at what is stored and goes on.

``start`` ▶ ``reread`` ▶ ``decide`` ▶ (``approve`` | ``reject``) ▶ ``execute``. A correction is *corrected* here; that
the break is closed, only a later run can say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.corrections.actions import Action, action_for
from payonce.corrections.record import (
    FINAL,
    Correction,
    CorrectionStatus,
    change,
    find_correction,
    insert_correction,
    load_correction,
)
from payonce.domain.errors import (
    AmountExceedsAvailable,
    CorrectionStateConflict,
    KeyExpired,
    KeyInProgress,
    LeaseLost,
    NotExecuted,
    OutcomeUnknown,
    PaymentStateConflict,
    SelfApprovalRefused,
)
from payonce.domain.gateway import ChargeState, OperationKind
from payonce.domain.gateway import NotFound as ChargeNotFound
from payonce.idempotency.fingerprint import canonical_json, fingerprint
from payonce.idempotency.records import KeyedRequest
from payonce.payments.corrective import OPERATION, CorrectivePlan, corrective_work, left_minor
from payonce.payments.follow_up import load_payment

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.corrections.policy import Policy
    from payonce.idempotency.engine import IdempotencyEngine
    from payonce.payments.work import Services
    from payonce.ports import Deadline, Gateway
    from payonce.reconciliation.model import Break

BY_RECONCILIATION = "reconciliation"
BY_POLICY = "policy"
READ_TIMEOUT_MS = 4_000  # as an inquiry of the payment protocol
_S = CorrectionStatus


@dataclass(frozen=True, slots=True)
class Identity:
    """Where a correction is stored."""

    merchant_id: str
    payment_id: str
    break_id: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a step leaves: the correction, and whether the same step has to be made again later."""

    correction: Correction
    retry_later: bool = False


class Corrections:
    """The use cases of corrections."""

    def __init__(
        self,
        *,
        services: Services,
        engine: IdempotencyEngine,
        gateway_named: Callable[[str], Gateway],
        policy: Policy,
    ) -> None:
        self._services = services
        self._database = services.database
        self._clock = services.clock
        self._engine = engine
        self._gateway_named = gateway_named
        self._policy = policy

    def start(self, found: Break) -> Correction:
        """Store the correction of a break, or return the stored one. Raises ``CorrectionStateConflict`` without a
        payment to hang it on: such a break is for a person.
        """
        if not (found.merchant_id and found.payment_id):
            raise CorrectionStateConflict(f"{found.break_id} names no payment of ours: correct it by hand.")
        action = action_for(found.break_class)
        charge_id = found.surplus_gateway_payment_id or ""
        if action is Action.REFUND_PAYMENT:
            payment = load_payment(self._services, found.merchant_id, found.payment_id)
            charge_id = payment.gateway_charge_id or ""
        now_ms = self._clock.now_ms()
        return insert_correction(
            self._database,
            Correction(
                break_id=found.break_id,
                break_class=found.break_class,
                action=action,
                merchant_id=found.merchant_id,
                payment_id=found.payment_id,
                gateway=found.gateway or "",
                gateway_charge_id=charge_id,
                currency=found.currency,
                amount_minor=found.amount_minor,
                charge_reference=found.subject[1] if action is Action.GIVE_BACK_SURPLUS else "",
                created_at_ms=now_ms,
                updated_at_ms=now_ms,
                proposed_by=BY_RECONCILIATION,
            ),
        )

    def reread(self, identity: Identity, deadline: Deadline) -> Step:
        """Ask the gateway what it holds now. Already given back: corrected with no effect. Unknown: again later."""
        correction = self._load(identity)
        if correction.status is not _S.OPEN:
            return Step(correction)
        if correction.action is Action.MANUAL or not correction.gateway_charge_id:
            return Step(self._change(correction, status=_S.MANUAL, outcome="no_automatic_action"))
        if self._is_own_charge(correction):
            return Step(self._change(correction, status=_S.MANUAL, outcome="not_a_surplus"))
        state = self._gateway_named(correction.gateway).read_charge(
            correction.gateway_charge_id, deadline.earlier(self._clock.now_ms() + READ_TIMEOUT_MS)
        )
        if isinstance(state, ChargeNotFound):
            return Step(self._change(correction, status=_S.MANUAL, outcome="charge_not_found"))
        if not isinstance(state, ChargeState):
            return Step(correction, retry_later=True)
        if state.currency != correction.currency:
            return Step(self._change(correction, status=_S.MANUAL, outcome="currency_differs"))
        if state.voided or (state.captured_minor > 0 and left_minor(state) == 0):
            return Step(self._change(correction, status=_S.CORRECTED, outcome="already_given_back"))
        kind = OperationKind.REFUND if state.captured_minor else OperationKind.VOID
        if kind is OperationKind.VOID and correction.action is Action.REFUND_PAYMENT:
            return Step(self._change(correction, status=_S.MANUAL, outcome="not_captured"))
        amount_minor = correction.amount_minor
        if kind is OperationKind.REFUND:
            amount_minor = min(amount_minor, left_minor(state))
        return Step(
            self._change(correction, status=_S.CHECKED, kind=kind.value, amount_minor=amount_minor, proposal_version=1)
        )

    def decide(self, identity: Identity, *, task_token: str = "") -> Step:
        """Approve what the policy lets pass, else wait for a person. Off by the kill switch: nothing passes."""
        correction = self._load(identity)
        if correction.status is _S.AWAITING_APPROVAL and task_token and task_token != correction.task_token:
            return Step(self._change(correction, task_token=task_token))  # the workflow was started anew
        if correction.status is not _S.CHECKED:
            return Step(correction)
        if self._policy.enabled and self._policy.is_automatic(
            correction.break_class, correction.currency, correction.amount_minor
        ):
            return Step(self._change(correction, status=_S.APPROVED, decided_by=BY_POLICY))
        return Step(
            self._change(
                correction,
                status=_S.AWAITING_APPROVAL,
                task_token=task_token,
                expires_at_ms=self._clock.now_ms() + self._policy.approval_seconds * 1000,
            )
        )

    def propose(
        self, identity: Identity, *, amount_minor: int, actor: str, proposal_version: int | None = None
    ) -> Correction:
        """Change what is proposed; whoever does becomes the proposer. ``proposal_version`` is the one it has seen.

        Raises ``CorrectionStateConflict``.
        """
        correction = self._load(identity)
        if proposal_version not in (None, correction.proposal_version):
            raise CorrectionStateConflict(
                f"The proposal is at version {correction.proposal_version} by now. Read it again and start from there."
            )
        if correction.status is not _S.AWAITING_APPROVAL:
            raise CorrectionStateConflict(f"The correction is {correction.status.value}: nothing can be proposed now.")
        if not 0 < amount_minor <= correction.amount_minor or (
            correction.kind == OperationKind.VOID.value and amount_minor != correction.amount_minor
        ):
            raise CorrectionStateConflict(
                f"The amount must be 1 to {correction.amount_minor}; a void is for the whole."
            )
        return self._change(
            correction,
            amount_minor=amount_minor,
            proposed_by=actor,
            proposal_version=correction.proposal_version + 1,
        )

    def approve(self, identity: Identity, *, proposal_version: int, actor: str) -> Correction:
        """Approve the proposal that ``actor`` has seen. Again by the same actor: a no-op.

        Raises ``SelfApprovalRefused`` for its proposer, ``CorrectionStateConflict`` for another version or too late.
        """
        return self._resolve(identity, _S.APPROVED, proposal_version, actor)

    def reject(self, identity: Identity, *, proposal_version: int, actor: str) -> Correction:
        """Reject the proposal. As ``approve``."""
        return self._resolve(identity, _S.REJECTED, proposal_version, actor)

    def execute(self, identity: Identity, deadline: Deadline) -> Step:
        """Carry out what is approved, at most once per break, whatever was killed before."""
        correction = self._load(identity)
        if correction.status is not _S.APPROVED:
            return Step(correction)
        if not self._policy.enabled:
            return Step(correction, retry_later=True)
        plan = CorrectivePlan(
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
            charge_reference=correction.charge_reference,
            created_at_ms=self._clock.now_ms(),
        )
        said = {"amount_minor": plan.amount_minor, "kind": plan.kind.value, "charge": plan.gateway_charge_id}
        request = KeyedRequest(
            scope=correction.merchant_id,
            operation=OPERATION,
            key=correction.break_id,
            fingerprint=fingerprint("POST", OPERATION, {}, canonical_json(said)),
            deadline=deadline,
        )
        try:
            self._engine.execute(request, corrective_work(plan, self._gateway_named, self._services))
        except (AmountExceedsAvailable, PaymentStateConflict):
            # The merchant has refunded it meanwhile: nothing was sent, and there is nothing left to do.
            return Step(self._change(self._load(identity), status=_S.FAILED, outcome="nothing_left"))
        except (NotExecuted, KeyInProgress, KeyExpired, LeaseLost, OutcomeUnknown, CorrectionStateConflict):
            pass
        after = self._load(identity)
        return Step(after, retry_later=after.status not in FINAL)

    def advance(self, found: Break, deadline: Deadline) -> Step:
        """Go through the steps as far as they lead without a person: what the workflow does, in one process."""
        started = self.start(found)
        identity = Identity(started.merchant_id, started.payment_id, started.break_id)
        step = self.reread(identity, deadline)
        if step.retry_later:
            return step
        self.decide(identity)
        return self.execute(identity, deadline)

    def find(self, identity: Identity) -> Correction | None:
        """Return the correction, or ``None``."""
        return find_correction(self._database, identity.merchant_id, identity.payment_id, identity.break_id)

    def _resolve(self, identity: Identity, status: CorrectionStatus, proposal_version: int, actor: str) -> Correction:
        correction = self._load(identity)
        if actor == correction.proposed_by:
            raise SelfApprovalRefused("You proposed this correction. Somebody else has to approve or reject it.")
        if proposal_version != correction.proposal_version:
            raise CorrectionStateConflict(
                f"The proposal is at version {correction.proposal_version} by now. Read it again and decide about that."
            )
        decided = {_S.APPROVED, _S.CORRECTED, _S.FAILED} if status is _S.APPROVED else {status}
        if correction.status in decided and correction.decided_by == actor:
            return correction
        if correction.status is _S.AWAITING_APPROVAL and correction.expires_at_ms < self._clock.now_ms():
            return self._expired(correction)
        if correction.status is not _S.AWAITING_APPROVAL:
            raise CorrectionStateConflict(f"The correction is {correction.status.value}: it is decided already.")
        return self._change(correction, status=status, decided_by=actor)

    def _expired(self, correction: Correction) -> Correction:
        self._change(correction, status=_S.EXPIRED, outcome="not_decided_in_time")
        raise CorrectionStateConflict("The approval came too late. The next run will open the break again.")

    def _is_own_charge(self, correction: Correction) -> bool:
        """Return whether a "surplus" is the charge that our payment stands on: giving that back would be wrong."""
        if correction.action is not Action.GIVE_BACK_SURPLUS:
            return False
        payment = load_payment(self._services, correction.merchant_id, correction.payment_id)
        return payment.gateway_charge_id == correction.gateway_charge_id

    def _change(self, correction: Correction, **changes: object) -> Correction:
        return change(self._database, correction, **changes, updated_at_ms=self._clock.now_ms())

    def _load(self, identity: Identity) -> Correction:
        return load_correction(self._database, identity.merchant_id, identity.payment_id, identity.break_id)
