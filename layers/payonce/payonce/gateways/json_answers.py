"""Reads a gateway's JSON, which may be anything: an adapter never raises for what a gateway answers."""

from __future__ import annotations

import json
from typing import Any


def document_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``; an empty one for anything else, such as one that is nested endlessly."""
    try:
        return object_of(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def object_of(value: Any) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object; an empty one otherwise."""
    return value if isinstance(value, dict) else {}
