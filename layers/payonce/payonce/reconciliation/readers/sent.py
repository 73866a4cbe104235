"""What was sent, where a bank's entry states it beside what was booked: before charges, or in another currency.

camt has elements for it (``AmtDtls/InstdAmt``, ``Chrgs``: https://www.iso20022.org/iso-20022-message-definitions).
MT940 has the code words /OCMT/ and /CHGS/ in subfield 9 of :61:
(https://www2.swift.com/knowledgecentre/publications/us9m_20230720). Many banks write it into the text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.values import currency_of, minor_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.reconciliation.readers.camt_xml import Node
    from payonce.reconciliation.readers.rows import StatementLine

# A rate in a text has to explain the booked amount: banks round the rates that they print.
RATE_MARGIN = Decimal("0.01")
_ORIGINAL = re.compile(r"OCMT/([A-Z]{3})([0-9]+,[0-9]*)")
_CHARGED = re.compile(r"CHGS/([A-Z]{3})([0-9]+,[0-9]*)")
_CONVERTED = re.compile(
    r"\b([A-Z]{3}) ?([0-9][0-9.,]*)[ /;]+(?:EXCH(?:ANGE)?\.? ?)?"
    r"(?:RATE|KURS|KOERS|COURS|EXCH|CAMBIO)[ :/]*([0-9][0-9.,]*)"
)
_LESS = re.compile(
    r"\b(?:CHARGES?|FEES?|SPESEN|KOSTEN|ENTGELT|FRAIS|COMMISSIONS?)[ :]+([A-Z]{3}) ?([0-9][0-9.,]*)", re.IGNORECASE
)
_GROUPED = re.compile(r"[0-9]{1,3}([.,'][0-9]{3})+")


def sent_of(line: StatementLine) -> tuple[int, str] | None:
    """Return what was sent, in minor units of its currency, where the entry states it and it is not what was booked."""
    sent = (line.sent_minor, line.sent_currency) if line.sent_currency is not None else _in_text(line)
    if sent is None or sent[0] is None or sent == (line.amount_minor, line.currency):
        return None
    return int(sent[0]), str(sent[1])


def instructed_in(detail: Node) -> tuple[int, str] | None:
    """Return the instructed amount of a camt transaction."""
    node = detail.find("AmtDtls/InstdAmt/Amt")
    return None if node is None else _money(node)


def charges_in(node: Node) -> Iterator[tuple[int, str]]:
    """Yield the charges of a camt entry or transaction that its amount is less by."""
    for charges in node.each("Chrgs"):
        total = charges.find("TtlChrgsAndTaxAmt") or charges.find("Amt")
        records = [one for one in charges.each("Rcrd") if (one.value("ChrgInclInd") or "true") in ("true", "1")]
        found = [_money(one) for record in records if (one := record.find("Amt")) is not None]
        yield from filter(None, found or ([] if total is None else [_money(total)]))


def sent_in_entry(
    amount_minor: int, currency: str, instructed: list[tuple[int, str] | None], charges: list[tuple[int, str]]
) -> tuple[int, str] | None:
    """Return what was sent by a camt credit: what was instructed, else the booked amount with its charges."""
    if amount_minor <= 0:
        return None
    amounts = [one for one in instructed if one is not None]
    if amounts and len(amounts) == len(instructed) and len({code for _, code in amounts}) == 1:
        total, code = sum(minor for minor, _ in amounts), amounts[0][1]
        if code != currency or total > amount_minor:
            return total, code
    taken = sum(minor for minor, code in charges if code == currency)
    return (amount_minor + taken, currency) if 0 < taken < amount_minor else None


def _in_text(line: StatementLine) -> tuple[int, str] | None:
    if line.amount_minor <= 0:
        return None
    text = line.description
    if matched := _ORIGINAL.search(text):
        return _minor(matched[2], matched[1])
    for matched in _CONVERTED.finditer(text):
        sent, rate = _minor(matched[2], matched[1]), _decimal(matched[3])
        if sent is not None and rate and _explains(sent, rate, line):
            return sent
    for matched in (*_CHARGED.finditer(text), *_LESS.finditer(text)):
        charge = _minor(matched[2], matched[1].upper())
        if charge is not None and charge[1] == line.currency and 0 < charge[0] < line.amount_minor:
            return line.amount_minor + charge[0], line.currency
    return None


def _explains(sent: tuple[int, str], rate: Decimal, line: StatementLine) -> bool:
    if sent[1] == line.currency:
        return False
    was, booked = (
        Decimal(minor).scaleb(-MINOR_UNIT_EXPONENTS[code]) for minor, code in (sent, (line.amount_minor, line.currency))
    )
    return any(abs(made - booked) <= booked * RATE_MARGIN for made in (was * rate, was / rate))


def _money(node: Node) -> tuple[int, str] | None:
    try:
        code = currency_of(node.currency, line=node.line, field=node.name)
        return minor_of(node.text, code, line=node.line, field=node.name), code
    except FileRejected:
        return None  # it is told beside the amount, and the file can be read without it


def _minor(text: str, code: str) -> tuple[int, str] | None:
    amount = _decimal(text) if code in MINOR_UNIT_EXPONENTS else None
    if amount is None:
        return None
    scaled = amount.scaleb(MINOR_UNIT_EXPONENTS[code])
    return (int(scaled), code) if scaled == scaled.to_integral_value() and scaled < Decimal(10) ** 15 else None


def _decimal(text: str) -> Decimal | None:
    """Return 1.234,56 and 1,234.56 and 1234,5 as what they mean."""
    plain = text.strip(".,")[:40]
    if not plain:
        return None
    at = max(plain.rfind("."), plain.rfind(","))
    if at < 0 or _GROUPED.fullmatch(plain):
        return Decimal(re.sub("[.,']", "", plain))
    return Decimal(re.sub("[.,']", "", plain[:at]) + "." + plain[at + 1 :])
