"""The statements of the merchant's bank account, as one camt.053.001.08 message (ISO 20022)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from local.sandbox_bank.movements import Refused
from local.sandbox_bank.report import EPOCH, decimal_text, instant_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
# Elements must be in the schema's order.
ISSUED_CREDIT_TRANSFER, RECEIVED_CREDIT_TRANSFER = ("ICDT", "RRTN"), ("RCDT", "ESCT")


def statement(connection: sqlite3.Connection, bank: str, account: str | None, from_ms: int, to_ms: int) -> bytes:
    """Return the statements closed in [``from_ms``, ``to_ms``), for one account or for all accounts of ``bank``.

    Equal requests give equal bytes unless a statement was added. Raises ``Refused`` if there is none, because a message
    without a statement is invalid.
    """
    found = connection.execute(
        "SELECT * FROM statements WHERE bank=? AND account=COALESCE(?, account) AND as_of_ms>=? AND as_of_ms<? "
        "AND NOT skipped ORDER BY account, sequence",
        (bank, account, from_ms, to_ms),
    ).fetchall()
    if not found:
        raise Refused(404, "no_statement", "there is no statement of this account and period")
    document = ElementTree.Element("Document", xmlns=NAMESPACE)
    message = ElementTree.SubElement(document, "BkToCstmrStmt")
    first, last = found[0], found[-1]
    header = ElementTree.SubElement(message, "GrpHdr")
    _add(header, "MsgId", f"{first['account']}-{first['sequence']}-{last['account']}-{last['sequence']}"[-35:])
    _add(header, "CreDtTm", instant_text(max(row["as_of_ms"] for row in found)))
    for row in found:
        entries = connection.execute(
            "SELECT * FROM entries WHERE account=? AND sequence=? ORDER BY number", (row["account"], row["sequence"])
        ).fetchall()
        _add_statement(message, row, entries)
    ElementTree.indent(document)
    file: bytes = ElementTree.tostring(document, encoding="UTF-8", xml_declaration=True)
    return file


def _add_statement(message: Element, row: sqlite3.Row, entries: Sequence[sqlite3.Row]) -> None:
    found = ElementTree.SubElement(message, "Stmt")
    currency, day = row["currency"], _day(row["as_of_ms"])
    _add(found, "Id", f"{row['account']}-{row['sequence']:05d}")
    _add(found, "ElctrncSeqNb", str(row["sequence"]))
    _add(found, "LglSeqNb", str(row["sequence"]))
    _add(found, "CreDtTm", instant_text(row["as_of_ms"]))
    account = ElementTree.SubElement(found, "Acct")
    _add(account, "Id/Othr/Id", row["account"])
    _add(account, "Ccy", currency)
    _add(account, "Ownr/Nm", "payonce merchant")
    for kind, amount_minor in (("OPBD", row["opening_minor"]), ("CLBD", row["closing_minor"])):
        balance = ElementTree.SubElement(found, "Bal")
        _add(balance, "Tp/CdOrPrtry/Cd", kind)
        _add_amount(balance, amount_minor, currency)
        _add(balance, "Dt/Dt", day)
    _add_summary(found, [entry["amount_minor"] for entry in entries], currency)
    for entry in entries:
        _add_entry(found, row, entry, day)


def _add_summary(found: Element, amounts: list[int], currency: str) -> None:
    summary = ElementTree.SubElement(found, "TxsSummry")
    total = ElementTree.SubElement(summary, "TtlNtries")
    _add(total, "NbOfNtries", str(len(amounts)))
    _add(total, "Sum", decimal_text(sum(map(abs, amounts)), currency))
    net = ElementTree.SubElement(total, "TtlNetNtry")
    _add(net, "Amt", decimal_text(abs(sum(amounts)), currency))
    _add(net, "CdtDbtInd", _direction(sum(amounts)))
    for name, side in (("TtlCdtNtries", 1), ("TtlDbtNtries", -1)):
        of_side = [side * amount for amount in amounts if side * amount > 0]
        total = ElementTree.SubElement(summary, name)
        _add(total, "NbOfNtries", str(len(of_side)))
        _add(total, "Sum", decimal_text(sum(of_side), currency))


def _add_entry(found: Element, row: sqlite3.Row, entry: sqlite3.Row, day: str) -> None:
    reference = f"{row['account']}-{row['sequence']}-{entry['number']}"[-35:]
    amount_minor, currency = entry["amount_minor"], row["currency"]
    node = ElementTree.SubElement(found, "Ntry")
    _add(node, "NtryRef", str(entry["number"]))
    _add_amount(node, amount_minor, currency)
    _add(node, "Sts/Cd", "BOOK")
    _add(node, "BookgDt/Dt", day)
    _add(node, "ValDt/Dt", day)
    _add(node, "AcctSvcrRef", reference)
    family, sub_family = RECEIVED_CREDIT_TRANSFER if amount_minor > 0 else ISSUED_CREDIT_TRANSFER
    domain = ElementTree.SubElement(ElementTree.SubElement(node, "BkTxCd"), "Domn")
    _add(domain, "Cd", "PMNT")
    family_node = ElementTree.SubElement(domain, "Fmly")
    _add(family_node, "Cd", family)
    _add(family_node, "SubFmlyCd", sub_family)
    details = ElementTree.SubElement(ElementTree.SubElement(node, "NtryDtls"), "TxDtls")
    _add(details, "Refs/EndToEndId", entry["payout_id"])
    _add_amount(details, amount_minor, currency)
    _add(details, f"RltdPties/{'Dbtr' if amount_minor > 0 else 'Cdtr'}/Pty/Nm", f"Sandbox bank {row['bank']}")
    _add(details, "RmtInf/Ustrd", f"{entry['description']} {entry['payout_id']}")


def _add_amount(parent: Element, amount_minor: int, currency: str) -> None:
    ElementTree.SubElement(parent, "Amt", Ccy=currency).text = decimal_text(abs(amount_minor), currency)
    _add(parent, "CdtDbtInd", _direction(amount_minor))


def _add(parent: Element, path: str, text: str) -> None:
    for name in path.split("/"):
        parent = ElementTree.SubElement(parent, name)
    parent.text = text


def _direction(amount_minor: int) -> str:
    return "CRDT" if amount_minor >= 0 else "DBIT"


def _day(at_ms: int) -> str:
    """Return the booking day of an instant, which is its day in UTC."""
    return (EPOCH + timedelta(milliseconds=at_ms)).date().isoformat()
