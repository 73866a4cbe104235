"""Responses that contain a secret: stored sealed, opened when sent, and so replayed byte for byte like any other.

The seal is bound to the record: a response opens only for its own merchant, operation and key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.idempotency.records import StoredResponse
    from payonce.ports import Cipher

SEALED_HEADER = "payonce-sealed"  # marks a stored response; never sent


def seal_response(cipher: Cipher, response: StoredResponse, record_id: str) -> StoredResponse:
    """Return the response with its body sealed. Raises ``StoreUnavailable``."""
    body = cipher.seal(response.body, _context(record_id))
    if response.lines:
        return replace(response, lines=(*response.lines, (SEALED_HEADER, "true")), body=body)
    return replace(response, headers={**response.headers, SEALED_HEADER: "true"}, body=body)


def is_sealed(response: StoredResponse) -> bool:
    """Return whether the body must be opened before it is sent."""
    return any(name == SEALED_HEADER for name, _ in response.header_lines())


def open_response(cipher: Cipher, response: StoredResponse, record_id: str) -> StoredResponse:
    """Return the response as it was before it was sealed. Raises ``SecretNotOpened`` or ``StoreUnavailable``."""
    return replace(
        response,
        headers={name: value for name, value in response.headers.items() if name != SEALED_HEADER},
        lines=tuple(line for line in response.lines if line[0] != SEALED_HEADER),
        body=cipher.open(response.body, _context(record_id)),
    )


def _context(record_id: str) -> dict[str, str]:
    return {"merchant_id": record_id.split("#", 1)[0], "record_id": record_id}
