"""Webhook endpoints with their health and backlog, their deliveries with each attempt's answer, and their replays.

Allowed: dynamodb:Query on EndpointsTable, on DeliveriesTable and its index due-deliveries; dynamodb:GetItem on
EndpointsTable, DeliveriesTable and OutboxTable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from payonce.console.exports import Instant, Sheet, collected
from payonce.console.views.asked import choice_of, text_of
from payonce.console.views.endpoint_rows import EndpointRow, endpoint_row
from payonce.domain.errors import NotFound
from payonce.domain.webhooks import DeliveryStatus
from payonce.outbox import find_event, partition_of
from payonce.paging import make_cursor, read_cursor
from payonce.ports import Table
from payonce.webhooks.endpoints import load_endpoints_and_gates
from payonce.webhooks.replay_items import REPLAY_PREFIX, replay_from, replay_key
from payonce.webhooks.views import replay_view
from payonce.webhooks.webhook_reads import get_delivery, list_deliveries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.console.views.sources import Sources
    from payonce.webhooks.views import WebhookDeliverySummaryView, WebhookDeliveryView, WebhookReplayView

PAGE_ENDPOINTS: Final = 25  # a merchant has 100 at most; each costs a read of its waiting list
PAGE_DELIVERIES: Final = 50
SHOWN_REPLAYS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhooksPage:
    """A page of the merchant's endpoints, oldest first. ``next_after`` is the next page's ``?after=``, or ``None``."""

    rows: tuple[EndpointRow, ...]
    total: int
    next_after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPage:
    """An endpoint with a page of its deliveries, newest event first, and its last replays.

    ``looks_through``: a status is looked for, so that a page may be short although more follow.
    """

    row: EndpointRow
    deliveries: tuple[WebhookDeliverySummaryView, ...]
    status: str
    next_cursor: str | None
    looks_through: bool
    replays: tuple[WebhookReplayView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPage:
    """A delivery with its attempts, and what is sent: the event's JSON, laid out. ``path`` is the payment's page."""

    row: EndpointRow
    delivery: WebhookDeliveryView
    body: str
    path: str
    can_redeliver: bool


def webhooks_page(sources: Sources, merchant_id: str, query: Mapping[str, str]) -> WebhooksPage:
    """Return a page of endpoints. One round trip, and one for each endpoint of the page."""
    found = load_endpoints_and_gates(sources.database, merchant_id)
    after = text_of(query, "after") or ""
    later = [each for each in found if each[0].endpoint_id > after]
    rows = sources.each(lambda each: endpoint_row(sources, *each), later[:PAGE_ENDPOINTS])
    more = len(later) > PAGE_ENDPOINTS
    return WebhooksPage(rows=tuple(rows), total=len(found), next_after=rows[-1].endpoint_id if more else None)


def endpoint_page(sources: Sources, merchant_id: str, endpoint_id: str, query: Mapping[str, str]) -> EndpointPage:
    """Return the endpoint's page. Raises ``NotFound``, and ``BodyMalformed`` for a status or cursor that is none."""
    row = _require(sources, merchant_id, endpoint_id)
    status = choice_of(query, "status", DeliveryStatus)
    deliveries, next_cursor = _deliveries(sources, merchant_id, endpoint_id, status, text_of(query, "cursor"))
    replays, _ = _replays(sources, merchant_id, endpoint_id, limit=SHOWN_REPLAYS)
    return EndpointPage(
        row=row,
        deliveries=tuple(deliveries),
        status=status or "",
        next_cursor=next_cursor,
        looks_through=status is not None,
        replays=tuple(replays),
    )


def replays_page(
    sources: Sources, merchant_id: str, endpoint_id: str, *, limit: int, cursor: str | None
) -> tuple[list[WebhookReplayView], str | None]:
    """Return replays of the endpoint, newest first, and the next page's cursor.

    Raises ``NotFound``, and ``BodyMalformed`` for a cursor of another list.
    """
    _require(sources, merchant_id, endpoint_id)
    listing = ("console", "replays", merchant_id, endpoint_id)
    before = None if cursor is None else read_cursor(cursor, listing)
    found, following = _replays(sources, merchant_id, endpoint_id, limit=limit, before=before)
    return found, None if following is None else make_cursor(following, listing)


