"""A bank's table, read by a mapping: CSV, workbook or QIF."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import DETECT_BYTES
from payonce.reconciliation.readers.proof import judged
from payonce.reconciliation.readers.rows import Statement, StatementLine
from payonce.reconciliation.readers.tables import QIF_BEGINNING, csv_rows, header_in, is_workbook, qif_rows, sheet_rows
from payonce.reconciliation.readers.values import currency_of, date_of, minor_of, number_text, shown, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from payonce.reconciliation.readers.mapping import ColumnMapping
    from payonce.reconciliation.readers.tables import Row

UNSTEADY = "its running balance does not follow its amounts; lines are missing or were changed"


def rows_of(data: bytes, mapping: ColumnMapping) -> Iterator[Row]:
    """Yield the rows of the table as the mapping says how to read it. Raises ``FileRejected``."""
    if is_workbook(data):
        return sheet_rows(data, sheet=mapping.sheet)
    if data.lstrip().startswith(QIF_BEGINNING):
        return qif_rows(data)
    return csv_rows(data, encoding=mapping.encoding, separator=mapping.separator)


def mapping_of(data: bytes, mappings: Sequence[ColumnMapping]) -> ColumnMapping | None:
    """Return the first mapping all of whose columns the file has."""
    if not is_workbook(data):
        # The header is in its beginning, up to the end of a line: the largest file is not decoded for each mapping.
        data = data[: data.rfind(b"\n", 0, DETECT_BYTES) + 1] or data[:DETECT_BYTES]
    for mapping in mappings:
        try:
            if header_in(rows_of(data, mapping), mapping.fits) is not None:
                return mapping
        except FileRejected:
            continue  # of another encoding or form: the mapping is not of this file
    return None


def read_mapped_table(data: bytes, mapping: ColumnMapping) -> tuple[Statement, ...]:
    """Return one statement per account and currency. Raises ``FileRejected``.

    Unproved, unless it has a running balance that follows from line to line. Rows without date and amount are left out:
    banks write totals and remarks below.
    """
    rows = rows_of(data, mapping)
    header = header_in(rows, mapping.fits)
    if header is None:
        raise FileRejected(f"no line has the columns {', '.join(mapping.columns.named)}", line=1)
    twice = {name for name in mapping.columns.named if header.cells.count(name) > 1}
    if twice:
        raise FileRejected(f"the header has {', '.join(sorted(twice))} more than once", line=header.line)
    found: dict[tuple[str, str], list[tuple[StatementLine, int | None]]] = defaultdict(list)
    for row in rows:
        reader = _Reader(mapping, header.cells, row)
        if not reader.is_empty():
            account, currency = reader.account(), reader.currency()
            found[account, currency].append((reader.line(currency), reader.balance(currency)))
    if not found:
        raise FileRejected("the table has no lines", line=header.line)
    return tuple(_statement(account, currency, lines) for (account, currency), lines in found.items())


@dataclass(slots=True)
class _Reader:
    """One row under its mapping."""

    mapping: ColumnMapping
    header: tuple[str, ...]
    row: Row

    def text(self, column: str | None) -> str:
        if column is None:
            return ""
        index = self.header.index(column)
        return self.row.cells[index] if index < len(self.row.cells) else ""

    def plain(self, column: str | None) -> str:
        return self.text(column).lstrip("@#")

    def is_empty(self) -> bool:
        columns = self.mapping.columns
        amounts = (columns.amount, columns.debit, columns.credit)
        return not self.text(columns.booking_date) or not any(self.text(name) for name in amounts)

    def account(self) -> str:
        account = self.plain(self.mapping.columns.account) or self.mapping.account
        if not account:
            raise FileRejected("the cell is empty", line=self.row.line, field=self.mapping.columns.account)
        return account

    def currency(self) -> str:
        column = self.mapping.columns.currency
        text = self.text(column) or self.mapping.currency or ""
        return currency_of(text, line=self.row.line, field=column or "currency")

    def day(self, column: str) -> date:
        text = self.text(column)
        if text.startswith("@"):
            return date_of(text[1:], line=self.row.line, field=column)
        return self.mapping.day_of(text, line=self.row.line, field=column)

    def minor(self, column: str, currency: str) -> int:
        text = self.text(column)
        sign = "." if text.startswith("#") else self.mapping.decimal_sign
        plain = number_text(text.lstrip("#").upper().removesuffix(currency), decimal_sign=sign)
        return minor_of(plain, currency, line=self.row.line, field=column)

    def amount(self, currency: str) -> int:
        columns = self.mapping.columns
        if columns.amount is not None:
            found = self.minor(columns.amount, currency) * self.direction()
        else:
            credit, debit = (
                self.minor(name, currency) if name is not None and self.text(name) else 0
                for name in (columns.credit, columns.debit)
            )
            if credit and debit:
                problem = "the line has a debit and a credit"
                raise FileRejected(problem, line=self.row.line, field=columns.debit)
            found = credit - abs(debit)
        return -found if self.mapping.sign == "reversed" else found

    def direction(self) -> int:
        column = self.mapping.columns.direction
        if column is None:
            return 1
        word = self.plain(column).casefold()
        if word in {one.casefold() for one in self.mapping.debit_words}:
            return -1
        if word not in {one.casefold() for one in self.mapping.credit_words}:
            raise FileRejected(f"{shown(word)} is neither debit nor credit", line=self.row.line, field=column)
        return 1

    def balance(self, currency: str) -> int | None:
        column = self.mapping.columns.balance
        return self.minor(column, currency) if column is not None and self.text(column) else None

    def line(self, currency: str) -> StatementLine:
        columns = self.mapping.columns
        end_to_end_id = self.plain(columns.end_to_end_id) or None
        value_day = self.text(columns.value_date)
        return StatementLine(
            row_number=self.row.line,
            amount_minor=self.amount(currency),
            currency=currency,
            booking_date=self.day(columns.booking_date),
            value_date=self.day(columns.value_date) if columns.value_date is not None and value_day else None,
            references=unique([end_to_end_id, *(self.plain(name) for name in columns.reference)]),
            end_to_end_id=end_to_end_id,
            counterparty=self.plain(columns.counterparty) or None,
            description=" ".join(filter(None, (self.plain(name) for name in columns.description))),
        )


def _statement(account: str, currency: str, found: list[tuple[StatementLine, int | None]]) -> Statement:
    lines = tuple(line for line, _ in found)
    opening, closing, reasons = _balances(found)
    days = [line.booking_date for line in lines]
    statement = Statement(
        statement_id=f"line-{lines[0].row_number}",
        account=account,
        currency=currency,
        opening_minor=opening,
        closing_minor=closing,
        lines=lines,
        first_day=min(days),
        last_day=max(days),
    )
    return judged(statement, reasons)


def _balances(found: list[tuple[StatementLine, int | None]]) -> tuple[int | None, int | None, list[str]]:
    """Return opening and closing balance of a running one, told oldest or newest first, and what is amiss with it."""
    steps = [(line.amount_minor, balance) for line, balance in found if balance is not None]
    if len(steps) < len(found):
        return None, None, []
    for told in (steps, steps[::-1]):
        if all(before + amount == after for (_, before), (amount, after) in pairwise(told)):
            return told[0][1] - told[0][0], told[-1][1], []
    return None, None, [UNSTEADY]
