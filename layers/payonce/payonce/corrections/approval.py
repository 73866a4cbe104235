"""Two persons about one correction: who proposes does not decide. A decision is stored, and then the workflow woken.

::

    approve ── stored ── workflow woken ─▶ 200          the ordinary way
    approve ── stored ── ✗                              approved again: a no-op that wakes it again; nobody comes: the
                                                        workflow looks by itself every hour (template.yaml)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.corrections.record import (
    Correction,
    CorrectionStatus,
    change,
    find_correction,
    load_correction,
)
from payonce.domain.errors import CorrectionStateConflict, SelfApprovalRefused, WriteConflict
from payonce.domain.gateway import OperationKind

if TYPE_CHECKING:
    from payonce.ports import ApprovalNotifier, Clock, Database, Write

# Each failure means that somebody changed the correction meanwhile, such as the workflow that waits for it anew.
ATTEMPTS = 3
MAX_PROPOSALS = 20  # of one correction: they are kept with it
_S = CorrectionStatus


@dataclass(frozen=True, slots=True)
class Identity:
    """Where a correction is stored."""

    merchant_id: str
    payment_id: str
    break_id: str


class Approvals:
    """What people do with a correction. ``notifier`` wakes the workflow that waits for them."""

    def __init__(self, database: Database, clock: Clock, notifier: ApprovalNotifier) -> None:
        self._database = database
        self._clock = clock
        self._notifier = notifier

    def find(self, identity: Identity) -> Correction | None:
        """Return the correction, or ``None``."""
        return find_correction(self._database, identity.merchant_id, identity.payment_id, identity.break_id)

    def propose(
        self, identity: Identity, *, amount_minor: int, actor: str, proposal_version: int | None = None
    ) -> Correction:
        """Change what is proposed; whoever does becomes the proposer. ``proposal_version`` is the one it has seen.

        Raises ``CorrectionStateConflict``.
        """
        correction = self.load(identity)
        if proposal_version not in (None, correction.proposal_version):
            raise CorrectionStateConflict(
                f"The proposal is at version {correction.proposal_version} by now. Read it again and start from there."
            )
        if correction.status is not _S.AWAITING_APPROVAL:
            raise CorrectionStateConflict(f"The correction is {correction.status.value}: nothing can be proposed now.")
        if correction.proposal_version >= MAX_PROPOSALS:
            raise CorrectionStateConflict(f"There were {MAX_PROPOSALS} proposals. Approve or reject the last one.")
        whole_only = correction.kind != OperationKind.REFUND.value
        if not 0 < amount_minor <= correction.amount_minor or (whole_only and amount_minor != correction.amount_minor):
            raise CorrectionStateConflict(
                f"The amount must be 1 to {correction.amount_minor}; only of a refund it may be less."
            )
        return self._change(
            correction,
            amount_minor=amount_minor,
            proposed_by=actor,
            proposal_version=correction.proposal_version + 1,
        )

    def approve(self, identity: Identity, *, proposal_version: int, actor: str) -> Correction:
        """Approve the proposal that ``actor`` has seen. Again by the same actor: a no-op that wakes the workflow again.

        Raises ``SelfApprovalRefused`` for its proposer, ``CorrectionStateConflict`` for another version or too late,
        and ``OutcomeUnknown`` where the workflow may not have been told: the decision is stored then; repeat it.
        """
        return self._decide(identity, _S.APPROVED, proposal_version, actor)

    def reject(self, identity: Identity, *, proposal_version: int, actor: str) -> Correction:
        """Reject the proposal. As ``approve``."""
        return self._decide(identity, _S.REJECTED, proposal_version, actor)

    def _decide(self, identity: Identity, status: CorrectionStatus, proposal_version: int, actor: str) -> Correction:
        for attempt in range(ATTEMPTS):
            correction = self.load(identity)
            try:
                decided = self._decide_once(correction, status, proposal_version, actor)
            except CorrectionStateConflict as conflict:
                if attempt == ATTEMPTS - 1 or not isinstance(conflict.__cause__, WriteConflict):
                    raise
                continue
            if decided.task_token:
                self._notifier.decided(decided.task_token)
            return decided
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    def _decide_once(
        self, correction: Correction, status: CorrectionStatus, proposal_version: int, actor: str
    ) -> Correction:
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
            self._expire(correction)
            raise CorrectionStateConflict("The approval came too late. A later run proposes it again.")
        if correction.status is not _S.AWAITING_APPROVAL:
            raise CorrectionStateConflict(f"The correction is {correction.status.value}: it is decided already.")
        return self._change(correction, status=status, decided_by=actor)

    def _expire(self, correction: Correction) -> Correction:
        return self._change(correction, status=_S.EXPIRED, outcome="not_decided_in_time")

    def _change(
        self, correction: Correction, *, beside: list[Write] | None = None, quiet: bool = False, **changes: object
    ) -> Correction:
        # What nobody decided is as old as it was: a workflow that waits anew makes it no younger.
        at_ms = correction.updated_at_ms if quiet else self._clock.now_ms()
        return change(self._database, correction, beside=beside or (), quiet=quiet, **changes, updated_at_ms=at_ms)

    def load(self, identity: Identity) -> Correction:
        """Return the correction as stored now. Raises ``NotFound``."""
        return load_correction(self._database, identity.merchant_id, identity.payment_id, identity.break_id)
