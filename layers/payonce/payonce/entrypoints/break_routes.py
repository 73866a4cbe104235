"""The routes of breaks: what reconciliation found about a merchant's payments, and how it is resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.corrections.correction_requests import attempts_view, correction_steps, correction_view, identity_of
from payonce.corrections.workflow import Identity
from payonce.entrypoints.break_models import AssignmentBody, BreaksQuery, CommentBody
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route, by_operation
from payonce.entrypoints.paths import BREAK_PATH, path_id
from payonce.reconciliation.cases import merchant
from payonce.reconciliation.cases.case_work import AssignBreak, CommentOnBreak

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.idempotency.engine import Work
    from payonce.wiring.application import Application


def _list(application: Application, request: Request, query: BreaksQuery) -> dict[str, Any]:
    return merchant.list_breaks(
        application.database,
        request.merchant_id,
        now_ms=application.clock.now_ms(),
        limit=query.limit,
        cursor=query.cursor,
        status=query.status,
        break_class=query.break_class,
    )


def _get(application: Application, request: Request, _query: object) -> dict[str, Any]:
    break_id = path_id(request, "break_id")
    view = merchant.get_break(application.database, request.merchant_id, break_id, now_ms=application.clock.now_ms())
    correction = application.corrections.find(Identity(request.merchant_id, view["payment_id"], break_id))
    if correction is None:
        return {**view, "correction": None}
    return {**view, "correction": correction_view(correction, application.corrections.outlook(correction))}


def _history(application: Application, request: Request, _query: object) -> dict[str, Any]:
    break_id = path_id(request, "break_id")
    history = merchant.get_history(application.database, request.merchant_id, break_id)
    identity = identity_of(application.database, request.merchant_id, break_id)
    correction = application.corrections.find(identity)
    steps = [] if correction is None else correction_steps(correction)
    tried = attempts_view(application.corrections.trail(identity))
    return {**history, "data": sorted([*history["data"], *steps, *tried], key=lambda entry: int(entry["at_ms"]))}


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
