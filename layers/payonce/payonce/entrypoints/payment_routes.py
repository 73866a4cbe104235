"""The routes that make, change and list payments. Reads of one payment and of balances: ``payment_read_routes``."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import (
    AmountExceedsAvailable,
    BodyMalformed,
    GatewayUnavailable,
    PaymentStateConflict,
    PayonceError,
    SetupStateConflict,
    Throttled,
)
from payonce.domain.gateway import CaptureMethod, OperationKind, Payer
from payonce.domain.money import Money
from payonce.domain.payment import PaymentStatus
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route, by_operation
from payonce.entrypoints.models import AmountBody, ConfirmationBody, EmptyBody, PaymentBody, PaymentsQuery
from payonce.entrypoints.paths import path_id
from payonce.entrypoints.priority import parse_priority
from payonce.entrypoints.saved_methods import charged_to
from payonce.observability import get_logger
from payonce.payments import payment_reads
from payonce.payments.cancel_waiting import CancelWaiting, follow_up_work
from payonce.payments.confirm import ConfirmPayment, plan_confirmation
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.payment_work import COMMIT_RESERVE_MS, SUBMIT_TIMEOUT_MS
from payonce.payments.planning import plan_follow_up
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.idempotency.records import StoredResponse
    from payonce.idempotency.work import Work
    from payonce.wiring.application import Application

# The next gateway gets its usual time, and the commit its own, or it is not asked.
ANOTHER_GATEWAY_SECONDS = (SUBMIT_TIMEOUT_MS + COMMIT_RESERVE_MS) / 1000
LOOK_TIMEOUT_MS = 8_000  # one question to the gateway and a commit
STATUS_HEADER = "payment-status"
UNDECIDED = frozenset({PaymentStatus.REQUIRES_ACTION.value, PaymentStatus.PROCESSING.value})
_OPERATION: Mapping[int, str] = MappingProxyType({201: "Operation", 202: "Operation"})


def _create(
    application: Application, request: Request, body: PaymentBody, passed_over: tuple[str, ...] = ()
) -> CreatePayment:
    new = NewPayment(
        money=Money(body.amount_minor, body.currency),
        payment_method=body.payment_method,
        capture_method=CaptureMethod(body.capture),
        payment_method_type=body.payment_method_type,
        priority=parse_priority(request.headers),
        payer=Payer.ABSENT if body.off_session else Payer.PRESENT,
        return_url=body.return_url,
        customer=body.customer,
        saves_method=body.save_payment_method,
        description=body.description,
        statement_descriptor=body.statement_descriptor,
        reference=body.reference,
        metadata=body.metadata,
    )
    new, gateway = charged_to(application.database, request, body, new)
    plan = plan_payment(
        new,
        merchant_id=request.merchant_id,
        route=lambda made: application.route(made, new.payment_method_type, gateway, frozenset(passed_over)),
        services=application.services,
        passed_over=passed_over,
        account_at=lambda gateway: application.account_in_use(request.merchant_id, gateway),
    )
    return CreatePayment(plan, application.gateway, application.services)


def _instead(
    application: Application, request: Request, body: PaymentBody, refused: CreatePayment
) -> CreatePayment | None:
    """Return the payment for the next gateway, after one that took nothing; ``None`` without another one, or time."""
    if request.deadline.remaining_seconds(application.clock) < ANOTHER_GATEWAY_SECONDS:
        return None
    before = refused.payment_plan
    work = _create(application, request, body, (*before.passed_over, before.gateway))
    plan = work.payment_plan
    if not plan.gateway:
        return None
    extra = {"payment_id": plan.payment_id, "gateway": plan.gateway, "passed_over": list(plan.passed_over)}
    get_logger().warning("the next gateway is asked", extra=extra)
    return work


def _admit(application: Application, request: Request, work: CreatePayment, is_known: Callable[[], bool]) -> None:
    """Refuse a payment that the gateways can't take now, or that has no gateway, unless its key has begun already.

    Raises ``Throttled``, ``GatewayUnavailable``, and ``BodyMalformed`` for a type of method that no gateway takes.
    """
    plan = work.payment_plan
    try:
        application.require_gateway(plan.gateway, plan.payment_method_type, request.gateway)
        if plan.token is not None:
            application.gateway(plan.address)  # no other account knows it, and this one's credentials may be forgotten
        application.router.admit(plan.payment_id, plan.merchant_id, plan.priority)
    except (Throttled, GatewayUnavailable, BodyMalformed) as refused:
        if is_known():
            return
        if not isinstance(refused, Throttled):
            raise
        # A refused payment makes no claim, so this line is how routing learns of the demand.
        get_logger().info(
            "throttled",
            extra={
                "merchant_id": plan.merchant_id,
                "priority": plan.priority.value,
                "payment_method_type": plan.payment_method_type.value,
                "gateway": plan.gateway,
                "retry_after_seconds": refused.retry_after_seconds,
                "request_id": request.request_id,
            },
        )
        raise


def _standing(application: Application, request: Request, first: StoredResponse) -> Mapping[str, str]:
    """Return the payment's present status, where the key's answer was not the payment's end."""
    if first.status != 201:
        return {}
    answered = json.loads(first.body)
    payment = answered.get("payment", answered)
    if answered["status"] not in UNDECIDED:
        return {}
    try:
        return {
            STATUS_HEADER: payment_reads.get_payment(application.services, request.merchant_id, payment["id"])["status"]
        }
    except PayonceError:
        return {}  # the replay is right without it


