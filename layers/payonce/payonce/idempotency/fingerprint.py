"""The fingerprint of a request: what must be equal for two requests with one key to be the same request."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


# Made once: ``json.dumps`` makes an encoder for each call.
_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical_json(value: Any) -> bytes:
    """Return the canonical form of a JSON value: sorted keys, no white space, UTF-8. Array order is significant."""
    return _ENCODE(value).encode("utf-8", "surrogatepass")


def fingerprint(method: str, route: str, path_parameters: Mapping[str, str], body: bytes) -> str:
    """Return the SHA-256 (hex) over method, route, path parameters and ``body``, each prefixed with its length.

    ``body`` is ``canonical_json`` of a JSON body, or the raw bytes of any other.
    """
    digest = hashlib.sha256()
    for part in (method.upper().encode(), route.encode(), canonical_json(dict(path_parameters)), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
