"""Open claims as the index lists them: what is known of a claim without reading its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from payonce.ports import Item


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """A claim that is not concluded, as the index lists it. ``due_at_ms``: nobody may take it over before."""

    record_id: str
    lane: str
    due_at_ms: int
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class OpenPage:
    """One page of a shard's open claims. ``next_key`` is where the next page starts, ``None`` on the last page."""

    claims: list[OpenClaim]
    next_key: Item | None


class OpenClaims(Protocol):
    """Port of those that read the whole backlog, page by page."""

    def open_page(self, shard: int, *, limit: int, start: Item | None = None, due_by_ms: int | None = None) -> OpenPage:
        """Return up to ``limit`` open claims of ``shard``, the ones that are due first ahead. Eventually consistent.

        ``due_by_ms``: leave out those that are due later.
        """
        ...
