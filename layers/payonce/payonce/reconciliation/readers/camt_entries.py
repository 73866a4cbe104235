"""One camt entry (Ntry) as a statement line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_ENTRY_CHARACTERS, MAX_ENTRY_TEXTS, MAX_ENTRY_TRANSACTIONS
from payonce.reconciliation.readers.rows import StatementLine
from payonce.reconciliation.readers.sent import charges_in, instructed_in, sent_in_entry
from payonce.reconciliation.readers.values import currency_of, date_of, instant_ms, minor_of, shown, unique

if TYPE_CHECKING:
    from collections.abc import Iterator
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
REMITTANCE_PATHS = ("RmtInf/Ustrd", "RmtInf/Strd/AddtlRmtInf")


def money_of(node: Node, field: str) -> tuple[str, int]:
    """Return currency and signed minor units of an element with an amount and a credit/debit indicator."""
    amount = node.find("Amt")
    if amount is None:
        raise FileRejected("there is no amount", line=node.line, field=f"{field}/Amt")
    currency = currency_of(amount.currency, line=amount.line, field=f"{field}/Amt Ccy")
    value = minor_of(amount.text, currency, line=amount.line, field=f"{field}/Amt")
    indicator = node.value("CdtDbtInd") or ""
    if indicator not in SIGNS or amount.text.strip().startswith(("-", "+")):
        problem = f"the direction {shown(indicator)} is neither CRDT nor DBIT, or the amount has a sign"
        raise FileRejected(problem, line=node.line, field=f"{field}/CdtDbtInd")
    return currency, SIGNS[indicator] * value


class Transactions:
    """What is kept of an entry's transactions while they are read: texts, and none of their elements."""

    def __init__(self) -> None:
        self.references: dict[str, None] = {}
        self.end_to_end_ids: dict[str, None] = {}
        self.names: dict[bool, dict[str, None]] = {True: {}, False: {}}
        self.descriptions: list[str] = []
        self.instructed: list[tuple[int, str] | None] = []
        self.charges: list[tuple[int, str]] = []
        self._count = self._texts = self._characters = 0

    def add(self, detail: Node) -> None:
        """Keep one more. Raises ``FileRejected`` above the limits of an entry."""
        self._count += 1
        if self._count > MAX_ENTRY_TRANSACTIONS:
            raise _too_much(f"more than {MAX_ENTRY_TRANSACTIONS} transactions", detail)
        end_to_end = unique([detail.value("Refs/EndToEndId")])
        given = list(detail.each("Refs"))
        references = unique(
            [found.text.strip() for path in REFERENCE_PATHS for refs in given for found in refs.each(path)]
            + [found.text.strip() for found in detail.each("RmtInf/Strd/CdtrRefInf/Ref")]
        )
        texts = [found.text.strip() for path in REMITTANCE_PATHS for found in detail.each(path)]
        texts = [text for text in [*texts, detail.value("AddtlTxInf")] if text]
        self._bound([*references, *texts], detail)
        self.end_to_end_ids.update(dict.fromkeys(end_to_end))
        self.references.update(dict.fromkeys(references))
        self.descriptions += texts
        self.instructed.append(instructed_in(detail))
        self.charges += charges_in(detail)
        for credit, names in self.names.items():
            # Two say all that is asked: that there is not one.
            if len(names) < 2:
                names.update(dict.fromkeys(unique([_counterparty(detail, credit=credit)])))

    def _bound(self, texts: list[str], detail: Node) -> None:
        self._texts += len(texts)
        self._characters += sum(map(len, texts))
        if self._texts > MAX_ENTRY_TEXTS:
            raise _too_much(f"more than {MAX_ENTRY_TEXTS} references and remittance lines", detail)
        if self._characters > MAX_ENTRY_CHARACTERS:
            raise _too_much(f"more than {MAX_ENTRY_CHARACTERS} characters of references and remittances", detail)


def _too_much(what: str, detail: Node) -> FileRejected:
    return FileRejected(f"one entry has {what}", line=detail.line, field="Ntry/NtryDtls/TxDtls")


def entry_of(node: Node, transactions: Transactions, *, made_on: date | None = None) -> StatementLine | None:
    """Return a booked entry as a line; ``None`` for one that is not booked. Raises ``FileRejected``.

    ``transactions`` is what was kept of its transactions, which are not in ``node``. ``made_on`` is the day on which
    the report was made: that of an entry which states none.
    """
    status = node.value("Sts") or node.value("Sts/Cd") or node.value("Sts/Prtry") or ""
    if status in NOT_BOOKED:
        return None
    if status != BOOKED:
        raise FileRejected(f"status {shown(status)} is not known", line=node.line, field="Ntry/Sts")
    currency, amount = money_of(node, "Ntry")
    value_date = day_at(node, "ValDt")
    booking_date = day_at(node, "BookgDt") or value_date or made_on
    if booking_date is None:
        raise FileRejected("there is neither booking nor value date", line=node.line, field="Ntry/BookgDt")
    end_to_end_ids = tuple(transactions.end_to_end_ids)
    names = tuple(transactions.names[amount >= 0])
    last = [text for text in [node.value("AddtlNtryInf")] if text]
    charges = [*charges_in(node)] or transactions.charges
    sent = sent_in_entry(amount, currency, transactions.instructed, charges) or (None, None)
    return StatementLine(
        row_number=node.line,
        amount_minor=amount,
        currency=currency,
        booking_date=booking_date,
        value_date=value_date,
        references=unique(
            [*end_to_end_ids, *transactions.references, node.value("NtryRef"), node.value("AcctSvcrRef")]
        ),
        end_to_end_id=end_to_end_ids[0] if len(end_to_end_ids) == 1 else None,
        counterparty=names[0] if len(names) == 1 else None,
        description=" ".join([*transactions.descriptions, *last]),
        sent_minor=sent[0],
        sent_currency=sent[1],
    )


def made_on(node: Node) -> date | None:
    """Return the day of a report's creation, ``None`` where it is not one that can be read: nothing rests on it."""
    try:
        return date_of(node.text.strip()[:10], line=node.line, field=node.name)
    except FileRejected:
        return None


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


def entry_doubts(node: Node) -> Iterator[str]:
    """Yield why an entry may not be whole: it states no date, or its batch lists fewer transactions than it says."""
    if node.find("BookgDt") is None and node.find("ValDt") is None:
        yield "an entry states no date: that of the report is taken"
    for group in node.each("NtryDtls"):
        stated = group.value("Btch/NbOfTxs")
        listed = group.part_count
        if stated is None or listed in (0, 1):  # banks that book a batch as one often give one summary detail
            continue
        if not (stated.isascii() and stated.isdigit() and len(stated) <= 15) or int(stated) != listed:
            yield f"line {group.line}: the batch says {shown(stated)} transactions, {listed} are listed"


def _counterparty(detail: Node, *, credit: bool) -> str | None:
    """The other side's name: who paid in a credit, who was paid in a debit; nested in ``Pty`` since version 08."""
    parties = detail.find("RltdPties")
    if parties is None:
        return None
    first, second = ("Dbtr", "Cdtr") if credit else ("Cdtr", "Dbtr")
    paths = [f"{party}{nested}/Nm" for party in (first, f"Ultmt{first}") for nested in ("", "/Pty")]
    paths += [f"{second}{nested}/Nm" for nested in ("", "/Pty")]
    return next(filter(None, map(parties.value, paths)), None)
