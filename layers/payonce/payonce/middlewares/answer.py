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


def check_complete(status: int, lines: Lines, length: int) -> None:
    """Raise ``RuntimeError`` for a body of ``length`` bytes that is shorter than its own Content-Length.

    Servers end the connection there, so that the client sees that it has half an answer (RFC 9112, section 8). The
    length is made anew here, and would make a whole answer of it.
    """
    declared = next((value for name, value in lines if name.lower() == "content-length"), "")
    if declared.isdecimal() and length < int(declared) and status not in {204, 304}:
        raise RuntimeError(f"The application's answer ended after {length} of the {declared} bytes that it declared.")


class AppAnswered(Exception):
    """Carries an answer that does not conclude the key: the caller gets it, and nobody after."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the application answered {answer.status}")
        self.answer = answer


class Freed(AppAnswered):
    """The application says with its status that it did nothing."""


class Doubted(AppAnswered):
    """The application has failed, perhaps after an effect."""
