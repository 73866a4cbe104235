"""Keeps what the overview shows: counts per minute of what the outbox, the cases and the log tell."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.overview_stream import serve_overview
from payonce.wiring.overview import bootstrap_overview

APPLICATION = bootstrap_overview()


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Add one batch."""
    return serve_overview(event, APPLICATION.minute_counts, APPLICATION.database, APPLICATION.clock)
