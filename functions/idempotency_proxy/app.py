"""The idempotency proxy: payonce's rules in front of the configured upstreams."""

from __future__ import annotations

import os
from typing import Any

from payonce.entrypoints.proxy import serve
from payonce.wiring.application import bootstrap
from payonce.wiring.proxy_function import proxy_of

PROXY = proxy_of(bootstrap(), os.environ)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve one API Gateway proxy event."""
    return serve(PROXY.service, PROXY.clock, event, context)
