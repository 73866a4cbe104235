"""BAI2 cash management balance reporting: records into accounts, with every control total checked.

Amounts have no decimal sign; the currency's ISO 4217 exponent is implied. Source: BAI, Cash Management Balance
Reporting Specifications, version 2; ANSI X9.121 (BTR3) keeps its records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.bai2_fields import (
    Bai2Line,
    Bai2Summary,
    amount_of,
    bai2_date,
    detail_of,
    summaries_of,
)
from payonce.reconciliation.readers.bai2_records import Record, records_of
from payonce.reconciliation.readers.proof import judged
from payonce.reconciliation.readers.rows import Statement, StatementLine
from payonce.reconciliation.readers.values import currency_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

DEFAULT_CURRENCY = "USD"  # the specification's, when neither account nor group names one
OPENING_LEDGER, CLOSING_LEDGER, TOTAL_CREDITS, TOTAL_DEBITS = "010", "015", "100", "400"
VERSIONS = ("2", "3", "")
DELETION, TEST_ONLY = "2", "4"
GROUP_STATUSES = ("1", "2", "3", "4")


@dataclass(slots=True)
class _Totals:
    """What a level has seen so far: amounts in minor units, its members and its physical records."""

    amount: int = 0
    members: int = 0
    records: int = 0


@dataclass(slots=True)
class _Group:
    as_of: date
    currency: str
    totals: _Totals = field(default_factory=_Totals)


def read_bai2(data: bytes) -> tuple[Statement, ...]:
    """Return one statement per account record. Raises ``FileRejected``.

    Refused: wrong nesting, and sums and record counts of accounts, groups and file that are not those of the records.
    Unproved: a statement without both ledger balances or against them, one whose total credits or debits state another
    number of items or sum, and one with details of no known side.
    """
    reader = _Reader(records_of(data))
    statements = reader.file()
    return tuple(statements)


class _Reader:
    def __init__(self, records: Iterator[Record]) -> None:
        self.rest = records
        self.line = 0

    def next(self, *expected: str) -> Record:
        record = next(self.rest, None)
        if record is None:
            raise FileRejected(f"the file ends where record {' or '.join(expected)} is expected", line=self.line + 1)
        self.line = record.line
        if record.code not in expected:
            raise FileRejected(
                f"record {shown(record.code)} where {' or '.join(expected)} is expected", line=record.line
            )
        return record

    def file(self) -> list[Statement]:
        header = self.next("01")
        if _at(header, 7) not in VERSIONS:
            raise FileRejected(
                f"version {shown(_at(header, 7))} is neither 2 nor 3", line=header.line, field="01 version"
            )
        totals = _Totals(records=header.physical)
        statements: list[Statement] = []
        while (record := self.next("02", "99")).code == "02":
            statements += self.group(record, totals)
        _check(record, totals, "99")
        if (more := next(self.rest, None)) is not None:
            raise FileRejected("a record after the file's trailer", line=more.line)
        return statements

    def group(self, header: Record, outer: _Totals) -> list[Statement]:
        status = _at(header, 2)
        if status in (DELETION, TEST_ONLY) or status not in GROUP_STATUSES:
            problem = f"group status {shown(status)} is not read: only updates (1) and corrections (3) are booked"
            raise FileRejected(problem, line=header.line, field="02 status")
        as_of = bai2_date(_at(header, 3), line=header.line, field="02 as-of date")
        currency = currency_of(_at(header, 5) or DEFAULT_CURRENCY, line=header.line, field="02 currency")
        group = _Group(as_of, currency, _Totals(records=header.physical))
        statements: list[Statement] = []
        while (record := self.next("03", "98")).code == "03":
            statements.append(self.account(record, group))
        _check(record, group.totals, "98")
        _add(outer, group.totals)
        return statements

    def account(self, header: Record, group: _Group) -> Statement:
        account = _at(header, 0)
        if not account:
            raise FileRejected("there is no account number", line=header.line, field="03 account")
        currency = currency_of(_at(header, 1) or group.currency, line=header.line, field="03 currency")
        summaries = summaries_of(header.fields[2:], line=header.line)
        totals = _Totals(sum(summary.amount_minor for summary in summaries), 0, header.physical)
        details: list[Bai2Line] = []
        while (record := self.next("16", "49")).code == "16":
            detail = detail_of(record.fields, line=record.line)
            details.append(detail)
            totals.amount += detail.stated_minor
            totals.records += record.physical
        totals.records += record.physical
        _check_amount(record, totals.amount, "49")
        _check_count(record, 1, totals.records, "49 number of records")
        _add(group.totals, totals)
        balances = {summary.type_code: summary.amount_minor for summary in summaries}
        statement = Statement(
            statement_id=f"{group.as_of.isoformat()}-line-{header.line}",
            account=account,
            currency=currency,
            opening_minor=balances.get(OPENING_LEDGER),
            closing_minor=balances.get(CLOSING_LEDGER),
            lines=tuple(_statement_line(each, currency, group.as_of) for each in details if each.sign),
            first_day=group.as_of,
            last_day=group.as_of,
        )
        return judged(statement, _doubts(summaries, details))


def _at(record: Record, index: int) -> str:
    return record.fields[index].strip() if index < len(record.fields) else ""


def _add(outer: _Totals, inner: _Totals) -> None:
    outer.amount += inner.amount
    outer.members += 1
    outer.records += inner.records


def _check(record: Record, totals: _Totals, code: str) -> None:
    totals.records += record.physical
    _check_amount(record, totals.amount, code)
    _check_count(record, 1, totals.members, f"{code} number of members")
    _check_count(record, 2, totals.records, f"{code} number of records")


def _check_amount(record: Record, counted: int, code: str) -> None:
    field_name = f"{code} control total"
    stated = amount_of(_at(record, 0), line=record.line, field=field_name)
    if stated != counted:
        raise FileRejected(f"it says {stated}, the records make {counted}", line=record.line, field=field_name)


def _check_count(record: Record, index: int, counted: int, field_name: str) -> None:
    stated = amount_of(_at(record, index), line=record.line, field=field_name)
    if stated != counted:
        raise FileRejected(f"it says {stated}, there are {counted}", line=record.line, field=field_name)


def _doubts(summaries: list[Bai2Summary], details: list[Bai2Line]) -> Iterator[str]:
    """Yield what is amiss: details of no known side, and totals that state another number of items or another sum."""
    balanced = {OPENING_LEDGER, CLOSING_LEDGER} <= {summary.type_code for summary in summaries}
    for detail in details:
        if detail.sign == 0 and detail.stated_minor:
            yield f"line {detail.line}: type code {detail.type_code} is neither credit nor debit, and was left out"
        elif detail.is_custom and not balanced:
            yield f"type code {detail.type_code} is the bank's own, and no balances prove its side"
    for summary in summaries:
        if not details or summary.item_count is None or summary.type_code not in (TOTAL_CREDITS, TOTAL_DEBITS):
            continue
        sign = 1 if summary.type_code == TOTAL_CREDITS else -1
        amounts = [detail.amount_minor for detail in details if detail.amount_minor * sign > 0]
        if (len(amounts), abs(sum(amounts))) != (summary.item_count, abs(summary.amount_minor)):
            yield (
                f"total {summary.type_code} states {summary.item_count} items of {summary.amount_minor}, the details "
                f"are {len(amounts)} of {abs(sum(amounts))} in minor units"
            )


def _statement_line(detail: Bai2Line, currency: str, as_of: date) -> StatementLine:
    return StatementLine(
        row_number=detail.line,
        amount_minor=detail.amount_minor,
        currency=currency,
        booking_date=as_of,
        value_date=detail.value_date,
        references=detail.references,
        description=detail.text,
    )
