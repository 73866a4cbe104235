"""Rows of a table, whatever holds it: a CSV of any separator, a sheet of a workbook, or a QIF register."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from payonce.domain.errors import FileRejected, PackageMissing
from payonce.extras import needs
from payonce.reconciliation.readers.limits import MAX_CSV_COLUMNS, MAX_FILE_BYTES, MAX_LINE_CHARACTERS, MAX_ROWS
from payonce.reconciliation.readers.qif import COLUMNS as QIF_COLUMNS
from payonce.reconciliation.readers.qif import qif_records
from payonce.reconciliation.readers.text import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ZIP_BEGINNING = b"PK\x03\x04"
WORKBOOK = "xl/workbook.xml"
QIF_BEGINNING = b"!"
MAX_HEADER_LINE = 60  # banks write their address, the account and the period above the header
MAX_PARTS = 2_000  # of a workbook; a bank's export has some ten
# What openpyxl, zipfile and zlib raise of parts that are broken, encrypted or packed by another method.
UNREADABLE = (
    *(KeyError, ValueError, TypeError, IndexError, AttributeError, SyntaxError, ArithmeticError),
    *(RuntimeError, OSError, EOFError, zlib.error),
)
NUMBER_DECIMALS = Decimal("0.000001")  # a workbook holds binary numbers: 0.1 + 0.2 is 0.30000000000000004 there


class Row(NamedTuple):
    """A row: its line or its number in the sheet, and its cells. Of a workbook's dates the ISO form, marked by "@"."""

    line: int
    cells: tuple[str, ...]


def is_workbook(data: bytes) -> bool:
    """Return whether the bytes are a workbook (.xlsx), of all that a ZIP archive may be."""
    if not data.startswith(ZIP_BEGINNING):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return WORKBOOK in archive.namelist()
    except (zipfile.BadZipFile, *UNREADABLE):
        return False


def csv_rows(data: bytes, *, encoding: str, separator: str) -> Iterator[Row]:
    """Yield the rows of a CSV, those above the header too. Raises ``FileRejected``."""
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileRejected(f"byte {error.start} is not {encoding}; state the file's encoding", line=line) from None
    reader = csv.reader(_bounded(text), delimiter=separator)
    line = 1
    try:
        for count, cells in enumerate(reader, start=1):
            if count > MAX_ROWS or len(cells) > MAX_CSV_COLUMNS:
                raise FileRejected(f"there are over {MAX_ROWS} rows or {MAX_CSV_COLUMNS} columns", line=line)
            yield Row(line, tuple(cell.strip() for cell in cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise FileRejected(f"not CSV: {error}", line=line) from None


def _bounded(text: str) -> Iterator[str]:
    for number, line in enumerate(lines_of(text), start=1):
        if len(line) > MAX_LINE_CHARACTERS or "\0" in line:
            raise FileRejected(f"the line has a NUL, or more than {MAX_LINE_CHARACTERS} characters", line=number)
        yield line + "\n"


def sheet_rows(data: bytes, *, sheet: str | None) -> Iterator[Row]:
    """Yield the rows of a workbook's sheet, the first one unless it is named. Raises ``FileRejected``."""
    try:
        with needs("reconcile"):
            from openpyxl import load_workbook
            from openpyxl.utils.exceptions import InvalidFileException
    except PackageMissing as missing:
        raise FileRejected(f"a workbook can't be read here: {missing.detail}") from None

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        # What it unpacks to is known before any of it is unpacked; zipfile reads no more of a part than it states.
        if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_FILE_BYTES:
            raise FileRejected(f"the workbook unpacks to over {MAX_FILE_BYTES} bytes or {MAX_PARTS} parts")
    try:
        workbook = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        if sheet is not None and sheet not in workbook.sheetnames:
            raise FileRejected(f"the workbook has no sheet {sheet}")
        found = workbook[sheet] if sheet is not None else workbook.worksheets[0]
        found.reset_dimensions()  # what a file states of its size is not taken for it
        for number, values in enumerate(found.iter_rows(values_only=True), start=1):
            if number > MAX_ROWS or len(values) > MAX_CSV_COLUMNS:
                raise FileRejected(f"there are over {MAX_ROWS} rows or {MAX_CSV_COLUMNS} columns", line=number)
            yield Row(number, tuple(_cell(value, number) for value in values))
    except (InvalidFileException, zipfile.BadZipFile, *UNREADABLE) as error:
        raise FileRejected(f"the workbook can't be read: {type(error).__name__}") from None


def _cell(value: object, line: int) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"@{value.date().isoformat()}"
    if isinstance(value, date):
        return f"@{value.isoformat()}"
    if isinstance(value, float):
        if abs(value) >= 1e12:
            raise FileRejected("the number is too large to be held exactly in a workbook", line=line)
        return f"#{Decimal(repr(value)).quantize(NUMBER_DECIMALS).normalize():f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"#{value}"
    text = str(value).strip()
    if len(text) > MAX_LINE_CHARACTERS:
        raise FileRejected(f"a cell is longer than {MAX_LINE_CHARACTERS} characters", line=line)
    return text


def qif_rows(data: bytes) -> Iterator[Row]:
    """Yield a QIF register as a table with a header. Raises ``FileRejected``."""
    names = tuple(dict.fromkeys(QIF_COLUMNS.values()))
    yield Row(1, names)
    for line, cells in qif_records(data):
        yield Row(line, tuple(cells.get(name, "") for name in names))


def header_in(rows: Iterable[Row], fits: Callable[[tuple[str, ...]], bool]) -> Row | None:
    """Return the first row that may be the header, leaving ``rows`` right behind it when it is an iterator."""
    for count, row in enumerate(rows):
        if fits(row.cells):
            return row
        if count >= MAX_HEADER_LINE:
            return None
    return None
