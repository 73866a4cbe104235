"""The fields of a SWIFT message file: lines that begin with a tag, what wraps under them, and the lines around them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_LINE_CHARACTERS, MAX_ROWS
from payonce.reconciliation.readers.text import decoded_text, lines_of
from payonce.reconciliation.readers.values import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

# Only these begin a field. Text of :86: may wrap so that a line begins with ":26:37", which is a time of day.
TAG = re.compile(r":(20|21|25P?|28C?|60[FM]?|61|62[FM]?|64F?|65F?|86|NS|13D?|34F|90[CD]):(.*)", re.DOTALL)
ENVELOPE = re.compile(r"\{[1235S]:(?:[^{}]|\{[^{}]*\})*\}|\{4:|-\}")
BANK = re.compile(r"\{1:F01([A-Z]{6}[A-Z0-9]{2})|\A([A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)\s*\Z", re.ASCII)
# ABN AMRO and ING write lines of capitals and digits above a message, Rabobank ":940:"; they end it with "-" or "-XXX".
# In Swedish ISO 646, which Handelsbanken writes, the braces of "{4:" and "-}" are letters.
HEADING = re.compile(r":?9[0-9]{2}:?(?: [0-9]{2})?|[A-Z0-9][A-Z0-9 .]{0,39}|[\u00e4\u00c4]4:")
ENDING = re.compile(r"-(?:XXX|[}\u00e5\u00c5])?")
WRAPS = frozenset({"61", "86", "NS", "25", "25P", "21"})
CLOSING = frozenset({"62", "62F", "62M", "64", "64F", "65", "65F", "90C", "90D"})


@dataclass(slots=True)
class Field:
    """A field: its first line's number, its tag, and its lines without the tag.

    ``bank`` is the BIC in the heading above it.
    """

    line: int
    tag: str
    lines: list[str]
    bank: str | None = None


def fields_of(data: bytes) -> Iterator[Field]:
    """Yield the file's fields. Raises ``FileRejected`` for a line that is none, where none may stand."""
    reader = _Reader()
    for number, raw in enumerate(lines_of(decoded_text(data)), start=1):
        if len(raw) > MAX_LINE_CHARACTERS:
            raise FileRejected(f"the line is longer than {MAX_LINE_CHARACTERS} characters", line=number)
        text = reader.unwrapped(raw.rstrip("\r").strip("\x01\x03"))
        if text and (ended := reader.take(text, number)) is not None:
            yield ended
    if reader.current is not None:
        yield reader.current


class _Reader:
    def __init__(self) -> None:
        self.current: Field | None = None
        self.bank: str | None = None
        self.in_text = False  # whether a line that is no field belongs to the one before
        self.count = 0

    def unwrapped(self, text: str) -> str:
        """Return the line without the envelope; "" for one that says nothing. What ends a message ends its text."""
        enveloped = text.startswith(("{", "-}"))
        if (enveloped or not self.in_text) and (named := BANK.search(text)) is not None:
            self.bank = named[1] or named[2]
        if enveloped:
            text = ENVELOPE.sub("", text.replace("\x01", "").replace("\x03", ""))
            self.in_text = False
        if ENDING.fullmatch(text.rstrip()):
            self.in_text = False
            return ""
        return text if text.strip() else ""

    def take(self, text: str, number: int) -> Field | None:
        """Take a line; return the field that it ends."""
        current = self.current
        matched = TAG.fullmatch(text)
        if matched is not None:
            self.count += 1
            if self.count > MAX_ROWS:
                raise FileRejected(f"there are more than {MAX_ROWS} fields; split the file", line=number)
            self.current = Field(number, matched[1], [matched[2]], self.bank)
            self.in_text = matched[1] in WRAPS
            return current
        heading = HEADING.fullmatch(text.strip()) is not None
        if current is not None and current.tag in WRAPS and (self.in_text or not heading):
            current.lines.append(text)  # also behind a "-" that seemed to end the text
        elif not heading or not (current is None or current.tag in CLOSING or current.tag in WRAPS):
            after = f" after :{current.tag}:" if current else ""
            raise FileRejected(f"{shown(text)} is not a field of MT940{after}", line=number)
        return None
