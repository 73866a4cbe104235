"""Deliveries, replays and an endpoint's health as merchants see them. For endpoints see ``endpoint_view``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.webhooks import DeliveryStatus

if TYPE_CHECKING:
    from payonce.domain.webhooks import Health
    from payonce.webhooks.deliveries import Delivery
    from payonce.webhooks.replay_items import Replay


def delivery_summary(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery in the form that lists show."""
    return {
        "id": delivery.delivery_id,
        "object": "webhook_delivery",
        "endpoint_id": delivery.endpoint_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "event_created_at_ms": delivery.event_created_at_ms,
        "status": delivery.status.value,
        "attempt_count": delivery.attempt_count,
        "next_attempt_at_ms": delivery.not_before_ms if delivery.status is DeliveryStatus.PENDING else None,
        "created_at_ms": delivery.created_at_ms,
        "updated_at_ms": delivery.updated_at_ms,
    }


def delivery_view(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery with its latest attempts, oldest first."""
    return {**delivery_summary(delivery), "attempts": [_attempt(entry) for entry in delivery.attempts]}


def replay_view(replay: Replay) -> dict[str, Any]:
    """Return a replay and its progress."""
    return {
        "id": replay.replay_id,
        "object": "webhook_replay",
        "endpoint_id": replay.endpoint_id,
        "only": replay.only.value,
        "from_ms": replay.from_ms,
        "until_ms": replay.until_ms,
        "status": replay.status.value,
        "seen_count": replay.seen_count,
        "queued_count": replay.queued_count,
        "created_at_ms": replay.created_at_ms,
        "updated_at_ms": replay.updated_at_ms,
    }


def health_view(health: Health, now_ms: int) -> dict[str, Any]:
    """Return the receiver's health, and until when deliveries to it are paused."""
    open_until_ms = health.cooldown_over_at_ms()
    return {
        "consecutive_failures": health.consecutive_failures,
        "failing_since_ms": health.failing_since_ms or None,
        "breaker_open_until_ms": open_until_ms if open_until_ms > now_ms else None,
    }


def _attempt(entry: dict[str, Any]) -> dict[str, Any]:
    names = ("number", "at_ms", "latency_ms", "status", "response_excerpt", "error", "detail")
    return {name: entry.get(name) for name in names}
