"""A list of the console as a file: CSV (RFC 4180) or XLSX, at most ``MAX_ROWS`` rows, no text of it a formula.

A view collects its rows by ``collected``, page by page with the page's own function, and hands them to ``exported``. A
file that ends before its list does says so in its name and in its last row, and gives the cursor of the next part.

A text may come from a merchant, a payer or a gateway: it is neutralised where it is written (OWASP, CSV Injection), so
that no spreadsheet runs it. Amounts and times are numbers, see ``payonce.reconciliation.report.export_rows``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from payonce.console.page import Download
from payonce.domain.errors import BodyMalformed
from payonce.reconciliation.report.csv_export import write_csv
from payonce.reconciliation.report.export_rows import Amount, Cell, Day, Instant, Sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.console.page import PageRequest

__all__ = [
    "Amount",
    "Cell",
    "Day",
    "ExportForm",
    "ExportedFile",
    "Instant",
    "Sheet",
    "collected",
    "export_form",
    "exported",
    "saved",
]

# Of a thousand payments some 25 round trips are made, and the file has about 300 KB: far from the function's 6 MB.
MAX_ROWS: Final = 1_000
# The most pages that are read for a file: a filter may find nothing on many of them.
MAX_PAGES: Final = 25


class ExportForm(StrEnum):
    """The forms of a file."""

    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES: Final = {
    ExportForm.CSV: "text/csv; charset=utf-8",
    ExportForm.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file to be saved: its name (ASCII letters, digits, ``-``, ``_`` and ``.``), media type and bytes."""

    name: str
    media_type: str
    body: bytes


def export_form(query: Mapping[str, str]) -> ExportForm | None:
    """Return the form that ``?format=`` asks for, ``None`` for the page itself. Raises ``BodyMalformed``."""
    asked = query.get("format", "")
    if not asked:
        return None
    try:
        return ExportForm(asked)
    except ValueError:
        raise BodyMalformed("A list can be saved with ?format=csv or ?format=xlsx, and as nothing else.") from None


def collected[Row](
    page_from: Callable[[str | None], tuple[Sequence[Row], str | None]],
    cursor: str | None,
    *,
    most_pages: int = MAX_PAGES,
) -> tuple[list[Row], str | None]:
    """Return the rows of a file that begins at ``cursor``, and the cursor of the next part (``None`` when all is in).

    ``page_from`` reads one page of at most ``MAX_ROWS`` rows; its errors pass through. Reading ends with whole pages,
    before more than ``MAX_ROWS`` rows or ``most_pages`` pages: fewer where a page looks through many others.
    """
    rows: list[Row] = []
    largest = 0
    for _ in range(most_pages):
        found, cursor = page_from(cursor)
        rows += found
        largest = max(largest, len(found))
        if cursor is None or len(rows) + largest > MAX_ROWS:
            break
    return rows, cursor


def saved(request: PageRequest, sheet: Sheet, next_cursor: str | None = None) -> Download:
    """Return the sheet as the file that ``?format=`` asks for, see ``exported``. Raises ``BodyMalformed``."""
    file = exported(export_form(request.query) or ExportForm.CSV, sheet, next_cursor=next_cursor)
    return Download(file.name, file.media_type, file.body)


def exported(form: ExportForm, sheet: Sheet, *, next_cursor: str | None = None) -> ExportedFile:
    """Return the sheet as a file, named after it. Equal sheets give equal bytes.

    ``next_cursor``: where the list goes on if this file is only a part of it.
    """
    name = sheet.name.lower().replace(" ", "_")
    if next_cursor is not None:
        name += "-part"
        sheet = replace(sheet, rows=(*sheet.rows, (f"More follows: the next part begins at cursor={next_cursor}",)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        _write(form, sheet, path)
        return ExportedFile(f"{name}.{form.value}", MEDIA_TYPES[form], path.read_bytes())


def _write(form: ExportForm, sheet: Sheet, path: Path) -> None:
    match form:
        case ExportForm.CSV:
            write_csv(sheet, path)
        case ExportForm.XLSX:
            # Imported here: no page needs the library, and its import takes 60 ms.
            from payonce.reconciliation.report.xlsx_export import write_xlsx

            write_xlsx((sheet,), path)
