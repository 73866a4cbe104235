"""Lambda function of the route list_webhook_endpoints."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.endpoint_routes import ROUTES
from payonce.entrypoints.http import serve
from payonce.wiring.application import bootstrap

ROUTE = ROUTES["list_webhook_endpoints"]
APPLICATION = bootstrap()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve one API Gateway proxy event."""
    return serve(ROUTE, APPLICATION, event, context)
