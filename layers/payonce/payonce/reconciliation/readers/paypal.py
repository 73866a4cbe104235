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
from payonce.reconciliation.readers.gateway_cells import Cells, Money, joined, kinds_of
from payonce.reconciliation.readers.gateway_table import GatewayTable
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
T_CODES = kinds_of(
    {
        RowKind.CHARGE: (
            "T0000,T0002,T0003,T0004,T0005,T0006,T0007,T0009,T0010,T0011,T0012,T0013,T0018,T0019,T0021,T3000,T5000"
        ),
        RowKind.CHARGE_REVERSAL: "T1116,T1118",
        RowKind.REFUND: "T0001,T0014,T0015,T1107,T1113",
        RowKind.REFUND_REVERSAL: "T1114,T1115",
        RowKind.DISPUTE: "T1106,T1201",
        RowKind.DISPUTE_REVERSAL: "T1202,T1205,T1208",
        RowKind.DISPUTE_LOST: "T1207",
        RowKind.FEE: (
            "T0100,T0101,T0102,T0103,T0104,T0105,T0106,T0107,T0108,T0109,T0110,T0111,T0112,T0113,T0114,T1108,T1109"
        ),
        RowKind.RESERVE: (
            "T1105,T1110,T1111,T1500,T1501,T1502,T1503,T2101,T2102,T2103,T2104,T2105,T2106,T2107,T2108,T2109,T2110,"
            "T2111,T2112,T2113,T2114"
        ),
        RowKind.TRANSFER: ("T0016,T0017,T0300,T0301,T0302,T0303,T0700,T0701,T1104,T2000,T2001,T2002,T2003,T2201,T5001"),
        RowKind.CONVERSION: "T0200,T0201,T0202",
        RowKind.PAYOUT: "T0400,T0401,T0402,T0403,T1101,T1700,T1701",
        RowKind.ADJUSTMENT: (
            "T0008,T0500,T0501,T0502,T0503,T0504,T0505,T0600,T0800,T0801,T0802,T0803,T0804,T0805,T0806,T0807,T0808,"
            "T0900,T0901,T0902,T0903,T0904,T0905,T1000,T1100,T1102,T1103,T1112,T1117,T1119,T1200,T1203,T1204,T1400,"
            "T1600,T1601,T1602,T1603,T1800,T1801,T1900,T2004,T2301,T9700,T9701,T9702"
        ),
    }
)
ACTIVITIES = kinds_of(
    {
        RowKind.CHARGE: (
            "Express Checkout Payment,Website Payment,General Payment,Mobile Payment,eBay Auction Payment,"
            "Subscription Payment,PreApproved Payment Bill User Payment,Pre-approved Payment Bill User Payment,"
            "Donation Payment,Virtual Terminal Payment,Direct Payment,Direct Credit Card Payment,PayPal Here Payment,"
            "Third-party Auction Payment,Payment Received,Gift Certificate Purchase,"
            "PayPal Express-Zahlung,Website-Zahlung,Allgemeine Zahlung,Handyzahlung,Spendenzahlung,eBay-Zahlung"
        ),
        RowKind.REFUND: "Payment Refund,Mass Pay Payment,Mass Payment,Non-reference Credit Payment,Refund,Rückzahlung",
        RowKind.REFUND_REVERSAL: "Mass Pay Reversal,Mass Pay Refund",
        RowKind.DISPUTE: "Payment Reversal,Chargeback",
        RowKind.DISPUTE_REVERSAL: "Chargeback Reversal,Reimbursement of Chargeback,Chargeback Cancellation",
        RowKind.DISPUTE_LOST: "Chargeback Re-presentment Rejection",
        RowKind.FEE: (
            "Chargeback Fee,Chargeback Processing Fee,Dispute Fee,Partner Fee,Payment Fee,Fee Reversal,Fee Refund,"
            "General Non-payment Fee,Mass Pay Batch Fee,Monthly Fee"
        ),
        RowKind.RESERVE: (
            "Account Hold for Open Authorization,Account Hold for Open Authorisation,Account Hold for ACH Deposit,"
            "Reversal of General Account Hold,Hold on Balance for Dispute Investigation,"
            "Cancellation of Hold for Dispute Resolution,General Hold,General Hold Release,General Temporary Hold,"
            "Temporary Hold on Available Balance,Reserve Hold,Reserve Release,Payment Review Hold,"
            "Payment Review Release,Payment Hold,Payment Hold Release,Payment Release,Funds Not Yet Available,"
            "Funds Available,Tax Hold,Tax Release,Einbehaltung für offene Autorisierung,"
            "Rückbuchung allgemeiner Einbehaltung"
        ),
        RowKind.TRANSFER: (
            "Bank Deposit to PP Account,General Funding of PayPal Account,General Credit Card Deposit,"
            "General Intra-Account Transfer,Store-to-Store Transfer,Add Funds from a Bank Account,"
            "Bankgutschrift auf PayPal-Konto"
        ),
        RowKind.CONVERSION: (
            "General Currency Conversion,User Initiated Currency Conversion,Currency Conversion,"
            "Conversion to Cover Negative Balance,Allgemeine Währungsumrechnung"
        ),
        RowKind.PAYOUT: (
            "General Withdrawal,General Withdrawal - Bank Account,User Initiated Withdrawal,Auto-sweep,"
            "Withdraw Funds to a Bank Account,Reversal of ACH Withdrawal Transaction,Allgemeine Abbuchung"
        ),
        RowKind.ADJUSTMENT: (
            "General Account Correction,General Account Adjustment,General Reversal,General Bonus,"
            "PayPal Protection Bonus,Coupon Redemption,General Incentive/Certificate Redemption,"
            "Tax collected by partner,Postage Payment,Debit Card Cash Back Bonus"
        ),
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
