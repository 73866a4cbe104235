"""The idempotency gateway: payonce's rules in front of the configured upstreams."""

from __future__ import annotations

from typing import Any

from payonce.bootstrap_gateway import bootstrap_gateway
from payonce.entrypoints.gateway import serve

GATEWAY = bootstrap_gateway()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve one API Gateway proxy event."""
    return serve(GATEWAY.service, GATEWAY.clock, event, context)
