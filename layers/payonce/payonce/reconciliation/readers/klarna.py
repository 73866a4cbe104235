"""Klarna's settlement report as CSV: a header and a line of totals, then a header and the transactions.

https://docs.klarna.com/payments/after-payments/settlements/settlement-files/ describes both. The type says in which
direction an amount moved, only a correction has a sign; times are UTC. Taxes on fees, fee corrections and what was
added to the debt with Klarna or repaid are in the totals alone: each becomes a row, so that all rows of a payment
reference are its settlement amount, which is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.gateway_cells import Cells, Money, joined, kinds_of
from payonce.reconciliation.readers.gateway_table import GatewayTable
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from payonce.reconciliation.readers.values import currency_of, decimal_text
from payonce.reconciliation.readers.zones import instant_of, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.readers.gateway_table import Reading

KINDS = kinds_of(
    {
        RowKind.CHARGE: "SALE",
        RowKind.REFUND: "RETURN",
        RowKind.DISPUTE: "REVERSAL",
        RowKind.DISPUTE_REVERSAL: "REVERSAL_MERCHANT_PROTECTION",
        RowKind.FEE: "FEE,FEE_REFUND,TAX,total_tax_amount,total_fee_correction_amount",
        RowKind.RESERVE: "HOLDBACK,RELEASE",
        RowKind.ADJUSTMENT: "COMMISSION,CORRECTION,CREDIT,CHARGE,total_repay_amount,total_deposit_amount",
    }
)
TAKEN = frozenset({"RETURN", "REVERSAL", "FEE", "TAX", "HOLDBACK", "CHARGE"})
SIGNED = frozenset({"CORRECTION"})
# What the totals may have and no transaction: 1 where it is added to the settlement, and the type that may tell of it.
TOTALS_ALONE = {
    "total_tax_amount": (-1, "TAX"),
    "total_fee_correction_amount": (1, "CORRECTION"),
    "total_repay_amount": (-1, None),
    "total_deposit_amount": (1, None),
}
DEBT_AFTER = ("closing_debt_balance", "closing_debt_balance_amount")
CURRENCIES = ("settlement_currency", "currency", "currency_code")


def _money(cells: Cells, word: str, currency: str) -> Money:
    cells.required("amount")
    amount = cells.minor("amount", currency)
    if word in SIGNED or word not in KINDS:
        return Money(amount)
    return Money(-abs(amount) if word in TAKEN else abs(amount))


def _row_id(cells: Cells) -> str:
    own = cells.first("refund_id", "capture_id", "order_id", "merchant_reference1", "payment_reference") or ""
    word, detail = cells.required("type"), cells.first("detailed_type")
    return own if word in ("SALE", "RETURN") and own else "/".join(filter(None, (own, word, detail)))


def _totals(reading: Reading) -> Iterable[GatewayRow]:
    found: list[GatewayRow] = []
    for totals in reading.beside:
        name = totals.required("payment_reference")
        currency = currency_of(totals.required(*CURRENCIES), line=totals.line, field=CURRENCIES[0])
        rows = [row for row in reading.rows if row.payout_id == name]
        for column, (sign, type_) in TOTALS_ALONE.items():
            told = sum(row.amount_minor for row in rows if row.category == type_)
            if rest := sign * _total(totals, column, currency) - told:
                found.append(_alone(totals, column, rest, currency))
        _check(totals, currency, [*rows, *(row for row in found if row.payout_id == name)])
    return found


def _total(totals: Cells, column: str, currency: str) -> int:
    """Return a total; what was added to the debt may be there as its balances alone."""
    closing_column = next(filter(totals.first, DEBT_AFTER), None)
    if column != "total_deposit_amount" or totals.first(column) is not None or closing_column is None:
        return totals.minor(column, currency)
    closing = totals.minor(closing_column, currency)
    opening = totals.minor(closing_column.replace("closing", "opening"), currency)
    return closing - opening + totals.minor("total_repay_amount", currency)


def _alone(totals: Cells, column: str, amount: int, currency: str) -> GatewayRow:
    paid = instant_of(totals.required("payout_date"), line=totals.line, field="payout_date", zone=zone_named("UTC"))
    name = totals.required("payment_reference")
    return GatewayRow(
        row_number=totals.line,
        transaction_id=f"{name}/{column}",
        reference=None,
        kind=KINDS[column],
        amount_minor=amount,
        fee_minor=0,
        net_minor=amount,
        currency=currency,
        created_at_ms=paid,
        payout_id=name,
        category=column,
        payout_at_ms=paid,
    )


def _check(totals: Cells, currency: str, rows: list[GatewayRow]) -> None:
    if totals.first("total_settlement_amount") is None:
        return
    stated, made = totals.minor("total_settlement_amount", currency), sum(row.net_minor for row in rows)
    if stated != made:
        problem = f"the transactions make {decimal_text(made, currency)}, not {decimal_text(stated, currency)}"
        raise FileRejected(problem, line=totals.line, field="total_settlement_amount")


SETTLEMENT = GatewayTable(
    telling=("type", "capture_date", "order_id", "amount"),
    beside=(("total_settlement_amount", "payment_reference"),),
    word=joined("type"),
    kinds=KINDS,
    row_id=_row_id,
    money=_money,
    currency=("posting_currency", "currency_code", "settlement_currency", "currency"),
    created=("capture_date", "payout_date"),
    payout_at=("payout_date",),
    utc=("capture_date", "payout_date"),
    reference=("merchant_reference1", "merchant_reference2"),
    own_reference={
        RowKind.CHARGE: ("merchant_capture_reference",),
        RowKind.REFUND: ("merchant_refund_reference",),
    },
    payment_id=("order_id",),
    object_id=("refund_id", "capture_id"),
    payout_id=("payment_reference",),
    method=("initial_payment_method_type",),
    closing=_totals,
)
TABLES = (SETTLEMENT,)
