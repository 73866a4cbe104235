"""The routes of breaks: what reconciliation found about a merchant's payments, and how it is resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from payonce.corrections.correction_requests import identity_of
from payonce.corrections.correction_views import (
    CorrectionAttemptView,
    CorrectionStepView,
    CorrectionView,
    attempts_view,
    correction_steps,
    correction_view,
)
from payonce.corrections.workflow import Identity
from payonce.entrypoints.break_models import AssignmentBody, BreaksQuery, CommentBody
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route, by_operation
from payonce.entrypoints.paths import BREAK_PATH, path_id
from payonce.reconciliation.cases import merchant
from payonce.reconciliation.cases.case_evidence import BreakEvidenceView, own_payments, shown_evidence
from payonce.reconciliation.cases.case_work import AssignBreak, CommentOnBreak

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.idempotency.work import Work
    from payonce.wiring.application import Application


class BreakView(merchant.BreakSummaryView):
    """A break with the evidence that is the merchant's own, and its correction."""

    evidence: list[BreakEvidenceView]
    correction: CorrectionView | None


class BreakHistoryView(TypedDict):
    """What happened to a break, oldest first."""

    object: Literal["list"]
    data: list[merchant.BreakChangeView | CorrectionStepView | CorrectionAttemptView | merchant.BreakCommentView]


def _list(application: Application, request: Request, query: BreaksQuery) -> Mapping[str, object]:
    return merchant.list_breaks(
        application.database,
        request.merchant_id,
        now_ms=application.clock.now_ms(),
        limit=query.limit,
        cursor=query.cursor,
        status=query.status,
        break_class=query.break_class,
    )


def _get(application: Application, request: Request, _query: object) -> BreakView:
    break_id = path_id(request, "break_id")
    case = merchant.require_break(application.database, request.merchant_id, break_id)
    correction = application.corrections.find(Identity(request.merchant_id, case.payment_id or "", break_id))
    return {
        **merchant.merchant_view(case, application.clock.now_ms()),
        "evidence": shown_evidence(case, own_payments(application.database, case)),
        "correction": None
        if correction is None
        else correction_view(correction, application.corrections.outlook(correction)),
    }


def _history(application: Application, request: Request, _query: object) -> BreakHistoryView:
    break_id = path_id(request, "break_id")
    entries = merchant.get_history(application.database, request.merchant_id, break_id)
    identity = identity_of(application.database, request.merchant_id, break_id)
    correction = application.corrections.find(identity)
    steps = [] if correction is None else correction_steps(correction)
    tried = attempts_view(application.corrections.trail(identity))
    return {"object": "list", "data": sorted([*entries, *steps, *tried], key=lambda entry: int(entry["at_ms"]))}


def _comment(application: Application, request: Request, body: CommentBody) -> Work:
    return CommentOnBreak(
        application.webhook_services,
        request.merchant_id,
        path_id(request, "break_id"),
        text=body.text,
        actor=request.require_actor(),
    )


def _assign(application: Application, request: Request, body: AssignmentBody) -> Work:
    return AssignBreak(
        application.webhook_services,
        request.merchant_id,
        path_id(request, "break_id"),
        assignee=body.assignee,
        actor=request.require_actor(),
    )


ROUTES: Mapping[str, Route] = by_operation(
    ReadRoute(
        method="GET",
        path="/breaks",
        operation="list_breaks",
        scope="breaks:read",
        summary="List the discrepancies that reconciliation found, newest first",
        answers={200: "BreakList"},
        read=_list,
        query_model=BreaksQuery,
    ),
    ReadRoute(
        method="GET",
        path=BREAK_PATH,
        operation="get_break",
        scope="breaks:read",
        summary="Read a break, its evidence, why it arose and its correction",
        answers={200: "Break"},
        read=_get,
    ),
    ReadRoute(
        method="GET",
        path=BREAK_PATH + "/history",
        operation="get_break_history",
        scope="breaks:read",
        summary="Read the changes of a break, the steps of its correction and the comments on it, oldest first",
        answers={200: "BreakHistory"},
        read=_history,
    ),
    KeyedRoute(
        method="POST",
        path=BREAK_PATH + "/comments",
        operation="comment_on_break",
        scope="breaks:write",
        summary="Comment on a break",
        answers={201: "BreakComment"},
        body_model=CommentBody,
        work=_comment,
    ),
    KeyedRoute(
        method="POST",
        path=BREAK_PATH + "/assignments",
        operation="assign_break",
        scope="breaks:write",
        summary="Hand a break to somebody of yours, or to nobody",
        answers={201: "BreakSummary"},
        body_model=AssignmentBody,
        work=_assign,
    ),
)
