"""The first look at a CSV file's bytes: its id, its header, and whether it is CSV that nobody can read in two ways.

It parses no cell. What it counts (records, and the delimiters between their cells) is compared with what the engine has
read: an engine that skips a record or takes a wide one for a narrow one is noticed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.csv_table import csv_header
from payonce.reconciliation.readers.detect import BYTE_ORDER_MARK, detect
from payonce.reconciliation.readers.limits import DETECT_BYTES, MAX_LINE_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from payonce.reconciliation.readers.rows import FileFormat

BLOCK_BYTES = 1 << 18  # stays in a processor's cache while it is looked through several times
MAX_CELL_LINES = 100  # of a text with line ends in it; without a bound one quote would cost the square of the file
TAIL_BYTES = 65_536  # the records of control totals, one per currency
# What ``str.strip`` takes off beside space and line end. In a file that has one, every cell is stripped of all.
_BLANKS = tuple(b"\t\x0b\x0c\x1c\x1d\x1e\x1f"[at : at + 1] for at in range(7))
_LINE_BYTES = MAX_LINE_CHARACTERS - 1  # a reader may count the line's end, too
_WIDE_BLANKS = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
BLANKS = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLook:
    """What the bytes say. ``records`` are those below the header. ``tail`` are the file's last whole lines.

    ``blanks`` says what may surround a cell's text: nothing, spaces, or anything that counts as a blank.
    """

    path: Path
    file_id: str
    size: int
    modified_ns: int
    names: tuple[str, ...]
    delimiter: str
    records: int
    blanks: Literal["none", "spaces", "any"]
    header: bytes
    tail: bytes
    head: bytes

    @property
    def format(self) -> FileFormat | None:
        """Return the format that the beginning shows, ``None`` where it shows none."""
        try:
            return detect(self.head)
        except FileRejected:
            return None

    @property
    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was looked at."""
        found = self.path.stat()
        return (found.st_size, found.st_mtime_ns) == (self.size, self.modified_ns)


class _DeclinedError(Exception):
    """The file may be fine, but not in the ordinary form."""


def first_look(path: Path) -> FirstLook | None:
    """Return what the bytes say, ``None`` for a file that is left to the readers. Raises ``OSError``."""
    with path.open("rb") as opened:
        try:
            return _look(path, opened)
        except (_DeclinedError, FileRejected):
            return None


@dataclass(slots=True)
class _Counts:
    delimiter: bytes
    lines: int = 0
    crlf: int = 0
    delimiters: int = 0
    spaces: bool = False
    other_blanks: bool = False
    quoted: re.Pattern[bytes] = field(init=False)

    def __post_init__(self) -> None:
        # A quoted cell of RFC 4180, and nothing between its quotes and the delimiters around it.
        between = re.escape(self.delimiter)
        text = rb'(?:(?<=[%b\n])|\A)"(?:[^"]++|"")*+"(?=[%b\r\n]|\Z)' % (between, between)
        self.quoted = re.compile(text)

    def add(self, block: bytes) -> None:
        """Count a block of whole records. Raises ``_DeclinedError``."""
        if b"\0" in block or _has_long_line(block):
            raise _DeclinedError
        self._look_for_blanks(block)
        bare = self._without_quoted(block) if b'"' in block else block
        if b"\r" in block:
            lone = block.count(b"\r") - block.count(b"\r\n")
            self.crlf += bare.count(b"\r\n")
            if lone:
                raise _DeclinedError
        self.lines += bare.count(b"\n") + (not bare.endswith(b"\n"))
        self.delimiters += bare.count(self.delimiter)

    def _look_for_blanks(self, block: bytes) -> None:
        self.spaces = self.spaces or b" " in block
        if not self.other_blanks:
            self.other_blanks = any(blank in block for blank in _BLANKS)
        if not block.isascii():
            try:
                text = block.decode()
            except UnicodeDecodeError:
                raise _DeclinedError from None
            self.other_blanks = self.other_blanks or _WIDE_BLANKS.search(text) is not None

    def _without_quoted(self, block: bytes) -> bytes:
        bare = self.quoted.sub(b"", block)
        if b'"' in bare:
            raise _DeclinedError
        if bare.count(b"\n") != block.count(b"\n"):
            self.other_blanks = True
            if max(map(len, self.quoted.findall(block))) > MAX_LINE_CHARACTERS:
                raise _DeclinedError
        return bare


def _look(path: Path, opened: BinaryIO) -> FirstLook:
    found = path.stat()
    head = opened.read(DETECT_BYTES)
    opened.seek(0)
    first = head.partition(b"\n")[0]
    names, delimiter = csv_header(first.decode("utf-8-sig", "replace"))
    counts = _Counts(delimiter.encode())
    digest = hashlib.sha256()
    tail = b""
    for number, block in enumerate(_blocks(opened)):
        digest.update(block)
        tail = (tail + block)[-TAIL_BYTES:] if len(block) < TAIL_BYTES else block[-TAIL_BYTES:]
        counts.add(block.removeprefix(BYTE_ORDER_MARK) if number == 0 else block)
    # An odd line end or a cell too many is somewhere: let the reader say where.
    if not names or counts.crlf not in (0, counts.lines, counts.lines - (not tail.endswith(b"\n"))):
        raise _DeclinedError
    if counts.delimiters != counts.lines * (len(names) - 1):
        raise _DeclinedError
    return FirstLook(
        path=path,
        file_id=digest.hexdigest(),
        size=found.st_size,
        modified_ns=found.st_mtime_ns,
        names=names,
        delimiter=delimiter,
        records=counts.lines - 1,
        blanks="any" if counts.other_blanks else "spaces" if counts.spaces else "none",
        header=first + b"\n",
        tail=tail if len(tail) < TAIL_BYTES else tail.partition(b"\n")[2],
        head=head,
    )


def _has_long_line(block: bytes) -> bool:
    """Return whether a line is too long, by looking for one line's end in as many bytes as a line may have."""
    at = -1
    while at + _LINE_BYTES + 1 < len(block):
        at = block.rfind(b"\n", at + 1, at + _LINE_BYTES + 2)
        if at < 0:
            return True
    return False


def _blocks(opened: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes in blocks of whole records: behind a line's end, an even number of quotes before it."""
    kept = b""
    while more := opened.read(BLOCK_BYTES):
        block = b"".join((kept, more, opened.readline(MAX_LINE_CHARACTERS + 1)))
        kept = b""
        if b'"' in block or not block.endswith(b"\n"):
            end = _end_of_records(block)
            block, kept = block[:end], block[end:]
        if len(kept) > 2 * BLOCK_BYTES:
            raise _DeclinedError
        if block:
            yield block
    if kept:
        yield kept


def _end_of_records(block: bytes) -> int:
    end = block.rfind(b"\n") + 1
    for _ in range(MAX_CELL_LINES):
        if block.count(b'"', 0, end) % 2 == 0:
            return end
        end = block.rfind(b"\n", 0, end - 1) + 1
    return 0
