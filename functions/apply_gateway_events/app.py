"""Applies gateways' events: resolves doubts, follows what waits, and books what was done at the gateway."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.batches import serve_queue
from payonce.ports import Deadline
from payonce.wiring.notices import STOP_BEFORE_TIMEOUT_MS, bootstrap_notices

APPLICATION = bootstrap_notices()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Apply the events of one batch of the queue at the same time; name the messages that have to come again."""
    remaining_ms = context.get_remaining_time_in_millis() - STOP_BEFORE_TIMEOUT_MS
    deadline = Deadline(APPLICATION.clock.now_ms() + remaining_ms)
    # Made before the threads start: two of them would make it twice.
    applier = APPLICATION.applier
    return serve_queue(event, lambda body: applier.handle(body, deadline))
