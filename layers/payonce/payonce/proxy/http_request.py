"""Reads HTTP/1 requests: where a head and its body end. Refuses any for which two servers could find two places.

RFC 9112: section 2.2 (line ends), 3 (request line), 5 (fields), 6.3 (length), 7.1 (chunks). Here is decided what a
request is; whether it is one that is taken (its names, values, target) is decided by ``payonce.proxy.headers``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    type ByteLines = list[tuple[bytes, bytes]]

MAX_HEAD_BYTES = 64 * 1024  # request line and fields; 32 KB of fields are taken (``headers``)
MAX_CHUNK_LINE_BYTES = 64  # a chunk's size with its extensions, which nobody sends
MAX_TRAILER_BYTES = 8 * 1024

HEAD_END = b"\n\r\n"  # the longest
_END = re.compile(rb"\n\r?\n")  # a single LF may end a line of a head (RFC 9112, 2.2)
_START = re.compile(rb"([!-~]+) ([!-~]+) HTTP/1\.([01])\r?")
_FOLD = re.compile(rb"[ \t]*\r?\n[ \t]+")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")


class BadRequest(Exception):
    """The octets are no request, or could be read in two ways."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and its fields: names in lower case, equal lengths as one. ``length`` is 0 without a body.

    ``persistent``: the client wants to send another request on this connection (RFC 9112, 9.3).
    """

    method: bytes
    target: bytes
    version: str
    lines: ByteLines
    length: int
    chunked: bool
    persistent: bool
    expects_continue: bool


class Body(Protocol):
    """Takes a body out of what is received."""

    def take(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Return what belongs to the body, what is behind, and whether the body is over. Raises ``BadRequest``."""
        ...


def split_head(data: bytes, searched_bytes: int = 0) -> tuple[Head, bytes] | None:
    """Return the first head in ``data`` and what is behind it, or ``None`` while it is incomplete.

    No end of a head begins in the first ``searched_bytes``. Raises ``BadRequest``.
    """
    end = _END.search(data, searched_bytes)
    if end is None and len(data) <= MAX_HEAD_BYTES:
        return None
    if end is None or end.start() > MAX_HEAD_BYTES:
        raise BadRequest("the head is too long")
    return _head(data[: end.start()]), data[end.end() :]


def body_of(head: Head) -> Body:
    """Return what takes the head's body."""
    return _Chunks() if head.chunked else _Length(head.length)


def _head(block: bytes) -> Head:
    first, newline, rest = block.partition(b"\n")
    start = _START.fullmatch(first)
    if start is None:
        raise BadRequest("the request line is not one")
    version = "1.1" if start[3] == b"1" else "1.0"
    lines = _fields(rest) if newline else []
    fields: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        fields.setdefault(name, []).append(value)
    hosts = len(fields.get(b"host", ()))
    if hosts > 1 or (not hosts and version == "1.1"):
        raise BadRequest("a request has one Host")
    codings, lengths = fields.get(b"transfer-encoding", []), fields.get(b"content-length", [])
    length = _length(lengths) if lengths else 0
    if codings and (lengths or version == "1.0" or [coding.lower() for coding in codings] != [b"chunked"]):
        raise BadRequest("its transfer coding is not chunked alone, or stands beside a length")
    if len(lengths) > 1 or (lengths and lengths[0] != b"%d" % length):
        lines = [*(line for line in lines if line[0] != b"content-length"), (b"content-length", b"%d" % length)]
    options = {option.strip(b" \t").lower() for value in fields.get(b"connection", ()) for option in value.split(b",")}
    return Head(
        method=start[1],
        target=start[2],
        version=version,
        lines=lines,
        length=length,
        chunked=bool(codings),
        persistent=version == "1.1" and b"close" not in options,
        expects_continue=version == "1.1" and b"100-continue" in [value.lower() for value in fields.get(b"expect", ())],
    )


def _fields(block: bytes) -> ByteLines:
    if block[:1] in {b" ", b"\t"}:
        raise BadRequest("a fold follows the request line")
    if b"\n " in block or b"\n\t" in block:
        block = _FOLD.sub(b" ", block)  # a folded value is one value (RFC 9112, 5.2)
    lines = []
    for line in block.split(b"\n"):
        name, colon, value = line.removesuffix(b"\r").partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise BadRequest("a line of the head is no field")
        lines.append((name.lower(), value.strip(b" \t")))
    return lines


def _length(values: list[bytes]) -> int:
    # Equal lengths are one length (RFC 9110, 8.6).
    found = {part.strip(b" \t") for value in values for part in value.split(b",")}
    if len(found) > 1 or not _LENGTH.fullmatch(only := found.pop()):
        raise BadRequest("its Content-Length is not one number")
    return int(only)


class _Length:
    def __init__(self, length: int) -> None:
        self._missing = length

    def take(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """See ``Body``."""
        part, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(part)
        return part, rest, self._missing == 0


class _Chunks:
    """A chunked body (RFC 9112, 7.1). Its trailers are read and dropped: they never become fields of the head."""

    def __init__(self) -> None:
        self._missing = 0
        self._is_inside = False  # a chunk's data, or the line end behind it
        self._is_trailing = False
        self._trailer_bytes = 0

    def take(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """See ``Body``."""
        body, position, is_over = bytearray(), 0, False
        while not is_over:
            taken = self._data(data, position, body) if self._is_inside else None
            if taken is None:
                end = self._line_end(data, position)
                if end < 0:
                    break
                is_over = self._line(data[position : end - 1])
                position = end + 1
            else:
                position += taken
                if self._is_inside:
                    break
        return bytes(body), data[position:], is_over

    def _data(self, data: bytes, position: int, body: bytearray) -> int:
        """Take a chunk's data, and the line end behind it once it is there; return their length."""
        part = data[position : position + self._missing]
        body += part
        self._missing -= len(part)
        end = data[position + len(part) : position + len(part) + 2]
        if self._missing or len(end) < 2:
            if not b"\r\n".startswith(end):
                raise BadRequest("a chunk is longer than it says")
            return len(part)
        if end != b"\r\n":
            raise BadRequest("a chunk is longer than it says")
        self._is_inside = False
        return len(part) + 2

    def _line_end(self, data: bytes, position: int) -> int:
        """Return where the line's LF is, or -1 while it has not arrived."""
        limit = MAX_TRAILER_BYTES - self._trailer_bytes if self._is_trailing else MAX_CHUNK_LINE_BYTES
        end = data.find(b"\n", position, position + limit)
        if end < 0 and len(data) - position >= limit:
            raise BadRequest("a line of the chunks is too long")
        if end >= 0 and data[end - 1 : end] != b"\r":
            raise BadRequest("a line of the chunks does not end with CRLF")
        return end

    def _line(self, line: bytes) -> bool:
        """Read a chunk's size, or a trailer; return whether the body is over."""
        if self._is_trailing:
            self._trailer_bytes += len(line) + 2
            if line:
                _fields(line)
            return not line
        size = _CHUNK.fullmatch(line)
        if size is None:
            raise BadRequest("a chunk does not say how long it is")
        self._missing = int(size[1], 16)
        self._is_inside, self._is_trailing = self._missing > 0, self._missing == 0
        return False
