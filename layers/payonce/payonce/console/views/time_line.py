"""The time line's own words: moments and their facts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GOOD, BAD, DOUBT, PLAIN = "good", "bad", "doubt", ""
# The order of what has one time: a claim is before what it leads to.
RANKS: Final = ("claim", "routing", "gateway", "payment", "journal", "key", "dispute", "break", "correction", "webhook")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact of a moment: a text, an amount (minor units of ``currency``) or a time (epoch milliseconds)."""

    name: str
    text: str = ""
    amount_minor: int | None = None
    currency: str = ""
    at_ms: int | None = None
    is_id: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened to the payment. ``kind`` is one of ``RANKS``; ``tone`` says how it reads.

    ``path``: the console's page about it, "" for none. ``before_ms``: it was not later than this, where its own time is
    known to the second only; then it stands as late in the time line as it can.
    """

    at_ms: int
    kind: str
    title: str
    facts: tuple[Fact, ...] = ()
    tone: str = PLAIN
    path: str = ""
    before_ms: int | None = None

    @property
    def order(self) -> tuple[int, int]:
        """Where it stands."""
        return self.at_ms if self.before_ms is None else self.before_ms, RANKS.index(self.kind)
