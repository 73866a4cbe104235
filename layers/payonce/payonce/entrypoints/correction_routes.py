"""The routes of corrections: the proposal about a break, and a second person's decision."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from payonce.corrections.correction_requests import (
    ApproveCorrection,
    ProposeCorrection,
    RejectCorrection,
    identity_of,
    require_correction,
)
from payonce.corrections.correction_views import correction_view
from payonce.domain.errors import CorrectionStateConflict, SelfApprovalRefused
from payonce.entrypoints.break_models import DecisionBody, ProposalBody
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route, by_operation
from payonce.entrypoints.paths import BREAK_PATH, path_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.idempotency.work import Work
    from payonce.wiring.application import Application

CORRECTION_PATH = BREAK_PATH + "/correction"


def _get(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    identity = identity_of(application.database, request.merchant_id, path_id(request, "break_id"))
    correction = require_correction(application.corrections, identity)
    return correction_view(correction, application.corrections.outlook(correction))


def _propose(application: Application, request: Request, body: ProposalBody) -> Work:
    return ProposeCorrection(
        application.webhook_services,
        request.merchant_id,
        path_id(request, "break_id"),
        corrections=application.corrections,
        proposal_version=body.proposal_version,
        amount_minor=body.amount_minor,
        actor=request.require_actor(),
    )


def _decide(
    kind: type[ApproveCorrection | RejectCorrection], application: Application, request: Request, body: DecisionBody
) -> Work:
    return kind(
        application.webhook_services,
        request.merchant_id,
        path_id(request, "break_id"),
        corrections=application.corrections,
        proposal_version=body.proposal_version,
        actor=request.require_actor(),
    )


ROUTES: Mapping[str, Route] = by_operation(
    ReadRoute(
        method="GET",
        path=CORRECTION_PATH,
        operation="get_correction",
        scope="breaks:read",
        summary="Read the correction of a break",
        answers={200: "Correction"},
        read=_get,
    ),
    KeyedRoute(
        method="POST",
        path=CORRECTION_PATH + "/proposals",
        operation="propose_correction",
        scope="breaks:write",
        summary="Change what is proposed; whoever does can't decide about it",
        answers={201: "Correction"},
        refusals=(CorrectionStateConflict,),
        body_model=ProposalBody,
        work=_propose,
    ),
    KeyedRoute(
        method="POST",
        path=CORRECTION_PATH + "/approvals",
        operation="approve_correction",
        scope="breaks:approve",
        summary="Approve the proposal as it was read; it is carried out soon",
        answers={200: "Correction"},
        refusals=(
            CorrectionStateConflict,
            SelfApprovalRefused,
        ),
        body_model=DecisionBody,
        work=partial(_decide, ApproveCorrection),
    ),
    KeyedRoute(
        method="POST",
        path=CORRECTION_PATH + "/rejections",
        operation="reject_correction",
        scope="breaks:approve",
        summary="Reject the proposal as it was read",
        answers={200: "Correction"},
        refusals=(
            CorrectionStateConflict,
            SelfApprovalRefused,
        ),
        body_model=DecisionBody,
        work=partial(_decide, RejectCorrection),
    ),
)
