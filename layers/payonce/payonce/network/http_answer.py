"""Reads the answer to one HTTP/1 request, and refuses any that two parsers could read differently.

RFC 9112: section 2.2 (line ends), 4 (status line), 5 (fields), 6.3 (length), 7.1 (chunks). ``http.client`` accepts the
first of two lengths, ``+5``, ``0x5`` in a chunk, and a bare CR as a line end: a truncated answer, or one with an
injected header, would pass as complete. What is refused here leaves the request's outcome unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HEAD_BYTES = 64 * 1024  # status line and fields; servers send at most 8 KB unless configured otherwise
MAX_LINE_BYTES = 64  # a chunk's size with its extensions, which nobody sends
READ_BYTES = 64 * 1024
BODILESS = frozenset({204, 304})

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")

type Lines = tuple[tuple[str, str], ...]


class MalformedAnswer(Exception):
    """The answer is missing or truncated, or could be read in two ways."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and fields. ``length`` is the body's, ``None`` when the body ends with the connection.

    ``persistent``: the server will take another request on this connection (RFC 9112, 9.3).
    """

    status: int
    lines: Lines
    length: int | None
    chunked: bool
    persistent: bool = False


class Reader(Protocol):
    """What is received, as ``io.BufferedReader`` gives it."""

    def readline(self, size: int, /) -> bytes:
        """Return a line with its end, or its first ``size`` bytes."""
        ...

    def read1(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, as soon as there is one; b"" at the end."""
        ...


def read_head(reader: Reader, method: str) -> Head:
    """Return the head of the final answer to ``method``, skipping interim ones. Raises ``MalformedAnswer``."""
    while True:
        lines = list(_head_lines(reader))
        start = _STATUS.fullmatch(lines[0]) if lines else None
        if start is None:
            raise MalformedAnswer("there is no status line")
        status, fields = int(start[2]), _fields(lines[1:])
        if status >= 200:
            return _framed(method, status, fields, http_1_0=start[1] == b"0")


def read_body(reader: Reader, head: Head, max_bytes: int) -> bytes | None:
    """Return the whole body, or ``None`` when it exceeds ``max_bytes``. Raises ``MalformedAnswer`` if truncated."""
    body = bytearray()
    for part in _chunks(reader, max_bytes) if head.chunked else _parts(reader, head.length, max_bytes):
        body += part
        if len(body) > max_bytes:
            return None
    return bytes(body)


def _head_lines(reader: Reader) -> Iterator[bytes]:
    room = MAX_HEAD_BYTES
    while line := _line(reader, room):
        room -= len(line) + 2
        yield line


def _line(reader: Reader, max_bytes: int) -> bytes:
    """Return the next line without its end, CRLF. Any other line end is treated as an attempt to inject a header."""
    line = reader.readline(max(max_bytes, 0) + 2)
    if not line.endswith(b"\r\n"):
        raise MalformedAnswer("a line of the head is cut short, too long, or does not end with CRLF")
    if b"\r" in line[:-2] or b"\0" in line:
        raise MalformedAnswer("a line of the head holds a bare CR or a NUL")
    return line[:-2]


def _fields(lines: list[bytes]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in {b" ", b"\t"} and fields:  # a folded value: the fold becomes a space (RFC 9112, 5.2)
            name, value = fields[-1]
            fields[-1] = (name, f"{value} {line.decode('latin-1').strip(' \t')}".strip(" "))
            continue
        raw_name, colon, raw_value = line.partition(b":")
        # A proxy removes white space before the colon of an answer's field (RFC 9112, 5.1), so it is removed here too.
        raw_name = raw_name.rstrip(b" \t")
        if not colon or not _NAME.fullmatch(raw_name):
            raise MalformedAnswer("a line of the head is no field")
        fields.append((raw_name.decode("latin-1"), raw_value.decode("latin-1").strip(" \t")))
    return fields


def _framed(method: str, status: int, fields: list[tuple[str, str]], *, http_1_0: bool) -> Head:
    codings = [value.lower() for name, value in fields if name.lower() == "transfer-encoding"]
    lengths = [
        part.strip(" \t") for name, value in fields if name.lower() == "content-length" for part in value.split(",")
    ]
    if codings and (codings != ["chunked"] or lengths or http_1_0):
        raise MalformedAnswer("its transfer coding is not chunked alone, or stands beside a length")
    if len(set(lengths)) > 1 or any(not _LENGTH.fullmatch(length) for length in lengths):
        raise MalformedAnswer("its Content-Length is not one number")
    # A repeated, identical length is one length (RFC 9112, 6.3) and is passed on as one.
    lines = [(name, value) for name, value in fields if name.lower() != "content-length"]
    if lengths:
        lines.append(("Content-Length", lengths[0]))
    options = ",".join(value.lower() for name, value in fields if name.lower() == "connection").split(",")
    persistent = not http_1_0 and "close" not in {option.strip(" \t") for option in options}
    if method == "HEAD" or status in BODILESS:
        return Head(status, tuple(lines), 0, chunked=False, persistent=persistent)
    length = int(lengths[0]) if lengths else None
    return Head(status, tuple(lines), length, chunked=bool(codings), persistent=persistent)


def _parts(reader: Reader, length: int | None, max_bytes: int) -> Iterator[bytes]:
    missing = max_bytes + 1 if length is None else length
    while missing > 0:
        part = reader.read1(min(missing, READ_BYTES))
        if not part:
            if length is None:
                return
            raise MalformedAnswer("its body was cut short")
        missing -= len(part)
        yield part


def _chunks(reader: Reader, max_bytes: int) -> Iterator[bytes]:
    while True:
        size = _CHUNK.fullmatch(_line(reader, MAX_LINE_BYTES))
        if size is None:
            raise MalformedAnswer("a chunk does not say how long it is")
        if length := int(size[1], 16):
            yield from _parts(reader, length, max_bytes)
            if _line(reader, 0):
                raise MalformedAnswer("a chunk is longer than it says")
            continue
        _fields(list(_head_lines(reader)))  # trailers are read and discarded: they never become fields of the head
        return
