"""Mollie's settlement report as CSV.

https://docs.mollie.com/docs/settlement-report lists what a settlement is made of: payments and captures, refunds and
chargebacks (of the other sign where they came back), corrections, and costs and rolling reserves as one row each, which
have no id. A resource's id says what it is (https://docs.mollie.com/reference/common-data-types): tr_, cpt_, re_, chb_.
The settlement amount is what moved in the currency of the balance (what has none, Mollie does not settle), and the
settlement reference is on the bank's statement (https://help.mollie.com/hc/en-us/articles/360011201539). The file
states no zone of its times.
"""

from __future__ import annotations

from types import MappingProxyType

from payonce.reconciliation.readers.gateway_cells import Cells, Stated, adding, kinds_of
from payonce.reconciliation.readers.gateway_table import GatewayTable
from payonce.reconciliation.readers.rows import RowKind

RESOURCES = MappingProxyType({"tr": "payment", "cpt": "capture", "re": "refund", "chb": "chargeback"})
KINDS = kinds_of(
    {
        RowKind.CHARGE: "payment,capture",
        RowKind.CHARGE_REVERSAL: "failed payment",
        RowKind.REFUND: "refund",
        RowKind.REFUND_REVERSAL: "returned refund",
        RowKind.DISPUTE: "chargeback",
        RowKind.DISPUTE_REVERSAL: "chargeback reversal",
        RowKind.FEE: (
            "withheld transaction fees,withheld fees,withheld payment fees,transaction fees,payment fees,"
            "payment method fees,chargeback fees,refund fees,notification fees,fee reimbursement,invoice rounding,"
            "invoice compensation,application fee"
        ),
        RowKind.RESERVE: "rolling reserve,withheld rolling reserve,released rolling reserve",
        RowKind.TRANSFER: "route,route reversal,split payment,balance top-up,top-up",
        RowKind.ADJUSTMENT: "correction,balance correction",
    }
)
_LONGEST_FIRST = sorted(KINDS, key=len, reverse=True)


def _word(cells: Cells) -> str:
    """Return what the id says that the row is; of a row without one, what its description begins with."""
    resource = RESOURCES.get((cells.first("ID") or "").partition("_")[0])
    text = cells.first("Description", "Payment method", "Status") or ""
    plain = text.casefold()
    return resource or next((word for word in _LONGEST_FIRST if plain.startswith(word)), text)


def _row_id(cells: Cells) -> str:
    own = cells.first("ID")
    return own or "/".join(filter(None, (cells.first("Settlement reference"), cells.first("Description"))))


SETTLEMENT = GatewayTable(
    telling=("Date", "Payment method", "Settlement currency", "Settlement amount", "Settlement reference"),
    word=_word,
    kinds=KINDS,
    row_id=_row_id,
    money=Stated("Settlement amount"),
    currency=("Settlement currency",),
    created=("Date",),
    reference=("Description",),
    payment_id=("payment",),
    object_id=("ID",),
    payout_id=("Settlement reference",),
    method=("Payment method",),
    presented=("Amount", "Currency"),
    prepared=adding("payment", lambda cells: cells.first("ID") if _word(cells) == "payment" else None),
    is_movement=lambda cells: cells.first("Settlement amount") is not None,
)
TABLES = (SETTLEMENT,)
