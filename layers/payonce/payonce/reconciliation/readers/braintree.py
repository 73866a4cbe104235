"""Braintree's Disbursement report, Transaction-Level Fee report and the transactions that the Control Panel exports.

Disbursement: https://developer.paypal.com/braintree/articles/br/reporting-reconciliation/disbursement-report, whose
lines are marked: RH (with the zone of its times), RS, RD (the movements) and RF (their number). Its amounts are signed,
and the net disbursed amount is that after fees. The sum of a Transfer ID is what arrives at the bank.

Fees: https://developer.paypal.com/braintree/articles/control-panel/reporting/transaction-level-fee-report and
https://developer.paypal.com/braintree/docs/reference/response/transaction-level-fee-report-row. It names no transfer.

Export of a settlement batch or a search: https://developer.paypal.com/braintree/articles/control-panel/search. What a
merchant account is disbursed on a day is one transfer, of the settlement amounts
(https://developer.paypal.com/braintree/docs/reference/response/disbursement); the export has no fees. Of the
last two the type alone, sale or credit, says in which direction the amount moved. The export writes 12/31/2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.gateway_cells import Cells, Money, Stated, adding, joined, kinds_of
from payonce.reconciliation.readers.gateway_table import GatewayTable
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.readers.zones import with_year_first

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.readers.gateway_table import Reading
    from payonce.reconciliation.readers.rows import GatewayRow

RECORDS = kinds_of(
    {
        RowKind.CHARGE: "Sale,Sale/Installment,Installment/Disbursements",
        RowKind.CHARGE_REVERSAL: (
            "Return - ACH return,Return - ACH return/UnAuth returns,Return - ACH return/General returns"
        ),
        RowKind.REFUND: (
            "Refund,Refund/Referenced,Refund/Non-referenced,Installment/Refund adjustments,Installment/Adjustments,"
            "Payout"
        ),
        RowKind.REFUND_REVERSAL: "Payout refund,Payout reversal",
        RowKind.DISPUTE: "Dispute,Dispute/Retrieval,Dispute/Chargeback,Dispute/Pre-arbitration",
        RowKind.DISPUTE_REVERSAL: "Dispute/Chargeback reversal",
        RowKind.FEE: (
            "Fees,Fees/Chargeback fees,Fees/Resolution fees,Fees/Withdrawal fees,Fees/Payout fees,Fees/Fee reversal,"
            "Fees/Fee refund,Fees/Monthly fees,Partner fees,Partner fees/Partner Tax"
        ),
        RowKind.RESERVE: (
            "Hold,Hold/Temporary holds,Hold/Account holds,Reversal/Account hold reversals,"
            "Reversal/Temporary hold reversals"
        ),
        RowKind.TRANSFER: (
            "Funds transfer,Funds transfer/Recoupment,Funds transfer/Receivables financing,Add money,"
            "Add money/Credit card deposit,Add money/PayPal Credit deposit,Add money/PayPal payables,"
            "Add money/Incentive deposit,Withdraw money,Withdraw money/Non-bank withdrawal,"
            "Withdraw money/Credit card withdrawal"
        ),
        RowKind.CONVERSION: (
            "Currency conversion,Currency conversion/Conversion from,Currency conversion/Conversion to,"
            "Currency conversion/Balance conversion"
        ),
        RowKind.ADJUSTMENT: (
            "Adjustment,Adjustment/PayPal receivables,Adjustment/PayPal Credit adjustment,"
            "Adjustment/Account correction,"
            "Other,Other/Payment sent,Other/Payment received,Other/Payment reversal,Other/Donation,Other/ACH reversal,"
            "Other/Blocked payments,Failed disbursement,Failed disbursement/ACH reversal,Reversal,"
            "Reversal/Incentive reversal,Bonus,Bonus/Cash bonus,Bonus/Referral bonus,Bonus/Warranty bonus,"
            "Bonus/Protection bonus"
        ),
    }
)
TYPES = kinds_of({RowKind.CHARGE: "sale", RowKind.REFUND: "credit"})
SETTLED = frozenset({"settled"})  # of all statuses the one in which money has moved
TOTAL_FEES = ("Total Fee Amount", "Est. Total Fee Amount", "Braintree Total Amount")


def _is_settled(cells: Cells) -> bool:
    return cells.required("Transaction Status").casefold().replace(" ", "_") in SETTLED


def _disbursement(cells: Cells) -> str | None:
    """Return what is disbursed together: the transactions of a merchant account and a day."""
    column = "Disbursement Date"
    day = with_year_first(cells.first(column) or "", first=False, line=cells.line, field=column)
    return joined("Merchant Account")(cells) + f"/{day}" if day else None


def _with_fees(cells: Cells, word: str, currency: str) -> Money:
    column = next((column for column in TOTAL_FEES if cells.first(column)), TOTAL_FEES[0])
    return Money(_by_type(cells, word, "Settlement Amount", currency), cells.minor(column, currency))


def _exported(cells: Cells, word: str, currency: str) -> Money:
    column = "Settlement Amount" if cells.first("Settlement Amount") else "Amount Submitted For Settlement"
    return Money(_by_type(cells, word, column, currency), cells.minor("Service Fee", currency))


def _by_type(cells: Cells, word: str, column: str, currency: str) -> int:
    cells.required(column)
    amount = cells.minor(column, currency)
    return -abs(amount) if TYPES.get(word) is RowKind.REFUND else amount


def _count(reading: Reading) -> Iterable[GatewayRow]:
    for cells in reading.beside:
        stated = cells.first("Total records")
        # Of several files each has its share; the total is of all.
        if stated is not None and cells.first("Total files") in (None, "1") and stated != str(len(reading.body)):
            raise cells.refused(f"the report counts {stated} records and has {len(reading.body)}", "Total records")
    if not any(cells.first("Total records") for cells in reading.beside):
        raise FileRejected("there is no report footer (RF); the file may have lost its end")
    return ()


DISBURSEMENTS = GatewayTable(
    telling=("RD", "Record ID", "Record type", "Net disbursed amount"),
    mark="RD",
    beside=(("RH", "Report name", "Timezone"), ("RF", "Total records")),
    word=joined("Record type", "Record sub-type"),
    kinds=RECORDS,
    row_id="Record ID",
    money=Stated("Gross settlement amount", ("Gross settlement fees",), "Net disbursed amount", cost=0),
    currency=("Settlement currency",),
    created=("Created at",),
    available=("Disbursement date",),
    payout_at=("Disbursement date",),
    zone=("Timezone",),
    reference=("Order ID",),
    charge_payment_id=("Record ID",),
    payment_id=("Original record ID",),
    object_id=("Dispute ID", "Record ID"),
    payout_id=("Transfer ID",),
    method=("Payment instrument sub-type", "Payment instrument type"),
    presented=("Gross transaction amount", "Transaction currency"),
    rate="Exchange rate",
    closing=_count,
)
FEES = GatewayTable(
    telling=("Transaction ID", "Transaction Type", "Settlement Currency", "Settlement Amount", "Per Transaction Fee"),
    word=joined("Transaction Type"),
    kinds=TYPES,
    row_id="Transaction ID",
    money=_with_fees,
    currency=("Settlement Currency",),
    created=("Settlement Date",),
    available=("Disbursement Date",),
    payout_at=("Disbursement Date",),
    reference=("Order ID",),
    charge_payment_id=("Transaction ID",),
    payment_id=("Original Transaction ID",),
    object_id=("Transaction ID",),
    method=("Card Brand", "Payment Instrument"),
    country=("Card Issuing Country",),
)
EXPORT = GatewayTable(
    telling=("Transaction ID", "Transaction Type", "Transaction Status", "Created Datetime", "Disbursement Date"),
    word=joined("Transaction Type"),
    kinds=TYPES,
    row_id="Transaction ID",
    money=_exported,
    currency=("Settlement Currency ISO Code", "Currency ISO Code"),
    created=("Created Datetime",),
    available=("Disbursement Date",),
    payout_at=("Disbursement Date",),
    zone=("Created Timezone",),
    month_first=True,
    reference=("Order ID",),
    charge_payment_id=("Transaction ID",),
    payment_id=("Refunded Transaction ID",),
    object_id=("Transaction ID",),
    method=("Card Type", "Payment Instrument Type"),
    country=("Country of Issuance",),
    presented=("Amount Submitted For Settlement", "Currency ISO Code"),
    payout_id=("disbursement",),
    prepared=adding("disbursement", _disbursement),
    is_movement=_is_settled,
)
TABLES = (DISBURSEMENTS, FEES, EXPORT)
