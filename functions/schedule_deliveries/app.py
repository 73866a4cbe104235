"""Scheduled: queues the deliveries that are due, relays what the stream left, goes on with replays."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from payonce.observability import get_logger
from payonce.ports import Deadline
from payonce.wiring.delivery import bootstrap_delivery

APPLICATION = bootstrap_delivery()
STOP_BEFORE_TIMEOUT_MS = 5_000  # one page of due deliveries, and the log


def handler(_event: dict[str, Any], context: Any) -> dict[str, int]:
    """Run the scheduler until done or nearly out of time; return and log its counts."""
    remaining_ms = context.get_remaining_time_in_millis() - STOP_BEFORE_TIMEOUT_MS
    report = APPLICATION.scheduler.run(Deadline(APPLICATION.clock.now_ms() + remaining_ms))
    counts = asdict(report)
    get_logger().info("scheduler run", extra=counts)
    return counts
