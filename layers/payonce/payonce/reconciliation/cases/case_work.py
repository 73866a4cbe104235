"""A merchant's work on a break: comments and assignments, written in the commit of the request's claim."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.idempotency.audit import ASKED_BY
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Draft
from payonce.ports import Insert, Table
from payonce.reconciliation.cases.case import CaseChange
from payonce.reconciliation.cases.case_items import Visibility, case_writes, comment_document, comment_item
from payonce.reconciliation.cases.merchant import break_path, comment_view, merchant_view, require_break
from payonce.webhooks.commit_work import ManagementWork, Services

if TYPE_CHECKING:
    from payonce.reconciliation.cases.case import Case


class BreakWork(ManagementWork):
    """Work on one break of the merchant. ``actor`` is the id of the API key that requests it.

    The claim stores the actor, so that a later owner of the claim, and the audit trail, attribute the work to that key.
    """

    def __init__(self, services: Services, merchant_id: str, break_id: str, *, actor: str, **identities: str) -> None:
        super().__init__(services, merchant_id, **identities, **{ASKED_BY: actor})
        self._break_id = break_id

    @property
    def actor(self) -> str:
        """Return the id of the API key with which the claim was made."""
        return self._identities[ASKED_BY]

    def resource(self) -> str:
        """See ``ManagementWork``."""
        return break_path(self._break_id)

    def load(self) -> Case:
        """Return the case as stored now. Raises ``NotFound``."""
        return require_break(self._services.database, self._merchant_id, self._break_id)


class CommentOnBreak(BreakWork):
    """The work of ``POST /breaks/{id}/comments``."""

    kind = "break.comment"

    def __init__(self, services: Services, merchant_id: str, break_id: str, *, text: str, actor: str) -> None:
        super().__init__(services, merchant_id, break_id, actor=actor, comment_id=services.ids.new("com"))
        self._text = text

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        case = self.load()
        item = comment_item(
            case.break_id,
            self._identities["comment_id"],
            text=self._text,
            by=self.actor,
            at_ms=now_ms,
            visibility=Visibility.MERCHANT,
        )
        view = comment_view(comment_document(item))
        return Draft(json_response(201, view, location=self.resource()), [Insert(Table.RECONCILIATION, item)])


class AssignBreak(BreakWork):
    """The work of ``POST /breaks/{id}/assignments``. It leaves the operator's own assignee unchanged."""

    kind = "break.assign"

    def __init__(
        self, services: Services, merchant_id: str, break_id: str, *, assignee: str | None, actor: str
    ) -> None:
        super().__init__(services, merchant_id, break_id, actor=actor)
        self._assignee = assignee

    def draft(self, record_id: str, now_ms: int) -> Draft:
        """See ``ManagementWork``."""
        before = self.load()
        if before.merchant_assignee == self._assignee:
            return Draft(json_response(201, merchant_view(before, now_ms), location=self.resource()), ())
        # updated_at_ms stays: it decides which run may judge the case, and an assignment changes nothing to judge.
        changed = before.changed(CaseChange.ASSIGNED, at_ms=before.updated_at_ms)
        after = replace(changed, merchant_assignee=self._assignee)
        note = f"to {self._assignee}" if self._assignee else "to nobody"
        writes = case_writes(before, after, CaseChange.ASSIGNED, by=self.actor, note=note, at_ms=now_ms)
        return Draft(json_response(201, merchant_view(after, now_ms), location=self.resource()), writes)
