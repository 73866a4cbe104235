"""Scheduled: reads the open claims and releases those that are due to the recovery queue, at each gateway's pace."""

from __future__ import annotations

from typing import Any

from payonce.wiring.recovery import bootstrap_recovery

APPLICATION = bootstrap_recovery()


def handler(_event: dict[str, Any], context: Any) -> dict[str, int]:
    """Feed the queue until nothing waits or nearly out of time; return and log the counts."""
    return APPLICATION.feed(context.get_remaining_time_in_millis())
