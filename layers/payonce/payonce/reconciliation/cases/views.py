"""A case as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.reconciliation.cases.case import CaseStatus, evidence_document
from payonce.reconciliation.taxonomy import CLASSES

if TYPE_CHECKING:
    from payonce.reconciliation.cases.case import Case


def case_view(case: Case, now_ms: int, *, evidence: bool = False) -> dict[str, Any]:
    """Return the case as a JSON document: what it is, how urgent, since when, and whether it is late."""
    rule = CLASSES[case.break_class]
    view: dict[str, Any] = {
        "object": "break",
        "id": case.break_id,
        "class": case.break_class.value,
        "family": rule.family.value,
        "severity": rule.severity.value,
        "meaning": rule.meaning,
        "status": case.status.value,
        "subject": list(case.subject),
        "amount_minor": case.amount_minor,
        "corrected_minor": case.corrected_minor,
        "open_minor": case.open_minor,
        "currency": case.currency,
        "gateway": case.gateway,
        "merchant_id": case.merchant_id,
        "payment_id": case.payment_id,
        "why": case.why,
        "assignee": case.assignee,
        "occurred_at_ms": case.occurred_at_ms,
        "opened_at_ms": case.opened_at_ms,
        "due_at_ms": case.due_at_ms,
        "overdue": is_overdue(case, now_ms),
        "age_seconds": max(0, now_ms - case.opened_at_ms) // 1000,
        "updated_at_ms": case.updated_at_ms,
        "closed_by_run_id": case.closed_by_run_id,
    }
    if evidence:
        view["evidence"] = [evidence_document(row) for row in case.evidence]
    return view


def is_overdue(case: Case, now_ms: int) -> bool:
    """Return whether nobody has dealt with the case in the time that its severity allows."""
    return case.status is CaseStatus.OPEN and now_ms > case.due_at_ms
