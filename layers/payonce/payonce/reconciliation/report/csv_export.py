"""Sheets as CSV files: RFC 4180, UTF-8 with the mark by which spreadsheets know it, decimals with a point, ISO 8601."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from payonce.reconciliation.readers.values import decimal_text, plain
from payonce.reconciliation.report.drawing import day_text
from payonce.reconciliation.report.export_rows import Amount, Day, Instant
from payonce.reconciliation.report.shown import iso_text

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.reconciliation.report.export_rows import Cell, Sheet


def file_name(sheet_name: str) -> str:
    """Return the name of a sheet's file."""
    return f"{sheet_name.lower().replace(' ', '_')}.csv"


def write_csv(sheet: Sheet, path: Path) -> None:
    """Write the sheet, row by row. Raises ``OSError``."""
    with path.open("w", encoding="utf-8-sig", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow([name for name, _ in sheet.columns])
        for row in sheet.rows:
            writer.writerow([_text(cell) for cell in row])


def _text(cell: Cell) -> str | int:
    match cell:
        case None:
            return ""
        case str():
            return plain(cell)
        case Amount():
            return decimal_text(cell.minor, cell.currency)
        case Instant():
            return iso_text(cell.at_ms)
        case Day():
            return day_text(cell.number)
        case _:
            return cell
