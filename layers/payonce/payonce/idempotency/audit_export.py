"""Exports the audit trail as JSON lines, or as CSV that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import json
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO

from payonce.idempotency.audit import AuditEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    type Progress = Callable[[int, AuditEntry], None]

COLUMNS = ("entry_id", "scope", "operation", *(field.name for field in fields(AuditEntry)))
# What spreadsheets take for the start of a formula (OWASP, CSV injection), including the full-width forms.
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def row_of(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry's columns by name."""
    return {"entry_id": entry.entry_id, "scope": entry.scope, "operation": entry.operation, **entry.to_data()}


def write_jsonl(entries: Iterable[AuditEntry], out: TextIO, progress: Progress) -> int:
    """Write one JSON object per line and return their number. Holds one entry in memory at a time."""
    count = 0
    for count, entry in enumerate(entries, 1):
        out.write(json.dumps(row_of(entry), separators=(",", ":")) + "\n")  # ASCII, which every terminal has
        progress(count, entry)
    return count


def write_csv(entries: Iterable[AuditEntry], out: TextIO, progress: Progress) -> int:
    """Write CSV (RFC 4180) with a header and return the number of entries. Holds one entry in memory at a time."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    count = 0
    for count, entry in enumerate(entries, 1):
        row = row_of(entry)
        writer.writerow([harmless(str(row[column])) for column in COLUMNS])
        progress(count, entry)
    return count


def harmless(cell: str) -> str:
    """Return the cell, prefixed with an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA_STARTS) else cell


EXPORTS: Mapping[str, Callable[[Iterable[AuditEntry], TextIO, Progress], int]] = MappingProxyType(
    {"jsonl": write_jsonl, "csv": write_csv}
)
