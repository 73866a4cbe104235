"""Events that gateways post: verified, kept and queued, each once, and only then acknowledged."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.gateway_events import accept_event
from payonce.wiring.notices import bootstrap_notices

APPLICATION = bootstrap_notices()


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Answer 200 once the event is kept and queued, or known to be applied."""
    return accept_event(APPLICATION, event)
