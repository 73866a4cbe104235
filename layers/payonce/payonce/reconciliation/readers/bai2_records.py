"""The records of a BAI2 file: lines into records, with their continuations joined on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_LINE_CHARACTERS, MAX_ROWS
from payonce.reconciliation.readers.text import decoded_text, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CODES = ("01", "02", "03", "16", "49", "88", "98", "99")
_SEVERAL = re.compile(r"(?<=/)[ \t]+(?=(?:01|02|03|16|49|88|98|99),)")


def _physical(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield the records with the number of their line: some programs write several into one."""
    for number, raw in enumerate(lines_of(decoded_text(data)), start=1):
        for text in _SEVERAL.split(raw) if len(raw) <= MAX_LINE_CHARACTERS else (raw,):
            if text.strip():
                yield number, text.strip()


@dataclass(slots=True)
class Record:
    """A record with its continuations: its first line, its fields, and how many physical records it takes."""

    line: int
    code: str
    fields: list[str]
    physical: int


def records_of(data: bytes) -> Iterator[Record]:
    """Yield records with their 88 continuations joined on, as the list of fields they make together."""
    current: Record | None = None
    count = 0
    ended = True
    for number, text in _physical(data):
        count += 1
        if count > MAX_ROWS or len(text) > MAX_LINE_CHARACTERS:
            raise FileRejected(f"over {MAX_ROWS} records or {MAX_LINE_CHARACTERS} characters in one", line=number)
        code, comma, rest = text.partition(",")
        if current is not None and not ended and code not in CODES:
            # A text that was wrapped without a continuation record: it is no record of its own.
            current.fields[-1] = f"{current.fields[-1]} {text.removesuffix('/')}"
            ended = text.endswith("/")
            continue
        ended = text.endswith("/")
        if not comma or len(code) != 2:
            raise FileRejected("not a record: a two-digit code and a comma are expected", line=number)
        fields = rest.removesuffix("/").split(",")
        if code == "88":
            if current is None:
                raise FileRejected("a continuation of nothing", line=number, field="88")
            current.fields.extend(fields)  # in place: a new list each would be quadratic in the continuations
            current.physical += 1
            continue
        if current is not None:
            yield current
        current = Record(number, code, fields, 1)
    if current is not None:
        yield current
