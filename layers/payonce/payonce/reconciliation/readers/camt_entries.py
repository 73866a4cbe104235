"""One camt entry (Ntry) as a statement line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.rows import StatementLine
from payonce.reconciliation.readers.values import currency_of, date_of, instant_ms, minor_of, shown, unique

if TYPE_CHECKING:
    from datetime import date

    from payonce.reconciliation.readers.camt_xml import Node

BOOKED = "BOOK"
NOT_BOOKED = ("PDNG", "INFO", "FUTR")
SIGNS = {"CRDT": 1, "DBIT": -1}
# Identifiers by falling weight for matching; which of them a bank fills differs.
REFERENCE_PATHS = (
    "EndToEndId",
    "UETR",
    "TxId",
    "InstrId",
    "PmtInfId",
    "MsgId",
    "MndtId",
    "ChqNb",
    "ClrSysRef",
    "AcctSvcrRef",
    "Prtry/Ref",
)


def money_of(node: Node, field: str) -> tuple[str, int]:
    """Return currency and signed minor units of an element with an amount and a credit/debit indicator."""
    amount = node.find("Amt")
    if amount is None:
        raise FileRejected("there is no amount", line=node.line, field=f"{field}/Amt")
    currency = currency_of(amount.attributes.get("Ccy", ""), line=amount.line, field=f"{field}/Amt Ccy")
    value = minor_of(amount.text, currency, line=amount.line, field=f"{field}/Amt")
    indicator = node.value("CdtDbtInd") or ""
    if indicator not in SIGNS or amount.text.strip().startswith(("-", "+")):
        problem = f"the direction {shown(indicator)} is neither CRDT nor DBIT, or the amount has a sign"
        raise FileRejected(problem, line=node.line, field=f"{field}/CdtDbtInd")
    return currency, SIGNS[indicator] * value


def entry_of(node: Node) -> StatementLine | None:
    """Return a booked entry as a line; ``None`` for one that is not booked. Raises ``FileRejected``."""
    status = node.value("Sts") or node.value("Sts/Cd") or node.value("Sts/Prtry") or ""
    if status in NOT_BOOKED:
        return None
    if status != BOOKED:
        raise FileRejected(f"status {shown(status)} is not known", line=node.line, field="Ntry/Sts")
    currency, amount = money_of(node, "Ntry")
    booking_date = day_at(node, "BookgDt")
    value_date = day_at(node, "ValDt")
    if booking_date is None and value_date is None:
        raise FileRejected("there is neither booking nor value date", line=node.line, field="Ntry/BookgDt")
    details = list(node.each("NtryDtls/TxDtls"))
    _check_batches(node)
    end_to_end_ids = unique([detail.value("Refs/EndToEndId") for detail in details])
    references: list[str | None] = list(end_to_end_ids)
    for detail in details:
        for path in REFERENCE_PATHS:
            references += [found.text.strip() for found in detail.each(f"Refs/{path}")]
        references += [found.text.strip() for found in detail.each("RmtInf/Strd/CdtrRefInf/Ref")]
    references += [node.value("NtryRef"), node.value("AcctSvcrRef")]
    return StatementLine(
        row_number=node.line,
        amount_minor=amount,
        currency=currency,
        booking_date=booking_date or value_date,  # type: ignore[arg-type] # one of them is there, see above
        value_date=value_date,
        references=unique(references),
        end_to_end_id=end_to_end_ids[0] if len(end_to_end_ids) == 1 else None,
        counterparty=_counterparty(details, credit=amount >= 0),
        description=_description(node, details),
    )


def day_at(node: Node, name: str) -> date | None:
    """Return the date in ``Dt`` or ``DtTm`` of a child, the day as the bank wrote it. Raises ``FileRejected``."""
    text = node.value(f"{name}/Dt") or node.value(f"{name}/DtTm")
    if text is None:
        return None
    field = f"{node.name}/{name}"
    if "T" in text:
        # The whole text is checked; the day is the one the bank wrote.
        day, _, clock = text.partition("T")
        seconds = clock[:8]
        instant_ms(f"{day} {seconds}", line=node.line, field=field, utc_offset_minutes=0)
        return date_of(day, line=node.line, field=field)
    return date_of(text[:10] if len(text) > 10 and text[10] in "Z+-" else text, line=node.line, field=field)


def _check_batches(node: Node) -> None:
    """A batch that lists its transactions lists all of them."""
    for group in node.each("NtryDtls"):
        stated = group.value("Btch/NbOfTxs")
        listed = sum(1 for _ in group.each("TxDtls"))
        if stated is None or listed in (0, 1):  # banks that book a batch as one often give one summary detail
            continue
        if not (stated.isascii() and stated.isdigit() and len(stated) <= 15) or int(stated) != listed:
            problem = f"the batch says {shown(stated)} transactions, {listed} are listed"
            raise FileRejected(problem, line=group.line, field="NtryDtls/Btch/NbOfTxs")


def _counterparty(details: list[Node], *, credit: bool) -> str | None:
    """The other side's name: who paid in a credit, who was paid in a debit; nested in ``Pty`` since version 08."""
    names = []
    for detail in details:
        first, second = ("Dbtr", "Cdtr") if credit else ("Cdtr", "Dbtr")
        paths = [f"RltdPties/{party}{nested}/Nm" for party in (first, f"Ultmt{first}") for nested in ("", "/Pty")]
        paths += [f"RltdPties/{second}{nested}/Nm" for nested in ("", "/Pty")]
        names.append(next(filter(None, map(detail.value, paths)), None))
    found = unique(names)
    return found[0] if len(found) == 1 else None


def _description(node: Node, details: list[Node]) -> str:
    texts: list[str | None] = []
    for detail in details:
        texts += [found.text.strip() for found in detail.each("RmtInf/Ustrd")]
        texts += [found.text.strip() for found in detail.each("RmtInf/Strd/AddtlRmtInf")]
        texts.append(detail.value("AddtlTxInf"))
    texts.append(node.value("AddtlNtryInf"))
    return " ".join(text for text in texts if text)
