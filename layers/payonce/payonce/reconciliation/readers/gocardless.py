"""GoCardless's breakdown of payouts into transactions, and its list of payouts.

https://support.gocardless.com/hc/en-us/articles/17144251867548-Payout-breakdown-reports-Transactions and
https://support.gocardless.com/hc/en-us/articles/17144187437468-Payout-reports name the columns. What a payout is made
of stands in https://developer.gocardless.com/payouts/reconciling-payouts: a payment that failed late or was charged
back is a row of its own, negative, with its fees given back. Amounts are in major units.
"""

from __future__ import annotations

from payonce.reconciliation.readers.gateway_cells import Cells, Money, Stated, joined, kinds_of
from payonce.reconciliation.readers.gateway_table import GatewayTable
from payonce.reconciliation.readers.rows import RowKind

KINDS = kinds_of(
    {
        RowKind.CHARGE: "payment,payment_paid_out",
        RowKind.CHARGE_REVERSAL: "payment_failed",
        RowKind.REFUND: "refund,payment_refunded",
        RowKind.REFUND_REVERSAL: "refund_funds_returned",
        RowKind.DISPUTE: "payment_charged_back",
        RowKind.FEE: "gocardless_fee,app_fee,revenue_share,surcharge_fee",
    }
)
STATUSES = kinds_of({RowKind.PAYOUT: "paid,pending"})
FEES = ("gocardless_fees", "app_fees", "surcharge_fees")


def _word(cells: Cells) -> str:
    """Return the type; of a payment that is taken back, what became of it."""
    word = (cells.first("resources.type") or "").casefold().removesuffix("s")
    if word == "payment" and cells.required("gross_amount").startswith("-"):
        status = (cells.first("resources.status") or "").casefold().replace(" ", "_")
        return "payment_charged_back" if status == "charged_back" else "payment_failed"
    return word


def _row_id(cells: Cells) -> str:
    """Return an id that is no other row's: a payment is in one payout, and taken back in another."""
    own = cells.required("refunds.id", "payments.id")
    return own if _word(cells) in ("payment", "refund") else f"{own}/{_word(cells)}"


def _sent(cells: Cells, _: str, currency: str) -> Money:
    cells.required("amount")
    return Money(-cells.minor("amount", currency))


TRANSACTIONS = GatewayTable(
    telling=("resources.type", "gross_amount", "gocardless_fees", "net_amount", "payouts.id"),
    word=_word,
    kinds=KINDS,
    row_id=_row_id,
    money=Stated("gross_amount", FEES, "net_amount", cost=0),
    currency=("currency",),
    created=("resources.created_at",),
    available=("payouts.arrival_date",),
    payout_at=("payouts.arrival_date",),
    reference=("resources.reference",),
    payment_id=("payments.id",),
    object_id=("refunds.id", "payments.id"),
    payout_id=("payouts.id",),
)
PAYOUTS = GatewayTable(
    telling=("id", "amount", "currency", "arrival_date", "links.creditor_bank_account"),
    word=joined("status"),
    kinds=STATUSES,
    row_id="id",
    money=_sent,
    currency=("currency",),
    created=("created_at",),
    payout_at=("arrival_date",),
    payout_id=("id",),
    payout_reference=("reference",),
    is_movement=lambda cells: cells.required("status").casefold() != "bounced",
)
TABLES = (TRANSACTIONS, PAYOUTS)
