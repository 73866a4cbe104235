"""Rows of files as the tables that the rules read. Pure, and the same for every engine.

A key is derived from content alone: a file's name, its other statements and the order of its lines are no part of it.
So a file that is split, shuffled or read again gives the same keys. Amounts are integer minor units, days are counted
from 1970-01-01.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from payonce.reconciliation.readers.accounts import canonical_account
from payonce.reconciliation.readers.sent import sent_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.reconciliation.readers.rows import ReconciliationFile, Statement, StatementLine

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_POSITION = re.compile(r"line-[0-9]+\Z")


class GatewayTableRow(NamedTuple):
    """A row of ``gateway_row``; its identity is (gateway, transaction_id)."""

    gateway: str
    transaction_id: str
    kind: str
    reference: str | None
    gateway_payment_id: str | None
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    created_at_ms: int
    available_at_ms: int | None
    payout_id: str | None
    presented_minor: int | None
    presented_currency: str | None
    category: str | None
    gateway_charge_id: str | None
    gateway_object_id: str | None
    payment_reference: str | None
    rate_millionths: int | None
    payment_method: str | None
    card_country: str | None
    payout_reference: str | None
    payout_at_ms: int | None


class BankLineRow(NamedTuple):
    """A row of ``bank_line``. ``reference_text`` is ``|a|b|``, or ``|`` where the bank gives no reference.

    ``statement_key`` is the statement's, which another rendition of it shares; ``rendition_key`` is that of this one.
    ``proved`` is 1 where the statement proves itself: what rests on another line closes no case.
    """

    line_key: str
    account: str
    currency: str
    amount_minor: int
    booking_day: int
    reference_text: str
    end_to_end_id: str | None
    description: str
    statement_key: str
    rendition_key: str
    proved: int
    counterparty: str | None
    sent_minor: int | None
    sent_currency: str | None


class BankStatementRow(NamedTuple):
    """A row of ``bank_statement``; days are ``None`` where neither balances nor lines are dated.

    Balances of a statement that does not prove itself (``proved`` is 0) are compared with no other's.
    """

    statement_key: str
    account: str
    currency: str
    opening_minor: int | None
    closing_minor: int | None
    sequence: int | None
    first_day: int | None
    last_day: int | None
    proved: int


def gateway_table_rows(file: ReconciliationFile, gateway: str) -> Iterator[GatewayTableRow]:
    """Yield the file's gateway rows under the gateway's name, one by one: the largest file is not held twice."""
    for row in file.gateway_rows:
        yield GatewayTableRow(
            gateway,
            row.transaction_id,
            row.kind.value,
            row.reference,
            row.gateway_payment_id,
            row.amount_minor,
            row.fee_minor,
            row.net_minor,
            row.currency,
            row.created_at_ms,
            row.available_at_ms,
            row.payout_id,
            row.presented_minor,
            row.presented_currency,
            row.category,
            row.gateway_charge_id,
            row.gateway_object_id,
            row.payment_reference,
            row.rate_millionths,
            row.payment_method,
            row.card_country,
            row.payout_reference,
            row.payout_at_ms,
        )


def bank_line_rows(file: ReconciliationFile) -> Iterator[BankLineRow]:
    """Yield the lines of the file's statements."""
    for statement in file.statements:
        yield from _lines_of(statement)


def bank_statement_rows(file: ReconciliationFile) -> Iterator[BankStatementRow]:
    """Yield the file's statements."""
    for statement in file.statements:
        first, last = _days_of(statement)
        yield BankStatementRow(
            statement_key_of(statement),
            account_of(statement),
            statement.currency,
            statement.opening_minor,
            statement.closing_minor,
            statement.sequence,
            first,
            last,
            _proved(statement),
        )


def day_number(day: date) -> int:
    """Return the days since 1970-01-01: a bank's calendar date, which no time zone moves."""
    return day.toordinal() - EPOCH_ORDINAL


def account_of(statement: Statement) -> str:
    """Return the account's one name, which a statement that no reader made may lack yet."""
    return canonical_account(statement.account, statement.currency)


def statement_key_of(statement: Statement) -> str:
    """Return the key that all renditions of one statement share.

    The camt.053 and the MT940 of a day agree on account, balances, closing day and amounts, while their ids, texts and
    opening days differ. What does not prove itself has no balances to know it by: its key is that of its whole content.
    """
    account, currency = account_of(statement), statement.currency
    if not _proved(statement):
        return _sha256("notification", statement.opening_minor, statement.closing_minor, rendition_key_of(statement))
    amounts = sorted(line.amount_minor for line in statement.lines)
    _, last = _days_of(statement)
    return _sha256("statement", account, currency, statement.opening_minor, statement.closing_minor, last, *amounts)


def _proved(statement: Statement) -> int:
    has_balances = statement.opening_minor is not None and statement.closing_minor is not None
    return int(statement.unproved is None and has_balances)


def rendition_key_of(statement: Statement) -> str:
    """Return the key of a statement as one file tells it: equal for every file that tells the same of its lines."""
    parts = sorted(_sha256(*_content_of(statement, line)) for line in statement.lines)
    # An id that a reader made of the line's number in the file says where the statement stands, not what it is.
    named = "" if _POSITION.search(statement.statement_id) else statement.statement_id
    return _sha256("rendition", named, account_of(statement), statement.currency, *_days_of(statement), *parts)


def _lines_of(statement: Statement) -> Iterator[BankLineRow]:
    """Yield a statement's lines. Identical ones are told apart by their ordinal, whichever comes first."""
    account, statement_key, rendition_key = (
        account_of(statement),
        statement_key_of(statement),
        rendition_key_of(statement),
    )
    seen: Counter[tuple[str | int | None, ...]] = Counter()
    for line in statement.lines:
        content = _content_of(statement, line)
        seen[content] += 1
        yield BankLineRow(
            _sha256("line", *content, seen[content]),
            account,
            line.currency,
            line.amount_minor,
            day_number(line.booking_date),
            "".join("|" + reference for reference in _references_of(line)) + "|",
            line.end_to_end_id,
            line.description,
            statement_key,
            rendition_key,
            _proved(statement),
            line.counterparty,
            *(sent_of(line) or (None, None)),
        )


def _references_of(line: StatementLine) -> list[str]:
    """Return the references sorted: two messages may list the same ones in another order."""
    return sorted({reference.replace("|", " ") for reference in line.references})


def _content_of(statement: Statement, line: StatementLine) -> tuple[str | int | None, ...]:
    references = _references_of(line)
    return (
        account_of(statement),
        line.currency,
        day_number(line.booking_date),
        line.amount_minor,
        len(references),
        *references,
        line.end_to_end_id,
        line.description,
        line.counterparty,
        line.sent_minor,
        line.sent_currency,
    )


def _days_of(statement: Statement) -> tuple[int | None, int | None]:
    """Return the first and last day: of the balances, else of the lines."""
    booked = [line.booking_date for line in statement.lines]
    first = statement.first_day or min(booked, default=statement.last_day)
    last = statement.last_day or max(booked, default=statement.first_day)
    return (None if first is None else day_number(first)), (None if last is None else day_number(last))


def _sha256(*parts: str | int | None) -> str:
    """Return the hexadecimal SHA-256 of the length-prefixed parts: ("ab", "c") is not ("a", "bc"), nor None empty."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = b"" if part is None else str(part).encode("utf-8", "surrogatepass")
        digest.update((b"-" if part is None else b"%d" % len(encoded)) + b":")
        digest.update(encoded)
    return digest.hexdigest()
