"""One break: what it is, both sides of its evidence, why it arose, what happened to it, and what can be done.

Allowed: dynamodb:GetItem and dynamodb:Query on ReconciliationTable with the leading keys BREAK#*; dynamodb:BatchGetItem
with MATCH#*; dynamodb:GetItem and dynamodb:BatchGetItem on PaymentsTable (correction, its trail, whose payment);
dynamodb:BatchGetItem on OutboxTable with pay_* (payments that have no head); s3:GetObject of policy/corrections.toml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.console.page import Rendered
from payonce.console.views.break_story import story_of
from payonce.console.views.evidence_sides import sides_of
from payonce.corrections.record import CorrectionStatus
from payonce.corrections.workflow import Identity
from payonce.domain.errors import BodyMalformed, NotFound
from payonce.domain.principals import may_be_same_person
from payonce.reconciliation.cases.case import CaseStatus, is_overdue
from payonce.reconciliation.cases.case_evidence import own_payments, shown_evidence
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.manual_match import MATCHABLE
from payonce.reconciliation.cases.match_desk import rows_of_case
from payonce.reconciliation.cases.match_store import MatchStore
from payonce.reconciliation.cases.merchant import require_break, shown_by
from payonce.reconciliation.taxonomy import CLASSES, TO_DO

if TYPE_CHECKING:
    from payonce.console.page import PageRequest, Services
    from payonce.console.views.evidence_sides import EvidenceSide
    from payonce.corrections.record import Correction
    from payonce.reconciliation.cases.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionPanel:
    """The correction of a break, and what the operator may do about it.

    ``may_decide`` is whether this person may approve or reject, of whatever role; ``why_not`` says why not.
    """

    status: str
    what: str
    amount_minor: int
    ceiling_minor: int
    corrected_minor: int
    rest_minor: int
    currency: str
    version: int
    proposed_by: str
    decided_by: str
    expires_at_ms: int
    outcome: str
    outlook: str
    awaits: bool
    may_decide: bool
    why_not: str


def one_break(services: Services, request: PageRequest) -> Rendered:
    """Return the page of one break. Some ten round trips. Raises ``NotFound``, also for another merchant's."""
    bound = request.operator.merchant_id is not None
    case = break_asked_for(services, request)
    identity = identity_of_case(case)
    correction = services.corrections.find(identity) if case.payment_id else None
    trail = services.corrections.trail(identity) if case.payment_id else []
    matches = [] if bound else MatchStore(services.database).of_break(case.break_id)
    rule = CLASSES[case.break_class]
    return Rendered(
        "break.html",
        {
            "case": case,
            "rule": rule,
            "to_do": TO_DO[case.break_class],
            "is_overdue": is_overdue(case, request.now_ms),
            "assignee": (case.merchant_assignee if bound else case.assignee) or "",
            "sides": evidence_for(services, case, bound=bound),
            "story": story_of(services.database, case, correction, trail, bound=bound),
            "correction": None if correction is None else _panel(services, correction, request),
            "matches": matches[::-1],
            "can_match": not bound and case.match_id is None and _can_match(case),
            "can_dismiss": not bound and case.status is CaseStatus.OPEN and not rule.deterministic,
            "bound": bound,
        },
    )


def break_asked_for(services: Services, request: PageRequest) -> Case:
    """Return the break of the path. Raises the same ``NotFound`` for none and for one that the operator may not see.

    An operator of a merchant sees what the merchant's API shows; one of the platform all, and of a chosen merchant
    those that are of it.
    """
    break_id = request.path_parameters["break_id"]
    if request.operator.merchant_id is not None:
        return require_break(services.database, request.operator.merchant_id, break_id)
    case = CaseStore(services.database).get(break_id)
    if request.merchant_id not in (None, case.merchant_id):
        raise NotFound(f"There is no break {break_id}.")
    return case


def identity_of_case(case: Case) -> Identity:
    """Return the key of the correction of a case."""
    return Identity(case.merchant_id or "", case.payment_id or "", case.break_id)


def evidence_for(services: Services, case: Case, *, bound: bool) -> tuple[EvidenceSide, ...]:
    """Return the evidence that the operator may see: for one of the merchant (``bound``) only what is certainly its."""
    if bound:
        own = shown_evidence(case, own_payments(services.database, case))
        return sides_of((row["source"].value, row["row_key"], row["fields"]) for row in own)
    return sides_of((row.source.value, row.row_key, row.fields) for row in case.evidence)


def _can_match(case: Case) -> bool:
    if case.status is not CaseStatus.OPEN or case.break_class not in MATCHABLE:
        return False
    try:
        return bool(rows_of_case(case))
    except BodyMalformed:
        return False


def _panel(services: Services, correction: Correction, request: PageRequest) -> CorrectionPanel:
    bound = request.operator.merchant_id is not None
    told = shown_by if bound else str
    awaits = correction.status is CorrectionStatus.AWAITING_APPROVAL
    same = may_be_same_person(request.operator.principal, correction.proposed_by)
    late = awaits and correction.expires_at_ms < request.now_ms
    why_not = ""
    if awaits and same:
        why_not = "You proposed this correction, or may have: a second person has to approve or reject it."
    elif late:
        why_not = "It is too late for a decision. The next run proposes it again."
    return CorrectionPanel(
        status=correction.status.value,
        what=(correction.kind or correction.action.value).replace("_", " "),
        amount_minor=correction.amount_minor,
        ceiling_minor=max(correction.ceiling_minor, correction.amount_minor),
        corrected_minor=correction.corrected_minor,
        rest_minor=correction.rest_minor,
        currency=correction.currency,
        version=correction.proposal_version,
        proposed_by=told(correction.proposed_by),
        decided_by=told(correction.decided_by) if correction.decided_by else "",
        expires_at_ms=correction.expires_at_ms,
        outcome=correction.outcome,
        outlook=services.corrections.outlook(correction).text,
        awaits=awaits,
        may_decide=awaits and not why_not,
        why_not=why_not,
    )
