"""A file line by line, for a person who wants to see what it says before it is accepted.

``read_file`` takes a whole file or nothing, and stops at the first thing that is wrong. Here a wrong line is noted and
left out, and the rest is read again, so that one look shows every wrong line. What is shown so is never booked: an
accepted file has passed ``read_file`` as a whole.
"""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.detect import detect
from payonce.reconciliation.readers.line_advice import OF_TOTALS, advice_for
from payonce.reconciliation.readers.line_readings import (
    LineReading,
    WrongLine,
    line_of_bank,
    line_of_gateway,
    shown_text,
    sum_of_statement,
)
from payonce.reconciliation.readers.mapped_table import mapping_of, rows_of
from payonce.reconciliation.readers.read import file_id_of, read_file
from payonce.reconciliation.readers.rows import FileFormat
from payonce.reconciliation.readers.tables import UNREADABLE, is_workbook
from payonce.reconciliation.readers.text import as_utf8
from payonce.reconciliation.readers.values import plain
from payonce.reconciliation.readers.without_line import MESSAGES, without_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    from payonce.reconciliation.readers.mapping import ColumnMapping
    from payonce.reconciliation.readers.rows import ReconciliationFile

MAX_LINES: Final = 1_000  # shown; the sums are of all
MAX_WRONG: Final = 20
# A workbook of a bank has some megabytes unpacked. What it unpacks to is known before any of it is.
MAX_UNPACKED_BYTES: Final = 32 * 1024 * 1024
# openpyxl was measured to take 10 to 20 microseconds for each tag: 12 seconds at most, of a function's 29.
MAX_WORKBOOK_MARKS: Final = 600_000
AROUND: Final = 2  # lines shown before and after a wrong one


def read_line_by_line(
    data: bytes,
    *,
    mappings: Sequence[ColumnMapping] = (),
    strict: bool = False,
    zone: ZoneInfo | None = None,
    may_go_on: Callable[[], bool] = lambda: True,
) -> LineReading:
    """Return what the file says, line by line; it never raises for what is in a file. The options are ``read_file``'s.

    ``may_go_on`` is asked before the file is read again without a wrong line.
    """
    try:
        check_unpacked(data)
    except FileRejected as error:
        # Nothing else of it is looked at: even its format is told by unpacking it.
        return _reading(data, None, (_wrong(b"", error, ()),), None)
    wrong: list[WrongLine] = []
    rest, seen = data, set[int]()
    while True:
        try:
            # The rest of a wrong file proves nothing, and is shown all the same.
            read = read_file(rest, mappings=mappings, strict=strict and not wrong, zone=zone)
            break
        except FileRejected as error:
            read = None
            if wrong and not _is_of_its_own(error, seen, _format_of(data, mappings)):
                break
            wrong.append(_wrong(data, error, mappings))
            seen.add(error.line or 0)
            more = len(wrong) < MAX_WRONG and may_go_on()
            rest = without_line(rest, error.line, _format_of(rest, mappings)) if more else b""
            if not rest:
                break
    return _reading(data, _format_of(data, mappings), tuple(wrong), read)


def check_unpacked(data: bytes) -> None:
    """Raise ``FileRejected`` for a workbook that would take too much memory or time, before anything reads it.

    The sizes are stated by the archive, and zipfile unpacks no more of a part than it states. Then the marks of the
    parts are counted, in the small memory of a stream.
    """
    if not is_workbook(data):
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
            raise FileRejected(f"the workbook unpacks to over {MAX_UNPACKED_BYTES // (1024 * 1024)} MB")
        try:
            marks = sum(_marks(archive, part) for part in parts)
        except (zipfile.BadZipFile, *UNREADABLE) as error:
            raise FileRejected(f"the workbook can't be read: {type(error).__name__}") from None
    if marks > MAX_WORKBOOK_MARKS:
        raise FileRejected(f"the workbook unpacks to over {MAX_WORKBOOK_MARKS:,} tags, which is some 17,000 rows")


def _marks(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> int:
    with archive.open(part) as opened:
        return sum(block.count(b"<") for block in iter(partial(opened.read, 1024 * 1024), b""))


def _is_of_its_own(error: FileRejected, seen: set[int], found: FileFormat | None) -> bool:
    """Return whether the refusal is not merely the consequence of a line that was left out."""
    if error.line is None or error.line in seen or OF_TOTALS.search(error.problem) is not None:
        return False
    # Messages are read from their beginning to their end, tables several times.
    return found not in MESSAGES or error.line > max(seen)


def _format_of(data: bytes, mappings: Sequence[ColumnMapping]) -> FileFormat | None:
    try:
        return detect(as_utf8(data), is_mapped=lambda table: mapping_of(table, mappings) is not None)
    except FileRejected:
        return None


def _wrong(data: bytes, error: FileRejected, mappings: Sequence[ColumnMapping]) -> WrongLine:
    return WrongLine(
        line=error.line,
        field=None if error.field is None else plain(error.field),
        problem=shown_text(error.problem, limit=1_000),
        to_do=advice_for(error.problem),
        excerpt=() if error.line is None else tuple(_excerpt(data, error.line, mappings)),
    )


def _excerpt(data: bytes, line: int, mappings: Sequence[ColumnMapping]) -> Iterator[tuple[int, str]]:
    first = max(1, line - AROUND)
    try:
        if is_workbook(data):
            fitting = mapping_of(data, mappings)
            rows = rows_of(data, fitting) if fitting is not None else iter(())
            texts: Iterator[str] = (" | ".join(cell.lstrip("@#") for cell in row.cells) for row in rows)
        else:
            texts = iter(as_utf8(data).decode("utf-8-sig", "replace").split("\n"))
        for number, text in enumerate(islice(texts, first - 1, line + AROUND), start=first):
            yield number, shown_text(text.rstrip("\r"))
    except FileRejected:
        return


def _reading(
    data: bytes, found: FileFormat | None, wrong: tuple[WrongLine, ...], read: ReconciliationFile | None
) -> LineReading:
    whole = file_id_of(data)
    if read is None:
        is_bank = None if found is None else _is_bank(found)
        name = None if found is None else found.value
        return LineReading(
            file_id=whole, size_bytes=len(data), file_format=name, is_bank=is_bank, wrong=wrong, looked_at_all=False
        )
    bank = [line for statement in read.statements for line in statement.lines]
    counts: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    moved = chain(
        ((row.currency, row.amount_minor) for row in read.gateway_rows),
        ((line.currency, line.amount_minor) for line in bank),
    )
    for currency, amount_minor in moved:
        counts[currency] += 1
        totals[currency] += amount_minor
    lines = chain(map(line_of_gateway, read.gateway_rows), map(line_of_bank, bank))
    return LineReading(
        file_id=whole,
        size_bytes=len(data),
        file_format=read.format.value,
        is_bank=bool(read.statements),
        line_count=counts.total(),
        lines=tuple(islice(lines, MAX_LINES)),
        wrong=wrong,
        sums=tuple((currency, count, totals[currency]) for currency, count in sorted(counts.items())),
        statements=tuple(map(sum_of_statement, read.statements[:MAX_LINES])),
        notices=tuple(shown_text(notice, limit=1_000) for notice in read.notices),
    )


def _is_bank(found: FileFormat) -> bool:
    return found in {
        FileFormat.GENERIC_BANK_CSV,
        FileFormat.MAPPED_BANK_TABLE,
        FileFormat.CAMT,
        FileFormat.MT940,
        FileFormat.BAI2,
        FileFormat.OFX,
    }
