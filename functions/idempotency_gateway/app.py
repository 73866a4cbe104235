"""The idempotency gateway: payonce's rules in front of the configured upstreams."""

from __future__ import annotations

import os
from typing import Any

from payonce.bootstrap import bootstrap
from payonce.bootstrap_gateway import gateway_of
from payonce.entrypoints.gateway import serve

GATEWAY = gateway_of(bootstrap(), os.environ)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve one API Gateway proxy event."""
    return serve(GATEWAY.service, GATEWAY.clock, event, context)
