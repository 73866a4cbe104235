"""A merchant's requests about a correction: propose, approve, reject, each the ``Work`` of an idempotency key.

The decision is made before the claim's commit, not in it. That is safe because it is idempotent: repeated by the same
key for the same version it changes nothing and gives the same answer::

    claim ─ decided ─ killed ✗         a retry or a new owner decides again, a no-op ─ commit ─▶ the same answer
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from payonce.corrections.correction_views import correction_path, correction_view
from payonce.corrections.workflow import Corrections, Identity
from payonce.domain.errors import MisconfiguredError, NotFound
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Draft
from payonce.reconciliation.cases.case_work import BreakWork
from payonce.reconciliation.cases.merchant import require_break

if TYPE_CHECKING:
    from payonce.corrections.record import Correction
    from payonce.ports import Database
    from payonce.webhooks.commit_work import Services


class CorrectionWork(BreakWork):
    """Work on the correction of one break of the merchant."""

    status = 200

    def __init__(
        self,
        services: Services,
        merchant_id: str,
        break_id: str,
        *,
        corrections: Corrections,
        proposal_version: int,
        actor: str,
    ) -> None:
        super().__init__(services, merchant_id, break_id, actor=actor)
        self._corrections = corrections
        self._proposal_version = proposal_version
        self._correction: Correction | None = None

    def resource(self) -> str:
        """See ``ManagementWork``."""
        return correction_path(self._break_id)

    def prepare(self) -> None:
        """See ``ManagementWork``. Makes the decision, even if an earlier owner may have made it already."""
        identity = identity_of(self._services.database, self._merchant_id, self._break_id)
        self._correction = self.act(identity)

    @abstractmethod
    def act(self, identity: Identity) -> Correction:
        """Make the decision. Idempotent. Raises a ``RequestRejected`` if it can't be made."""

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        if self._correction is None:  # pragma: no cover - the engine starts before it asks for a draft
            raise MisconfiguredError("a draft without its decision")
        view = correction_view(self._correction, self._corrections.outlook(self._correction))
        return Draft(json_response(self.status, view, location=self.resource()), ())


class ProposeCorrection(CorrectionWork):
    """The work of ``POST /breaks/{id}/correction/proposals``."""

    kind = "break.propose"
    status = 201

    def __init__(
        self,
        services: Services,
        merchant_id: str,
        break_id: str,
        *,
        corrections: Corrections,
        proposal_version: int,
        amount_minor: int,
        actor: str,
    ) -> None:
        super().__init__(
            services,
            merchant_id,
            break_id,
            corrections=corrections,
            proposal_version=proposal_version,
            actor=actor,
        )
        self._amount_minor = amount_minor

    def act(self, identity: Identity) -> Correction:
        """See ``CorrectionWork``. Each proposal increments the version, by which a repetition is recognised."""
        before = require_correction(self._corrections, identity)
        made = (self._proposal_version + 1, self.actor, self._amount_minor)
        if (before.proposal_version, before.proposed_by, before.amount_minor) == made:
            return before
        return self._corrections.propose(
            identity,
            amount_minor=self._amount_minor,
            actor=self.actor,
            proposal_version=self._proposal_version,
        )


class ApproveCorrection(CorrectionWork):
    """The work of ``POST /breaks/{id}/correction/approvals``."""

    kind = "break.approve"

    def act(self, identity: Identity) -> Correction:
        """See ``CorrectionWork``."""
        return self._corrections.approve(identity, proposal_version=self._proposal_version, actor=self.actor)


class RejectCorrection(CorrectionWork):
    """The work of ``POST /breaks/{id}/correction/rejections``."""

    kind = "break.reject"

    def act(self, identity: Identity) -> Correction:
        """See ``CorrectionWork``."""
        return self._corrections.reject(identity, proposal_version=self._proposal_version, actor=self.actor)


def identity_of(database: Database, merchant_id: str, break_id: str) -> Identity:
    """Return the key of the correction of the merchant's break. Raises ``NotFound`` for another merchant's break."""
    case = require_break(database, merchant_id, break_id)
    return Identity(merchant_id, case.payment_id or "", break_id)


def require_correction(corrections: Corrections, identity: Identity) -> Correction:
    """Return the correction. Raises ``NotFound``."""
    found = corrections.find(identity)
    if found is None:
        raise NotFound(f"There is no correction of {identity.break_id}: nothing is proposed.")
    return found
