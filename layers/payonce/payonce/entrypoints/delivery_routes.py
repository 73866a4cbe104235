"""The routes of deliveries, replays and events: what a merchant can read, and have sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import DeliveryStateConflict, EndpointStateConflict
from payonce.entrypoints.http import KeyedRoute, ReadRoute, Route, by_operation
from payonce.entrypoints.models import EmptyBody
from payonce.entrypoints.paths import ENDPOINT_PATH, path_id
from payonce.entrypoints.webhook_models import DeliveriesQuery, EventsQuery, ReplayBody
from payonce.webhooks import webhook_reads
from payonce.webhooks.redeliver import Redeliver, StartReplay
from payonce.webhooks.replay_items import ReplayOnly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.entrypoints.api_requests import Request
    from payonce.idempotency.work import Work
    from payonce.wiring.application import Application

DELIVERY_PATH = ENDPOINT_PATH + "/deliveries/{delivery_id}"


def _redeliver(application: Application, request: Request, _body: EmptyBody) -> Work:
    return Redeliver(
        path_id(request, "endpoint_id"),
        path_id(request, "delivery_id"),
        merchant_id=request.merchant_id,
        services=application.webhook_services,
    )


def _send_messages(application: Application, work: Redeliver) -> None:
    if work.messages:
        application.delivery_queue.send(work.messages)


def _replay(application: Application, request: Request, body: ReplayBody) -> Work:
    return StartReplay(
        path_id(request, "endpoint_id"),
        merchant_id=request.merchant_id,
        services=application.webhook_services,
        from_ms=body.from_ms,
        until_ms=body.until_ms,
        only=ReplayOnly(body.only),
    )


def _list_deliveries(application: Application, request: Request, query: DeliveriesQuery) -> Mapping[str, object]:
    return webhook_reads.list_deliveries(
        application.webhook_services,
        request.merchant_id,
        path_id(request, "endpoint_id"),
        limit=query.limit,
        cursor=query.cursor,
        status=query.status,
    )


def _get_delivery(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    return webhook_reads.get_delivery(
        application.webhook_services,
        request.merchant_id,
        path_id(request, "endpoint_id"),
        path_id(request, "delivery_id"),
    )


def _get_replay(application: Application, request: Request, _query: object) -> Mapping[str, object]:
    return webhook_reads.get_replay(
        application.webhook_services,
        request.merchant_id,
        path_id(request, "endpoint_id"),
        path_id(request, "replay_id"),
    )


def _list_events(application: Application, request: Request, query: EventsQuery) -> bytes:
    return webhook_reads.list_events(
        application.webhook_services,
        request.merchant_id,
        after=query.after,
        limit=query.limit,
        event_type=query.type,
    )


def _get_event(application: Application, request: Request, _query: object) -> bytes:
    return webhook_reads.get_event(application.webhook_services, request.merchant_id, path_id(request, "event_id"))


ROUTES: Mapping[str, Route] = by_operation(
    ReadRoute(
        method="GET",
        path=ENDPOINT_PATH + "/deliveries",
        operation="list_webhook_deliveries",
        scope="webhooks:read",
        summary="List an endpoint's deliveries, newest event first",
        answers={200: "WebhookDeliverySummaryList"},
        read=_list_deliveries,
        query_model=DeliveriesQuery,
    ),
    ReadRoute(
        method="GET",
        path=DELIVERY_PATH,
        operation="get_webhook_delivery",
        scope="webhooks:read",
        summary="Read a delivery and its attempts",
        answers={200: "WebhookDelivery"},
        read=_get_delivery,
    ),
    KeyedRoute(
        method="POST",
        path=DELIVERY_PATH + "/redeliveries",
        operation="redeliver_webhook",
        scope="webhooks:write",
        summary="Deliver again, with the same event id and bytes",
        answers={202: "WebhookDeliverySummary"},
        refusals=(
            DeliveryStateConflict,
            EndpointStateConflict,
        ),
        body_model=EmptyBody,
        work=_redeliver,
        after=_send_messages,
    ),
    KeyedRoute(
        method="POST",
        path=ENDPOINT_PATH + "/replays",
        operation="replay_webhooks",
        scope="webhooks:write",
        summary="Deliver again the events of a range of time",
        answers={202: "WebhookReplay"},
        refusals=(EndpointStateConflict,),
        body_model=ReplayBody,
        work=_replay,
    ),
    ReadRoute(
        method="GET",
        path=ENDPOINT_PATH + "/replays/{replay_id}",
        operation="get_webhook_replay",
        scope="webhooks:read",
        summary="Read a replay and how far it is",
        answers={200: "WebhookReplay"},
        read=_get_replay,
    ),
    ReadRoute(
        method="GET",
        path="/events",
        operation="list_events",
        scope="events:read",
        summary="List events, oldest first, each as it is delivered",
        answers={200: "EventList"},
        read=_list_events,
        query_model=EventsQuery,
    ),
    ReadRoute(
        method="GET",
        path="/events/{event_id}",
        operation="get_event",
        scope="events:read",
        summary="Read an event, byte for byte as it is delivered",
        answers={200: "Event"},
        read=_get_event,
    ),
)
