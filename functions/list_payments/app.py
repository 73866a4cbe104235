"""Lambda function of the route list_payments."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.http import serve
from payonce.entrypoints.payment_routes import ROUTES
from payonce.wiring.application import bootstrap

ROUTE = ROUTES["list_payments"]
APPLICATION = bootstrap()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve one API Gateway proxy event."""
    return serve(ROUTE, APPLICATION, event, context)
