"""The dispatcher: attempts the deliveries that the messages of a batch ask for, all at the same time."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.batches import serve_queue
from payonce.ports import Deadline
from payonce.webhooks.messages import parse_message
from payonce.wiring.delivery import bootstrap_delivery

APPLICATION = bootstrap_delivery()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one batch of the delivery queue; name the messages that have to come again."""
    deadline = Deadline(APPLICATION.clock.now_ms() + context.get_remaining_time_in_millis())
    # Made before the threads start: two of them would make it twice.
    dispatcher = APPLICATION.dispatcher
    return serve_queue(event, lambda body: dispatcher.handle(parse_message(body), deadline))
