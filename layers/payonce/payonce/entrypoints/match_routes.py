"""The routes of matches by hand: a person of the merchant says which breaks are one and the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import MatchConflict
from payonce.entrypoints.break_models import MatchBody, ReversalBody
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route, by_operation
from payonce.entrypoints.paths import BREAK_PATH, path_id
from payonce.reconciliation.cases.match_work import MatchBreaks, MatchListView, UnmatchBreaks, list_matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.idempotency.work import Work
    from payonce.wiring.application import Application

MATCHES_PATH = BREAK_PATH + "/matches"


def _list(application: Application, request: Request, _query: object) -> MatchListView:
    return list_matches(application.database, request.merchant_id, path_id(request, "break_id"))


def _match(application: Application, request: Request, body: MatchBody) -> Work:
    return MatchBreaks(
        application.webhook_services,
        request.merchant_id,
        path_id(request, "break_id"),
        others=body.break_ids,
        reason=body.reason,
        accept_difference=body.accept_difference,
        correcting=application.correcting,
        actor=request.require_actor(),
    )


def _unmatch(application: Application, request: Request, body: ReversalBody) -> Work:
    return UnmatchBreaks(
        application.webhook_services,
        request.merchant_id,
        path_id(request, "break_id"),
        match_id=path_id(request, "match_id"),
        reason=body.reason,
        actor=request.require_actor(),
    )


ROUTES: Mapping[str, Route] = by_operation(
    ReadRoute(
        method="GET",
        path=MATCHES_PATH,
        operation="list_break_matches",
        scope="breaks:read",
        summary="List the matches by hand that a break is in, oldest first",
        answers={200: "MatchList"},
        read=_list,
    ),
    KeyedRoute(
        method="POST",
        path=MATCHES_PATH,
        operation="match_breaks",
        scope="breaks:approve",
        summary="Say that the rows of a break, and of others, belong together; every later run goes by it",
        answers={201: "Match"},
        refusals=(MatchConflict,),
        body_model=MatchBody,
        work=_match,
    ),
    KeyedRoute(
        method="POST",
        path=MATCHES_PATH + "/{match_id}/reversals",
        operation="unmatch_breaks",
        scope="breaks:approve",
        summary="Take a match back; the next run finds its rows again",
        answers={201: "Match"},
        refusals=(MatchConflict,),
        body_model=ReversalBody,
        work=_unmatch,
    ),
)
