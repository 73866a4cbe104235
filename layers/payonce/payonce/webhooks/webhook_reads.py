"""Reads endpoints, deliveries, replays and events, always within one merchant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, TypedDict

from payonce.domain.errors import NotFound
from payonce.domain.events import EventView
from payonce.domain.webhooks import Health
from payonce.merged_lists import LAST, just_before
from payonce.outbox import SETTLING_MS, created_key, events_of_merchant, find_event
from payonce.paging import ListView, make_cursor, read_cursor
from payonce.ports import Table
from payonce.webhooks.commit_work import Services, require_endpoint
from payonce.webhooks.deliveries import DELIVERY_PREFIX, deliveries_of_endpoint, delivery_from
from payonce.webhooks.endpoints import WebhookEndpointView, endpoint_view, load_endpoints
from payonce.webhooks.gate import gate_key, health_of
from payonce.webhooks.redeliver import require_delivery
from payonce.webhooks.replay_items import replay_from, replay_key
from payonce.webhooks.views import (
    WebhookDeliveryView,
    WebhookHealthView,
    WebhookReplayView,
    delivery_summary,
    delivery_view,
    health_view,
    replay_view,
)

if TYPE_CHECKING:
    from payonce.ports import Item

# The most items that a filter examines per page, matching or not: the answer takes bounded time and has a cursor.
FILTER_ITEMS = 200


class WebhookEndpointHealthView(WebhookEndpointView):
    """An endpoint with its health."""

    health: WebhookHealthView


class EventListView(TypedDict):
    """A page of events, and where to go on."""

    object: Literal["list"]
    data: list[EventView]
    next_after: str | None
    has_more: bool


def get_endpoint(services: Services, merchant_id: str, endpoint_id: str) -> WebhookEndpointHealthView:
    """Return the endpoint with its health. Raises ``NotFound``."""
    endpoint = require_endpoint(services.database, merchant_id, endpoint_id)
    gate = services.database.get(Table.ENDPOINTS, gate_key(merchant_id, endpoint_id))
    health = Health() if gate is None else health_of(gate)
    return {**endpoint_view(endpoint), "health": health_view(health, services.clock.now_ms())}


def list_endpoints(services: Services, merchant_id: str) -> ListView:
    """Return all endpoints, oldest first, in one page: their number is bounded."""
    endpoints = load_endpoints(services.database, merchant_id)
    return {"object": "list", "data": [endpoint_view(endpoint) for endpoint in endpoints], "next_cursor": None}


def list_deliveries(
    services: Services, merchant_id: str, endpoint_id: str, *, limit: int, cursor: str | None, status: str | None
) -> ListView:
    """Return a page of an endpoint's deliveries, newest event first, and the cursor of the next page.

    With ``status``, at most ``FILTER_ITEMS`` are examined, so a page may be short or empty although there is a next
    one. Raises ``NotFound``, and ``BodyMalformed`` for the cursor of another list.
    """
    require_endpoint(services.database, merchant_id, endpoint_id)
    listing = ("deliveries", merchant_id, endpoint_id, status)
    until = LAST if cursor is None else just_before(read_cursor(cursor, listing))
    page = deliveries_of_endpoint(
        services.database,
        merchant_id,
        endpoint_id,
        until=DELIVERY_PREFIX + until,
        limit=limit if status is None else FILTER_ITEMS,
        descending=True,
    )
    taken, last, more = _take(page.items, "status", status, limit)
    going_on = last is not None and (more or page.next_key is not None)
    return {
        "object": "list",
        "data": [delivery_summary(delivery_from(item)) for item in taken],
        "next_cursor": make_cursor(last["delivery_id"], listing) if going_on and last is not None else None,
    }


def get_delivery(services: Services, merchant_id: str, endpoint_id: str, delivery_id: str) -> WebhookDeliveryView:
    """Return the delivery with its attempts. Raises ``NotFound``."""
    require_endpoint(services.database, merchant_id, endpoint_id)
    return delivery_view(require_delivery(services.database, merchant_id, endpoint_id, delivery_id))


def get_replay(services: Services, merchant_id: str, endpoint_id: str, replay_id: str) -> WebhookReplayView:
    """Return the replay and its progress. Raises ``NotFound``."""
    item = services.database.get(Table.DELIVERIES, replay_key(merchant_id, endpoint_id, replay_id))
    if item is None:
        raise NotFound(f"There is no replay {replay_id} of this endpoint.")
    return replay_view(replay_from(item))


def list_events(
    services: Services, merchant_id: str, *, after: str | None, limit: int, event_type: str | None
) -> bytes:
    """Return a page of events, oldest first, each as the bytes that are delivered, and where to continue.

    ``next_after`` is the last event examined, or ``after`` itself when there was none. Events younger than
    ``SETTLING_MS`` are not listed yet, because an earlier one could still become visible. With ``event_type``, at
    most ``FILTER_ITEMS`` are examined. Raises ``BodyMalformed`` for the cursor of another list.
    """
    listing = ("events", merchant_id, event_type)
    page = events_of_merchant(
        services.database,
        merchant_id,
        after="" if after is None else read_cursor(after, listing),
        until=created_key(max(0, services.clock.now_ms() - SETTLING_MS), LAST),
        limit=limit if event_type is None else FILTER_ITEMS,
    )
    taken, last, more = _take(page.items, "event_type", event_type, limit)
    next_after = after if last is None else make_cursor(last["created_key"], listing)
    has_more = "true" if more or page.next_key is not None else "false"
    data = b",".join(item["body"] for item in taken)
    end = f'],"next_after":{json.dumps(next_after)},"has_more":{has_more}}}'
    return b'{"object":"list","data":[' + data + end.encode()


def get_event(services: Services, merchant_id: str, event_id: str) -> bytes:
    """Return the event's exact bytes, as they are signed and delivered. Raises ``NotFound``."""
    item = find_event(services.database, merchant_id, event_id)
    if item is None:
        raise NotFound("There is no such event.")
    body: bytes = item["body"]
    return body


def _take(items: list[Item], name: str, wanted: str | None, limit: int) -> tuple[list[Item], Item | None, bool]:
    """Return up to ``limit`` matching items, the last item examined, and whether any were not examined."""
    taken: list[Item] = []
    for number, item in enumerate(items, start=1):
        if wanted in (None, item[name]):
            taken.append(item)
        if len(taken) == limit:
            return taken, item, number < len(items)
    return taken, items[-1] if items else None, False
