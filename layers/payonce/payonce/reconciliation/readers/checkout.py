"""Checkout.com's Financial Actions reports, its Settlement and Balance Breakdown reports, and its Payouts report.

https://www.checkout.com/docs/funds-management/retrieve-financial-reports/settlement-reports/ has a page of each, and
https://www.checkout.com/docs/funds-management/retrieve-financial-reports/breakdown-types what they call a movement. A
financial action has a row of its amount and of each of its fees, which become one: the fees of a payment are its fee.
A breakdown has a row of each movement with all its fees.
Amounts are signed, a cost is negative, with up to eight decimals. Each is rounded to the currency's, half away from
zero, and what that makes of a payout's sum is a row of its own. Times are in the settlement zone of the entity, which
the optional column Timezone names; those of the optional columns in UTC are read where they are.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.reconciliation.readers.gateway_cells import Cells, Money, joined, kinds_of
from payonce.reconciliation.readers.gateway_table import NAMED, GatewayTable
from payonce.reconciliation.readers.limits import MAX_AMOUNT_DIGITS
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from payonce.reconciliation.readers.values import currency_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from payonce.reconciliation.readers.gateway_table import Reading

ROUNDING = "rounding"
HELD = "Holding Currency Amount"
FEES = "fees"  # of an action, which its movement gets
BREAKDOWNS = kinds_of(
    {
        RowKind.CHARGE: "Capture,Partial Capture",
        RowKind.CHARGE_REVERSAL: "Clearing Failed",
        RowKind.REFUND: "Refund,Partial Refund",
        RowKind.DISPUTE: "Chargeback (ADJM),Chargeback (ARWS),Chargeback",
        RowKind.DISPUTE_REVERSAL: (
            "Chargeback (CBRV),Chargeback (RPDW),Chargeback (ARBW),Chargeback (ABRW),Chargeback (AUTO)"
        ),
        RowKind.FEE: (
            "Chargeback (ARBL),Chargeback (ABRL),Scheme Fixed Fee,Scheme Variable Fee,Interchange Fixed Fee,"
            "Interchange Variable Fee,Premium Fixed Fee,Premium Variable Fee,Gateway Fixed Fee,Authorization Fixed Fee,"
            "Authentication Fixed Fee,Card Verification Fixed Fee,Refund Fixed Fee,Void Fixed Fee,"
            "Risk Engine Fixed Fee,"
            "Blended Fixed Fee,Blended Variable Fee,Chargeback Fixed Fee,Minimum Billing Fee,Client Settlement Fees,"
            "Tiered Pricing Adjustment"
        ),
        RowKind.RESERVE: (
            "Security Deposit Reservation,Security Deposit Release,Rolling Reserve Reservation,Rolling Reserve Release,"
            "Rolling Reserve"
        ),
        RowKind.TRANSFER: "Operational Funding Reservation,Operational Funding Release,Top Up",
        RowKind.PAYOUT: "Payout,Payout Rejected,Payout Returned",
        RowKind.ADJUSTMENT: (
            "Adjustment,Balance,Tax,Client Revenue,Cover Negative Position,Invoice Settlement,"
            f"Transaction Amount Discrepancy,{ROUNDING}"
        ),
    }
)
MOVEMENTS = kinds_of(
    {
        RowKind.CHARGE: "Charge,Partial Charge,Capture,Partial Capture",
        RowKind.CHARGE_REVERSAL: "Clearing Failed",
        RowKind.REFUND: "Refund,Partial Refund",
        RowKind.DISPUTE: "Chargeback",
        RowKind.FEE: (
            "Void,Authorization,Authentication,Card Verification,Network Token Provisioning,Network Token Update,"
            "Account Updater,Merchant Payout,Risk Engine"
        ),
        RowKind.RESERVE: (
            "Security Deposit Reservation,Security Deposit Release,Rolling Reserve Reservation,Rolling Reserve Release"
        ),
        RowKind.TRANSFER: "Operational Funding Reservation,Operational Funding Release,Top Up",
        RowKind.PAYOUT: "Payout,Payout Rejected,Payout Returned",
        RowKind.ADJUSTMENT: (
            "Adjustment,Tiered Pricing Adjustment,Cover Negative Position,Invoice Settlement,"
            f"Transaction Amount Discrepancy,{ROUNDING}"
        ),
    }
)
PAYOUT = kinds_of({RowKind.PAYOUT: "Payout"})
HOLDING = ("Holding Currency",)
PROCESSED = ("Processed On UTC", "Processed On", "Requested On UTC", "Requested On")
AVAILABLE = ("Available On UTC", "Available On")
UTC_COLUMNS = ("Processed On UTC", "Requested On UTC", "Available On UTC", "Payout Date")


def exact(cells: Cells, column: str) -> Decimal:
    """Return an amount of any number of decimals, 0 where the cell is empty."""
    text = cells.first(column) or "0"
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount.adjusted() >= MAX_AMOUNT_DIGITS - 4:
        raise cells.refused(f"{shown(text)} is not an amount", column)
    return amount


def rounded(amount: Decimal, currency: str) -> int:
    """Return an amount in minor units, half of one away from zero."""
    return int(amount.scaleb(MINOR_UNIT_EXPONENTS[currency]).to_integral_value(ROUND_HALF_UP))


def _held(cells: Cells, _: str, currency: str) -> Money:
    cells.required(HELD)
    return Money(rounded(exact(cells, HELD), currency), -rounded(exact(cells, FEES), currency))


def _by_action(body: tuple[Cells, ...]) -> tuple[Cells, ...]:
    """Add the fees of an action to its movement of a payment; all other fees stay rows of their own."""

    def action(cells: Cells) -> tuple[str | None, str | None]:
        return cells.first("Action ID"), cells.first(*HOLDING)

    moved = {action(cells): cells for cells in reversed(body) if _kind(cells) in NAMED}
    fees: dict[tuple[str | None, str | None], Decimal] = defaultdict(Decimal)
    for cells in body:
        if action(cells) in moved and _kind(cells) is RowKind.FEE:
            fees[action(cells)] += exact(cells, HELD)
    return tuple(
        replace(cells, texts={**cells.texts, FEES: str(fees[action(cells)])})
        if cells is moved.get(action(cells))
        else cells
        for cells in body
        if action(cells) not in fees or _kind(cells) is not RowKind.FEE
    )


def _kind(cells: Cells) -> RowKind | None:
    word = cells.first("Breakdown Type") or ""
    return BREAKDOWNS.get(word) or _kind_of_fee(word)


def _moved(cells: Cells, _: str, currency: str) -> Money:
    gross, cost, net = (exact(cells, f"{name} In Holding Currency") for name in ("Gross", "Deduction", "Net"))
    if gross + cost != net:
        raise cells.refused("net is not gross and deduction", "Net In Holding Currency")
    amount = rounded(gross, currency)
    return Money(amount, amount - rounded(net, currency))


def _paid(cells: Cells, _: str, currency: str) -> Money:
    cells.required("Payout Amount")
    return Money(-rounded(exact(cells, "Payout Amount"), currency))


def _movement_id(cells: Cells) -> str:
    return cells.first("Action ID") or joined("Payment ID", "Type", "Processed On")(cells)


def _kind_of_fee(word: str) -> RowKind | None:
    return RowKind.FEE if word.endswith((" Fee", " Fees", " Fee Tax")) else None


def _rounding(column: str) -> Callable[[Reading], Iterable[GatewayRow]]:
    """Return what makes a row of what rounding made of each payout's sum."""

    def rows(reading: Reading) -> Iterable[GatewayRow]:
        exact_sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        last: dict[tuple[str, str], GatewayRow] = {}
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for cells, row in zip(reading.body, reading.rows, strict=True):
            currency = currency_of(cells.required(*HOLDING), line=cells.line, field=HOLDING[0])
            payout = (cells.first("Payout ID") or "", currency)
            exact_sums[payout] += exact(cells, column) + exact(cells, FEES)
            sums[payout] += row.net_minor
            last[payout] = row
        for (payout_id, currency), total in exact_sums.items():
            off = rounded(total, currency) - sums[payout_id, currency]
            if off and payout_id:
                yield _rounding_row(last[payout_id, currency], off)

    return rows


