"""Signals for routing: what the claims' stream and the log of refused requests say becomes small items."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.signal_stream import serve_signals
from payonce.wiring.routing import bootstrap_routing

APPLICATION = bootstrap_routing()


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Store the signals of one batch."""
    return serve_signals(event, APPLICATION.database, APPLICATION.clock)
