"""The inbox: messages of a merchant's other systems become events, stamped from their content."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.batches import serve_queue
from payonce.entrypoints.inbox_messages import parse_inbox_message
from payonce.wiring.delivery import bootstrap_delivery

APPLICATION = bootstrap_delivery()


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Stamp one batch of the inbox queue; name the messages that have to come again."""
    inbox = APPLICATION.inbox
    return serve_queue(event, lambda body: inbox.accept(parse_inbox_message(body)))
