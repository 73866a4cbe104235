"""The routes by which a merchant manages its webhook endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.endpoint import EndpointStatus, KeyKind
from payonce.domain.errors import BodyMalformed, EndpointLimitReached, EndpointStateConflict
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route, by_operation
from payonce.entrypoints.models import EmptyBody
from payonce.entrypoints.paths import ENDPOINT_PATH, path_id
from payonce.entrypoints.webhook_models import EndpointBody, EndpointPatchBody, RotationBody
from payonce.webhooks import manage, webhook_reads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.idempotency.work import Work
    from payonce.wiring.application import Application


def _check_url(application: Application, url: str) -> None:
    try:
        application.check_endpoint_url(url)
    except BodyMalformed as error:
        raise BodyMalformed(error.detail, errors=[{"pointer": "/url", "detail": error.detail}]) from None


def _create(application: Application, request: Request, body: EndpointBody) -> Work:
    _check_url(application, body.url)
    new = manage.NewEndpoint(
        url=body.url,
        event_types=tuple(body.event_types),
        description=body.description,
        key_kind=KeyKind(body.key_kind),
    )
    return manage.CreateEndpoint(
        new, merchant_id=request.merchant_id, keys=application.key_maker, services=application.webhook_services
    )


def _update(application: Application, request: Request, body: EndpointPatchBody) -> Work:
    if body.url is not None:
        _check_url(application, body.url)
    patch = manage.EndpointPatch(
        url=body.url,
        event_types=None if body.event_types is None else tuple(body.event_types),
        description=body.description,
        status=None if body.status is None else EndpointStatus(body.status),
    )
    return manage.UpdateEndpoint(
        path_id(request, "endpoint_id"), patch, merchant_id=request.merchant_id, services=application.webhook_services
    )


def _delete(application: Application, request: Request, _body: EmptyBody) -> Work:
    return manage.DeleteEndpoint(application.webhook_services, request.merchant_id, path_id(request, "endpoint_id"))


def _wake(application: Application, work: manage.DeleteEndpoint) -> None:
    application.delivery_queue.send(work.messages)


def _rotate(application: Application, request: Request, body: RotationBody) -> Work:
    return manage.RotateSecret(
        path_id(request, "endpoint_id"),
        merchant_id=request.merchant_id,
        keys=application.key_maker,
        services=application.webhook_services,
        overlap_seconds=body.overlap_seconds,
        key_kind=None if body.key_kind is None else KeyKind(body.key_kind),
    )


def _test(application: Application, request: Request, _body: EmptyBody) -> Work:
    return manage.TestEndpoint(application.webhook_services, request.merchant_id, path_id(request, "endpoint_id"))


def _list_endpoints(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    return webhook_reads.list_endpoints(application.webhook_services, request.merchant_id)


def _get_endpoint(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    endpoint_id = path_id(request, "endpoint_id")
    return webhook_reads.get_endpoint(application.webhook_services, request.merchant_id, endpoint_id)


ROUTES: Mapping[str, Route] = by_operation(
    KeyedRoute(
        method="POST",
        path="/webhook_endpoints",
        operation="create_webhook_endpoint",
        scope="webhooks:write",
        summary="Create a webhook endpoint; its secret is shown in this answer only",
        answers={201: "NewWebhookEndpoint"},
        refusals=(EndpointLimitReached,),
        body_model=EndpointBody,
        work=_create,
    ),
    ReadRoute(
        method="GET",
        path="/webhook_endpoints",
        operation="list_webhook_endpoints",
        scope="webhooks:read",
        summary="List webhook endpoints, oldest first",
        answers={200: "WebhookEndpointList"},
        read=_list_endpoints,
    ),
    ReadRoute(
        method="GET",
        path=ENDPOINT_PATH,
        operation="get_webhook_endpoint",
        scope="webhooks:read",
        summary="Read a webhook endpoint and the health of its receiver",
        answers={200: "WebhookEndpointHealth"},
        read=_get_endpoint,
    ),
    KeyedRoute(
        method="PATCH",
        path=ENDPOINT_PATH,
        operation="update_webhook_endpoint",
        scope="webhooks:write",
        summary="Change a webhook endpoint; once it is enabled, what was held is sent",
        answers={200: "WebhookEndpoint"},
        body_model=EndpointPatchBody,
        work=_update,
    ),
    KeyedRoute(
        method="DELETE",
        path=ENDPOINT_PATH,
        operation="delete_webhook_endpoint",
        scope="webhooks:write",
        summary="Delete a webhook endpoint; what is still to be delivered to it is canceled",
        answers={200: "DeletedWebhookEndpoint"},
        body_model=EmptyBody,
        work=_delete,
        after=_wake,
    ),
    KeyedRoute(
        method="POST",
        path=ENDPOINT_PATH + "/secret_rotations",
        operation="rotate_webhook_secret",
        scope="webhooks:write",
        summary="Make a new signing key; the older ones go on signing for a while",
        answers={201: "NewWebhookEndpoint"},
        refusals=(EndpointStateConflict,),
        body_model=RotationBody,
        work=_rotate,
    ),
    KeyedRoute(
        method="POST",
        path=ENDPOINT_PATH + "/test_events",
        operation="test_webhook_endpoint",
        scope="webhooks:write",
        summary="Send a test event to this endpoint alone",
        answers={201: "TestEvent"},
        refusals=(EndpointStateConflict,),
        body_model=EmptyBody,
        work=_test,
    ),
)
