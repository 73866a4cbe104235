"""What other libraries read in a bank's file, in one form: mt-940, bai2, ofxparse, and genkgo/camt's expected output.

Differential tests and the acceptance table compare our readers with it: amounts, signs, currencies, dates, references
and balances. Sources: https://github.com/wolph/mt940, https://github.com/ractive/bai2 (on PyPI as bai2),
https://github.com/jseutter/ofxparse, https://github.com/genkgo/camt/tree/master/test/data.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from payonce.reconciliation.readers.rows import ReconciliationFile

NAMES = {"_mt940": "mt-940", "_bai2": "bai2", "_ofxparse": "ofxparse", "_camt": "genkgo/camt"}
TAKES_MONEY_OUT = ("D", "RC")


@dataclass(frozen=True, slots=True)
class PeerLine:
    """A movement as a peer has it; what it does not tell is ``None``."""

    amount: Decimal
    currency: str | None = None
    value_date: str | None = None
    booking_date: str | None = None
    references: tuple[str, ...] = ()


@dataclass(slots=True)
class PeerReading:
    """What a peer makes of a file: lines and the balances of each statement, or why it refuses it."""

    peer: str
    lines: list[PeerLine] = field(default_factory=list)
    balances: list[tuple[Decimal | None, Decimal | None]] | None = None
    error: str | None = None

    @property
    def says(self) -> str:
        """The reading in a few words."""
        return f"{self.peer} {self.error or f'reads {len(self.lines)} lines'}"


def peer_of(path: Path) -> PeerReading | None:
    """Return what the peer of the file's format makes of it, ``None`` where there is none."""
    data = path.read_bytes()
    head = data.lstrip()[:400]
    reader: Callable[[Path, bytes], PeerReading]
    if path.suffix == ".ofx":
        reader = _ofxparse
    elif path.suffix == ".xml":
        if not path.with_suffix(".json").is_file():
            return None
        reader = _camt
    elif head.startswith(b"01,"):
        reader = _bai2
    else:
        reader = _mt940
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return reader(path, data)
        except Exception as error:  # whatever another library raises is its refusal
            return PeerReading(NAMES[reader.__name__], error=f"fails ({type(error).__name__})")


def differences(ours: ReconciliationFile, peer: PeerReading) -> list[str]:
    """Return where the two tell of other money, in words; none where they agree or the peer refuses the file."""
    if peer.error is not None:
        return []
    lines = [line for statement in ours.statements for line in statement.lines]
    if len(lines) != len(peer.lines):
        return [f"{len(lines)} lines, {peer.peer} has {len(peer.lines)}"]
    found = []
    for line, wanted in zip(lines, peer.lines, strict=True):
        exponent = MINOR_UNIT_EXPONENTS[line.currency]
        told = (
            ("amount", line.amount_minor, int(wanted.amount.scaleb(exponent))),
            ("currency", line.currency, wanted.currency or line.currency),
            ("value date", str(line.value_date), wanted.value_date or str(line.value_date)),
            ("booking date", str(line.booking_date), wanted.booking_date or str(line.booking_date)),
        )
        where = f"line {line.row_number}"
        found += [f"{where}: {name} {mine}, {peer.peer} has {theirs}" for name, mine, theirs in told if mine != theirs]
        lacking = [each for each in wanted.references if not any(each in mine for mine in line.references)]
        found += [f"{where}: no reference {each}" for each in lacking]
    return found + _balances_differ(ours, peer)


def _balances_differ(ours: ReconciliationFile, peer: PeerReading) -> list[str]:
    if peer.balances is None:
        return []
    mine = []
    for statement in ours.statements:
        exponent = MINOR_UNIT_EXPONENTS[statement.currency]
        sides = (statement.opening_minor, statement.closing_minor)
        mine.append(tuple(None if side is None else Decimal(side).scaleb(-exponent) for side in sides))
    return [] if mine == peer.balances else [f"balances {mine}, {peer.peer} has {peer.balances}"]


