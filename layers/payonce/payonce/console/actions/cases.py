"""What people do about a break: assign, comment, dismiss, and the two persons' decision about its correction.

Each act calls the use case that the command and the API call, and is audited in that one's transaction. The operator's
name is the person: who proposed under it, at the command, here, or with an API key of that holder, can't approve.

Allowed: dynamodb:GetItem, PutItem and UpdateItem on ReconciliationTable with the leading keys BREAK#*;
dynamodb:GetItem and UpdateItem on PaymentsTable; dynamodb:PutItem on AuditTable; states:SendTaskSuccess.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from payonce.console.filters import money
from payonce.console.page import Done
from payonce.console.views.one_break import break_asked_for, identity_of_case
from payonce.domain.errors import BodyMalformed, CorrectionStateConflict, FileRejected, WriteConflict
from payonce.domain.principals import is_visible, principal_name
from payonce.idempotency.audit import act_entry
from payonce.ports import Insert, Table
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_items import Visibility, case_partition
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.merchant import OPERATOR, break_path
from payonce.reconciliation.readers.values import minor_of

if TYPE_CHECKING:
    from payonce.console.page import ActionRequest, Services
    from payonce.ports import Write
    from payonce.reconciliation.cases.case import Case

MAX_COMMENT_CHARACTERS: Final = 2_000
MAX_REASON_CHARACTERS: Final = 500
ACT_PREFIX: Final = "ACT#"
_VERSION: Final = re.compile(r"[0-9]{1,9}")
_CHANGED: Final = "Somebody changed this break at the same time. Open it again, and decide then."


def assign(services: Services, request: ActionRequest) -> Done:
    """Assign the break to a person, or to nobody. A repetition changes nothing.

    Raises ``NotFound``, ``BodyMalformed`` for an unclear name, and ``CorrectionStateConflict`` if somebody else has
    changed the break since the form's page was made: it says who has the break now.
    """
    case, seen_version = break_asked_for(services, request), version_in(request)
    text = request.operator.name if request.fields.get("mine") else request.fields.get("assignee", "").strip()
    try:
        assignee = principal_name(text, "The name") if text else None
    except BodyMalformed as error:
        raise BodyMalformed(error.detail, field="assignee") from None
    try:
        CaseStore(services.database).assign(
            case.break_id,
            assignee,
            by=request.operator.principal,
            at_ms=request.now_ms,
            of_merchant=request.operator.merchant_id is not None,
            seen_version=seen_version,
            beside=_audited(services, request, case, "assign_break", f"to {assignee or 'nobody'}"),
        )
    except WriteConflict:
        raise CorrectionStateConflict(_CHANGED) from None
    return Done(break_path(case.break_id), f"The break is assigned to {assignee or 'nobody'}.")


def comment(services: Services, request: ActionRequest) -> Done:
    """Add a comment; sent twice, the form adds one. An operator of the merchant writes what the merchant reads.

    Raises ``NotFound``, and ``BodyMalformed`` for an empty, too long or invisible text.
    """
    case = break_asked_for(services, request)
    text = request.fields.get("text", "").replace("\r\n", "\n").strip()
    if (
        not text
        or len(text) > MAX_COMMENT_CHARACTERS
        or not all(letter == "\n" or is_visible(letter) for letter in text)
    ):
        raise BodyMalformed(
            f"A comment is visible text of at most {MAX_COMMENT_CHARACTERS:,} characters.", field="text"
        )
    told = request.operator.merchant_id is not None or bool(request.fields.get("for_merchant"))
    CaseStore(services.database).comment(
        case.break_id,
        services.ids.new("com"),
        text=text,
        by=request.operator.principal,
        at_ms=request.now_ms,
        visibility=Visibility.MERCHANT if told else Visibility.INTERNAL,
        beside=[
            *_once(case, request),
            *_audited(services, request, case, "comment_break", "for the merchant" if told else "internal"),
        ],
    )
    return Done(break_path(case.break_id), "The comment is added.")


def dismiss(services: Services, request: ActionRequest) -> Done:
    """Decide that a probable break is none. Raises ``CorrectionStateConflict`` for any other, which is audited."""
    case = break_asked_for(services, request)
    reason = reason_in(request)
    if case.status is CaseStatus.DISMISSED:
        return Done(break_path(case.break_id), "The break was dismissed before.")
    store, by = CaseStore(services.database), request.operator.principal
    try:
        audited = _audited(services, request, case, "dismiss_break", reason)
        store.dismiss(case.break_id, reason=reason, by=by, at_ms=request.now_ms, beside=audited)
    except CorrectionStateConflict as refused:
        note = f"dismiss: {refused.detail}"
        audited = _audited(services, request, case, "dismiss_break", refused.detail, refused=True)
        store.refused(case.break_id, by=by, at_ms=request.now_ms, note=note, beside=audited)
        raise
    except WriteConflict:
        raise CorrectionStateConflict(_CHANGED) from None
    return Done(break_path(case.break_id), "The break is dismissed. No run opens it again.")


def propose(services: Services, request: ActionRequest) -> Done:
    """Propose another amount of the correction; who does can't approve it. Sent twice, the form proposes once.

    Raises ``NotFound``, ``BodyMalformed`` for what is no amount, and ``CorrectionStateConflict``.
    """
    case = break_asked_for(services, request)
    identity, version = identity_of_case(case), version_in(request)
    before = services.corrections.load(identity)
    amount_minor = _amount_in(request, before.currency)
    made = (version + 1, request.operator.principal, amount_minor)
    if (before.proposal_version, before.proposed_by, before.amount_minor) != made:
        try:
            services.corrections.propose(
                identity, amount_minor=amount_minor, actor=request.operator.principal, proposal_version=version
            )
        except CorrectionStateConflict as conflict:
            proposed = money(before.amount_minor, before.currency)
            raise CorrectionStateConflict(
                f"{conflict.detail} {proposed} is proposed now.", version=before.proposal_version
            ) from None
    return Done(break_path(case.break_id), "The amount is proposed. Somebody else has to approve it.")


def approve(services: Services, request: ActionRequest) -> Done:
    """Approve the proposal that was seen. Sent twice, the form approves once.

    Raises ``SelfApprovalRefused`` for the proposer, under whatever of its names, ``CorrectionStateConflict`` for
    another version or if it is too late, and ``OutcomeUnknown`` if the workflow may not have been woken.
    """
    case = break_asked_for(services, request)
    services.corrections.approve(
        identity_of_case(case), proposal_version=version_in(request), actor=request.operator.principal
    )
    return Done(break_path(case.break_id), "The correction is approved, and is carried out soon.")


def reject(services: Services, request: ActionRequest) -> Done:
    """Reject the proposal that was seen. Otherwise as ``approve``."""
    case = break_asked_for(services, request)
    services.corrections.reject(
        identity_of_case(case), proposal_version=version_in(request), actor=request.operator.principal
    )
    return Done(break_path(case.break_id), "The correction is rejected. Nothing is given back.")


def version_in(request: ActionRequest) -> int:
    """Return the version, of the proposal or of the break, that the form was made for. Raises ``BodyMalformed``."""
    text = request.fields.get("version", "")
    if not _VERSION.fullmatch(text):
        raise BodyMalformed("The form does not say which version it is about. Open the page again.")
    return int(text)


def reason_in(request: ActionRequest) -> str:
    """Return the reason in the form, one line of visible text. Raises ``BodyMalformed``."""
    reason = request.fields.get("reason", "").strip()
    if not reason or len(reason) > MAX_REASON_CHARACTERS or not all(map(is_visible, reason)):
        raise BodyMalformed(
            f"A reason is one line of visible text of at most {MAX_REASON_CHARACTERS} characters.", field="reason"
        )
    return reason


def _amount_in(request: ActionRequest, currency: str) -> int:
    try:
        return minor_of(request.fields.get("amount", ""), currency, line=0, field="amount")
    except FileRejected:
        raise BodyMalformed(
            f"An amount is a decimal number of {currency}, with its decimals at most.", field="amount"
        ) from None


def _once(case: Case, request: ActionRequest) -> list[Write]:
    """Return the write that fails if the form was sent before."""
    if not request.key:
        raise BodyMalformed("The form has no key. Open the page again, and send it from there.")
    return [Insert(Table.RECONCILIATION, {"pk": case_partition(case.break_id), "sk": ACT_PREFIX + request.key})]


def _audited(
    services: Services, request: ActionRequest, case: Case, operation: str, text: str, *, refused: bool = False
) -> list[Write]:
    entry = act_entry(
        scope=case.merchant_id or OPERATOR,
        operation=operation,
        resource=break_path(case.break_id),
        principal=request.operator.principal,
        at_ms=request.now_ms,
        act_id=services.ids.new("act"),
        reason=text,
        refused=refused,
    )
    return [services.audit_trail.write_of(entry)]
