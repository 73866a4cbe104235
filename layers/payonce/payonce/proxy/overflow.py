"""Answers too large for a record: stored beside it, referenced from it, and verified when read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.errors import StoreUnavailable
from payonce.idempotency.records import StoredResponse
from payonce.proxy.answers import too_large

if TYPE_CHECKING:
    from payonce.ports import Blobs
    from payonce.proxy.messages import Lines

OVERFLOW_HEADER = "payonce-overflow"  # in the stored response: name, SHA-256 and length; never sent
MAX_LINES_BYTES = 32 * 1024  # of the stored header lines; a record holds 400 KB in total


@dataclass(frozen=True, slots=True)
class Limits:
    """``inline_bytes`` fit into the record, ``total_bytes`` beside it; a larger answer can't be replayed."""

    inline_bytes: int
    total_bytes: int


class Keeper:
    """Makes stored responses, and opens them again."""

    def __init__(self, limits: Limits, blobs: Blobs | None) -> None:
        self._limits = limits
        self._blobs = blobs

    def keep(self, status: int, lines: Lines, body: bytes, *, owner: str) -> StoredResponse:
        """Return the stored form of a response. Never raises: the effect has happened and must be recorded.

        ``owner`` names the claim's owner, so that two owners never write the same blob with different bytes.
        """
        if sum(len(name) + len(value) for name, value in lines) > MAX_LINES_BYTES:
            return too_large(status, _location(lines))
        if len(body) <= self._limits.inline_bytes:
            return StoredResponse(status, {}, body, lines)
        if self._blobs is None or len(body) > self._limits.total_bytes:
            return too_large(status, _location(lines))
        digest = hashlib.sha256(body).hexdigest()
        name = f"{owner}-{digest[:16]}"
        try:
            self._blobs.put(name, body)
        except StoreUnavailable:
            return too_large(status, _location(lines))
        return StoredResponse(status, {}, b"", (*lines, (OVERFLOW_HEADER, f"{name} {digest} {len(body)}")))

    def open(self, response: StoredResponse) -> StoredResponse:
        """Return the response as the upstream sent it. Raises ``StoreUnavailable`` when its body can't be read now."""
        pointer = next((value for name, value in response.header_lines() if name == OVERFLOW_HEADER), None)
        if pointer is None:
            return response
        name, digest, _ = pointer.split(" ")
        lines = tuple(line for line in response.lines if line[0] != OVERFLOW_HEADER)
        body = None if self._blobs is None else self._blobs.get(name)
        if body is None or hashlib.sha256(body).hexdigest() != digest:
            return too_large(response.status, _location(lines))
        return replace(response, body=body, lines=lines)


def _location(lines: Lines) -> str:
    return next((value for name, value in lines if name.lower() == "location"), "")
