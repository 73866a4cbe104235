"""Lambda function of the route assign_break."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.break_routes import ROUTES
from payonce.entrypoints.http import serve
from payonce.wiring.application import bootstrap

ROUTE = ROUTES["assign_break"]
APPLICATION = bootstrap()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve one API Gateway proxy event."""
    return serve(ROUTE, APPLICATION, event, context)
