"""The routes that read set-ups and saved payment methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.entrypoints.http import ReadRoute, Route, by_operation
from payonce.entrypoints.models import CustomerQuery
from payonce.entrypoints.paths import path_id
from payonce.payments.setup_views import method_view, setup_view
from payonce.payments.setups import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.wiring.application import Application


def _get_setup(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    setup_id = path_id(request, "setup_id")
    return setup_view(load.load_setup(application.database, request.merchant_id, setup_id))


def _list_setups(application: Application, request: Request, query: CustomerQuery) -> Mapping[str, object]:
    return load.list_setups(
        application.database, request.merchant_id, query.customer, limit=query.limit, cursor=query.cursor
    )


def _get_method(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    method_id = path_id(request, "payment_method_id")
    return method_view(load.load_method(application.database, request.merchant_id, method_id))


def _list_methods(application: Application, request: Request, query: CustomerQuery) -> Mapping[str, object]:
    return load.list_methods(
        application.database, request.merchant_id, query.customer, limit=query.limit, cursor=query.cursor
    )


ROUTES: Mapping[str, Route] = by_operation(
    ReadRoute(
        method="GET",
        path="/setups",
        operation="list_setups",
        scope="payments:read",
        summary="List a customer's setups, newest first",
        answers={200: "SetupList"},
        read=_list_setups,
        query_model=CustomerQuery,
    ),
    ReadRoute(
        method="GET",
        path="/setups/{setup_id}",
        operation="get_setup",
        scope="payments:read",
        summary="Read a setup",
        answers={200: "Setup"},
        read=_get_setup,
    ),
    ReadRoute(
        method="GET",
        path="/payment_methods",
        operation="list_payment_methods",
        scope="payments:read",
        summary="List a customer's saved payment methods, newest first",
        answers={200: "PaymentMethodList"},
        read=_list_methods,
        query_model=CustomerQuery,
    ),
    ReadRoute(
        method="GET",
        path="/payment_methods/{payment_method_id}",
        operation="get_payment_method",
        scope="payments:read",
        summary="Read a saved payment method",
        answers={200: "PaymentMethod"},
        read=_get_method,
    ),
)
