"""The four-eyes principle for corrections: whoever proposes one can't decide it.

A decision is first stored, then the waiting workflow is woken::

    approve ── stored ── workflow woken ─▶ 200          the normal case
    approve ── stored ── ✗                              a repeated approval is idempotent and wakes it again; without
                                                        one the workflow polls every hour (template.yaml)
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from payonce.corrections.record import (
    Correction,
    CorrectionStatus,
    Identity,
    change,
    find_correction,
    load_correction,
)
from payonce.corrections.trail import note, trail_of
from payonce.domain.errors import CorrectionStateConflict, SelfApprovalRefused, WriteConflict
from payonce.domain.gateway import OperationKind
from payonce.domain.principals import OPERATOR_PREFIX, is_same_person, may_be_same_person
from payonce.idempotency.audit import act_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from payonce.idempotency.audit import AuditEntry
    from payonce.ports import ApprovalNotifier, Clock, Database, Write

# A conflict means that another writer changed the correction meanwhile, such as the workflow that waits for it again.
ATTEMPTS = 3
MAX_PROPOSALS = 20  # per attempt, because they are stored with the correction
_S = CorrectionStatus


class Approvals:
    """What people do with a correction. ``notifier`` wakes the workflow that waits for them.

    ``audited`` returns the writes of an audit trail entry, which go into the same transaction as an operator's act.
    (A request with an API key is audited by its claim.) Refused attempts are attributed to their actor as well.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        notifier: ApprovalNotifier,
        audited: Callable[[AuditEntry], Sequence[Write]] = lambda _entry: (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._notifier = notifier
        self._audited = audited

    def find(self, identity: Identity) -> Correction | None:
        """Return the correction, or ``None``."""
        return find_correction(self._database, identity.merchant_id, identity.payment_id, identity.break_id)

    def propose(
        self, identity: Identity, *, amount_minor: int, actor: str, proposal_version: int | None = None
    ) -> Correction:
        """Change the proposed amount; ``actor`` becomes the proposer. ``proposal_version`` is the version it has seen.

        A refund may be of any amount up to the rest of the surplus; a void or a reversal only of all of it. Raises
        ``CorrectionStateConflict`` for another amount, another version, or a correction that awaits no approval.
        """
        with self.attributed(identity, "propose", actor):
            return self._propose(identity, amount_minor, actor, proposal_version)

    def _propose(self, identity: Identity, amount_minor: int, actor: str, proposal_version: int | None) -> Correction:
        correction = self.load(identity)
        if proposal_version not in (None, correction.proposal_version):
            raise CorrectionStateConflict(
                f"The proposal is at version {correction.proposal_version} by now. Read it again and start from there."
            )
        self._refuse_what_is_over(correction, "proposal")
        if correction.status is not _S.AWAITING_APPROVAL:
            raise CorrectionStateConflict(f"The correction is {correction.status.value}: nothing can be proposed now.")
        if _proposals(correction) >= MAX_PROPOSALS:
            raise CorrectionStateConflict(f"There were {MAX_PROPOSALS} proposals. Approve or reject the last one.")
        largest_minor = max(correction.ceiling_minor, correction.amount_minor)
        least_minor = 1 if correction.kind == OperationKind.REFUND.value else largest_minor
        if not least_minor <= amount_minor <= largest_minor:
            raise CorrectionStateConflict(
                f"The amount must be {least_minor} to {largest_minor}; only of a refund it may be less than all."
            )
        return self._change(
            correction,
            beside=self._act(correction, "propose", actor, f"{amount_minor} {correction.currency}"),
            amount_minor=amount_minor,
            proposed_by=actor,
            proposal_version=correction.proposal_version + 1,
        )

    def approve(self, identity: Identity, *, proposal_version: int, actor: str) -> Correction:
        """Approve the proposal of that version. Idempotent per actor: a repetition only wakes the workflow again.

        Raises ``SelfApprovalRefused`` for the proposer and for a key that may be theirs (one of the two names no
        holder), ``CorrectionStateConflict`` for another version or if it is too late, and ``OutcomeUnknown`` if the
        workflow may not have been woken: the decision is stored, so repeat it.
        """
        with self.attributed(identity, "approve", actor):
            return self._decide(identity, _S.APPROVED, proposal_version, actor)

    def reject(self, identity: Identity, *, proposal_version: int, actor: str) -> Correction:
        """Reject the proposal of that version. Otherwise as ``approve``."""
        with self.attributed(identity, "reject", actor):
            return self._decide(identity, _S.REJECTED, proposal_version, actor)

    def begun_anew(self, identity: Identity, *, actor: str, text: str) -> None:
        """Record in the trail that ``actor`` restarted the correction or its workflow."""
        self._note(identity, "resume", actor, text, refused=False)

    def trail(self, identity: Identity) -> list[dict[str, Any]]:
        """Return the refused attempts and the restarts of people, oldest first."""
        return trail_of(self._database, identity)

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
        if is_same_person(actor, correction.proposed_by):
            raise SelfApprovalRefused("You proposed this correction. Somebody else has to approve or reject it.")
        if may_be_same_person(actor, correction.proposed_by):
            raise SelfApprovalRefused(
                "Your key or the proposer's names no holder, so that you may be one person. Use keys that name theirs: "
                "payonce keys create MERCHANT --holder NAME."
            )
        if proposal_version != correction.proposal_version:
            raise CorrectionStateConflict(
                f"The proposal is at version {correction.proposal_version} by now. Read it again and decide about that."
            )
        decided = {_S.APPROVED, _S.CORRECTED, _S.FAILED} if status is _S.APPROVED else {status}
        if correction.status in decided and is_same_person(correction.decided_by, actor):
            return correction
        self._refuse_what_is_over(correction, "decision")
        if correction.status is not _S.AWAITING_APPROVAL:
            raise CorrectionStateConflict(f"The correction is {correction.status.value}: it is decided already.")
        what = "approve" if status is _S.APPROVED else "reject"
        proposed = f"version {proposal_version}: {correction.amount_minor} {correction.currency}"
        return self._change(
            correction, beside=self._act(correction, what, actor, proposed), status=status, decided_by=actor
        )

    @contextmanager
    def attributed(self, identity: Identity, what: str, actor: str) -> Iterator[None]:
        """Record who tried what if it is refused with ``SelfApprovalRefused`` or ``CorrectionStateConflict``."""
        try:
            yield
        except (SelfApprovalRefused, CorrectionStateConflict) as refused:
            self._note(identity, what, actor, refused.detail, refused=True)
            raise

    def _note(self, identity: Identity, what: str, actor: str, text: str, *, refused: bool) -> None:
        entry = {"what": what, "by": actor, "at_ms": self._clock.now_ms(), "text": text, "refused": refused}

        def beside(number: int) -> Sequence[Write]:
            return self._audit(identity, what, actor, text, act_id=f"trail-{number}", refused=refused)

        note(self._database, identity, entry, beside)

    def _act(self, correction: Correction, what: str, actor: str, text: str) -> list[Write]:
        identity = Identity(correction.merchant_id, correction.payment_id, correction.break_id)
        return list(self._audit(identity, what, actor, text, act_id=str(correction.revision), refused=False))

    def _audit(
        self, identity: Identity, what: str, actor: str, text: str, *, act_id: str, refused: bool
    ) -> Sequence[Write]:
        if not actor.startswith(OPERATOR_PREFIX):
            return ()
        entry = act_entry(
            scope=identity.merchant_id,
            operation=f"{what}_correction",
            resource=f"/breaks/{identity.break_id}/correction",
            principal=actor,
            at_ms=self._clock.now_ms(),
            act_id=act_id,
            reason=text,
            refused=refused,
        )
        return self._audited(entry)

    def _refuse_what_is_over(self, correction: Correction, what: str) -> None:
        """Store the expiry of a correction that was not decided in time, and raise ``CorrectionStateConflict``."""
        waits = correction.status is _S.AWAITING_APPROVAL
        if waits and correction.expires_at_ms < self._clock.now_ms():
            self._expire(correction)
            raise CorrectionStateConflict(
                f"The correction is expired: the {what} came too late. The next run proposes it again."
            )

    def _expire(self, correction: Correction) -> Correction:
        return self._change(correction, status=_S.EXPIRED, outcome="not_decided_in_time")

    def _change(
        self, correction: Correction, *, beside: list[Write] | None = None, quiet: bool = False, **changes: object
    ) -> Correction:
        # A quiet change, as of a workflow that waits again, must not make the correction look younger.
        at_ms = correction.updated_at_ms if quiet else self._clock.now_ms()
        return change(self._database, correction, beside=beside or (), quiet=quiet, **changes, updated_at_ms=at_ms)

    def load(self, identity: Identity) -> Correction:
        """Return the correction as stored now. Raises ``NotFound``."""
        return load_correction(self._database, identity.merchant_id, identity.payment_id, identity.break_id)


def _proposals(correction: Correction) -> int:
    asked = _S.AWAITING_APPROVAL.value
    return sum(each["attempt"] == correction.attempt and each["status"] == asked for each in correction.log)
