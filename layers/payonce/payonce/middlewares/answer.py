"""The answer of an application, as a middleware collects it: complete, up to a limit, before the client gets any."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payonce.proxy.messages import Lines


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. ``lines`` are its header lines in order. ``body`` is ``None`` when it was over the limit."""

    status: int
    lines: Lines
    body: bytes | None

    @classmethod
    def json(cls, status: int, value: Any, *lines: tuple[str, str]) -> Answer:
        """Return an answer with ``value`` as JSON, for a ``resolve`` that has found what was executed."""
        return cls(status, (("Content-Type", "application/json"), *lines), json.dumps(value).encode())


class Collected:
    """A body that arrives in pieces. What exceeds ``limit_bytes`` is counted and dropped: memory stays bounded."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._pieces = bytearray()
        self.length = 0

    def add(self, piece: bytes | bytearray | memoryview) -> None:
        """Append a piece."""
        self.length += len(piece)
        if self.length <= self._limit_bytes:
            self._pieces += piece
        else:
            self._pieces.clear()

    def body(self) -> bytes | None:
        """Return the body, or ``None`` when it exceeds the limit."""
        return bytes(self._pieces) if self.length <= self._limit_bytes else None


class AppAnswered(Exception):
    """Carries an answer that does not conclude the key: the caller gets it, and nobody after."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the application answered {answer.status}")
        self.answer = answer


class Freed(AppAnswered):
    """The application says with its status that it did nothing."""


class Doubted(AppAnswered):
    """The application has failed, perhaps after an effect."""
