"""CSV as RFC 4180 has it: UTF-8, one header, every record as wide as the header.

Blank lines may stand before the header, and semicolons for commas, as a spreadsheet saves it where the comma is the
decimal sign: the header has the one or the other.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_CSV_COLUMNS, MAX_LINE_CHARACTERS, MAX_ROWS
from payonce.reconciliation.readers.text import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class LineStream(Protocol):
    """A binary stream, of which lines are asked."""

    def readline(self, size: int, /) -> bytes:
        """Return the next line with its end, at most ``size`` bytes of it; nothing at the end."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its physical line and its cells by column."""

    line: int
    cells: dict[str, str]

    def optional(self, column: str) -> str | None:
        """Return the cell without surrounding blanks, or ``None`` when it or its column is missing."""
        return self.cells.get(column, "").strip() or None

    def required(self, column: str) -> str:
        """Return the cell without surrounding blanks, which must hold something."""
        text = self.optional(column)
        if text is None:
            raise FileRejected("the cell is empty", line=self.line, field=column)
        return text


def decoded(data: bytes) -> str:
    """Return the text of a UTF-8 file, with or without a byte order mark."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileRejected(f"byte {error.start} is not UTF-8; export the file as UTF-8", line=line) from None
    if "\0" in text:
        raise FileRejected("there is a NUL character", line=text.count("\n", 0, text.index("\0")) + 1)
    return text


def header_of(text: str) -> tuple[str, ...]:
    """Return the column names of the first line that is not blank."""
    first = next((line for line in lines_of(text) if line.removeprefix("\ufeff").strip()), "")
    return _names(first)


def csv_header(line: str) -> tuple[tuple[str, ...], str]:
    """Return the column names of a header's line and the delimiter; no names where the line is no header."""
    return _names(line), _delimiter(line)


def _names(line: str) -> tuple[str, ...]:
    first = line.removeprefix("\ufeff").rstrip("\r\n")
    try:
        cells = next(csv.reader([first[:MAX_LINE_CHARACTERS]], strict=True, delimiter=_delimiter(first)), [])
    except csv.Error:
        return ()
    return tuple(cell.strip() for cell in cells)


def _delimiter(header: str) -> str:
    return ";" if ";" in header and "," not in header else ","


def records(data: bytes, *, required: frozenset[str], padded: bool = False) -> Iterator[Record]:
    """Yield the records below the header, which must have every ``required`` column once.

    ``padded``: empty cells at a record's end may be left out.
    """
    yield from _table(_bounded_lines(decoded(data)), required, MAX_ROWS, padded)


def streamed_records(stream: LineStream, *, required: frozenset[str], max_rows: int) -> Iterator[Record]:
    """Yield the same of a stream, holding one line at a time. A refusal may follow after records were yielded."""
    yield from _table(_decoded_lines(stream), required, max_rows)


def _table(lines: Iterator[str], required: frozenset[str], max_rows: int, padded: bool = False) -> Iterator[Record]:
    before, header = 0, ""
    for header in lines:
        if header.removeprefix("\ufeff").strip():
            break
        before += 1
    names = _names(header)
    check_header(names, required)
    reader = csv.reader(lines, strict=True, delimiter=_delimiter(header))
    seen = 0
    line = before + 2
    try:
        for cells in reader:
            if cells:
                seen += 1
                if seen > max_rows:
                    raise FileRejected(f"there are more than {max_rows} rows; split the report", line=line)
                if padded:
                    cells += [""] * (len(names) - len(cells))
                if len(cells) != len(names):
                    raise FileRejected(f"there are {len(cells)} cells, the header has {len(names)}", line=line)
                yield Record(line, dict(zip(names, cells, strict=True)))
            line = before + 2 + reader.line_num
    except csv.Error as error:
        raise FileRejected(f"not CSV: {error}", line=line) from None


def check_header(names: tuple[str, ...], required: frozenset[str]) -> None:
    """Raise ``FileRejected`` unless every required column is there, none is twice, and they are not too many."""
    if missing := sorted(required.difference(names)):
        raise FileRejected(f"the header lacks {', '.join(missing)}", line=1)
    if len(names) > MAX_CSV_COLUMNS:
        raise FileRejected(f"there are more than {MAX_CSV_COLUMNS} columns", line=1)
    # Two columns of one name: a reader by name would silently take the last.
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise FileRejected(f"the header has {', '.join(twice)} more than once", line=1)


def _bounded_lines(text: str) -> Iterator[str]:
    for number, line in enumerate(lines_of(text), start=1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise FileRejected(f"the line is longer than {MAX_LINE_CHARACTERS} characters", line=number)
        yield line + "\n"


def _decoded_lines(stream: LineStream) -> Iterator[str]:
    number = 0
    # A line without an end would be read whole: no more of it is read than may be kept.
    while line := stream.readline(MAX_LINE_CHARACTERS * 4):
        number += 1
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise FileRejected("the line is not UTF-8; export the file as UTF-8", line=number) from None
        if len(text) > MAX_LINE_CHARACTERS:
            raise FileRejected(f"the line is longer than {MAX_LINE_CHARACTERS} characters", line=number)
        if "\0" in text:
            raise FileRejected("there is a NUL character", line=number)
        yield text
