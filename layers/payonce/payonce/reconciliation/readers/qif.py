"""QIF (Quicken) bank registers: dates, amounts and texts, and nothing that says of which account or in which currency.

So a QIF file is read by a mapping (``mapping.ColumnMapping``) that names account, currency, date form and decimal sign.
Source: GnuCash, src/import-export/qif-import/file-format.txt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_LINE_CHARACTERS, MAX_ROWS
from payonce.reconciliation.readers.text import decoded_text, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTERS = ("!type:bank", "!type:cash", "!type:ccard", "!type:oth a", "!type:oth l", "!type:oth s")
COLUMNS = {"D": "Date", "T": "Amount", "U": "Amount", "N": "Number", "P": "Payee", "M": "Memo"}


def qif_records(data: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the entries of the file's registers as cells by column, with their first line.

    Splits, categories and addresses are left out; other lists (categories, securities) too. Raises ``FileRejected``.
    """
    cells: dict[str, str] = {}
    first, count, inside = 0, 0, False
    for number, raw in enumerate(lines_of(decoded_text(data)), start=1):
        text = raw.strip()
        if len(text) > MAX_LINE_CHARACTERS:
            raise FileRejected(f"the line is longer than {MAX_LINE_CHARACTERS} characters", line=number)
        if text.startswith("!"):
            inside = text.lower() in REGISTERS
        elif text == "^":
            if cells:
                count += 1
                if count > MAX_ROWS:
                    raise FileRejected(f"there are more than {MAX_ROWS} entries; split the file", line=number)
                yield first, cells
            cells = {}
        elif text and inside and text[0] in COLUMNS:
            first = first if cells else number
            cells.setdefault(COLUMNS[text[0]], text[1:].strip())
    if cells:
        raise FileRejected("the last entry does not end with ^; the file may have lost its end", line=first)
