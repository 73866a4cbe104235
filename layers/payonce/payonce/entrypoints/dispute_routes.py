"""The routes that read disputes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.entrypoints.dispute_models import DisputesQuery
from payonce.entrypoints.http import ReadRoute, Route, by_operation
from payonce.entrypoints.paths import path_id
from payonce.payments import dispute_reads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.wiring.application import Application


def _get(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    return dispute_reads.get_dispute(application.services, request.merchant_id, path_id(request, "dispute_id"))


def _of_payment(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    payment_id = path_id(request, "payment_id")
    return dispute_reads.disputes_of_payment(application.services, request.merchant_id, payment_id)


def _list(application: Application, request: Request, query: DisputesQuery) -> Mapping[str, object]:
    return dispute_reads.list_disputes(
        application.services, request.merchant_id, limit=query.limit, cursor=query.cursor, status=query.status
    )


ROUTES: Mapping[str, Route] = by_operation(
    ReadRoute(
        method="GET",
        path="/disputes",
        operation="list_disputes",
        scope="payments:read",
        summary="List disputes, newest first",
        answers={200: "DisputeList"},
        read=_list,
        query_model=DisputesQuery,
    ),
    ReadRoute(
        method="GET",
        path="/disputes/{dispute_id}",
        operation="get_dispute",
        scope="payments:read",
        summary="Read a dispute",
        answers={200: "Dispute"},
        read=_get,
    ),
    ReadRoute(
        method="GET",
        path="/payments/{payment_id}/disputes",
        operation="list_payment_disputes",
        scope="payments:read",
        summary="Read all disputes of a payment",
        answers={200: "DisputeList"},
        read=_of_payment,
    ),
)
