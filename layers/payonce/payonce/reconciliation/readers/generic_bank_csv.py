"""payonce's own CSV of bank lines, for a bank whose files are not read. See docs/reconciliation-files.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.csv_table import Record, records
from payonce.reconciliation.readers.limits import MAX_SEQUENCE_DIGITS
from payonce.reconciliation.readers.proof import judged
from payonce.reconciliation.readers.rows import Statement, StatementLine
from payonce.reconciliation.readers.values import currency_of, date_of, minor_of, shown, unique

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

BANK_COLUMNS = (
    "record",
    "account",
    "currency",
    "booking_date",
    "value_date",
    "amount",
    "reference",
    "end_to_end_id",
    "counterparty",
    "description",
)
OPENING, LINE, CLOSING = "opening", "line", "closing"


def read_generic_bank_csv(data: bytes) -> tuple[Statement, ...]:
    """Return the file's statements: each an ``opening`` record, its ``line`` records and a ``closing`` record.

    Raises ``FileRejected``. Checked: the order, one account and currency per statement, opening + lines = closing.
    """
    statements: list[Statement] = []
    rest = records(data, required=frozenset(BANK_COLUMNS))
    for first in rest:
        if first.required("record") != OPENING:
            raise FileRejected("a statement begins with an opening record", line=first.line, field="record")
        statements.append(_statement(first, rest))
    return tuple(statements)


def _statement(opening: Record, rest: Iterator[Record]) -> Statement:
    account = opening.required("account")
    currency = currency_of(opening.required("currency"), line=opening.line, field="currency")
    lines: list[StatementLine] = []
    for record in rest:
        if record.required("account") != account or record.required("currency").upper() != currency:
            raise FileRejected(f"the statement is of {account} in {currency}", line=record.line, field="account")
        kind = record.required("record")
        if kind == LINE:
            lines.append(_line(record, currency))
        elif kind == CLOSING:
            statement = Statement(
                statement_id=opening.optional("reference") or f"line-{opening.line}",
                account=account,
                currency=currency,
                opening_minor=minor_of(opening.required("amount"), currency, line=opening.line, field="amount"),
                closing_minor=minor_of(record.required("amount"), currency, line=record.line, field="amount"),
                lines=tuple(lines),
                sequence=_sequence(opening),
                first_day=_day(opening),
                last_day=_day(record),
            )
            return judged(statement)
        else:
            raise FileRejected(f"{shown(kind)} is neither line nor closing", line=record.line, field="record")
    raise FileRejected("the statement has no closing record; the file may have lost its end", line=opening.line)


def _sequence(opening: Record) -> int | None:
    """Return the number in the optional column ``sequence`` of an opening record."""
    text = opening.optional("sequence")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_SEQUENCE_DIGITS):
        raise FileRejected(f"{shown(text)} is not a statement's number", line=opening.line, field="sequence")
    return int(text)


def _day(record: Record) -> date | None:
    """Return the booking date of an opening or closing record, which may leave it out."""
    text = record.optional("booking_date")
    return None if text is None else date_of(text, line=record.line, field="booking_date")


def _line(record: Record, currency: str) -> StatementLine:
    value_date = record.optional("value_date")
    end_to_end_id = record.optional("end_to_end_id")
    return StatementLine(
        row_number=record.line,
        amount_minor=minor_of(record.required("amount"), currency, line=record.line, field="amount"),
        currency=currency,
        booking_date=date_of(record.required("booking_date"), line=record.line, field="booking_date"),
        value_date=None if value_date is None else date_of(value_date, line=record.line, field="value_date"),
        references=unique([end_to_end_id, record.optional("reference")]),
        end_to_end_id=end_to_end_id,
        counterparty=record.optional("counterparty"),
        description=record.optional("description") or "",
    )
