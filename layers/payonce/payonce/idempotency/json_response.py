"""Responses in their stored form: bytes rendered once, with the headers that are replayed with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.idempotency.records import StoredResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON_CONTENT_TYPE = "application/json"


def encode(document: Mapping[str, object]) -> bytes:
    """Return the exact bytes of a JSON document."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def json_response(status: int, document: Mapping[str, object], *, location: str) -> StoredResponse:
    """Return a JSON response with the headers that are stored and replayed with it."""
    return StoredResponse(status, {"content-type": JSON_CONTENT_TYPE, "location": location}, encode(document))
