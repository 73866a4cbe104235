"""Scheduled: for about a minute reads signals, decides every second, and puts the control document in force."""

from __future__ import annotations

from typing import Any

from payonce.wiring.routing import bootstrap_routing

APPLICATION = bootstrap_routing()


def handler(_event: dict[str, Any], context: Any) -> dict[str, int]:
    """Run the predictor until the next run stands by; return and log its counts."""
    return APPLICATION.predict(context.get_remaining_time_in_millis())
