"""Adyen's Settlement details report.

Gross columns (GC) are in the payer's currency, net columns (NC) in the merchant's; each has a debit and a credit side.
The balance moves in NC, so amounts are in NC, and the payer's side is kept where it is another currency.

``TimeZone`` is an abbreviation. It is read as the fixed offset it names (CET is +01:00 in June too), because a report
states it per row; an abbreviation that several zones share is refused.
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.csv_table import Record, records
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from payonce.reconciliation.readers.values import currency_of, instant_ms, minor_of, shown

GROSS_CURRENCY, GROSS_DEBIT, GROSS_CREDIT = "Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)"
NET_CURRENCY, NET_DEBIT, NET_CREDIT = "Net Currency", "Net Debit (NC)", "Net Credit (NC)"
FEE_COLUMNS = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
REQUIRED_COLUMNS = frozenset(
    {
        "Psp Reference",
        "Merchant Reference",
        "Creation Date",
        "TimeZone",
        "Type",
        "Modification Reference",
        GROSS_CURRENCY,
        GROSS_DEBIT,
        GROSS_CREDIT,
        NET_CURRENCY,
        NET_DEBIT,
        NET_CREDIT,
        *FEE_COLUMNS,
        "Batch Number",
    }
)
KINDS = MappingProxyType(
    {
        "Settled": RowKind.CHARGE,
        "SettledReversed": RowKind.CHARGE,
        "Refunded": RowKind.REFUND,
        "RefundedReversed": RowKind.REFUND,
        "PaidOut": RowKind.REFUND,
        "PaidOutReversed": RowKind.REFUND,
        "Chargeback": RowKind.DISPUTE,
        "SecondChargeback": RowKind.DISPUTE,
        "ChargebackReversed": RowKind.DISPUTE,
        "Fee": RowKind.FEE,
        "MiscCosts": RowKind.FEE,
        "PaymentCost": RowKind.FEE,
        "MerchantPayout": RowKind.PAYOUT,
        "BankInstructionReturned": RowKind.ADJUSTMENT,
        "DepositCorrection": RowKind.ADJUSTMENT,
        "InvoiceDeduction": RowKind.ADJUSTMENT,
        "ManualCorrected": RowKind.ADJUSTMENT,
        "MatchedStatement": RowKind.ADJUSTMENT,
        "EpaPaid": RowKind.ADJUSTMENT,
        "Balancetransfer": RowKind.ADJUSTMENT,
    }
)
# IST (India, Israel, Ireland) and CST (Chicago, China) are not here: nobody can tell which one is meant.
UTC_OFFSET_MINUTES = MappingProxyType(
    {
        "UTC": 0,
        "GMT": 0,
        "WET": 0,
        "BST": 60,
        "WEST": 60,
        "CET": 60,
        "CEST": 120,
        "EET": 120,
        "EEST": 180,
        "EST": -300,
        "EDT": -240,
        "PST": -480,
        "PDT": -420,
        "SGT": 480,
        "JST": 540,
        "AEST": 600,
        "AEDT": 660,
    }
)


def read_adyen_csv(data: bytes) -> tuple[GatewayRow, ...]:
    """Return the report's rows. Raises ``FileRejected``.

    Checked: one side per amount, net = gross - fees where both are in one currency, and that a batch that was paid out
    nets to zero in each currency.
    """
    found: list[GatewayRow] = []
    sums: dict[tuple[str, str], int] = defaultdict(int)
    paid_out: dict[tuple[str, str], int] = {}
    for record in records(data, required=REQUIRED_COLUMNS):
        row = _row(record)
        found.append(row)
        if row.payout_id is not None:
            batch = (row.payout_id, row.currency)
            sums[batch] += row.net_minor
            if row.kind is RowKind.PAYOUT:
                paid_out[batch] = record.line
    for batch, line in paid_out.items():
        if sums[batch] != 0:
            problem = f"batch {shown(batch[0])} does not net to zero in {batch[1]}: {sums[batch]} minor units are left"
            raise FileRejected(problem, line=line, field=NET_DEBIT)
    return tuple(found)


def _row(record: Record) -> GatewayRow:
    kind = KINDS.get(record.required("Type"))
    if kind is None:
        raise FileRejected(
            f"{shown(record.required('Type'))} is not a known journal type", line=record.line, field="Type"
        )
    currency = currency_of(record.required(NET_CURRENCY), line=record.line, field=NET_CURRENCY)
    net = _signed(record, NET_DEBIT, NET_CREDIT, currency)
    if net is None:
        raise FileRejected("neither net debit nor net credit is filled", line=record.line, field=NET_CREDIT)
    fee, stated = _fee(record, currency)
    presented_currency, presented = _presented(record)
    if presented is not None and presented_currency == currency:
        if stated and presented - fee != net:
            raise FileRejected(
                f"gross {presented} less fees {fee} is not net {net}, in minor units",
                line=record.line,
                field=NET_CREDIT,
            )
        fee = presented - net
        presented_currency = presented = None
    batch = record.optional("Batch Number")
    own = record.optional("Modification Reference") or record.optional("Psp Reference")
    return GatewayRow(
        row_number=record.line,
        transaction_id=own or f"batch-{batch or ''}-line-{record.line}",  # fees and payouts may have no reference
        reference=record.optional("Merchant Reference"),
        kind=kind,
        amount_minor=net + fee,
        fee_minor=fee,
        net_minor=net,
        currency=currency,
        created_at_ms=_created(record),
        payout_id=batch,
        gateway_payment_id=record.optional("Psp Reference"),
        presented_minor=presented,
        presented_currency=presented_currency,
    )


def _presented(record: Record) -> tuple[str | None, int | None]:
    text = record.optional(GROSS_CURRENCY)
    if text is None:
        for column in (GROSS_DEBIT, GROSS_CREDIT):
            if record.optional(column):
                raise FileRejected("an amount without its currency", line=record.line, field=column)
        return None, None
    currency = currency_of(text, line=record.line, field=GROSS_CURRENCY)
    amount = _signed(record, GROSS_DEBIT, GROSS_CREDIT, currency)
    return (currency, amount) if amount is not None else (None, None)


def _signed(record: Record, debit: str, credit: str, currency: str) -> int | None:
    sides = [(column, sign, record.optional(column)) for column, sign in ((debit, -1), (credit, 1))]
    given = [(column, sign, text) for column, sign, text in sides if text is not None]
    if len(given) > 1:
        raise FileRejected("both debit and credit are filled", line=record.line, field=debit)
    for column, sign, text in given:
        return sign * minor_of(text, currency, line=record.line, field=column)
    return None


def _fee(record: Record, currency: str) -> tuple[int, bool]:
    texts = [(column, record.optional(column)) for column in FEE_COLUMNS]
    given = [minor_of(text, currency, line=record.line, field=column) for column, text in texts if text is not None]
    return sum(given), bool(given)


def _created(record: Record) -> int:
    zone = record.required("TimeZone")
    if zone not in UTC_OFFSET_MINUTES:
        raise FileRejected(
            f"{shown(zone)} does not name one offset from UTC; set the account to UTC",
            line=record.line,
            field="TimeZone",
        )
    return instant_ms(
        record.required("Creation Date"),
        line=record.line,
        field="Creation Date",
        utc_offset_minutes=UTC_OFFSET_MINUTES[zone],
    )