def _mt940(_: Path, data: bytes) -> PeerReading:
    import mt940

    logging.getLogger("mt940").setLevel(logging.CRITICAL)  # it logs pages about a file that it refuses

    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("iso-8859-1")
    reading = PeerReading("mt-940", balances=[])
    carried = None
    for statement in mt940.parse_statements(text):
        told = statement.data
        page_opening, page_closing = told.get("intermediate_opening_balance"), told.get("intermediate_closing_balance")
        opening = told.get("final_opening_balance") or page_opening
        closing = told.get("final_closing_balance") or page_closing
        assert reading.balances is not None
        # To the library each page is a statement; one that begins with what the page before carries over is not, to us.
        page = (told.get("account_identification"), _money(page_opening))
        if page_opening is not None and carried == page:
            reading.balances[-1] = (reading.balances[-1][0], _money(closing))
        else:
            reading.balances.append((_money(opening), _money(closing)))
        carried = (told.get("account_identification"), _money(page_closing))
        reading.lines += [_mt940_line(one.data) for one in statement.transactions if one.data.get("amount") is not None]
    return reading


def _money(balance: Any) -> Decimal | None:
    return None if balance is None else balance.amount.amount


def _mt940_line(told: dict[str, Any]) -> PeerLine:
    amount = abs(told["amount"].amount)
    references = [told.get("customer_reference"), told.get("bank_reference")]
    # "KREF+" says that the reference is in :86:; the library joins what comes of it and the text behind.
    references = [each for each in references if each and "KREF+" not in each and each.strip() != "NONREF"]
    booked = told.get("guessed_entry_date") or told.get("entry_date") or told["date"]
    return PeerLine(
        amount=-amount if told["status"] in TAKES_MONEY_OUT else amount,
        currency=told["amount"].currency,
        value_date=str(told["date"]),
        booking_date=str(booked),
        references=tuple(each.strip() for each in references),
    )


def _bai2(_: Path, data: bytes) -> PeerReading:
    from bai2 import bai2
    from bai2.constants import TypeCodeTransaction
    from bai2.exceptions import IntegrityException

    text = data.decode("iso-8859-1")
    try:
        bai2.parse_from_string(text, check_integrity=True)
    except IntegrityException as error:
        return PeerReading("bai2", error=f"refused: {error}")
    file = bai2.parse_from_string(text, check_integrity=False)
    reading = PeerReading("bai2")
    for account in (account for group in file.children for account in group.children):
        for one in account.children:
            sign = -1 if one.type_code.transaction is TypeCodeTransaction.debit else 1
            currency = account.header.currency or "USD"
            references = tuple(each for each in (one.bank_reference, one.customer_reference) if each)
            exponent = MINOR_UNIT_EXPONENTS[currency]
            reading.lines.append(
                PeerLine(Decimal(sign * one.amount).scaleb(-exponent), currency, references=references)
            )
    return reading


def _ofxparse(_: Path, data: bytes) -> PeerReading:
    from ofxparse import OfxParser
    from ofxparse.ofxparse import AccountType

    reading = PeerReading("ofxparse", balances=[])
    for account in OfxParser.parse(io.BytesIO(data)).accounts:
        if account.type not in (AccountType.Bank, AccountType.CreditCard) or not account.statement:
            continue
        currency = str(account.statement.currency or "").upper() or None
        balance = getattr(account.statement, "balance", None)
        assert reading.balances is not None
        reading.balances.append((None, balance))
        for one in account.statement.transactions:
            day = str(one.date.date())
            reading.lines.append(PeerLine(one.amount, currency, booking_date=day, references=(one.id,)))
    return reading


def _camt(path: Path, _: bytes) -> PeerReading:
    reading = PeerReading("genkgo/camt")
    for entry in json.loads(path.with_suffix(".json").read_text())["getEntries"]:
        if (entry.get("getStatus") or "BOOK") != "BOOK":
            continue
        money = entry["getAmount"]
        currency = money["getCurrency"]["getCode"]
        booked, value = (entry[name]["0"][:10] if entry[name] else None for name in ("getBookingDate", "getValueDate"))
        reading.lines.append(
            PeerLine(
                Decimal(money["getAmount"]).scaleb(-MINOR_UNIT_EXPONENTS[currency]), currency, value, booked or value
            )
        )
    return reading