def _follow_up(kind: OperationKind) -> Callable[[Application, Request, Any], Work]:
    def work(application: Application, request: Request, body: AmountBody | EmptyBody) -> Work:
        plan = plan_follow_up(
            kind,
            merchant_id=request.merchant_id,
            payment_id=path_id(request, "payment_id"),
            amount_minor=body.amount_minor if isinstance(body, AmountBody) else None,
            services=application.services,
        )
        return follow_up_work(plan, application.gateway, application.services)

    return work


def _look_now(application: Application, work: Work) -> None:
    """Let the settlement look, once a payment that waited is canceled, or its payer was faster.

    It would look anyway, but perhaps hours later, and the merchant has just been told that the payer has paid.
    """
    if isinstance(work, CancelWaiting):
        deadline = Deadline(application.clock.now_ms() + LOOK_TIMEOUT_MS)
        application.recovery.recover(work.settlement_id, deadline, early=True)


def _confirm(application: Application, request: Request, body: ConfirmationBody) -> Work:
    plan = plan_confirmation(
        merchant_id=request.merchant_id,
        payment_id=path_id(request, "payment_id"),
        result=body.payment_result,
        services=application.services,
    )
    return ConfirmPayment(plan, application.gateway, application.services)


def _list(application: Application, request: Request, query: PaymentsQuery) -> Mapping[str, object]:
    wanted = payment_reads.PaymentFilter(
        reference=query.reference,
        customer=query.customer,
        status=query.status,
        created_from_ms=query.created_from_ms,
        created_until_ms=query.created_until_ms,
    )
    return payment_reads.list_payments(
        application.services, request.merchant_id, limit=query.limit, cursor=query.cursor, wanted=wanted
    )


ROUTES: Mapping[str, Route] = by_operation(
    KeyedRoute(
        method="POST",
        path="/payments",
        operation="create_payment",
        scope="payments:write",
        summary="Create a payment",
        answers={201: "Payment", 202: "Payment"},
        refusals=(SetupStateConflict,),
        body_model=PaymentBody,
        work=_create,
        admit=_admit,
        instead=_instead,
        now=_standing,
    ),
    ReadRoute(
        method="GET",
        path="/payments",
        operation="list_payments",
        scope="payments:read",
        summary="List payments, newest first, by reference, customer, status or time of creation",
        answers={200: "PaymentList"},
        read=_list,
        query_model=PaymentsQuery,
    ),
    KeyedRoute(
        method="POST",
        path="/payments/{payment_id}/captures",
        operation="capture_payment",
        scope="payments:write",
        summary="Capture an authorized payment, in whole or in part",
        answers=_OPERATION,
        refusals=(
            PaymentStateConflict,
            AmountExceedsAvailable,
        ),
        body_model=AmountBody,
        work=_follow_up(OperationKind.CAPTURE),
        now=_standing,
    ),
    KeyedRoute(
        method="POST",
        path="/payments/{payment_id}/confirmations",
        operation="confirm_payment",
        scope="payments:write",
        summary="Confirm a payment with what its payer came back with",
        answers={201: "Payment", 202: "Payment"},
        refusals=(PaymentStateConflict,),
        body_model=ConfirmationBody,
        work=_confirm,
        now=_standing,
    ),
    KeyedRoute(
        method="POST",
        path="/payments/{payment_id}/cancellations",
        operation="cancel_payment",
        scope="payments:write",
        summary="Cancel (void) what is not captured of a payment, or a payment that waits for its payer",
        answers=_OPERATION,
        refusals=(PaymentStateConflict,),
        body_model=EmptyBody,
        work=_follow_up(OperationKind.VOID),
        now=_standing,
        after=_look_now,
    ),
    KeyedRoute(
        method="POST",
        path="/payments/{payment_id}/refunds",
        operation="refund_payment",
        scope="refunds:write",
        summary="Refund a captured payment, in whole or in part",
        answers=_OPERATION,
        refusals=(
            PaymentStateConflict,
            AmountExceedsAvailable,
        ),
        body_model=AmountBody,
        work=_follow_up(OperationKind.REFUND),
        now=_standing,
    ),
)
