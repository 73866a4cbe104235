"""The routes that make and end set-ups and saved payment methods. Their reads: ``setup_reads_routes``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.errors import GatewayUnavailable, OperationNotSupported, PayonceError, SetupStateConflict
from payonce.domain.gateway import OperationKind
from payonce.domain.gateway_address import address_of
from payonce.domain.setup import SETUP_WAITS
from payonce.entrypoints.http import KeyedRoute, Route, by_operation
from payonce.entrypoints.models import ConfirmationBody, EmptyBody, SetupBody
from payonce.entrypoints.paths import path_id
from payonce.entrypoints.payment_routes import STATUS_HEADER
from payonce.payments.setup_plans import NewSetup
from payonce.payments.setups.create_setup import CreateSetup, plan_setup
from payonce.payments.setups.load import load_setup
from payonce.payments.setups.revoke import RevokeMethod, plan_revocation
from payonce.payments.setups.steps import CancelSetup, ConfirmSetup, plan_setup_step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.domain.gateway_address import GatewayAddress
    from payonce.entrypoints.api_requests import Request
    from payonce.idempotency.records import StoredResponse
    from payonce.idempotency.work import Work
    from payonce.wiring.application import Application

NO_SETUPS = (
    "No gateway of yours saves such a payment method without a payment. Save it with a payment: save_payment_method."
)
NO_REVOCATIONS = "The payment method's gateway has no revocations. Nothing was changed."


def _create(application: Application, request: Request, body: SetupBody) -> CreateSetup:
    new = NewSetup(
        customer=body.customer,
        payment_method=body.payment_method,
        payment_method_type=body.payment_method_type,
        currency=body.currency,
        return_url=body.return_url,
        reference=body.reference,
        metadata=body.metadata,
    )
    plan = plan_setup(
        new,
        merchant_id=request.merchant_id,
        route=lambda setup_id: _gateway_for(application, request, body, setup_id),
        services=application.services,
        account_at=lambda gateway: application.account_in_use(request.merchant_id, gateway),
    )
    return CreateSetup(plan, application.gateway, application.services)


def _at(application: Application, request: Request, gateway: str) -> GatewayAddress:
    return address_of(gateway, request.merchant_id, application.account_in_use(request.merchant_id, gateway))


def _gateway_for(application: Application, request: Request, body: SetupBody, setup_id: str) -> str:
    """Return the gateway of a new set-up: the first that routing would choose and that can do it; "" for none."""
    passed_over: frozenset[str] = frozenset()
    while name := application.route(setup_id, body.payment_method_type, request.gateway, passed_over):
        if name in passed_over:
            break
        try:
            capabilities = application.gateway(_at(application, request, name)).capabilities
        except GatewayUnavailable:
            return name  # the check refuses it with its own words
        if capabilities.sets_up(body.payment_method_type, body.payment_method):
            return name
        passed_over |= {name}
    return ""


def _check_setup(application: Application, request: Request, work: CreateSetup, is_known: Callable[[], bool]) -> None:
    """Refuse a set-up that no gateway can make, unless its key has begun already.

    Raises ``OperationNotSupported``, ``GatewayUnavailable``, and ``BodyMalformed`` for a type that no gateway takes.
    """
    plan = work.setup_plan
    # Without one that can do it, what would a payment be told?
    gateway = plan.gateway or application.route(plan.setup_id, plan.payment_method_type, request.gateway)
    try:
        application.require_gateway(gateway, plan.payment_method_type, request.gateway)
        if not plan.gateway:
            raise OperationNotSupported(NO_SETUPS)
    except PayonceError:
        if not is_known():
            raise


def _check_revocation(
    application: Application, _request: Request, work: RevokeMethod, is_known: Callable[[], bool]
) -> None:
    """Refuse a revocation that the gateway can't make. Raises ``OperationNotSupported``, ``GatewayUnavailable``."""
    try:
        gateway = application.gateway(work.revocation_plan.address)
        if OperationKind.REVOCATION not in gateway.capabilities.operations:
            raise OperationNotSupported(NO_REVOCATIONS)
    except PayonceError:
        if not is_known():
            raise


def _confirm(application: Application, request: Request, body: ConfirmationBody) -> Work:
    plan = plan_setup_step(
        merchant_id=request.merchant_id,
        setup_id=path_id(request, "setup_id"),
        result=body.payment_result,
        services=application.services,
    )
    return ConfirmSetup(plan, application.gateway, application.services)


def _cancel(application: Application, request: Request, _body: EmptyBody) -> Work:
    plan = plan_setup_step(
        merchant_id=request.merchant_id,
        setup_id=path_id(request, "setup_id"),
        cancels=True,
        services=application.services,
    )
    return CancelSetup(plan, application.gateway, application.services)


def _revoke(application: Application, request: Request, _body: EmptyBody) -> Work:
    plan = plan_revocation(
        merchant_id=request.merchant_id,
        method_id=path_id(request, "payment_method_id"),
        services=application.services,
    )
    return RevokeMethod(plan, application.gateway, application.services)


def _standing(application: Application, request: Request, first: StoredResponse) -> Mapping[str, str]:
    """Return the set-up's present status, where the key's answer was not its end."""
    if first.status != 201 or (answered := json.loads(first.body))["status"] not in SETUP_WAITS:
        return {}
    try:
        setup = load_setup(application.database, request.merchant_id, answered["id"])
    except PayonceError:
        return {}  # the replay is right without it
    return {STATUS_HEADER: setup.status.value}


ROUTES: Mapping[str, Route] = by_operation(
    KeyedRoute(
        method="POST",
        path="/setups",
        operation="create_setup",
        scope="payments:write",
        summary="Set a payment method up to be charged later, without a payment",
        answers={201: "Setup", 202: "Setup"},
        refusals=(OperationNotSupported,),
        body_model=SetupBody,
        work=_create,
        check=_check_setup,
        now=_standing,
    ),
    KeyedRoute(
        method="POST",
        path="/setups/{setup_id}/confirmations",
        operation="confirm_setup",
        scope="payments:write",
        summary="Confirm a setup with what its payer came back with",
        answers={201: "Setup", 202: "Setup"},
        refusals=(SetupStateConflict,),
        body_model=ConfirmationBody,
        work=_confirm,
        now=_standing,
    ),
    KeyedRoute(
        method="POST",
        path="/setups/{setup_id}/cancellations",
        operation="cancel_setup",
        scope="payments:write",
        summary="Cancel a setup that waits for its payer",
        answers={201: "Setup", 202: "Setup"},
        refusals=(SetupStateConflict,),
        body_model=EmptyBody,
        work=_cancel,
    ),
    KeyedRoute(
        method="POST",
        path="/payment_methods/{payment_method_id}/revocations",
        operation="revoke_payment_method",
        scope="payments:write",
        summary="Revoke a saved payment method, so that it is charged no more",
        answers={201: "PaymentMethod", 202: "PaymentMethod"},
        refusals=(OperationNotSupported, SetupStateConflict),
        body_model=EmptyBody,
        work=_revoke,
        check=_check_revocation,
    ),
)
