"""The routes that read one payment or the balances. They take no body and no query, so they load no models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.entrypoints.http import ReadRoute, Route, by_operation
from payonce.entrypoints.paths import path_id
from payonce.payments import payment_reads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.wiring.application import Application


def _get(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    return payment_reads.get_payment(application.services, request.merchant_id, path_id(request, "payment_id"))


def _history(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    return payment_reads.get_history(application.services, request.merchant_id, path_id(request, "payment_id"))


def _balances(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    return payment_reads.get_balances(application.services, request.merchant_id)


ROUTES: Mapping[str, Route] = by_operation(
    ReadRoute(
        method="GET",
        path="/payments/{payment_id}",
        operation="get_payment",
        scope="payments:read",
        summary="Read a payment",
        answers={200: "Payment"},
        read=_get,
    ),
    ReadRoute(
        method="GET",
        path="/payments/{payment_id}/history",
        operation="get_payment_history",
        scope="payments:read",
        summary="Read every change of a payment",
        answers={200: "PaymentChangeList"},
        read=_history,
    ),
    ReadRoute(
        method="GET",
        path="/balances",
        operation="get_balances",
        scope="balances:read",
        summary="Read balances by currency and account",
        answers={200: "BalanceList"},
        read=_balances,
    ),
)
