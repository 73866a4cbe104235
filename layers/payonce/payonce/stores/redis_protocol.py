"""Redis' protocol, version 2: commands out, answers in.

https://redis.io/docs/latest/develop/reference/protocol-spec
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions
from redis.connection import DefaultParser

if TYPE_CHECKING:
    from collections.abc import Iterator


_SIZES = [b"$%d" % size for size in range(256)]


class _Incomplete(Exception):
    """The rest of the answer has not arrived yet."""


def packed(command: tuple[str | bytes | int, ...]) -> bytes:
    """Return a command as it is sent: an array of binary-safe strings. Its name may be two words (CONFIG GET)."""
    parts = [*command[0].split(), *command[1:]] if isinstance(command[0], str) else command
    packing = [b"*%d" % len(parts)]
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode() if isinstance(part, str) else b"%d" % part
        size = len(data)
        packing += (_SIZES[size] if size < len(_SIZES) else b"$%d" % size, data)
    packing.append(b"")
    return b"\r\n".join(packing)


class Answers:
    """The complete answers in what has been received. A refusal is an answer, too: a ``ResponseError``.

    Iterating raises ``InvalidResponse`` for what is no answer.
    """

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._data = self._data + data if self._data else data

    def __iter__(self) -> Iterator[Any]:
        """Return each complete answer once."""
        data, position = self._data, 0
        try:
            while position < len(data):
                answer, position = _answer(data, position)
                self._data = data[position:]
                yield answer
        except _Incomplete:
            return


def _answer(data: bytes, position: int) -> tuple[Any, int]:
    end = data.find(b"\r\n", position)
    if end < 0:
        raise _Incomplete
    kind, rest, after = data[position], data[position + 1 : end], end + 2
    match chr(kind):
        case ":":
            return int(rest), after
        case "+":
            return rest, after
        case "-":
            return DefaultParser.parse_error(rest.decode(errors="replace")), after  # type: ignore[no-untyped-call]
        case "$":
            return _string(data, int(rest), after)
        case "*":
            return _array(data, int(rest), after)
    raise exceptions.InvalidResponse("an answer of no known kind")


def _string(data: bytes, length: int, position: int) -> tuple[bytes | None, int]:
    if length < 0:
        return None, position
    if len(data) < position + length + 2:
        raise _Incomplete
    return data[position : position + length], position + length + 2


def _array(data: bytes, length: int, position: int) -> tuple[list[Any] | None, int]:
    if length < 0:
        return None, position
    answers = []
    for _ in range(length):
        answer, position = _answer(data, position)
        answers.append(answer)
    return answers, position
