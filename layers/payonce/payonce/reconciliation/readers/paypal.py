"""PayPal's Settlement and Transaction Detail reports, and the activity that is downloaded from the account.

Reports: https://developer.paypal.com/docs/reports/sftp-reports/settlement-report/ and
https://developer.paypal.com/docs/reports/sftp-reports/transaction-detail. Lines are marked: CH is the header, SB a row
of the body, SC the number of them. Amounts are unsigned, with DR or CR beside them, in hundredths of every currency:
"100,00 yen and $100.00 USD are both represented as 10000". What a T-code is stands in https://developer.paypal.com/docs/reports/reference/tcodes/.

Activity: https://developer.paypal.com/api/nvp-soap/paypal-payments-standard/admin/download-history, in English or
German. Its amounts and dates are in the form of the account's country, and what is no memo in Balance Impact has moved.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.gateway_cells import Cells, Money, joined
from payonce.reconciliation.readers.gateway_table import GatewayTable
from payonce.reconciliation.readers.paypal_kinds import ACTIVITIES, T_CODES
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.readers.values import minor_of, number_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.readers.gateway_table import Reading
    from payonce.reconciliation.readers.rows import GatewayRow

DIRECTIONS = MappingProxyType({"CR": 1, "DR": -1})
# A payment or a refund of the other sign is one that we made or got as somebody's payer: our ledger has none of it.
TURNED = MappingProxyType(
    {
        RowKind.CHARGE: RowKind.ADJUSTMENT,
        RowKind.REFUND: RowKind.ADJUSTMENT,
        RowKind.DISPUTE: RowKind.DISPUTE_REVERSAL,
        RowKind.DISPUTE_REVERSAL: RowKind.DISPUTE,
    }
)
# The columns in German, folded, by their names in English.
GERMAN = MappingProxyType(
    {
        "datum": "date",
        "uhrzeit": "time",
        "zeitzone": "timezone",
        "typ": "type",
        "währung": "currency",
        "brutto": "gross",
        "gebühr": "fee",
        "netto": "net",
        "transaktionscode": "transactionid",
        "zugehörigertransaktionscode": "referencetxnid",
        "rechnungsnummer": "invoicenumber",
        "zollnummer": "customnumber",
        "auswirkungaufguthaben": "balanceimpact",
    }
)
# What has moved nothing yet, or is told of by other rows.
MEMOS = frozenset(
    {"general authorization", "general authorisation", "order", "void of authorization", "shopping cart item"}
)
NOT_DONE = frozenset(
    {
        "pending",
        "denied",
        "canceled",
        "cancelled",
        "expired",
        "removed",
        "failed",
        "unpaid",
        "voided",
        "active",
        "created",
    }
)
_COMMA = re.compile(r",[0-9]{2}\Z")


def _of_report(cells: Cells, _: str, currency: str) -> Money:
    gross = _unsigned(cells, "Gross Transaction Amount", currency) * _direction(cells, "Transaction Debit or Credit")
    fee = _unsigned(cells, "Fee Amount", currency)
    if fee and (cells.first("Fee Currency") or currency) != currency:
        raise cells.refused("the fee is in another currency than its transaction", "Fee Currency")
    return Money(gross, fee and -fee * _direction(cells, "Fee Debit or Credit"))


def _unsigned(cells: Cells, column: str, currency: str) -> int:
    text = cells.first(column) or "0"
    if not (text.isascii() and text.isdigit()):
        raise cells.refused(f"{shown(text)} is not an amount without sign and decimal sign", column)
    padded = text.rjust(3, "0")
    return minor_of(f"{padded[:-2]}.{padded[-2:]}", currency, line=cells.line, field=column)


def _direction(cells: Cells, column: str) -> int:
    word = cells.required(column).upper()
    if word not in DIRECTIONS:
        raise cells.refused(f"{shown(word)} is neither DR nor CR", column)
    return DIRECTIONS[word]


def _is_booked(cells: Cells) -> bool:
    """Return whether a row of a report moves the balance: the Transaction Detail report has others too."""
    group, status = cells.required("Transaction Event Code")[:3], cells.first("Transactional Status")
    return not (group in ("T13", "T98") or (status is not None and (status in ("D", "P") or group == "T99")))


def _count(reading: Reading) -> Iterable[GatewayRow]:
    """Refuse a report whose own count of its rows is another one: it has lost some."""
    stated = [row for row in reading.unread if row.cells[0] == "SC" and len(row.cells) > 1]
    counts = [row.cells[1] for row in stated]
    if stated and (not all(text.isdigit() for text in counts) or sum(map(int, counts)) != len(reading.body)):
        problem = f"the report counts {'+'.join(counts)} rows and has {len(reading.body)}"
        raise FileRejected(problem, line=stated[-1].line, field="SC")
    marks = {row.cells[0] for row in reading.unread}
    if "FH" in marks and "FF" not in marks:
        raise FileRejected("there is no file footer (FF); the file may have lost its end")
    return ()


def _of_activity(cells: Cells, _: str, currency: str) -> Money:
    gross, fee, net = (_localised(cells, column, currency) for column in ("Gross", "Fee", "Net"))
    if gross + fee != net:
        raise cells.refused("net is not gross and fee", "Net")
    return Money(gross, -fee)


def _localised(cells: Cells, column: str, currency: str) -> int:
    text = cells.required(column) if column != "Fee" else cells.first(column) or "0"
    plain = number_text(text, decimal_sign="," if _COMMA.search(text) else ".")
    return minor_of(plain, currency, line=cells.line, field=column)


def _has_effect(cells: Cells) -> bool:
    if cells.required("Type").casefold() in MEMOS:
        return False
    effect = cells.first("Balance Impact")
    return effect.casefold() != "memo" if effect else (cells.first("Status") or "").casefold() not in NOT_DONE


REPORT = GatewayTable(
    telling=("CH", "Transaction ID", "Transaction Event Code", "Gross Transaction Amount"),
    mark="SB",
    word=joined("Transaction Event Code"),
    kinds=T_CODES,
    turned=TURNED,
    row_id="Transaction ID",
    money=_of_report,
    currency=("Gross Transaction Currency",),
    created=("Transaction Initiation Date",),
    available=("Transaction Completion Date",),
    reference=("Invoice ID", "Custom Field"),
    charge_payment_id=("Transaction ID",),
    payment_id=("PayPal Reference ID",),
    object_id=("Transaction ID",),
    payout_reference=("Bank Reference ID",),
    is_movement=_is_booked,
    closing=_count,
)
ACTIVITY = GatewayTable(
    telling=("Date", "Time", "TimeZone", "Type", "Status", "Currency", "Gross", "Net", "Transaction ID"),
    aliases=GERMAN,
    word=joined("Type"),
    kinds=ACTIVITIES,
    turned=TURNED,
    row_id="Transaction ID",
    money=_of_activity,
    currency=("Currency",),
    created=("Date",),
    time="Time",
    zone=("TimeZone",),
    reference=("Invoice Number", "Custom Number"),
    charge_payment_id=("Transaction ID",),
    payment_id=("Reference Txn ID",),
    object_id=("Transaction ID",),
    is_movement=_has_effect,
)
TABLES = (REPORT, ACTIVITY)
