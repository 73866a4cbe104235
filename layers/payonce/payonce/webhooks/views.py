"""Deliveries, replays and an endpoint's health as merchants see them. For endpoints see ``endpoint_view``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from payonce.domain.delivery import NoAnswerReason
from payonce.domain.webhooks import DeliveryStatus
from payonce.webhooks.replay_items import ReplayOnly, ReplayStatus

if TYPE_CHECKING:
    from payonce.domain.webhooks import Health
    from payonce.webhooks.deliveries import Delivery
    from payonce.webhooks.replay_items import Replay


class WebhookHealthView(TypedDict):
    """How an endpoint's receiver has been doing."""

    consecutive_failures: int
    failing_since_ms: int | None
    breaker_open_until_ms: int | None


class WebhookAttemptView(TypedDict):
    """One attempt of a delivery."""

    number: int
    at_ms: int
    latency_ms: int
    status: int | None
    response_excerpt: str | None
    error: NoAnswerReason | None
    detail: str | None


class WebhookDeliverySummaryView(TypedDict):
    """A delivery as lists show it."""

    id: str
    object: Literal["webhook_delivery"]
    endpoint_id: str
    event_id: str
    event_type: str
    event_created_at_ms: int
    status: DeliveryStatus
    attempt_count: int
    next_attempt_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int


class WebhookDeliveryView(WebhookDeliverySummaryView):
    """A delivery with its last attempts."""

    attempts: list[WebhookAttemptView]


class WebhookReplayView(TypedDict):
    """A replay and how far it is."""

    id: str
    object: Literal["webhook_replay"]
    endpoint_id: str
    only: ReplayOnly
    from_ms: int
    until_ms: int
    status: ReplayStatus
    seen_count: int
    queued_count: int
    created_at_ms: int
    updated_at_ms: int


def delivery_summary(delivery: Delivery) -> WebhookDeliverySummaryView:
    """Return a delivery in the form that lists show."""
    return {
        "id": delivery.delivery_id,
        "object": "webhook_delivery",
        "endpoint_id": delivery.endpoint_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "event_created_at_ms": delivery.event_created_at_ms,
        "status": delivery.status,
        "attempt_count": delivery.attempt_count,
        "next_attempt_at_ms": delivery.not_before_ms if delivery.status is DeliveryStatus.PENDING else None,
        "created_at_ms": delivery.created_at_ms,
        "updated_at_ms": delivery.updated_at_ms,
    }


def delivery_view(delivery: Delivery) -> WebhookDeliveryView:
    """Return a delivery with its latest attempts, oldest first."""
    return {**delivery_summary(delivery), "attempts": [_attempt(entry) for entry in delivery.attempts]}


def replay_view(replay: Replay) -> WebhookReplayView:
    """Return a replay and its progress."""
    return {
        "id": replay.replay_id,
        "object": "webhook_replay",
        "endpoint_id": replay.endpoint_id,
        "only": replay.only,
        "from_ms": replay.from_ms,
        "until_ms": replay.until_ms,
        "status": replay.status,
        "seen_count": replay.seen_count,
        "queued_count": replay.queued_count,
        "created_at_ms": replay.created_at_ms,
        "updated_at_ms": replay.updated_at_ms,
    }


def health_view(health: Health, now_ms: int) -> WebhookHealthView:
    """Return the receiver's health, and until when deliveries to it are paused."""
    open_until_ms = health.cooldown_over_at_ms()
    return {
        "consecutive_failures": health.consecutive_failures,
        "failing_since_ms": health.failing_since_ms or None,
        "breaker_open_until_ms": open_until_ms if open_until_ms > now_ms else None,
    }


def _attempt(entry: dict[str, Any]) -> WebhookAttemptView:
    return cast("WebhookAttemptView", {name: entry.get(name) for name in WebhookAttemptView.__annotations__})
