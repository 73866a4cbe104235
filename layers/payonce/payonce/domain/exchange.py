"""How one HTTP exchange can end: answered, certainly not sent, or lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer. ``headers`` has lower-case names; ``lines`` has every header line as received, in order."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Oversized:
    """An answer whose status and headers arrived but whose body exceeds the limit. The request was executed."""

    status: int
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NotSent:
    """No byte of the request was sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The request may have arrived, but there is no usable answer."""

    reason: str


type Exchange = Answered | NotSent | Lost
