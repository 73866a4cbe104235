"""OFX 1.x (SGML, whose leaves need no end tag) and 2.x (XML) bank and credit-card statements; QFX is the same.

A statement states its ledger balance and no opening one, so nothing proves it: it is read and marked *unproved*.
Source: OFX Banking Specification 2.3, sections 2.3 (syntax), 3.2.8 (dates) and 11.4 (statement download).
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_ROWS, MAX_XML_DEPTH, MAX_XML_TEXT_CHARACTERS
from payonce.reconciliation.readers.proof import judged
from payonce.reconciliation.readers.rows import Statement, StatementLine
from payonce.reconciliation.readers.values import currency_of, minor_of, number_text, shown, six_digit_date, unique

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

# Names of elements are capitals, digits and a point; "&" entities are resolved in texts alone.
_TOKEN = re.compile(r"<!\[CDATA\[|<(?P<end>/?)(?P<name>[A-Za-z0-9._]+)\s*(?P<empty>/?)>")
# What a file may state beside UTF-8; of anything else a name's accents are guessed, and nothing that counts.
ENCODINGS = {"8859-1": "iso-8859-1", "8859-2": "iso-8859-2", "8859-15": "iso-8859-15", "1250": "cp1250"}
_CHARSET = re.compile(rb"CHARSET:\s*([0-9A-Za-z-]+)|encoding=[\"']([^\"']+)[\"']")
_HEADER_BYTES = 2_048
STATEMENTS = ("STMTRS", "CCSTMTRS")
AGGREGATES = frozenset({*STATEMENTS, "BANKACCTFROM", "CCACCTFROM", "STMTTRN", "LEDGERBAL", "BANKTRANLIST", "CURRENCY"})


@dataclass(slots=True)
class _Element:
    name: str
    line: int
    values: dict[str, str] = field(default_factory=dict)
    children: list[_Element] = field(default_factory=list)

    def required(self, name: str) -> str:
        text = self.values.get(name, "")
        if not text:
            raise FileRejected("it is empty or missing", line=self.line, field=f"{self.name}/{name}")
        return text


def read_ofx(data: bytes) -> tuple[Statement, ...]:
    """Return one statement per account. Raises ``FileRejected``, also where the bank answered with an error."""
    text = _decoded(data)
    found = list(_statements(text))
    if not found:
        raise FileRejected("there is no bank or credit-card statement in it: accounts, investments or an error alone")
    return tuple(_statement(element) for element in found)


def _decoded(data: bytes) -> str:
    stated = _CHARSET.search(data[:_HEADER_BYTES])
    name = (stated[1] or stated[2]).decode("ascii", "replace").lower() if stated else ""
    encoding = ENCODINGS.get(name.removeprefix("iso-").removeprefix("windows-"), "cp1252")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(encoding, "replace")


def _statements(text: str) -> Iterator[_Element]:
    """Yield the statements, each with the elements of it that are read. One at a time is in memory."""
    reader = _Reader()
    at = max(text.find("<OFX"), 0)
    reader.line += text.count("\n", 0, at)
    while (token := _TOKEN.search(text, at)) is not None:
        reader.text(html.unescape(text[at : token.start()]))
        reader.line += text.count("\n", at, token.end())
        at = token.end()
        if token["name"] is None:
            # Looked for from here once: of an unclosed one each "<" would be looked for to the end.
            closed = text.find("]]>", at)
            if closed < 0:
                raise FileRejected("a CDATA section does not end", line=reader.line)
            reader.text(text[at:closed])
            reader.line += text.count("\n", at, closed)
            at = closed + len("]]>")
        elif token["end"]:
            if (statement := reader.end(token["name"].upper())) is not None:
                yield statement
        else:
            reader.begin(token["name"].upper(), is_empty=bool(token["empty"]))
    if reader.stack:
        lost = reader.stack[-1]
        raise FileRejected(f"{lost.name} is not closed; the file may have lost its end", line=lost.line)


class _Reader:
    """Where the reading of the markup stands: the aggregates that are open, and the leaf whose text comes."""

    def __init__(self) -> None:
        self.stack: list[_Element] = []
        self.leaf = ""
        self.line = 1
        self.rows = 0

    def text(self, text: str) -> None:
        if self.stack and self.leaf:
            _add(self.stack[-1], self.leaf, text)

    def begin(self, name: str, *, is_empty: bool) -> None:
        self.leaf = ""
        if name in AGGREGATES and (self.stack or name in STATEMENTS):
            self.rows += name == "STMTTRN"
            if self.rows > MAX_ROWS or len(self.stack) > MAX_XML_DEPTH:
                raise FileRejected(f"there are over {MAX_ROWS} transactions, or they are nested", line=self.line)
            self.stack.append(_Element(name, self.line))
        elif not is_empty:
            self.leaf = name

    def end(self, name: str) -> _Element | None:
        """End an element; return it when it is a statement."""
        self.leaf = ""
        if not self.stack or self.stack[-1].name != name:
            return None
        element = self.stack.pop()
        if element.name in STATEMENTS:
            return element
        if self.stack:
            self.stack[-1].children.append(element)
        return None


def _add(element: _Element, leaf: str, text: str) -> None:
    plain = " ".join(text.split())
    if plain:
        element.values[leaf] = " ".join(filter(None, (element.values.get(leaf), plain)))
        if len(element.values[leaf]) > MAX_XML_TEXT_CHARACTERS:
            raise FileRejected("the text is too long", line=element.line, field=f"{element.name}/{leaf}")


def _statement(found: _Element) -> Statement:
    accounts = [child for child in found.children if child.name in ("BANKACCTFROM", "CCACCTFROM")]
    if not accounts:
        raise FileRejected("there is no account", line=found.line, field=f"{found.name}/BANKACCTFROM")
    rows = [child for outer in found.children if outer.name == "BANKTRANLIST" for child in outer.children]
    currency = currency_of(found.values.get("CURDEF") or _of_rows(rows, found), line=found.line, field="CURDEF")
    balances = [child for child in found.children if child.name == "LEDGERBAL" and child.values.get("BALAMT")]
    closing = None
    if balances:
        closing = _minor(balances[0].values["BALAMT"], currency, balances[0], "BALAMT")
    last = balances[0].values.get("DTASOF") if balances else None
    statement = Statement(
        statement_id=f"line-{found.line}",
        account="/".join(filter(None, (accounts[0].values.get("BANKID"), accounts[0].required("ACCTID")))),
        currency=currency,
        opening_minor=None,
        closing_minor=closing,
        lines=tuple(_line(row, currency) for row in rows if row.name == "STMTTRN"),
        last_day=_day(last, balances[0], "DTASOF") if last else None,
    )
    return judged(statement)


def _of_rows(rows: list[_Element], found: _Element) -> str:
    """Return the one currency of the transactions, where the statement leaves its own out."""
    named = {child.values.get("CURSYM", "") for row in rows for child in row.children} - {""}
    if len(named) != 1:
        raise FileRejected("it states no currency", line=found.line, field=f"{found.name}/CURDEF")
    return named.pop()


def _line(row: _Element, currency: str) -> StatementLine:
    texts = [row.values.get(name) for name in ("NAME", "MEMO")]
    return StatementLine(
        row_number=row.line,
        amount_minor=_minor(row.required("TRNAMT"), currency, row, "TRNAMT"),
        currency=currency,
        booking_date=_day(row.required("DTPOSTED"), row, "DTPOSTED"),
        value_date=_day(row.values["DTAVAIL"], row, "DTAVAIL") if row.values.get("DTAVAIL") else None,
        references=unique([row.values.get(name) for name in ("REFNUM", "CHECKNUM", "FITID")]),
        counterparty=row.values.get("NAME"),
        description=" ".join(text for text in texts if text),
    )


def _minor(text: str, currency: str, element: _Element, name: str) -> int:
    plain = number_text(text, decimal_sign="," if "," in text[-3:] and "." not in text[-3:] else ".")
    return minor_of(plain, currency, line=element.line, field=f"{element.name}/{name}")


def _day(text: str, element: _Element, name: str) -> date:
    """Return the day as the bank wrote it, whatever time and zone follow it."""
    field_name = f"{element.name}/{name}"
    if not (text[:8].isdigit() and len(text) >= 8 and text.startswith(("19", "20"))):
        raise FileRejected(f"{shown(text)} is not a date of the form YYYYMMDD", line=element.line, field=field_name)
    return six_digit_date(text[2:8], line=element.line, field=field_name)
