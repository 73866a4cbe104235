"""Scheduled recovery: carries on open claims whose owner is gone and asks about those in doubt."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from payonce.bootstrap import bootstrap
from payonce.observability import get_logger
from payonce.ports import Deadline

APPLICATION = bootstrap()
STOP_BEFORE_TIMEOUT_MS = 2_000  # time to log and answer before the function is cut off


def handler(_event: dict[str, Any], context: Any) -> dict[str, int]:
    """Run recovery until done or nearly out of time; return and log its counts."""
    remaining_ms = context.get_remaining_time_in_millis() - STOP_BEFORE_TIMEOUT_MS
    report = APPLICATION.recovery.run(Deadline(APPLICATION.clock.now_ms() + remaining_ms))
    counts = asdict(report)
    get_logger().info("recovery run", extra=counts)
    return counts