def delivery_page(sources: Sources, merchant_id: str, endpoint_id: str, delivery_id: str) -> DeliveryPage:
    """Return the delivery's page. Raises ``NotFound``."""
    row = _require(sources, merchant_id, endpoint_id)
    delivery = get_delivery(sources.webhooks, merchant_id, endpoint_id, delivery_id)
    event = find_event(sources.database, merchant_id, delivery["event_id"])
    resource = "" if event is None else str(event["pk"])
    ended = delivery["status"] not in (DeliveryStatus.PENDING, DeliveryStatus.CANCELED)
    return DeliveryPage(
        row=row,
        delivery=delivery,
        body="" if event is None else json.dumps(json.loads(event["body"]), indent=2, ensure_ascii=False),
        path=f"/payments/{resource}" if resource.startswith("pay_") else "",
        can_redeliver=ended and row.is_enabled,
    )


def endpoints_sheet(sources: Sources, merchant_id: str) -> Sheet:
    """Return all endpoints, of which there are 100 at most, as a table to be saved."""
    found = load_endpoints_and_gates(sources.database, merchant_id)
    rows = sources.each(lambda each: endpoint_row(sources, *each), found)
    columns = (
        ("endpoint", 32), ("address", 60), ("description", 30), ("events", 30), ("state", 12), ("why", 60),
        ("disabled", 20), ("failing since", 20), ("pending deliveries", 10), ("more are pending", 10), ("created", 20),
    )  # fmt: skip
    cells = [
        (
            row.endpoint_id, row.url, row.description, ", ".join(row.event_types), row.state, row.why,
            None if row.disabled_at_ms is None else Instant(row.disabled_at_ms),
            None if row.failing_since_ms is None else Instant(row.failing_since_ms), row.backlog,
            "yes" if row.has_more else "no", Instant(row.created_at_ms),
        )
        for row in rows
    ]  # fmt: skip
    return Sheet("Webhook endpoints", columns, cells)


def deliveries_sheet(
    sources: Sources, merchant_id: str, endpoint_id: str, query: Mapping[str, str]
) -> tuple[Sheet, str | None]:
    """Return the endpoint's deliveries as a table to be saved, and the cursor of the next part. Raises ``NotFound``."""
    status = choice_of(query, "status", DeliveryStatus)
    rows, next_cursor = collected(
        lambda cursor: _deliveries(sources, merchant_id, endpoint_id, status, cursor, limit=100),
        text_of(query, "cursor"),
    )
    columns = (
        ("delivery", 32), ("status", 12), ("event", 40), ("type", 24), ("event created", 20), ("attempts", 8),
        ("next attempt", 20), ("updated", 20),
    )  # fmt: skip
    cells = [
        (
            row["id"], row["status"].value, row["event_id"], row["event_type"], Instant(row["event_created_at_ms"]),
            row["attempt_count"],
            None if row["next_attempt_at_ms"] is None else Instant(row["next_attempt_at_ms"]),
            Instant(row["updated_at_ms"]),
        )
        for row in rows
    ]  # fmt: skip
    return Sheet("Deliveries", columns, cells), next_cursor


def _replays(
    sources: Sources, merchant_id: str, endpoint_id: str, *, limit: int, before: str | None = None
) -> tuple[list[WebhookReplayView], str | None]:
    page = sources.database.query(
        Table.DELIVERIES,
        partition=("pk", partition_of(merchant_id, endpoint_id)),
        sort_prefix=("sk", REPLAY_PREFIX),
        descending=True,
        limit=limit,
        start=None if before is None else dict(replay_key(merchant_id, endpoint_id, before)),
    )
    following = None if page.next_key is None else str(page.next_key["sk"]).removeprefix(REPLAY_PREFIX)
    return [replay_view(replay_from(item)) for item in page.items], following


def _deliveries(
    sources: Sources,
    merchant_id: str,
    endpoint_id: str,
    status: DeliveryStatus | None,
    cursor: str | None,
    *,
    limit: int = PAGE_DELIVERIES,
) -> tuple[Sequence[WebhookDeliverySummaryView], str | None]:
    page = list_deliveries(sources.webhooks, merchant_id, endpoint_id, limit=limit, cursor=cursor, status=status)
    rows: Any = page["data"]
    return cast("Sequence[WebhookDeliverySummaryView]", rows), page.get("next_cursor")


def _require(sources: Sources, merchant_id: str, endpoint_id: str) -> EndpointRow:
    found = {each[0].endpoint_id: each for each in load_endpoints_and_gates(sources.database, merchant_id)}
    if endpoint_id not in found:
        raise NotFound(f"There is no webhook endpoint {endpoint_id}.")
    return endpoint_row(sources, *found[endpoint_id])
