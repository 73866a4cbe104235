"""camt.053 (statement) and camt.054 (debit and credit notification) of ISO 20022, versions .02 to .13.

Only booked entries are lines: pending and informational ones have moved no money yet. A date is the bank's own calendar
date: of a date and time, the day as it is written, whatever its offset.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.camt_checks import check_summary, is_closing, is_opening, sequence_of
from payonce.reconciliation.readers.camt_entries import Transactions, day_at, entry_of, money_of
from payonce.reconciliation.readers.camt_xml import Closed, Node, Opened, Part, events
from payonce.reconciliation.readers.limits import MAX_ROWS
from payonce.reconciliation.readers.proof import prove
from payonce.reconciliation.readers.rows import Statement, StatementLine
from payonce.reconciliation.readers.values import currency_of, shown

if TYPE_CHECKING:
    from datetime import date

    from payonce.reconciliation.readers.camt_xml import Event

NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.(053|054)\.001\.(0[2-9]|1[0-3])")
MESSAGES = {"053": ("BkToCstmrStmt", "Stmt"), "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn")}
SEQUENCES = ("ElctrncSeqNb", "LglSeqNb")  # the first that a statement has is its number
ACCOUNT_PATHS = ("Id/IBAN", "Id/Othr/Id", "Id/BBAN", "Id/UPIC", "Id/PrtryAcct/Id")


@dataclass(frozen=True, slots=True)
class _Balance:
    kind: str
    currency: str
    amount_minor: int
    line: int
    day: date | None


@dataclass(slots=True)
class _Open:
    """A statement while it is read."""

    line: int
    statement_id: str | None = None
    account: str | None = None
    currency: str | None = None
    sequences: dict[str, int] = field(default_factory=dict)
    balances: list[_Balance] = field(default_factory=list)
    summary: Node | None = None
    lines: list[StatementLine] = field(default_factory=list)


def read_camt(data: bytes) -> tuple[Statement, ...]:
    """Return the message's statements. Raises ``FileRejected``.

    Checked: the transaction summary's counts and sums where there is one, the counts of batches, one currency per
    account, and for camt.053 that opening + booked entries = closing, both of which a statement must have.
    """
    reader = _Reader()
    for event in events(data):
        reader.take(event)
    if not reader.statements:
        raise FileRejected("the message holds no statement")
    return tuple(reader.statements)


class _Reader:
    def __init__(self) -> None:
        self.message = ""
        self.open: _Open | None = None
        self.statements: list[Statement] = []
        self.rows = 0
        self.transactions = Transactions()

    def take(self, event: Event) -> None:
        if isinstance(event, Opened):
            self.opened(event)
        elif isinstance(event, Closed):
            if event.depth == 3 and self.open is not None:
                self.statements.append(_closed(self.open, self.message))
                self.open = None
        elif self.open is not None:
            if isinstance(event, Part):
                self.transactions.add(event.node)
            else:
                self.child(self.open, event)

    def opened(self, event: Opened) -> None:
        if event.depth == 1:
            matched = NAMESPACE.fullmatch(event.namespace)
            if matched is None or event.name != "Document":
                raise FileRejected(
                    f"namespace {shown(event.namespace)} is not camt.053 or camt.054, version 02 to 13", line=event.line
                )
            self.message = matched[1]
        elif event.depth == 2 and event.name != MESSAGES[self.message][0]:
            raise FileRejected(f"{shown(event.name)} is not the message of its namespace", line=event.line)
        elif event.depth == 3 and event.name == MESSAGES[self.message][1]:
            self.open = _Open(event.line)

    def child(self, statement: _Open, node: Node) -> None:
        if node.name == "Id":
            statement.statement_id = node.text.strip()
        elif node.name in SEQUENCES:
            statement.sequences[node.name] = sequence_of(node)
        elif node.name == "Acct":
            statement.account = next(filter(None, map(node.value, ACCOUNT_PATHS)), None)
            code = node.value("Ccy")
            statement.currency = currency_of(code, line=node.line, field="Acct/Ccy") if code else None
        elif node.name == "Bal":
            kind = node.value("Tp/CdOrPrtry/Cd")
            if kind is not None and (is_opening(kind) or is_closing(kind)):
                currency, amount = money_of(node, "Bal")
                statement.balances.append(_Balance(kind, currency, amount, node.line, day_at(node, "Dt")))
        elif node.name == "TxsSummry":
            statement.summary = node
        elif node.name == "Ntry":
            self.rows += 1
            if self.rows > MAX_ROWS:
                raise FileRejected(f"there are more than {MAX_ROWS} entries; split the file", line=node.line)
            line = entry_of(node, self.transactions)
            self.transactions = Transactions()
            if line is not None:
                statement.lines.append(line)


def _closed(found: _Open, message: str) -> Statement:
    if not found.account:
        raise FileRejected("there is no account identification", line=found.line, field="Acct/Id")
    if found.summary is not None:
        check_summary(found.summary, found.lines)
    currencies = [balance.currency for balance in found.balances] + [line.currency for line in found.lines]
    currency = found.currency or next(iter(currencies), None)
    if currency is None:
        raise FileRejected("neither account, balance nor entry names a currency", line=found.line, field="Acct/Ccy")
    opening, closing = _balances(found, currency) if message == "053" else (None, None)
    statement = Statement(
        statement_id=found.statement_id or f"line-{found.line}",
        account=found.account,
        currency=currency,
        opening_minor=opening.amount_minor if opening else None,
        closing_minor=closing.amount_minor if closing else None,
        lines=tuple(found.lines),
        sequence=next((found.sequences[name] for name in SEQUENCES if name in found.sequences), None),
        first_day=opening.day if opening else None,
        last_day=closing.day if closing else None,
    )
    return prove(statement, line=closing.line if closing else found.line, field="Bal" if closing else "Ntry/Amt")


def _balances(found: _Open, currency: str) -> tuple[_Balance, _Balance]:
    """Return the opening and the closing balance.

    A page of a statement opens and closes with interim balances (ITBD): the first opens, the last closes.
    """
    for balance in found.balances:
        if balance.currency != currency:
            problem = f"balance {balance.kind} is in {balance.currency}, the account in {currency}"
            raise FileRejected(problem, line=balance.line, field="Bal/Amt")
    interim = [balance for balance in found.balances if balance.kind == "ITBD"]
    openings = [balance for balance in found.balances if balance.kind in ("OPBD", "PRCD")]
    closings = [balance for balance in found.balances if balance.kind == "CLBD"]
    if not openings:
        openings, interim = interim[:1], interim[1:]
    if not closings:
        closings = interim[-1:]
    for name, balances in (("opening (OPBD)", openings), ("closing (CLBD)", closings)):
        if not balances:
            raise FileRejected(
                f"there is no {name} booked balance, so nothing proves that no entry is missing",
                line=found.line,
                field="Bal",
            )
        if len({balance.amount_minor for balance in balances}) > 1:
            raise FileRejected(f"there are several {name} balances", line=balances[1].line, field="Bal")
    return openings[0], closings[0]
