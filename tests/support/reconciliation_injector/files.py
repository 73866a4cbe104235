"""A case as files: gateway rows and statements as payonce's own CSV, or as what a reader would return."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from payonce.reconciliation.readers.rows import FileFormat, ReconciliationFile, Statement, StatementLine
from tests.support.reconciliation_injector.calendars import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.reconciliation.readers.rows import GatewayRow
    from tests.support.reconciliation_injector.model import BankStatement

GATEWAY_HEADER = (
    "kind", "transaction_id", "reference", "amount", "fee", "net", "currency", "created_at", "available_at",
    "payout_id",
)  # fmt: skip
BANK_HEADER = (
    "record", "account", "currency", "booking_date", "value_date", "amount", "reference", "end_to_end_id",
    "counterparty", "description",
)  # fmt: skip
DIGITS = {"JPY": 0, "KWD": 3}


def major(amount_minor: int, currency: str) -> str:
    """Return the amount in major units."""
    digits = DIGITS.get(currency, 2)
    whole, part = divmod(abs(amount_minor), 10**digits)
    return ("-" if amount_minor < 0 else "") + str(whole) + (f".{part:0{digits}}" if digits else "")


def gateway_csv(rows: Iterable[GatewayRow]) -> bytes:
    """Return the rows as a payonce gateway CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(GATEWAY_HEADER)
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        amounts = (row.amount_minor, row.fee_minor, row.net_minor)
        totals[row.currency] = [old + new for old, new in zip(totals[row.currency], (1, *amounts), strict=True)]
        texts = [major(amount, row.currency) for amount in amounts]
        times = [_instant(row.created_at_ms), _instant(row.available_at_ms)]
        head = [row.kind.value, row.transaction_id, row.reference or ""]
        writer.writerow([*head, *texts, row.currency, *times, row.payout_id or ""])
    for currency, (count, *sums) in totals.items():
        writer.writerow(["total", count, "", *(major(amount, currency) for amount in sums), currency, "", "", ""])
    return out.getvalue().encode()


def bank_csv(statements: Iterable[BankStatement]) -> bytes:
    """Return the statements as a payonce bank CSV, which has no sequence numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(BANK_HEADER)
    for one in statements:
        start = [one.account, one.currency]
        opening, closing = major(one.opening_minor, one.currency), major(one.closing_minor, one.currency)
        writer.writerow(["opening", *start, "", "", opening, one.statement_id, "", "", ""])
        for line in one.lines:
            day, amount = line.booked_on.isoformat(), major(line.amount_minor, one.currency)
            reference = line.references[-1] if line.references else ""
            rest = [reference, line.end_to_end_id or "", "Gateway", line.description]
            writer.writerow(["line", *start, day, day, amount, *rest])
        writer.writerow(["closing", *start, "", "", closing, "", "", "", ""])
    return out.getvalue().encode()


def gateway_file(rows: Sequence[GatewayRow], name: str) -> ReconciliationFile:
    """Return what a reader would make of a report with these rows."""
    numbered = tuple(replace(row, row_number=number) for number, row in enumerate(rows, start=2))
    return ReconciliationFile(_id(name), FileFormat.STRIPE_CSV, gateway_rows=numbered)


def statement_file(statements: Sequence[BankStatement], name: str) -> ReconciliationFile:
    """Return what a reader would make of these statements."""
    return ReconciliationFile(_id(name), FileFormat.CAMT, statements=tuple(map(_statement, statements)))


def _statement(one: BankStatement) -> Statement:
    lines = tuple(
        StatementLine(
            row_number=number,
            amount_minor=line.amount_minor,
            currency=line.currency,
            booking_date=line.booked_on,
            value_date=line.booked_on,
            references=line.references,
            end_to_end_id=line.end_to_end_id,
            description=line.description,
        )
        for number, line in enumerate(one.lines, start=1)
    )
    return Statement(
        statement_id=one.statement_id,
        account=one.account,
        currency=one.currency,
        opening_minor=one.opening_minor,
        closing_minor=one.closing_minor,
        lines=lines,
        sequence=one.sequence,
        first_day=one.day,
        last_day=one.day,
    )


def _id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _instant(at_ms: int | None) -> str:
    return "" if at_ms is None else (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
