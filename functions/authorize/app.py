"""Lambda authorizer of the API."""

from __future__ import annotations

import os
from typing import Any

from payonce.entrypoints.authorizer import authorize
from payonce.wiring.application import bootstrap

APPLICATION = bootstrap()
SHARED_USAGE_KEY = os.environ.get("PAYONCE_SHARED_USAGE_KEY", "")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Turn an API key into a policy and a merchant."""
    return authorize(APPLICATION.merchants, event, shared_usage_key=SHARED_USAGE_KEY)
