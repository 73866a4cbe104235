"""The asker: takes over the open claims that a message names, asks about them, and settles them at the same time."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.batches import serve_queue
from payonce.ports import Deadline
from payonce.wiring.recovery import STOP_BEFORE_ANSWER_MS, bootstrap_recovery

APPLICATION = bootstrap_recovery()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one batch of the recovery queue; name the messages that have to come again."""
    remaining_ms = context.get_remaining_time_in_millis() - STOP_BEFORE_ANSWER_MS
    deadline = Deadline(APPLICATION.clock.now_ms() + remaining_ms)
    # Made before the threads start: two of them would make it twice.
    asker = APPLICATION.asker
    return serve_queue(event, lambda body: asker.handle(body, deadline))
