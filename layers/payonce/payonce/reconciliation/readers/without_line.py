"""A file without one of its movements, so that the others can be looked at. Pure."""

from __future__ import annotations

import re
from typing import Final

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.mt940_lines import TAG
from payonce.reconciliation.readers.rows import FileFormat
from payonce.reconciliation.readers.tables import is_workbook
from payonce.reconciliation.readers.text import as_utf8

MESSAGES: Final = frozenset({FileFormat.CAMT, FileFormat.MT940, FileFormat.BAI2, FileFormat.OFX})
_PARTS: Final = {
    FileFormat.CAMT: re.compile(rb"<((?:[\w.-]+:)?Ntry)[\s>].*?</\1\s*>", re.DOTALL),
    FileFormat.OFX: re.compile(rb"<(STMTTRN)>.*?</\1>", re.DOTALL | re.IGNORECASE),
}


def without_line(data: bytes, line: int | None, found: FileFormat | None) -> bytes:
    """Return the file without the movement at ``line``, with every other line where it was; empty if it can't be."""
    if line is None or found is None or is_workbook(data):
        return b""
    try:
        data = as_utf8(data)
    except FileRejected:
        return b""
    if (pattern := _PARTS.get(found)) is not None:
        return _without_part(data, pattern, line)
    lines = data.split(b"\n")
    if not 1 < line <= len(lines):
        return b""
    if found is FileFormat.MT940:
        return b"\n".join(_without_field(lines, line - 1))
    # A quote that is open at a line's end begins a record of several lines, whose end is not known.
    if found in MESSAGES or lines[line - 1].count(b'"') % 2:
        return b""
    lines[line - 1] = b""
    return b"\n".join(lines)


def _without_part(data: bytes, pattern: re.Pattern[bytes], line: int) -> bytes:
    end = -1
    for _ in range(line - 1):
        end = data.find(b"\n", end + 1)
        if end < 0:
            return b""
    start, stop = end + 1, data.find(b"\n", end + 1) % (len(data) + 1)
    hit = [part for part in pattern.finditer(data) if part.start() < stop and part.end() > start]
    if len(hit) != 1:
        return b""  # several on one line: which one it is, is not known
    (part,) = hit
    return data[: part.start()] + b"\n" * part[0].count(b"\n") + data[part.end() :]


def _without_field(lines: list[bytes], first: int) -> list[bytes]:
    """Return the lines of a MT940 without the movement that begins there, and without the text that belongs to it."""
    if not lines[first].startswith(b":61:"):
        return []
    last = first + 1
    while last < len(lines) and not _begins_another(lines[last]):
        last += 1
    return [*lines[:first], *[b""] * (last - first), *lines[last:]]


def _begins_another(line: bytes) -> bool:
    if line.startswith((b"{", b"-}")) or line.strip() == b"-":
        return True
    found = TAG.match(line.decode("iso-8859-1"))
    return found is not None and found[1] != "86"