def _rounding_row(last: GatewayRow, off_minor: int) -> GatewayRow:
    return GatewayRow(
        row_number=last.row_number,
        transaction_id=f"{last.payout_id}/{last.currency}/{ROUNDING}",
        reference=None,
        kind=RowKind.ADJUSTMENT,
        amount_minor=off_minor,
        fee_minor=0,
        net_minor=off_minor,
        currency=last.currency,
        created_at_ms=last.created_at_ms,
        payout_id=last.payout_id,
        category=ROUNDING,
    )


ACTIONS = GatewayTable(
    telling=("Action ID", "Payment ID", "Breakdown Type", "Holding Currency", "Holding Currency Amount"),
    word=joined("Breakdown Type"),
    kinds=BREAKDOWNS,
    kind_of=_kind_of_fee,
    row_id=joined("Action ID", "Breakdown Type"),
    money=_held,
    currency=HOLDING,
    created=PROCESSED,
    zone=("Timezone",),
    utc=UTC_COLUMNS,
    reference=("Reference",),
    payment_id=("Payment ID",),
    object_id=("Action ID",),
    payout_id=("Payout ID",),
    method=("Payment Method",),
    country=("Issuer Country",),
    presented=("Processing Currency Amount", "Processing Currency"),
    rate="FX Rate Applied",
    prepared=_by_action,
    closing=_rounding(HELD),
)
MOVED = GatewayTable(
    telling=("Type", "Payment ID", "Gross In Holding Currency", "Deduction In Holding Currency"),
    word=joined("Type"),
    kinds=MOVEMENTS,
    row_id=_movement_id,
    money=_moved,
    currency=HOLDING,
    created=PROCESSED,
    available=AVAILABLE,
    zone=("Timezone",),
    utc=UTC_COLUMNS,
    reference=("Reference",),
    payment_id=("Payment ID",),
    object_id=("Action ID",),
    payout_id=("Payout ID",),
    method=("Payment Method",),
    country=("Issuer Country",),
    presented=("Gross In Processing Currency", "Processing Currency"),
    rate="FX Rate Applied",
    closing=_rounding("Net In Holding Currency"),
)
PAYOUTS = GatewayTable(
    telling=("Payout ID", "Payout Date", "Holding Currency", "Payout Amount"),
    word=lambda _: "Payout",
    kinds=PAYOUT,
    row_id="Payout ID",
    money=_paid,
    currency=HOLDING,
    created=("Payout Date",),
    utc=UTC_COLUMNS,
    payout_id=("Payout ID",),
)
TABLES = (ACTIONS, MOVED, PAYOUTS)
