"""The relay: new outbox events of the stream become deliveries."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.batches import serve_stream
from payonce.wiring.delivery import bootstrap_delivery

APPLICATION = bootstrap_delivery()


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Relay one batch of the outbox's stream; name the first record that has to come again."""
    return serve_stream(event, APPLICATION.relay)
