"""camt.052 (interim report), camt.053 (statement) and camt.054 (notification) of ISO 20022, versions .01 to .13.

Only booked entries are lines: pending and informational ones have moved no money yet. A date is the bank's own calendar
date: of a date and time, the day as it is written, whatever its offset.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.camt_checks import is_closing, is_opening, sequence_of, summary_off
from payonce.reconciliation.readers.camt_entries import Transactions, day_at, entry_doubts, entry_of, made_on, money_of
from payonce.reconciliation.readers.camt_xml import Closed, Node, Opened, Part, events
from payonce.reconciliation.readers.limits import MAX_ROWS
from payonce.reconciliation.readers.proof import INTERIM, NO_BALANCES, judged
from payonce.reconciliation.readers.rows import Statement, StatementLine
from payonce.reconciliation.readers.values import currency_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from payonce.reconciliation.readers.camt_xml import Event

NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.(052|053|054)\.001\.(0[1-9]|1[0-3])")
MESSAGES = {
    "052": ("BkToCstmrAcctRpt", "Rpt"),
    "053": ("BkToCstmrStmt", "Stmt"),
    "054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
}
SEQUENCES = ("ElctrncSeqNb", "LglSeqNb")  # the first that a statement has is its number
ACCOUNT_PATHS = ("Id/IBAN", "Id/Othr/Id", "Id/BBAN", "Id/UPIC", "Id/PrtryAcct/Id")
BANK_PATHS = ("Svcr/FinInstnId/BICFI", "Svcr/FinInstnId/BIC")
MESSAGE_DOUBTS = {"052": (INTERIM,), "053": (), "054": (NO_BALANCES,)}


@dataclass(frozen=True, slots=True)
class _Balance:
    kind: str
    currency: str
    amount_minor: int
    line: int
    day: date | None

    @property
    def is_page(self) -> bool:
        return self.kind == "ITBD"


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
    made_on: date | None = None
    bank: str | None = None
    doubts: list[str] = field(default_factory=list)


def read_camt(data: bytes) -> tuple[Statement, ...]:
    """Return the message's statements, one for each currency of an account that has several. Raises ``FileRejected``.

    Unproved: a camt.052, a camt.054, and a camt.053 whose balances are missing or contradict its booked entries, or
    whose summary or batches count otherwise.
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
                self.statements += _closed(self.open, self.message)
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
                problem = f"namespace {shown(event.namespace)} is not camt.052, camt.053 or camt.054, version 01 to 13"
                raise FileRejected(problem, line=event.line)
            self.message = matched[1]
        elif event.depth == 2 and event.name.removesuffix("V01") != MESSAGES[self.message][0]:
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
            statement.bank = next(filter(None, map(node.value, BANK_PATHS)), None)
        elif node.name == "CreDtTm":
            statement.made_on = made_on(node)
        elif node.name == "Bal":
            kind = node.value("Tp/CdOrPrtry/Cd")
            if kind is not None and (is_opening(kind) or is_closing(kind)):
                currency, amount = money_of(node, "Bal")
                statement.balances.append(_Balance(kind, currency, amount, node.line, day_at(node, "Dt")))
        elif node.name == "TxsSummry":
            statement.summary = node
        elif node.name == "Ntry":
            self.entry(statement, node)

    def entry(self, statement: _Open, node: Node) -> None:
        self.rows += 1
        if self.rows > MAX_ROWS:
            raise FileRejected(f"there are more than {MAX_ROWS} entries; split the file", line=node.line)
        line = entry_of(node, self.transactions, made_on=statement.made_on)
        self.transactions = Transactions()
        if line is not None:
            statement.lines.append(line)
            statement.doubts += entry_doubts(node)


def _closed(found: _Open, message: str) -> Iterator[Statement]:
    if not found.account:
        raise FileRejected("there is no account identification", line=found.line, field="Acct/Id")
    stated = [balance.currency for balance in found.balances]
    booked = list(dict.fromkeys(line.currency for line in found.lines))
    # The account's currency; an account of several has entries, and often balances, in each.
    currencies = booked or ([found.currency] if found.currency else list(dict.fromkeys(stated)))
    if not currencies:
        raise FileRejected("neither account, balance nor entry names a currency", line=found.line, field="Acct/Ccy")
    doubts = [*found.doubts, *MESSAGE_DOUBTS[message]]
    if found.summary is not None:
        doubts += summary_off(found.summary, found.lines)
    for currency in currencies:
        yield _statement(found, currency, doubts)


def _statement(found: _Open, currency: str, doubts: list[str]) -> Statement:
    balances = [balance for balance in found.balances if balance.currency == currency]
    reasons = list(doubts)
    if found.currency not in (None, currency):
        reasons.append(f"entries are in {currency}, the account in {found.currency}")
    opening, closing = _sides(balances, reasons)
    statement = Statement(
        statement_id=found.statement_id or f"line-{found.line}",
        account=found.account or "",
        currency=currency,
        opening_minor=opening.amount_minor if opening else None,
        closing_minor=closing.amount_minor if closing else None,
        lines=tuple(line for line in found.lines if line.currency == currency),
        sequence=next((found.sequences[name] for name in SEQUENCES if name in found.sequences), None),
        first_day=opening.day if opening else None,
        last_day=closing.day if closing else None,
    )
    return judged(statement, reasons, bank_code=found.bank)


def _sides(balances: list[_Balance], reasons: list[str]) -> tuple[_Balance | None, _Balance | None]:
    """Return the opening and the closing balance, and add to ``reasons`` what is amiss with them.

    A page of a statement opens and closes with interim balances (ITBD): the first opens, the last closes.
    """
    interim = [balance for balance in balances if balance.is_page]
    openings = [balance for balance in balances if balance.kind in ("OPBD", "PRCD")]
    closings = [balance for balance in balances if balance.kind == "CLBD"]
    if not openings:
        openings, interim = interim[:1], interim[1:]
    if not closings:
        closings = interim[-1:]
    for name, several in (("opening (OPBD)", openings), ("closing (CLBD)", closings)):
        if len({balance.amount_minor for balance in several}) > 1:
            reasons.append(f"there are several {name} balances")
    return next(iter(openings), None), next(iter(closings), None)
