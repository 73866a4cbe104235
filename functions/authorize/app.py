"""Lambda authorizer of the API."""

from __future__ import annotations

from typing import Any

from payonce.bootstrap import bootstrap
from payonce.entrypoints.authorizer import authorize

APPLICATION = bootstrap()


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Turn an API key into a policy and a merchant."""
    return authorize(APPLICATION.merchants, event)
