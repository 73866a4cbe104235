"""Sheets as one workbook: amounts are numbers in their currency's format, times are dates, and no text is a formula.

Rows go to the disk as they come (XlsxWriter's ``constant_memory``), so that a million of them take no memory. A sheet
of a workbook ends after 1,048,576 rows; what is beyond goes on in a further sheet, whose name says which it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.extras import needs
from payonce.reconciliation.readers.values import decimal_text, plain
from payonce.reconciliation.report.export_rows import Amount, Day, Instant

with needs("reconcile"):
    import xlsxwriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from payonce.reconciliation.report.export_rows import Cell, Sheet

# https://support.microsoft.com/en-us/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3
SHEET_ROWS: Final = 1_048_576
MAX_TEXT: Final = 32_767
MAX_DIGITS: Final = 15  # of a number; an amount with more is written as a text, exactly
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # a workbook's times have no zone; ours are UTC
_FIRST: Final = datetime(1900, 1, 1)  # noqa: DTZ001  # a workbook has no earlier day
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def write_xlsx(sheets: Iterable[Sheet], path: Path, *, sheet_rows: int = SHEET_ROWS) -> None:
    """Write the workbook. Equal sheets give equal bytes. Raises ``OSError``."""
    workbook = xlsxwriter.Workbook(str(path), _OPTIONS)
    try:
        # The time of its making would make two equal runs differ.
        workbook.set_properties({"created": _EPOCH, "author": "payonce"})
        formats = _formats(workbook)
        for sheet in sheets:
            _write(workbook, sheet, formats, sheet_rows)
    finally:
        try:
            workbook.close()
        except xlsxwriter.exceptions.FileCreateError as error:
            raise OSError(str(error)) from error


def _formats(workbook: Any) -> dict[str, Any]:
    formats = {
        code: workbook.add_format({"num_format": f"#,##0{'.' if decimals else ''}{'0' * decimals} [${code}]"})
        for code, decimals in MINOR_UNIT_EXPONENTS.items()
    }
    return formats | {
        "head": workbook.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
        "time": workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        "day": workbook.add_format({"num_format": "yyyy-mm-dd"}),
        "number": workbook.add_format({"num_format": "#,##0"}),
    }


def _write(workbook: Any, sheet: Sheet, formats: Mapping[str, Any], sheet_rows: int) -> None:
    part, place = 1, 1
    written = _begin(workbook, sheet, sheet.name, formats)
    for row in sheet.rows:
        if place == sheet_rows:
            _end(written, sheet, place)
            part, place = part + 1, 1
            written = _begin(workbook, sheet, f"{sheet.name} ({part})", formats)
        for column, cell in enumerate(row):
            if cell is not None:
                _put(written, place, column, cell, formats)
        place += 1
    _end(written, sheet, place)


def _begin(workbook: Any, sheet: Sheet, name: str, formats: Mapping[str, Any]) -> Any:
    written = workbook.add_worksheet(name)
    written.freeze_panes(1, 0)
    for column, (title, width) in enumerate(sheet.columns):
        written.set_column(column, column, width)
        written.write_string(0, column, title, formats["head"])
    return written


def _end(written: Any, sheet: Sheet, rows: int) -> None:
    written.autofilter(0, 0, rows - 1, len(sheet.columns) - 1)


def _put(written: Any, row: int, column: int, cell: Cell, formats: Mapping[str, Any]) -> None:
    match cell:
        case str():  # most cells are texts
            written.write_string(row, column, plain(cell)[:MAX_TEXT])
        case Amount():
            if abs(cell.minor) < 10**MAX_DIGITS:
                number = Decimal(cell.minor).scaleb(-MINOR_UNIT_EXPONENTS[cell.currency])
                written.write_number(row, column, number, formats[cell.currency])
            else:
                written.write_string(row, column, decimal_text(cell.minor, cell.currency))
        case Instant():
            _put_time(written, row, column, _EPOCH + timedelta(milliseconds=cell.at_ms // 1000 * 1000), formats["time"])
        case Day():
            _put_time(written, row, column, _EPOCH + timedelta(days=cell.number), formats["day"])
        case int():
            written.write_number(row, column, cell, formats["number"])


def _put_time(written: Any, row: int, column: int, moment: datetime, style: Any) -> None:
    if moment < _FIRST:
        written.write_string(row, column, moment.isoformat())
    else:
        written.write_datetime(row, column, moment, style)
