"""How one HTTP exchange can end: answered, certainly not sent, or lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer. ``headers`` has lower-case names; ``lines`` has every header line as it came, in order."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Oversized:
    """An answer whose status and headers came, and whose body is over the limit: it was executed all the same."""

    status: int
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not one byte of the request went out."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The request may have arrived; there is no usable answer."""

    reason: str


type Exchange = Answered | NotSent | Lost
